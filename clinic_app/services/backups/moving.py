"""Moving a clinic into another database, SQLite or PostgreSQL: every row, compared at the end."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    RowMapping,
    Select,
    String,
    Table,
    delete,
    func,
    insert,
    inspect,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import SQLModel

from clinic_app.core import data_lock, database_copies, database_url, db, keys, migrations
from clinic_app.core.database_copies import Moved
from clinic_app.core.settings import Settings
from clinic_app.models.audit import AUDIT_EVENTS
from clinic_app.services.access import SYSTEM
from clinic_app.services.audit import chain, known_keys
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.recording import record
from clinic_app.services.backups import alone
from clinic_app.services.backups.errors import MoveRefused

_AT_ONCE = 1000
_MOVED = (
    "The clinic has been moved there already, whole and compared: set CLINIC_DATABASE_URL to that database, and start "
    "the server."
)
#: Written by triggers while patients are copied, so they are made equal after those.
_BY_TRIGGERS = ("name_part_changes", "patient_count_changes", "patient_counts", "waiting_comparisons")
#: Of the new database while it is filled: which tables were begun, and in the row without a name where the trail ended.
#: Made first and dropped last, since no program works with a database that has it.
_NOTES = sa.Table(
    migrations.MOVING,
    sa.MetaData(),
    Column("name", String(80), primary_key=True),
    Column("said", String(200), nullable=False),
)


@dataclass(frozen=True, slots=True)
class MovedClinic:
    """What is in the new database now: rows altogether, patients, and events of the audit trail, which was verified."""

    rows: int
    patients: int
    events: int


def move_clinic(settings: Settings, target: str, moved: Moved) -> MovedClinic:
    """Copy the whole clinic of ``settings`` into the empty database at the URL ``target``, and compare every row.

    For the command line, while no program of the clinic runs. The old database is only read. Interrupted, it goes on
    where it was; until it is done no program starts with the new database. Raises ``MoveRefused``.
    """
    folder = keys.prepare_data_dir(settings)
    try:
        with (
            data_lock.alone(folder),
            alone.opened(settings.database) as old,
            alone.opened(target) as new,
            _one_moment(old) as source,
        ):
            if old.url == new.url:
                raise MoveRefused("That is the database the clinic is in already.")
            if alone.others(source):
                raise MoveRefused(alone.CONNECTED)
            _begin(source, new)
            total = sum(_count(source, table) for table in _tables())
            return _move(source, new, lambda done: moved(done, 2 * total))
    except data_lock.InUse:
        raise MoveRefused(alone.in_use(folder)) from None
    except SQLAlchemyError as error:
        raise MoveRefused(
            f"One of the two databases gave up ({type(error).__name__}): see that both can be reached and have room. "
            "Run the same command again: it goes on where it was."
        ) from None


@contextlib.contextmanager
def _one_moment(engine: Engine) -> Iterator[Connection]:
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    with engine.connect() as connection:
        yield connection


@contextlib.contextmanager
def _writing(engine: Engine) -> Iterator[Connection]:
    with engine.execution_options(clinic_write=True).begin() as connection:
        yield connection


def _begin(source: Connection, new: Engine) -> None:
    """Make the tables of the new database, or see that it is the same move that goes on. Notes where the trail ends."""
    if words := migrations.mismatch(source.engine):
        raise MoveRefused(words)
    if any(keys.fingerprint(name) != noted for name, noted in known_keys.noted_in(source).items()):
        raise MoveRefused("The keys at hand are not those of this clinic: run `python -m clinic_app doctor`.")
    found, mark = chain.verify_end(source)
    if not found.ok:
        raise MoveRefused("The audit trail is broken: run `python -m clinic_app audit verify`.")
    end = f"{found.count} {mark}"
    with _writing(new) as connection:
        there = set(inspect(connection).get_table_names())
        if there and _NOTES.name not in there:
            if AUDIT_EVENTS.name in there and _holds(connection, found.count, mark):
                raise MoveRefused(_MOVED)
            raise MoveRefused("There are tables in the new database already: name an empty one.")
        if not there:
            _NOTES.create(connection)
            connection.execute(insert(_NOTES).values(name="", said=end))
        elif connection.execute(select(_NOTES.c.said).where(_NOTES.c.name == "")).scalar_one() != end:
            raise MoveRefused(
                "The clinic has gone on since this move was begun: empty the new database, and begin anew."
            )
    migrations.upgrade(new)


def _holds(connection: Connection, count: int, mark: str) -> bool:
    """Whether the trail there goes on from where that of the old database ends: a move that came to its end."""
    if not count or migrations.of(connection) != migrations.wanted():
        return False
    last = select(AUDIT_EVENTS.c.hash).where(AUDIT_EVENTS.c.seq == count)
    return connection.execute(last).scalar_one_or_none() == mark


def _tables() -> list[Table]:
    """All tables, those that others point at first."""
    tables = SQLModel.metadata.sorted_tables
    last = [table for table in tables if table.name in _BY_TRIGGERS]
    return [table for table in tables if table not in last] + last


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _move(source: Connection, new: Engine, moved: Callable[[int], None]) -> MovedClinic:
    done = 0
    for table in _tables():
        _fill(source, new, table)
        done += _count(source, table)
        moved(done)
    for table in _tables():
        _number_on(source, new, table)
    with _one_moment(new) as target:
        for table in _tables():
            if _digest(source, table) != _digest(target, table):
                raise MoveRefused(
                    f"What is in the new database is not what was in the old one (table {table.name}): empty the new "
                    "one and begin anew. The old one is as it was."
                )
            done += _count(source, table)
            moved(done)
        found = chain.verify_whole(target)
        if not found.ok:
            raise MoveRefused(f"The audit trail does not hold in the new database: {found.why}")
        patients, rows = _count(target, SQLModel.metadata.tables["patients"]), done // 2
    _finish(new, rows, patients)
    return MovedClinic(rows, patients, found.count)


def _finish(new: Engine, rows: int, patients: int) -> None:
    """Let programs start with the new database, and say in its trail that it was moved: both or neither."""
    db.tidy_up(new)
    db.bind(new)
    try:
        known_keys.check()
        with transaction(SYSTEM) as session:
            _NOTES.drop(session.connection())
            record(session, SYSTEM, Action.CLINIC_MOVED, details={"rows": rows, "patients": patients})
    finally:
        db.use(None)


# --- one table ----------------------------------------------------------------------------------


def _key(table: Table) -> list[Column[Any]]:
    return list(table.primary_key.columns)


def _ahead(table: Table) -> list[Column[Any]]:
    """The columns that point at rows which may come later: those of the same table."""
    return [key.parent for key in table.foreign_keys if key.column.table is table and key.parent.nullable]


def _fill(source: Connection, new: Engine, table: Table) -> None:
    """Copy the rows of ``table`` that are not there yet.

    Where numbers are the key, in parts that are kept one by one; else at once, since databases put letters in orders
    of their own.
    """
    numbered = all(isinstance(column.type, Integer) for column in _key(table))
    with _writing(new) as connection:
        fresh = connection.execute(select(_NOTES.c.name).where(_NOTES.c.name == table.name)).first() is None
        if fresh or not numbered:
            if _count(connection, table):  # what the migrations and the triggers have put there
                connection.execute(delete(table))
            if not numbered:
                for part in source.execute(_rows(table)).mappings().partitions(_AT_ONCE):
                    _put(connection, table, part)
        if fresh:
            connection.execute(insert(_NOTES).values(name=table.name, said=""))
    while numbered:
        with _writing(new) as connection:
            part = source.execute(_rows(table, _last(connection, table)).limit(_AT_ONCE)).mappings().all()
            if not part:
                break
            _put(connection, table, part)
    for column in _ahead(table):
        _point(source, new, table, column)


def _rows(table: Table, after: tuple[Any, ...] | None = None) -> Select[Any]:
    statement = select(*(column for column in table.columns if column.computed is None)).order_by(*_key(table))
    if after is not None:
        statement = statement.where(tuple_(*_key(table)) > tuple_(*after))
    return statement.execution_options(yield_per=_AT_ONCE)


def _last(connection: Connection, table: Table) -> tuple[Any, ...] | None:
    down = [column.desc() for column in _key(table)]
    row = connection.execute(select(*_key(table)).order_by(*down).limit(1)).one_or_none()
    return tuple(row) if row is not None else None


def _put(connection: Connection, table: Table, rows: Any) -> None:
    later = dict.fromkeys((column.name for column in _ahead(table)), None)
    connection.execute(insert(table), [{**_plain(row), **later} for row in rows])


def _plain(row: RowMapping | Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in row.items()}


def _point(source: Connection, new: Engine, table: Table, column: Column[Any]) -> None:
    (key,) = _key(table)
    rows = source.execute(select(key, column).where(column.is_not(None)).execution_options(yield_per=_AT_ONCE))
    with _writing(new) as connection:
        for one, value in rows:
            connection.execute(update(table).where(key == one).values({column.name: value}))


def _number_on(source: Connection, new: Engine, table: Table) -> None:
    """What is added later gets a number nobody ever had, also where the last rows are gone."""
    key = _key(table)
    if len(key) != 1 or key[0].name != "id" or not isinstance(key[0].type, Integer):
        return
    with _writing(new) as connection:
        last = max(
            _numbered(source, table), connection.execute(select(func.coalesce(func.max(key[0]), 0))).scalar_one()
        )
        if new.dialect.name == "postgresql":
            sequence = _sequence(connection, table)
            if sequence and last:
                connection.execute(
                    text("SELECT setval(CAST(:name AS regclass), :last)"), {"name": sequence, "last": last}
                )
        elif last and table.dialect_options["sqlite"]["autoincrement"]:
            name = {"name": table.name, "last": last}
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), name)
            connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), name)


def _sequence(connection: Connection, table: Table) -> str | None:
    find = text("SELECT pg_get_serial_sequence(:name, 'id')")
    return connection.execute(find, {"name": table.name}).scalar_one()


def _numbered(connection: Connection, table: Table) -> int:
    """The last number that was given out."""
    if connection.dialect.name == "postgresql":
        last = text("SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence(:name, 'id') AS regclass))")
        return connection.execute(last, {"name": table.name}).scalar() or 0
    if not table.dialect_options["sqlite"]["autoincrement"]:
        return 0
    find = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
    return connection.execute(find, {"name": table.name}).scalar() or 0


def _digest(connection: Connection, table: Table) -> tuple[int, int]:
    """How many rows there are, and a sum that any other value in any row would change, whatever order they are in."""
    count = total = 0
    for row in connection.execute(_rows(table)):
        values = repr([bytes(value) if isinstance(value, memoryview) else value for value in row])
        total += int.from_bytes(hashlib.blake2b(values.encode("utf-8", "surrogatepass"), digest_size=32).digest())
        count += 1
    return count, total % 2**256


def place_of(url: str) -> str:
    """Where a database is, without its password."""
    file = database_copies.sqlite_file(url)
    return str(file) if file else database_url.parsed(url).render_as_string(hide_password=True)
