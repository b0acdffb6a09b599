"""Every action acts on what it was drawn for, or on nothing: fired with another id, and with another page's address."""

from __future__ import annotations

from typing import Any

import pytest

from clinic_app.core import routes
from clinic_app.services.access import Actor
from clinic_app.services.patients.profile import reread_patient
from clinic_app.services.portal.provisioning import reset_portal_password, turn_off_portal
from clinic_app.ui.audit_trail.state import AuditTrailState
from clinic_app.ui.frame.state import ShellState
from clinic_app.ui.own_sessions.state import OwnSessionsState
from clinic_app.ui.patients.state import PatientListState
from clinic_app.ui.portal_dialog.state import PortalDialogState
from clinic_app.ui.profile.state import ProfileState
from clinic_app.ui.registration.state import RegistrationState
from clinic_app.ui.session.drawn import Misdirected
from clinic_app.ui.session.form_state import CLOSED, DONE, INPUT
from clinic_app.ui.staff_accounts.state import StaffAccountsState
from tests import factories
from tests.db import tools
from tests.ui.conftest import Desk, events

ANOTHER = "This page shows another patient now. Nothing was changed."
CHANGED = "Portal access changed meanwhile. Nothing was changed."
WHY = {"reason": "ASKED"}
JUNK = (None, 0, 1, -1, True, "", "x", "LMC999999", [], {}, ["LMC000001"], "lmc000001", 10**30)


def at(tab: Desk, number: str) -> Any:
    """The tab is on this patient's page; nothing has been fired yet."""
    tab.at(routes.profile(number), patient_id=number)
    state = tab.state(ProfileState)
    object.__setattr__(state, "_key", lambda: number)  # the address's part is made with the pages
    return state


async def open_record(tab: Desk, number: str) -> Any:
    """What a browser sets off that opens the page."""
    state = at(tab, number)
    await tab.fire(ShellState.enter)
    await tab.fire(PortalDialogState.forget)
    await tab.fire(ProfileState.load)
    return state


def _actions(number: str, stamp: str, version: int) -> list[tuple[Any, tuple[Any, ...]]]:
    """All that a profile offers, as it is drawn for one patient."""
    typed = {"address": "Somewhere Else 1", "phone": "0799 999 999"}
    return [
        (ProfileState.edit, (number, "contact")),
        (ProfileState.save, (number, "contact", version, typed)),
        (ProfileState.save, (number, "details", version, {"first_name": "Wrong", "last_name": "Person"})),
        (ProfileState.go_on, (number, "contact", "a" * 32)),
        (ProfileState.put_aside, (number,)),
        (ProfileState.cancel, (number, "")),
        (ProfileState.ask_turn_off, (number, stamp, True)),
        (ProfileState.turn_off, (number, stamp, WHY)),
        (ProfileState.turn_on, (number, stamp)),
        (PortalDialogState.ask_for, (number,)),
    ]


def _access_actions(number: str, stamp: str) -> list[tuple[Any, tuple[Any, ...]]]:
    """What the dialog, and the buttons that open it, offer for one patient: lists of patients have them too."""
    return [
        (PortalDialogState.ask_reset, (number,)),
        (PortalDialogState.ask_username, (number,)),
        (PortalDialogState.reset_password, (number, stamp, {})),
        (PortalDialogState.change_username, (number, stamp, {"email": "wrong.person@example.org"})),
        (PortalDialogState.unlock, (number, stamp)),
        (PortalDialogState.ask_correct, (number, "email")),
        (PortalDialogState.correct, (number, stamp, 1, {"email": "wrong.person@example.org"})),
        (PortalDialogState.resend, (number, stamp)),
        (PortalDialogState.hand_over, (number, stamp, "post")),
    ]


async def reset(tab: Desk, number: str) -> None:
    """*Reset temporary password*, and yes."""
    await tab.fire(PortalDialogState.ask_reset, number)
    await tab.fire(PortalDialogState.reset_password, number, tab.state(PortalDialogState).stamp, {})


