"""The one watcher that open lists sleep on, and the loop they run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from clinic_app.core.change_feed import ChangeWatch
from clinic_app.services.audit.reading import change_number
from clinic_app.ui.session import identity

changes = ChangeWatch(change_number)


async def news(state: Any, seen: int, *, patient_side: bool = False) -> AsyncIterator[int]:
    """The change number, each time something lists show has changed; ends when the session is over.

    Being shown news is not activity: the session is not touched.
    """
    while True:
        seen = await changes.beyond(seen)
        actor = await identity.actor_of(state, touch=False)
        if actor.kind != "account" or (actor.patient_id is not None) != patient_side:
            return
        yield seen
