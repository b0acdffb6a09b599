"""Imports of patients from a file, and the rows of one that did not simply go in."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, text
from sqlmodel import Field

from clinic_app.models.base import TableModel, UtcDateTime, table_of


class ImportState(StrEnum):
    """How an import stands."""

    RECEIVING = "RECEIVING"  # its file is on the way
    CHECKING = "CHECKING"
    CHECKED = "CHECKED"  # nothing is written; it waits for somebody's decisions
    IMPORTING = "IMPORTING"
    DONE = "DONE"
    STOPPED = "STOPPED"  # by somebody; it can go on
    ENDED = "ENDED"  # whoever started it may no longer
    REFUSED = "REFUSED"  # the file cannot be read


class RowOutcome(StrEnum):
    """What a row is, before anything is done with it."""

    NEW = "new"
    POSSIBLE_DUPLICATE = "possible_duplicate"
    INVALID = "invalid"


class Decision(StrEnum):
    """What is to become of a possible duplicate."""

    LEAVE_OUT = "LEAVE_OUT"
    IMPORT_ANYWAY = "IMPORT_ANYWAY"
    SAME_PERSON = "SAME_PERSON"


#: At one time one file is checked, and one imported.
_BUSY = text("state IN ('CHECKING', 'IMPORTING')")


class PatientImport(TableModel, table=True):
    """One file. What it says of patients is in the file and in its rows only."""

    __tablename__ = "patient_imports"
    __table_args__ = (
        Index("uq_patient_imports_state", "state", unique=True, sqlite_where=_BUSY, postgresql_where=_BUSY),
        Index("ix_patient_imports_digest", "digest"),
        Index("ix_patient_imports_changed_at", "changed_at"),
        {"sqlite_autoincrement": True},  # the number of one that was dropped is not another's
    )

    id: int | None = Field(default=None, primary_key=True)
    started_by_id: int | None = Field(default=None, foreign_key="accounts.id")  # none: the command line
    name: str = Field(max_length=200)  # of the file, as it was called
    token: str | None = Field(default=None, max_length=32)  # names our copy; none: the command line reads its own
    size: int = Field(sa_type=BigInteger)  # bytes
    digest: str | None = Field(default=None, max_length=64)  # SHA-256 of the file: the same one is not taken in twice
    state: str = Field(default=ImportState.RECEIVING, max_length=10)
    reason: str | None = Field(default=None, max_length=300)  # why the file was refused, in words
    left_out_columns: list[str] = Field(default=[], sa_type=JSON)
    allow_duplicates: bool = False
    position: int = Field(default=0, sa_type=BigInteger)  # byte at which the next row begins
    next_row: int = 2
    next_line: int = 2
    done_through: int = 1  # rows up to this one have been dealt with: what is not left out is in
    rows: int = 0
    new: int = 0
    duplicates: int = 0
    invalid: int = 0
    imported: int = 0
    same: int = 0  # taken for a person who was there
    first_patient_id: str | None = Field(default=None, max_length=20)
    last_patient_id: str | None = Field(default=None, max_length=20)
    started_at: dt.datetime = Field(sa_type=UtcDateTime)
    import_started_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    changed_at: dt.datetime = Field(sa_type=UtcDateTime)
    lease: str | None = Field(default=None, max_length=120)  # of the process that works on it just now
    leased_until: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)


class ImportRow(TableModel, table=True):
    """A row that is no new patient: why, and what was decided about it."""

    __tablename__ = "patient_import_rows"
    __table_args__ = (Index("ix_patient_import_rows_outcome", "import_id", "outcome", "row"),)

    import_id: int = Field(foreign_key="patient_imports.id", primary_key=True, ondelete="CASCADE")
    row: int = Field(primary_key=True)  # as a spreadsheet counts, the header being 1
    line: int  # as a text editor counts
    outcome: str = Field(max_length=20)
    errors: dict[str, Any] = Field(sa_type=JSON)
    candidates: list[Any] = Field(sa_type=JSON)  # of patients their ids, of rows of the same file their numbers
    typed: dict[str, Any] = Field(sa_type=JSON)  # the row as it stands in the file
    decision: str | None = Field(default=None, max_length=20)
    same_id: int | None = Field(default=None, foreign_key="patients.id")
    settled: bool = False  # as it was decided, in the register: not left out any more


#: What statements are made of.
PATIENT_IMPORTS = table_of(PatientImport)
PATIENT_IMPORT_ROWS = table_of(ImportRow)
