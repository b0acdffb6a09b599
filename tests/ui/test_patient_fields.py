"""Every field of a patient, filled in on the pages, is saved and comes back, from the registration and the profile."""

from __future__ import annotations

from typing import Any

import pytest

from clinic_app.core.settings import get_settings
from clinic_app.services.accounts.drafts import save_draft
from clinic_app.services.patients.forms import PATIENT_FIELDS, SECTIONS, Kind
from clinic_app.services.patients.profile import reread_patient
from clinic_app.services.portal.own_record import own_record
from clinic_app.ui import presenters
from clinic_app.ui.profile.state import ProfileState
from clinic_app.ui.registration.state import RegistrationState
from clinic_app.ui.session.form_state import DONE
from clinic_app.ui.view_models import Choice
from tests import factories

FIRST = {Kind.DATE: "15 Jan 1990", Kind.PHONE: "0712 445901", Kind.EMAIL: "first@example.org", Kind.TICK: ""}
OTHER = {Kind.DATE: "about 1991", Kind.PHONE: "0733 100200", Kind.EMAIL: "other@example.org", Kind.TICK: "on"}


def _typed(by_kind: dict[Kind, str], text: str, choice: int) -> dict[str, str]:
    found = {
        name: list(field.choices())[choice] if field.kind is Kind.CHOICE else by_kind.get(field.kind, f"{text} {name}")
        for name, field in PATIENT_FIELDS.items()
    }
    return {**found, "single_name": ""}  # there is a last name


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
    await tab.fire(ProfileState.edit, registered, section)
    assert dict(state.values) == _typed(FIRST, "First", -2)
    await tab.fire(ProfileState.save, registered, section, state.version, _typed(OTHER, "Other", -1))
    assert state.notice == "Saved."
    wanted = {
        name: (_typed(OTHER, "Other", -1) if name in SECTIONS[section] else _typed(FIRST, "First", -2))[name]
        for name in PATIENT_FIELDS
    }
    assert presenters.typed(reread_patient(people.receptionist, registered)) == wanted
    shown = {fact.label: fact.value for fact in [*state.details, *state.contact]}
    ticks = {"single_name", "email_allowed", "sms_allowed"}
    assert all(shown[field.label] for name, field in PATIENT_FIELDS.items() if name not in ticks)
    assert shown["Messages"] == {"contact": "By email and phone", "details": "None may be sent"}[section]


async def test_an_empty_form_allows_messages_and_a_tick_taken_away_refuses_them(tab: Any, people: Any) -> None:
    await tab.fire(RegistrationState.load)
    state = tab.state(RegistrationState)
    assert (state.values["email_allowed"], state.values["sms_allowed"]) == ("on", "on")
    save_draft(people.receptionist, "registration", "b" * 32, {"first_name": "Asha", "sms_allowed": ""})
    await tab.fire(RegistrationState.load)
    await tab.fire(RegistrationState.another)
    (offer,) = state.offers
    await tab.fire(RegistrationState.go_on, offer.instance)
    assert (state.values["email_allowed"], state.values["sms_allowed"]) == ("on", "")
    await tab.fire(RegistrationState.submit, {"first_name": "Asha", "last_name": "Ali", "email_allowed": True})
    kept = reread_patient(people.receptionist, state.patient.patient_id)
    assert (kept.email_allowed, kept.sms_allowed) == (True, False)


@pytest.mark.parametrize(
    ("email", "phone", "words"),
    [
        (True, True, "By email and phone"),
        (True, False, "By email only"),
        (False, True, "By phone only"),
        (False, False, "None may be sent"),
    ],
)
def test_where_messages_may_go_is_said_to_the_desk_and_to_the_patient(database, people, email, phone, words):
    ticks = {"email_allowed": email, "sms_allowed": phone}
    made = factories.make_patient(people.receptionist, portal_email="where@example.org", **ticks)
    desks = presenters.contact(reread_patient(people.receptionist, made.patient.id))
    for facts in (desks, presenters.own_contact(own_record(factories.own_password(made)))):
        assert [fact.value for fact in facts if fact.label == "Messages"] == [words]


