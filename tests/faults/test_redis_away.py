"""Redis is away: the clinic is not connected and says so, nothing spins, and everything comes back by itself."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from socketio.exceptions import SocketIOError

from clinic_app.core import state_store
from tests.browser.serving import Server
from tests.browser.sockets import HYDRATE, Tab, session
from tests.faults.instances import Redis, until
from tests.security.attack import BAR
from tests.security.test_two_workers import RECEPTION

LINES = 40  # in five seconds, from two workers


@pytest.fixture
def there(redis_server: Redis) -> Iterator[Redis]:
    """It serves when a test begins and when it ends, and every worker knows that."""
    yield redis_server
    if redis_server._process is None:
        redis_server.start()
    redis_server.thaw()
    time.sleep(state_store.EVERY + state_store.PATIENCE + 1)


def worked(server: Server) -> float:
    """Processor seconds of the server and its workers so far."""
    assert server._process is not None
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == server._process.pid:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


async def connects(server: Server, cookie: str) -> bool:
    """Whether a page gets a line to the server, and all that it shows."""
    try:
        async with asyncio.timeout(10), Tab(server.url, cookie=cookie) as tab:
            await tab.send(HYDRATE)
            await tab.settled(8)
            return True
    except (SocketIOError, TimeoutError):
        return False


async def back(server: Server, cookie: str, patience: float = 20) -> float:
    """Seconds until three pages in a row are served again."""
    begun = time.monotonic()
    in_a_row = 0
    while in_a_row < 3:
        assert time.monotonic() - begun < patience, "it does not come back"
        in_a_row = in_a_row + 1 if await connects(server, cookie) else 0
    return time.monotonic() - begun


@pytest.mark.parametrize("fault", ["killed", pytest.param("frozen", marks=pytest.mark.slow)])
async def test_an_event_without_redis_ends_the_line_and_nothing_spins(
    workers: Server, there: Redis, counters: dict[str, Any], fault: str
) -> None:
    cookie = session(workers.open_session("reception"))
    async with Tab(workers.url, cookie=cookie) as tab:
        await tab.send(HYDRATE)
        await tab.send(f"{RECEPTION}.watch")
        await tab.settled(20)
        (there.kill if fault == "killed" else there.freeze)()
        before, busy, begun = len(workers.log_text().splitlines()), worked(workers), time.monotonic()
        await tab.send(f"{BAR}.search", {"term": "Amina"})
        while tab.connected():
            assert time.monotonic() - begun < 5, "the page is never told"
            await asyncio.sleep(0.02)
        counters["seconds until the page knows"] = round(time.monotonic() - begun, 2)
    assert not await connects(workers, cookie)
    await asyncio.sleep(max(0, 5 - (time.monotonic() - begun)))
    counters["log lines in 5 s"] = len(workers.log_text().splitlines()) - before
    counters["processor seconds in 5 s"] = round(worked(workers) - busy, 2)
    # what needs no page state goes on: sign-in and the API
    answer = await asyncio.to_thread(httpx.get, f"{workers.url}/auth/session", headers={"Cookie": cookie}, timeout=5)
    assert answer.status_code == 200
    ready = await asyncio.to_thread(httpx.get, f"{workers.url}/readyz", timeout=5)
    assert (ready.status_code, ready.json()["parts"]["state_store"]) == (503, "unreachable")
    if fault == "killed":
        there.start()
    else:
        there.thaw()
    counters["seconds until pages are back"] = round(await back(workers, cookie), 2)
    assert counters["log lines in 5 s"] <= LINES
    assert counters["processor seconds in 5 s"] < 2.5


async def test_a_redis_that_was_restarted_makes_every_page_begin_anew(
    workers: Server, there: Redis, counters: dict[str, Any]
) -> None:
    """Its memory is gone. An open page would be handed what a state begins with, such as an empty list."""
    cookie = session(workers.open_session("reception"))
    async with Tab(workers.url, cookie=cookie) as tab:
        await tab.send(HYDRATE)
        await tab.settled(20)
        there.kill()
        there.start()
        begun = time.monotonic()
        while tab.connected():
            assert time.monotonic() - begun < 5
            await asyncio.sleep(0.02)
        counters["seconds until the page begins anew"] = round(time.monotonic() - begun, 2)
    await back(workers, cookie)


def test_no_line_tells_whose_page_it_was(workers: Server) -> None:
    assert not re.search(r"Amina|clinic_session", workers.log_text())
    until(lambda: workers._process is not None and workers._process.poll() is None, 1, "the server")
