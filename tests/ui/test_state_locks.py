"""The lock of a tab's state in Redis: whoever is interrupted while taking it keeps nobody else waiting."""

from __future__ import annotations

import asyncio
import secrets
import time

import pytest
import redis.asyncio
import reflex as rx
from reflex.istate.manager.redis import StateManagerRedis
from reflex.istate.manager.token import BaseStateToken

from clinic_app.ui.session.state_locks import leave_none_behind
from tests.security import stores


class Slow(redis.asyncio.Redis):
    """Its answers to SET take a moment."""

    async def set(self, *given, **more):
        done = await super().set(*given, **more)
        await asyncio.sleep(0.1)
        return done


@pytest.mark.parametrize("after", [0.0, 0.02, 0.05, 0.099, 0.1, 0.101])
async def test_interrupted_while_it_is_taken(after):
    stores.redis_or_skip()
    client = Slow.from_url(stores.REDIS)
    manager = StateManagerRedis(redis=client)
    leave_none_behind(manager)
    token = BaseStateToken(ident=secrets.token_hex(8), cls=rx.State)
    key = manager._lock_key(token)

    async def work() -> None:
        async with manager._lock(token):
            await asyncio.sleep(5)

    try:
        taking = asyncio.create_task(work())
        waiting = asyncio.create_task(work())
        await asyncio.sleep(0.01 + after)
        for one in (taking, waiting):
            one.cancel()
        await asyncio.gather(taking, waiting, return_exceptions=True)
        begun = time.monotonic()
        async with asyncio.timeout(2), manager._lock(token):
            assert await client.get(key)
        assert time.monotonic() - begun < 1
        assert await client.get(key) is None
    finally:
        await client.delete(key)
        await manager.close()
