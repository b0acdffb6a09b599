"""How many connections one address may have open to one worker."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator

from clinic_app.core import logs, periodic
from clinic_app.core.addresses import networks, normal_address
from clinic_app.core.settings import get_settings
from clinic_app.web import wire

EVERY = 1.0  # seconds
#: Seconds a client may leave unread what has been sent to it.
READ_WITHIN = 30


@contextlib.asynccontextmanager
async def watching(every: float = EVERY) -> AsyncIterator[None]:
    """Watch for as long as the block lasts: a lifespan task of each worker.

    Behind a proxy of ours all connections are the proxy's, and it counts instead.
    """
    settings = get_settings()
    wire.give_up_on_readers_after(READ_WITHIN, settings.port)
    if settings.trusted_proxy_hops:
        yield
        return

    async def look() -> None:
        ended = await asyncio.to_thread(thin_out, settings.port, settings.connections_per_address)
        if ended:
            logs.get("connections").warning("connections_ended", count=ended)

    async with periodic.running(look, every, failed="connection_watch_failed"):
        yield


def thin_out(port: int, at_most: int) -> int:
    """End what one address has open to ``port`` beyond ``at_most``; returns how many those were.

    First go those that were never answered, then those that have been quiet longest.
    """
    found: dict[str, list[wire.Caller]] = defaultdict(list)
    for caller in wire.callers(port):
        found[networks(normal_address(caller.peer[0]))[0]].append(caller)
    ended = 0
    for callers in found.values():
        if len(callers) > at_most:
            callers.sort(key=lambda one: (one.traffic.delivered == 0, one.traffic.quiet), reverse=True)
            for caller in callers[: len(callers) - at_most]:
                wire.hang_up(caller)
                ended += 1
    return ended
