"""Random tokens, keyed digests, and password hashing on threads of its own."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import hmac
import os
import secrets
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import bcrypt

from clinic_app.core import keys
from clinic_app.core.errors import Unavailable
from clinic_app.core.settings import get_settings

#: 54 symbols, none that look alike: no ``0 O o 1 l I``, and neither ``i`` nor ``L``, which handwriting confuses
#: with them. 12 are 69 bits (NIST SP 800-63B-4, 3.1.2: look-up secrets have at least 64).
UNAMBIGUOUS = "ABCDEFGHJKMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789"
TEMPORARY_LENGTH = 12
_SCHEME = "v1$k1$"
_WAITING_AT_MOST = 16


def new_token() -> str:
    """A fresh 256-bit token, URL-safe."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """The only form in which a session token is kept: SHA-256, hex. Enough for 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()


def keyed_digest(value: str, purpose: str) -> str:
    """A keyed digest for values that could be guessed (names, search terms), 128 bits, hex."""
    return hmac.new(keys.key("token_key"), f"{purpose}:{value}".encode(), hashlib.sha256).hexdigest()[:32]


def temporary_password() -> str:
    """A temporary password: 12 unambiguous symbols, from a cryptographic source, with a digit and a letter."""
    while True:
        made = "".join(secrets.choice(UNAMBIGUOUS) for _ in range(TEMPORARY_LENGTH))
        if any(c.isdigit() for c in made) and any(c.isalpha() for c in made):
            return made


# --- password hashes ----------------------------------------------------------------------------


def _lower_priority() -> None:
    """Hashes give way to whoever serves pages (Linux: niceness is per thread)."""
    with contextlib.suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


_pool = ThreadPoolExecutor(max(1, os.cpu_count() or 1), thread_name_prefix="hash", initializer=_lower_priority)
_places = threading.BoundedSemaphore((os.cpu_count() or 1) + _WAITING_AT_MOST)


def _on_hash_thread(work, *args):
    if not _places.acquire(blocking=False):
        raise Unavailable
    try:
        return _pool.submit(work, *args).result()
    finally:
        _places.release()


def _prehash(password: str) -> bytes:
    """``base64(hmac_sha384(pepper, NFKC(password)))``: any length, no NUL, 64 bytes (OWASP Password Storage)."""
    normal = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
    return base64.b64encode(hmac.new(keys.key("pepper"), normal, hashlib.sha384).digest())


def hash_password(password: str, *, cost: int | None = None) -> str:
    """The hash to keep: scheme, key id, bcrypt. Takes about a quarter of a second; never call it in a transaction.

    ``cost``, at most the configured one, is for random secrets, which need less. Raises ``Unavailable`` when too
    many hashes are already waiting.
    """
    configured = get_settings().bcrypt_cost
    salt = bcrypt.gensalt(min(cost or configured, configured))
    return _SCHEME + _on_hash_thread(bcrypt.hashpw, _prehash(password), salt).decode()


@functools.lru_cache(maxsize=4)
def _dummy(cost: int) -> str:
    return _SCHEME + bcrypt.hashpw(b"nobody", bcrypt.gensalt(cost)).decode()


def prepare_dummy() -> None:
    """Make the dummy hash at start, so that the first unknown user is not slower than the second."""
    _dummy(get_settings().bcrypt_cost)


def verify_password(password: str, kept: str | None) -> bool:
    """Whether ``password`` belongs to the hash ``kept``; exactly one bcrypt check in every case.

    ``None`` (no such account) and hashes that cannot be read are checked against a dummy and are False.
    """
    usable = kept is not None and kept.startswith(_SCHEME)
    dummy = _dummy(get_settings().bcrypt_cost)
    try:
        same = _check(password, kept if usable and kept else dummy)
    except ValueError:  # a damaged hash, refused before any work
        _check(password, dummy)
        return False
    return same and usable


def _check(password: str, kept: str) -> bool:
    return _on_hash_thread(bcrypt.checkpw, _prehash(password), kept.removeprefix(_SCHEME).encode())


def needs_rehash(kept: str) -> bool:
    """Whether ``kept`` has another scheme or cost than the settings ask for."""
    return not kept.startswith(f"{_SCHEME}$2b${get_settings().bcrypt_cost:02d}$")
