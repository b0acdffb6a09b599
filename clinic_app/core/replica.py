"""Reading from a copy of the database that another server keeps, as long as it shows what the first one would.

The first server stays the one that decides: it is asked for its newest change, and the copy is used where it has that.
So whoever reads sees what was committed before, by anybody, and a copy that is behind or away is as if there were none.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, TimeoutError
from sqlmodel import Session

from clinic_app.core import db, logs

Answer = TypeVar("Answer")
#: Seconds for which a copy is left alone that was away, too far behind, or no copy at all.
REST = 5.0
_HERE = text(
    "SELECT (SELECT system_identifier FROM pg_control_system()) AS system, current_database() AS name, "
    "pg_current_wal_lsn()::text AS lsn"
)
_THERE = text(
    "SELECT (SELECT system_identifier FROM pg_control_system()) AS system, current_database() AS name, "
    "CASE WHEN pg_is_in_recovery() THEN pg_wal_lsn_diff(CAST(:lsn AS pg_lsn), pg_last_wal_replay_lsn()) END AS behind"
)


class _Copy:
    """Where the copy is, how far it may be behind, and how often it was read from."""

    def __init__(self, engine: Engine, most: int) -> None:
        self.engine, self.most = engine, most
        self.used = self.left = 0
        self.why = ""
        self._rest_until, self._lock = 0.0, threading.Lock()

    def rests(self) -> bool:
        return time.monotonic() < self._rest_until

    def wake(self) -> None:
        self._rest_until = 0.0

    def rest(self, why: str) -> None:
        with self._lock:
            known, self._rest_until, self.why = self.rests(), time.monotonic() + REST, why
        if not known:
            logs.get("database").warning(why)


_copy: _Copy | None = None


def bind(url: str, most: int) -> None:
    """Use the copy at ``url`` while it is at most ``most`` bytes of the write-ahead log behind."""
    global _copy
    engine = db.make_engine(url, copy=True).execution_options(isolation_level="REPEATABLE READ")
    _copy = _Copy(engine, most)


def unbind() -> None:
    """Use none."""
    global _copy
    if _copy is not None:
        _copy.engine.dispose()
    _copy = None


def read(newest: Callable[[Session], int], work: Callable[[Session], Answer]) -> Answer:
    """What ``work`` returns, who only reads: from the copy, if it has the change that is ``newest`` now; else from the
    first server.

    ``newest`` returns a number that grows with every change of what ``work`` reads.
    """
    copy = _copy
    if copy is not None and not copy.rests():
        with db.reading() as session:
            here, wanted = session.execute(_HERE).one(), newest(session)
        try:
            with copy.engine.connect() as connection, db.session_on(connection) as session:
                if _is_close(copy, session, here) and newest(session) >= wanted:
                    found = work(session)
                    copy.used += 1
                    return found
        except (DBAPIError, TimeoutError):
            copy.rest("replica_away")
        copy.left += 1
    with db.reading() as session:
        return work(session)


def trouble() -> str:
    """Why the copy would not be used now; empty: it would. For whoever looks after it."""
    copy = _copy
    if copy is None:
        return "There is none"
    copy.wake()
    read(lambda _: 0, lambda _: None)
    return {
        "": "",
        "replica_away": "It cannot be reached",
        "replica_behind": "It is too far behind",
        "replica_is_none": "It is no copy of this database",
    }[copy.why if copy.rests() else ""]


def _is_close(copy: _Copy, session: Session, here: Any) -> bool:
    there = session.execute(_THERE, {"lsn": here.lsn}).one()
    if there.behind is None or (there.system, there.name) != (here.system, here.name):
        copy.rest("replica_is_none")
        return False
    if there.behind > copy.most:
        copy.rest("replica_behind")
        return False
    return True
