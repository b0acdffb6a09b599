"""Possible duplicates: who is found, how sure, why; and the keys that find them."""

from __future__ import annotations

import pytest
from sqlalchemy import delete

from clinic_app.core import db
from clinic_app.models.match_keys import MATCH_KEYS
from clinic_app.services.patients.duplicates import Comparable, Grade, index, likely_matches
from clinic_app.services.patients.forms import PatientDetails, PatientUpdate
from clinic_app.services.patients.profile import update_patient
from tests import factories
from tests.db import tools


def _ask(**details):
    with db.reading() as session:
        return likely_matches(session, PatientDetails.parse(details))


KNOWN = {
    "first_name": "Zacharia",
    "last_name": "Okemwa",
    "date_of_birth": "1984-03-07",
    "phone": "0712345678",
    "email": "zach@example.com",
    "gender": "MALE",
}


@pytest.fixture
def known(desk):
    return factories.make_patient(desk, **KNOWN).patient


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "Name"),
        ({"first_name": "Zakaria"}, "First name, nearly the same"),
        ({"first_name": "Okemwa", "last_name": "Zacharia"}, "Names, in another order"),
        ({"date_of_birth": "1984-07-03"}, "Date of birth, day and month swapped"),
        ({"date_of_birth": "1984-03-17"}, "Date of birth, one digit off"),
        ({"date_of_birth": "1984"}, "Date of birth, as far as known"),
        ({"last_name": "Okemwah", "phone": ""}, "Last name, one letter off"),
        ({"date_of_birth": "", "email": ""}, "Phone"),
    ],
)
def test_the_same_person_is_a_strong_match_with_its_reasons(known, changes, reason):
    (found,) = _ask(**{**KNOWN, **changes})
    assert found.id == known.id
    assert found.grade.strong
    assert reason in found.reasons


def test_names_and_birth_date_alone_are_never_certain(known):
    names = {name: KNOWN[name] for name in ("first_name", "last_name", "date_of_birth", "gender")}
    (found,) = _ask(**names)
    assert found.grade is Grade.LIKELY
    (found,) = _ask(**names, phone=KNOWN["phone"])
    assert found.grade is Grade.CERTAIN


def test_names_alone_hold_nobody(known):
    assert not any(one.grade.strong for one in _ask(first_name="Zacharia", last_name="Okemwa"))


def test_twins_are_no_strong_match(known):
    for first in ("Joseph", "Zipporah"):
        found = _ask(**{**KNOWN, "first_name": first})
        assert [one.grade for one in found] == [Grade.POSSIBLE]


def test_keys_follow_an_edit(desk, known):
    update_patient(desk, known.id, PatientUpdate.parse({"first_name": "Peter", "date_of_birth": "1990-01-15"}))
    assert not _ask(first_name="Zacharia", last_name="Omondi", date_of_birth="1984-03-07")
    (found,) = _ask(first_name="Peter", last_name="Okemwa", date_of_birth="1990-01-15")
    assert found.id == known.id


def test_who_is_left_out_is_not_asked_about(known):
    with db.reading() as session:
        assert not likely_matches(session, Comparable("Zacharia", "Okemwa", None), leave_out=[known.id])


def test_keys_made_anew_are_those_that_were_kept(desk, known):
    factories.make_patient(desk, first_name="Amina", last_name="Odhiambo")
    kept = tools.raw("SELECT key, patient_id FROM match_keys ORDER BY key, patient_id")
    with db.transaction() as session:
        session.execute(delete(MATCH_KEYS))
        assert index.rebuild(session) == 2
    assert tools.raw("SELECT key, patient_id FROM match_keys ORDER BY key, patient_id") == kept
