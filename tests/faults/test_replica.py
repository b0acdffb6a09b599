"""Lists and searches from a copy of the database: never older than what was committed before they were asked for."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from clinic_app.core import context, db, replica
from clinic_app.services.access import Actor
from clinic_app.services.patients.forms import PatientQuery
from clinic_app.services.patients.search import list_patients
from tests import factories
from tests.db import tools
from tests.faults.instances import Postgres, Standby, until

MOST = 1024 * 1024


@pytest.fixture(scope="module")
def standby(postgres: Postgres) -> Iterator[Standby]:
    made = Standby(postgres)
    try:
        made.start()
        yield made
    finally:
        made.remove()


@pytest.fixture
def desk(postgres: Postgres, standby: Standby, monkeypatch: pytest.MonkeyPatch) -> Iterator[Actor]:
    """A desk of the clinic whose database has this copy."""
    before = db._connect, db._queued
    engine = db.make_engine(postgres.url)
    db.bind(engine)
    monkeypatch.setattr(replica, "REST", 0.5)
    replica.bind(standby.url, MOST)
    try:
        with context.use(context.RequestContext("page", "203.0.113.7", "pytest")):
            yield factories.make_staff()
    finally:
        replica.unbind()
        db.use(before[0], queued=before[1])
        engine.dispose()


def copy() -> replica._Copy:
    assert replica._copy is not None
    return replica._copy


def found(desk: Actor, term: str) -> int:
    return list_patients(desk, PatientQuery(term, 1, 25)).total


def used(desk: Actor) -> bool:
    """Whether the copy is what a list is read from now."""
    before = copy().used
    list_patients(desk, PatientQuery("", 1, 25))
    return copy().used > before


def test_whoever_writes_reads_it_at_once_and_the_copy_is_used(desk):
    for number in range(20):
        name = f"Mirror{number}x{time.monotonic_ns()}"
        factories.make_patient(desk, first_name=name)
        assert found(desk, name) == 1
    until(lambda: used(desk), 10, "the copy")
    looks = tools.number("SELECT count(*) FROM audit_events WHERE action = 'PATIENT_LISTED'")
    assert used(desk)
    assert tools.number("SELECT count(*) FROM audit_events WHERE action = 'PATIENT_LISTED'") == looks + 1


def test_a_copy_that_stands_still_is_used_until_something_changes(desk, standby):
    until(lambda: used(desk), 10, "the copy")
    standby.sql("SELECT pg_wal_replay_pause()")
    try:
        name = f"Still{time.monotonic_ns()}"
        factories.make_patient(desk, first_name=name)
        for _ in range(3):
            assert found(desk, name) == 1
        assert not used(desk)
    finally:
        standby.sql("SELECT pg_wal_replay_resume()")
    until(lambda: used(desk), 10, "the copy")


def test_a_copy_too_far_behind_is_left_alone(desk, postgres, standby, monkeypatch):
    until(lambda: used(desk), 10, "the copy")
    standby.sql("SELECT pg_wal_replay_pause()")
    try:
        postgres.sql("CREATE TABLE filler AS SELECT repeat(md5(i::text), 100) FROM generate_series(1, 3000) AS i")
        assert used(desk)
        monkeypatch.setattr(copy(), "most", 8192)
        assert not used(desk)
        assert replica.trouble() == "It is too far behind"
        assert copy().rests()
    finally:
        standby.sql("SELECT pg_wal_replay_resume()")
        postgres.sql("DROP TABLE filler")
    until(lambda: used(desk), 10, "the copy")


def test_without_the_copy_everything_goes_on(desk, standby):
    until(lambda: used(desk), 10, "the copy")
    standby.kill()
    try:
        name = f"Gone{time.monotonic_ns()}"
        factories.make_patient(desk, first_name=name)
        assert found(desk, name) == 1
        assert copy().rests()
        assert not used(desk)
        assert replica.trouble() == "It cannot be reached"
    finally:
        standby.start()
    until(lambda: used(desk), 10, "the copy")


@pytest.mark.parametrize("which", ["the first server itself", "another database of the copy"])
def test_what_is_no_copy_is_not_read_from(desk, postgres, standby, which):
    url = postgres.url if which == "the first server itself" else standby.url.removesuffix("/postgres") + "/template1"
    replica.unbind()
    replica.bind(url, MOST)
    assert not used(desk)
    assert copy().rests()
    assert replica.trouble() == "It is no copy of this database"


@pytest.mark.slow
def test_doctor_says_whether_the_copy_would_be_used(postgres, standby, command):
    settings = {"CLINIC_DATABASE_URL": postgres.url, "CLINIC_BCRYPT_COST": "4"}
    command("migrate", **settings)
    for url, state in (("", "skipped"), (standby.url, "ok"), (postgres.url, "missing")):
        said = json.loads(command("doctor", "--json", **settings, CLINIC_READ_DATABASE_URL=url).stdout)
        (found,) = [one for one in said if one["name"] == "copy"]
        assert found["state"] == state, found


def test_what_is_wrong_with_a_search_is_wrong_without_the_copy_too(desk):
    def wrong(session):
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        replica.read(lambda _: 0, wrong)
