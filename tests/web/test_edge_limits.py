"""Room for requests and pages: who makes room for whom, who is refused, and that nothing is kept of those who left."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time

import pytest

from clinic_app.core import logs
from clinic_app.core.log_ration import Ration
from clinic_app.core.settings import get_settings
from clinic_app.web import arrivals, refusals, socket_limits, turns, wire
from clinic_app.web.admission import Admission
from clinic_app.web.arrivals import Arrivals
from clinic_app.web.exchange import Exchange
from clinic_app.web.socket_limits import SocketLimits
from clinic_app.web.turns import Turns

HALF = {"type": "http.request", "body": b"a", "more_body": True}
REST = {"type": "http.request", "body": b"b", "more_body": False}
LEFT = {"type": "http.disconnect"}


class Edge:
    """The outermost layer with little room, and what is behind it."""

    def __init__(self, per_address: int = 4, at_once: int = 100) -> None:
        self.arrivals, self.turns, self.admission = Arrivals(), Turns(), Admission(per_address, at_once)
        self.heard: list[bytes] = []
        self.heard_at: list[float] = []
        self.status = 200
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.asked: list[Asked] = []

    async def app(self, scope, receive, send):
        """Answers 200 when it may go on."""
        message = await receive()
        self.heard.append(message["body"])
        self.heard_at.append(asyncio.get_running_loop().time())
        await self.go_on.wait()
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def asks(
        self, *messages, address="198.51.100.1", announces=True, times=1, of: tuple[bytes, bytes] | None = None
    ) -> list[Asked]:
        """Requests that have sent so much, taken as far as they go; ``of`` is the header that says whose they are."""
        made = [Asked(self, address, messages, announces=announces, of=of) for _ in range(times)]
        self.asked += made
        for _ in range(20):
            await asyncio.sleep(0)
        return made

    async def end(self) -> None:
        """Everybody leaves, and nothing is kept of them."""
        for one in self.asked:
            one.coming.put_nowait(LEFT)
        await asyncio.gather(*(one.task for one in self.asked))
        assert self.arrivals._count == self.arrivals._held == self.admission._count == 0
        assert not self.arrivals._waiting
        assert not self.turns._lines
        assert not self.admission._in_work


class Asked:
    """One request and its answer."""

    def __init__(
        self, edge: Edge, address: str, messages, *, announces: bool, of: tuple[bytes, bytes] | None = None
    ) -> None:
        self.coming: asyncio.Queue = asyncio.Queue()
        for message in messages:
            self.coming.put_nowait(message)
        self.status, self.body = 0, b""
        headers = [(b"host", b"x"), *([(b"content-length", b"1000000")] if announces else [])]
        headers += [of] if of else []
        scope = {"type": "http", "method": "POST", "path": "/api/v1/x/", "headers": headers, "client": (address, 1)}
        exchange = Exchange(scope, self.coming.get, self.sent, b"", [])
        self.task = asyncio.create_task(
            exchange.run(edge.app, get_settings(), edge.arrivals, edge.turns, edge.admission)
        )

    async def sent(self, message):
        """To the caller."""
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")


async def test_nobody_hears_of_a_request_before_it_is_whole_and_it_is_answered_nothing():
    """Who is sent away at once comes again at once: answering is what cost the desks seconds."""
    edge = Edge(per_address=4, at_once=8)
    waiting = await edge.asks(HALF, times=300)
    assert edge.heard == []
    assert {one.status for one in waiting} == {0}
    assert not any(one.task.done() for one in waiting)
    (whole,) = await edge.asks(HALF, REST)
    assert (whole.status, edge.heard) == (200, [b"ab"])
    waiting[0].coming.put_nowait(REST)
    await asyncio.wait_for(waiting[0].task, 30)
    assert waiting[0].status == 200
    waiting[1].coming.put_nowait(LEFT)
    await asyncio.wait_for(waiting[1].task, 30)
    assert (waiting[1].status, len(edge.heard)) == (0, 2)
    await edge.end()


async def test_one_request_too_many_in_work_is_refused_and_other_addresses_are_not():
    edge = Edge(per_address=2, at_once=3)
    edge.go_on.clear()
    two = await edge.asks(REST, times=2)
    (third,) = await edge.asks(REST)
    assert (third.status, third.body) == (429, refusals.ADDRESS_BUSY.json())
    (other,) = await edge.asks(address="198.51.100.2", announces=False)
    (fourth,) = await edge.asks(REST, address="198.51.100.3")
    assert (fourth.status, fourth.body) == (503, refusals.SERVER_BUSY.json())
    edge.go_on.set()
    await asyncio.gather(*(one.task for one in (*two, other)))
    (again,) = await edge.asks(REST)
    assert [one.status for one in (*two, other, again)] == [200] * 4
    await edge.end()


@pytest.mark.parametrize("of", [(b"cookie", b"a=b; clinic_session=mine"), (b"authorization", b"Bearer mine")])
async def test_requests_of_one_session_take_turns_and_nobody_else_waits_for_them(of):
    edge = Edge(per_address=100)
    edge.go_on.clear()
    mine = await edge.asks(REST, of=of, times=40)
    assert len(edge.heard) == turns.AT_ONCE
    assert edge.admission._count == turns.AT_ONCE, "who waits for a turn keeps nobody at the address out"
    await edge.asks(REST, of=(of[0], of[1] + b"2"), times=3)
    await edge.asks(REST, times=20)
    assert len(edge.heard) == turns.AT_ONCE + 23
    edge.go_on.set()
    await asyncio.gather(*(one.task for one in edge.asked))
    assert [one.status for one in mine] == [200] * 40
    await edge.end()


async def test_turns_come_in_order_and_too_many_are_refused(monkeypatch):
    monkeypatch.setattr(turns, "WAITING_AT_MOST", 3)
    edge, of = Edge(per_address=100), (b"cookie", b"clinic_session=mine")
    edge.go_on.clear()
    await edge.asks(REST, of=of, times=turns.AT_ONCE)
    bodies = [b"one", b"two", b"three", b"four"]
    waiting = [(await edge.asks({**REST, "body": body}, of=of))[0] for body in bodies]
    assert [one.status for one in waiting] == [0, 0, 0, 429]
    waiting[1].task.cancel()
    await asyncio.gather(waiting[1].task, return_exceptions=True)
    edge.go_on.set()
    await asyncio.gather(waiting[0].task, waiting[2].task)
    assert edge.heard[turns.AT_ONCE :] == [b"one", b"three"]
    edge.asked.remove(waiting[1])
    await edge.end()


async def test_whose_turn_ended_with_too_many_gets_the_next_one_later(monkeypatch):
    """They are told at once; who asks on at once waits, and nobody else does."""
    monkeypatch.setattr(turns, "REST", 0.3)
    edge, of = Edge(per_address=100), (b"cookie", b"clinic_session=mine")
    edge.status = 429
    told = await edge.asks(REST, of=of, times=turns.AT_ONCE + 1)
    await asyncio.gather(*(one.task for one in told[:-1]))
    assert [one.status for one in told] == [429] * turns.AT_ONCE + [0]
    (other,) = await edge.asks(REST, of=(b"cookie", b"clinic_session=another"))
    assert other.status == 429
    await asyncio.wait_for(told[-1].task, 30)
    at = edge.heard_at
    assert at[-1] - at[turns.AT_ONCE - 1] >= 0.29
    async with asyncio.timeout(30):
        while edge.turns._lines:
            await asyncio.sleep(0.01)
    await edge.end()


async def test_where_too_many_wait_the_oldest_of_the_busiest_address_makes_room(monkeypatch):
    monkeypatch.setattr(arrivals, "WAITING_AT_MOST", 4)
    edge = Edge()
    (other,) = await edge.asks(HALF, address="198.51.100.9")
    busiest = await edge.asks(HALF, times=3)
    (one_more,) = await edge.asks(HALF, address="198.51.100.2")
    assert [one.status for one in (other, *busiest, one_more)] == [0, 408, 0, 0, 0]
    (one_more,) = await edge.asks(HALF, REST, address="198.51.100.2")
    assert one_more.status == 200
    await edge.end()


async def test_an_ipv6_address_counts_as_its_network(monkeypatch):
    monkeypatch.setattr(arrivals, "WAITING_AT_MOST", 4)
    edge = Edge(per_address=2)
    edge.go_on.clear()
    await edge.asks(REST, address="2001:db8::1")
    await edge.asks(REST, address="2001:db8::2")
    (third,) = await edge.asks(REST, address="2001:db8::ffff:3")
    await edge.asks(REST, address="2001:db8:0:1::1")
    assert third.status == 429
    assert len(edge.heard) == 3
    waiting = [(await edge.asks(HALF, address=f"2001:db8:0:2::{number}"))[0] for number in range(2)]
    others = [(await edge.asks(HALF, address=f"2001:db8:0:{number}::"))[0] for number in range(3, 6)]
    assert [one.status for one in (*waiting, *others)] == [408, 0, 0, 0, 0]
    edge.go_on.set()
    await edge.end()


async def test_bodies_together_take_so_much_memory_and_no_more(monkeypatch):
    monkeypatch.setattr(arrivals, "HELD_AT_MOST", 1000)
    edge = Edge()
    edge.go_on.clear()

    async def sends(size, address, *, more):
        return (await edge.asks({"type": "http.request", "body": b"x" * size, "more_body": more}, address=address))[0]

    one = await sends(500, "198.51.100.1", more=True)
    two = await sends(300, "198.51.100.2", more=True)
    three = await sends(300, "198.51.100.3", more=False)
    assert [each.status for each in (one, two, three)] == [408, 0, 0]
    assert edge.arrivals._held == 600
    four = await sends(800, "198.51.100.4", more=False)
    five = await sends(1, "198.51.100.5", more=True)
    assert [each.status for each in (two, four, five)] == [408, 0, 408], "who is whole is let in, and nobody waits"
    edge.go_on.set()
    await edge.end()


def test_crumbs_are_told_from_small_packets():
    assert not refusals.crumbs(2000, 2000 * 536)  # the smallest packets there are
    assert refusals.crumbs(2000, 2000 * 2)


# --- pages ------------------------------------------------------------------------------------------


class Connection:
    """A wire that is only watched."""

    def __init__(self) -> None:
        self.ended = self.released = False
        self.received = 0

    def traffic(self):
        """What came in."""
        return wire.Traffic(self.received, 0, 0)

    def hang_up(self) -> None:
        """Ended."""
        self.ended = True

    def release(self) -> None:
        """Let go."""
        self.released = True


class Page:
    """One socket that stays open until it is told to close."""

    def __init__(self, limits: SocketLimits, token: str, address: str = "198.51.100.1") -> None:
        self.closing, self.opened, self.sent = asyncio.Event(), asyncio.Event(), []
        self.incoming: asyncio.Queue = asyncio.Queue()
        self.task = asyncio.create_task(limits.serve(token, address, self.app, {}, self.incoming.get, self.send))
        self.to_browser = self.send

    async def app(self, scope, receive, send):
        """Open until told."""
        self.receive, self.to_browser = receive, send
        self.opened.set()
        await self.closing.wait()

    async def send(self, message):
        """To the browser."""
        self.sent.append(message)

    async def close(self):
        """By the person."""
        self.closing.set()
        await self.task


@pytest.fixture
def wires(monkeypatch):
    """The connections that are found, in their order."""
    made: list[Connection] = []

    def found(_):
        made.append(Connection())
        return made[-1]

    monkeypatch.setattr(socket_limits.wire, "of", found)
    return made


async def test_one_page_too_many_takes_the_place_of_the_oldest(wires):
    limits = SocketLimits(2, 10)
    pages = [Page(limits, "mine") for _ in range(2)]
    await asyncio.gather(*(page.opened.wait() for page in pages))
    assert limits.full("mine")
    assert not limits.full("another one's")
    third = Page(limits, "mine")
    await third.opened.wait()
    assert [each.ended for each in wires] == [True, False, False]
    for page in [*pages, third]:
        await page.close()
    assert all(each.released for each in wires)
    assert not limits._of_session
    assert not limits._at


async def test_one_page_too_many_at_an_address_is_refused_and_leaves_nothing(wires):
    limits = SocketLimits(5, 2)
    pages = [Page(limits, name) for name in ("one", "two")]
    await asyncio.gather(*(page.opened.wait() for page in pages))
    third = Page(limits, "three")
    third.incoming.put_nowait({"type": "websocket.connect"})
    await third.task
    assert third.sent == [{"type": "websocket.close", "code": 1013}]
    for page in pages:
        await page.close()
    assert not limits._of_session
    assert not limits._at


async def test_a_message_that_never_ends_ends_the_line(wires, monkeypatch):
    monkeypatch.setattr(socket_limits, "_LOOK_EVERY", 0.01)
    limits = SocketLimits(5, 5)
    page, other = Page(limits, "one"), Page(limits, "two")
    await asyncio.gather(page.opened.wait(), other.opened.wait())
    text = "x" * 60_000
    for _ in range(40):  # long messages, each of them read
        wires[1].received += len(text) + 8
        other.incoming.put_nowait({"type": "websocket.receive", "text": text})
        await other.receive()
    wires[0].received += socket_limits.UNREAD_AT_MOST + 1
    begun_at = time.monotonic()
    while not wires[0].ended and time.monotonic() - begun_at < 5:
        await asyncio.sleep(0.01)
    assert wires[0].ended
    assert not wires[1].ended
    await page.close()
    await other.close()


async def test_a_page_that_does_not_read_is_ended(wires, monkeypatch):
    monkeypatch.setattr(socket_limits, "READ_WITHIN", 0.05)
    limits = SocketLimits(5, 5)
    page = Page(limits, "one")
    await page.opened.wait()

    async def never(_):
        await asyncio.Event().wait()

    deaf = socket_limits._in_time(next(iter(limits._of_session["one"])), never)
    await asyncio.wait_for(deaf({"type": "websocket.send", "text": "x"}), 5)
    await asyncio.wait_for(deaf({"type": "websocket.send", "text": "y"}), 5)
    assert wires[0].ended
    await page.close()


# --- the kernel ---------------------------------------------------------------------------------------


@pytest.fixture
def pair():
    """Two ends of a connection: the server's, as its server holds it, and the client's, which reads little at once."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        wire.give_up_on_readers_after(1, port)
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        server, _ = listening.accept()
        server.setblocking(False)
        yield server, client, port
        for each in (server, client):
            each.close()


