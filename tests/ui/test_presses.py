"""Handlers that change something: the same press again shows the outcome, and does nothing a second time."""

from __future__ import annotations

import pytest

from clinic_app.core import sealing
from clinic_app.core.errors import DatabaseAway
from clinic_app.services import intents
from clinic_app.services.accounts.errors import InvalidCredentials
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from clinic_app.services.patients.profile import reread_patient, view_patient
from clinic_app.services.portal import provisioning
from clinic_app.ui.own_sessions.state import OwnSessionsState
from clinic_app.ui.portal_dialog import state as dialog_state
from clinic_app.ui.portal_dialog.state import CREATED, RENAMED, RESET, PortalDialogState
from clinic_app.ui.profile.state import ProfileState
from clinic_app.ui.registration.state import RegistrationState
from clinic_app.ui.session.form_state import CLOSED, DONE, INPUT
from clinic_app.ui.session.presses import NO_LONGER_WORKS, NOT_SENT, PressState, enter_line, press_of
from clinic_app.ui.session.resuming import ResumeState
from clinic_app.ui.session.tabs import tabs
from clinic_app.ui.staff_accounts.state import StaffAccountsState
from tests import factories
from tests.db import tools
from tests.ui.conftest import Desk, events

INTENT = "0123456789abcdef" * 2
FIRST, SECOND = f"{INTENT}-1", f"{INTENT}-2"


def registration(press: str, **changes: object) -> dict[str, object]:
    return {"first_name": "Once", "last_name": "Only", "intent": press, **changes}


def with_portal(press: str) -> dict[str, object]:
    return registration(press, create_portal_account=True, portal_email="once@example.org")


def patients() -> int:
    return tools.number("SELECT count(*) FROM patients")


@pytest.fixture
def new(tab: Desk) -> Desk:
    """At *Patient registration*."""
    tab.at("/patients/new")
    return tab


async def test_the_answer_names_the_press_and_says_how_it_ended(new):
    told = new.state(PressState)
    await new.fire(RegistrationState.load)
    await new.fire(RegistrationState.submit, registration(FIRST, first_name=""))
    assert told.answered == f"{FIRST} refused"
    await new.fire(RegistrationState.submit, registration(SECOND))
    assert told.answered == f"{SECOND} done"


@pytest.mark.parametrize(
    "junk", ["", None, 7, [], "x" * 34, INTENT, f"{INTENT}-", f"{INTENT}-1\n", f"{INTENT.upper()}-1"]
)
async def test_what_is_no_press_is_none(new, junk):
    assert press_of(junk) == press_of({"intent": junk}) == press_of({}) == ""
    await new.fire(RegistrationState.load)
    await new.fire(RegistrationState.submit, registration(junk))  # type: ignore[arg-type]
    assert new.state(RegistrationState).step == DONE
    assert tools.number("SELECT count(*) FROM intents") == 0


async def test_the_same_press_after_the_servers_memory_is_gone_leads_to_the_success_screen(new):
    before = patients()
    await new.fire(RegistrationState.load)
    await new.fire(RegistrationState.submit, with_portal(FIRST))
    lost = new.state(PortalDialogState).password
    new.root.reset()
    new.at("/patients/new")
    await new.fire(RegistrationState.load)
    await new.fire(RegistrationState.submit, with_portal(SECOND))
    state, dialog = new.state(RegistrationState), new.state(PortalDialogState)
    assert patients() == before + 1
    assert (state.step, state.message) == (DONE, "Patient registered successfully with portal account")
    assert (dialog.step, dialog.title, dialog.shown) == (DONE, CREATED, INTENT)
    assert dialog.password not in ("", lost)
    assert dialog.late.startswith("The line was away when you pressed Register patient. It happened once, at ")
    assert dialog.late.endswith(" The password below is a fresh one.")
    assert new.state(PressState).answered == f"{SECOND} done"
    assert sign_in(PATIENT_DOOR, "once@example.org", dialog.password)


async def test_asked_about_a_press_that_happened_the_screen_shows_it(new):
    await new.fire(RegistrationState.submit, with_portal(FIRST))
    new.root.reset()
    new.at("/patients/new")
    await new.fire(ResumeState.resume, {"intent": FIRST, "what": "registration", "left": ""})
    assert new.state(RegistrationState).step == DONE
    assert new.state(PortalDialogState).password
    assert new.state(PressState).answered == f"{FIRST} done"