def _stamp(actor: Actor, number: str) -> str:
    return reread_patient(actor, number).access.stamp


def _shown(state: Any) -> dict[str, Any]:
    return {name: getattr(state, name) for name in ("key", "mode", "person", "access", "editing", "asked", "step")}


@pytest.mark.parametrize("theirs", factories.STANDINGS)
@pytest.mark.parametrize("own", factories.STANDINGS)
async def test_what_was_drawn_for_another_patient_changes_nothing_and_says_so(tab, people, own, theirs):
    a = factories.make_patient_with_access(people.receptionist, own).patient.patient_id
    b = factories.make_patient_with_access(people.receptionist, theirs).patient.patient_id
    stamp = _stamp(people.receptionist, a)
    state = await open_record(tab, b)
    for editing in ("", "contact"):
        if editing:
            await tab.fire(ProfileState.edit, b, editing)
        before, shown = tools.dump(), _shown(state)
        for action, drawn in [*_actions(a, stamp, 1), *_access_actions(a, stamp)]:
            await tab.fire(action, *drawn)
            assert tab.state(Misdirected).words == ANOTHER, (action, editing)
            await tab.fire(ProfileState.check, "phone", "")
        assert _shown(state) == shown
        assert tools.dump() == before
        assert tab.state(PortalDialogState).step == CLOSED
    await tab.fire(ProfileState.cancel, b, "")
    assert tab.state(Misdirected).words == ""


async def test_junk_for_an_id_changes_nothing(tab, people):
    done = factories.make_patient_with_access(people.receptionist, "active").patient
    state = await open_record(tab, done.patient_id)
    await tab.fire(ProfileState.edit, done.patient_id, "contact")
    before, shown, seq = tools.dump(without=tools.TRAIL), _shown(state), tools.last_seq()
    for junk in JUNK:
        stamp = state.access.stamp
        for action, drawn in [*_actions(done.patient_id, stamp, 1)[:-1], *_access_actions(done.patient_id, stamp)]:
            await tab.fire(action, junk, *drawn[1:])
            assert tab.state(Misdirected).words == ANOTHER, (action, junk)
        await tab.fire(ProfileState.turn_off, done.patient_id, junk, WHY)
        assert state.failure_detail == CHANGED
    assert tools.dump(without=tools.TRAIL) == before
    assert [row["action"] for row in tools.trail(after=seq)] == ["PORTAL_CHANGE_FAILED"] * len(JUNK)  # the last of each
    assert _shown(state) == shown


@pytest.mark.parametrize("page", ["/patients", "/", "/admin/staff"])
async def test_an_action_that_comes_from_another_page_changes_nothing(tab, people, page):
    done = factories.make_patient_with_access(people.receptionist, "active").patient
    state = await open_record(tab, done.patient_id)
    stamp = state.access.stamp
    tab.at(page)
    object.__setattr__(state, "_key", lambda: "")
    before = tools.dump()
    for action, drawn in _actions(done.patient_id, stamp, 1)[:-1]:
        await tab.fire(action, *drawn)
        assert tab.state(Misdirected).words == ANOTHER
    assert tools.dump() == before


@pytest.mark.parametrize("page", ["/patients", "/", "/admin/staff", "/account", "/patients/new", "/patients/LMC000001"])
async def test_a_page_that_is_left_keeps_nothing(tab, people, page):
    done = factories.make_patient_with_access(people.receptionist, "active", first_name="Zawadi").patient
    state = await open_record(tab, done.patient_id)
    await tab.fire(ProfileState.edit, done.patient_id, "contact")
    await tab.fire(ProfileState.ask_turn_off, done.patient_id, state.access.stamp, True)
    await reset(tab, done.patient_id)
    assert tab.state(PortalDialogState).step == DONE
    password = tab.state(PortalDialogState).password
    at(tab, page.rpartition("/")[2])
    tab.at(page)
    await tab.fire(ShellState.enter)
    await tab.fire(PortalDialogState.forget)
    for kept in (state, tab.state(PortalDialogState)):
        held = str({name: getattr(kept, name) for name in type(kept).get_fields()})
        for word in ("Zawadi", done.patient_id, password, done.phone):
            assert word not in held, (type(kept), word)
    assert (state.editing, state.asked, state.mode) == ("", "", "loading")


