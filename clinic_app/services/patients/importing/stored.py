"""Uploaded files and what was found in them, in the data directory: who reads and writes them, and who removes them.

For each import: ``<token>.csv``, the file as it came, and ``<token>.rows``, where each of its rows begins and what it
is, in records of one size, so that any page of a preview is read at once.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Collection, Iterable
from pathlib import Path

from clinic_app.core import keys
from clinic_app.core.settings import get_settings
from clinic_app.models.imports import RowOutcome

#: An uploaded file is at most so large, in bytes.
LARGEST = 200 * 1024 * 1024
_TOKEN = re.compile(r"[0-9a-f]{32}")
_ROW = struct.Struct("<QIB")  # byte, row, outcome
_CODES = {RowOutcome.NEW: 0, RowOutcome.POSSIBLE_DUPLICATE: 1, RowOutcome.INVALID: 2}
_OUTCOMES = {code: outcome for outcome, code in _CODES.items()}


def _folder() -> Path:
    folder = keys.prepare_data_dir(get_settings()) / "imports"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _named(token: str, kind: str) -> Path:
    if not _TOKEN.fullmatch(token):
        raise ValueError("not a token of ours")
    return _folder() / f"{token}.{kind}"


def file_of(token: str) -> Path:
    """The uploaded file."""
    return _named(token, "csv")


def make(token: str) -> None:
    """An empty file, which its owner alone may read."""
    os.close(os.open(file_of(token), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def received(token: str) -> int:
    """How many bytes have come; -1 where the file is not there any more."""
    try:
        return file_of(token).stat().st_size
    except FileNotFoundError:
        return -1


def append(token: str, part: bytes, at: int) -> int:
    """Add a part that begins at byte ``at``; returns how many bytes there are now. What was begun is written over."""
    with file_of(token).open("r+b") as file:
        file.seek(at)
        file.write(part)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
    return at + len(part)


def remove(token: str) -> None:
    """Whatever there is of this import."""
    for kind in ("csv", "rows"):
        _named(token, kind).unlink(missing_ok=True)


def remove_others(kept: Collection[str], older_than: float) -> int:
    """Files of imports that are not among ``kept`` any more, last written before ``older_than`` (a timestamp)."""
    count = 0
    for path in _folder().iterdir():
        token = path.name.partition(".")[0]
        if token not in kept and path.stat().st_mtime < older_than:
            path.unlink(missing_ok=True)
            count += 1
    return count


def begin_rows(token: str) -> None:
    """No rows yet."""
    os.close(os.open(_named(token, "rows"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))


def add_rows(token: str, found: Iterable[tuple[int, int, RowOutcome]], *, after: int) -> None:
    """Note rows, each by the byte it begins at, its number and what it is, behind the first ``after`` rows."""
    with _named(token, "rows").open("r+b") as file:
        file.seek(after * _ROW.size)
        file.write(b"".join(_ROW.pack(start, row, _CODES[outcome]) for start, row, outcome in found))
        file.truncate()


def rows_noted(token: str, first: int, count: int, only: RowOutcome | None = None) -> list[tuple[int, int, RowOutcome]]:
    """``count`` rows from the ``first`` on (0 is the first), of those that are ``only`` this: byte, number, outcome."""
    with _named(token, "rows").open("rb") as file:
        if only is None:
            file.seek(first * _ROW.size)
            some = file.read(count * _ROW.size)
            return [(start, row, _OUTCOMES[code]) for start, row, code in _ROW.iter_unpack(some)]
        return _some_of(file.read(), first, count, _CODES[only])


def _some_of(noted: bytes, first: int, count: int, wanted: int) -> list[tuple[int, int, RowOutcome]]:
    codes = noted[_ROW.size - 1 :: _ROW.size]
    sign, found, at = bytes([wanted]), [], -1
    for _ in range(first):
        at = codes.find(sign, at + 1)
        if at < 0:
            return []
    for _ in range(count):
        at = codes.find(sign, at + 1)
        if at < 0:
            break
        start, row, code = _ROW.unpack_from(noted, at * _ROW.size)
        found.append((start, row, _OUTCOMES[code]))
    return found