async def test_asked_about_a_press_that_did_not_happen_it_says_so(new):
    before = tools.dump(without=("login_sessions",))
    await new.fire(ResumeState.resume, {"intent": FIRST, "what": "registration"})
    told = new.state(PressState)
    assert (told.told, told.told_more) == NOT_SENT["registration"]
    assert told.told == "The registration was not sent."
    assert told.answered == f"{FIRST} lost"
    assert new.state(RegistrationState).step == INPUT
    await new.fire(ResumeState.resume, {"intent": SECOND, "what": {"not": "text"}})
    assert told.told == "It was not sent."
    assert tools.dump(without=("login_sessions",)) == before


async def test_asked_about_a_press_whose_answer_has_come_meanwhile_nothing_is_issued_anew(new):
    await new.fire(RegistrationState.load)
    await new.fire(RegistrationState.submit, with_portal(FIRST))
    password = new.state(PortalDialogState).password
    await new.fire(ResumeState.resume, {"intent": FIRST, "what": "registration"})
    assert new.state(PortalDialogState).password == password


async def test_credentials_nobody_can_be_sent_leave_the_press_without_an_answer_and_come_fresh_later(new, monkeypatch):
    """The line went between the press and its answer, and no other tab of the session is open."""
    await new.fire(RegistrationState.load)
    with monkeypatch.context() as patch:
        patch.setattr(sealing, "_held", {})
        await new.fire(RegistrationState.submit, with_portal(FIRST))
    dialog, told = new.state(PortalDialogState), new.state(PressState)
    assert (told.answered, dialog.step, dialog.shown) == ("", CLOSED, "")
    assert new.state(RegistrationState).failure == ""
    before = patients()
    await new.fire(ResumeState.resume, {"intent": FIRST, "what": "registration"})
    assert told.answered == f"{FIRST} done"
    assert (patients(), dialog.step, dialog.shown) == (before, DONE, INTENT)
    assert sign_in(PATIENT_DOOR, "once@example.org", dialog.password)


@pytest.mark.parametrize("junk", [None, "x", {}, {"intent": None}, {"intent": "x"}, {"intent": [], "left": "yes"}])
async def test_asked_about_nothing_it_says_nothing(new, junk):
    await new.fire(ResumeState.resume, junk)
    assert (new.state(PressState).told, new.state(PressState).answered) == ("", "")


async def test_after_close_the_password_is_not_issued_again(new):
    await new.fire(RegistrationState.submit, with_portal(FIRST))
    dialog = new.state(PortalDialogState)
    password = dialog.password
    await new.fire(PortalDialogState.close, dialog.turn)
    new.root.reset()
    new.at("/patients/new")
    await new.fire(ResumeState.resume, {"intent": FIRST})
    state = new.state(RegistrationState)
    assert state.said == "Registered. The password is no longer shown: reset it to hand over a new one."
    assert new.state(PortalDialogState).password == ""
    assert sign_in(PATIENT_DOOR, "once@example.org", password)


async def test_whoever_leaves_shown_credentials_is_told_and_they_are_not_issued_again(new, people):
    await new.fire(RegistrationState.submit, with_portal(FIRST))
    new.at("/patients")
    await new.fire(PortalDialogState.forget)
    assert new.state(PressState).told == "Registered. The password is no longer shown: reset it to hand over a new one."
    assert new.state(PortalDialogState).password == ""
    assert intents.outcome(people.receptionist, INTENT).seen is True


async def test_a_reload_counts_as_leaving(new, people):
    await new.fire(RegistrationState.submit, with_portal(FIRST))
    new.root.reset()
    new.at("/patients/new")
    await new.fire(ResumeState.resume, {"intent": f"{INTENT}-0", "left": "yes"})
    assert new.state(PressState).told == "Registered. The password is no longer shown: reset it to hand over a new one."
    assert new.state(PortalDialogState).password == ""
    assert intents.outcome(people.receptionist, INTENT).seen is True


async def test_a_lost_connection_keeps_what_is_on_the_screen(new, monkeypatch):
    async def connect(name: str) -> None:
        monkeypatch.setattr("clinic_app.ui.session.presses.socket_of", lambda _: name)
        await enter_line(new.state(RegistrationState), "/patients/new")
        await new.fire(PortalDialogState.forget)
        await new.fire(RegistrationState.load)

    await connect("one")
    line = new.state(PressState).line
    await new.fire(RegistrationState.submit, with_portal(FIRST))
    password = new.state(PortalDialogState).password
    await connect("two")
    assert new.state(PressState).line != line
    assert new.state(RegistrationState).step == DONE
    assert new.state(PortalDialogState).password == password
    await connect("two")  # the same page, asked for again
    assert new.state(RegistrationState).step == INPUT
    assert new.state(PortalDialogState).password == ""


