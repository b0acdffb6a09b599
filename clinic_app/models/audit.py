"""The audit trail: rows that are only ever added, each chained to the one before."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index
from sqlmodel import Field

from clinic_app.models.base import TableModel, UtcDateTime, table_of


class AuditEvent(TableModel, table=True):
    """What happened: ids and names of fields, never values of a record. Triggers refuse change and removal."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_resource", "resource_type", "resource_id", "seq"),
        Index("ix_audit_events_actor_id", "actor_id", "seq"),
        Index("ix_audit_events_action", "action", "seq"),
        Index("ix_audit_events_at", "at"),
    )

    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))  # 1, 2, 3 … without a gap
    at: dt.datetime = Field(sa_type=UtcDateTime)
    actor: str = Field(max_length=10)  # account, anonymous or system
    actor_id: int | None = None
    role: str = Field(max_length=20)
    action: str = Field(max_length=40)
    outcome: str = Field(max_length=10)  # success, failure or denied
    resource_type: str | None = Field(default=None, max_length=20)
    resource_id: int | None = None
    address: str = Field(max_length=64)
    user_agent: str = Field(max_length=200)
    request_id: str = Field(max_length=40)
    details: dict[str, Any] = Field(sa_column=Column("metadata", JSON, nullable=False))
    hash: str = Field(max_length=64)  # HMAC-SHA256 over the previous row's hash and this row


class AuditHead(TableModel, table=True):
    """The end of the chain: one row, locked while an event is added."""

    __tablename__ = "audit_head"

    id: int = Field(primary_key=True)
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    hash: str = Field(max_length=64)
    changes: int = Field(sa_column=Column(BigInteger, nullable=False))  # grows when something lists show has changed


class RefusalCount(TableModel, table=True):
    """Refusals of one source in one minute, until that is over: then they become one event, and this row goes."""

    __tablename__ = "refusal_counts"
    __table_args__ = (Index("ix_refusal_counts_minute", "minute"),)

    source: str = Field(max_length=80, primary_key=True)  # an address, the network of one, or a session
    minute: dt.datetime = Field(sa_type=UtcDateTime, primary_key=True)  # its beginning
    count: int = Field(sa_column=Column(BigInteger, nullable=False))
    refused: str = Field(max_length=80)  # the permission asked for first
    address: str = Field(max_length=64)
    actor_id: int | None = None
    role: str = Field(max_length=20)


class AuditCheckpoint(TableModel, table=True):
    """The trail as it was signed: so many events, and the root of the tree over them. Kept for good."""

    __tablename__ = "audit_checkpoints"

    size: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    root: str = Field(max_length=64)
    made_at: dt.datetime = Field(sa_type=UtcDateTime)
    public_key: str = Field(max_length=200)  # what the signature is checked with
    note: str = Field(max_length=1000)  # signed, as it is handed out


class AuditTreeNode(TableModel, table=True):
    """A hash over ``2**level`` events of the trail, so that a proof need not read all of them. Can be made anew."""

    __tablename__ = "audit_tree_nodes"

    level: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    number: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))  # from 0
    hash: str = Field(max_length=64)


#: What statements are made of.
AUDIT_EVENTS = table_of(AuditEvent)
AUDIT_HEAD = table_of(AuditHead)
AUDIT_CHECKPOINTS = table_of(AuditCheckpoint)
AUDIT_TREE_NODES = table_of(AuditTreeNode)
REFUSAL_COUNTS = table_of(RefusalCount)
