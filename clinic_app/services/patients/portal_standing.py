"""How patients' portal access stands, and what the desk should see to. Building blocks for reading."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlmodel import Session

from clinic_app.core import clock
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.services.accounts import sign_in_throttle
from clinic_app.services.accounts.signing_in import TEMPORARY_TRIES
from clinic_app.services.patients.views import PortalStanding

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


def due(status: str, expires_at: dt.datetime | None, last_sign_in_at: dt.datetime | None, now: dt.datetime) -> str:
    """The most urgent of what the desk should see to, as ``PortalStanding`` names it; empty where there is nothing."""
    if status in {"locked", "expired"}:
        return status
    if status == "temporary" and expires_at is not None and expires_at - now < SOON:
        return "soon"
    return "never" if status in {"active", "temporary"} and last_sign_in_at is None else ""


def _standing(row: Any, locks: dict[str, dt.datetime | None], now: dt.datetime) -> PortalStanding:
    status = _status(row, row.username in locks, now)
    urgent = due(status, row.password_expires_at, row.last_sign_in_at, now)
    waited = urgent == "never" and row.password_temporary and row.password_changed_at <= now - WAITED
    return PortalStanding(
        status=status,
        username=row.username or "",
        expires_at=row.password_expires_at,
        locked_until=locks.get(row.username),
        last_sign_in_at=row.last_sign_in_at,
        account_id=row.account_id or 0,
        password_since=row.password_changed_at,
        temporary=bool(row.password_temporary),
        due=urgent,
        reissue=urgent in {"locked", "expired", "soon"} or waited,
        handed_over=row.handed_over or "",
    )


def standings(session: Session, rows: Sequence[Any]) -> list[PortalStanding]:
    """The access of each of these rows, which hold ``COLUMNS``. At most one statement for all of them."""
    now = clock.now()
    locks = sign_in_throttle.locked(session, [row.username for row in rows if row.account_active])
    return [_standing(row, locks, now) for row in rows]
