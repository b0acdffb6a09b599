"""What a backup says of itself: the first part of its file."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select, table

from clinic_app.core import keys
from clinic_app.services.backups.errors import NotABackup

MANIFEST, KEYS = "manifest.json", "keys.json"
#: Kind of database → the part of the file that holds it.
PARTS = {"sqlite": "database.sqlite3", "postgresql": "database.dump"}
FORMAT = 1
_LARGEST = 64 * 1024
_COUNTED = ("patients", "accounts", "audit_events", "outbox_messages")
_DAMAGED = "This file is not a backup, or it is damaged."


@dataclass(frozen=True, slots=True)
class Manifest:
    """``kind`` of database and its ``revision``; ``sha256`` and ``size`` (bytes) of its part; rows in some tables; the
    end of the audit trail; fingerprints of the keys, and whether the keys themselves are in the file."""

    format: int
    made_at: str  # UTC, ISO 8601
    kind: str
    revision: str
    sha256: str
    size: int
    rows: dict[str, int]
    head_seq: int
    head_hash: str
    keys: dict[str, str]
    with_keys: bool

    def at(self) -> dt.datetime:
        """When it was made."""
        return dt.datetime.fromisoformat(self.made_at)

    def _plain(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    def mark(self) -> str:
        """What nobody can compute who does not have the audit key: a changed backup is found by it."""
        return hmac.new(keys.key("audit_key"), b"backup, v1: " + self._plain(), hashlib.sha256).hexdigest()

    def text(self) -> bytes:
        """As it is kept."""
        return json.dumps({**asdict(self), "mark": self.mark()}, indent=1).encode() + b"\n"


def parse(text: bytes) -> tuple[Manifest, str]:
    """A manifest, and the mark it carries: to be compared once the keys are known. Raises ``NotABackup``."""
    try:
        found: dict[str, Any] = json.loads(text)
        if type(found["format"]) is int and found["format"] > FORMAT:  # whose manifest may hold other things
            raise NotABackup("This backup was made by a newer version of the program: install that version first.")
        made = Manifest(**{one.name: found[one.name] for one in fields(Manifest)})
        good = made.kind in PARTS and isinstance(made.revision, str) and isinstance(made.rows, dict)
        good = good and set(made.keys) == set(keys.NAMES) and made.at().tzinfo is not None
        mark = str(found["mark"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise NotABackup(_DAMAGED) from None
    if not good or made.format != FORMAT or not mark.isascii():
        raise NotABackup(_DAMAGED)
    return made, mark


@contextmanager
def opened(file: Path) -> Iterator[tuple[tarfile.TarFile, Manifest, str]]:
    """The backup in ``file``: its parts, its manifest and the mark of that. Raises ``NotABackup``."""
    if file.exists() and not file.is_file():  # a pipe would be waited for
        raise NotABackup(_DAMAGED)
    try:
        with _archive(file) as tar:
            first = tar.next()
            text = tar.extractfile(first) if first is not None and first.isreg() else None
            if first is None or text is None or first.name != MANIFEST or first.size > _LARGEST:
                raise NotABackup(_DAMAGED)
            with unreadable(file):
                said = text.read()
            yield tar, *parse(said)
    except (tarfile.TarError, EOFError):
        raise NotABackup(_DAMAGED) from None


def _archive(file: Path) -> tarfile.TarFile:
    with unreadable(file):
        return tarfile.open(file, "r:")  # whoever asks closes it


@contextmanager
def unreadable(file: Path) -> Iterator[None]:
    """Say that ``file`` cannot be read, and why, where the disk says so. Nothing is written in the block."""
    try:
        yield
    except FileNotFoundError:
        raise NotABackup(f"{file} does not exist.") from None
    except PermissionError:
        raise NotABackup(f"{file} may not be read by this user.") from None
    except OSError as error:
        raise NotABackup(f"{file} cannot be read ({error.strerror}): take another backup, or another disk.") from None


def part(tar: tarfile.TarFile, name: str) -> tarfile.TarInfo:
    """The part ``name``. Raises ``NotABackup`` if it is not there or no plain file."""
    try:
        found = tar.getmember(name)
    except KeyError:
        raise NotABackup(_DAMAGED) from None
    if not found.isreg():
        raise NotABackup(_DAMAGED)
    return found


def counts(connection: Connection) -> dict[str, int]:
    """How many rows the tables have that tell most."""
    return {name: connection.execute(select(func.count()).select_from(table(name))).scalar_one() for name in _COUNTED}