async def test_coming_back_to_the_same_page_after_a_lost_line_keeps_the_form(tab, people):
    done = factories.make_patient(people.receptionist).patient
    state = await open_record(tab, done.patient_id)
    await tab.fire(ProfileState.edit, done.patient_id, "contact")
    form = state.form_number
    state._socket = "another"  # a new connection
    tab.root.router_data = {**tab.root.router_data, "sid": "new"}
    await tab.fire(ShellState.enter)
    assert (state.editing, state.form_number, state.key) == ("contact", form, done.patient_id)


async def test_credentials_belong_to_the_page_they_were_made_on(tab, people):
    """The reply of a reset that ends after the page was left: it is drawn under no other address."""
    a = factories.make_patient_with_access(people.receptionist, "active").patient.patient_id
    state = await open_record(tab, a)
    await reset(tab, a)
    dialog = tab.state(PortalDialogState)
    assert (dialog.step, dialog.page, dialog.for_patient) == (DONE, routes.profile(a), a)
    await tab.fire(ProfileState.ask_turn_off, a, state.access.stamp, True)
    assert dialog.page == routes.profile(a)


async def test_a_tab_whose_state_was_dropped_acts_on_whom_the_page_shows(tab, people):
    a, b = (factories.make_patient_with_access(people.receptionist, "active").patient.patient_id for _ in "ab")
    state = at(tab, a)  # nothing has been loaded
    await tab.fire(ProfileState.turn_off, b, _stamp(people.receptionist, b), WHY)
    assert (tab.state(Misdirected).words, state.key) == (ANOTHER, "")
    await tab.fire(PortalDialogState.ask_reset, b)
    assert (tab.state(Misdirected).words, state.key, tab.state(PortalDialogState).step) == (ANOTHER, "", CLOSED)
    await tab.fire(ProfileState.edit, a, "contact")
    assert (state.key, state.mode, state.person.patient_id, state.editing) == (a, "shown", a, "contact")


async def test_access_that_changed_at_another_desk_is_said_and_shown(tab, people):
    for action, meanwhile, now in (
        (ProfileState.turn_off, reset_portal_password, "temporary"),
        (ProfileState.turn_off, turn_off_portal, "off"),
    ):
        number = factories.make_patient_with_access(people.receptionist, "active").patient.patient_id
        state = await open_record(tab, number)
        stamp = state.access.stamp
        meanwhile(people.admin, number)
        before, seq = tools.dump(without=tools.TRAIL), tools.last_seq()
        await tab.fire(action, number, stamp, WHY)
        assert (state.failure_detail, state.access.portal, state.step) == (CHANGED, now, CLOSED)
        assert tools.dump(without=tools.TRAIL) == before
        assert [row["action"] for row in tools.trail(after=seq)] == ["PORTAL_CHANGE_FAILED"]
        assert tab.state(PortalDialogState).step == CLOSED
        await tab.fire(ProfileState.turn_on if now == "off" else action, number, state.access.stamp, WHY)
        assert state.failure_detail == ""


async def test_a_form_that_was_sent_before_another_section_was_opened_is_saved(tab, people):
    done = factories.make_patient(people.receptionist).patient
    state = await open_record(tab, done.patient_id)
    await tab.fire(ProfileState.edit, done.patient_id, "contact")
    typed = {**state.values, "address": "Typed Before 1"}
    await tab.fire(ProfileState.edit, done.patient_id, "details")
    await tab.fire(ProfileState.save, done.patient_id, "contact", state.version, typed)
    assert reread_patient(people.receptionist, done.patient_id).address == "Typed Before 1"
    await tab.fire(ProfileState.edit, done.patient_id, "contact")
    await tab.fire(ProfileState.edit, done.patient_id, "details")
    await tab.fire(ProfileState.save, done.patient_id, "contact", state.version, {**typed, "phone": "x"})
    assert (state.editing, list(state.errors), state.values["phone"]) == ("contact", ["phone"], "x")


