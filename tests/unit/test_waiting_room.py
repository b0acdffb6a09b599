"""Whoever must wait a moment sleeps, without a thread; not for ever, and not too many."""

from __future__ import annotations

import asyncio
import threading

import pytest

from clinic_app.core import context, waiting_room
from clinic_app.core.errors import TooManyAttempts, TryAgainShortly


def _from(address: str) -> context.RequestContext:
    return context.RequestContext("page", address, "pytest")


async def test_it_is_asked_again_after_the_time_named_and_told_how_long_it_waited() -> None:
    told: list[float] = []

    async def ask(waited: float) -> str:
        told.append(waited)
        if len(told) < 3:
            raise TryAgainShortly(0.05)
        return "done"

    assert await waiting_room.patiently(ask) == "done"
    assert told[0] == 0.0
    assert 0.05 <= told[1] < told[2]
    assert not waiting_room._asleep


async def test_other_refusals_pass_at_once() -> None:
    async def ask(_: float) -> None:
        raise TooManyAttempts(60)

    with pytest.raises(TooManyAttempts):
        await waiting_room.patiently(ask)


async def test_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_room, "LONGEST", 0.1)

    async def ask(_: float) -> None:
        raise TryAgainShortly(0.01)

    with pytest.raises(TryAgainShortly):
        await asyncio.wait_for(waiting_room.patiently(ask), 10)
    assert not waiting_room._asleep


async def test_many_sleep_without_a_thread_and_one_network_does_not_take_all_the_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting_room, "AT_ONCE", 30)
    open_, refused = asyncio.Event(), 0

    async def ask(_: float) -> None:
        if not open_.is_set():
            raise TryAgainShortly(0.01)

    async def come(address: str) -> None:
        nonlocal refused
        with context.use(_from(address)):
            try:
                await waiting_room.patiently(ask)
            except TryAgainShortly:
                refused += 1

    before = threading.active_count()
    tasks = [asyncio.create_task(come(f"2001:db8:1:1::{n:x}")) for n in range(50)]
    tasks += [asyncio.create_task(come(f"198.51.100.{n}")) for n in range(20)]
    await asyncio.sleep(0)
    while waiting_room._asleep.total() < 30:
        await asyncio.sleep(0.01)
    assert (waiting_room._asleep.total(), refused) == (30, 40)
    assert waiting_room._asleep["2001:db8:1:1::/64"] == waiting_room.FROM_ONE_NETWORK
    assert threading.active_count() == before
    open_.set()
    await asyncio.gather(*tasks)
    assert not waiting_room._asleep


async def test_who_leaves_frees_the_place() -> None:
    async def ask(_: float) -> None:
        raise TryAgainShortly(60)

    task = asyncio.create_task(waiting_room.patiently(ask))
    while not waiting_room._asleep:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not waiting_room._asleep
