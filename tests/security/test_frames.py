"""What is no event at all, sent to the event socket: the server lives, and whoever works there does not notice."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from time import perf_counter

import aiohttp
import pytest

from tests.browser.sockets import ROOT_STATE, SHOWN, Tab, session
from tests.security.attack import ALPHA, BRAVO, STAFF, Target, marks_in

LIST = f"{ROOT_STATE}.clinic_app___ui___patients___state____patient_list_state"
CONNECT, EVENT = "40/_event,", "42/_event,"
#: A tab at work is answered within a few hundredths of a second; a stalled server never answers.
PROMPT = 2.0
HANDSHAKES = (
    "EIO=3&transport=websocket", "EIO=5&transport=websocket", "EIO=4.0&transport=websocket", "transport=websocket",
    "EIO=&transport=websocket", "EIO=4&EIO=3&transport=websocket", "EIO=4&transport=polling", "EIO=4", "%00",
    "EIO=4&transport=flashsocket", "EIO=4&transport=websocket&sid=guess", "EIO=4&transport=websocket&j=x",
)  # fmt: skip
DEEP = 15_000
TEXTS = (
    "", "4", "9", "x", "2probe", "3probe", "5", "6", "0", "1", "40", "41", "42", "43", "44", "45", "46", "49",
    "40/", "40/elsewhere,", "40/_event,{", '40/_event,{"a":1}', '40/_event,"x"', "41/_event,", "42/_event", EVENT,
    f"{EVENT}[", f"{EVENT}[]", f"{EVENT}{{}}", f"{EVENT}null", f"{EVENT}0", f'{EVENT}"event"', f"{EVENT}[null]",
    f"{EVENT}[1,2]", f'{EVENT}["event"]', f'{EVENT}["event",null,null,null]', f'{EVENT}[["event"],{{}}]',
    f'{EVENT}["connect",{{}}]', f'{EVENT}["disconnect"]', f'{EVENT}["__init__",{{}}]', f'{EVENT}["on_event",{{}}]',
    '42/_event,99999999999999999999999999["event",{}]', "43/_event,1[]", '43/_event,-1["x"]', "43/_event,{}",
    '451-/_event,["event",{"_placeholder":true,"num":0}]', '459999999999-/_event,["event"]', "45-1-/_event,[]",
    '46/_event,1[{"_placeholder":true,"num":99}]', "44/_event,x", f'{EVENT}["event",' + "9" * 5000 + "]",
    f'{EVENT}["event",' + "[" * DEEP + "]" * DEEP + "]", f'{EVENT}["event",' + "[" * 60_000, EVENT + '{"a":' * 10_000,
    f'{EVENT}["event",{{"name":1e999}}]', f'{EVENT}["event",NaN]', f'{EVENT}["event",{{"name":"\\ud800"}}]',
    "4" + "0" * 60_000, "42/" + "_" * 60_000 + ",[]", "\x1e" * 1000, "4\x1e4\x1e4", "\x00", "\u202e",
)  # fmt: skip
BINARY = (b"", b"\x00", b"\x04", b"4" + EVENT.encode(), b"\xff" * 1000, b"b4AAAA", os.urandom(60_000))
MASK = b"\x00\x00\x00\x00"


def frame(first: int, body: bytes, *, masked: bool = True, said: int | None = None) -> bytes:
    """One frame as it travels; ``said`` is a length other than the body's."""
    length, mask = len(body) if said is None else said, 0x80 if masked else 0
    if length < 126:
        head = struct.pack("!BB", first, mask | length)
    elif length < 65536:
        head = struct.pack("!BBH", first, mask | 126, length)
    else:
        head = struct.pack("!BBQ", first, mask | 127, length)
    return head + (MASK if masked else b"") + body


#: What no browser puts on the wire after the handshake.
BROKEN = {
    "half a head": b"\x81",
    "half a frame": frame(0x81, b"40/_e", said=100),
    "endless length": frame(0x81, b"x", said=2**62),
    "length with its first bit": frame(0x81, b"x", said=2**63),
    "not masked": frame(0x81, CONNECT.encode(), masked=False),
    "reserved bits": frame(0xF1, b"x"),
    "reserved kind": frame(0x83, b"x"),
    "reserved control": frame(0x8B, b"x"),
    "no beginning": frame(0x80, b"x"),
    "two beginnings": frame(0x01, b"4") + frame(0x81, b"0"),
    "never the end": frame(0x01, b"4") + frame(0x00, b"x") * 500,
    "control in parts": frame(0x09, b"x"),
    "long ping": frame(0x89, b"x" * 126),
    "many pings": frame(0x89, b"x") * 2000,
    "close with one byte": frame(0x88, b"x"),
    "close with a made-up code": frame(0x88, struct.pack("!H", 65535) + b"\xff\xfe"),
    "no UTF-8": frame(0x81, b"\xff\xfe\xfd"),
    "half a character": frame(0x81, EVENT.encode() + b"\xe2\x82"),
    "too long in parts": frame(0x01, b"4" * 60_000) + frame(0x00, b"4" * 60_000) + frame(0x80, b"4"),
    "not websocket": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "noise": os.urandom(4000),
}


