"""What makes a press count once."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import Index
from sqlmodel import Field

from clinic_app.models.base import TableModel, UtcDateTime, table_of


class Intent(TableModel, table=True):
    """One press that was carried out, written in the transaction of its work. Gone after a day."""

    __tablename__ = "intents"
    __table_args__ = (Index("ix_intents_done_at", "done_at"),)

    key: str = Field(max_length=64, primary_key=True)  # digest of the account and what its browser made up
    action: str = Field(max_length=40)  # of the audit event
    resource_type: str | None = Field(default=None, max_length=20)
    resource_id: int | None = None
    done_at: dt.datetime = Field(sa_type=UtcDateTime)  # later where credentials were issued anew
    #: When credentials that it issued were on a screen, or left; from the start where it issued none.
    seen_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)


#: What statements are made of.
INTENTS = table_of(Intent)
