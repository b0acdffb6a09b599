"""The audit trail as administrators read it: who by their usernames, when by the clinic's clock."""

from __future__ import annotations

import time_machine

from clinic_app.services.access import SYSTEM
from clinic_app.services.accounts import staff
from clinic_app.services.audit.browsing import AuditQuery
from clinic_app.services.audit.exporting import export_audit
from clinic_app.services.audit.forms import audit_query
from clinic_app.services.patients.forms import PatientQuery
from clinic_app.services.patients.profile import view_patient
from clinic_app.services.patients.search import list_patients
from clinic_app.ui.audit_trail.state import AuditTrailState
from tests import factories


async def _rows(desk, people):
    desk.sign_in(people.admin)
    await desk.fire(AuditTrailState.load)
    return list(desk.state(AuditTrailState).rows)


async def test_a_row_says_whose_account_it_was_and_whose_it_is_about(desk, people):
    staff.change_role(people.admin, people.clinician.account_id, "RECEPTIONIST")
    row = next(row for row in await _rows(desk, people) if row.what == "Staff account role changed")
    assert (row.who, row.username, row.about) == (people.admin.name, people.admin.username, people.clinician.username)


async def test_somebody_not_signed_in_and_the_system_have_no_username(desk, people):
    export_audit(SYSTEM, AuditQuery())
    row = next(row for row in await _rows(desk, people) if row.what == "Audit trail exported")
    assert (row.who, row.username) == ("The system", "")


async def test_the_filters_of_an_export_are_read_by_name_and_by_the_clinics_days(desk, people):
    with time_machine.travel("2026-06-16 08:00:00+00:00", tick=False):
        asked = audit_query({"since": "2026-06-01", "until": "2026-06-02", "actor": people.clinician.username})
        export_audit(SYSTEM, asked)
    row = next(row for row in await _rows(desk, people) if row.what == "Audit trail exported")
    facts = {fact.label: fact.value for fact in row.facts}
    assert facts["Filters"] == (
        f"From: 1 Jun 2026, 00:00; Before: 3 Jun 2026, 00:00; Account: {people.clinician.username}"
    )
    assert facts["Time"].startswith("16 Jun 2026, 11:00:00")


async def test_an_export_of_nobodys_events_is_read_too(desk, people):
    export_audit(SYSTEM, audit_query({"actor": "nobody.at.all"}))
    row = next(row for row in await _rows(desk, people) if row.what == "Audit trail exported")
    assert {fact.label: fact.value for fact in row.facts}["Filters"] == "Account: None"


async def test_an_event_about_a_patient_names_the_patient(desk, people):
    done = factories.make_patient(people.receptionist)
    row = next(row for row in await _rows(desk, people) if row.what == "Patient registered")
    assert (row.about, row.href) == (done.patient.patient_id, f"/patients/{done.patient.patient_id}")


async def test_looks_in_a_row_are_one_group_and_each_event_is_behind_it(desk, people):
    patients = [factories.make_patient(people.receptionist).patient for _ in range(3)]
    for one in (*patients, patients[0]):
        view_patient(people.clinician, one.id)
        list_patients(people.clinician, PatientQuery())
    view_patient(people.receptionist, patients[0].id)
    rows = await _rows(desk, people)
    assert [(row.what, row.times, row.username) for row in rows[:3]] == [
        ("Patient record opened", 1, people.receptionist.username),
        ("Listed patients 4 times", 4, people.clinician.username),
        ("Opened 3 profiles, 4 times in all", 4, people.clinician.username),
    ]
    assert (rows[2].about, rows[2].facts) == ("", [])
    await desk.fire(AuditTrailState.open, rows[2].seq)
    state = desk.state(AuditTrailState)
    assert state.is_open is False
    assert [row.about for row in state.rows[2:6]] == [
        one.patient_id for one in (patients[0], patients[2], patients[1], patients[0])
    ]
    await desk.fire(AuditTrailState.open, state.rows[3].seq)
    assert (state.is_open, state.opened.about) == (True, patients[2].patient_id)


async def test_who_asks_for_one_action_sees_each_event(desk, people):
    for _ in range(3):
        list_patients(people.clinician, PatientQuery())
    desk.sign_in(people.admin)
    await desk.fire(AuditTrailState.apply, {"action": "PATIENT_LISTED"})
    assert [row.times for row in desk.state(AuditTrailState).rows] == [1, 1, 1]
