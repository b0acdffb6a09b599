"""Wakes open lists when something they show has changed, here or in another process.

One watcher per worker asks for the change number once a second, and at once after a commit of its own
process, twenty times a second at most. Lists wait for it: no messages, no queries while nothing changes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from clinic_app.core import db, periodic

#: Seconds between two looks at least: where many desks register, not each registration brings about one.
APART = 0.05


class ChangeWatch:
    """Sleepers and one watcher. ``read`` returns a number that grows with every change."""

    def __init__(self, read: Callable[[], int], every: float = 1.0) -> None:
        self._read, self._every = read, every
        self.number = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._answered = asyncio.Event()
        self._look_now = asyncio.Event()

    async def beyond(self, seen: int) -> int:
        """Sleep until the number is greater than ``seen``; returns it."""
        while self.number <= seen:
            await self._changed.wait()
        return self.number

    async def answered(self) -> None:
        """Sleep until the number could be read again: whoever could not read what it needs tries again then."""
        await self._answered.wait()

    def hint(self) -> None:
        """Look now rather than within a second. Safe from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._look_now.set)

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Watch for as long as the block lasts: a lifespan task of each worker."""
        self._loop = asyncio.get_running_loop()
        self._changed, self._answered, self._look_now = asyncio.Event(), asyncio.Event(), asyncio.Event()
        with db.on_change(self.hint):
            self.number = await asyncio.to_thread(self._read)
            async with periodic.running(
                self._look, self._every, failed="watch_failed", wake=self._look_now, apart=APART
            ):
                try:
                    yield
                finally:
                    self._loop = None

    async def _look(self) -> None:
        number = await asyncio.to_thread(self._read)
        heard, self._answered = self._answered, asyncio.Event()
        heard.set()
        if number != self.number:
            self.number = number
            woken, self._changed = self._changed, asyncio.Event()
            woken.set()
