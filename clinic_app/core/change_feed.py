"""Wakes open lists when something they show has changed, here or in another process.

One watcher a worker asks for the change number once a second, and at once after a commit of its own
process. Lists sleep on it: no messages, no queries while nothing changes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from clinic_app.core import db, logs


class ChangeWatch:
    """Sleepers and one watcher. ``read`` returns a number that grows with every change."""

    def __init__(self, read: Callable[[], int], every: float = 1.0) -> None:
        self._read, self._every = read, every
        self.number = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._look_now = asyncio.Event()

    async def beyond(self, seen: int) -> int:
        """Sleep until the number is greater than ``seen``; returns it."""
        while self.number <= seen:
            await self._changed.wait()
        return self.number

    def hint(self) -> None:
        """Look now rather than within a second. Safe from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._look_now.set)

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Watch for as long as the block lasts: a lifespan task of each worker."""
        self._loop = asyncio.get_running_loop()
        self._changed, self._look_now = asyncio.Event(), asyncio.Event()
        db.on_change(self.hint)
        self.number = await asyncio.to_thread(self._read)
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            self._loop = None
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):  # not wait_for, which may swallow the end of `run`
                async with asyncio.timeout(self._every):
                    await self._look_now.wait()
            self._look_now.clear()
            try:
                number = await asyncio.to_thread(self._read)
            except Exception as error:  # noqa: BLE001  a busy database must not end live updates
                logs.get("changes").warning("watch_failed", error=type(error).__name__)
                continue
            if number != self.number:
                self.number = number
                woken, self._changed = self._changed, asyncio.Event()
                woken.set()
