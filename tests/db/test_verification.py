"""Whoever registered themselves waits for the desk: seen, made a patient, linked to one, or rejected, once."""

from __future__ import annotations

import datetime as dt

import pytest

from clinic_app.core import clock as app_clock
from clinic_app.core.errors import InvalidInput
from clinic_app.services.accounts.housekeeping import tidy
from clinic_app.services.patients.errors import (
    AlreadyDecided,
    LinkNotUndone,
    NationalIdTaken,
    NobodyWaits,
    RecordNotInUse,
    SomebodyAlike,
    StaleRecord,
)
from clinic_app.services.patients.forms import PatientQuery, PatientUpdate
from clinic_app.services.patients.merge_forms import MergeRequest
from clinic_app.services.patients.merging import merge_patients
from clinic_app.services.patients.overview import overview
from clinic_app.services.patients.profile import update_patient, view_patient
from clinic_app.services.patients.search import list_patients
from clinic_app.services.patients.verification import (
    Rejection,
    count_waiting,
    everybody_on,
    last_link,
    link_registration,
    list_pending,
    list_waiting,
    reject_registration,
    undo_link,
    verify_patient,
)
from tests import factories
from tests.db import tools

OTHER = Rejection("OTHER")


def _row(person: int):
    return tools.raw("SELECT * FROM self_registrations WHERE id = :id", id=person - 2**30)[0]


def test_whoever_waits_is_no_patient_and_takes_no_number(desk):
    person = factories.registered_themselves()
    assert tools.number("SELECT count(*) FROM patients") == 0
    (waits,) = list_pending(desk).items
    assert (waits.id, waits.patient_id, waits.name) == (person, "", "Esther Wangari")
    assert waits.verification_status == "PENDING"
    assert list_patients(desk, PatientQuery(term="Esther")).total == 0
    first = factories.make_patient(desk).patient.patient_id
    done = verify_patient(desk, person)
    assert int(done.patient_id[3:]) == int(first[3:]) + 1  # those who wait leave no gaps


def test_what_was_typed_is_kept_encrypted_until_the_desk_decides(desk):
    person = factories.registered_themselves(email="esther@example.org", date_of_birth="about 1991")
    assert "sther" not in str(_row(person))
    (waits,) = list_waiting(desk).items
    assert (waits.details.email, waits.details.date_of_birth.iso, waits.email_confirmed) == (
        "esther@example.org",
        "1991",
        True,
    )
    verify_patient(desk, person)
    assert _row(person).details == ""


def test_verified_they_are_a_patient_with_all_they_typed_and_found(desk):
    typed = {
        "date_of_birth": "5 May 2003",
        "email": "e@example.org",
        "preferred_language": "sw",
        "national_id": "33 90",
    }
    before = tools.last_seq()
    done = verify_patient(desk, factories.registered_themselves(**typed))
    record = view_patient(desk, done.id)
    assert (record.email, record.national_id, record.preferred_language) == ("e@example.org", "33 90", "sw")
    assert (record.verification_status, record.registered_by) == ("VERIFIED", desk.name)
    assert list_patients(desk, PatientQuery(term="Wangari")).items[0].id == done.id
    assert [event["action"] for event in tools.trail(after=before)][:3] == [
        "SELF_REGISTERED",
        "PATIENT_VERIFIED",
        "PATIENT_CREATED",
    ]
    assert count_waiting(desk) == 0


def test_verifying_twice_changes_nothing(desk):
    person = factories.registered_themselves()
    done = verify_patient(desk, person)
    before = tools.number("SELECT count(*) FROM patients")
    assert verify_patient(desk, person).patient_id == done.patient_id
    assert tools.number("SELECT count(*) FROM patients") == before


def test_a_national_id_of_somebody_else_is_said_and_may_be_left_out(desk):
    factories.make_patient(desk, national_id="3390 2214")
    person = factories.registered_themselves(national_id="33902214")
    with pytest.raises(NationalIdTaken):
        verify_patient(desk, person)
    assert _row(person).state == "WAITING"
    assert verify_patient(desk, person, without_national_id=True).national_id is None


