"""Who is behind a tab: from the cookies of its connection to the account, asked for anew each time."""

from __future__ import annotations

import asyncio
from typing import Any

from clinic_app.core import context, cookies
from clinic_app.services.access import Actor
from clinic_app.services.accounts import sessions


def _cookies(state: Any) -> dict[str, str]:
    """Our cookies as they came with the websocket handshake: hashes, and the caller's address."""
    return cookies.parse(state.router.headers.cookie or "")


def session_hash(state: Any) -> str:
    """The hash of the session token this tab's connection carries; empty without one."""
    return _cookies(state).get(cookies.session_name(), "")


def flash_hash(state: Any) -> str:
    """The hash of the flash note's token, if there is one."""
    return _cookies(state).get(cookies.flash_name(), "")


def request_of(state: Any) -> context.RequestContext:
    """Where this event came from."""
    return context.RequestContext(
        "page", _cookies(state).get(cookies.ADDRESS, ""), (state.router.headers.user_agent or "")[:200]
    )


async def actor_of(state: Any, *, touch: bool = True) -> Actor:
    """Who is behind the tab now, asked for anew: the session may have ended since the handshake."""
    return await asyncio.to_thread(sessions.resolve, session_hash(state), touch=touch)
