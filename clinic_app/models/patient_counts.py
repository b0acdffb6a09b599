"""How many patients there are: kept, since counting a million takes longer than a list may."""

from __future__ import annotations

from sqlmodel import Field

from clinic_app.models.base import TableModel, table_of


class PatientCount(TableModel, table=True):
    """``active``: patients that are listed; ``portal``: those of them with portal access."""

    __tablename__ = "patient_counts"

    name: str = Field(max_length=20, primary_key=True)
    value: int


class PatientCountChange(TableModel, table=True):
    """One more or one fewer. Added by triggers on the table of patients, whoever writes there."""

    __tablename__ = "patient_count_changes"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=20)
    change: int


#: What statements are made of.
PATIENT_COUNTS = table_of(PatientCount)
PATIENT_COUNT_CHANGES = table_of(PatientCountChange)
