"""A clinic goes from SQLite to PostgreSQL and back: all of it, also when the move is killed in the middle."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

from clinic_app.core import bootstrap, db, migrations
from clinic_app.services.audit import chain
from clinic_app.services.backups import alone, moving
from clinic_app.services.backups.errors import MoveRefused
from clinic_app.services.patients.forms import PatientQuery
from clinic_app.services.patients.search import list_patients
from tests import conftest, factories
from tests.db import tools
from tests.faults.conftest import forget

#: What a move adds: that there was one, and the fingerprints of keys that nobody had noted yet.
ADDED = {"audit_events", "audit_head", "clinic_keys"}


def _nothing(_: int, __: int) -> None:
    pass


@pytest.fixture
def other_place(own_database, tmp_path) -> Iterator[str]:
    """The URL of an empty database of the other kind."""
    if own_database.dialect.name == "postgresql":
        yield f"sqlite:///{tmp_path / 'moved.sqlite3'}"
        return
    if not conftest.HAS_POSTGRES:
        pytest.skip("no PostgreSQL: set CLINIC_TEST_POSTGRES_URL")
    admin = sa.create_engine(conftest.POSTGRES, isolation_level="AUTOCOMMIT")
    url = conftest._create(admin)
    yield url
    conftest._drop(url, admin)


def _fill(people: int) -> None:
    admin, desk = factories.make_staff("ADMIN"), factories.make_staff()
    for number in range(people):
        factories.make_patient(desk, **({} if number % 3 else {"portal_email": f"moved{number}@example.org"}))
    factories.own_password(factories.make_patient(admin, portal_email="own@example.org", first_name="Findable"))


def _close(engine: sa.Engine) -> None:
    db.use(None)
    engine.dispose()


def _all(url: str) -> dict[str, list]:
    """Every row of every table, sorted, in words."""
    engine = db.make_engine(url)
    with engine.connect() as connection:
        tables = SQLModel.metadata.sorted_tables
        found = {table.name: sorted(map(repr, connection.execute(sa.select(table)))) for table in tables}
    engine.dispose()
    return found


def _without_added(rows: dict[str, list]) -> dict[str, list]:
    return {name: all_ for name, all_ in rows.items() if name not in ADDED}


def _move(own_database, own_settings, place: str, moved: Callable[[int, int], None] = _nothing) -> moving.MovedClinic:
    _close(own_database)
    return moving.move_clinic(own_settings, place, moved)


def test_every_row_arrives_and_the_clinic_goes_on(own_database, own_settings, other_place):
    _fill(12)
    before = _all(own_settings.database)
    began = time.monotonic()
    done = _move(own_database, own_settings, other_place)
    print(f"{own_database.dialect.name}: {done}, {time.monotonic() - began:.1f} s")
    after = _all(other_place)
    assert _all(own_settings.database) == before, "the old one is only read"
    assert _without_added(after) == _without_added(before)
    assert set(before["audit_events"]) < set(after["audit_events"])
    new = db.make_engine(other_place)
    db.bind(new)
    assert migrations.up_to_date(new)
    if new.dialect.name == "postgresql":  # or plans would be those for empty tables
        assert tools.number("SELECT count(*) FROM pg_stats WHERE tablename = 'audit_events'") > 0
    assert tools.trail("CLINIC_MOVED")[-1]["metadata"] == {"rows": done.rows, "patients": 13}
    desk = factories.make_staff()
    assert list_patients(desk, PatientQuery(term="findab")).items[0].first_name == "Findable"
    numbers = {row.id for row in tools.raw("SELECT id FROM patients")}
    factories.make_patient(desk, portal_email="later@example.org")
    assert max(row.id for row in tools.raw("SELECT id FROM patients")) == max(numbers) + 1
    assert chain.verify().ok
    _close(new)


def test_killed_in_the_middle_it_goes_on_and_no_program_starts_meanwhile(
    own_database, own_settings, other_place, monkeypatch
):
    _fill(12)
    monkeypatch.setattr(moving, "_AT_ONCE", 5)
    before = _all(own_settings.database)
    puts = moving._put
    for allowed in (1, 9, 25):
        left = [allowed]

        def put(*given, left=left):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            puts(*given)

        monkeypatch.setattr(moving, "_put", put)
        with pytest.raises(KeyboardInterrupt):
            _move(own_database, own_settings, other_place)
        new = db.make_engine(other_place)
        assert "being moved" in migrations.mismatch(new)
        new.dispose()
    monkeypatch.setattr(moving, "_put", puts)
    _move(own_database, own_settings, other_place)
    after = _all(other_place)
    assert _without_added(after) == _without_added(before)
    assert set(before["audit_events"]) < set(after["audit_events"])


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_while_the_tables_are_made_no_program_starts_there_nor_makes_them(
    own_database, own_settings, other_place, monkeypatch, moment
):
    """An empty clinic that somebody works with meanwhile would be filled over."""
    _fill(2)
    upgrade = migrations.upgrade

    def die(engine):
        if moment == "after":
            upgrade(engine)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(migrations, "upgrade", die)
        with pytest.raises(KeyboardInterrupt):
            _move(own_database, own_settings, other_place)
    new = db.make_engine(other_place)
    assert migrations.mismatch(new) == migrations.too_new(new) == migrations._MOVING
    assert not migrations.up_to_date(new)
    _move(own_database, own_settings, other_place)
    assert not migrations.mismatch(new)
    _close(new)


def test_killed_at_its_very_end_it_is_done_or_goes_on_and_done_once_more_it_says_so(
    own_database, own_settings, other_place, monkeypatch
):
    """What lets programs start there, and the event that says it was moved, are there together or not at all."""
    _fill(2)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(moving, "record", die)
        with pytest.raises(KeyboardInterrupt):
            _move(own_database, own_settings, other_place)
    new = db.make_engine(other_place)
    assert "being moved" in migrations.mismatch(new)
    done = _move(own_database, own_settings, other_place)
    assert not migrations.mismatch(new)
    db.bind(new)
    assert [event["metadata"]["rows"] for event in tools.trail("CLINIC_MOVED")] == [done.rows]
    assert chain.verify().ok
    factories.make_staff()  # the clinic has gone on there
    _close(new)
    before = _all(other_place)
    with pytest.raises(MoveRefused) as refused:
        _move(own_database, own_settings, other_place)
    assert refused.value.detail == moving._MOVED
    assert _all(other_place) == before


def test_a_clinic_that_went_on_in_between_begins_anew(own_database, own_settings, other_place, monkeypatch):
    _fill(2)

    def broken(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(moving, "_put", broken)
        with pytest.raises(KeyboardInterrupt):
            _move(own_database, own_settings, other_place)
    db.bind(own_database)
    factories.make_patient(factories.make_staff())
    with pytest.raises(MoveRefused) as refused:
        _move(own_database, own_settings, other_place)
    assert "gone on since" in refused.value.detail


def test_a_value_that_was_changed_on_the_way_is_found(own_database, own_settings, other_place, monkeypatch):
    _fill(2)
    puts = moving._put

    def other(connection, table, rows):
        puts(connection, table, [{**row, "address": "elsewhere"} for row in rows] if table.name == "patients" else rows)

    monkeypatch.setattr(moving, "_put", other)
    with pytest.raises(MoveRefused) as refused:
        _move(own_database, own_settings, other_place)
    assert "(table patients)" in refused.value.detail
    new = db.make_engine(other_place)
    assert not migrations.up_to_date(new)
    new.dispose()


def test_into_a_database_with_tables_nothing_is_written(own_database, own_settings, other_place):
    new = db.make_engine(other_place)
    with new.execution_options(clinic_write=True).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE theirs (id INTEGER)")
    with pytest.raises(MoveRefused) as refused:
        _move(own_database, own_settings, other_place)
    assert "tables in the new database already" in refused.value.detail
    assert sa.inspect(new).get_table_names() == ["theirs"]
    new.dispose()
    with pytest.raises(MoveRefused):
        _move(own_database, own_settings, own_settings.database)


def test_while_a_program_works_it_is_refused(own_database, own_settings, other_place):
    forget()
    bootstrap.start(own_settings)
    try:
        with pytest.raises(MoveRefused) as refused:
            moving.move_clinic(own_settings, other_place, _nothing)
        assert "stop it first" in refused.value.detail
    finally:
        forget()


@pytest.mark.parametrize("own_database", ["postgres"], indirect=True)
def test_somebody_who_is_connected_as_another_user_is_seen(own_database):
    engine = own_database.execution_options(clinic_write=True)
    with engine.connect() as server, engine.connect() as ours:
        server.execute(sa.text("SELECT 1"))
        name = f"clinic_{uuid.uuid4().hex}"
        ours.execute(sa.text(f"CREATE ROLE {name}"))  # undone with the transaction
        ours.execute(sa.text(f"SET ROLE {name}"))
        assert alone.others(ours)
