"""Portal access at the desk: the question before a reset, another username, *Unlock*, *Did you mean …?*"""

from __future__ import annotations

from typing import Any

import pytest

from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from clinic_app.services.patients.profile import reread_patient
from clinic_app.services.portal.provisioning import reset_portal_password, turn_off_portal, unlock_portal
from clinic_app.ui.patients.state import PatientListState
from clinic_app.ui.portal_dialog.state import RENAMING, RESETTING, PortalDialogState
from clinic_app.ui.profile.state import ProfileState
from clinic_app.ui.registration.state import RegistrationState
from clinic_app.ui.session.drawn import Misdirected
from clinic_app.ui.session.form_state import CLOSED, DONE, INPUT
from tests import factories
from tests.db import tools
from tests.ui.conftest import Desk
from tests.ui.test_right_patient import open_record

CHANGED = "Portal access changed meanwhile. Nothing was changed."


def _dialog(tab: Desk) -> Any:
    return tab.state(PortalDialogState)


# --- asking first ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["profile", "list"])
async def test_a_reset_asks_first_naming_the_patient_and_what_it_replaces(tab, people, page):
    done = factories.make_patient(people.receptionist, portal_email="asked@example.org")
    number = done.patient.patient_id
    await open_record(tab, number)
    if page == "list":
        tab.at("/patients")
    before = tools.dump(without=tools.TRAIL if page == "list" else ())
    await tab.fire(PortalDialogState.ask_reset, number)
    dialog = _dialog(tab)
    assert (dialog.step, dialog.kind, dialog.name, dialog.for_patient) == (INPUT, RESETTING, done.patient.name, number)
    replaces, ends, sent = dialog.replaced
    assert replaces.startswith("A new temporary password replaces the one that expires on ")
    assert ends == "Whoever is signed in with this account is signed out."
    assert sent == "No message is sent: the new password must be handed over in person."
    await tab.fire(PortalDialogState.change_open, dialog.turn, False)
    assert (dialog.step, dialog.name, dialog.stamp, dialog.replaced) == (CLOSED, "", "", [])
    assert tools.dump(without=tools.TRAIL if page == "list" else ()) == before  # where it was not open: a look
    await tab.fire(PortalDialogState.ask_reset, number)
    await tab.fire(PortalDialogState.reset_password, number, dialog.stamp, {})
    assert (dialog.step, dialog.username, dialog.title) == (DONE, "asked@example.org", "Temporary password reset")
    assert sign_in(PATIENT_DOOR, "asked@example.org", dialog.password).token
    assert len(tools.trail("PORTAL_PASSWORD_RESET")) == 1


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        ("active", "A new temporary password replaces the password that the patient has chosen."),
        ("expired", "A new temporary password replaces the one that expired on "),
        ("locked", "The account is unlocked."),
    ],
)
async def test_what_is_replaced_is_said_as_it_is(tab, people, standing, words):
    done = factories.make_patient_with_access(people.receptionist, standing).patient
    tab.at("/patients")
    await tab.fire(PortalDialogState.ask_reset, done.patient_id)
    assert any(sentence.startswith(words) for sentence in _dialog(tab).replaced)


async def test_nothing_is_reset_without_the_question_or_after_another_one(tab, people):
    done = factories.make_patient_with_access(people.receptionist, "active").patient
    stamp = reread_patient(people.receptionist, done.patient_id).access.stamp
    tab.at("/patients")
    before = tools.dump(without=tools.TRAIL)
    await tab.fire(PortalDialogState.reset_password, done.patient_id, stamp, {})
    await tab.fire(PortalDialogState.change_username, done.patient_id, stamp, {"email": "new@example.org"})
    await tab.fire(PortalDialogState.ask_username, done.patient_id)
    await tab.fire(PortalDialogState.reset_password, done.patient_id, stamp, {})
    await tab.fire(PortalDialogState.submit, done.patient_id, {"email": "new@example.org"})
    await tab.fire(PortalDialogState.ask_reset, done.patient_id)
    await tab.fire(PortalDialogState.change_username, done.patient_id, stamp, {"email": "new@example.org"})
    assert tools.dump(without=tools.TRAIL) == before


