"""What the API keeps to make a repeated request harmless."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index
from sqlmodel import Field

from clinic_app.models.base import TableModel, UtcDateTime, table_of


class IdempotencyKey(TableModel, table=True):
    """One request that must not happen twice, and its answer without any password. Gone after a day."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_expires_at", "expires_at"),)

    key: str = Field(max_length=64, primary_key=True)  # digest of account, route and the caller's key
    request: str = Field(max_length=64)  # keyed digest of the body
    started_at: dt.datetime = Field(sa_type=UtcDateTime)
    expires_at: dt.datetime = Field(sa_type=UtcDateTime)
    #: The audit event of the work, set in the work's own transaction: from then on it has happened.
    done_seq: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    status: int | None = None  # of the answer; none while it is being worked out
    answer: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON, nullable=True))


#: What statements are made of.
IDEMPOTENCY_KEYS = table_of(IdempotencyKey)
