"""Refusals that come in numbers: counted per source and minute into one event, so that nobody can flood the trail.

Those of anonymous callers are counted per address; those of somebody signed in once there are many in one minute.
Counts are kept in this process for some seconds, then in a table that all workers add to; when the minute is over,
whoever comes first turns a row into an event. A crash loses the counts of ``EVERY`` seconds, no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ipaddress
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy import delete, select

from clinic_app.core import clock, context, db, periodic
from clinic_app.models.audit import REFUSAL_COUNTS
from clinic_app.services.access import Actor
from clinic_app.services.audit.actions import Action, Outcome
from clinic_app.services.audit.recording import record

#: Refusals of one permission to one session in a minute that leave an event each; what is beyond is counted.
EACH = 10
#: Sources told apart in one minute by one process; the others are counted together.
SOURCES = 100
OTHERS = "other addresses"
#: So long after its end a minute becomes events: by then every worker has handed its counts over.
LATE = dt.timedelta(seconds=10)
#: Seconds between two times that counts are handed over: so many a crash loses.
EVERY = 5.0
_MINUTE = dt.timedelta(minutes=1)


@dataclass(slots=True)
class _Count:
    refused: str
    address: str
    actor_id: int | None
    role: str
    count: int = 0


_lock = threading.Lock()
_counts: dict[tuple[str, dt.datetime], _Count] = {}
_own: dict[tuple[int, str], int] = {}  # session, permission → refusals in ``_own_minute``
_own_minute = dt.datetime.min.replace(tzinfo=dt.UTC)


def _source(address: str) -> str:
    """An address as it is counted: of IPv6 the network that one customer has."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return "unknown address"
    return str(ipaddress.ip_network((known, 64), strict=False)) if known.version == 6 else str(known)


def counted(actor: Actor, what: str) -> bool:
    """Building block: whether the refusal of ``what`` is counted, and so leaves no event of its own now."""
    if actor.kind == "system":
        return False
    address, now = context.current().address, clock.now()
    minute = now.replace(second=0, microsecond=0)
    with _lock:
        if actor.kind == "anonymous":
            source = _source(address)
        else:
            if not _beyond(actor, what, minute):
                return False
            source = f"session {actor.session_id or 0} of account {actor.account_id}"
        if (source, minute) not in _counts and sum(one == minute for _, one in _counts) >= SOURCES:
            source = OTHERS
        count = _counts.get((source, minute))
        if count is None:
            told = "" if source == OTHERS else address[:64]
            who = (None, "UNKNOWN") if source == OTHERS else (actor.account_id, actor.role)
            count = _counts[source, minute] = _Count(what[:80], told, *who)
        count.count += 1
    return True


def _beyond(actor: Actor, what: str, minute: dt.datetime) -> bool:
    global _own_minute
    if minute != _own_minute:
        _own.clear()
        _own_minute = minute
    key = (actor.session_id or -(actor.account_id or 0), what[:80])
    _own[key] = _own.get(key, 0) + 1
    return _own[key] > EACH


def record_counts(*, everything: bool = False) -> int:
    """Hand this process's counts over, and turn minutes that are over into events; returns how many events.

    For the server itself. ``everything``: also the minute that is not over. Where the database cannot be reached the
    counts are kept for the next time, and the error is raised.
    """
    with _lock:
        taken = dict(_counts)
        _counts.clear()
    until = clock.now() - (dt.timedelta(days=-1) if everything else _MINUTE + LATE)
    try:
        with db.reading() as session:
            due = session.execute(select(REFUSAL_COUNTS.c.source).where(REFUSAL_COUNTS.c.minute <= until).limit(1))
            if not taken and due.first() is None:
                return 0
        return _hand_over(taken, until)
    except Exception:
        _put_back(taken)
        raise


def _put_back(taken: dict[tuple[str, dt.datetime], _Count]) -> None:
    with _lock:
        for key, one in taken.items():
            if key in _counts:
                _counts[key].count += one.count
            else:
                _counts[key] = one


def _hand_over(taken: dict[tuple[str, dt.datetime], _Count], until: dt.datetime) -> int:
    with db.transaction() as session:
        for (source, minute), one in sorted(taken.items()):  # in one order: two workers do not wait for each other
            values = {
                "source": source,
                "minute": minute,
                "count": one.count,
                "refused": one.refused,
                "address": one.address,
                "actor_id": one.actor_id,
                "role": one.role,
            }
            db.upsert(session, REFUSAL_COUNTS, values, change={"count": REFUSAL_COUNTS.c.count + one.count})
        gone = session.execute(
            delete(REFUSAL_COUNTS).where(REFUSAL_COUNTS.c.minute <= until).returning(REFUSAL_COUNTS)
        ).all()
        for row in sorted(gone, key=lambda row: (row.minute, row.source)):
            who = Actor("account", row.actor_id, row.role) if row.actor_id is not None else Actor("anonymous")
            details = {"permission": row.refused, "count": row.count, "minute": row.minute.isoformat()}
            if not row.address:
                details["from"] = row.source
            with context.use(context.RequestContext("system", row.address)):
                record(session, who, Action.ACCESS_DENIED, outcome=Outcome.DENIED, details=details)
        return len(gone)


@contextlib.asynccontextmanager
async def recording() -> AsyncIterator[None]:
    """Hand counts over every few seconds, and at the end: a lifespan task of each worker."""

    async def work() -> None:
        await asyncio.to_thread(record_counts)

    try:
        async with periodic.running(work, EVERY, failed="refusals_not_recorded"):
            yield
    finally:
        await asyncio.to_thread(record_counts)
