"""A list of patients as a CSV file: looked over once as a whole, then read row by row from any row on.

Memory holds one row, whatever the size of the file. A row that cannot be read is a row with a ``problem``; what makes
the whole file unreadable is a ``FileRefused``, in words for whoever saved it from a spreadsheet.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from clinic_app.services.patients.forms import ESTIMATED, LABELS
from clinic_app.services.patients.importing.errors import FileRefused

#: The columns that are read: a patient's fields, and what says of a birth date how exact it is.
PRECISION = "date_of_birth_precision"
COLUMNS = (*LABELS, ESTIMATED, PRECISION)
#: A row is at most so long, or a quotation mark in it was never closed.
LONGEST_ROW = 64 * 1024
_PIECE = 1024 * 1024
_DELIMITERS = ",;\t|"
_SEPARATOR = re.compile(rb"(?i)sep=(.)\r?\n")
_SAVE_AS = "Save it as CSV UTF-8: in a spreadsheet under Save as, CSV UTF-8 (comma delimited)."
NOT_CLOSED = "A quotation mark is not closed, or stands in the middle of a value."
CUT_OFF = "This row has {found} of {wanted} columns. The file may have been cut off here."
TOO_WIDE = "This row has {found} columns, and the first line names {wanted}."
TOO_LONG = f"This row is longer than {LONGEST_ROW // 1024} kB."
CHANGED = "The file was changed while it was read. Run it again once it is whole."
_ENCODINGS = {
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


@dataclass(frozen=True, slots=True)
class Survey:
    """A file looked over: what it is, which of its columns are which field, and where its rows begin."""

    size: int  # bytes
    digest: str  # SHA-256
    delimiter: str
    fields: tuple[str, ...]  # for each column its field; empty where it is left out
    left_out: tuple[str, ...]  # the columns that have no place here, as the file calls them
    first: int  # byte at which the first row begins
    lines: int  # of the header: rows begin on the next one
    stamp: tuple[int, int, int]  # changes with whatever is done to the file


@dataclass(frozen=True, slots=True)
class Record:
    """One row. ``row`` counts as a spreadsheet does, the header being 1, ``line`` as a text editor. Bytes."""

    row: int
    line: int
    start: int
    end: int
    next_line: int
    values: Mapping[str, str]  # by field, without blanks at the ends
    problem: str = ""


def survey(path: Path) -> Survey:
    """Look over the whole file. Raises ``FileRefused``, or ``OSError`` where there is none to read."""
    with path.open("rb") as file:
        stamp = _stamp(file)
        begun = file.read(4)
        for mark, name in _ENCODINGS.items():
            if begun.startswith(mark):
                raise FileRefused(f"The file is {name}, not UTF-8. {_SAVE_AS}")
        file.seek(0)
        size, digest = _looked_through(file)
        if not size:
            raise FileRefused("The file is empty.")
        return _surveyed(file, size, digest, stamp)


def survey_header(path: Path) -> Survey:
    """The same of a file that was looked over before: its size and digest are not asked for again."""
    with path.open("rb") as file:
        return _surveyed(file, 0, "", _stamp(file))


def _surveyed(file: BinaryIO, size: int, digest: str, stamp: tuple[int, int, int]) -> Survey:
    file.seek(0)
    start = 3 if file.read(3) == codecs.BOM_UTF8 else 0
    file.seek(start)
    first_line = file.readline(LONGEST_ROW)
    said, lines = _SEPARATOR.fullmatch(first_line), 0
    if said:  # as some spreadsheets put it in front of everything
        start, lines = file.tell(), 1
    delimiter, header = _header(file, start, said[1].decode("latin-1") if said else "")
    fields, left_out = _columns(header.cells)
    return Survey(size, digest, delimiter, fields, left_out, header.end, lines + header.lines, stamp)


def _stamp(file: BinaryIO) -> tuple[int, int, int]:
    found = os.fstat(file.fileno())
    return found.st_ino, found.st_size, found.st_mtime_ns


def _looked_through(file: BinaryIO) -> tuple[int, str]:
    """Size and digest. Raises ``FileRefused`` where a byte is no UTF-8 or no text at all."""
    digest, decoder = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")()
    size = line = 0
    while True:
        piece = file.read(_PIECE)
        digest.update(piece)
        if b"\0" in piece:
            raise FileRefused(f"The file is no text: it may be a spreadsheet's own file, or UTF-16. {_SAVE_AS}")
        try:
            decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            at = line + error.object[: error.start].count(b"\n") + 1
            raise FileRefused(
                f"The file is not UTF-8: line {at:,} has a letter in another encoding. {_SAVE_AS}"
            ) from None
        if not piece:
            return size, digest.hexdigest()
        size += len(piece)
        line += piece.count(b"\n")


@dataclass(frozen=True, slots=True)
class _Cells:
    """One record of the file, not yet told which field is which. ``cells`` is None where it cannot be read: ``why``."""

    cells: list[str] | None
    end: int
    lines: int
    why: str = ""


def _name(text: str) -> str:
    """A column's name as it is compared: ``First name`` is ``first_name``."""
    return re.sub(r"[\s_-]+", "_", text.strip().strip("'\"").lower())


