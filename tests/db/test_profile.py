"""Opening and editing a record."""

from __future__ import annotations

import datetime as dt

import pytest

from clinic_app.services.patients.errors import NationalIdTaken, PatientNotFound, StaleRecord
from clinic_app.services.patients.forms import PatientUpdate
from clinic_app.services.patients.profile import reread_patient, update_patient, view_patient
from tests import factories
from tests.db import tools


@pytest.fixture
def patient(clock, desk):
    """A registered patient."""
    return factories.make_patient(desk, national_id="27840001").patient


def _update(version=None, **changes) -> PatientUpdate:
    return PatientUpdate.parse(changes, version)


@pytest.mark.parametrize("key", ["id", "patient_id", "lower"])
def test_a_record_is_opened_by_either_number(desk, patient, key):
    value = patient.patient_id.lower() if key == "lower" else getattr(patient, key)
    profile = view_patient(desk, value)
    assert (profile.id, profile.patient_id, profile.name) == (patient.id, patient.patient_id, patient.name)
    assert profile.national_id == "27840001"
    assert profile.date_of_birth == dt.date(1988, 3, 14)
    assert profile.registered_by == desk.name
    assert profile.access.status == "none"


@pytest.mark.asvs("16.3.2")
def test_opening_a_record_is_recorded_and_shown_at_once_and_reading_it_again_is_not(desk, patient):
    profile = view_patient(desk, patient.id)
    assert [event.action for event in profile.activity] == ["PATIENT_VIEWED", "PATIENT_CREATED"]
    assert profile.activity[0].actor_name == desk.name
    event = tools.trail()[-1]
    assert (event["action"], event["resource_type"], event["resource_id"]) == ("PATIENT_VIEWED", "patient", patient.id)
    before = tools.dump()
    assert reread_patient(desk, patient.id).activity == profile.activity
    assert tools.dump() == before


@pytest.mark.asvs("16.5.3")
def test_a_record_is_not_shown_when_the_look_cannot_be_recorded(desk, patient, monkeypatch):
    def broken(*_, **__):
        raise OSError

    monkeypatch.setattr("clinic_app.services.patients.profile.record", broken)
    with pytest.raises(OSError):
        view_patient(desk, patient.id)


@pytest.mark.parametrize(
    "key", [0, -1, 2**31, 2**63, "LMC999999", "", "LMC 1", "é", "\x00", "x" * 500, True, None, 1.0]
)
def test_what_is_no_patient_is_not_found(desk, patient, key):
    before = tools.dump()
    for use_case in (view_patient, reread_patient, lambda a, k: update_patient(a, k, _update(first_name="Z"))):
        with pytest.raises(PatientNotFound) as caught:
            use_case(desk, key)
        assert caught.value.detail == "No patient has this number."
    assert tools.dump() == before


def test_an_edit_changes_the_given_fields_only(clock, desk, patient):
    clock.shift(60)
    row = tools.raw("SELECT * FROM patients WHERE id = :id", id=patient.id)[0]._asdict()
    profile = update_patient(desk, patient.id, _update(phone="0733 100 200", address=""))
    assert (profile.phone, profile.address, profile.version) == ("+254733100200", None, 2)
    after = tools.raw("SELECT * FROM patients WHERE id = :id", id=patient.id)[0]._asdict()
    changed = {name for name in row if row[name] != after[name]}
    assert changed == {"phone", "address", "search_text", "updated_at", "version"}
    assert profile.updated_at == dt.datetime(2026, 6, 15, 9, 1, tzinfo=dt.UTC)
    event = tools.trail("PATIENT_UPDATED")[-1]
    assert event["metadata"] == {"patient_id": patient.patient_id, "fields": ["address", "phone"]}
    assert event["resource_id"] == patient.id
    assert profile.activity[0].action == "PATIENT_UPDATED"


def test_what_is_the_same_already_is_no_change(desk, patient):
    before = tools.dump()
    profile = update_patient(desk, patient.id, _update(first_name=patient.first_name, phone="0712445901"))
    assert profile.version == 1
    assert tools.dump() == before


def test_every_field_can_be_edited(desk, patient):
    new = {
        "first_name": "Zawadi",
        "last_name": "Njeri",
        "date_of_birth": "1/2/1970",
        "gender": "OTHER",
        "phone": "+44 20 7946 0958",
        "email": "z@example.com",
        "national_id": "NID 9",
        "address": "Elsewhere",
        "next_of_kin_name": "Otto",
        "next_of_kin_phone": "0733100200",
    }
    update_patient(desk, patient.id, PatientUpdate.parse(new))
    profile = reread_patient(desk, patient.id)
    assert {name: getattr(profile, name) for name in new} == {
        **new,
        "date_of_birth": dt.date(1970, 2, 1),
        "phone": "+442079460958",
        "next_of_kin_phone": "+254733100200",
    }
    assert tools.trail("PATIENT_UPDATED")[-1]["metadata"]["fields"] == sorted(new)


@pytest.mark.asvs("15.4.2")
def test_somebody_who_edits_an_older_version_loses_nothing_and_overwrites_nothing(desk, patient):
    seen = view_patient(desk, patient.id).version
    update_patient(desk, patient.id, _update(seen, address="New Road"))
    before = tools.dump()
    with pytest.raises(StaleRecord) as caught:
        update_patient(desk, patient.id, _update(seen, phone="0733100200"))
    assert caught.value.title == "Changed meanwhile"
    assert caught.value.detail == (
        "Somebody else changed this record while you were editing. Nothing you typed is lost."
    )
    assert tools.dump() == before
    assert update_patient(desk, patient.id, _update(seen + 1, phone="0733100200")).address == "New Road"


def test_an_edit_without_a_version_keeps_what_others_changed(desk, patient):
    update_patient(desk, patient.id, _update(address="New Road"))
    assert update_patient(desk, patient.id, _update(phone="0733100200")).address == "New Road"


def test_a_national_id_of_another_patient_is_refused(desk, patient):
    other = factories.make_patient(desk).patient
    before = tools.dump()
    with pytest.raises(NationalIdTaken) as caught:
        update_patient(desk, other.id, _update(national_id="2784-0001", first_name="Zed"))
    assert caught.value.title == "A patient with this national ID already exists."
    assert tools.dump() == before


def test_ones_own_national_id_may_be_spelt_anew(desk, patient):
    assert update_patient(desk, patient.id, _update(national_id="2784 0001")).national_id == "2784 0001"


def test_an_edit_that_cannot_be_recorded_is_not_made(desk, patient, monkeypatch):
    def broken(*_, **__):
        raise OSError

    before = tools.dump()
    monkeypatch.setattr("clinic_app.services.patients.profile.record", broken)
    with pytest.raises(OSError):
        update_patient(desk, patient.id, _update(first_name="Zed"))
    assert tools.dump() == before
