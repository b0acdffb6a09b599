"""What a worker does now and then: it goes on after a failure, says so without values, and ends with its block."""

from __future__ import annotations

import asyncio
import itertools

import structlog

from clinic_app.core import periodic


async def _until(true) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.005)


async def test_it_goes_on_after_a_failure_which_is_logged_without_its_words():
    done: list[int] = []

    async def work() -> None:
        done.append(1)
        if len(done) == 1:
            raise ValueError("Odhiambo")

    with structlog.testing.capture_logs() as said:
        async with periodic.running(work, 0.01, failed="tidy_failed"):
            await _until(lambda: len(done) >= 3)
    assert [(line["event"], line["error"]) for line in said] == [("tidy_failed", "ValueError")]
    assert "Odhiambo" not in str(said)


async def test_it_waits_its_time_unless_woken_and_ends_with_the_block():
    done, wake = [], asyncio.Event()

    async def work() -> None:
        done.append(1)

    async with periodic.running(work, 60, failed="watch_failed", wake=wake):
        await asyncio.sleep(0.05)
        assert done == []
        wake.set()
        await _until(lambda: done)
        wake.set()
        await _until(lambda: len(done) == 2)
    wake.set()
    await asyncio.sleep(0.05)
    assert len(done) == 2


async def test_woken_again_and_again_it_works_at_once_and_then_so_far_apart():
    began, wake, now = list[float](), asyncio.Event(), asyncio.get_running_loop().time

    async def work() -> None:
        began.append(now())

    async with periodic.running(work, 60, failed="watch_failed", wake=wake, apart=0.1):
        asked = now()
        while len(began) < 4:
            wake.set()
            await asyncio.sleep(0.001)
    assert began[0] - asked < 0.09
    assert all(later - earlier >= 0.09 for earlier, later in itertools.pairwise(began))
    assert began[3] - began[0] < 2


async def test_what_hangs_ends_with_the_block():
    async def work() -> None:
        begun.set()
        await asyncio.sleep(60)

    begun = asyncio.Event()
    async with asyncio.timeout(5), periodic.running(work, 0, failed="tidy_failed"):
        await begun.wait()
