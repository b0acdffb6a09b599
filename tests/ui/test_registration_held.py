"""*Patient registration* beside who may be registered already."""

from __future__ import annotations

import pytest

from clinic_app.core.errors import Unavailable
from clinic_app.ui.registration import state as registration
from clinic_app.ui.registration.state import RegistrationState
from clinic_app.ui.session.form_state import DONE, INPUT
from tests import factories
from tests.db import tools
from tests.ui.conftest import Desk

INTENT = "0123456789abcdef" * 2
TYPED = {"first_name": "Zacharia", "last_name": "Okemwa", "date_of_birth": "7/3/1984", "phone": "0712 345 678"}


@pytest.fixture
def there(people):
    return factories.make_patient(people.receptionist, **TYPED).patient


@pytest.fixture
async def form(tab: Desk, there) -> RegistrationState:
    tab.at("/patients/new")
    await tab.fire(RegistrationState.load)
    return tab.state(RegistrationState)


async def _type(tab: Desk, **values: str) -> None:
    for name, value in values.items():
        await tab.fire(RegistrationState.typing, name, value)


def _shown() -> int:
    return sum(row["metadata"].get("kind") == "possible_duplicates" for row in tools.trail("PATIENT_LISTED"))


async def test_who_it_may_be_appears_while_somebody_types_and_is_recorded_once(tab, form, there):
    await _type(tab, first_name="Zacharia")
    assert form.matches == []
    await _type(tab, last_name="Okemwah", date_of_birth="7/3/1984")
    (match,) = form.matches
    assert (match.patient_id, match.strong, form.held) == (there.patient_id, True, "")
    assert [chip.words for chip in match.chips if chip.near] == ["Last name, one letter off"]
    await tab.fire(RegistrationState.check, "phone", "0712 345 678")
    assert form.matches[0].chips[-1].words == "Phone"
    assert _shown() == 1
    await _type(tab, first_name="Mary", last_name="Akoth", date_of_birth="1/1/1950", phone="")
    assert form.matches == []


async def test_a_likely_duplicate_holds_the_form_until_it_is_said_to_be_somebody_else(tab, form, there):
    sent = {**TYPED, "intent": f"{INTENT}-1"}
    before = tools.number("SELECT count(*) FROM patients")
    await tab.fire(RegistrationState.submit, sent)
    assert (form.step, form.held, form.failure, form.errors) == (INPUT, str(there.id), "", {})
    assert tools.number("SELECT count(*) FROM patients") == before
    await tab.fire(RegistrationState.submit, {**sent, "intent": f"{INTENT}-2"})  # sent again: asked again
    assert form.held
    await tab.fire(RegistrationState.submit, {**sent, "despite": form.held, "intent": f"{INTENT}-3"})
    assert form.step == DONE
    assert tools.trail("PATIENT_CREATED")[-1]["metadata"]["registered_anyway"] == [there.patient_id]
    assert (form.matches, form.held) == ([], "")


@pytest.mark.parametrize("junk", ["", "0", "x", "999999999999", ",,", "-1", "1e9", 7, None, ["1"]])
async def test_nobody_else_may_be_meant(tab, form, there, junk):
    await tab.fire(RegistrationState.submit, {**TYPED, "despite": junk, "intent": f"{INTENT}-1"})
    assert form.step == INPUT
    assert form.held == str(there.id)


async def test_another_person_in_the_form_is_held_by_nobody(tab, form, there):
    await tab.fire(RegistrationState.submit, {**TYPED, "intent": f"{INTENT}-1"})
    await _type(tab, first_name="Mercy", last_name="Chebet", date_of_birth="1/2/2001", phone="")
    assert (form.held, form.matches) == ("", [])


async def test_an_answer_that_does_not_come_leaves_the_form_alone(tab, form, there, monkeypatch):
    def busy(*_, **__):
        raise Unavailable

    monkeypatch.setattr(registration, "possible_duplicates", busy)
    await _type(tab, first_name="Zacharia", last_name="Okemwa")
    assert (form.unknown, form.failure, form.matches) == (True, "", [])
