"""Every field of a patient, filled in on the pages, is saved and comes back, from the registration and the profile."""

from __future__ import annotations

from typing import Any

import pytest

from clinic_app.core.settings import get_settings
from clinic_app.services.patients.forms import PATIENT_FIELDS, SECTIONS, Kind
from clinic_app.services.patients.profile import reread_patient
from clinic_app.ui import presenters
from clinic_app.ui.profile.state import ProfileState
from clinic_app.ui.registration.state import RegistrationState
from clinic_app.ui.session.form_state import DONE
from clinic_app.ui.view_models import Choice
from tests import factories

FIRST = {Kind.DATE: "15 Jan 1990", Kind.PHONE: "0712 445901", Kind.EMAIL: "first@example.org"}
OTHER = {Kind.DATE: "16 Feb 1991", Kind.PHONE: "0733 100200", Kind.EMAIL: "other@example.org"}


def _typed(by_kind: dict[Kind, str], text: str, choice: int) -> dict[str, str]:
    return {
        name: list(field.choices())[choice] if field.kind is Kind.CHOICE else by_kind.get(field.kind, f"{text} {name}")
        for name, field in PATIENT_FIELDS.items()
    }


@pytest.fixture
async def registered(tab: Any) -> str:
    """A patient registered on the page with every field filled in."""
    await tab.fire(RegistrationState.load)
    await tab.fire(RegistrationState.submit, _typed(FIRST, "First", -2))
    assert tab.state(RegistrationState).step == DONE
    return tab.state(RegistrationState).patient.patient_id


async def test_every_field_of_the_registration_is_kept(registered: str, people: Any) -> None:
    kept = presenters.typed(reread_patient(people.receptionist, registered))
    assert kept == _typed(FIRST, "First", -2)


@pytest.mark.parametrize("section", list(SECTIONS))
async def test_every_field_of_a_section_is_saved_and_no_other(
    tab: Any, people: Any, registered: str, section: str
) -> None:
    tab.at(f"/patients/{registered}", patient_id=registered)
    state = tab.state(ProfileState)
    object.__setattr__(state, "_key", lambda: registered)
    await tab.fire(ProfileState.load)
    await tab.fire(ProfileState.edit, section)
    assert dict(state.values) == _typed(FIRST, "First", -2)
    await tab.fire(ProfileState.save, _typed(OTHER, "Other", -1))
    assert state.notice == "Saved."
    wanted = {
        name: (_typed(OTHER, "Other", -1) if name in SECTIONS[section] else _typed(FIRST, "First", -2))[name]
        for name in PATIENT_FIELDS
    }
    assert presenters.typed(reread_patient(people.receptionist, registered)) == wanted
    shown = {fact.label: fact.value for fact in [*state.details, *state.contact]}
    assert all(shown[field.label] for field in PATIENT_FIELDS.values())


async def test_a_language_that_is_not_offered_any_more_stays_and_is_shown(tab, people, settings):
    done = factories.make_patient(people.receptionist, preferred_language="sw")
    settings.setenv("CLINIC_LANGUAGES", "en,fr")
    get_settings.cache_clear()
    number = done.patient.patient_id
    tab.at(f"/patients/{number}", patient_id=number)
    state = tab.state(ProfileState)
    object.__setattr__(state, "_key", lambda: number)
    await tab.fire(ProfileState.load)
    assert {fact.label: fact.value for fact in state.contact}["Preferred language"] == "Kiswahili"
    await tab.fire(ProfileState.edit, "contact")
    assert dict(state.unlisted) == {"preferred_language": Choice("sw", "Kiswahili")}
    await tab.fire(ProfileState.save, {**state.values, "address": "Elsewhere 1"})
    assert state.notice == "Saved."
    kept = reread_patient(people.receptionist, number)
    assert (kept.preferred_language, kept.address) == ("sw", "Elsewhere 1")