async def test_creating_access_twice_by_one_press(tab, people):
    number = factories.make_patient(people.receptionist).patient.patient_id
    form = {"email": "once@example.org", "phone": ""}
    await tab.fire(PortalDialogState.ask_for, number)
    await tab.fire(PortalDialogState.submit, number, {**form, "intent": FIRST})
    await tab.fire(PortalDialogState.forget)
    await tab.fire(PortalDialogState.ask_for, number)
    await tab.fire(PortalDialogState.submit, number, {**form, "intent": SECOND})
    assert len(tools.trail("PORTAL_ACCOUNT_CREATED")) == 1
    assert tab.state(PortalDialogState).step == "closed"
    told = "Portal account created. The password is no longer shown: reset it to hand over a new one."
    assert tab.state(PressState).told == told


async def test_turning_off_twice_by_one_press_does_not_turn_off_what_was_turned_on_since(tab, people, monkeypatch):
    number = factories.make_patient(people.receptionist, portal_email="once@example.org").patient.patient_id
    monkeypatch.setattr(ProfileState, "_key", lambda _: number)
    tab.at(f"/patients/{number}")
    state = tab.state(ProfileState)
    await tab.fire(ProfileState.load)
    drawn = state.access.stamp
    await tab.fire(ProfileState.turn_off, number, drawn, {"intent": FIRST, "reason": "ASKED"})
    await tab.fire(ProfileState.turn_on, number, state.access.stamp, "f" * 32 + "-1")
    await tab.fire(ProfileState.turn_off, number, drawn, {"intent": SECOND, "reason": "ASKED"})
    assert view_patient(people.receptionist, number).access.status == "temporary"
    assert state.notice.startswith("The line was away when you pressed Turn off portal access. It happened once, at ")
    assert tab.state(PressState).answered == f"{SECOND} done"


async def test_an_edit_twice_by_one_press_is_shown_as_saved(tab, people, monkeypatch):
    number = factories.make_patient(people.receptionist).patient.patient_id
    monkeypatch.setattr(ProfileState, "_key", lambda _: number)
    tab.at(f"/patients/{number}")
    state = tab.state(ProfileState)
    await tab.fire(ProfileState.load)
    await tab.fire(ProfileState.edit, number, "contact")
    drawn = state.version
    await tab.fire(ProfileState.save, number, "contact", drawn, {"address": "Here", "intent": FIRST})
    await tab.fire(ProfileState.edit, number, "contact")
    await tab.fire(ProfileState.save, number, "contact", drawn, {"address": "Here", "intent": SECOND})
    assert (state.editing, state.step) == ("", "closed")
    assert state.notice.endswith(" Saved.")
    assert len(tools.trail("PATIENT_UPDATED")) == 1


@pytest.mark.parametrize(("kind", "title"), [("reset", RESET), ("rename", RENAMED)])
async def test_credentials_that_were_lost_are_shown_fresh_but_on_no_other_patients_page(
    tab, people, monkeypatch, kind, title
):
    number = factories.make_patient(people.receptionist, portal_email="once@example.org").patient.patient_id
    monkeypatch.setattr(ProfileState, "_key", lambda _: number)
    tab.at(f"/patients/{number}")
    await tab.fire(ProfileState.load)
    stamp = tab.state(ProfileState).access.stamp
    if kind == "reset":
        await tab.fire(PortalDialogState.ask_reset, number)
        await tab.fire(PortalDialogState.reset_password, number, stamp, {"intent": FIRST})
    else:
        await tab.fire(PortalDialogState.ask_username, number)
        form = {"email": "other@example.org", "intent": FIRST}
        await tab.fire(PortalDialogState.change_username, number, stamp, form)
    lost = tab.state(PortalDialogState).password
    assert lost
    tab.root.reset()
    tab.at(f"/patients/{number}")
    await tab.fire(ResumeState.resume, {"intent": FIRST})
    dialog = tab.state(PortalDialogState)
    assert (dialog.title, dialog.for_patient) == (title, number)
    assert dialog.password not in ("", lost)
    tab.root.reset()
    other = factories.make_patient(people.receptionist).patient.patient_id
    tab.at(f"/patients/{other}")
    await tab.fire(ResumeState.resume, {"intent": FIRST})
    assert tab.state(PortalDialogState).password == ""
    assert tab.state(PressState).told == "Done. The password is no longer shown: reset it to hand over a new one."


