"""The parts that names are made of, each with how many patients have it."""

from __future__ import annotations

from sqlalchemy import Index, String
from sqlmodel import Field

from clinic_app.models.base import TableModel, table_of

#: As long as the two names of a person may be, folded: a letter may become several. Longer parts are cut.
LONGEST_PART = 210


def _bytewise() -> String:
    """Compared byte by byte on both databases: a range of text is a beginning of it."""
    return String(LONGEST_PART).with_variant(String(LONGEST_PART, collation="C"), "postgresql")  # type: ignore[return-value]


class NamePart(TableModel, table=True):
    """One part, as it is compared. What has changed since is in ``NamePartChange``."""

    __tablename__ = "name_parts"
    __table_args__ = (Index("ix_name_parts_backwards", "backwards"),)

    part: str = Field(sa_type=_bytewise(), primary_key=True)  # type: ignore[call-overload]
    backwards: str = Field(sa_type=_bytewise())  # type: ignore[call-overload]  the part from its end, to find it by that
    patients: int


class NamePartChange(TableModel, table=True):
    """A patient more, or one fewer, with a part: only ever added, so that nobody waits for anybody."""

    __tablename__ = "name_part_changes"
    __table_args__ = (Index("ix_name_part_changes_part", "part"),)

    id: int | None = Field(default=None, primary_key=True)
    part: str = Field(sa_type=_bytewise())  # type: ignore[call-overload]
    change: int


#: What statements are made of.
NAME_PARTS = table_of(NamePart)
NAME_PART_CHANGES = table_of(NamePartChange)