def test_the_line_has_the_longest_waiting_first_patients_from_before_too(desk, clock):
    clock.shift(-7200)
    early = factories.registered_themselves(first_name="Early")
    clock.shift(3600)
    patient = factories.make_patient(desk, first_name="Between").patient
    tools.write("UPDATE patients SET verification_status = 'PENDING' WHERE id = :id", id=patient.id)
    clock.shift(3600)
    late = factories.registered_themselves(first_name="Late")
    line = list_waiting(desk)
    assert [one.id for one in line.items] == [early, patient.id, late]
    assert [one.id for one in list_pending(desk).items] == [early, patient.id, late]
    assert (overview(desk).waiting, count_waiting(desk)) == (3, 3)
    assert overview(desk).waiting_since == line.items[0].since
    changed = update_patient(desk, patient.id, PatientUpdate({"address": "12 Lake Road"}))
    with pytest.raises(StaleRecord):
        verify_patient(desk, patient.id, version=line.items[1].version)
    assert verify_patient(desk, patient.id, version=changed.version).verification_status == "VERIFIED"


def test_whom_they_may_be_stands_beside_them_and_the_look_is_recorded(desk):
    known = factories.make_patient(
        desk, first_name="Esther", last_name="Wangari", phone="0745 313872", date_of_birth="5 May 2003"
    ).patient
    factories.registered_themselves(date_of_birth="5 May 2003")
    before = tools.last_seq()
    page = list_waiting(desk)
    (found,) = page.items[0].matches
    assert (found.match.patient.id, found.match.grade, found.version) == (known.id, "certain", 1)
    assert found.match.reasons
    (event,) = tools.trail("PATIENT_LISTED", after=before)
    assert event["metadata"] == {"kind": "pending", "page": 1, "count": 1, "matches": 1}
    list_waiting(desk, again=everybody_on(page))
    assert len(tools.trail("PATIENT_LISTED", after=before)) == 1
    factories.registered_themselves(first_name="Another")
    list_waiting(desk, again=everybody_on(page))
    assert len(tools.trail("PATIENT_LISTED", after=before)) == 2


def test_somebody_alike_who_was_not_shown_holds_a_verification(desk):
    person = factories.registered_themselves(date_of_birth="5 May 2003")
    known = factories.make_patient(
        desk, first_name="Esther", last_name="Wangari", phone="0745 313872", date_of_birth="5 May 2003"
    ).patient
    with pytest.raises(SomebodyAlike):
        verify_patient(desk, person, despite=[])
    before = tools.last_seq()
    verify_patient(desk, person, despite=[known.id])
    (event,) = tools.trail("PATIENT_VERIFIED", after=before)
    assert event["metadata"]["not_the_same"] == [known.patient_id]


# --- link -------------------------------------------------------------------------------------------


def _known(desk, **changes):
    nothing = {"phone": "", "email": "", "national_id": "", "gender": "", "preferred_language": "", "address": ""}
    return factories.make_patient(
        desk, **{**nothing, "first_name": "Esther", "last_name": "Wangari", **changes}
    ).patient


def test_a_link_fills_in_what_the_record_does_not_know_and_nothing_else(desk):
    known = _known(desk, phone="0733 118204", address="Old Road")
    person = factories.registered_themselves(email="e@example.org", national_id="3390 2214")
    before = tools.last_seq()
    done = link_registration(desk, person, known.patient_id, version=known.version)
    assert (set(done.added), done.kept) == ({"email", "national_id", "gender"}, ("phone",))
    record = view_patient(desk, known.id)
    assert (record.email, record.national_id, record.phone, record.address) == (
        "e@example.org",
        "3390 2214",
        known.phone,
        "Old Road",
    )
    assert (record.first_name, count_waiting(desk)) == ("Esther", 0)
    (event,) = tools.trail("REGISTRATION_LINKED", after=before)
    assert (event["resource_id"], sorted(event["metadata"]["fields"])) == (known.id, sorted(done.added))
    assert list_patients(desk, PatientQuery(term="3390 2214")).items[0].id == known.id