async def test_an_older_version_than_the_record_has_is_refused(tab, people):
    done = factories.make_patient(people.receptionist).patient
    state = await open_record(tab, done.patient_id)
    await tab.fire(ProfileState.edit, done.patient_id, "contact")
    for version in (0, -1, "x", None, 99, [1]):
        await tab.fire(ProfileState.save, done.patient_id, "contact", version, {**state.values, "address": "Late 1"})
        assert state.stale_note.startswith("Somebody else changed")
        assert reread_patient(people.receptionist, done.patient_id).address == done.address


@pytest.mark.parametrize("spelling", ["lmc{}", "{}", "LMC{}", "Lmc-{}", "0000{}"])
async def test_another_spelling_leads_to_the_one_address_and_opens_nothing(tab, people, spelling):
    done = factories.make_patient(people.receptionist).patient
    seen = tools.last_seq()
    state = at(tab, spelling.format(int(done.patient_id.removeprefix("LMC"))))
    assert events(await tab.fire(ProfileState.load)) == [f"_redirect {routes.profile(done.patient_id)}"]
    assert (state.mode, state.person.patient_id) == ("loading", "")
    assert tools.trail(after=seen) == []


async def test_what_is_missing_is_missing_under_its_own_address(tab, people):
    state = await open_record(tab, "LMC999999")
    assert (state.mode, state.key) == ("missing", "LMC999999")


# --- the dialog ---------------------------------------------------------------------------------------


async def test_the_dialog_creates_for_whom_it_was_drawn_or_for_nobody(tab, people):
    a, b = (factories.make_patient(people.receptionist).patient.patient_id for _ in "ab")
    tab.at("/patients")
    await tab.fire(PortalDialogState.ask_for, a)
    before = tools.dump()
    await tab.fire(PortalDialogState.submit, b, {"email": "wrong@example.org"})
    dialog = tab.state(PortalDialogState)
    assert tab.state(Misdirected).words == ANOTHER
    assert (dialog.step, dialog.for_patient) == (INPUT, a)
    assert tools.dump() == before
    await tab.fire(PortalDialogState.submit, a, {"email": "right@example.org"})
    assert (dialog.step, dialog.username) == (DONE, "right@example.org")


async def test_what_closes_or_prints_means_what_was_drawn(tab, people):
    a, b = (factories.make_patient(people.receptionist).patient.patient_id for _ in "ab")
    tab.at("/patients")
    dialog = tab.state(PortalDialogState)
    await tab.fire(PortalDialogState.ask_for, a)
    old = dialog.turn
    await tab.fire(PortalDialogState.ask_for, b)
    for junk in (old, -1, None, "x", [dialog.turn]):
        await tab.fire(PortalDialogState.change_open, junk, False)
        assert (dialog.step, dialog.for_patient) == (INPUT, b)
    await tab.fire(PortalDialogState.submit, b, {"email": "closing@example.org"})
    for junk in (old, -1, None, "x"):
        await tab.fire(PortalDialogState.printed, junk)
        await tab.fire(PortalDialogState.close, junk)
    assert (dialog.step, tools.trail("CREDENTIALS_PRINTED")) == (DONE, [])
    await tab.fire(PortalDialogState.printed, dialog.turn)
    assert len(tools.trail("CREDENTIALS_PRINTED")) == 1
    await tab.fire(PortalDialogState.close, dialog.turn)
    assert (dialog.step, dialog.password) == (CLOSED, "")


# --- staff accounts, sessions, events --------------------------------------------------------------------


