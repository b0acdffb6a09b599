"""Requests of one session take turns, so that whoever sends many at once delays nobody but themselves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from starlette.types import Scope

from clinic_app.core import cookies
from clinic_app.web import refusals
from clinic_app.web.refusals import Refused

#: In work at once: as many as browsers open connections to one server.
AT_ONCE = 6
#: That wait for their turn; more are refused.
WAITING_AT_MOST = 100
#: Seconds in which a turn that ended with "too many" is not given to the next one: saying so costs as much as an
#: answer, and who does not heed it would be told so as fast as the process can.
REST = 0.5


@dataclass(slots=True)
class Turn:
    """What came of one."""

    too_many: bool = False  # the answer was that there were


@dataclass(slots=True)
class _Line:
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    standing: int = 0  # in it, those whose turn it is included


class Turns:
    """Whose turn it is in one process: what that does at once, it does a bit of each at a time."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    @contextlib.asynccontextmanager
    async def turn(self, scope: Scope) -> AsyncIterator[Turn]:
        """Wait for a turn of the session that a request names, and have it for as long as the block lasts.

        One that names none waits for nobody. Whether there is such a session is not asked: who makes up names gains
        what they have without one. Raises ``Refused`` where too many wait already.
        """
        name, turn = named(scope), Turn()
        if not name:
            yield turn
            return
        line = self._lines.setdefault(name, _Line())
        if line.standing >= AT_ONCE + WAITING_AT_MOST:
            raise Refused(refusals.SESSION_BUSY)
        line.standing += 1
        try:
            await line.turns.acquire()
        except BaseException:
            self._leave(name, line)
            raise
        try:
            yield turn
        finally:
            if turn.too_many:
                asyncio.get_running_loop().call_later(REST, self._give_back, name, line)
            else:
                self._give_back(name, line)

    def _give_back(self, name: str, line: _Line) -> None:
        line.turns.release()
        self._leave(name, line)

    def _leave(self, name: str, line: _Line) -> None:
        line.standing -= 1
        if not line.standing:
            del self._lines[name]


def named(scope: Scope) -> str:
    """What a request says whose it is: its session's cookie, or the token of a program. Empty for strangers."""
    if session := cookies.sent(scope).get(cookies.session_name(), ""):
        return session
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == b"authorization"), "")