def test_an_undone_link_waits_again_and_takes_back_what_nobody_changed_since(desk):
    known = _known(desk)
    person = factories.registered_themselves(email="e@example.org", national_id="3390 2214")
    link_registration(desk, person, known.id)
    update_patient(desk, known.id, PatientUpdate({"email": "own@example.org"}))
    undo_link(desk, person)
    record = view_patient(desk, known.id)
    assert (record.email, record.national_id, record.phone, record.gender) == ("own@example.org", None, None, "UNKNOWN")
    assert [one.id for one in list_waiting(desk).items] == [person]
    with pytest.raises(LinkNotUndone):
        undo_link(desk, person)


def test_a_link_is_final_after_a_day_and_what_was_typed_is_gone(desk, clock):
    known = _known(desk)
    person = factories.registered_themselves()
    link_registration(desk, person, known.id)
    clock.shift(dt.timedelta(hours=24).total_seconds())
    with pytest.raises(LinkNotUndone):
        undo_link(desk, person)
    tidy()
    assert tools.number("SELECT count(*) FROM self_registrations") == 0
    with pytest.raises(NobodyWaits):
        undo_link(desk, person)


def test_what_somebody_linked_last_is_told_them_as_it_was_while_it_can_be_undone(desk, people, clock):
    known = _known(desk, phone="0733 118204")
    assert last_link(desk) is None
    first = link_registration(desk, factories.registered_themselves(email="e@example.org"), known.id)
    before = tools.last_seq()
    assert last_link(desk) == first
    (look,) = tools.trail("PATIENT_VIEWED", after=before)
    assert (look["resource_id"], look["metadata"]) == (known.id, {"page": "outcome of a press"})
    assert last_link(people.admin) is None  # somebody else's
    clock.shift(60)
    update_patient(desk, known.id, PatientUpdate({"email": "own@example.org"}))
    assert last_link(desk) == first  # also where the record has changed since
    second = link_registration(desk, factories.registered_themselves(national_id="3390 2214"), known.id)
    assert last_link(desk) == second
    undo_link(desk, second.id)
    assert last_link(desk) == first
    clock.shift((dt.timedelta(hours=24) - dt.timedelta(seconds=61)).total_seconds())
    assert last_link(desk) == first
    clock.shift(1)
    before = tools.last_seq()
    assert last_link(desk) is None
    assert tools.trail("PATIENT_VIEWED", after=before) == []


def test_a_link_to_a_record_that_was_merged_since_is_not_offered_to_be_undone(desk):
    known, stays = _known(desk), _known(desk)
    link_registration(desk, factories.registered_themselves(), known.id)
    merge_patients(desk, known.id, MergeRequest(stays.patient_id))
    assert last_link(desk) is None


def test_a_national_id_that_a_third_person_has_is_left_out(desk):
    factories.make_patient(desk, national_id="3390-2214")
    known = _known(desk)
    done = link_registration(desk, factories.registered_themselves(national_id="3390 2214"), known.id)
    assert "national_id" in done.kept
    assert view_patient(desk, known.id).national_id is None


def test_a_record_that_was_changed_or_turned_off_meanwhile_is_not_linked_to(desk):
    known = _known(desk)
    person = factories.registered_themselves()
    update_patient(desk, known.id, PatientUpdate({"address": "12 Lake Road"}))
    with pytest.raises(StaleRecord):
        link_registration(desk, person, known.id, version=known.version)
    tools.write("UPDATE patients SET is_active = false WHERE id = :id", id=known.id)
    with pytest.raises(RecordNotInUse):
        link_registration(desk, person, known.id)
    assert count_waiting(desk) == 1


# --- reject -----------------------------------------------------------------------------------------


