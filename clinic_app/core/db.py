"""The engine, and the one way to a transaction. See docs/decisions/0002 for why a use case owns it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Table, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

SQLITE_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000")
#: How long PostgreSQL may be silent before a connection counts as lost: seconds, but for the timeout in milliseconds.
_PATIENCE = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
}

#: Milliseconds until a lock that somebody else keeps counts as an outage, as with SQLite.
_LOCK = 5_000


def make_engine(url: str) -> Engine:
    """An engine for SQLite or PostgreSQL as this product wants it.

    SQLite: WAL, durable commits, foreign keys, and ``BEGIN IMMEDIATE`` for writing transactions, since a
    deferred BEGIN fails or loses updates under several writers. Bound values never appear in errors.
    """
    if not url.startswith("sqlite"):
        given = make_url(url).query
        patience: dict[str, Any] = {name: value for name, value in _PATIENCE.items() if name not in given}
        if "options" not in given:
            patience["options"] = f"-c lock_timeout={_LOCK}"
        return create_engine(
            url, hide_parameters=True, pool_pre_ping=True, pool_size=10, max_overflow=20, connect_args=patience
        )
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_size=10,
        max_overflow=30,
        pool_use_lifo=True,  # the connection used last still has its pages
        connect_args={"check_same_thread": False, "timeout": 5},
    )

    @event.listens_for(engine, "connect")
    def _connect(dbapi: Any, _: Any) -> None:
        dbapi.isolation_level = None  # BEGIN is ours to say
        for pragma in SQLITE_PRAGMAS:
            dbapi.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        writing = connection.get_execution_options().get("clinic_write", False)
        connection.connection.dbapi_connection.execute("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


Connect = Callable[[bool], AbstractContextManager[Connection]]
_connect: Connect | None = None
_queued = False
_next_writer = threading.Lock()
_after_change: list[Callable[[], None]] = []


def bind(engine: Engine) -> None:
    """Make ``engine`` the one that ``transaction`` and ``reading`` use."""
    writing, seeing = engine.execution_options(clinic_write=True), engine
    if engine.dialect.name == "postgresql":  # where else every statement would see another moment
        seeing = engine.execution_options(isolation_level="REPEATABLE READ")
    use(lambda write: (writing if write else seeing).connect(), queued=engine.dialect.name == "sqlite")


def use(connect: Connect | None, *, queued: bool = False) -> None:
    """Use ``connect(write)`` for connections; None: none. Tests bind one that rolls everything back."""
    global _connect, _queued
    _connect, _queued = connect, queued


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    """Wait for this process's other writers. SQLite has one writer at a time and lets others look again after
    growing pauses, up to a tenth of a second: a queue of our own wakes the next one at once."""
    got = _queued and _next_writer.acquire(timeout=5)  # after that SQLite itself decides
    try:
        yield
    finally:
        if got:
            _next_writer.release()


@contextlib.contextmanager
def on_change(callback: Callable[[], None]) -> Iterator[None]:
    """Call ``callback`` after each committed transaction that said ``changed(session)``, while the block lasts.

    From any thread.
    """
    _after_change.append(callback)
    try:
        yield
    finally:
        _after_change.remove(callback)


def changed(session: Session) -> None:
    """Say that this transaction alters what lists show."""
    session.info["changed"] = True


def _open(write: bool) -> AbstractContextManager[Connection]:
    if _connect is None:
        raise RuntimeError("no database bound: call core.bootstrap.start() first")
    return _connect(write)


def _session(connection: Connection) -> Session:
    """A session within what ``connection`` is doing. It costs little until it is asked: see ``core.prepared``."""
    session = Session(connection, expire_on_commit=False, join_transaction_mode="rollback_only")
    session.info["connection"] = connection
    return session


def connection(session: Session) -> Connection:
    """The connection of a session opened here, in its transaction, without asking the session to think."""
    found: Connection = session.info["connection"]
    if not found.in_transaction():
        found.begin()
    return found


def learn_sizes(connection: Connection) -> None:
    """Let PostgreSQL count anew, after very many rows came at once: until then it would read whole tables for a few.

    It does so by itself, some minutes later. SQLite plans without counts.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("ANALYZE"))


