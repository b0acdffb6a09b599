"""What the states of the list, the record, the registration and the dialog do with strange or late input."""

from __future__ import annotations

import asyncio

import pytest

from clinic_app.services.patients.forms import PatientUpdate
from clinic_app.services.patients.profile import update_patient
from clinic_app.ui.frame.state import SearchState
from clinic_app.ui.patients.state import PatientListState
from clinic_app.ui.portal_dialog import state as portal_dialog
from clinic_app.ui.portal_dialog.state import PortalDialogState
from clinic_app.ui.profile.state import ProfileState
from clinic_app.ui.reception.state import ReceptionState
from clinic_app.ui.registration.state import RegistrationState
from clinic_app.ui.session import live_updates
from clinic_app.ui.session.form_state import DONE, WORKING
from tests import factories
from tests.ui.conftest import events


@pytest.fixture
def twelve(people):
    """Twelve more patients."""
    return [factories.make_patient(people.receptionist, first_name="Many") for _ in range(12)]


async def test_the_list_stays_within_its_pages(tab, twelve):
    state = tab.state(PatientListState)
    await tab.fire(PatientListState.load)
    assert (state.page, state.pages, len(state.rows)) == (1, 2, 10)
    for step, page in ((1, 2), (1, 2), (10**9, 2), (-1, 1), (-(10**9), 1), (None, 1), ("x", 1), ([], 1)):
        await tab.fire(PatientListState.turn, step)
        assert state.page == page


@pytest.mark.parametrize("key", [None, 1, "password_hash", "name; DROP TABLE patients", "", "-name", []])
async def test_an_unknown_column_sorts_nothing(tab, twelve, key):
    await tab.fire(PatientListState.load)
    before = list(tab.state(PatientListState).rows)
    await tab.fire(PatientListState.sort_by, key)
    assert (tab.state(PatientListState).sort, tab.state(PatientListState).failure) == ("name", "")
    assert list(tab.state(PatientListState).rows) == before


async def test_a_search_begins_on_the_first_page_and_clearing_goes_back_to_all(tab, twelve):
    state = tab.state(PatientListState)
    await tab.fire(PatientListState.load)
    await tab.fire(PatientListState.turn, 1)
    await tab.fire(PatientListState.search, "  many ")
    assert (state.term, state.page, state.summary) == ("many", 1, "1–10 of 12 patients")
    await tab.fire(PatientListState.search, "nobody at all")
    assert (state.mode, list(state.rows)) == ("none", [])
    box = state.box
    assert events(await tab.fire(PatientListState.clear)) == ["_set_focus ref_search"]
    assert (state.term, state.mode, state.box) == ("", "rows", box + 1)
    await tab.fire(PatientListState.search, {"not": "text"})
    assert state.term == ""


