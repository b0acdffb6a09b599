"""What is told about messages."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom a message is for: the account, its two addresses, and what its patient allows. Phone E.164."""

    account_id: int
    email: str | None
    phone: str | None = None
    email_allowed: bool = True
    sms_allowed: bool = True


@dataclass(frozen=True, slots=True)
class Reach:
    """An address that messages can go to, by what, and whether the patient allows invitations and reminders there."""

    channel: str
    address: str
    allowed: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far one message has come. Instants UTC; ``state`` and ``reason`` as in the outbox.

    ``next_at`` is when it is tried next, where it waits and was tried before. ``linked``: it has a one-time link.
    """

    kind: str
    channel: str
    address: str
    state: str
    reason: str
    at: dt.datetime
    tries: int = 0
    next_at: dt.datetime | None = None
    linked: bool = False