def groups() -> bool:
    """Whether ``grouped`` commits at once here: on SQLite."""
    return _queued


class _Group(threading.local):
    """What ``grouped`` has begun in this thread."""

    connection: Connection | None = None
    changed = False


_group = _Group()


@contextlib.contextmanager
def grouped() -> Iterator[None]:
    """Commit the transactions of the block at once, at its end: SQLite waits for the disk once, not once for each.

    Each is still undone alone when it fails. What one returned counts only when the block has ended without an
    exception. For short use cases of Core statements, which would queue for the one writer anyway. On PostgreSQL,
    which does this by itself, they stay apart.
    """
    if not _queued:
        yield
        return
    with _turn(), _open(True) as connection, connection.begin():
        _group.connection, _group.changed = connection, False
        try:
            yield
        finally:
            _group.connection = None
    if _group.changed:
        _tell()


@contextlib.contextmanager
def _part(connection: Connection) -> Iterator[Session]:
    driver: Any = connection.connection.dbapi_connection
    run = driver.execute
    run("SAVEPOINT part")
    try:
        with _session(connection) as session:
            yield session
            session.flush()
    except BaseException:
        run("ROLLBACK TO part")
        raise
    finally:
        run("RELEASE part")
    _group.changed = _group.changed or session.info.get("changed", False)


def _tell() -> None:
    for callback in tuple(_after_change):
        callback()


@contextlib.contextmanager
def transaction() -> Iterator[Session]:
    """One writing transaction: committed at the end of the block, rolled back on any exception.

    Use cases own exactly one. Nothing slow belongs inside.
    """
    if _group.connection is not None:
        with _part(_group.connection) as session:
            yield session
        return
    with _open(True) as connection:
        # a test's connection is in a transaction already, which the test rolls back
        begun = connection.begin_nested if connection.in_transaction() else connection.begin
        with _turn(), begun(), _session(connection) as session:
            yield session
            session.flush()
        if session.info.get("changed"):
            _tell()


@contextlib.contextmanager
def glance() -> Iterator[Connection]:
    """A connection for one reading statement, which is consistent by itself: no transaction is begun for it."""
    with _open(False) as connection:
        yield connection


@contextlib.contextmanager
def reading() -> Iterator[Session]:
    """One consistent, read-only view of the database. Nothing written in it is kept."""
    with _open(False) as connection, _session(connection) as session:
        yield session  # closing rolls back; rows read stay usable, detached


def upsert(
    session: Session,
    table: Table,
    values: Mapping[str, Any],
    *,
    change: Mapping[str, Any] | None = None,
    returning: Sequence[ColumnElement[Any]] = (),
    on: Sequence[ColumnElement[Any]] = (),
) -> Any:
    """Insert a row; where its primary key is there already, ``change`` that row, or leave it alone without ``change``.

    ``on`` are the columns of another unique index that decides instead of the primary key.

    One atomic statement, the same on both databases. Returns the columns asked for (else the key) of the row it
    wrote; None where it left one alone.
    """
    key, decides = table.primary_key.columns, list(on or table.primary_key.columns)
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(table).values(**values)
    if change is None:
        statement = statement.on_conflict_do_nothing(index_elements=decides)
    else:
        statement = statement.on_conflict_do_update(index_elements=decides, set_=dict(change))
    return session.execute(statement.returning(*(returning or key))).one_or_none()


def violated(error: IntegrityError) -> str:
    """The name of the constraint or unique index that refused, as the models name it; empty if unknown."""
    diagnosis = getattr(error.orig, "diag", None)
    if diagnosis is not None:
        return diagnosis.constraint_name or ""
    text = str(
        error.orig
    )  # SQLite: "UNIQUE constraint failed: patients.national_id_key" / "CHECK constraint failed: ck_…"
    kind, _, what = text.partition(" constraint failed: ")
    if kind == "UNIQUE":
        columns = [column.strip().split(".") for column in what.split(",")]
        if all(len(column) == 2 for column in columns):
            return f"uq_{columns[0][0]}_{'_'.join(name for _, name in columns)}"
    return what.strip()
