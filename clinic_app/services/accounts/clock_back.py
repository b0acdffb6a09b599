"""After the server's clock was wrong, ahead by a day for instance, and is right again: nothing lives or waits longer.

What was begun in a time that is yet to come would otherwise be good once more when that time comes, or long after it.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import select, update
from sqlmodel import Session

from clinic_app.core import db, logs
from clinic_app.core.settings import get_settings
from clinic_app.models.accounts import ACCOUNTS, LOGIN_SESSIONS, PASSKEY_CHALLENGES, PENDING_SIGN_INS
from clinic_app.models.audit import AUDIT_EVENTS
from clinic_app.models.imports import PATIENT_IMPORTS
from clinic_app.models.notifications import ONE_TIME_LINKS, OUTBOX_MESSAGES
from clinic_app.models.portal_runs import PORTAL_RUNS
from clinic_app.services.accounts import one_time_codes
from clinic_app.services.accounts.sessions import CLOCKS_DIFFER

#: What waits for an instant → the longest it ever has to: whatever lies beyond that is due now.
_WAITS: tuple[tuple[Any, Any, dt.timedelta], ...] = (
    (OUTBOX_MESSAGES, OUTBOX_MESSAGES.c.due_at, dt.timedelta(hours=2)),
    (OUTBOX_MESSAGES, OUTBOX_MESSAGES.c.leased_until, dt.timedelta(minutes=2)),
    (PORTAL_RUNS, PORTAL_RUNS.c.leased_until, dt.timedelta(minutes=2)),
    (PATIENT_IMPORTS, PATIENT_IMPORTS.c.leased_until, dt.timedelta(minutes=2)),
    (PENDING_SIGN_INS, PENDING_SIGN_INS.c.expires_at, dt.timedelta(minutes=5)),
    (PASSKEY_CHALLENGES, PASSKEY_CHALLENGES.c.expires_at, dt.timedelta(minutes=5)),
)
#: How far ahead the last code used may be where two machines' clocks differ.
_STEPS = CLOCKS_DIFFER // dt.timedelta(seconds=one_time_codes.STEP)


def went_back(session: Session, now: dt.datetime) -> bool:
    """Building block: whether the trail has an event of a time that is yet to come. An index answers."""
    later = select(AUDIT_EVENTS.c.seq).where(AUDIT_EVENTS.c.at > now + CLOCKS_DIFFER).limit(1)
    return session.execute(later).scalar_one_or_none() is not None


def mend(session: Session, now: dt.datetime) -> None:
    """Building block: shorten what would last too long, if the clock went back. Changes nothing the second time.

    Sessions begun or used later than now end for good. A temporary password and a link last at most as long from now as
    a new one does. What waits for an instant too far away is due. Codes of an authenticator app count from now on.
    """
    if not went_back(session, now):
        return
    logs.get("clock").warning("clock_went_back")
    future, run = now + CLOCKS_DIFFER, db.connection(session).execute
    sessions, accounts, links = LOGIN_SESSIONS.c, ACCOUNTS.c, ONE_TIME_LINKS.c
    run(
        update(LOGIN_SESSIONS)
        .where(sessions.ended_at.is_(None), sessions.last_seen_at > future)
        .values(ended_at=now, end_reason="clock")
    )
    longest = now + dt.timedelta(hours=get_settings().temporary_password_hours)
    run(
        update(ACCOUNTS)
        .where(
            accounts.password_temporary, accounts.password_changed_at > future, accounts.password_expires_at > longest
        )
        .values(password_expires_at=longest)
    )
    counter = int(now.timestamp()) // one_time_codes.STEP
    run(update(ACCOUNTS).where(accounts.totp_counter > counter + _STEPS).values(totp_counter=counter))
    for table, column, wait in _WAITS:
        run(update(table).where(column > now + wait + CLOCKS_DIFFER).values({column: now}))
    early = select(links.id, links.created_at, links.expires_at).where(
        links.ended_at.is_(None), links.created_at > future
    )
    for link in run(early).all():
        life = {"created_at": now, "expires_at": now + (link.expires_at - link.created_at)}
        run(update(ONE_TIME_LINKS).where(links.id == link.id).values(**life))
