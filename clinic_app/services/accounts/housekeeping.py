"""Tidying up every hour: expired rows are removed."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator

from sqlalchemy import delete, or_

from clinic_app.core import clock, db, logs
from clinic_app.models.accounts import FlashNote, SignInLimit

_LIMITS = SignInLimit.__table__  # type: ignore[attr-defined]
_NOTES = FlashNote.__table__  # type: ignore[attr-defined]
EVERY = 3600.0  # seconds
#: Failures older than this limit nobody. The hard stop after 100 in a row expires with them.
KEEP_FAILURES = dt.timedelta(days=30)


def tidy() -> int:
    """Remove expired failures and notes; returns how many rows were removed. For the server itself.

    Without it, guessed names alone would make the table of failures grow for ever.
    """
    now = clock.now()
    with db.transaction() as session:
        old = _LIMITS.c.window_started_at < now - KEEP_FAILURES
        open_again = or_(_LIMITS.c.blocked_until.is_(None), _LIMITS.c.blocked_until < now)
        gone = session.execute(delete(_LIMITS).where(old, open_again)).rowcount
        return gone + session.execute(delete(_NOTES).where(_NOTES.c.expires_at <= now)).rowcount


@contextlib.asynccontextmanager
async def tidying() -> AsyncIterator[None]:
    """Tidy up every hour for as long as the block lasts: a lifespan task of each worker."""
    task = asyncio.create_task(_loop())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _loop() -> None:
    while True:
        await asyncio.sleep(EVERY)
        try:
            await asyncio.to_thread(tidy)
        except Exception as error:  # noqa: BLE001  a busy database must not end the tidying
            logs.get("housekeeping").warning("tidy_failed", error=type(error).__name__)
