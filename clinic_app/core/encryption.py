"""Encryption of what must be readable again, but not from a stolen database: AES-256-GCM, key kept elsewhere.

The first byte is the version of the key.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clinic_app.core import keys

_NONCE = 12  # bytes; random, so one key must encrypt far fewer than 2^32 texts (NIST SP 800-38D, 8.3)


class Unreadable(Exception):
    """Encrypted with another key, for another place, or changed since."""


@functools.lru_cache(maxsize=8)
def _cipher(token_key: bytes, purpose: str) -> AESGCM:
    # the label as it was first written: another one would be another key, and nothing kept could be read
    return AESGCM(hmac.new(token_key, f"sealing, v1: {purpose}".encode(), hashlib.sha256).digest())


def encrypt(text: str, purpose: str, place: str) -> str:
    """``text`` encrypted and bound to ``place`` (whose row it is): nobody can move it to another one unnoticed."""
    nonce = secrets.token_bytes(_NONCE)
    body = _cipher(keys.key("token_key"), purpose).encrypt(nonce, text.encode(), f"{purpose}:{place}".encode())
    return base64.urlsafe_b64encode(bytes([keys.version("token_key")]) + nonce + body).decode()


def decrypt(encrypted: str, purpose: str, place: str) -> str:
    """What ``encrypt`` was given. Raises ``Unreadable``."""
    try:
        raw = base64.urlsafe_b64decode(encrypted)
        key = keys.key_of("token_key", raw[0]) if raw else None
        if key is None or base64.urlsafe_b64encode(raw) != encrypted.encode():  # in its one spelling only
            raise Unreadable
        nonce, body = raw[1 : 1 + _NONCE], raw[1 + _NONCE :]
        return _cipher(key, purpose).decrypt(nonce, body, f"{purpose}:{place}".encode()).decode()
    except (InvalidTag, ValueError):
        raise Unreadable from None
