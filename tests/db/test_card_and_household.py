"""What leaves a record by other doors than its page: the patient card, and a relative's registration."""

from __future__ import annotations

import pytest

from clinic_app.services.audit import recording
from clinic_app.services.patients.card import patient_card
from clinic_app.services.patients.errors import PatientNotFound
from clinic_app.services.patients.household import household_of
from tests import factories
from tests.db import tools


@pytest.fixture
def patient(desk):
    """Somebody with everything filled in."""
    return factories.make_patient(
        desk,
        first_name="Amina",
        last_name="Odhiambo",
        date_of_birth="14/3/1988",
        phone="0712 445 901",
        address="P.O. Box 412\nKisumu",
        next_of_kin_name="Peter Odhiambo",
        next_of_kin_phone="0722 910 448",
    ).patient


def test_a_card_has_the_name_the_birth_date_and_the_patient_id(desk, patient):
    found = patient_card(desk, patient.patient_id)
    assert (found.patient_id, found.name, found.born) == (patient.patient_id, "Amina Odhiambo", "14 Mar 1988")


def test_without_a_birth_date_the_card_has_none(desk):
    done = factories.make_patient(desk, date_of_birth=None)
    assert patient_card(desk, done.patient.id).born == ""


@pytest.mark.parametrize("known", ["1960", "Mar 1960", "about 1991"])
def test_a_card_says_no_more_of_a_birth_date_than_is_known(desk, known):
    done = factories.make_patient(desk, date_of_birth=known)
    assert patient_card(desk, done.patient.id).born == known


def test_a_household_shares_phone_address_and_next_of_kin_as_they_are_typed(desk, patient):
    found = household_of(desk, patient.patient_id)
    assert (found.patient.id, found.patient.name) == (patient.id, "Amina Odhiambo")
    assert found.values == {
        "phone": "0712 445901",
        "address": "P.O. Box 412\nKisumu",
        "next_of_kin_name": "Peter Odhiambo",
        "next_of_kin_phone": "0722 910448",
    }


def test_what_is_not_recorded_is_not_shared(desk):
    done = factories.make_patient(desk, phone=None, address=None, next_of_kin_name="Only Kin", next_of_kin_phone=None)
    assert household_of(desk, done.patient.id).values == {"next_of_kin_name": "Only Kin"}


@pytest.mark.parametrize(("use_case", "page"), [(patient_card, "card"), (household_of, "registration")])
def test_each_is_a_look_that_says_where_and_nothing_is_shown_without_it(desk, patient, use_case, page, monkeypatch):
    before = tools.last_seq()
    use_case(desk, patient.id)
    (row,) = tools.trail(after=before)
    assert (row["action"], row["resource_id"], row["metadata"]) == ("PATIENT_VIEWED", patient.id, {"page": page})
    with pytest.raises(PatientNotFound):
        use_case(desk, "LMC999999")

    def broken(*_, **__):
        raise OSError

    monkeypatch.setattr(recording, "record", broken)
    with pytest.raises(OSError):
        use_case(desk, patient.id)
