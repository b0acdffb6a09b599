"""Requests that must wait a moment: asleep on the event loop, without a thread, a transaction or a lock."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Awaitable, Callable
from typing import TypeVar

from clinic_app.core import addresses, context
from clinic_app.core.errors import TryAgainShortly

Answer = TypeVar("Answer")
AT_ONCE = 200  # in one process; whoever comes then is refused at once
FROM_ONE_NETWORK = 20
LONGEST = 15.0  # seconds
_asleep: collections.Counter[str] = collections.Counter()


async def patiently(ask: Callable[[float], Awaitable[Answer]]) -> Answer:
    """``await ask(waited)``, and again each time that it raises ``TryAgainShortly``, after the seconds it names.

    ``waited`` are the seconds since the first time. Raises what it was told at last, once it has taken too long or too
    many wait already, altogether or from the network that the request comes from.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        return await ask(0.0)
    except TryAgainShortly as error:
        refused = error
    place = addresses.networks(context.current().address)[0]
    if _asleep.total() >= AT_ONCE or _asleep[place] >= FROM_ONE_NETWORK:
        raise refused
    _asleep[place] += 1
    try:
        while True:
            await asyncio.sleep(refused.seconds)
            waited = loop.time() - began
            try:
                return await ask(waited)
            except TryAgainShortly as error:
                if waited >= LONGEST:
                    raise
                refused = error
    finally:
        _asleep[place] -= 1
        if not _asleep[place]:
            del _asleep[place]