async def test_a_list_that_cannot_be_read_says_so(tab, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise OSError("disk")

    monkeypatch.setattr("clinic_app.ui.patients.state.list_patients", broken)
    await tab.fire(PatientListState.load)
    state = tab.state(PatientListState)
    assert state.failure.startswith("Please try again. Reference: ")
    assert state.mode == "rows"


async def test_suggestions_mark_what_matched_and_end_with_an_empty_box(tab, twelve):
    state = tab.state(SearchState)
    await tab.fire(SearchState.search, "any")
    assert state.shown is True
    assert len(state.rows) == 7
    assert (state.rows[0].before, state.rows[0].hit) == ("M", "any")
    assert state.count == "12 patients"
    await tab.fire(SearchState.search, "zzzz")
    assert (list(state.rows), state.count) == ([], "No patient matches")
    await tab.fire(SearchState.search, " ")
    assert (list(state.rows), state.shown) == ([], False)


async def test_reception_counts(tab, twelve):
    await tab.fire(ReceptionState.load)
    state = tab.state(ReceptionState)
    assert state.registered_today == "13"
    assert state.uptake == "8%"
    assert state.days[-1].today is True
    assert state.loaded is True


# --- the registration ---------------------------------------------------------------------------------


async def test_a_field_is_checked_by_name_and_unknown_names_do_nothing(tab):
    state = tab.state(RegistrationState)
    await tab.fire(RegistrationState.load)
    for name in ("evil", "__class__", "create_portal_account.x", "", None, 1, []):
        await tab.fire(RegistrationState.check, name, "x")
    assert dict(state.errors) == {}
    await tab.fire(RegistrationState.check, "phone", "12")
    assert list(state.errors) == ["phone"]
    await tab.fire(RegistrationState.check, "phone", "")
    assert dict(state.errors) == {}
    await tab.fire(RegistrationState.check, "portal_email", "")
    assert dict(state.errors) == {}


async def test_a_second_submit_while_one_is_under_way_or_done_does_nothing(tab):
    await tab.fire(RegistrationState.load)
    state = tab.state(RegistrationState)
    await tab.fire(RegistrationState.submit, {"first_name": "One", "last_name": "Time"})
    number = state.patient.patient_id
    assert state.step == DONE
    assert await tab.fire(RegistrationState.submit, {"first_name": "Two", "last_name": "Times"}) == []
    assert state.patient.patient_id == number
    await tab.fire(RegistrationState.another)
    state.step = WORKING
    assert await tab.fire(RegistrationState.submit, {"first_name": "Two", "last_name": "Times"}) == []


async def test_the_first_wrong_field_in_the_order_of_the_form_gets_the_focus(tab):
    await tab.fire(RegistrationState.load)
    given = {"next_of_kin_phone": "x", "email": "y", "last_name": "", "first_name": "Fine", "evil": "z"}
    assert events(await tab.fire(RegistrationState.submit, given)) == ["_set_focus ref_last_name"]
    assert [problem.ident for problem in tab.state(RegistrationState).problems] == [
        "last_name",
        "email",
        "next_of_kin_phone",
    ]
    attempt = tab.state(RegistrationState).attempt
    await tab.fire(RegistrationState.submit, "not a form")
    assert tab.state(RegistrationState).attempt == attempt + 1


# --- the record ------------------------------------------------------------------------------------


async def _open(tab, done):
    tab.at(f"/patients/{done.patient.patient_id}", patient_id=done.patient.patient_id)
    state = tab.state(ProfileState)
    object.__setattr__(state, "_key", lambda: done.patient.patient_id)
    await tab.fire(ProfileState.load)
    assert state.mode == "shown"
    return state


async def test_only_what_was_changed_is_saved_and_only_of_the_open_section(tab, people):
    done = factories.make_patient(people.receptionist)
    state = await _open(tab, done)
    await tab.fire(ProfileState.edit, "contact")
    form = {**state.values, "address": "Elsewhere 1", "first_name": "Smuggled", "evil": "x"}
    update_patient(people.admin, done.patient.patient_id, PatientUpdate.parse({"email": "other@example.org"}, 1))
    await tab.fire(ProfileState.save, form)
    assert state.stale_note.startswith("Somebody else changed")
    assert [fact.value for fact in state.stale] == ["other@example.org"]
    await tab.fire(ProfileState.save, form)
    assert state.notice == "Saved."
    values = {fact.label: fact.value for fact in [*state.contact, *state.details]}
    assert (values["Address"], values["Email"]) == ("Elsewhere 1", "other@example.org")
    assert values["First name"] == done.patient.first_name


@pytest.mark.parametrize("section", ["", "access", "__class__", None, 1, ["details"]])
async def test_there_is_nothing_else_to_edit(tab, people, section):
    state = await _open(tab, factories.make_patient(people.receptionist))
    await tab.fire(ProfileState.edit, section)
    assert state.editing == ""
    assert await tab.fire(ProfileState.save, {"first_name": "X"}) == []


async def test_turning_off_asks_first_and_a_busy_page_does_not_ask(tab, people):
    state = await _open(tab, factories.make_patient(people.receptionist))
    for junk in (None, 1, "yes", [], {}):
        await tab.fire(ProfileState.ask_turn_off, junk)
        assert state.asking_off is False
    await tab.fire(ProfileState.turn_off)
    assert state.failure_detail == "This patient has no portal account yet."


# --- the dialog --------------------------------------------------------------------------------------


async def _dialog(tab, people, email="state@example.org"):
    done = factories.make_patient(people.receptionist)
    await tab.fire(PortalDialogState.ask_for, done.patient.patient_id)
    given = await tab.fire(PortalDialogState.submit, {"email": email})
    return tab.state(PortalDialogState), given


async def test_the_credentials_are_wiped_by_close_by_opening_and_by_leaving(tab, people):
    for number, way in enumerate((PortalDialogState.close, PortalDialogState.forget, PortalDialogState.ask_for)):
        state, _ = await _dialog(tab, people, f"wipe{number}@example.org")
        assert len(state.password) == 12
        password = state.password
        await tab.fire(way, *(["LMC000001"] if way is PortalDialogState.ask_for else []))
        assert password not in str(state.dict())
        assert (state.step == DONE, state.password, state.username) == (False, "", "")


async def test_shown_credentials_outlive_escape_and_a_second_submit(tab, people):
    state, _ = await _dialog(tab, people)
    password = state.password
    assert state.title == "Portal Account Created!"
    for wanted in (False, True, None, 0):
        await tab.fire(PortalDialogState.change_open, wanted)
    assert await tab.fire(PortalDialogState.submit, {"email": "second@example.org"}) == []
    await tab.fire(PortalDialogState.check_email, "x")
    assert (state.password, dict(state.errors), state.step) == (password, {}, DONE)


async def test_the_credentials_go_by_themselves_but_never_somebody_elses(tab, people, monkeypatch):
    async def at_once(_seconds: float) -> None: ...

    state, given = await _dialog(tab, people)
    assert events(given)[-1].startswith("expire")
    turn = state._turn
    monkeypatch.setattr(portal_dialog.asyncio, "sleep", at_once)

    async def locked(self, *_: object) -> None: ...

    for name in ("__aenter__", "__aexit__"):  # a background handler's view of the state, without its lock
        monkeypatch.setattr(PortalDialogState, name, locked, raising=False)
    expire = PortalDialogState.expire.fn
    await expire(state, turn - 1)
    assert state.password, "an older turn must not wipe these"
    await expire(state, "junk")
    assert state.password
    await expire(state, turn)
    assert state.password == ""


async def test_nothing_is_created_without_the_dialog_being_open(tab, people):
    assert await tab.fire(PortalDialogState.submit, {"email": "unopened@example.org"}) == []
    await tab.fire(PortalDialogState.ask_for, "LMC999999")
    state = tab.state(PortalDialogState)
    assert (state.for_patient, state.failure_detail) == ("", "No patient has this number.")
    assert await tab.fire(PortalDialogState.submit, {"email": "unopened@example.org"}) == []
    await tab.fire(PortalDialogState.printed)


# --- news ---------------------------------------------------------------------------------------------


async def test_news_end_with_the_session_and_do_not_keep_it_alive(tab, monkeypatch):
    numbers = iter((1, 2, 3))

    async def beyond(_seen: int) -> int:
        await asyncio.sleep(0)
        return next(numbers)

    monkeypatch.setattr(live_updates.changes, "beyond", beyond)
    heard = []
    async for number in live_updates.news(tab.state(PatientListState), 0):
        heard.append(number)
        if number == 2:
            tab.end_session()
    assert heard == [1, 2]


async def test_news_of_the_desk_are_not_for_patients(desk, people, monkeypatch):
    async def beyond(_seen: int) -> int:
        return 1

    monkeypatch.setattr(live_updates.changes, "beyond", beyond)
    desk.sign_in(people.patient)
    assert [number async for number in live_updates.news(desk.state(PatientListState), 0)] == []
