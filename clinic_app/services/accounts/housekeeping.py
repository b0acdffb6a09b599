"""Tidying up every hour: expired rows are removed."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import AbstractAsyncContextManager

from sqlalchemy import delete, or_

from clinic_app.core import clock, db, periodic
from clinic_app.models.accounts import FLASH_NOTES, SIGN_IN_LIMITS

EVERY = 3600.0  # seconds
#: Failures older than this limit nobody. The hard stop after 100 in a row expires with them.
KEEP_FAILURES = dt.timedelta(days=30)


def tidy() -> int:
    """Remove expired failures and notes; returns how many rows were removed. For the server itself.

    Without it, guessed names alone would make the table of failures grow for ever.
    """
    now = clock.now()
    with db.transaction() as session:
        old = SIGN_IN_LIMITS.c.window_started_at < now - KEEP_FAILURES
        open_again = or_(SIGN_IN_LIMITS.c.blocked_until.is_(None), SIGN_IN_LIMITS.c.blocked_until < now)
        run = db.connection(session).execute
        gone = run(delete(SIGN_IN_LIMITS).where(old, open_again)).rowcount
        return gone + run(delete(FLASH_NOTES).where(FLASH_NOTES.c.expires_at <= now)).rowcount


def tidying() -> AbstractAsyncContextManager[None]:
    """Tidy up every hour for as long as the block lasts: a lifespan task of each worker."""

    async def work() -> None:
        await asyncio.to_thread(tidy)

    return periodic.running(work, EVERY, failed="tidy_failed")
