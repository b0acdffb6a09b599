"""What a page shows for a while and nobody else may read, such as a temporary password: sealed for its session.

Page state may lie in a store outside this process. The key is made of the session's token, which only the browser
keeps, and of this clinic's own key; so it is in no store, every worker to which the browser connects has it, and it is
gone here with the session's last socket.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clinic_app.core import crypto, keys

_NONCE = 12  # bytes
#: Hash of a session's token → key, and how many sockets hold it.
_held: dict[str, tuple[AESGCM, int]] = {}


class NoSocket(Exception):
    """Nobody of this session is connected here: there is no key."""


def _key(token: str) -> AESGCM:
    return AESGCM(hmac.new(keys.key("token_key"), f"shown, v1: {token}".encode(), hashlib.sha256).digest())


@contextlib.contextmanager
def holding(token: str) -> Iterator[None]:
    """Hold the key of the session whose token this is, for as long as one of its sockets is open. On the event loop."""
    mark = crypto.digest(token)
    key, sockets = _held.get(mark) or (_key(token), 0)
    _held[mark] = key, sockets + 1
    try:
        yield
    finally:
        key, sockets = _held.pop(mark)
        if sockets > 1:
            _held[mark] = key, sockets - 1


def seal(text: str, mark: str) -> str:
    """``text`` sealed for the session whose token's hash is ``mark``. Raises ``NoSocket`` where it has none here."""
    if mark not in _held:
        raise NoSocket
    nonce = secrets.token_bytes(_NONCE)
    return base64.urlsafe_b64encode(nonce + _held[mark][0].encrypt(nonce, text.encode(), mark.encode())).decode()


def unseal(sealed: str, mark: str) -> str:
    """What ``seal`` was given for the same session; empty where that cannot be read here any more."""
    if mark not in _held:
        return ""
    raw = base64.urlsafe_b64decode(sealed)
    try:
        return _held[mark][0].decrypt(raw[:_NONCE], raw[_NONCE:], mark.encode()).decode()
    except InvalidTag:
        return ""