@pytest.mark.parametrize("junk", [None, "", 0, [], {}, "1-active-"])
async def test_access_that_changed_since_it_was_drawn_is_said_in_the_dialog_and_drawn_anew(tab, people, junk):
    done = factories.make_patient_with_access(people.receptionist, "active").patient
    tab.at("/patients")
    await tab.fire(PortalDialogState.ask_reset, done.patient_id)
    dialog = _dialog(tab)
    old = dialog.stamp
    reset_portal_password(people.admin, done.patient_id)
    before, seq = tools.dump(without=tools.TRAIL), tools.last_seq()
    for drawn in (old, junk):
        await tab.fire(PortalDialogState.reset_password, done.patient_id, drawn, {})
        assert (dialog.step, dialog.failure_detail) == (INPUT, CHANGED)
        assert tools.dump(without=tools.TRAIL) == before
    told = [(one["action"], one["metadata"]) for one in tools.trail(after=seq)]
    refused = ("PORTAL_CHANGE_FAILED", {"reason": "portal_access_changed"})
    assert told == [refused, ("PATIENT_VIEWED", {"page": "dialog"})] * 2  # each shows what came meanwhile
    assert dialog.stamp != old
    assert dialog.replaced[0].startswith("A new temporary password replaces the one that expires on ")
    await tab.fire(PortalDialogState.reset_password, done.patient_id, dialog.stamp, {})
    assert dialog.step == DONE


@pytest.mark.parametrize("opens", [PortalDialogState.ask_reset, PortalDialogState.ask_username])
async def test_where_there_is_no_access_to_change_that_is_said_and_no_dialog_opens(tab, people, opens):
    tab.at("/patients")
    number = factories.make_patient(people.receptionist).patient.patient_id
    await tab.fire(opens, number)
    assert (_dialog(tab).step, tab.state(Misdirected).words) == (CLOSED, "This patient has no portal account yet.")
    off = factories.make_patient_with_access(people.receptionist, "off").patient.patient_id
    await tab.fire(opens, off)
    assert (_dialog(tab).step, tab.state(Misdirected).words) == (CLOSED, "Turn on portal access first.")


# --- another username -------------------------------------------------------------------------------------


async def test_a_username_is_changed_and_the_new_credentials_are_shown(tab, people):
    done = factories.make_patient(people.receptionist, email="mistyped@gmial.com", portal_email="mistyped@gmial.com")
    factories.make_patient(people.receptionist, portal_email="owner@example.org")
    number = done.patient.patient_id
    await open_record(tab, number)
    await tab.fire(PortalDialogState.ask_username, number)
    dialog = _dialog(tab)
    assert (dialog.step, dialog.kind, dialog.username) == (INPUT, RENAMING, "mistyped@gmial.com")
    for typed, words in (
        ("", "Email is required. Please provide a valid email address for the portal account."),
        ("nonsense", "Invalid email format. Please provide a valid email address."),
        ("owner@example.org", "A portal account with this email already exists. Please use a different email."),
        ("Mistyped@gmial.com", "This patient already has a portal account with username: mistyped@gmial.com"),
    ):
        await tab.fire(PortalDialogState.change_username, number, dialog.stamp, {"email": typed})
        assert dialog.step == INPUT
        assert words in dialog.errors["email"]
    await tab.fire(PortalDialogState.change_username, number, dialog.stamp, {"email": "mistyped@gmail.com"})
    assert (dialog.step, dialog.username, dialog.title) == (DONE, "mistyped@gmail.com", "Username changed")
    assert sign_in(PATIENT_DOOR, "mistyped@gmail.com", dialog.password).token
    assert reread_patient(people.receptionist, number).email == "mistyped@gmial.com"
    assert dialog.link.endswith(f"://{dialog.address}")


# --- unlocking --------------------------------------------------------------------------------------------


async def test_the_list_offers_unlock_and_reissue_and_shows_what_came_of_it(tab, people):
    done = factories.make_patient_with_access(people.receptionist, "locked").patient
    tab.at("/patients")
    lists = tab.state(PatientListState)
    await tab.fire(PatientListState.load)
    row = next(row for row in lists.rows if row.patient_id == done.patient_id)
    assert (row.portal, row.due, row.due_words, row.reissue) == ("locked", "locked", "locked", True)
    await tab.fire(PortalDialogState.unlock, done.patient_id, row.stamp)
    await tab.fire(PatientListState.load)
    row = next(row for row in lists.rows if row.patient_id == done.patient_id)
    assert row.due != "locked"
    assert tab.state(Misdirected).words == ""
    assert len(tools.trail("PORTAL_UNLOCKED")) == 1