async def test_a_lost_registration_shows_no_credentials_on_another_patients_page(new, people):
    await new.fire(RegistrationState.submit, with_portal(FIRST))
    other = factories.make_patient(people.receptionist).patient
    new.root.reset()
    new.at(f"/patients/{other.patient_id}")
    await new.fire(ResumeState.resume, {"intent": FIRST, "what": "registration"})
    told, dialog = new.state(PressState), new.state(PortalDialogState)
    assert (dialog.step, dialog.password, dialog.name) == (CLOSED, "", "")
    assert told.told == "Registered. The password is no longer shown: reset it to hand over a new one."
    assert told.answered == f"{FIRST} done"
    new.root.reset()
    new.at("/patients/new")
    await new.fire(ResumeState.resume, {"intent": FIRST, "what": "registration"})
    assert not new.state(PortalDialogState).password, "it was told, so it is not issued again"


async def test_an_unlock_that_was_lost_is_told_and_done_once(tab, people):
    number = factories.make_patient_with_access(people.receptionist, "locked").patient.patient_id
    tab.at("/patients")
    stamp = reread_patient(people.receptionist, number).access.stamp
    await tab.fire(PortalDialogState.unlock, number, stamp, FIRST)
    tab.root.reset()
    tab.at("/patients")
    await tab.fire(ResumeState.resume, {"intent": FIRST})
    assert tab.state(PressState).told.startswith("The line was away when you pressed Unlock. It happened once, at ")
    await tab.fire(PortalDialogState.unlock, number, stamp, SECOND)
    assert len(tools.trail("PORTAL_UNLOCKED")) == 1


async def test_a_staff_account_whose_answer_was_lost(desk, people):
    desk.sign_in(people.admin)
    desk.at("/admin/staff")
    await desk.fire(StaffAccountsState.load)
    await desk.fire(StaffAccountsState.begin)
    form = {"username": "once.only", "name": "Once Only", "role": "CLINICIAN", "intent": FIRST}
    await desk.fire(StaffAccountsState.create, form)
    lost = desk.state(PortalDialogState).password
    assert lost
    desk.root.reset()
    desk.at("/admin/staff")
    await desk.fire(ResumeState.resume, {"intent": FIRST})
    assert desk.state(PortalDialogState).password not in ("", lost)
    assert tools.number("SELECT count(*) FROM accounts WHERE username = 'once.only'") == 1


# --- what is on a screen works ---------------------------------------------------------------------------


EMAIL = "once@example.org"


def works(password: str) -> bool:
    """Whether ``password`` signs in."""
    try:
        return bool(sign_in(PATIENT_DOOR, EMAIL, password))
    except InvalidCredentials:
        return False


async def confirm(tab: Desk) -> str:
    """What a page does that has credentials on its screen; returns the password that it then shows."""
    dialog = tab.state(PortalDialogState)
    while dialog.step == DONE and (turn := dialog.turn):
        await tab.fire(PortalDialogState.confirm, turn)
        if dialog.turn == turn:
            break
    return dialog.password


@pytest.fixture
def other(new: Desk) -> Desk:
    """Another tab of the same session: a line that was lost, and that its server does not know to be."""
    made = Desk()
    made.token_hash = new.token_hash
    made.at("/patients/new")
    return made


async def test_a_try_on_a_lost_line_replaces_nothing_that_is_on_the_screen(new, other):
    await new.fire(RegistrationState.submit, with_portal(SECOND))
    password = await confirm(new)
    await other.fire(RegistrationState.submit, with_portal(FIRST))
    await other.fire(ResumeState.resume, {"intent": f"{INTENT}-3", "what": "registration"})
    assert other.state(PortalDialogState).password == ""
    assert other.state(RegistrationState).said.startswith("Registered. The password is no longer shown")
    assert works(password)
    assert new.state(PortalDialogState).password == password


