"""The engine, and the one way to a transaction. See docs/decisions/0002 for why a use case owns it."""

from __future__ import annotations

import contextlib
import select
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Table, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InvalidatePoolError
from sqlmodel import Session

from clinic_app.core import database_url, metrics, silence

SQLITE_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000")

#: Where litestream copies the database it also moves the log into it, every thousand pages; when somebody else does
#: so at the same moment, pages are missing from the copy (litestream 0.5). So it alone does, unless it is long away.
COPIED_PRAGMA = "wal_autocheckpoint=100000"

#: Seconds after which a connection that nobody used is asked whether it is alive before it is used again.
_QUIET = 1.0


def make_engine(url: str, *, copy: bool = False, copied: bool = False) -> Engine:
    """An engine for SQLite or PostgreSQL as this product wants it.

    SQLite: WAL, durable commits, foreign keys, and ``BEGIN IMMEDIATE`` for writing transactions, since a
    deferred BEGIN fails or loses updates under several writers. Bound values never appear in errors. ``copy``:
    of several hosts one that only follows is wanted, not the one that takes writes. ``copied``: there is a continuous
    copy of the database.
    """
    if not url.startswith("sqlite"):
        parts = database_url.parsed(url, "prefer-standby" if copy else "read-write")
        engine = create_engine(
            parts,
            hide_parameters=True,
            pool_size=10,
            max_overflow=20,
            pool_use_lifo=True,  # the connection used last has its statements planned
            connect_args=database_url.patience(parts),
        )
        silence.watch.over(engine)
        _ask_whether_alive(engine)
        return engine
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
        for pragma in (*SQLITE_PRAGMAS, *([COPIED_PRAGMA] if copied else [])):
            dbapi.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        writing = connection.get_execution_options().get("clinic_write", False)
        connection.connection.dbapi_connection.execute("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _ask_whether_alive(engine: Engine) -> None:
    """Never hand out a connection that PostgreSQL has closed, without asking it each time.

    That would be a round trip more for each transaction. What a closed connection has to tell arrives by itself, so the
    kernel knows; only one that was quiet for a while is asked. All others are then made anew as well.
    """

    @event.listens_for(engine, "checkin")
    def _note(_: Any, record: Any) -> None:
        record.info["used"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ask(dbapi: Any, record: Any, _: Any) -> None:
        used = record.info.get("used")
        if used is None:
            return  # just made
        if time.monotonic() - used < _QUIET and not dbapi.closed:
            heard = select.poll()
            heard.register(dbapi.pgconn.socket, select.POLLIN)
            if not heard.poll(0):
                return
        try:
            engine.dialect.do_ping(dbapi)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error


Connect = Callable[[bool], AbstractContextManager[Connection]]
_connect: Connect | None = None
_glance: Callable[[], AbstractContextManager[Connection]] | None = None
_queued = False
_groups = False
_next_writer = threading.Lock()
_after_change: list[Callable[[], None]] = []


def _count_error(context: ExceptionContext) -> None:
    metrics.count(metrics.DATABASE_ERRORS, type(context.sqlalchemy_exception or context.original_exception).__name__)


def bind(engine: Engine) -> None:
    """Make ``engine`` the one that ``transaction`` and ``reading`` use."""
    pool: Any = engine.pool
    metrics.hold("clinic_database_connections", lambda: {"in use": pool.checkedout(), "idle": pool.checkedin()})
    if not event.contains(engine, "handle_error", _count_error):
        event.listen(engine, "handle_error", _count_error)
    global _glance
    writing, seeing, glancing = engine.execution_options(clinic_write=True), engine, engine
    if engine.dialect.name == "postgresql":
        # where else every statement would see another moment
        seeing = engine.execution_options(isolation_level="REPEATABLE READ")
        glancing = engine.execution_options(isolation_level="AUTOCOMMIT")  # one statement, one round trip
    queued = engine.dialect.name == "sqlite"
    use(lambda write: (writing if write else seeing).connect(), queued=queued, groups=True)
    _glance = glancing.connect


def use(connect: Connect | None, *, queued: bool = False, groups: bool | None = None) -> None:
    """Use ``connect(write)`` for connections; None: none. Tests bind one that rolls everything back.

    ``queued``: writers of this process wait for each other here. ``groups``: what ``grouped`` says; by default as it
    is ``queued``.
    """
    global _connect, _glance, _queued, _groups
    _connect, _glance, _queued, _groups = connect, None, queued, queued if groups is None else groups


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


def afterwards(session: Session, call: Callable[[], None]) -> None:
    """Call ``call`` once this transaction is committed, and never where it is not. It must not raise."""
    session.info.setdefault("afterwards", []).append(call)


def _open(write: bool) -> AbstractContextManager[Connection]:
    if _connect is None:
        raise RuntimeError("no database bound: call core.bootstrap.start() first")
    return _connect(write)


def session_on(connection: Connection) -> Session:
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


def tidy_up(engine: Engine | None = None) -> None:
    """Let PostgreSQL look at everything after very many rows came at once, in the bound database or another's.

    Until then it would read whole tables for a few rows, and rows beside their index. It does so by itself, some
    minutes later. SQLite needs neither. Within no transaction.
    """
    with _open(False) if engine is None else engine.connect() as opened:
        if opened.dialect.name == "postgresql":
            opened.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM (ANALYZE)"))


def groups() -> bool:
    """Whether ``grouped`` commits at once here."""
    return _groups


def in_process() -> bool:
    """Whether this process does the work of the database itself: no server reads for several at a time."""
    return _queued


class Apart(Exception):
    """What was grouped must be done again, each by itself: one of it may not be kept, and it is not known which."""


_Write = Callable[[Session, list[Any]], None]


class _Group(threading.local):
    """What ``grouped`` has begun in this thread."""

    connection: Connection | None = None
    changed = False
    afterwards: tuple[Callable[[], None], ...] = ()
    first: dict[_Write, list[Any]]
    last: dict[_Write, list[Any]]

    def left(self) -> list[tuple[_Write, list[Any]]]:
        """All that is left for the end, in the order in which it is done."""
        return [*self.first.items(), *self.last.items()]


_group = _Group()


@contextlib.contextmanager
def grouped() -> Iterator[None]:
    """Commit the transactions of the block at once, at its end: the disk is waited for once, not once for each.

    Each is still undone alone when it fails. What one returned counts only when the block has ended without an
    exception; after ``Apart`` each is to be done again by itself. For short use cases of Core statements. The program
    asks for them one after the other; what ``at_the_end`` is left for the end is done for all of them there.
    """
    if not _groups:
        yield
        return
    with _turn(), _open(True) as connection, connection.begin():
        _group.connection, _group.changed, _group.afterwards, _group.first, _group.last = connection, False, (), {}, {}
        try:
            yield
            with session_on(connection) as session:
                for write, items in _group.left():
                    write(session, items)
        except (DataError, IntegrityError) as error:  # of what is done for all: whose it is does not matter to others
            raise Apart from error
        finally:
            _group.connection = None
    if _group.changed:
        _tell()
    for call in _group.afterwards:
        call()


def at_the_end(session: Session, write: _Write, item: Any, *, after_others: bool = False) -> bool:
    """Leave ``item`` for ``write`` to do, for all items of the group at its end; False where ``session`` is in none.

    For what costs as much for many as for one, and, ``after_others``, for what takes a lock that everybody wants: it is
    taken once, for all, and given back right after. An item of a transaction that is undone is dropped.
    """
    if not session.info.get("part"):
        return False
    (_group.last if after_others else _group.first).setdefault(write, []).append(item)
    return True


def _say(connection: Connection, words: str) -> None:
    driver: Any = connection.connection.dbapi_connection
    fault = connection.dialect.loaded_dbapi.Error
    try:
        driver.execute(words)
    except fault as error:
        raise DBAPIError.instance(
            words, None, error, fault, hide_parameters=True, dialect=connection.dialect
        ) from error


@contextlib.contextmanager
def _part(connection: Connection, writes: bool) -> Iterator[Session]:
    before = {write: len(items) for write, items in _group.left()}
    stacked = connection.dialect.name == "postgresql"  # they go with the transaction: of one name the last counts
    if writes:
        _say(connection, "SAVEPOINT part")
    try:
        with session_on(connection) as session:
            session.info["part"] = True
            yield session
            session.flush()
    except BaseException as error:
        if writes:
            _say(connection, "ROLLBACK TO part")
        elif isinstance(error, DBAPIError):  # PostgreSQL does nothing more in this transaction
            raise Apart from error
        for write, items in _group.left():
            del items[before.get(write, 0) :]
        raise
    finally:
        if writes and not stacked:
            _say(connection, "RELEASE part")
    _group.changed = _group.changed or session.info.get("changed", False)
    _group.afterwards += tuple(session.info.get("afterwards", ()))


def _tell() -> None:
    for callback in tuple(_after_change):
        callback()


@contextlib.contextmanager
def transaction(*, writes: bool = True) -> Iterator[Session]:
    """One writing transaction: committed at the end of the block, rolled back on any exception.

    Use cases own exactly one. Nothing slow belongs inside. ``writes`` is false where the block itself only reads, and
    all that is to be kept is left ``at_the_end`` of a group: it needs no savepoint of its own there.
    """
    if _group.connection is not None:
        with _part(_group.connection, writes) as session:
            yield session
        return
    with _open(True) as connection:
        # a test's connection is in a transaction already, which the test rolls back
        begun = connection.begin_nested if connection.in_transaction() else connection.begin
        with _turn(), begun(), session_on(connection) as session:
            yield session
            session.flush()
        if session.info.get("changed"):
            _tell()
        for call in session.info.get("afterwards", ()):
            call()


@contextlib.contextmanager
def glance() -> Iterator[Connection]:
    """A connection for one reading statement, which is consistent by itself: no transaction is begun for it."""
    if _glances.stack is None:
        with _new_glance() as connection:
            yield connection
        return
    if _glances.connection is None:
        _glances.connection = _glances.stack.enter_context(_new_glance())
    yield _glances.connection


class _Glances(threading.local):
    """The connection for all glances of a block in this thread, once there has been one."""

    stack: contextlib.ExitStack | None = None
    connection: Connection | None = None


_glances = _Glances()


def _new_glance() -> AbstractContextManager[Connection]:
    return _glance() if _glance is not None else _open(False)


@contextlib.contextmanager
def glances() -> Iterator[None]:
    """One connection for all the glances of the block: it is fetched and given back once."""
    with contextlib.ExitStack() as stack:
        _glances.stack = stack
        try:
            yield
        finally:
            _glances.stack = _glances.connection = None


@contextlib.contextmanager
def reading() -> Iterator[Session]:
    """One consistent, read-only view of the database. Nothing written in it is kept."""
    with _open(False) as connection, session_on(connection) as session:
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
