"""Whether Redis, where several workers keep page state, is there and still knows it.

While it is away, and when it has come back without what was in it, an open page must not go on: it would wait for ever,
or be shown what a state begins with, such as an empty list. So every line is ended, and pages begin anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from typing import Any

import redis
import redis.asyncio
from redis.exceptions import RedisError, ResponseError

from clinic_app.core import logs, periodic
from clinic_app.core.settings import get_settings

EVERY = 1.0  # seconds between questions
PATIENCE = 1.0  # seconds until one that says nothing counts as away


class StateStore:
    """Of one worker. Without a URL page state is in memory, which is always there."""

    def __init__(self, url: str = "") -> None:
        self._url = url
        self.away = False
        #: How often what was in it has been lost, or might have been: lines opened before that are ended.
        self.losses = 0
        self._life = ""  # which start of Redis has answered
        self._look_now = asyncio.Event()

    def lost(self) -> None:
        """Somebody could not reach it just now. From the event loop."""
        if not self.away:
            self.away = True
            self.losses += 1
            logs.get("state_store").error("redis_away")
        self._look_now.set()

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Ask it again and again for as long as the block lasts: a lifespan task of each worker."""
        if not self._url:
            yield
            return
        self._look_now = asyncio.Event()
        client = redis.asyncio.Redis.from_url(
            self._url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=None, max_connections=2
        )

        async def look() -> None:
            try:
                life = await _life_of(client)
            except (RedisError, OSError, TimeoutError):
                self.lost()
                self._look_now.clear()  # the next question comes with the next second
                return
            if self._life not in ("", life) and not self.away:
                self.losses += 1
            if self.away:
                logs.get("state_store").warning("redis_back")
            self._life, self.away = life, False

        try:
            await look()
            async with periodic.running(look, EVERY, failed="state_store_watch_failed", wake=self._look_now):
                yield
        finally:
            await client.aclose()


async def _life_of(client: redis.asyncio.Redis) -> str:
    """The name Redis gives itself at each start; empty where it does not say. Raises where it does not answer."""
    async with asyncio.timeout(PATIENCE):
        try:
            found = await client.info("server")
        except ResponseError:  # it may be kept from saying that
            await client.execute_command("PING")
            return ""
    return str(found.get("run_id", ""))


def unsafe(url: str) -> str:
    """What is wrong with how Redis at ``url`` is set up, in a sentence; empty where nothing is, or it cannot be asked.

    It must keep page state off its disk, and must not throw away what is still needed.
    """
    with redis.Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE) as client:
        try:
            memory: Any = client.info("memory")
            disk: Any = client.info("persistence")
            saves = ""
            with contextlib.suppress(ResponseError):  # it may be kept from saying that
                told: Any = client.config_get("save")
                saves = str(told.get("save", ""))
        except RedisError:
            return ""
    if int(memory.get("maxmemory", 0)) and memory.get("maxmemory_policy") != "noeviction":
        return (
            "CLINIC_REDIS_URL: Redis throws away page state when its memory is full: set `maxmemory-policy noeviction`."
        )
    if saves or int(disk.get("aof_enabled", 0)):
        return 'CLINIC_REDIS_URL: Redis writes page state to its disk: set `save ""` and `appendonly no`.'
    return ""


@functools.lru_cache(maxsize=1)
def state_store() -> StateStore:
    """The one of this process."""
    return StateStore(get_settings().redis_url)