#: What a column may be called: the field's name, or its label.
_KNOWN = {**{_name(label): name for name, label in LABELS.items()}, **{name: name for name in COLUMNS}}


def _header(file: BinaryIO, start: int, said: str) -> tuple[str, _Cells]:
    found: list[tuple[int, str, _Cells]] = []
    for delimiter in said if said and said in _DELIMITERS else _DELIMITERS:
        one = next(_cells(file, start, delimiter), None)
        if one is not None and one.cells is not None:
            found.append((sum(_name(cell) in _KNOWN for cell in one.cells), delimiter, one))
    if not found:
        raise FileRefused(_unreadable(file, start))
    known, delimiter, one = max(found, key=lambda each: each[0])
    if not known:
        raise FileRefused(
            "The first line does not name the columns. It must have names such as first_name, last_name, "
            "date_of_birth, phone."
        )
    return delimiter, one


def _unreadable(file: BinaryIO, start: int) -> str:
    """Why the first line cannot be read."""
    file.seek(start)
    begun = file.read(LONGEST_ROW + 1)
    line = begun.partition(b"\n")[0]
    if b"\r" in line.removesuffix(b"\r"):
        return f"The lines of the file end as on very old computers. {_SAVE_AS}"
    if len(line) > LONGEST_ROW:
        return f"The first line is longer than {LONGEST_ROW // 1024} kB: this may be no list. {_SAVE_AS}"
    return "The first line cannot be read: a quotation mark in it is not closed."


def _columns(header: list[str] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    fields = tuple(_KNOWN.get(_name(cell), "") for cell in header or ())
    for name in fields:
        if name and fields.count(name) > 1:
            raise FileRefused(f"The column {name} is there twice.")
    if "first_name" not in fields:
        raise FileRefused("The column first_name is missing.")
    if "last_name" not in fields and "single_name" not in fields:
        raise FileRefused("The column last_name is missing.")
    named = [" ".join(cell.split())[:60] for cell, name in zip(header or (), fields, strict=True) if not name]
    return fields, tuple(dict.fromkeys(name for name in named if name))


class _Lines:
    """The lines of a file from a byte on, counted as they are taken; ends where a record grows too long."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._file = file
        self.at = self.record = start
        self.count = 0
        file.seek(start)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raw = self._file.readline(LONGEST_ROW + 1)
        if not raw or self.at + len(raw) - self.record > LONGEST_ROW:
            raise StopIteration
        self.at += len(raw)
        self.count += 1
        return raw.decode("utf-8", "replace")


def _cells(file: BinaryIO, start: int, delimiter: str) -> Iterator[_Cells]:
    """The records from byte ``start`` on. After one that cannot be read it goes on with the next line."""
    while True:
        lines = _Lines(file, start)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        while True:
            lines.record, before = lines.at, lines.count
            try:
                cells = next(reader)
            except (StopIteration, csv.Error):  # the end, a row too long, or a quotation mark out of place
                break
            yield _Cells(cells, lines.at, lines.count - before)
        length = _line_length(file, lines.record)
        if not length:
            return
        start = lines.record + length
        yield _Cells(None, start, 1, TOO_LONG if length > LONGEST_ROW else NOT_CLOSED)


def _line_length(file: BinaryIO, start: int) -> int:
    file.seek(start)
    length = 0
    while part := file.readline(LONGEST_ROW):
        length += len(part)
        if part.endswith(b"\n"):
            break
    return length


def rows(path: Path, found: Survey, *, start: int = 0, row: int = 2, line: int = 0) -> Iterator[Record]:
    """The rows, from the one that begins at byte ``start`` on, whose numbers are ``row`` and ``line``. Empty ones are
    left out, and counted. Raises ``FileRefused`` where the file is not what ``found`` is of any more."""
    start, line = start or found.first, line or found.lines + 1
    wanted = len(found.fields)
    with path.open("rb") as file:
        for one in _cells(file, start, found.delimiter):
            if _stamp(file) != found.stamp:
                raise FileRefused(CHANGED)
            begun, at_line = start, line
            start, line = one.end, line + one.lines
            cells = one.cells
            this, row = row, row + 1
            if cells is None:
                yield Record(this, at_line, begun, start, line, {}, one.why)
                continue
            if not any(cell.strip() for cell in cells):
                continue
            while len(cells) > wanted and not cells[-1].strip():
                cells.pop()
            values = {name: cell.strip() for name, cell in zip(found.fields, cells, strict=False) if name}
            problem = ""
            if len(cells) != wanted:
                said = CUT_OFF if len(cells) < wanted else TOO_WIDE
                problem = said.format(found=len(cells), wanted=wanted)
            yield Record(this, at_line, begun, start, line, values, problem)


def row_at(path: Path, found: Survey, start: int, row: int) -> Record | None:
    """The one row that begins at byte ``start``."""
    return next(rows(path, found, start=start, row=row), None)
