"""Searches while somebody types: each term that was left standing leaves one event, a keystroke leaves none.

What stands is recorded after its answer, so that typing waits for nothing. It waits here for a second at most; more
than a few answers without one that stands leave an event too, so that nobody reads unseen by typing fast.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from clinic_app.core import db, periodic
from clinic_app.services.access import Actor
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.recording import record

STANDS = 1.0  # seconds after which a term counts as left standing
#: So many answers in one box leave an event, whether or not one of them stood.
ANSWERS = 20
_LOOK = 0.25  # seconds between two looks


@dataclass(frozen=True, slots=True)
class _Search:
    actor: Actor
    mark: str  # the keyed digest of the term
    found: int
    answers: int  # in this box since the last event, this one among them
    since: float
    context: contextvars.Context = field(repr=False)


_lock = threading.Lock()
_standing: dict[str, _Search] = {}  # box → its latest answer
_due: list[_Search] = []


def note(actor: Actor, box: str, mark: str, found: int) -> None:
    """Building block: ``actor`` is shown what matches a term in ``box``, which names a tab and a search box of it."""
    with _lock:
        before = _standing.get(box)
        same = before is not None and before.actor == actor
        answers = before.answers + 1 if before is not None and same else 1
        if before is not None and not same:
            _due.append(before)
        now = _Search(actor, mark, found, answers, time.monotonic(), contextvars.copy_context())
        if answers < ANSWERS:
            _standing[box] = now
            return
        _standing.pop(box, None)
        _due.append(now)
    record_due()


def acted_on(tab: str) -> None:
    """Somebody went on from what a box of this tab (the beginning of its name) shows: that is a search."""
    with _lock:
        for box in [box for box in _standing if box.startswith(tab)]:
            _due.append(_standing.pop(box))


def waits() -> bool:
    """Whether something is to be recorded now or later."""
    return bool(_standing or _due)


def record_due(*, everything: bool = False) -> int:
    """Record what has stood for a second, or ``everything``; returns how many. For the server itself.

    Where the trail cannot be written, it is kept for the next time, and the error is raised.
    """
    with _lock:
        until = time.monotonic() - STANDS
        for box in [box for box, one in _standing.items() if everything or one.since <= until]:
            _due.append(_standing.pop(box))
        taken = list(_due)
        _due.clear()
    if not taken:
        return 0
    try:
        with db.transaction() as session:  # of people who may have left by now: they have seen it all the same
            for one in taken:
                details = {"term": one.mark, "found": one.found, "answers": one.answers}
                one.context.run(
                    record, session, one.actor, Action.PATIENT_SEARCHED, resource_type="patient", details=details
                )
    except Exception:
        with _lock:
            _due[:0] = taken
        raise
    return len(taken)


@contextlib.asynccontextmanager
async def recording() -> AsyncIterator[None]:
    """Record what stands, again and again, and all there is at the end: a lifespan task of each worker."""

    async def look() -> None:
        if waits():
            await asyncio.to_thread(record_due)

    try:
        async with periodic.running(look, _LOOK, failed="searches_not_recorded"):
            yield
    finally:
        if waits():
            await asyncio.to_thread(record_due, everything=True)
