"""A patient's own record, and nobody else's."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

from clinic_app.core.errors import AuthenticationRequired, PermissionDenied, TooManyAttempts
from clinic_app.services import rates
from clinic_app.services.access import ANONYMOUS
from clinic_app.services.accounts.errors import WrongPassword
from clinic_app.services.accounts.sign_in_throttle import PER_SESSION
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from clinic_app.services.patients.card import patient_card
from clinic_app.services.patients.forms import PATIENT_FIELDS, PatientUpdate
from clinic_app.services.patients.merge_forms import MergeRequest
from clinic_app.services.patients.merging import merge_patients, undo_merge
from clinic_app.services.patients.profile import update_patient, view_patient
from clinic_app.services.portal.forms import OwnContactCorrection
from clinic_app.services.portal.own_contact import correct_own_contact, own_contact
from clinic_app.services.portal.own_record import VIEWINGS, download_own_record, own_record, own_viewings
from clinic_app.services.portal.own_words import field_words, look_words, looker, message_words
from tests import factories
from tests.db import tools


@pytest.mark.asvs("8.2.2")
def test_a_patient_sees_the_own_record_and_only_that(desk):
    one = factories.make_patient(desk, first_name="Zawadi", portal_email="zawadi@example.com")
    other = factories.make_patient(desk, first_name="Baraka", portal_email="baraka@example.com")
    first, second = factories.own_password(one), factories.own_password(other)
    assert own_record(first).patient_id == one.patient.patient_id
    assert own_record(first).first_name == "Zawadi"
    assert own_record(second).patient_id == other.patient.patient_id
    assert list(inspect.signature(own_record).parameters) == ["actor"]  # nothing to ask for another's with
    assert "Baraka" not in str(own_record(first))


@pytest.mark.asvs("8.2.3", "14.2.6")
def test_the_own_record_holds_what_the_clinic_wrote_but_not_its_inner_numbers(desk):
    actor = factories.own_password(factories.make_patient(desk, portal_email="amina@example.com"))
    record = dataclasses.asdict(own_record(actor))
    assert record["phone"] == "+254712445901"
    assert record["next_of_kin_name"] == "Peter Odhiambo"
    assert not {"id", "national_id", "version", "registered_by", "account_id"} & set(record)


def test_a_temporary_password_opens_no_record(desk):
    made = factories.make_patient(desk, portal_email="amina@example.com")
    actor = sign_in(PATIENT_DOOR, "amina@example.com", made.credentials.temporary_password).actor
    with pytest.raises(PermissionDenied) as caught:
        own_record(actor)
    assert caught.value.detail == "Choose a password of your own first."
    event = tools.trail()[-1]
    assert (event["action"], event["resource_id"]) == ("ACCESS_DENIED", made.patient.id)
    assert tools.trail("OWN_RECORD_VIEWED") == []


def test_nobody_and_staff_have_no_own_record(desk):
    with pytest.raises(AuthenticationRequired):
        own_record(ANONYMOUS)
    with pytest.raises(PermissionDenied):
        own_record(desk)


def test_a_patient_sees_who_looked_at_the_record_newest_first(people):
    made = factories.make_patient(people.receptionist, portal_email="zawadi@example.com")
    actor = factories.own_password(made)
    view_patient(people.clinician, made.patient.id)
    update_patient(people.admin, made.patient.id, PatientUpdate.parse({"phone": "0733100200"}))
    with pytest.raises(PermissionDenied):
        view_patient(people.patient, made.patient.id)
    seen = own_record(actor).viewings
    assert [(look.who, look.role, look.action) for look in seen] == [
        ("Daniel Otieno", "ADMIN", "PATIENT_UPDATED"),
        ("Dr Achieng", "CLINICIAN", "PATIENT_VIEWED"),
        ("Grace Wanjiru", "RECEPTIONIST", "PATIENT_CREATED"),
    ]


def test_who_looked_is_not_hidden_by_ones_own_looks_and_it_is_said_how_many_there_are(people):
    made = factories.make_patient(people.receptionist, portal_email="amina@example.org")
    actor = factories.own_password(made)
    for _ in range(65):
        own = own_record(actor)
    assert [look.who for look in own.viewings] == ["Grace Wanjiru"]
    assert own.viewed == 1
    for _ in range(10):
        view_patient(people.clinician, made.patient.id)
    own = own_record(actor)
    assert [look.who for look in own.viewings] == ["Dr Achieng"] * VIEWINGS
    assert own.viewed == 11


def test_all_who_looked_are_on_pages_none_twice_and_none_missing(people, monkeypatch):
    monkeypatch.setattr("clinic_app.services.portal.own_record.ON_A_PAGE", 3)
    made = factories.make_patient(people.receptionist, portal_email="amina@example.org")
    actor = factories.own_password(made)
    for _ in range(5):
        view_patient(people.clinician, made.patient.id)
        view_patient(people.receptionist, factories.make_patient(people.receptionist).patient.id)  # another's
    pages, before = [], 0
    while True:
        page = own_viewings(actor, before)
        pages.append([look.action for look in page.looks])
        view_patient(people.admin, made.patient.id)  # what comes meanwhile moves nothing
        if not page.before:
            break
        before = page.before
    assert pages == [["PATIENT_VIEWED"] * 3, ["PATIENT_VIEWED", "PATIENT_VIEWED", "PATIENT_CREATED"]]
    assert [event["action"] for event in tools.trail()[-2:]] == ["OWN_RECORD_VIEWED", "PATIENT_VIEWED"]


def test_looks_at_a_record_that_was_merged_into_theirs_are_looks_at_theirs(people, monkeypatch):
    monkeypatch.setattr("clinic_app.services.portal.own_record.ON_A_PAGE", 3)
    first, second, made = (
        factories.make_patient(people.receptionist, portal_email=f"amina{number}@example.org") for number in range(3)
    )
    actor = factories.own_password(made)
    view_patient(people.clinician, first.patient.id)
    assert own_record(actor).viewed == 1
    merge_patients(people.admin, first.patient.id, MergeRequest(second.patient.patient_id))
    merge_patients(people.admin, second.patient.id, MergeRequest(made.patient.patient_id))
    own = own_record(actor)
    looks, before = [], 0
    while True:
        page = own_viewings(actor, before)
        looks += [(look.who, look.action) for look in page.looks]
        before = page.before
        if not before:
            break
    assert looks == [
        ("Daniel Otieno", "PATIENT_MERGED"),
        ("Daniel Otieno", "PATIENT_MERGED"),
        ("Dr Achieng", "PATIENT_VIEWED"),
        *[("Grace Wanjiru", "PATIENT_CREATED")] * 3,
    ]
    assert own.viewed == len(looks)
    undo_merge(people.admin, second.patient.id)
    assert [look.action for look in own_viewings(actor).looks] == [
        "PATIENT_MERGE_UNDONE", "PATIENT_MERGED", "PATIENT_CREATED",
    ]  # fmt: skip


def test_nobody_elses_viewings_are_reached_by_a_number(desk):
    one = factories.make_patient(desk, portal_email="zawadi@example.com")
    other = factories.own_password(factories.make_patient(desk, portal_email="baraka@example.com"))
    view_patient(desk, one.patient.id)
    mine = own_viewings(other).looks
    for number in (1, tools.last_seq(), tools.last_seq() + 1, 2**62):
        found = own_viewings(other, number).looks
        assert {look.seq for look in found} <= {look.seq for look in mine}


def test_what_was_done_is_said_in_words_that_a_patient_understands(people):
    made = factories.make_patient(people.receptionist, portal_email="amina@example.org")
    actor = factories.own_password(made)
    patient_card(people.clinician, made.patient.id)
    update_patient(people.admin, made.patient.id, PatientUpdate.parse({"phone": "0733100200", "address": "Plot 5"}))
    correct_own_contact(actor, OwnContactCorrection.parse({"sms_allowed": ""}, own_contact(actor).version))
    said = [f"{looker(look)} {look_words(look)}" for look in own_viewings(actor).looks]
    assert said == [
        "You changed your choice of messages",
        "Daniel Otieno, administration, changed your phone number and address",
        "Dr Achieng, clinician, opened your patient card",
        "Grace Wanjiru, reception, registered you and gave you this sign-in",
    ]


def test_every_field_of_a_record_has_words_for_its_change():
    assert field_words(["address", "phone", "next_of_kin_name"]) == "phone number, address and next of kin"
    assert field_words(["first_name", "last_name"]) == "name"
    assert field_words([]) == field_words(["no such field"]) == "details"
    for name in PATIENT_FIELDS:
        assert field_words([name]) not in ("details", ""), name


@pytest.mark.asvs("16.3.2")
def test_looking_at_the_own_record_is_recorded(desk):
    made = factories.make_patient(desk, portal_email="amina@example.com")
    own_record(factories.own_password(made))
    event = tools.trail()[-1]
    assert (event["action"], event["role"], event["resource_id"]) == ("OWN_RECORD_VIEWED", "PATIENT", made.patient.id)


# --- taking it home -------------------------------------------------------------------------------


def test_a_download_holds_every_viewing_and_is_recorded(people):
    made = factories.make_patient(people.receptionist, portal_email="amina@example.org")
    actor = factories.own_password(made)
    for _ in range(5):
        view_patient(people.clinician, made.patient.id)
    done = download_own_record(actor, factories.OWN_PASSWORD)
    assert [look.who for look in done.record.viewings] == ["Dr Achieng"] * 5 + ["Grace Wanjiru"]
    assert not done.left_out
    event = tools.trail()[-1]
    assert (event["action"], event["resource_id"]) == ("OWN_RECORD_DOWNLOADED", made.patient.id)
    assert tools.trail("PATIENT_VIEWED", after=event["seq"] - 1) == []
    again = download_own_record(actor, factories.OWN_PASSWORD)
    assert again.record.viewings[0].action == "OWN_RECORD_DOWNLOADED"
    assert again.record.viewings[0].own


def test_a_file_has_room_for_so_many_viewings_and_says_that_there_are_more(people, monkeypatch):
    monkeypatch.setattr("clinic_app.services.portal.own_record.IN_A_FILE", 2)
    made = factories.make_patient(people.receptionist, portal_email="amina@example.org")
    actor = factories.own_password(made)
    for _ in range(2):
        view_patient(people.clinician, made.patient.id)
    done = download_own_record(actor, factories.OWN_PASSWORD)
    assert (len(done.record.viewings), done.left_out) == (2, True)


def test_a_download_holds_what_was_sent_and_nothing_of_others(change_setting, desk):
    change_setting("CLINIC_SMTP_HOST", "mail.clinic.example")
    one = factories.own_password(factories.make_patient(desk, portal_email="amina@example.org"))
    factories.make_patient(desk, portal_email="baraka@example.org")
    assert download_own_record(one, factories.OWN_PASSWORD).messages == ()  # not sent yet
    tools.write("UPDATE outbox_messages SET state = 'SENT', ended_at = created_at")
    found = download_own_record(one, factories.OWN_PASSWORD).messages
    assert [message_words(message) for message in found] == [
        "Notice of a changed password, by email to amina@example.org",
        "Invitation, by email to amina@example.org",
    ]


def test_a_wrong_password_downloads_nothing_and_counts_as_when_confirming(people, clock):
    with pytest.raises(WrongPassword):
        download_own_record(people.patient, "not my password")
    assert [event["action"] for event in tools.trail()[-1:]] == ["CONFIRM_FAILED"]
    for _ in range(PER_SESSION - 1):
        with pytest.raises(WrongPassword):
            download_own_record(people.patient, "not my password")
    with pytest.raises(TooManyAttempts):
        download_own_record(people.patient, factories.OWN_PASSWORD)
    assert tools.trail("OWN_RECORD_DOWNLOADED") == []


def test_the_hash_is_compared_outside_of_transactions(people, hashing):
    download_own_record(people.patient, factories.OWN_PASSWORD)
    assert hashing.checked
    assert hashing.inside == []


def test_downloads_are_limited(people, change_setting):
    change_setting("CLINIC_API_RATE_FACTOR", "1")
    rates.rates.cache_clear()
    for _ in range(5):
        download_own_record(people.patient, factories.OWN_PASSWORD)
    with pytest.raises(rates.TooManyRequests):
        download_own_record(people.patient, factories.OWN_PASSWORD)
    rates.rates.cache_clear()
