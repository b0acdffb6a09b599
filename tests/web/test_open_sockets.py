"""A socket ends with its session, whoever ended it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from clinic_app.core.budget import AT_ONCE
from clinic_app.core.settings import get_settings
from clinic_app.web import open_sockets
from clinic_app.web.event_budget import FASTER, WITHOUT_WAITING
from clinic_app.web.event_socket import TOO_FAST
from clinic_app.web.open_sockets import TOO_MUCH, OpenSockets

PATIENCE = 30  # seconds that a busy machine may take


async def _until(met: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not met():
            await asyncio.sleep(0.005)


class Line:
    """The server's side of one socket, and an application that answers all it gets."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue = asyncio.Queue()
        self.sent: list = []
        self.got: list = []

    async def app(self, scope, receive, send):
        """Answers, and once more after the end."""
        while True:
            message = await receive()
            self.got.append(message)
            await send({"type": "websocket.send", "text": "answer"})
            if message["type"] == "websocket.disconnect":
                return

    async def send(self, message):
        """To the browser."""
        self.sent.append(message)


@pytest.fixture
def over(monkeypatch):
    """The sessions that are over."""
    ended: set[str] = set()
    monkeypatch.setattr(open_sockets.sessions, "over_among", lambda asked: ended & set(asked))
    return ended


async def test_it_is_closed_when_its_session_ends_and_others_stay(over):
    sockets, mine, other = OpenSockets(0.01), Line(), Line()
    async with sockets.watching():
        running = [
            asyncio.create_task(sockets.serve(name, line.app, {}, line.incoming.get, line.send))
            for name, line in (("mine", mine), ("other", other))
        ]
        mine.incoming.put_nowait({"type": "websocket.receive", "text": "hello"})
        await _until(lambda: mine.sent)
        assert [message["type"] for message in mine.sent] == ["websocket.send"]
        over.add("mine")
        await asyncio.wait_for(running[0], PATIENCE)
        assert mine.sent[1:] == [{"type": "websocket.close", "code": 1008}], "and nothing after it"
        assert mine.got[-1]["type"] == "websocket.disconnect"
        assert other.sent == []
        other.incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait_for(running[1], PATIENCE)
    assert not sockets._open, "nothing is kept of a socket that is closed"


async def test_no_message_is_lost_and_their_order_is_kept(over):
    sockets, line = OpenSockets(0.01), Line()
    sent = [{"type": "websocket.receive", "text": str(number)} for number in range(200)]
    async with sockets.watching():
        running = asyncio.create_task(sockets.serve("mine", line.app, {}, line.incoming.get, line.send))
        for message in [*sent, {"type": "websocket.disconnect", "code": 1000}]:
            line.incoming.put_nowait(message)
            await asyncio.sleep(0)
        await asyncio.wait_for(running, PATIENCE)
    assert line.got[:-1] == sent


def _event(number: int) -> dict:
    return {"type": "websocket.receive", "text": str(number)}


async def test_a_burst_is_judged_at_once_and_handed_on_at_a_pace(over, settings):
    """Two hundred events at once are allowed; handed on at once, they kept all others from the worker."""
    rate, burst = get_settings().events_per_second, get_settings().events_per_second * AT_ONCE
    at_once = int(rate * FASTER * WITHOUT_WAITING)
    sockets, line = OpenSockets(), Line()
    begun = time.monotonic()
    running = asyncio.create_task(sockets.serve("mine", line.app, {}, line.incoming.get, line.send))
    for number in range(burst + 1 + 10):  # the first one stands for the handshake
        line.incoming.put_nowait(_event(number))
    await _until(lambda: line.incoming.empty() and {"type": "websocket.send", "text": TOO_MUCH} in line.sent)
    soon, taken = len(line.got), time.monotonic() - begun
    assert soon <= 1 + at_once + rate * FASTER * taken + 1
    await _until(lambda: len(line.got) > at_once + 10)
    line.incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await asyncio.wait_for(running, PATIENCE)
    assert line.got[: burst + 1] == [_event(number) for number in range(burst + 1)], "all of it, in its order"
    assert time.monotonic() - begun > (burst - at_once) / (rate * FASTER) * 0.9
    assert line.got[-1]["type"] == "websocket.disconnect"


async def test_a_session_whose_socket_was_ended_for_a_flood_rests(over, settings):
    """Nothing that waits is handed on any more, and coming again at once is no way round it."""
    sockets, line = OpenSockets(), Line()
    burst = get_settings().events_per_second * AT_ONCE
    for number in range(burst * 3):
        line.incoming.put_nowait(_event(number))
    await asyncio.wait_for(sockets.serve("mine", line.app, {}, line.incoming.get, line.send), PATIENCE)
    assert {"type": "websocket.close", "code": 1008} in line.sent
    assert line.got[-1] == {"type": "websocket.disconnect", "code": 1008}
    assert len(line.got) < burst
    assert not line.incoming.empty(), "the rest of it is not even read"

    async def comes(name: str) -> Line:
        another = Line()
        for message in ({"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}):
            another.incoming.put_nowait(message)
        await asyncio.wait_for(sockets.serve(name, another.app, {}, another.incoming.get, another.send), PATIENCE)
        return another

    again, other = await comes("mine"), await comes("another")
    assert (again.sent, again.got) == ([{"type": "websocket.close", "code": TOO_FAST}], [])
    assert len(other.got) == 2
    sockets._resting = {one: until - open_sockets.REST for one, until in sockets._resting.items()}
    assert len((await comes("mine")).got) == 2
    assert not sockets._resting
    assert not sockets._open


async def test_while_the_sessions_cannot_be_looked_up_nobody_is_cut_off(monkeypatch):
    asked = []

    def away(_):
        asked.append(True)
        raise OSError

    monkeypatch.setattr(open_sockets.sessions, "over_among", away)
    sockets, line = OpenSockets(0.01), Line()
    async with sockets.watching():
        running = asyncio.create_task(sockets.serve("mine", line.app, {}, line.incoming.get, line.send))
        await _until(lambda: len(asked) >= 3)
        assert not running.done()
        assert line.sent == []
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert not sockets._open
