"""Self-registrations: what somebody typed before the clinic knew them, until the desk decides."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

from sqlalchemy import JSON, Index, Text
from sqlmodel import Field

from clinic_app.models.base import TableModel, UtcDateTime, table_of


class RegistrationState(StrEnum):
    """How far a self-registration is. The last three are ends; a link can be undone."""

    UNCONFIRMED = "UNCONFIRMED"  # the email has still to be shown to be theirs
    WAITING = "WAITING"  # for the desk
    VERIFIED = "VERIFIED"  # a patient of its own
    LINKED = "LINKED"  # somebody who was a patient already
    REJECTED = "REJECTED"


class SelfRegistration(TableModel, table=True):
    """What somebody typed on *Register as a patient*: no patient, without a patient ID, until the desk verifies it."""

    __tablename__ = "self_registrations"
    __table_args__ = (
        Index("ix_self_registrations_state", "state", "waiting_since", "id"),
        Index("ix_self_registrations_email_digest", "email_digest", "created_at"),
        Index("ix_self_registrations_expires_at", "expires_at"),
        Index("ix_self_registrations_decided_at", "decided_at"),
        # numbers are never given twice, also after the newest rows were removed: the trail names rows by them
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    state: str = Field(max_length=12)
    seed: str = Field(max_length=32)  # random, hex: of the code in the email, and what the details are bound to
    details: str = Field(sa_type=Text)  # what was typed, encrypted; empty once the desk has decided
    email_digest: str | None = Field(default=None, max_length=64)  # keyed: how often one address was written to
    browser_digest: str | None = Field(default=None, max_length=64, unique=True)  # of the browser that sent it
    code_digest: str | None = Field(default=None, max_length=64, unique=True)  # keyed: finds the code of the email
    code_hash: str | None = Field(default=None, max_length=120)  # checks it
    email_confirmed_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: dt.datetime = Field(sa_type=UtcDateTime)
    waiting_since: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    expires_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)  # while unconfirmed
    decided_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
    decided_by_id: int | None = Field(default=None, foreign_key="accounts.id")
    reason: str | None = Field(default=None, max_length=20)  # why it was rejected
    patient_id: int | None = Field(default=None, foreign_key="patients.id")  # whom it became, or belongs to
    added: list[str] | None = Field(default=None, sa_type=JSON)  # the fields that a link filled in there


class UsedChallenge(TableModel, table=True):
    """A solved challenge that was handed in: it opens nothing a second time."""

    __tablename__ = "used_challenges"
    __table_args__ = (Index("ix_used_challenges_expires_at", "expires_at"),)

    digest: str = Field(max_length=64, primary_key=True)
    expires_at: dt.datetime = Field(sa_type=UtcDateTime)


#: What statements are made of.
SELF_REGISTRATIONS = table_of(SelfRegistration)
USED_CHALLENGES = table_of(UsedChallenge)
