"""How many events pages may send: a budget of each socket, and one of all sockets of a session together.

Counted before Reflex sees, and queues, anything. Each worker counts for itself: what is protected is its own time.
"""

from __future__ import annotations

from enum import Enum

from clinic_app.core.budget import AT_ONCE, Bucket, Budgets
from clinic_app.core.settings import get_settings

#: A session's sockets together have so many times the budget of one.
PAGES = 2
#: What a session's pages send at once is handed on so many times as fast as one of them may send, which leaves the
#: others most of the time; so many seconds' worth of that without waiting, which is what a page asks for when it opens.
FASTER, WITHOUT_WAITING = 2.5, 0.2
#: What opening a socket costs, in events: it makes a page's whole state.
OPENING = 10
_JOINS = "40"  # how a message begins that makes a tab of a socket


class Verdict(Enum):
    """What becomes of a message."""

    ADMIT = "admit"
    DROP = "drop"
    END = "end"


def session_budgets() -> Budgets:
    """Those of sessions, by the hash of the token."""
    return Budgets(lambda: get_settings().events_per_second * PAGES)


def paces() -> Budgets:
    """How fast what sessions send is handed on, by the hash of the token."""
    return Budgets(lambda: get_settings().events_per_second * FASTER, seconds=WITHOUT_WAITING)


class SocketBudget:
    """What one socket may still send, of its own budget and of its session's."""

    def __init__(self, session: Bucket) -> None:
        rate = get_settings().events_per_second
        self._session, self._own = session, Bucket(rate)
        self._refused, self._most = 0, rate * AT_ONCE
        self._joined = False

    def judge(self, text: str) -> Verdict:
        """What becomes of a message: it is passed on, dropped, or the last one of its socket.

        Whoever goes on while messages are dropped is no page: its script waits. Nor does a page join twice on one
        socket, which would make one more state each time.
        """
        joins, again = text.startswith(_JOINS), self._joined
        self._joined = again or joins
        if joins and again:
            return Verdict.END
        if self._own.take() and self._session.take():
            return Verdict.ADMIT
        self._refused += 1
        return Verdict.DROP if self._refused <= self._most and not joins else Verdict.END
