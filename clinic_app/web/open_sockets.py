"""The sockets that are open in this process, and when they end.

With their session, by sending too much, or when what their pages hold is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clinic_app.core import periodic
from clinic_app.core.budget import Bucket
from clinic_app.core.state_store import state_store
from clinic_app.services.accounts import sessions
from clinic_app.web.event_budget import OPENING, SocketBudget, Verdict, paces, session_budgets
from clinic_app.web.event_socket import TOO_FAST

EVERY = 0.5  # seconds
OVER = 1008  # the code a socket is closed with
#: Seconds in which a session opens no socket after one was ended for what it sent.
REST = 5.0
#: Tells a page that something it sent was dropped, in a message of the event protocol; ``connection.js`` says it.
TOO_MUCH = '42/_event,["too_much"]'
_TOLD_EVERY = 1.0  # seconds


class _Socket:
    """One of them: what has come is judged at once, and handed on at its session's pace."""

    def __init__(self, budget: SocketBudget, pace: Bucket, receive: Receive, send: Send) -> None:
        self.over = asyncio.Event()  # its session is
        self.flooded = False
        self.losses = state_store().losses  # before it was opened
        self._budget, self._pace, self._receive, self._send = budget, pace, receive, send
        self._met = self._closed = False
        self._come: asyncio.Queue[Message] = asyncio.Queue()
        self._reading: asyncio.Task[None] | None = None
        self._told = -_TOLD_EVERY

    async def next(self) -> Message:
        """The handshake, then what the page sends within its budget, then the end."""
        if not self._met:  # before that is answered nothing more can be read
            self._met = True
            return await self._receive()
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        message = await self._come.get()
        while message["type"] == "websocket.receive" and not self._closed and not self._pace.take():
            await asyncio.sleep(self._pace.until())
        return {"type": "websocket.disconnect", "code": OVER} if self._closed else message

    async def send(self, message: Message) -> None:
        """To the page, unless it has been closed from here."""
        if not self._closed:
            await self._send(message)

    async def finish(self) -> None:
        """Read no more."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        last: Message = {"type": "websocket.disconnect", "code": OVER}
        try:
            while True:
                message = await self._until_over()
                if message is None:
                    return
                if message["type"] != "websocket.receive":
                    last = message
                    return
                verdict = self._budget.judge(message.get("text") or "")
                if verdict is Verdict.END:
                    self.flooded = True
                    await self._hang_up()
                    return
                if verdict is Verdict.ADMIT:
                    self._come.put_nowait(message)
                else:
                    await self._tell()
                await asyncio.sleep(0)  # whoever sends on and on does not keep the others waiting
        finally:
            self._come.put_nowait(last)

    async def _until_over(self) -> Message | None:
        message, end = asyncio.ensure_future(self._receive()), asyncio.ensure_future(self.over.wait())
        try:
            await asyncio.wait((message, end), return_when=asyncio.FIRST_COMPLETED)
            if message.done():
                return message.result()
        finally:
            message.cancel()
            end.cancel()
        await asyncio.wait((message,))  # granian sends nothing while it is asked for a message
        await self._hang_up()
        return None

    async def _tell(self) -> None:
        if time.monotonic() - self._told >= _TOLD_EVERY:
            self._told = time.monotonic()
            await self.send({"type": "websocket.send", "text": TOO_MUCH})

    async def _hang_up(self) -> None:
        self._closed = True
        await self._send({"type": "websocket.close", "code": OVER})


class OpenSockets:
    """Which sockets are open under which session. One look at the sessions for all of them, while there are any."""

    def __init__(self, every: float = EVERY) -> None:
        self._every = every
        self._open: dict[str, set[_Socket]] = defaultdict(set)
        self._resting: dict[str, float] = {}  # session → until when
        self._budgets, self._paces = session_budgets(), paces()

    async def serve(self, token: str, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one socket until either side closes it or the session behind ``token``, a token's hash, is over.

        What it sends beyond its budget is dropped, and it is told; if it goes on, it is closed, and its session opens
        no other one for a moment.
        """
        budget = self._budgets.of(token)
        if self._rests(token) or not budget.take(OPENING):
            await receive()
            await send({"type": "websocket.close", "code": TOO_FAST})
            return
        socket = _Socket(SocketBudget(budget), self._paces.of(token), receive, send)
        self._open[token].add(socket)
        try:
            await app(scope, socket.next, socket.send)
        finally:
            if socket.flooded:
                self._resting[token] = time.monotonic() + REST
            self._open[token].discard(socket)
            if not self._open[token]:
                del self._open[token]
            await socket.finish()

    def _rests(self, token: str) -> bool:
        now = time.monotonic()
        self._resting = {one: until for one, until in self._resting.items() if until > now}
        return token in self._resting

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watch for as long as the block lasts: a lifespan task of each worker."""
        async with periodic.running(self._look, self._every, failed="socket_watch_failed"):
            yield

    async def _look(self) -> None:
        losses = state_store().losses
        for lost in [one for some in self._open.values() for one in some if one.losses != losses]:
            lost.over.set()
        asked = set(self._open)
        if not asked:
            return
        for token in await asyncio.to_thread(sessions.over_among, asked):
            for socket in self._open.get(token, ()):
                socket.over.set()
