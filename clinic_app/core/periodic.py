"""Work that a worker does now and then, for as long as it runs."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable

from clinic_app.core import logs


@contextlib.asynccontextmanager
async def running(
    work: Callable[[], Awaitable[None]],
    every: float,
    *,
    failed: str,
    wake: asyncio.Event | None = None,
    apart: float = 0.0,
) -> AsyncIterator[None]:
    """Do ``work`` every ``every`` seconds, and at once when ``wake`` is set, for as long as the block lasts.

    Where it is woken again and again, ``apart`` seconds lie between two beginnings at least. For lifespan tasks. What
    ``work`` raises is logged as the event ``failed``, without values, and ends nothing: the database may be busy just
    now.
    """
    task = asyncio.create_task(_again_and_again(work, every, failed, wake or asyncio.Event(), apart))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _again_and_again(
    work: Callable[[], Awaitable[None]], every: float, failed: str, wake: asyncio.Event, apart: float
) -> None:
    now, began = asyncio.get_running_loop().time, -math.inf
    while True:
        with contextlib.suppress(TimeoutError):  # not wait_for, which may swallow the end of `running`
            async with asyncio.timeout(every):
                await wake.wait()
        await asyncio.sleep(max(0.0, began + apart - now()))
        wake.clear()
        began = now()
        try:
            await work()
        except Exception as error:  # noqa: BLE001  whatever it is, the next time may go well
            logs.get("periodic").warning(failed, error=type(error).__name__)
