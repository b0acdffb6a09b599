"""The main job, through the services."""

from __future__ import annotations

import pytest

from clinic_app.services.accounts.errors import InvalidCredentials
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, STAFF_DOOR, sign_in
from clinic_app.services.audit import chain
from clinic_app.services.patients.forms import PatientQuery
from clinic_app.services.patients.profile import view_patient
from clinic_app.services.patients.search import list_patients
from clinic_app.services.portal.own_record import own_record
from tests import factories


def test_from_registration_to_own_record(people: factories.People) -> None:
    done = factories.make_patient(people.receptionist, first_name="Zawadi", portal_email="Zawadi@Example.org")
    assert done.message == "Patient registered successfully with portal account"
    assert done.credentials is not None
    assert done.credentials.username == "zawadi@example.org"
    assert done.patient.patient_id.startswith("LMC0000")
    assert done.patient.portal_enabled
    assert done.patient.email == "Zawadi@example.org"

    found = list_patients(people.clinician, PatientQuery(term="zawa"))
    assert [row.id for row in found.items] == [done.patient.id]
    assert found.items[0].portal == "temporary"

    with pytest.raises(InvalidCredentials):
        sign_in(STAFF_DOOR, "zawadi@example.org", done.credentials.temporary_password)
    patient = factories.own_password(done)
    assert own_record(patient).first_name == "Zawadi"
    again = sign_in(PATIENT_DOOR, "ZAWADI@example.org ", factories.OWN_PASSWORD)
    assert not again.actor.must_choose_password

    profile = view_patient(people.receptionist, done.patient.patient_id)
    assert profile.access.status == "active"
    assert [event.action for event in profile.activity][-1] == "PATIENT_CREATED"
    report = chain.verify()
    assert report.ok, report
    assert report.count > 10
