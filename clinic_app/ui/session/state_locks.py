"""Page state in Redis: whoever is interrupted while taking the lock of a tab leaves none behind.

Reflex ends the loading of a page where the next one is asked for. Where that happens between asking Redis for the tab's
lock and going to work with it, nobody would give the lock back (``StateManagerRedis._wait_lock`` of Reflex 0.10.1), and
everything in the tab would stand still until it expires, ten seconds later.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from redis.exceptions import RedisError
from reflex.istate.manager.redis import StateManagerRedis

_returning: set[asyncio.Task[None]] = set()


def leave_none_behind(manager: Any) -> None:
    """Have ``manager``, if it is Redis's, give back what somebody who was interrupted had asked for."""
    if not isinstance(manager, StateManagerRedis):
        return
    ask, wait = manager._try_get_lock, manager._wait_lock
    asked: dict[bytes, asyncio.Future[bool | None]] = {}

    async def ask_to_the_end(lock_key: bytes, lock_id: bytes) -> bool | None:
        asked[lock_id] = asyncio.ensure_future(ask(lock_key, lock_id))
        return await asyncio.shield(asked[lock_id])

    async def wait_or_give_back(lock_key: bytes, lock_id: bytes) -> None:
        try:
            await wait(lock_key, lock_id)
        except BaseException:
            task = asyncio.create_task(_give_back(manager, lock_key, lock_id, asked.get(lock_id)))
            _returning.add(task)
            task.add_done_callback(_returning.discard)
            raise
        finally:
            asked.pop(lock_id, None)

    manager._try_get_lock, manager._wait_lock = ask_to_the_end, wait_or_give_back


async def _give_back(
    manager: StateManagerRedis, lock_key: bytes, lock_id: bytes, asked: asyncio.Future[Any] | None
) -> None:
    with contextlib.suppress(RedisError, OSError):
        if asked is not None:
            await asked
        if await manager.redis.get(lock_key) == lock_id:
            await manager.redis.delete(lock_key)
            manager._notify_next_waiter(lock_key)
