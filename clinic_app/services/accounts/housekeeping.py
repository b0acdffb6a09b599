"""Tidying up every ten minutes: rows past their time are removed. One rule for each table that would grow for ever.

What is kept for good, and why, is in docs/operations.md; a test knows a table without a rule.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from sqlalchemy import ColumnElement, Table, and_, delete, or_, select

from clinic_app.core import clock, db, periodic
from clinic_app.models.accounts import (
    DRAFTS,
    FLASH_NOTES,
    KNOWN_DEVICES,
    LOGIN_SESSIONS,
    PASSKEY_CHALLENGES,
    PENDING_SIGN_INS,
    REFRESH_TOKENS,
    SIGN_IN_LIMITS,
)
from clinic_app.models.api import IDEMPOTENCY_KEYS
from clinic_app.models.imports import PATIENT_IMPORTS, ImportState
from clinic_app.models.intents import INTENTS
from clinic_app.models.notifications import ONE_TIME_LINKS, OUTBOX_MESSAGES
from clinic_app.models.portal_runs import PORTAL_RUNS
from clinic_app.models.registrations import SELF_REGISTRATIONS, USED_CHALLENGES, RegistrationState
from clinic_app.services import intents
from clinic_app.services.accounts import clock_back, drafts, known_devices, sign_in_throttle

EVERY = 600.0  # seconds
#: A session's row after its end: by then nobody asks why it ended. What was done in it is in the audit trail.
KEEP_SESSIONS = dt.timedelta(days=30)
#: A message after its end, and a link after its own: how access was given is asked about for so long.
KEEP_MESSAGES = dt.timedelta(days=90)
#: A file of which nothing was taken in, and the rows of one of which something was.
KEEP_UNDECIDED, KEEP_IMPORTS = dt.timedelta(days=7), dt.timedelta(days=90)
#: What stands in an import that nothing was taken in of.
_UNDECIDED = (ImportState.RECEIVING, ImportState.CHECKING, ImportState.CHECKED, ImportState.REFUSED)
#: A self-registration that was linked to a patient: so long *Undo* brings it back.
KEEP_LINKED = dt.timedelta(hours=24)


def _sessions(now: dt.datetime) -> ColumnElement[bool]:
    end = now - KEEP_SESSIONS
    return or_(LOGIN_SESSIONS.c.ended_at <= end, LOGIN_SESSIONS.c.expires_at <= end)


def _tokens(now: dt.datetime) -> ColumnElement[bool]:
    of_those = select(LOGIN_SESSIONS.c.id).where(_sessions(now))
    return or_(REFRESH_TOKENS.c.expires_at <= now, REFRESH_TOKENS.c.session_id.in_(of_those))


def _runs(now: dt.datetime) -> ColumnElement[bool]:
    return PORTAL_RUNS.c.ended_at <= now - KEEP_MESSAGES


def _imports(now: dt.datetime) -> ColumnElement[bool]:
    changed, state = PATIENT_IMPORTS.c.changed_at, PATIENT_IMPORTS.c.state
    return or_(changed <= now - KEEP_IMPORTS, and_(changed <= now - KEEP_UNDECIDED, state.in_(_UNDECIDED)))


def _registrations(now: dt.datetime) -> ColumnElement[bool]:
    """Nobody has confirmed them, or the desk has decided: what was typed goes as soon as a link cannot be undone."""
    rows = SELF_REGISTRATIONS.c
    return or_(
        and_(rows.state == RegistrationState.UNCONFIRMED, rows.expires_at <= now),
        and_(rows.state == RegistrationState.LINKED, rows.decided_at <= now - KEEP_LINKED),
        rows.decided_at <= now - KEEP_MESSAGES,
    )


def _messages(now: dt.datetime) -> ColumnElement[bool]:
    return OUTBOX_MESSAGES.c.ended_at <= now - KEEP_MESSAGES


def _links(now: dt.datetime) -> ColumnElement[bool]:
    used = select(OUTBOX_MESSAGES.c.link_id).where(OUTBOX_MESSAGES.c.link_id == ONE_TIME_LINKS.c.id)
    return and_(ONE_TIME_LINKS.c.expires_at <= now - KEEP_MESSAGES, ~used.exists())


#: Table → which of its rows are past their time. In this order: tokens before the sessions they belong to,
#: messages before the links in them.
PAST: dict[Table, Callable[[dt.datetime], ColumnElement[bool]]] = {
    SIGN_IN_LIMITS: sign_in_throttle.past,
    KNOWN_DEVICES: known_devices.past,
    FLASH_NOTES: lambda now: FLASH_NOTES.c.expires_at <= now,
    DRAFTS: lambda now: DRAFTS.c.typed_at <= now - drafts.LIFE,
    INTENTS: lambda now: INTENTS.c.done_at <= now - intents.LIFE,
    IDEMPOTENCY_KEYS: lambda now: IDEMPOTENCY_KEYS.c.expires_at <= now,
    PENDING_SIGN_INS: lambda now: PENDING_SIGN_INS.c.expires_at <= now,
    PASSKEY_CHALLENGES: lambda now: PASSKEY_CHALLENGES.c.expires_at <= now,
    PORTAL_RUNS: _runs,
    PATIENT_IMPORTS: _imports,
    USED_CHALLENGES: lambda now: USED_CHALLENGES.c.expires_at <= now,
    SELF_REGISTRATIONS: _registrations,  # its messages go with it
    OUTBOX_MESSAGES: _messages,
    ONE_TIME_LINKS: _links,
    REFRESH_TOKENS: _tokens,
    LOGIN_SESSIONS: _sessions,
}


def tidy() -> int:
    """Remove every row past its time (``PAST``); returns how many. For the server itself.

    After the clock went back, nothing is good for longer than it should be (``clock_back``).
    """
    now = clock.now()
    with db.transaction() as session:
        clock_back.mend(session, now)
        run = db.connection(session).execute
        return sum(run(delete(table).where(past(now))).rowcount for table, past in PAST.items())


def tidying() -> AbstractAsyncContextManager[None]:
    """Tidy up every ten minutes for as long as the block lasts: a lifespan task of each worker."""

    async def work() -> None:
        await asyncio.to_thread(tidy)

    return periodic.running(work, EVERY, failed="tidy_failed")
