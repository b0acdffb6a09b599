"""The server with a window into the page state it keeps in memory, which a real one does not have."""

from __future__ import annotations

import asyncio
import inspect
import os
import pickle
from collections.abc import Callable
from typing import Any

from clinic_app.core.settings import get_settings


def create() -> Any:
    """As ``clinic_app.asgi.create``; below ``/looking-in/`` are answers to what is in ``WINDOWS``, pickled."""
    from clinic_app import asgi

    return with_a_window(asgi.create())


def with_a_window(served: Any) -> Any:
    """``served``, and the answers."""
    if minutes := os.environ.get("SHOWN_MINUTES"):  # a test does not wait ten
        from clinic_app.ui.portal_dialog import state

        state.SHOWN_MINUTES = float(minutes)  # type: ignore[assignment]

    async def window(scope: Any, receive: Any, send: Any) -> None:
        before, _, what = scope.get("path", "").partition("/looking-in/")
        if scope["type"] != "http" or before or what not in WINDOWS:
            await served(scope, receive, send)
            return
        told = WINDOWS[what]()
        body = pickle.dumps(await told if inspect.isawaitable(told) else told)
        headers = [(b"content-length", str(len(body)).encode()), (b"x-worker", str(os.getpid()).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return window


def _tasks() -> int:
    return sum(task.get_name().startswith("reflex_event|") for task in asyncio.all_tasks())


async def _kept() -> dict[str, bytes]:
    from clinic_app.clinic_app import app

    if not get_settings().redis_url:
        return {token: _bytes_of(state) for token, state in app.state_manager.states.items()}
    client, found = app.state_manager.redis, dict[str, bytes]()
    async for key in client.scan_iter(match=b"*_reflex___*"):
        token = key.decode().partition("_reflex___")[0]
        if await client.type(key) == b"string":  # a state; locks and what is queued are not
            found[token] = found.get(token, b"") + (await client.get(key) or b"")
    return found


def _bytes_of(state: Any) -> bytes:
    return state._serialize() + b"".join(_bytes_of(one) for one in state.substates.values())


def _tabs() -> tuple[int, set[str]]:
    from clinic_app.clinic_app import app

    owner = app.event_namespace._token_manager
    here = {token for token, held in owner.token_to_socket.items() if held.instance_id == owner.instance_id}
    return os.getpid(), here


def _futures() -> int:
    from clinic_app.clinic_app import app

    return len(app.event_processor._futures)


async def _refusals() -> int:
    from clinic_app.services.audit import refusals

    return await asyncio.to_thread(refusals.record_counts, everything=True)


#: How many tasks events have, and how many are not over; what is in the states of all tabs; the tabs of this process;
#: and how many events of counted refusals there are now, which otherwise come with the minute.
WINDOWS: dict[str, Callable[[], Any]] = {
    "tasks": _tasks,
    "futures": _futures,
    "kept": _kept,
    "tabs": _tabs,
    "refusals": _refusals,
}
