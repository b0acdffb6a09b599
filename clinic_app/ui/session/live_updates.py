"""The one watcher that open lists sleep on, and the loop they run.

A loop also wakes when a word on its page is not true any more by time alone: *expires in 47 hours*, *locked until*.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

from clinic_app.core import clock
from clinic_app.core.change_feed import ChangeWatch
from clinic_app.services.audit.reading import change_number
from clinic_app.ui.session import identity

changes = ChangeWatch(change_number)
_asleep: dict[tuple[str, str], asyncio.Timeout] = {}  # by tab and state: loops of this process that sleep just now


_at_once: set[tuple[str, str]] = set()  # loops that show what there is before they sleep


async def back(state: Any) -> None:
    """Sleep until the database answers again. The loop that ``state`` begins then shows what there is at once."""
    await changes.answered()
    _at_once.add(_place(state))


def again_at(state: Any, instant: dt.datetime | None) -> None:
    """Let the loop of ``state`` wake at ``instant`` too, and at no other that was set before.

    The state calls it with what it shows, and declares ``_again_at``, where a loop that begins later finds it.
    """
    state._again_at = instant
    if (sleep := _asleep.get(_place(state))) is not None and not sleep.expired():
        sleep.reschedule(_on_the_loop(instant))


def _place(state: Any) -> tuple[str, str]:
    return str(state.router.session.client_token), state.get_full_name()


def _on_the_loop(instant: dt.datetime | None) -> float | None:
    """``instant`` by the loop's own clock, and a moment later; a second from now at least: it must not spin."""
    if instant is None:
        return None
    return asyncio.get_running_loop().time() + max(1.0, (instant - clock.now()).total_seconds() + 0.05)


async def _sleep(state: Any, seen: int, at: dt.datetime | None) -> int:
    """Until something has changed; returns the change number. Raises ``TimeoutError`` at an instant."""
    place = _place(state)
    async with asyncio.timeout(None) as sleep:
        sleep.reschedule(_on_the_loop(at))
        _asleep[place] = sleep
        try:
            return await changes.beyond(seen)
        finally:
            if _asleep.get(place) is sleep:
                del _asleep[place]


async def news(state: Any, seen: int, *, patient_side: bool = False) -> AsyncIterator[int]:
    """The change number, each time what lists show has changed, or its words have; ends when the session is over.

    Being shown news is not activity: the session is not touched.
    """
    woken_for: dt.datetime | None = None
    if (place := _place(state)) in _at_once:
        _at_once.discard(place)
        seen = -1
    while True:
        at = getattr(state, "_again_at", None)
        try:
            seen = await _sleep(state, seen, at if at != woken_for else None)
        except TimeoutError:
            woken_for = state._again_at  # once is enough: a page that was left shows nothing new then
        actor = await identity.actor_of(state, touch=False)
        if actor.kind != "account" or (actor.patient_id is not None) != patient_side:
            return
        yield seen