def scope_of(server: socket.socket) -> dict:
    host, port = server.getpeername()
    return {"client": (host, str(port)), "server": server.getsockname()}


def test_a_connection_is_found_and_left_as_it_is(pair):
    server, client, _ = pair
    found = wire.of(scope_of(server))
    assert found is not None
    client.sendall(b"x" * 1000)
    deadline = time.monotonic() + 5
    while (passed := found.traffic()) and passed.received < 1000 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert passed is not None
    assert passed.received == 1000
    assert len(server.recv(65536)) == 1000
    with pytest.raises(BlockingIOError):  # still not blocking
        server.recv(1)
    found.hang_up()
    assert client.recv(10) == b""
    found.release()
    assert wire.of({"client": ("127.0.0.1", "1"), "server": ("127.0.0.1", 2)}) is None


def test_callers_of_a_port_are_those_and_no_others(pair):
    _, client, port = pair
    (caller,) = wire.callers(port)
    assert caller.peer == client.getsockname()
    wire.hang_up(wire.Caller(caller.number, ("127.0.0.1", 1), caller.traffic))  # somebody else by now
    client.sendall(b"x")
    wire.hang_up(caller)
    with contextlib.suppress(ConnectionResetError):
        assert client.recv(10) == b""


def test_the_kernel_gives_up_on_who_does_not_read(pair):
    server, _, _ = pair
    begun_at, ended = time.monotonic(), False
    while not ended and time.monotonic() - begun_at < 20:
        try:
            server.send(b"x" * 65536)
        except BlockingIOError:
            time.sleep(0.05)
        except OSError:
            ended = True
    assert ended


# --- logs -------------------------------------------------------------------------------------------


def test_what_the_log_leaves_out_is_counted_and_told(monkeypatch):
    now, told = [1000.0], []
    monkeypatch.setattr("clinic_app.core.log_ration.time.monotonic", lambda: now[0])
    ration = Ration(3, lambda kind, count: told.append((kind, count)))
    assert [ration.allows("a") for _ in range(5)] == [True, True, True, False, False]
    assert ration.allows("b")
    ration.tell()
    assert told == []
    now[0] += 60
    ration.tell()
    assert told == [("a", 2)]
    assert ration.allows("a")


def test_what_is_left_out_is_told_under_names_of_ours():
    assert {"what", "count"} <= logs.ALLOWED
