"""What the use cases of imports return."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Alike:
    """Somebody who may be the same as a row: a patient, or another row of the file (then ``patient_id`` is empty)."""

    id: int
    patient_id: str
    name: str
    row: int
    grade: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row as it is shown: what it says, what it is, why, who is like it, and what was decided."""

    row: int
    name: str
    born: str
    outcome: str
    errors: tuple[str, ...] = ()
    alike: tuple[Alike, ...] = ()
    decision: str = ""
    same_id: int = 0


@dataclass(frozen=True, slots=True)
class ImportView:
    """How an import stands, and a page of its rows. Of one that is over: of those left out. Instants UTC.

    ``goes_in`` is how many rows would be taken in now, ``same`` how many were, or would be, taken for somebody who is
    there. ``done`` and ``size`` are bytes. ``only`` is the outcome that the rows are filtered by. ``earlier`` is when
    the same file was imported before. ``stamp`` changes with every decision. ``mine``: whoever looks
    has chosen the file, or begun to take it in.
    """

    id: int
    name: str
    state: str
    stamp: str
    size: int
    done: int
    left_out_columns: tuple[str, ...]
    rows: int
    new: int
    duplicates: int
    invalid: int
    goes_in: int
    imported: int
    same: int
    allow_duplicates: bool
    reason: str
    uploaded: bool
    first_patient_id: str
    last_patient_id: str
    started_by: str
    mine: bool
    started_at: dt.datetime
    import_started_at: dt.datetime | None
    ended_at: dt.datetime | None
    earlier: dt.datetime | None
    shown: tuple[FileRow, ...] = ()
    only: str = ""
    page: int = 1
    pages: int = 1
    total: int = 0


@dataclass(frozen=True, slots=True)
class EarlierImport:
    """An import that is over, in a line."""

    id: int
    name: str
    state: str
    started_by: str
    at: dt.datetime
    imported: int
    left_out: int