async def test_somebody_with_one_name_is_registered_and_given_a_second_one_later(tab: Any, people: Any) -> None:
    await tab.fire(RegistrationState.load)
    one = {"first_name": "Suharto", "single_name": True, "date_of_birth": "35 years"}  # the last name is switched off
    await tab.fire(RegistrationState.submit, one)
    registration = tab.state(RegistrationState)
    assert (registration.step, registration.patient.name, registration.patient.initials) == (DONE, "Suharto", "S")
    number = registration.patient.patient_id
    tab.at(f"/patients/{number}", patient_id=number)
    state = tab.state(ProfileState)
    object.__setattr__(state, "_key", lambda: number)
    await tab.fire(ProfileState.load)
    assert state.person.name == "Suharto"
    assert [fact.label for fact in state.details][:2] == ["First name", "Date of birth"]
    await tab.fire(ProfileState.edit, number, "details")
    assert (state.values["last_name"], state.values["single_name"]) == ("", "on")
    await tab.fire(
        ProfileState.save, number, "details", state.version, {**state.values, "single_name": "", "last_name": " "}
    )
    assert dict(state.errors) == {"last_name": "Last name is required."}
    await tab.fire(ProfileState.check, "single_name", "")  # on ticking it again
    assert dict(state.errors) == {}
    await tab.fire(
        ProfileState.save, number, "details", state.version, {**state.values, "single_name": "", "last_name": "Sastro"}
    )
    assert (state.notice, state.person.name) == ("Saved.", "Suharto Sastro")
    await tab.fire(ProfileState.edit, number, "details")
    given = {name: value for name, value in state.values.items() if name != "last_name"}
    await tab.fire(ProfileState.save, number, "details", state.version, {**given, "single_name": "on"})
    assert (state.notice, state.person.name) == ("Saved.", "Suharto")
    assert state.activity[0].what == "Last name and has one name only changed by Grace Wanjiru"
    kept = reread_patient(people.receptionist, number)
    assert (kept.first_name, kept.last_name, kept.single_name) == ("Suharto", "", True)


@pytest.mark.parametrize(
    ("record", "typed", "begins"),
    [
        ({"last_name": "", "single_name": True}, {"last_name": "Sastro", "single_name": ""}, ("Sastro", "")),
        ({"last_name": "Sastro"}, {"last_name": "", "single_name": "on"}, ("", "on")),
        ({"last_name": "Sastro"}, {"first_name": "S"}, ("Sastro", "")),
    ],
)
async def test_an_unsaved_edit_of_the_names_is_gone_on_with_as_it_was(tab, people, record, typed, begins):
    number = factories.make_patient(people.receptionist, first_name="Suharto", **record).patient.patient_id
    save_draft(people.receptionist, f"profile-{number}-details", "a" * 32, typed)
    tab.at(f"/patients/{number}", patient_id=number)
    state = tab.state(ProfileState)
    object.__setattr__(state, "_key", lambda: number)
    await tab.fire(ProfileState.load)
    await tab.fire(ProfileState.edit, number, "details")
    before = dict(state.values)
    assert (before["first_name"], before["last_name"]) == ("Suharto", record["last_name"])
    (offer,) = state.offers
    assert (offer.instance, offer.name) == ("a" * 32, state.person.name)
    await tab.fire(ProfileState.go_on, number, "details", offer.instance)
    assert (state.values["last_name"], state.values["single_name"]) == begins
    assert {name: state.values[name] for name in before if name not in typed} == {
        name: before[name] for name in before if name not in typed
    }
    assert (state.offers, state.continues != offer.instance, len(state.continues)) == ([], True, 32)


async def test_a_tick_leaves_a_last_name_that_a_script_did_not_switch_off_out(tab: Any) -> None:
    await tab.fire(RegistrationState.load)
    await tab.fire(RegistrationState.submit, {"first_name": "Sukarno", "last_name": "Left", "single_name": "on"})
    assert tab.state(RegistrationState).patient.name == "Sukarno"


@pytest.mark.parametrize(
    ("typed", "shown"),
    [("1960", "1960"), ("Mar 1960", "Mar 1960"), ("14/3/1988", "14 Mar 1988"), ("about 1960", "about 1960 (")],
)
def test_patients_see_of_themselves_what_is_known_and_nothing_for_a_missing_name(database, people, typed, shown):
    made = factories.make_patient(
        people.receptionist,
        first_name="Suharto",
        last_name="",
        single_name=True,
        date_of_birth=typed,
        portal_email="own@example.org",
    )
    details = presenters.own_details(own_record(factories.own_password(made)))
    facts = {fact.label: fact.value for fact in details}
    assert list(facts) == ["Name", "Patient ID", "Date of birth", "Gender"]
    assert facts["Name"] == "Suharto"
    assert facts["Date of birth"].startswith(shown)
    assert facts["Date of birth"].endswith(" y)") == typed.startswith("about")


@pytest.mark.parametrize("tick", [None, "", False, 1, "yes", ["on"], {}])
async def test_a_last_name_is_asked_for_unless_the_tick_is_set(tab: Any, tick: Any) -> None:
    await tab.fire(RegistrationState.load)
    await tab.fire(RegistrationState.submit, {"first_name": "Sukarno", "last_name": "", "single_name": tick})
    assert dict(tab.state(RegistrationState).errors) == {"last_name": "Last name is required."}


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
    await tab.fire(ProfileState.edit, number, "contact")
    assert dict(state.unlisted) == {"preferred_language": Choice("sw", "Kiswahili")}
    await tab.fire(ProfileState.save, number, "contact", state.version, {**state.values, "address": "Elsewhere 1"})
    assert state.notice == "Saved."
    kept = reread_patient(people.receptionist, number)
    assert (kept.preferred_language, kept.address) == ("sw", "Elsewhere 1")