async def test_a_staff_account_is_changed_as_it_was_drawn_whatever_panel_is_open(desk, people):
    desk.sign_in(people.admin)
    desk.at("/admin/staff")
    state = desk.state(StaffAccountsState)
    await desk.fire(StaffAccountsState.load)
    a, b = people.receptionist.account_id, people.clinician.account_id
    stamps = {row.id: row.stamp for row in state.rows}
    await desk.fire(StaffAccountsState.open, b)  # drawn before that: the panel of a
    await desk.fire(StaffAccountsState.ask, a, "disable")
    await desk.fire(StaffAccountsState.answer, a, stamps[a], "disable")
    assert {row.id: row.active for row in state.rows if row.id in (a, b)} == {a: False, b: True}
    assert state.notice == f"{people.receptionist.name} can no longer sign in."
    before = tools.dump()
    for stamp in (stamps[a], stamps[b], "", None, "x", []):
        await desk.fire(StaffAccountsState.enable, a, stamp)
        assert state.failure == "This account changed meanwhile. Nothing was changed."
        await desk.fire(StaffAccountsState.change_role, a, stamp, {"role": "CLINICIAN"})
        await desk.fire(StaffAccountsState.unlock, a, stamp)
    for junk in (None, 0, -1, "1", True, [a], 10**9):
        await desk.fire(StaffAccountsState.enable, junk, stamps[a])
        await desk.fire(StaffAccountsState.ask, junk, "reset")
        await desk.fire(StaffAccountsState.answer, junk, stamps[a], "reset")
    assert tools.dump() == before
    assert desk.state(PortalDialogState).step == CLOSED
    fresh = next(row.stamp for row in state.rows if row.id == a)
    await desk.fire(StaffAccountsState.enable, a, fresh)
    assert state.notice == f"{people.receptionist.name} can sign in again."


async def test_lists_of_people_events_and_sessions_go_with_their_page(desk, people):
    desk.sign_in(people.admin)
    for page, state, load in (
        ("/admin/staff", StaffAccountsState, StaffAccountsState.load),
        ("/admin/audit", AuditTrailState, AuditTrailState.load),
    ):
        desk.at(page)
        await desk.fire(load)
        assert desk.state(state).rows
        await desk.fire(ShellState.enter)
        assert desk.state(state).rows, "it is its own page"
        desk.at("/patients")
        await desk.fire(ShellState.enter)
        assert list(desk.state(state).rows) == []
    desk.at("/account")
    await desk.fire(OwnSessionsState.load)
    assert desk.state(OwnSessionsState).sessions
    desk.at("/patients")
    await desk.fire(ShellState.enter)
    assert list(desk.state(OwnSessionsState).sessions) == []


async def test_who_was_registered_goes_with_the_page(tab, people):
    tab.at("/patients/new")
    await tab.fire(RegistrationState.load)
    await tab.fire(RegistrationState.submit, {"first_name": "Gone", "last_name": "Soon"})
    state = tab.state(RegistrationState)
    assert state.step == DONE
    tab.at("/patients")
    await tab.fire(ShellState.enter)
    assert (state.step, state.patient.name) == (INPUT, "")


async def test_filters_of_the_trail_stay_for_who_comes_back(desk, people):
    desk.sign_in(people.admin)
    desk.at("/admin/audit")
    await desk.fire(AuditTrailState.load)
    await desk.fire(AuditTrailState.apply, {"action": "STAFF_CREATED"})
    first = desk.state(AuditTrailState).rows[0].seq
    await desk.fire(AuditTrailState.open, first)
    assert desk.state(AuditTrailState).opened.seq == first
    for junk in ("1", None, True, 10**9, [first]):
        await desk.fire(AuditTrailState.open, junk)
        assert desk.state(AuditTrailState).opened.seq == first
    desk.at("/patients")
    await desk.fire(ShellState.enter)
    await desk.fire(PatientListState.load)
    assert (desk.state(AuditTrailState).is_open, desk.state(AuditTrailState).opened.seq) == (False, 0)
    desk.at("/admin/audit")
    await desk.fire(ShellState.enter)
    await desk.fire(AuditTrailState.load)
    assert {row.what for row in desk.state(AuditTrailState).rows} == {"Staff account created"}