def test_a_rejected_registration_is_forgotten_and_why_stays_in_the_trail(desk, clock):
    person = factories.registered_themselves(email="e@example.org")
    before = tools.last_seq()
    assert (
        reject_registration(desk, person, Rejection.parse({"reason": "TWICE", "words": "Was here"})) == "Esther Wangari"
    )
    row = _row(person)
    assert (row.state, row.details, row.email_digest, row.reason) == ("REJECTED", "", None, "TWICE")
    (event,) = tools.trail("REGISTRATION_REJECTED", after=before)
    assert event["metadata"] == {"reason": "Registered twice", "words": "Was here"}
    assert tools.number("SELECT count(*) FROM outbox_messages") == 0
    clock.shift(dt.timedelta(days=91).total_seconds())
    tidy()
    assert tools.number("SELECT count(*) FROM self_registrations") == 0


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({}, "reason"),
        ({"reason": "BECAUSE"}, "reason"),
        ({"reason": 7}, "reason"),
        ({"reason": "OTHER", "words": "x" * 151}, "words"),
    ],
)
def test_why_is_one_of_four(typed, field):
    with pytest.raises(InvalidInput) as refused:
        Rejection.parse(typed)
    assert list(refused.value.fields) == [field]


def test_what_one_desk_decided_another_is_told(desk):
    other = factories.make_staff(username="second", name="Daniel Otieno")
    known = _known(desk)
    linked, rejected = factories.registered_themselves(), factories.registered_themselves()
    link_registration(desk, linked, known.id)
    reject_registration(desk, rejected, OTHER)
    at = f"{app_clock.local(app_clock.now()):%H:%M}"[:4]
    with pytest.raises(AlreadyDecided) as told:
        verify_patient(other, linked)
    assert told.value.detail.startswith(f"Grace Wanjiru linked it to {known.patient_id} today at {at}")
    with pytest.raises(AlreadyDecided) as told:
        link_registration(other, rejected, known.id)
    assert told.value.detail.startswith("Grace Wanjiru rejected it today at ")
    for key in (2**30 + 9999, 17, 2**30, "LMC000001", True):
        with pytest.raises(NobodyWaits):
            reject_registration(desk, key, OTHER)


# --- at once ----------------------------------------------------------------------------------------


@pytest.mark.races
def test_of_several_desks_that_decide_at_once_one_does(own_database):
    desks = [factories.make_staff(username=f"desk{n}") for n in range(4)]
    known = _known(desks[0])
    for round_ in range(3):
        person = factories.registered_themselves(first_name=f"Esther{'abc'[round_]}", phone=f"0745 31387{round_}")
        results = tools.at_once(
            lambda person=person: verify_patient(desks[0], person),
            lambda person=person: verify_patient(desks[1], person),
            lambda person=person: link_registration(desks[2], person, known.id),
            lambda person=person: reject_registration(desks[3], person, OTHER),
        )
        refused = [one for one in results if isinstance(one, AlreadyDecided)]
        failed = [one for one in results if isinstance(one, BaseException) and not isinstance(one, AlreadyDecided)]
        assert failed == []
        state = _row(person).state
        assert len(refused) == (2 if state == "VERIFIED" else 3)  # verifying twice changes nothing
        made = tools.number("SELECT count(*) FROM patients WHERE first_name LIKE :name", name=f"Esther{'abc'[round_]}")
        assert made == (1 if state == "VERIFIED" else 0)


@pytest.mark.races
def test_of_two_registrations_of_one_person_verified_at_once_one_becomes_a_patient(own_database):
    desks = [factories.make_staff(username=f"desk{n}") for n in range(2)]
    people = [
        ("Esther", "Wangari", "5 May 2003"),
        ("Zebedayo", "Nyamweya", "1/2/1950"),
        ("Halima", "Yusuf", "9/9/1979"),
    ]
    for number, (name, last_name, born) in enumerate(people):
        who = {"first_name": name, "last_name": last_name, "date_of_birth": born, "phone": f"0745 31387{number}"}
        first, second = factories.registered_themselves(**who), factories.registered_themselves(**who)
        results = tools.at_once(
            lambda first=first: verify_patient(desks[0], first, despite=[]),
            lambda second=second: verify_patient(desks[1], second, despite=[]),
        )
        assert sorted(type(one).__name__ for one in results) == ["PatientProfile", "SomebodyAlike"]
        assert tools.number("SELECT count(*) FROM patients WHERE first_name = :one", one=name) == 1
