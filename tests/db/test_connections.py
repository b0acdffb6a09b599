"""The engine and the one way to a transaction."""

from __future__ import annotations

import threading
import time

import pytest
import sqlalchemy as sa

from clinic_app.core import db
from clinic_app.models.patients import PATIENTS
from tests import factories
from tests.db import tools


def test_every_connection_of_sqlite_is_durable_and_checks_foreign_keys(tmp_path):
    engine = db.make_engine(f"sqlite:///{tmp_path / 'one.sqlite3'}")
    connections = [engine.connect() for _ in range(3)]
    for connection in connections:
        wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}
        assert {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in wanted
        } == wanted  # 2 is FULL: a commit that was answered survives a power cut
    for connection in connections:
        connection.close()
    engine.dispose()


def test_a_writing_transaction_of_sqlite_begins_immediately_and_a_reading_one_does_not(tmp_path):
    engine, seen = db.make_engine(f"sqlite:///{tmp_path / 'one.sqlite3'}"), []
    sa.event.listen(engine, "connect", lambda raw, _: raw.set_trace_callback(seen.append))
    db.bind(engine)
    try:
        with db.transaction() as session:
            session.execute(sa.text("SELECT 1"))
        with db.reading() as session:
            session.execute(sa.text("SELECT 2"))
    finally:
        db.use(None)
        engine.dispose()
    began = [statement for statement in seen if not statement.startswith("PRAGMA")]
    assert began == ["BEGIN IMMEDIATE", "SELECT 1", "COMMIT", "BEGIN", "SELECT 2", "ROLLBACK"]


def test_writers_of_sqlite_wait_for_each_other(tmp_path):
    engine = db.make_engine(f"sqlite:///{tmp_path / 'one.sqlite3'}")
    db.bind(engine)
    try:
        with db.transaction() as session:
            session.execute(sa.text("CREATE TABLE numbers (n INTEGER)"))
            session.execute(sa.text("INSERT INTO numbers VALUES (0)"))

        def add() -> None:
            with db.transaction() as session:
                found = session.execute(sa.text("SELECT n FROM numbers")).scalar_one()
                time.sleep(0.005)
                session.execute(sa.text("UPDATE numbers SET n = :n"), {"n": found + 1})

        assert tools.at_once(*[add] * 8) == [None] * 8
        assert tools.number("SELECT n FROM numbers") == 8
    finally:
        db.use(None)
        engine.dispose()


@pytest.mark.asvs("16.2.5")
def test_values_are_not_in_what_the_database_complains_about(desk):
    with pytest.raises(sa.exc.DBAPIError) as caught, db.transaction() as session:
        session.execute(
            sa.text("INSERT INTO counters (name, value) VALUES (:name, :value), (:name, :value)"),
            {"name": "secret canary", "value": 1},
        )
    assert "secret canary" not in str(caught.value).split("DETAIL")[0]
    assert "hidden" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"national_id_key": "nid1"}, "uq_patients_national_id_key"),
        ({"patient_id": "LMC000001"}, "uq_patients_patient_id"),
    ],
)
def test_a_violated_constraint_has_the_same_name_on_both_databases(desk, change, name):
    tools.write("UPDATE counters SET value = 0")
    factories.make_patient(desk, national_id="NID 1")
    with db.reading() as session:
        row = dict(session.execute(sa.select(PATIENTS)).mappings().first())
    row.pop("id")
    row |= {"patient_id": "OTHER", "national_id_key": None} | change
    with pytest.raises(sa.exc.IntegrityError) as caught, db.transaction() as session:
        session.execute(sa.insert(PATIENTS), row)
    assert db.violated(caught.value) == name


def test_a_violated_check_or_missing_value_is_named_too(desk):
    for statement, name in (
        ("UPDATE accounts SET username = 'GRACE'", "ck_accounts_username_lower"),
        ("UPDATE accounts SET role = 'PATIENT'", "ck_accounts_patient_role_has_patient"),
    ):
        with pytest.raises(sa.exc.IntegrityError) as caught:
            tools.write(statement)
        assert db.violated(caught.value) == name
    with pytest.raises(sa.exc.IntegrityError) as caught:
        tools.write("UPDATE accounts SET full_name = NULL")
    assert db.violated(caught.value) in {"accounts.full_name", ""}


def test_a_transaction_is_committed_at_its_end_and_rolled_back_on_any_exception(desk):
    tools.write("UPDATE accounts SET full_name = 'Kept'")

    def fails(error: type[BaseException]) -> None:
        with db.transaction() as session:
            session.execute(sa.text("UPDATE accounts SET full_name = 'Lost'"))
            raise error

    for error in (RuntimeError, KeyboardInterrupt, GeneratorExit):
        with pytest.raises(error):
            fails(error)
    assert tools.raw("SELECT full_name FROM accounts")[0][0] == "Kept"


def test_without_a_bound_database_nothing_is_opened():
    db.use(None)
    for way in (db.transaction, db.reading):
        with pytest.raises(RuntimeError, match="no database bound"), way():
            pass


def test_listeners_are_told_from_whatever_thread_committed(desk, monkeypatch):
    told: list[str] = []
    monkeypatch.setattr(db, "_after_change", [lambda: told.append(threading.current_thread().name)])
    with db.transaction() as session:
        db.changed(session)
    with db.transaction():
        pass

    def fails() -> None:
        with db.transaction() as session:
            db.changed(session)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert told == ["MainThread"]
