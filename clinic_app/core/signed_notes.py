"""Signed notes and checkpoints as the C2SP has them (c2sp.org/signed-note, c2sp.org/tlog-checkpoint), by Ed25519.

Other programs of transparency logs read them. A note is a text, an empty line, and a line for each signature.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ED25519 = b"\x01"
_NAME = re.compile(r"[^\s+]{1,100}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")
#: Characters of a note: four lines and some signatures.
LONGEST = 20_000
_MOST_SIGNATURES = 16


class NotValid(ValueError):
    """A note or key that says nothing: its text is a sentence for people."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What a signature is checked with. Written ``name+id+key``, as Go's ``note`` has it."""

    name: str
    raw: bytes

    @property
    def ident(self) -> str:
        """Eight digits that tell it from other keys of this name; not enough to rely on."""
        return _ident(self.name, self.raw).hex()

    def __str__(self) -> str:
        return f"{self.name}+{self.ident}+{base64.b64encode(_ED25519 + self.raw).decode()}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log was like: its name, the number of its entries, the root of the tree over them."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """As it is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def _ident(name: str, raw: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + raw).digest()[:4]


def public_key(name: str, seed: bytes) -> PublicKey:
    """The public key to a private one, which is given by its 32 bytes."""
    return PublicKey(name, Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())


def sign(checkpoint: Checkpoint, seed: bytes) -> str:
    """``checkpoint`` as a note signed by the private key ``seed``, under the log's name."""
    text, raw = checkpoint.text(), public_key(checkpoint.origin, seed).raw
    signature = _ident(checkpoint.origin, raw) + Ed25519PrivateKey.from_private_bytes(seed).sign(text.encode())
    return f"{text}\n— {checkpoint.origin} {base64.b64encode(signature).decode()}\n"


def _plain(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return b""


def parsed_key(text: str) -> PublicKey:
    """The public key written as ``text``. Raises ``NotValid``."""
    parts = text.strip().split("+", 2)
    raw = _plain(parts[2]) if len(parts) == 3 else b""
    if len(raw) != 33 or raw[:1] != _ED25519 or not _NAME.fullmatch(parts[0]):
        raise NotValid("This is no public key: it is written name+id+key, as `audit key` prints it.")
    found = PublicKey(parts[0], raw[1:])
    if parts[1] != found.ident:
        raise NotValid("The public key is not whole: its id does not fit it.")
    return found


def opened(note: str, keys: Sequence[PublicKey]) -> tuple[Checkpoint, PublicKey]:
    """The checkpoint in ``note``, and which of ``keys`` signed it. Raises ``NotValid`` if none of them did."""
    text, key = verified(note, keys)
    found = _checkpoint(text)
    if key.name != found.origin:
        raise NotValid("The checkpoint is signed by the key of another trail.")
    return found, key


def verified(note: str, keys: Sequence[PublicKey]) -> tuple[str, PublicKey]:
    """The text of ``note``, and which of ``keys`` signed it. Raises ``NotValid`` if none of them did.

    Signatures of other keys are passed over; a wrong one of a known key spoils the note.
    """
    text, signers = _parts(note)
    known = {(key.name, key.ident): key for key in keys}
    signed: PublicKey | None = None
    for name, signature in signers:
        key = known.get((name, signature[:4].hex()))
        if key is None:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(key.raw).verify(signature[4:], text.encode())
        except (InvalidSignature, ValueError):
            raise NotValid("The signature of the checkpoint is wrong: it was forged, or changed on its way.") from None
        signed = signed or key
    if signed is None:
        raise NotValid("The checkpoint is not signed by this key.")
    return text, signed


def _parts(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """The text that was signed, and the name and the bytes of each signature."""
    whole = note.replace("\r\n", "\n").strip("\n") + "\n"  # as a scanner or an editor may leave it
    text, between, lines = whole.rpartition("\n\n")
    signers = [line.split(" ") for line in lines.splitlines()]
    if (
        not between
        or len(note) > LONGEST
        or not 0 < len(signers) <= _MOST_SIGNATURES
        or any(len(signer) != 3 or signer[0] != "—" for signer in signers)
    ):
        raise NotValid("This is no checkpoint: it has a name, a number, a hash, an empty line and a signature.")
    return text + "\n", [(name, _plain(signature)) for _, name, signature in signers]


def _checkpoint(text: str) -> Checkpoint:
    lines = text.split("\n")
    root = _plain(lines[2]) if len(lines) >= 4 else b""
    if len(root) != 32 or not _SIZE.fullmatch(lines[1]) or not _NAME.fullmatch(lines[0]):
        raise NotValid("This is no checkpoint: it has a name, a number, a hash, an empty line and a signature.")
    return Checkpoint(lines[0], int(lines[1]), root)
