"""How patients' portal access stands, and what the desk should see to. Building blocks for reading."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, or_, select
from sqlmodel import Session

from clinic_app.core import clock
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.models.base import UtcDateTime
from clinic_app.services.accounts import sign_in_throttle
from clinic_app.services.accounts.merged_accounts import username_is_freed
from clinic_app.services.accounts.signing_in import TEMPORARY_TRIES
from clinic_app.services.notifications import outbox, recipients
from clinic_app.services.patients.views import PortalStanding

#: What the desk should see to, the most urgent first.
URGENCY: tuple[str, ...] = ("locked", "failed", "expired", "soon", "never")
#: A temporary password with less time left than this expires soon.
SOON = dt.timedelta(hours=24)
#: Somebody who has had a temporary password for so long and has not signed in may need a new one.
WAITED = dt.timedelta(hours=24)
#: What a statement about patients, joined to their accounts, reads of them.
COLUMNS = (
    ACCOUNTS.c.id.label("account_id"),
    ACCOUNTS.c.username,
    ACCOUNTS.c.is_active.label("account_active"),
    ACCOUNTS.c.password_temporary,
    ACCOUNTS.c.password_expires_at,
    ACCOUNTS.c.password_changed_at,
    ACCOUNTS.c.temporary_failures,
    ACCOUNTS.c.last_sign_in_at,
    ACCOUNTS.c.handed_over,
    ACCOUNTS.c.contact_email,
    ACCOUNTS.c.phone.label("portal_phone"),
    ACCOUNTS.c.invited_again,
)


def _status(row: Any, locked: bool, now: dt.datetime) -> str:
    if row.account_active is None:
        return "none"
    if not row.account_active:
        return "off"
    if locked:
        return "locked"
    if not row.password_temporary:
        return "active"
    expires = row.password_expires_at
    dead = expires is None or expires <= now or row.temporary_failures >= TEMPORARY_TRIES
    return "expired" if dead else "temporary"


def due(
    status: str,
    expires_at: dt.datetime | None,
    last_sign_in_at: dt.datetime | None,
    now: dt.datetime,
    *,
    missed: bool = False,
) -> str:
    """The most urgent of what the desk should see to, as ``PortalStanding`` names it; empty where there is nothing.

    ``missed``: a message that lets its owner in has not reached them. ``due_when`` says the same to the database.
    """
    if status == "locked":
        return status
    if missed and status in {"active", "temporary", "expired"}:
        return "failed"
    if status == "expired":
        return status
    if status == "temporary" and expires_at is not None and expires_at - now < SOON:
        return "soon"
    return "never" if status in {"active", "temporary"} and last_sign_in_at is None else ""


def due_when() -> dict[str, ColumnElement[bool]]:
    """Building block: when ``due`` says what about an account that is on, for use in a query, which gets ``moments``.

    In the order of urgency: of several that are so, the first one counts.
    """
    accounts = ACCOUNTS.c
    now, soon = (bindparam(name, type_=UtcDateTime()) for name in ("now", "soon"))
    locks, missed = sign_in_throttle.locked_accounts().subquery(), outbox.missed().subquery()
    expires, temporary = accounts.password_expires_at, accounts.password_temporary
    dead = or_(expires.is_(None), expires <= now, accounts.temporary_failures >= TEMPORARY_TRIES)
    found = {
        "locked": accounts.id.in_(select(locks.c.account_id)),
        "failed": accounts.id.in_(select(missed.c.account_id)),
        "expired": and_(temporary, dead),
        "soon": and_(temporary, expires < soon),
        "never": accounts.last_sign_in_at.is_(None),
    }
    return {urgent: found[urgent] for urgent in URGENCY}


def moments(now: dt.datetime) -> dict[str, dt.datetime]:
    """Building block: the values that ``due_when`` asks for."""
    return {"soon": now + SOON, **sign_in_throttle.lock_moments(now)}


_NONE = PortalStanding()


def _standing(
    row: Any, locks: dict[str, dt.datetime | None], missed: frozenset[int], now: dt.datetime
) -> PortalStanding:
    if row.account_id is None:
        return _NONE
    status = _status(row, row.username in locks, now)
    urgent = due(status, row.password_expires_at, row.last_sign_in_at, now, missed=row.account_id in missed)
    waited = urgent == "never" and row.password_temporary and row.password_changed_at <= now - WAITED
    return PortalStanding(
        status=status,
        username="" if username_is_freed(row.username or "") else row.username or "",
        expires_at=row.password_expires_at,
        locked_until=locks.get(row.username),
        last_sign_in_at=row.last_sign_in_at,
        account_id=row.account_id or 0,
        password_since=row.password_changed_at,
        temporary=bool(row.password_temporary),
        due=urgent,
        reissue=urgent in {"locked", "failed", "expired", "soon"} or waited,
        handed_over=row.handed_over or "",
        goes_to=recipients.mark(row.contact_email, row.portal_phone),
        invited_again=row.invited_again or 0,
        worn_out=bool(row.password_temporary) and row.temporary_failures >= TEMPORARY_TRIES,
    )


def standings(session: Session, rows: Sequence[Any]) -> list[PortalStanding]:
    """The access of each of these rows, which hold ``COLUMNS``. At most two statements for all of them."""
    now, on = clock.now(), [row for row in rows if row.account_active]
    locks = sign_in_throttle.locked(session, [row.username for row in on])
    missed = outbox.missed_by(session, [row.account_id for row in on])
    return [_standing(row, locks, missed, now) for row in rows]