async def test_where_the_page_had_not_said_that_it_shows_them_it_gets_fresh_ones_and_reads_so(new, other):
    await new.fire(RegistrationState.submit, with_portal(SECOND))
    shown = new.state(PortalDialogState).password
    await other.fire(RegistrationState.submit, with_portal(FIRST))
    elsewhere = other.state(PortalDialogState).password
    assert (works(shown), works(elsewhere)) == (False, True)
    dialog = new.state(PortalDialogState)
    await new.fire(PortalDialogState.confirm, dialog.turn)
    assert dialog.late == (
        "The password that was shown here before no longer works. The password below is a fresh one."
    )
    now = await confirm(new)
    assert now not in (shown, elsewhere)
    assert works(now)
    assert await confirm(other) == ""  # and the other page does not go on with a dead one
    told = other.state(PressState)
    assert (told.told, told.told_more) == NO_LONGER_WORKS
    assert (other.state(PortalDialogState).step, await confirm(new)) == (CLOSED, now)


async def test_whose_line_has_gone_gets_nothing_fresh_and_no_answer(new, other, monkeypatch):
    await new.fire(RegistrationState.submit, with_portal(SECOND))
    shown = new.state(PortalDialogState).password
    with monkeypatch.context() as patch:
        patch.setattr(tabs, "connected", lambda _: False)
        await other.fire(RegistrationState.submit, with_portal(FIRST))
        await other.fire(ResumeState.resume, {"intent": f"{INTENT}-3"})
    assert (other.state(PressState).answered, other.state(PortalDialogState).step) == ("", CLOSED)
    assert works(shown)
    await other.fire(ResumeState.resume, {"intent": FIRST, "what": "registration"})  # it was there after all
    assert other.state(PressState).answered == f"{FIRST} done"
    assert works(other.state(PortalDialogState).password)


async def test_a_page_that_lost_them_with_the_server_gets_fresh_ones_and_no_other(new):
    await new.fire(RegistrationState.submit, with_portal(FIRST))
    password, mark = await confirm(new), new.state(PortalDialogState).mark
    for had in ("", "0" * 16, mark):
        new.root.reset()
        new.at("/patients/new")
        await new.fire(ResumeState.resume, {"intent": f"{INTENT}-0", "what": "registration", "had": had})
        assert bool(new.state(PortalDialogState).password) == (had == mark)
    assert new.state(PortalDialogState).late.endswith("The password below is a fresh one.")
    fresh = await confirm(new)
    assert (works(password), works(fresh)) == (False, True)


@pytest.mark.parametrize("change", ["reset", "turn off"])
async def test_what_another_desk_replaces_does_not_stay_on_the_screen(new, people, news, change):
    await new.fire(RegistrationState.submit, with_portal(FIRST))
    await confirm(new)
    dialog = new.state(PortalDialogState)
    assert events(await new.fire(PortalDialogState.expire)) == [], "nothing is to be said yet"
    number = dialog.for_patient
    if change == "reset":
        newer = provisioning.reset_portal_password(people.admin, number).credentials.temporary_password
    else:
        provisioning.turn_off_portal(people.admin, number)
    assert events(await new.fire(PortalDialogState.expire)) == ["confirm"]
    assert await confirm(new) == ""
    told = new.state(PressState)
    assert (dialog.step, told.told, told.told_more) == (CLOSED, *NO_LONGER_WORKS)
    assert change != "reset" or works(newer)


async def test_while_the_database_is_away_what_is_shown_stays_and_is_asked_about_later(new, people, monkeypatch):
    await new.fire(RegistrationState.submit, with_portal(FIRST))
    password = new.state(PortalDialogState).password
    with monkeypatch.context() as patch:

        def away(*_: object, **__: object) -> bool:
            raise DatabaseAway

        patch.setattr(dialog_state, "confirm_shown", away)
        assert await confirm(new) == password
    assert intents.outcome(people.receptionist, INTENT).seen is False
    assert await confirm(new) == password
    assert intents.outcome(people.receptionist, INTENT).seen is True


async def test_ending_a_session_twice_by_one_press(desk, people):
    desk.sign_in(people.receptionist)
    first = desk.token_hash
    desk.sign_in(people.receptionist)
    other = tools.raw("SELECT id FROM login_sessions WHERE token_hash = :h", h=first)[0][0]
    await desk.fire(OwnSessionsState.end, other, FIRST)
    await desk.fire(OwnSessionsState.end, other, SECOND)
    assert len(tools.trail("SESSIONS_ENDED")) == 1
    assert desk.state(PressState).told.startswith("The line was away when you pressed Sign out. It happened once, at ")
    assert desk.state(OwnSessionsState).failure == ""
