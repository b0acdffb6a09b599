"""Messages to be sent, and the one-time links in them."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Index, text
from sqlmodel import Field

from clinic_app.models.base import TableModel, UtcDateTime, table_of


class LinkPurpose(StrEnum):
    """What a one-time link is for."""

    ACTIVATE = "ACTIVATE"  # set a first password
    FORGOT = "FORGOT"  # set another one, asked for by whoever says to be the owner
    EMAIL = "EMAIL"  # show that an email is one's own


class MessageState(StrEnum):
    """How far a message has come. All but ``QUEUED`` are ends."""

    QUEUED = "QUEUED"
    SENT = "SENT"
    FAILED = "FAILED"
    HELD = "HELD"  # kept back: the patient allows no messages there
    DROPPED = "DROPPED"  # its time, or its link, was over before it was sent


class OneTimeLink(TableModel, table=True):
    """A link that sets a password, or shows that an email is one's own, once. Its code is in no row.

    The code is made of ``seed`` and a key that is kept elsewhere; what finds and checks it is written just before it
    is sent for the first time, since checking needs a hash and hashes are slow.
    """

    __tablename__ = "one_time_links"
    __table_args__ = (
        Index("ix_one_time_links_account_id", "account_id"),
        Index("ix_one_time_links_expires_at", "expires_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    account_id: int = Field(foreign_key="accounts.id")
    purpose: str = Field(max_length=10)
    seed: str = Field(max_length=32)  # random, hex
    email: str | None = Field(default=None, max_length=254)  # the one to be shown to be one's own
    created_at: dt.datetime = Field(sa_type=UtcDateTime)
    expires_at: dt.datetime = Field(sa_type=UtcDateTime)
    ended_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    end_reason: str | None = Field(default=None, max_length=20)  # used or superseded
    code_digest: str | None = Field(default=None, max_length=64, unique=True)  # keyed: finds it
    code_hash: str | None = Field(default=None, max_length=120)  # checks it


class OutboxMessage(TableModel, table=True):
    """One message to one address: written with what it tells of, sent after the commit, at least once."""

    __tablename__ = "outbox_messages"
    __table_args__ = (
        Index(
            "ix_outbox_messages_due_at",
            "due_at",
            sqlite_where=text("state = 'QUEUED'"),
            postgresql_where=text("state = 'QUEUED'"),
        ),
        Index("ix_outbox_messages_account_id", "account_id", "id"),
        Index("ix_outbox_messages_registration_id", "registration_id"),
        Index("ix_outbox_messages_ended_at", "ended_at"),
        Index(
            "ix_outbox_messages_failed",
            "account_id",
            "id",
            sqlite_where=text("state = 'FAILED'"),
            postgresql_where=text("state = 'FAILED'"),
        ),
        Index("uq_outbox_messages_link_id_kind_channel", "link_id", "kind", "channel", unique=True),
    )

    id: int | None = Field(default=None, primary_key=True)
    kind: str = Field(max_length=30)
    channel: str = Field(max_length=10)  # email or sms
    account_id: int | None = Field(default=None, foreign_key="accounts.id")  # its owner is written to; or, instead,
    registration_id: int | None = Field(  # whoever registered
        default=None, foreign_key="self_registrations.id", ondelete="CASCADE"
    )
    link_id: int | None = Field(default=None, foreign_key="one_time_links.id")
    address: str = Field(max_length=254)  # an email, or a phone (E.164)
    facts: dict[str, Any] = Field(sa_type=JSON)  # what the text says besides; no secret
    message_id: str = Field(max_length=60)  # the same at every try; the host is added when it is sent
    state: str = Field(default=MessageState.QUEUED, max_length=10)
    reason: str | None = Field(default=None, max_length=30)  # why it was not sent: the last try's, or the end's
    created_at: dt.datetime = Field(sa_type=UtcDateTime)
    expires_at: dt.datetime = Field(sa_type=UtcDateTime)  # not sent any more from then on
    due_at: dt.datetime = Field(sa_type=UtcDateTime)  # not tried before
    tries: int = 0
    lease: str | None = Field(default=None, max_length=32)  # of whoever is sending it just now
    leased_until: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)


#: What statements are made of.
ONE_TIME_LINKS = table_of(OneTimeLink)
OUTBOX_MESSAGES = table_of(OutboxMessage)
