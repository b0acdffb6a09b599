"""Contact details that patients correct themselves: their own, by the desk's rules, and nothing else."""

from __future__ import annotations

import inspect

import pytest

from clinic_app.core.errors import InvalidInput
from clinic_app.services import rates
from clinic_app.services.patients.errors import StaleRecord
from clinic_app.services.patients.forms import PatientQuery, PatientUpdate
from clinic_app.services.patients.profile import update_patient, view_patient
from clinic_app.services.patients.search import list_patients
from clinic_app.services.portal.forms import OWN_CONTACT, OwnContactCorrection
from clinic_app.services.portal.own_contact import correct_own_contact, own_contact
from tests import factories
from tests.db import tools


def _correct(actor, version=None, **data):
    correct_own_contact(actor, OwnContactCorrection.parse(data, version or own_contact(actor).version))


def test_a_patient_corrects_their_own_contact_details_by_the_desks_rules(desk):
    made = factories.make_patient(desk, portal_email="amina@example.com")
    other = factories.make_patient(desk, phone="0712 445 901")
    actor = factories.own_password(made)
    _correct(actor, phone="0733-100 200", address="P.O. Box 412\nKisumu", sms_allowed="", preferred_language="fr")
    now = view_patient(desk, made.patient.id)
    assert (now.phone, now.address) == ("+254733100200", "P.O. Box 412\nKisumu")
    assert (now.sms_allowed, now.email_allowed, now.preferred_language) == (False, True, "fr")
    assert now.next_of_kin_name == "Peter Odhiambo"
    assert view_patient(desk, other.patient.id).phone == "+254712445901"
    assert next(iter(inspect.signature(correct_own_contact).parameters)) == "actor"


@pytest.mark.asvs("8.2.2", "8.2.3")
def test_nothing_but_contact_details_can_be_named(desk):
    assert set(OWN_CONTACT) == {
        "phone", "sms_allowed", "email_allowed", "address", "next_of_kin_name", "next_of_kin_phone",
        "preferred_language",
    }  # fmt: skip
    for name in ("first_name", "national_id", "gender", "portal_enabled", "version", "id"):
        with pytest.raises(InvalidInput) as caught:
            OwnContactCorrection.parse({name: "x"}, 1)
        assert caught.value.fields == {name: f"{name} is not a known field."}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("phone", "0712 445 901 or 0733 100 200", "Phone must be one number, not two."),
        ("next_of_kin_phone", "Peter", "Next of kin phone must not contain letters, for example 0712 123456."),
        ("address", "x" * 501, "Address must be at most 500 characters."),
        (
            "next_of_kin_name",
            "a" + "\u0301" * 5,
            "Next of kin must have at most four accents or other marks on one letter.",
        ),
        ("preferred_language", "xx", "Preferred language must be one of the clinic's languages: en, sw, fr."),
    ],
)
def test_what_the_desk_may_not_write_a_patient_may_not_either(database, field, value, words):
    with pytest.raises(InvalidInput) as caught:
        OwnContactCorrection.parse({field: value}, 1)
    assert caught.value.fields == {field: words}


@pytest.mark.asvs("16.3.2")
def test_it_is_recorded_with_the_names_of_the_fields_and_the_patient_who_did_it(desk):
    made = factories.make_patient(desk, portal_email="amina@example.com")
    actor = factories.own_password(made)
    version, before = own_contact(actor).version, tools.last_seq()
    _correct(actor, version, phone="0733 100 200", address="12 Lake Road, Kisumu")  # the address is what it was
    (event,) = tools.trail(after=before)
    assert (event["action"], event["actor_id"], event["role"]) == ("PATIENT_UPDATED", actor.account_id, "PATIENT")
    assert event["metadata"] == {"patient_id": made.patient.patient_id, "fields": ["phone"]}
    assert event["resource_id"] == made.patient.id


def test_a_form_without_a_change_is_a_look_and_no_more(desk):
    made = factories.make_patient(desk, portal_email="amina@example.com")
    actor = factories.own_password(made)
    version, before = own_contact(actor).version, tools.last_seq()
    _correct(actor, version, phone="0712445901")
    assert [event["action"] for event in tools.trail(after=before)] == ["OWN_RECORD_VIEWED"]
    assert own_contact(actor).version == version


def test_whoever_is_found_by_their_phone_is_found_by_the_new_one(desk):
    made = factories.make_patient(desk, phone="0712 000 111", portal_email="amina@example.com")
    _correct(factories.own_password(made), phone="0733 222 444")
    assert [one.id for one in list_patients(desk, PatientQuery(term="0733222444")).items] == [made.patient.id]
    assert list_patients(desk, PatientQuery(term="0712000111")).items == ()


def test_an_edit_at_the_desk_meanwhile_refuses_it_and_that_is_recorded(desk):
    made = factories.make_patient(desk, portal_email="amina@example.com")
    actor = factories.own_password(made)
    version = own_contact(actor).version
    update_patient(desk, made.patient.id, PatientUpdate.parse({"address": "Theirs"}))
    before = tools.last_seq()
    with pytest.raises(StaleRecord):
        _correct(actor, version, address="Mine")
    assert own_contact(actor).address == "Theirs"
    event = tools.trail("PATIENT_UPDATE_FAILED", after=before)[0]
    assert (event["actor_id"], event["resource_id"]) == (actor.account_id, made.patient.id)
    assert event["metadata"] == {"reason": "stale_record"}


def test_of_a_desk_and_a_patient_at_once_one_wins(own_database):
    desk = factories.make_staff()
    made = factories.make_patient(desk, portal_email="amina@example.com")
    actor = factories.own_password(made)
    version = own_contact(actor).version
    results = tools.at_once(
        lambda: _correct(actor, version, address="Mine"),
        lambda: update_patient(desk, made.patient.id, PatientUpdate.parse({"address": "Theirs"}, version)),
    )
    lost = [one for one in results if isinstance(one, Exception)]
    assert [type(one) for one in lost] == [StaleRecord]
    assert own_contact(actor).version == version + 1


def test_corrections_are_limited(people, change_setting):
    change_setting("CLINIC_API_RATE_FACTOR", "1")
    rates.rates.cache_clear()
    for number in range(10):
        _correct(people.patient, address=f"Plot {number}")
    with pytest.raises(rates.TooManyRequests):
        _correct(people.patient, address="Plot 11")
    assert own_contact(people.patient).address == "Plot 9"
    rates.rates.cache_clear()
