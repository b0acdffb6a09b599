"""Statements run by the driver itself mean what they mean to SQLAlchemy, on both databases."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa

from clinic_app.core import clock, db
from clinic_app.core.prepared import Prepared
from clinic_app.models.audit import AUDIT_EVENTS
from clinic_app.models.patients import COUNTERS, PATIENTS, Counter, Patient
from tests import factories
from tests.db import tools

PATIENTS, COUNTERS, EVENTS = PATIENTS, COUNTERS, AUDIT_EVENTS
FIND = sa.select(PATIENTS).where(PATIENTS.c.id == sa.bindparam("key"))
ADD = Prepared(sa.insert(COUNTERS).values(name=sa.bindparam("name"), value=sa.bindparam("value")))


@pytest.fixture
def patient(people):
    made = factories.make_patient(people.receptionist, date_of_birth="14/3/1988", email="a@example.org")
    return made.patient.id


def test_rows_are_those_of_sqlalchemy_types_and_all(patient):
    with db.reading() as session:
        usual = session.execute(FIND, {"key": patient}).one()
        ours = Prepared(FIND).one_or_none(session, key=patient)
    assert ours._asdict() == dict(usual._mapping)
    assert ours.date_of_birth == dt.date(1988, 3, 14)
    assert ours.created_at.tzinfo is dt.UTC
    assert ours.is_active is True


def test_what_is_written_is_read_the_same(patient):
    now = clock.now().astimezone(dt.timezone(dt.timedelta(hours=3)))
    move = sa.update(PATIENTS).where(PATIENTS.c.id == sa.bindparam("key")).values(updated_at=sa.bindparam("at"))
    with db.transaction() as session:
        Prepared(move).run(session, key=patient, at=now)
    with db.reading() as session:
        assert session.get(Patient, patient).updated_at == now
        metadata = Prepared(sa.select(EVENTS.c.metadata).order_by(EVENTS.c.seq)).all(session)
    assert all(isinstance(row.metadata, dict) for row in metadata)


def test_nothing_found_is_none_or_an_empty_list(database):
    with db.glance() as connection:
        assert Prepared(FIND).one_or_none(connection, key=0) is None
        assert Prepared(FIND).all(connection, key=0) == []


def test_errors_are_sqlalchemys_and_keep_the_values_to_themselves(database):
    with db.transaction() as session:
        ADD.run(session, name="secret-name", value=1)
    with pytest.raises(sa.exc.IntegrityError) as caught, db.transaction() as session:
        ADD.run(session, name="secret-name", value=2)
    assert db.violated(caught.value) in {"pk_counters", "uq_counters_name"}
    assert caught.value.hide_parameters
    assert caught.value.params is None
    assert tools.number("SELECT value FROM counters WHERE name = 'secret-name'") == 1


def test_a_value_left_out_is_an_error(database):
    with db.transaction() as session, pytest.raises((KeyError, sa.exc.ProgrammingError)):
        ADD.run(session, name="alone")


def test_it_is_a_part_of_its_transaction(database):
    def fails() -> None:
        with db.transaction() as session:
            ADD.run(session, name="gone", value=1)
            session.add(Counter(name="gone too", value=2))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert tools.number("SELECT count(*) FROM counters WHERE name LIKE 'gone%'") == 0


def test_whoever_counts_statements_counts_these_too(database):
    with tools.statements() as seen, db.reading() as session:
        Prepared(FIND).one_or_none(session, key=1)
    assert len(seen) == 1
    assert "FROM patients" in seen[0]
