"""What the tests of the services look through: the tables as they are, statements as they are sent, threads."""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlmodel import SQLModel

import clinic_app.models  # noqa: F401  makes the tables known
from clinic_app.core import context, db
from clinic_app.models.audit import AUDIT_EVENTS
from clinic_app.services.audit import refusals
from clinic_app.services.patients import typed_searches

TABLES = tuple(sorted(SQLModel.metadata.tables))
TRAIL = ("audit_events", "audit_head")


def raw(sql: str, **values: Any) -> list[Any]:
    """The rows of one SELECT."""
    with db.reading() as session:
        return list(session.execute(sa.text(sql), values).all())


def write(sql: str, **values: Any) -> None:
    """One statement, committed."""
    with db.transaction() as session:
        session.execute(sa.text(sql), values)


def number(sql: str, **values: Any) -> int:
    """The one number a SELECT answers with."""
    return raw(sql, **values)[0][0]


def dump(*, without: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    return {
        table: sorted(str(tuple(row)) for row in raw(f"SELECT * FROM {table}"))
        for table in TABLES
        if table not in without
    }


def trail(action: str | None = None, *, after: int = 0) -> list[Any]:
    """Audit events in order, perhaps of one action or after one number; also those that would follow by themselves."""
    typed_searches.record_due(everything=True)
    refusals.record_counts(everything=True)
    statement = sa.select(AUDIT_EVENTS).where(AUDIT_EVENTS.c.seq > after).order_by(AUDIT_EVENTS.c.seq)
    with db.reading() as session:
        rows = list(session.execute(statement).mappings())
    return [row for row in rows if action is None or row["action"] == action]


def last_seq() -> int:
    """The number of the latest audit event."""
    return number("SELECT seq FROM audit_head")


@contextlib.contextmanager
def statements() -> Iterator[list[str]]:
    """What the block sends to the database, but for transaction control. For the fixture ``database``."""
    seen: list[str] = []
    with db.reading() as session:
        connection = session.connection()

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.split()[0] not in {"BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"}:
            seen.append(statement)

    sa.event.listen(connection, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(connection, "before_cursor_execute", note)


@contextlib.contextmanager
def from_address(address: str) -> Iterator[None]:
    """A request from ``address``."""
    with context.use(context.RequestContext("page", address, "pytest")):
        yield


def at_once(*jobs: Callable[[], Any]) -> list[Any]:
    """Run all ``jobs`` at the same moment, a thread each; what each returned, or the exception it raised."""
    gate = threading.Barrier(len(jobs))
    results: list[Any] = [None] * len(jobs)

    def run(place: int, job: Callable[[], Any]) -> None:
        gate.wait(10)
        try:
            results[place] = job()
        except BaseException as error:
            results[place] = error

    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(run, place, job))
        for place, job in enumerate(jobs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a thread hangs"
    return results
