"""Bodies that are on their way. They wait at the edge, in front of everything that looks at a request."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.types import Receive, Scope

from clinic_app.core.addresses import networks
from clinic_app.web import refusals
from clinic_app.web.refusals import BODY_LIMIT, Refused

#: Bytes of bodies that are held at once in one process, those of requests in work included. Above that, whoever has
#: sent the most of a body that is still on its way has to send it again.
HELD_AT_MOST = 32 * 1024 * 1024
#: Bodies on their way at once in one process, half of the connections that it may have. Above that, the oldest of the
#: address that has most has to be sent again. Far above what one address may have open: who is sent away at once comes
#: again at once, and answering costs more than letting wait.
WAITING_AT_MOST = 4096


@dataclass(eq=False, slots=True)
class _Arrival:
    source: str
    held: int = 0  # bytes
    wait: asyncio.Timeout | None = None


class Arrivals:
    """The bodies that are on their way to one process."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[_Arrival, None]] = defaultdict(dict)  # by address, in the order they came
        self._count = self._held = 0

    @contextlib.asynccontextmanager
    async def whole(self, scope: Scope, receive: Receive, address: str, seconds: float) -> AsyncIterator[bytes | None]:
        """Wait for all of a request's body, which is held for as long as the block lasts; None if its sender left.

        Raises ``Refused`` when it does not arrive within ``seconds`` or has to make room for others, is too much, or
        comes in crumbs.
        """
        if not announced(scope):
            yield b""
            return
        arrival = _Arrival(networks(address)[0])
        try:
            yield await self._all_of(arrival, receive, asyncio.get_running_loop().time() + seconds)
        finally:
            self._held -= arrival.held

    async def _all_of(self, arrival: _Arrival, receive: Receive, until: float) -> bytes | None:
        parts: list[bytes] = []
        try:
            async with asyncio.timeout_at(until) as arrival.wait:
                self._let_in(arrival)
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        return None
                    parts.append(message.get("body", b""))
                    whole = not message.get("more_body", False)
                    self._add(arrival, len(parts[-1]), whole=whole)
                    if arrival.held > BODY_LIMIT:
                        raise Refused(refusals.TOO_LARGE)
                    if refusals.crumbs(len(parts), arrival.held):
                        raise Refused(refusals.IN_CRUMBS)
                    if whole:
                        return b"".join(parts)
                    if not self._waits(arrival):
                        raise TimeoutError
        except TimeoutError:
            raise Refused(refusals.TOO_SLOW) from None
        finally:
            self._let_go(arrival)

    def _let_in(self, arrival: _Arrival) -> None:
        if self._count >= WAITING_AT_MOST:
            self._send_away(next(iter(max(self._waiting.values(), key=len))))
        self._waiting[arrival.source][arrival] = None
        self._count += 1

    def _add(self, arrival: _Arrival, size: int, *, whole: bool) -> None:
        arrival.held += size
        self._held += size
        if whole:
            self._let_go(arrival)
        if self._held > HELD_AT_MOST and self._waiting:
            self._send_away(max((one for some in self._waiting.values() for one in some), key=lambda one: one.held))

    def _send_away(self, arrival: _Arrival) -> None:
        if arrival.wait is not None and not arrival.wait.expired():
            arrival.wait.reschedule(0)  # long ago: now
        self._let_go(arrival)
        self._held -= arrival.held
        arrival.held = 0

    def _let_go(self, arrival: _Arrival) -> None:
        if self._waits(arrival):
            del self._waiting[arrival.source][arrival]
            self._count -= 1
            if not self._waiting[arrival.source]:
                del self._waiting[arrival.source]

    def _waits(self, arrival: _Arrival) -> bool:
        return arrival in self._waiting.get(arrival.source, ())


def announced(scope: Scope) -> bool:
    """Whether a request says that it has a body: without saying so, none comes (RFC 9112, 6.3)."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0"))
        for name, value in scope["headers"]
    )