@pytest.fixture(autouse=True)
def _log_stays_clean(behind: Target) -> Iterator[None]:
    """Nothing here is an error of the server's, and none of it is repeated in the log."""
    seen = len(behind.server.log_text())
    yield
    log = behind.server.log_text()[seen:]
    assert "Traceback" not in log
    assert '"failed"' not in log
    assert [line for line in log.splitlines() if not line.startswith("{")] == []
    assert marks_in(log, ALPHA, BRAVO, STAFF) == set()


@pytest.fixture
async def desk(behind: Target) -> AsyncIterator[Tab]:
    """A receptionist who works there all the while."""
    async with Tab(behind.server.url, cookie=session(behind.sign_in("receptionist"))) as tab:
        yield tab
        await works(tab)


async def works(tab: Tab) -> None:
    """The tab gets what it asks for, promptly: the quickest of three, for a busy machine is no failure."""
    waited = []
    while len(waited) < 3 and min(waited, default=PROMPT) >= PROMPT:
        tab.messages.clear()
        begun = perf_counter()
        await tab.send(f"{LIST}.search", {"term": BRAVO})
        await tab.settled(30)
        waited.append(perf_counter() - begun)
        assert marks_in(tab.text(), BRAVO) == {BRAVO}
    assert min(waited) < PROMPT


async def _raw(http: aiohttp.ClientSession, target: Target, query: str = "EIO=4&transport=websocket&token=x"):
    """A websocket to the event socket's address."""
    url = f"{target.server.url.replace('http', 'ws')}/_event/?{query}"
    return await http.ws_connect(
        url, headers={"Origin": target.server.url}, timeout=aiohttp.ClientWSTimeout(ws_close=5)
    )


async def _answers(ws: aiohttp.ClientWebSocketResponse) -> str:
    """All that comes until the other side closes or is done."""
    told = ""
    with suppress(TimeoutError):
        while (message := await ws.receive(0.3)).type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            told += str(message.data)
    return told


@pytest.mark.parametrize("query", HANDSHAKES)
async def test_a_handshake_of_another_kind_opens_no_tab(behind, desk, query):
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await _raw(http, behind, query)
    assert 400 <= refused.value.status < 500


async def test_messages_that_are_none_tell_nothing_and_stop_nobody(behind, desk):
    lines = asyncio.Semaphore(16)  # one loop speaks for all: a handshake that waits for its turn too long is ended

    async def send(body: str | bytes, connected: bool) -> str:
        async with lines, aiohttp.ClientSession() as http, await _raw(http, behind) as ws:
            if connected:
                await ws.send_str(CONNECT)
            with suppress(ConnectionError):
                await (ws.send_str(body) if isinstance(body, str) else ws.send_bytes(body))
            return await _answers(ws)

    for connected in (False, True):
        told = await asyncio.gather(*[send(body, connected) for body in (*TEXTS, *BINARY)])
        assert marks_in("".join(told), ALPHA, BRAVO, STAFF) == set()
        await works(desk)


@pytest.mark.parametrize("kind", BROKEN)
async def test_broken_frames_end_their_own_connection_at_most(behind, desk, kind):
    host = f"localhost:{behind.server.port}"
    upgrade = (
        f"GET /_event/?EIO=4&transport=websocket&token=x HTTP/1.1\r\nHost: {host}\r\nOrigin: {behind.server.url}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()

    def send(abruptly: bool) -> bytes:
        with socket.create_connection(("127.0.0.1", behind.server.port), timeout=5) as connection:
            connection.sendall(upgrade)
            told = connection.recv(65536)
            with suppress(OSError):
                connection.sendall(frame(0x81, CONNECT.encode()) + BROKEN[kind])
                connection.settimeout(0.2)
                while part := connection.recv(65536):
                    told += part
            if abruptly:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return told

    for abruptly in (False, True):
        told = await asyncio.to_thread(send, abruptly)
        assert told.startswith(b"HTTP/1.1 101")
        assert marks_in(told.decode("latin-1"), ALPHA, BRAVO, STAFF) == set()
        await works(desk)


def _event(name: str) -> str:
    at = {"pathname": "/", "asPath": "/", "query": {}}
    return EVENT + json.dumps(["event", {"name": name, "payload": {"reference": "abc123"}, "router_data": at}])


@pytest.mark.parametrize(
    "body",
    ["2", EVENT + "[]", f'{EVENT}["event",null]', _event("x"), _event(SHOWN), _event(f"{LIST}.load")],
    ids=["pong", "nothing", "no event", "no such event", "an event", "a refused event"],
)
async def test_thousands_of_tiny_messages_keep_nobody_waiting(behind, desk, body):
    async def flood() -> None:
        async with aiohttp.ClientSession() as http, await _raw(http, behind) as ws:
            await ws.send_str(CONNECT)
            with suppress(ConnectionError):
                for _ in range(500):
                    await ws.send_str(body)
            await _answers(ws)

    floods = [asyncio.create_task(flood()) for _ in range(4)]
    try:
        await works(desk)
        await asyncio.gather(*floods)
    finally:
        for each in floods:
            each.cancel()