async def test_an_unlock_after_another_desks_unlock_leaves_it_unlocked(tab, people):
    done = factories.make_patient_with_access(people.receptionist, "locked").patient
    stamp = reread_patient(people.receptionist, done.patient_id).access.stamp
    unlock_portal(people.admin, done.patient_id)
    tab.at("/patients")
    await tab.fire(PortalDialogState.unlock, done.patient_id, stamp)
    assert tab.state(Misdirected).words == ""
    assert reread_patient(people.receptionist, done.patient_id).access.status == "active"


@pytest.mark.parametrize("meanwhile", [reset_portal_password, turn_off_portal])
async def test_an_unlock_that_comes_too_late_is_said_and_changes_nothing(tab, people, meanwhile):
    done = factories.make_patient_with_access(people.receptionist, "locked").patient
    stamp = reread_patient(people.receptionist, done.patient_id).access.stamp
    meanwhile(people.admin, done.patient_id)
    tab.at("/patients")
    before, seq = tools.dump(without=tools.TRAIL), tools.last_seq()
    await tab.fire(PortalDialogState.unlock, done.patient_id, stamp)
    assert tab.state(Misdirected).words == CHANGED
    assert _dialog(tab).step == CLOSED
    assert tools.dump(without=tools.TRAIL) == before
    assert [row["action"] for row in tools.trail(after=seq)] == ["PORTAL_CHANGE_FAILED"]


# --- Did you mean …? ----------------------------------------------------------------------------------------


async def test_a_slip_in_an_email_is_asked_about_and_never_refused(tab, people):
    tab.at("/patients/new")
    await tab.fire(RegistrationState.load)
    state = tab.state(RegistrationState)
    await tab.fire(RegistrationState.check, "email", "wanjiku.kamau@gmial.com")
    assert (state.slips, state.errors) == ({"email": "gmail.com"}, {})
    await tab.fire(RegistrationState.check, "portal_email", "wanjiku.kamau@gmial.com")
    assert state.slips == {"email": "gmail.com", "portal_email": "gmail.com"}
    await tab.fire(RegistrationState.answer_slip, "email", False)  # it is right: for both
    assert state.slips == {}
    await tab.fire(RegistrationState.check, "portal_email", "wanjiku.kamau@gmial.com")
    assert state.slips == {}
    await tab.fire(RegistrationState.check, "email", "wanjiku.kamau@yaho.com")
    await tab.fire(RegistrationState.answer_slip, "email", True)
    assert state.slips == {}
    await tab.fire(RegistrationState.check, "email", "wanjiku.kamau@yaho.com")  # typed again: asked again
    assert state.slips == {"email": "yahoo.com"}
    await tab.fire(RegistrationState.check, "email", "wanjiku.kamau@")
    assert (list(state.errors), state.slips) == (["email"], {})
    form = {"first_name": "Wanjiku", "last_name": "Kamau", "email": "wanjiku.kamau@gmial.com"}
    await tab.fire(RegistrationState.submit, form)
    assert (state.step, reread_patient(people.receptionist, state.patient.patient_id).email) == (
        DONE,
        "wanjiku.kamau@gmial.com",
    )


async def test_the_dialog_and_the_profile_ask_too(tab, people):
    done = factories.make_patient(people.receptionist, email="amina@gmial.com")
    state = await open_record(tab, done.patient.patient_id)
    await tab.fire(PortalDialogState.ask_for, done.patient.patient_id)
    assert _dialog(tab).slips == {
        "email": "gmail.com"
    }  # what is on record is looked at before anybody leaves the field
    await tab.fire(PortalDialogState.answer_slip, "email", True)
    await tab.fire(PortalDialogState.check_email, "amina@gmail.com")
    assert _dialog(tab).slips == {}
    await tab.fire(ProfileState.edit, done.patient.patient_id, "contact")
    await tab.fire(ProfileState.check, "email", "amina@hotmial.com")
    assert state.slips == {"email": "hotmail.com"}
    await tab.fire(ProfileState.answer_slip, "email", False)
    assert state.slips == {}


@pytest.mark.parametrize("junk", [None, 0, [], {}, "x" * 10_000, "phone"])
async def test_junk_for_an_answer_does_nothing(tab, people, junk):
    tab.at("/patients/new")
    await tab.fire(RegistrationState.load)
    state = tab.state(RegistrationState)
    await tab.fire(RegistrationState.check, "email", "a@gmial.com")
    for changed in (junk, True, False):
        await tab.fire(RegistrationState.answer_slip, junk, changed)
    assert state.slips == {"email": "gmail.com"}
    assert people.receptionist.account_id
