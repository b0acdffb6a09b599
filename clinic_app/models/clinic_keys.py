"""Which keys belong to this clinic: their fingerprints, never the keys."""

from __future__ import annotations

import datetime as dt

from sqlmodel import Field

from clinic_app.models.base import TableModel, UtcDateTime, table_of


class ClinicKey(TableModel, table=True):
    """A key the clinic has, or had: the highest version of a name is the one in use."""

    __tablename__ = "clinic_keys"

    name: str = Field(max_length=20, primary_key=True)  # of core.keys.NAMES
    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    fingerprint: str = Field(max_length=32)
    noted_at: dt.datetime = Field(sa_type=UtcDateTime)


#: What statements are made of.
CLINIC_KEYS = table_of(ClinicKey)
