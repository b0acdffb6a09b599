"""The trail as a file: the right events, no formulas, flat memory, and on record before anything is read out."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import tracemalloc
from dataclasses import replace

import pytest
import sqlalchemy as sa

from clinic_app.core import clock, context, csv_safe, db
from clinic_app.core.errors import InvalidInput, ReauthenticationRequired
from clinic_app.models.audit import AUDIT_EVENTS
from clinic_app.services.access import SYSTEM
from clinic_app.services.audit import chain
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.browsing import AuditQuery, browse_audit
from clinic_app.services.audit.exporting import HEADER, export_audit
from clinic_app.services.audit.forms import audit_query
from clinic_app.services.audit.recording import record
from clinic_app.services.patients.profile import view_patient
from tests import factories
from tests.db import tools


@pytest.fixture
def people(people):
    """The administrator has just signed in."""
    return replace(people, admin=replace(people.admin, proved_at=clock.now()))


def read(export) -> list[dict[str, str]]:
    text = "".join(export.pieces)
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert tuple(rows[0]) == HEADER
    return [dict(zip(HEADER, map(csv_safe.original, row), strict=True)) for row in rows[1:]]


def test_an_export_has_every_event_whole_oldest_first(people):
    expected = tools.trail()
    export = export_audit(people.admin, AuditQuery())
    rows = read(export)
    assert len(rows) == export.count == len(expected)
    assert [int(row["seq"]) for row in rows] == list(range(1, len(expected) + 1))
    for row, event in zip(rows, expected, strict=True):
        assert (row["action"], row["outcome"], row["role"]) == (event["action"], event["outcome"], event["role"])
        assert json.loads(row["metadata"]) == event["metadata"]
        assert row["hash"] == event["hash"]
    by_people = [row for row in rows if row["actor"] == "account"]
    assert all(row["actor_username"] and row["actor_name"] for row in by_people)
    created = next(row for row in rows if row["action"] == "PATIENT_CREATED")
    assert created["patient_id"].startswith("LMC")
    assert dt.datetime.fromisoformat(created["at"]).tzinfo is not None


def test_the_export_is_on_record_before_its_first_line(people):
    seq = tools.trail()[-1]["seq"]
    query = audit_query(
        {"since": "2026-06-01", "until": "2026-06-18", "actor": people.admin.username, "action": "SIGNED_IN"}
    )
    export = export_audit(people.admin, query)
    (event,) = tools.trail(after=seq)  # nothing has been read from it yet
    assert (event["action"], event["actor_id"], event["outcome"]) == (
        "AUDIT_EXPORTED",
        people.admin.account_id,
        "success",
    )
    assert event["metadata"] == {
        "filters": {
            "since": "2026-05-31T21:00:00+00:00",
            "until": "2026-06-18T21:00:00+00:00",
            "actor_id": people.admin.account_id,
            "action": "SIGNED_IN",
        },
        "count": export.count,
        "through": 0 if not export.count else event["metadata"]["through"],
    }
    assert chain.verify().ok


def test_what_was_typed_as_a_filter_is_not_recorded(people):
    export_audit(people.admin, AuditQuery(actor="a password typed here", patient="CANARY99"))
    assert tools.trail()[-1]["metadata"]["filters"] == {"actor_id": None, "patient": None}


def test_nothing_leaves_if_it_cannot_be_recorded(people, monkeypatch):
    def broken(*_args, **_more):
        raise OSError

    monkeypatch.setattr("clinic_app.services.audit.exporting.record", broken)
    with pytest.raises(OSError):
        export_audit(people.admin, AuditQuery())


@pytest.mark.asvs("7.5.3")
@pytest.mark.parametrize("age", [None, dt.timedelta(minutes=6), -dt.timedelta(minutes=1)])
def test_an_export_needs_fresh_proof_of_who_it_is(people, age):
    stale = replace(people.admin, proved_at=None if age is None else clock.now() - age)
    seq = tools.trail()[-1]["seq"]
    with pytest.raises(ReauthenticationRequired):
        export_audit(stale, AuditQuery())
    assert "AUDIT_EXPORTED" not in {event["action"] for event in tools.trail(after=seq)}


def test_filters_choose_what_the_page_shows(people):
    done = factories.make_patient(people.receptionist)
    view_patient(people.clinician, done.patient.patient_id)
    for data in (
        {"action": "PATIENT_VIEWED"},
        {"patient": done.patient.patient_id},
        {"patient": done.patient.patient_id.lower()},
        {"actor": people.clinician.username},
        {"outcome": "failure"},
        {"since": "2999-01-01"},
        {"until": "2001-01-01"},
    ):
        query = audit_query(data, page_size=100)
        shown = [event.seq for event in browse_audit(people.admin, query).items]
        exported = [int(row["seq"]) for row in read(export_audit(people.admin, query))]
        newer = [seq for seq in exported if seq not in shown]
        assert exported[: len(exported) - len(newer)] == shown[::-1], data
    rows = read(export_audit(people.admin, audit_query({"patient": done.patient.patient_id})))
    assert {row["patient_id"] for row in rows} == {done.patient.patient_id}
    assert {row["action"] for row in rows} == {"PATIENT_CREATED", "PATIENT_VIEWED"}


def test_days_are_the_clinics_and_both_are_included(people, settings):
    query = audit_query({"since": "2026-06-15", "until": "2026-06-15"})
    assert query.since == dt.datetime(2026, 6, 14, 21, tzinfo=dt.UTC)  # Nairobi is three hours ahead
    assert query.until == dt.datetime(2026, 6, 15, 21, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"since": "yesterday"}, "since"),
        ({"until": "31/12/2026"}, "until"),
        ({"since": "0001-01-01"}, "since"),
        ({"since": "9999-12-31"}, "since"),
        ({"since": "2026-06-18", "until": "2026-06-17"}, "until"),
        ({"actor": "x" * 255}, "actor"),
        ({"actor": "a\nb"}, "actor"),
        ({"action": "PATIENT_EATEN"}, "action"),
        ({"outcome": "maybe"}, "outcome"),
        ({"patient": "LMC 1"}, "patient"),
        ({"patient": "x" * 21}, "patient"),
        ({"patient": "١٢٣"}, "patient"),
    ],
)
def test_a_filter_that_makes_no_sense_is_named(data, field):
    with pytest.raises(InvalidInput) as caught:
        audit_query(data)
    assert list(caught.value.fields) == [field]


@pytest.mark.parametrize("junk", [None, 7, ["x"], {"a": 1}, True])
def test_any_client_may_send_anything_as_a_filter(junk):
    names = ("since", "until", "actor", "action", "patient", "outcome")
    assert audit_query(dict.fromkeys(names, junk)) == AuditQuery()


@pytest.mark.asvs("1.2.10")
def test_no_cell_of_an_export_is_a_formula(people):
    evil = '=HYPERLINK("http://evil.example","x")'
    with context.use(context.RequestContext("api", "-2+3", evil, "+1234567")), db.transaction() as session:
        record(session, SYSTEM, Action.SIGNED_IN, details={"=1+1": "@SUM(A1)"})
    text = "".join(export_audit(people.admin, AuditQuery()).pieces)
    for row in csv.reader(io.StringIO(text, newline="")):
        assert not [value for value in row if value.startswith(tuple("=+-@\t\r\n＝＋－＠"))]
    assert '"\'=HYPERLINK(""http://evil.example"",""x"")"' in text
    last = read(export_audit(people.admin, AuditQuery(action="SIGNED_IN")))[-1]
    assert (last["user_agent"], last["address"], last["request_id"]) == (evil, "-2+3", "+1234567")


def test_events_of_the_meantime_are_left_out_and_memory_stays_flat(own_database):
    with db.transaction() as session:
        record(session, SYSTEM, Action.PATIENT_VIEWED, resource_type="patient", resource_id=1)
        row = dict(session.execute(sa.select(AUDIT_EVENTS)).mappings().one())
        many = [{**row, "seq": seq, "metadata": {"fields": ["x" * 300]}} for seq in range(2, 6001)]
        session.execute(sa.insert(AUDIT_EVENTS), [{**one, "details": one.pop("metadata")} for one in many])
        session.execute(sa.text("UPDATE audit_head SET seq = 6000"))
    del many
    export = export_audit(SYSTEM, AuditQuery())
    export_audit(SYSTEM, AuditQuery())
    tracemalloc.start()
    try:
        size = sum(len(piece) for piece in export.pieces)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert export.count == 6000
    assert size > 3_000_000
    assert most < size / 2
