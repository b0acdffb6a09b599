"""An authenticator in software: makes passkeys and signs with them as a phone does, and lies where a test wants it."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import struct
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

SITE, ORIGIN = "localhost", "http://localhost:3000"
PRESENT, VERIFIED, WITH_KEY = 0x01, 0x04, 0x40


def text(raw: bytes) -> str:
    """base64url, as browsers write it."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def raw(written: str) -> bytes:
    """What ``text`` was made of."""
    return base64.urlsafe_b64decode(written + "=" * (-len(written) % 4))


@dataclass
class Key:
    """A passkey on the device."""

    private: ec.EllipticCurvePrivateKey
    id: bytes
    handle: str
    count: int = 0

    def cose(self) -> bytes:
        """The public half."""
        point = self.private.public_key().public_numbers()
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")})


@dataclass
class Authenticator:
    """A phone and its browser. ``counts`` false: as those that are kept in a cloud, which say 0 for ever."""

    counts: bool = True
    keys: list[Key] = field(default_factory=list)

    def _client(self, kind: str, challenge: str, origin: str, **more: Any) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": origin, **more}).encode()

    def create(
        self,
        options: str,
        *,
        origin: str = ORIGIN,
        site: str = "",
        verified: bool = True,
        kind: str = "webauthn.create",
        challenge: str = "",
        key: Key | None = None,
        **client: Any,
    ) -> str:
        """What the browser sends for a new passkey."""
        asked = json.loads(options)
        if key is None:
            key = Key(ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(32), asked["user"]["id"])
        self.keys.append(key)
        flags = PRESENT | WITH_KEY | (VERIFIED if verified else 0)
        data = hashlib.sha256((site or asked["rp"]["id"]).encode()).digest() + struct.pack(">BI", flags, key.count)
        data += bytes(16) + struct.pack(">H", len(key.id)) + key.id + key.cose()
        response = {
            "clientDataJSON": text(self._client(kind, challenge or asked["challenge"], origin, **client)),
            "attestationObject": text(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
        }
        return json.dumps({"id": text(key.id), "rawId": text(key.id), "type": "public-key", "response": response})

    def get(
        self,
        options: str,
        *,
        origin: str = ORIGIN,
        site: str = "",
        verified: bool = True,
        present: bool = True,
        kind: str = "webauthn.get",
        challenge: str = "",
        key: Key | None = None,
        handle: str | None = "own",
        count: int | None = None,
        signed_by: Key | None = None,
        **client: Any,
    ) -> str:
        """What the browser sends to sign in, with the newest passkey unless told otherwise."""
        asked = json.loads(options)
        key = key or self.keys[-1]
        key.count = count if count is not None else key.count + 1 if self.counts else 0
        flags = (PRESENT if present else 0) | (VERIFIED if verified else 0)
        data = hashlib.sha256((site or asked["rpId"]).encode()).digest() + struct.pack(">BI", flags, key.count)
        said = self._client(kind, challenge or asked["challenge"], origin, **client)
        signer = (signed_by or key).private
        signature = signer.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(hashes.SHA256()))
        response = {"clientDataJSON": text(said), "authenticatorData": text(data), "signature": text(signature)}
        if handle is not None:
            response["userHandle"] = key.handle if handle == "own" else handle
        return json.dumps({"id": text(key.id), "rawId": text(key.id), "type": "public-key", "response": response})
