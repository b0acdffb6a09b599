"""A patient's own record, and nobody else's."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

from clinic_app.core.errors import AuthenticationRequired, PermissionDenied
from clinic_app.services.access import ANONYMOUS
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from clinic_app.services.patients.forms import PatientUpdate
from clinic_app.services.patients.profile import update_patient, view_patient
from clinic_app.services.portal.own_record import own_record
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


def test_who_looked_is_not_hidden_by_ones_own_looks_and_it_is_said_when_there_were_more(people):
    made = factories.make_patient(people.receptionist, portal_email="amina@example.com")
    actor = factories.own_password(made)
    for _ in range(65):
        own = own_record(actor)
    assert [look.who for look in own.viewings] == ["Grace Wanjiru"]
    assert not own.viewed_before
    for _ in range(10):
        view_patient(people.clinician, made.patient.id)
    own = own_record(actor)
    assert [look.who for look in own.viewings] == ["Dr Achieng"] * 10
    assert own.viewed_before


@pytest.mark.asvs("16.3.2")
def test_looking_at_the_own_record_is_recorded(desk):
    made = factories.make_patient(desk, portal_email="amina@example.com")
    own_record(factories.own_password(made))
    event = tools.trail()[-1]
    assert (event["action"], event["role"], event["resource_id"]) == ("OWN_RECORD_VIEWED", "PATIENT", made.patient.id)
