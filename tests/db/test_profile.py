"""Opening and editing a record."""

from __future__ import annotations

import datetime as dt

import pytest

from clinic_app.core.errors import Unexpected
from clinic_app.services.patients.activity import all_activity
from clinic_app.services.patients.birth_dates import BirthDate
from clinic_app.services.patients.errors import NationalIdTaken, PatientNotFound, StaleRecord
from clinic_app.services.patients.forms import PatientUpdate
from clinic_app.services.patients.profile import ACTIVITY, reread_patient, update_patient, view_patient
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
    assert profile.date_of_birth == BirthDate(dt.date(1988, 3, 14))
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

    monkeypatch.setattr("clinic_app.services.audit.recording.record", broken)
    with pytest.raises(OSError):
        view_patient(desk, patient.id)


@pytest.mark.parametrize(
    "key", [0, -1, 2**31, 2**63, "LMC999999", "", "LMC 1", "é", "\x00", "x" * 500, True, None, 1.0]
)
def test_what_is_no_patient_is_not_found(desk, patient, key):
    before = tools.dump()
    for use_case in (view_patient, reread_patient):
        with pytest.raises(PatientNotFound) as caught:
            use_case(desk, key)
        assert caught.value.detail == "No patient has this number."
    assert tools.dump() == before
    with pytest.raises(PatientNotFound):
        update_patient(desk, key, _update(first_name="Z"))
    assert tools.dump(without=tools.TRAIL) == {name: rows for name, rows in before.items() if name not in tools.TRAIL}


def test_an_edit_changes_the_given_fields_only(clock, desk, patient):
    clock.shift(60)
    row = tools.raw("SELECT * FROM patients WHERE id = :id", id=patient.id)[0]._asdict()
    profile = update_patient(desk, patient.id, _update(phone="0733 100 200", address=""))
    assert (profile.phone, profile.address, profile.version) == ("+254733100200", None, 2)
    after = tools.raw("SELECT * FROM patients WHERE id = :id", id=patient.id)[0]._asdict()
    changed = {name for name in row if row[name] != after[name]}
    assert changed == {"phone", "address", "search_keys", "search_words", "updated_at", "version"}
    assert profile.updated_at == dt.datetime(2026, 6, 15, 9, 1, tzinfo=dt.UTC)
    event = tools.trail("PATIENT_UPDATED")[-1]
    assert event["metadata"] == {"patient_id": patient.patient_id, "fields": ["address", "phone"]}
    assert event["resource_id"] == patient.id
    assert profile.activity[0].action == "PATIENT_UPDATED"


def test_what_is_the_same_already_is_no_change(desk, patient):
    before, seq = tools.dump(without=tools.TRAIL), tools.last_seq()
    profile = update_patient(desk, patient.id, _update(first_name=patient.first_name, phone="0712445901"))
    assert profile.version == 1
    assert tools.dump(without=tools.TRAIL) == before
    assert [event["action"] for event in tools.trail(after=seq)] == ["PATIENT_VIEWED"]  # the answer shows the record


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
        "date_of_birth": BirthDate(dt.date(1970, 2, 1)),
        "phone": "+442079460958",
        "next_of_kin_phone": "+254733100200",
    }
    assert tools.trail("PATIENT_UPDATED")[-1]["metadata"]["fields"] == sorted(new)


@pytest.mark.asvs("15.4.2")
def test_somebody_who_edits_an_older_version_loses_nothing_and_overwrites_nothing(desk, patient):
    seen = view_patient(desk, patient.id).version
    update_patient(desk, patient.id, _update(seen, address="New Road"))
    before = tools.dump(without=tools.TRAIL)
    with pytest.raises(StaleRecord) as caught:
        update_patient(desk, patient.id, _update(seen, phone="0733100200"))
    assert caught.value.title == "Changed meanwhile"
    assert caught.value.detail == (
        "Somebody else changed this record while you were editing. Nothing you typed is lost."
    )
    assert tools.dump(without=tools.TRAIL) == before
    assert update_patient(desk, patient.id, _update(seen + 1, phone="0733100200")).address == "New Road"


def test_an_edit_without_a_version_keeps_what_others_changed(desk, patient):
    update_patient(desk, patient.id, _update(address="New Road"))
    assert update_patient(desk, patient.id, _update(phone="0733100200")).address == "New Road"


def test_a_national_id_of_another_patient_is_refused(desk, patient):
    other, seq = factories.make_patient(desk).patient, tools.last_seq()
    before = tools.dump(without=tools.TRAIL)
    with pytest.raises(NationalIdTaken) as caught:
        update_patient(desk, other.id, _update(national_id="2784-0001", first_name="Zed"))
    assert caught.value.title == "A patient with this national ID already exists."
    assert tools.dump(without=tools.TRAIL) == before
    (event,) = tools.trail(after=seq)  # the answer says that somebody here has that number
    assert (event["action"], event["outcome"]) == ("PATIENT_UPDATE_FAILED", "failure")
    assert (event["resource_id"], event["metadata"]) == (other.id, {"reason": "national_id_taken"})


def test_ones_own_national_id_may_be_spelt_anew(desk, patient):
    assert update_patient(desk, patient.id, _update(national_id="2784 0001")).national_id == "2784 0001"


def test_an_edit_that_cannot_be_recorded_is_not_made(desk, patient, monkeypatch):
    def broken(*_, **__):
        raise OSError

    before = tools.dump()
    monkeypatch.setattr("clinic_app.services.patients.profile.record", broken)
    monkeypatch.setattr("clinic_app.services.audit.authorization.record", broken)
    with pytest.raises(Unexpected):
        update_patient(desk, patient.id, _update(first_name="Zed"))
    assert tools.dump() == before


# --- activity -------------------------------------------------------------------------------------


def test_edits_that_were_refused_do_not_push_out_what_was_changed(desk, patient):
    update_patient(desk, patient.id, _update(address="New Road"))
    for _ in range(13):
        with pytest.raises(StaleRecord):
            update_patient(desk, patient.id, _update(99, phone="0733100200"))
    for _ in range(ACTIVITY):
        view_patient(desk, patient.id)
    told = [event.action for event in view_patient(desk, patient.id).activity]
    assert "PATIENT_UPDATED" in told


def test_changes_are_found_behind_many_looks(desk, patient):
    update_patient(desk, patient.id, PatientUpdate.parse({"address": "Elsewhere 1"}))
    for _ in range(ACTIVITY + 5):
        seen = view_patient(desk, patient.id).activity
    assert [event.action for event in seen] == ["PATIENT_VIEWED"] * ACTIVITY + ["PATIENT_UPDATED", "PATIENT_CREATED"]
    assert [event.seq for event in seen] == sorted({event.seq for event in seen}, reverse=True)


def test_each_event_is_there_once_whether_there_are_few_or_just_enough(desk, patient):
    for looks in range(1, ACTIVITY + 2):
        seen = view_patient(desk, patient.id).activity
        assert [event.action for event in seen].count("PATIENT_VIEWED") == min(looks, ACTIVITY)
        assert seen[-1].action == "PATIENT_CREATED"
        assert len({event.seq for event in seen}) == len(seen)


def test_all_of_it_is_read_without_a_look_of_its_own(desk, patient):
    for _ in range(ACTIVITY + 5):
        view_patient(desk, patient.id)
    before = tools.last_seq()
    assert len(all_activity(desk, patient.patient_id)) == ACTIVITY + 6
    assert tools.last_seq() == before
    with pytest.raises(PatientNotFound):
        all_activity(desk, "LMC999999")
