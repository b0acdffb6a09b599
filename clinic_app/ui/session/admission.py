"""What of a page's messages is an event of ours at all: the rest is dropped before Reflex queues it.

Reflex keeps what it has no handler for, adds whatever a page says of itself to the tab's state, and repeats both in
what it logs. Whether the person may fire an event is the guard's to say.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from reflex_base.registry import RegistrationContext

from clinic_app.core import logs
from clinic_app.core.budget import AT_ONCE, Bucket, Budgets
from clinic_app.ui.session.guard import WHOLE

LONGEST_ADDRESS = 2_000  # characters
#: Times a second that a page gets the whole of its state, five seconds' worth at once: one needs it once a connection.
WHOLE_PER_SECOND = 2
_log = logs.get("admission")
_noted = Bucket(1 / AT_ONCE)


def _text(value: Any) -> str:
    return value[:LONGEST_ADDRESS] if isinstance(value, str) else ""


def _place(given: Any) -> dict[str, Any]:
    """Where a page says it is: its route, its address and the texts in it. It is believed nothing else."""
    sent = given if isinstance(given, dict) else {}
    query = sent.get("query")
    texts = list(query.items())[:10] if isinstance(query, dict) else []
    return {
        "pathname": _text(sent.get("pathname")),
        "asPath": _text(sent.get("asPath")),
        "query": {_text(name)[:40]: _text(value)[:200] for name, value in texts},
    }


def event_of(data: Any) -> dict[str, Any] | None:
    """The event in a message, reduced to what an event is; None where there is none that somebody handles."""
    if not isinstance(data, dict) or not isinstance(data.get("name"), str):
        return None
    if data["name"] not in RegistrationContext.get().event_handlers:
        if _noted.take():
            _log.info("event_unknown")  # not even its name: any client makes one up
        return None
    payload = {} if data.get("payload") is None else data["payload"]
    if not isinstance(payload, dict):
        return None
    if data["name"].endswith(".set_is_hydrated"):  # Reflex would keep anything
        payload = {"value": payload.get("value") is True}
    return {"name": data["name"], "payload": payload, "router_data": _place(data.get("router_data"))}


def only_events(handle: Callable[[str, Any], Awaitable[None]]) -> Callable[[str, Any], Awaitable[None]]:
    """``handle(socket, message)``, for messages that are events, and for whole states within their budget."""
    wholes = Budgets(lambda: WHOLE_PER_SECOND)

    async def admitted(sid: str, data: Any) -> None:
        event = event_of(data)
        if event is not None and (event["name"] not in WHOLE or wholes.of(sid).take()):
            await handle(sid, event)

    return admitted
