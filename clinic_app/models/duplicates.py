"""Pairs of records that may be one person, what is still to be compared, and merges."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import JSON, CheckConstraint, Index, Text, text
from sqlmodel import Field

from clinic_app.models.base import TableModel, UtcDateTime, table_of

_OPEN, _SET_ASIDE = text("set_aside_at IS NULL"), text("set_aside_at IS NOT NULL")
_STANDS = text("undone_at IS NULL")


class DuplicatePair(TableModel, table=True):
    """Two records that the matcher takes for one person; ``set_aside_at``: somebody has said that they are two.

    It is about both records as they were at these versions: whichever changes, the pair is looked at anew.
    """

    __tablename__ = "duplicate_pairs"
    __table_args__ = (
        CheckConstraint("low_id < high_id", name="in_order"),
        Index("ix_duplicate_pairs_high_id", "high_id"),
        Index(
            "ix_duplicate_pairs_open",
            "rank",
            "score",
            "low_id",
            "high_id",
            sqlite_where=_OPEN,
            postgresql_where=_OPEN,
        ),
        Index(
            "ix_duplicate_pairs_set_aside",
            "set_aside_at",
            "low_id",
            "high_id",
            sqlite_where=_SET_ASIDE,
            postgresql_where=_SET_ASIDE,
        ),
    )

    low_id: int = Field(foreign_key="patients.id", primary_key=True)
    high_id: int = Field(foreign_key="patients.id", primary_key=True)
    rank: int  # of its grade: 1 is certain
    score: float
    reasons: list[str] = Field(sa_type=JSON)  # in words, without values of the records
    low_version: int
    high_version: int
    found_at: dt.datetime = Field(sa_type=UtcDateTime)
    set_aside_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    set_aside_by_id: int | None = None  # an account


class WaitingComparison(TableModel, table=True):
    """A new or changed record that is yet to be compared with the others. Triggers on ``patients`` write it."""

    __tablename__ = "waiting_comparisons"

    patient_id: int = Field(foreign_key="patients.id", primary_key=True)
    version: int  # the newest that is to be compared


class PatientMerge(TableModel, table=True):
    """One record merged into another. ``kept`` is what undoing it needs, encrypted; gone once the merge is undone."""

    __tablename__ = "patient_merges"
    __table_args__ = (
        Index("ix_patient_merges_survivor_id", "survivor_id"),
        Index("uq_patient_merges_other_id", "other_id", unique=True, sqlite_where=_STANDS, postgresql_where=_STANDS),
    )

    id: int | None = Field(default=None, primary_key=True)
    survivor_id: int = Field(foreign_key="patients.id")
    other_id: int = Field(foreign_key="patients.id")
    merged_at: dt.datetime = Field(sa_type=UtcDateTime)
    merged_by_id: int | None = None  # an account
    kept: str = Field(default="", sa_type=Text)
    undone_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    undone_by_id: int | None = None  # an account


#: What statements are made of.
DUPLICATE_PAIRS = table_of(DuplicatePair)
WAITING_COMPARISONS = table_of(WaitingComparison)
PATIENT_MERGES = table_of(PatientMerge)
