"""Where messages for an account go: one rule, for sending them and for saying so. Building blocks.

Emails go to the address that the desk has put right (``contact_email``), and where there is none to the username, which
is one. Text messages go to the account's phone.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, case, func

from clinic_app.core import crypto
from clinic_app.models.accounts import ACCOUNTS, Account
from clinic_app.services.notifications.kinds import Channel
from clinic_app.services.notifications.views import Recipient


def email_of(account: Any) -> str:
    """The email that messages for an account go to: of the account itself, or of a row with these two columns."""
    return str(account.contact_email or account.username)


def recipient(account: Account, patient: Any = None) -> Recipient:
    """Whom a message to the owner of a portal account goes to, and what the patient allows.

    Without ``patient`` for what is always allowed.
    """
    allowed = {} if patient is None else {name: getattr(patient, name) for name in ("email_allowed", "sms_allowed")}
    return Recipient(account.id or 0, email_of(account), account.phone, **allowed)


def is_where(channel: ColumnElement[str], address: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether messages for the account of a row go to ``address`` still, for use in a query."""
    accounts = ACCOUNTS.c
    by_email = address == func.coalesce(accounts.contact_email, accounts.username)
    return case((channel == Channel.SMS, address == accounts.phone), else_=by_email)


def mark(contact_email: str | None, phone: str | None) -> str:
    """What tells one pair of addresses from another without naming either; empty where there is none of its own."""
    if not (contact_email or phone):
        return ""
    return crypto.keyed_digest(f"{contact_email or ''} {phone or ''}", "where messages go")[:12]
