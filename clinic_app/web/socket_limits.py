"""How many pages may be open for one person and one address, and how much of a message may wait unread."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clinic_app.core import logs
from clinic_app.core.addresses import networks
from clinic_app.web import wire
from clinic_app.web.event_socket import LATER
from clinic_app.web.wire import Wire

#: Seconds a page may take to read what is sent to it.
READ_WITHIN = 20.0
#: Bytes of one page that have come in and made no message: several messages of the longest kind, not yet looked at.
UNREAD_AT_MOST = 512 * 1024
_LOOK_EVERY = 0.2  # seconds; what comes in between is bounded by the line
_HEAD, _MEDIUM, _LONG = 6, 8, 14  # bytes in front of a frame: short, from 126 and from 65,536 bytes on


@dataclass(eq=False, slots=True)
class _Line:
    """One open socket."""

    wire: Wire | None
    read: int = 0  # bytes that have become messages, and those of the handshake
    gone: bool = False

    def hang_up(self) -> None:
        self.gone = True
        if self.wire is not None:
            self.wire.hang_up()


class SocketLimits:
    """The open sockets of one process, by session and by address."""

    def __init__(self, per_session: int, per_address: int) -> None:
        self._per_session, self._per_address = per_session, per_address
        self._of_session: dict[str, dict[_Line, None]] = defaultdict(dict)  # in the order they came
        self._at: dict[str, int] = defaultdict(int)
        self._watch: asyncio.Task[None] | None = None

    def full(self, token: str) -> bool:
        """Whether the session behind ``token``, a token's hash, has as many pages open as it may."""
        return len(self._of_session.get(token, ())) >= self._per_session

    async def serve(self, token: str, address: str, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one socket of a session. One too many at its address is refused.

        One too many of its session makes room for itself: the oldest is ended, which is most often one whose
        line has broken and who has come back on a new one.
        """
        source = networks(address)[0]
        oldest = next(iter(self._of_session[token])) if self.full(token) else None
        if self._at.get(source, 0) >= self._per_address or (oldest is not None and oldest.wire is None):
            await receive()
            await send({"type": "websocket.close", "code": LATER})
            return
        if oldest is not None:
            oldest.hang_up()
            del self._of_session[token][oldest]
        line = _Line(wire.of(scope))
        line.read = _received(line)
        self._of_session[token][line] = None
        self._at[source] += 1
        self._keep_watching()
        try:
            await app(scope, _counting(line, receive), _in_time(line, send))
        finally:
            self._forget(token, source, line)

    def _forget(self, token: str, source: str, line: _Line) -> None:
        if line.wire is not None:
            line.wire.release()
            line.wire = None
        self._of_session[token].pop(line, None)
        if not self._of_session[token]:
            del self._of_session[token]
        self._at[source] -= 1
        if not self._at[source]:
            del self._at[source]

    def _keep_watching(self) -> None:
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._watching())

    async def _watching(self) -> None:
        """While any socket is open: end those that send a message longer than any may be. Nobody else sees that."""
        while self._of_session:
            await asyncio.sleep(_LOOK_EVERY)
            for line in [line for lines in self._of_session.values() for line in lines]:
                if not line.gone and _received(line) - line.read > UNREAD_AT_MOST:
                    line.hang_up()
                    logs.get("socket").warning("socket_ended", what="a message too long")


def _received(line: _Line) -> int:
    traffic = line.wire.traffic() if line.wire is not None else None
    return traffic.received if traffic is not None else 0


def _counting(line: _Line, receive: Receive) -> Receive:
    async def counted() -> Message:
        message = await receive()
        text, data = message.get("text"), message.get("bytes")
        size = len(text.encode("utf-8", "replace")) if text is not None else len(data or b"")
        line.read += size + (_HEAD if size < 126 else _MEDIUM if size < 65_536 else _LONG)
        return message

    return counted


def _in_time(line: _Line, send: Send) -> Send:
    async def in_time(message: Message) -> None:
        if line.gone:
            return
        try:
            async with asyncio.timeout(READ_WITHIN):
                await send(message)
        except TimeoutError:
            line.hang_up()
            logs.get("socket").warning("socket_ended", what="a page that does not read")

    return in_time
