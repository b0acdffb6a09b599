"""What the states of the list, the record, the registration and the dialog do with strange or late input."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import math
import shutil

import pytest
from psycopg import OperationalError as Away
from sqlalchemy.exc import OperationalError

from clinic_app.core.errors import DatabaseAway
from clinic_app.services.patients.forms import PatientUpdate
from clinic_app.services.patients.profile import update_patient, view_patient
from clinic_app.services.patients.search import list_patients
from clinic_app.ui.frame.state import SearchState, ShellState
from clinic_app.ui.patients.state import PAGE_SIZE, PatientListState
from clinic_app.ui.portal_dialog import state as portal_dialog
from clinic_app.ui.portal_dialog.state import PortalDialogState
from clinic_app.ui.profile.state import ProfileState
from clinic_app.ui.reception.state import ReceptionState
from clinic_app.ui.registration.state import RegistrationState
from clinic_app.ui.session import live_updates
from clinic_app.ui.session.form_state import DONE, WORKING
from tests import factories
from tests.db import tools
from tests.ui.conftest import events

MANY = PAGE_SIZE + 2
FIRST_PAGE = f"1–{PAGE_SIZE} of {MANY} patients"


@pytest.fixture
def two_pages(people):
    """Two more patients than a page of the list holds."""
    return [factories.make_patient(people.receptionist, first_name="Many") for _ in range(MANY)]


async def test_reception_tells_an_administrator_that_the_disk_is_nearly_full(tab, people, monkeypatch):
    usage = shutil.disk_usage("/")
    tab.sign_in(people.admin)
    for free, words in ((12, "The server's disk has 12 MB left."), (5000, "")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: usage._replace(free=free * 2**20))
        await tab.fire(ReceptionState.load)
        assert tab.state(ReceptionState).little_room == words


async def test_reception_tells_an_administrator_that_the_copy_stands_still(tab, people, monkeypatch):
    tab.sign_in(people.admin)
    for late, words in (
        (90.0, "The continuous copy of the database has stood still for 1 minute."),
        (7300.0, "The continuous copy of the database has stood still for 2 hours."),
        (math.inf, "There is no continuous copy of the database yet."),
        (None, ""),
    ):
        monkeypatch.setattr("clinic_app.services.patients.overview._copy_late", lambda late=late: late)
        await tab.fire(ReceptionState.load)
        assert tab.state(ReceptionState).copy_late == words
    monkeypatch.setattr("clinic_app.services.patients.overview._copy_damaged", lambda: True)
    await tab.fire(ReceptionState.load)
    words = "The continuous copy of the database is damaged: what was entered since the last backup is nowhere else."
    assert tab.state(ReceptionState).copy_late == words


async def test_the_list_stays_within_its_pages(tab, two_pages):
    state = tab.state(PatientListState)
    await tab.fire(PatientListState.load)
    assert (state.page, state.pages, len(state.rows)) == (1, 2, PAGE_SIZE)
    for step, page in ((1, 2), (1, 2), (10**9, 2), (-1, 1), (-(10**9), 1), (None, 1), ("x", 1), ([], 1)):
        await tab.fire(PatientListState.turn, step)
        assert state.page == page


@pytest.mark.parametrize("key", [None, 1, "password_hash", "name; DROP TABLE patients", "", "-name", []])
async def test_an_unknown_column_sorts_nothing(tab, two_pages, key):
    await tab.fire(PatientListState.load)
    before = list(tab.state(PatientListState).rows)
    await tab.fire(PatientListState.sort_by, key)
    assert (tab.state(PatientListState).sort, tab.state(PatientListState).failure) == ("name", "")
    assert list(tab.state(PatientListState).rows) == before


async def test_a_search_begins_on_the_first_page_and_clearing_goes_back_to_all(tab, two_pages):
    state = tab.state(PatientListState)
    await tab.fire(PatientListState.load)
    await tab.fire(PatientListState.turn, 1)
    await tab.fire(PatientListState.search, "  many ")
    assert (state.term, state.page, state.summary) == ("many", 1, FIRST_PAGE)
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


async def test_suggestions_mark_what_matched_and_end_with_an_empty_box(tab, two_pages):
    state = tab.state(SearchState)
    await tab.fire(SearchState.search, "any")
    assert state.shown is True
    assert len(state.rows) == 7
    assert (state.rows[0].before, state.rows[0].hit) == ("M", "any")
    assert state.count == f"{MANY} patients"
    await tab.fire(SearchState.search, "zzzz")
    assert (list(state.rows), state.count) == ([], "No patient matches")
    await tab.fire(SearchState.search, " ")
    assert (list(state.rows), state.shown) == ([], False)


async def test_the_box_leads_on_to_the_list_and_to_the_registration(tab, two_pages):
    box, state = tab.state(SearchState), tab.state(PatientListState)
    await tab.fire(SearchState.search, "any")
    assert (box.more, box.advice) == (f"Show all {MANY} patients", "")
    await tab.fire(SearchState.list_all)
    tab.at("/patients")
    await tab.fire(ShellState.enter)
    await tab.fire(PatientListState.load)
    assert (state.term, state.typed, state.answers, state.summary) == ("any", "any", "any", FIRST_PAGE)
    assert (box.listed, box.more) == ("", "")
    await tab.fire(SearchState.search, "Zuleika Nobody")
    assert (box.more, box.advice.split()[0]) == ("", "Try")
    await tab.fire(SearchState.register_term)
    tab.at("/patients/new")
    await tab.fire(ShellState.enter)
    await tab.fire(RegistrationState.load)
    form = tab.state(RegistrationState)
    assert (form.values["first_name"], form.values["last_name"]) == ("Zuleika", "Nobody")


async def test_an_empty_box_offers_the_records_opened_last(tab, people, two_pages):
    state = tab.state(SearchState)
    await tab.fire(SearchState.enter_box, "")
    assert (list(state.rows), state.shown) == ([], False)
    for done in two_pages[:2]:
        view_patient(people.receptionist, done.patient.id)
    await tab.fire(SearchState.enter_box, "")
    assert [row.id for row in state.rows] == [two_pages[1].patient.id, two_pages[0].patient.id]
    assert (state.shown, state.count, state.answers) == (True, "2 patients you opened last", "")
    await tab.fire(SearchState.search, "any")
    assert (len(state.rows), state.answers) == (7, "any")
    await tab.fire(SearchState.enter_box, "any")
    assert (len(state.rows), state.answers) == (7, "any")
    await tab.fire(SearchState.search, "")
    assert (len(state.rows), state.answers) == (2, "")


async def test_the_same_records_are_asked_for_and_recorded_once_while_they_are_on_the_screen(tab, people, two_pages):
    view_patient(people.receptionist, two_pages[0].patient.id)
    before = tools.last_seq()
    for term in ("", "", " ", None, [], 5):
        await tab.fire(SearchState.enter_box, term)
    assert [row["action"] for row in tools.trail(after=before)] == ["PATIENT_LISTED"]
    await tab.fire(ShellState.enter)
    assert list(tab.state(SearchState).rows) == []
    await tab.fire(SearchState.enter_box, "")
    assert [row["action"] for row in tools.trail(after=before)] == ["PATIENT_LISTED"] * 2


async def test_reception_counts(tab, two_pages):
    await tab.fire(ReceptionState.load)
    state = tab.state(ReceptionState)
    assert state.registered_today == str(MANY + 1)
    assert state.uptake == f"{round(100 / (MANY + 1))}%"
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
    number = done.patient.patient_id
    await tab.fire(ProfileState.edit, number, "contact")
    form = {**state.values, "address": "Elsewhere 1", "first_name": "Smuggled", "evil": "x"}
    update_patient(people.admin, done.patient.patient_id, PatientUpdate.parse({"email": "other@example.org"}, 1))
    await tab.fire(ProfileState.save, number, "contact", 1, form)
    assert state.stale_note.startswith("Somebody else changed")
    assert [fact.value for fact in state.stale] == ["other@example.org"]
    await tab.fire(ProfileState.save, number, "contact", state.version, form)
    assert state.notice == "Saved."
    values = {fact.label: fact.value for fact in [*state.contact, *state.details]}
    assert (values["Address"], values["Email"]) == ("Elsewhere 1", "other@example.org")
    assert values["First name"] == done.patient.first_name


@pytest.mark.parametrize("section", ["", "access", "__class__", None, 1, ["details"]])
async def test_there_is_nothing_else_to_edit(tab, people, section):
    state = await _open(tab, factories.make_patient(people.receptionist))
    await tab.fire(ProfileState.edit, state.key, section)
    assert state.editing == ""
    assert await tab.fire(ProfileState.save, state.key, section, 1, {"first_name": "X"}) == []


async def test_turning_off_asks_first_and_a_busy_page_does_not_ask(tab, people):
    state = await _open(tab, factories.make_patient(people.receptionist))
    for junk in (None, 1, "yes", [], {}):
        await tab.fire(ProfileState.ask_turn_off, state.key, state.access.stamp, junk)
        assert state.asked == ""
    await tab.fire(ProfileState.turn_off, state.key, state.access.stamp, {"reason": "ASKED"})
    assert state.failure_detail == "This patient has no portal account yet."


async def test_all_activity_is_shown_for_the_record_the_button_stands_on_and_news_come_on_top(tab, people):
    done = factories.make_patient(people.receptionist)
    for _ in range(3):
        view_patient(people.admin, done.patient.id)
        view_patient(people.receptionist, done.patient.id)
        view_patient(people.clinician, done.patient.id)
    state = await _open(tab, done)
    assert (len(state.activity), state.activity_more) == (8, True)
    for other in ("LMC999999", "", None, 5, []):
        await tab.fire(ProfileState.show_all_activity, other)
        assert len(state.activity) == 8
    await tab.fire(ProfileState.show_all_activity, done.patient.patient_id)
    assert (len(state.activity), state.activity_more) == (11, False)
    number = done.patient.patient_id
    await tab.fire(ProfileState.edit, number, "contact")
    await tab.fire(ProfileState.save, number, "contact", state.version, {**state.values, "address": "Elsewhere 1"})
    assert len(state.activity) == 12
    assert state.activity[0].what.startswith("Address changed by")
    await tab.fire(ProfileState.load)
    assert (len(state.activity), state.activity_more) == (8, True)


# --- a relative ---------------------------------------------------------------------------------------


async def _relative_of(tab, done):
    state = await _open(tab, done)
    assert events(await tab.fire(ProfileState.register_relative, state.person.patient_id)) == [
        "_redirect /patients/new"
    ]
    tab.at("/patients/new")
    await tab.fire(ShellState.enter)
    await tab.fire(RegistrationState.load)
    return tab.state(RegistrationState)


async def test_a_relatives_form_begins_with_what_the_household_shares(tab, people):
    done = factories.make_patient(
        people.receptionist,
        phone="0712 445 901",
        address="Plot 5\nKisumu",
        national_id="27840001",
        email="a@example.org",
        next_of_kin_name="Mercy Atieno",
        next_of_kin_phone=None,
    )
    form = await _relative_of(tab, done)
    assert {name: value for name, value in form.values.items() if value} == {
        "gender": "UNKNOWN",
        "phone": "0712 445901",
        "email_allowed": "on",
        "sms_allowed": "on",
        "address": "Plot 5\nKisumu",
        "next_of_kin_name": "Mercy Atieno",
    }
    assert (form.relative.patient_id, form.shared) == (done.patient.patient_id, ["Phone", "Address", "Next of kin"])
    await tab.fire(RegistrationState.submit, {"first_name": "Young", "last_name": "One", **form.values})
    assert (form.step, form.relative.patient_id) == (DONE, done.patient.patient_id)
    await tab.fire(RegistrationState.another)
    assert (form.relative.patient_id, form.shared, form.values.get("phone")) == ("", [], None)


async def test_it_is_taken_along_once_and_a_mere_reconnect_leaves_it(tab, people):
    form = await _relative_of(tab, factories.make_patient(people.receptionist, phone="0712 445 901"))
    assert form.values["phone"] == "0712 445901"
    await tab.fire(RegistrationState.load)  # as after a lost connection
    assert (form.values["phone"], form.relative.patient_id != "") == ("0712 445901", True)
    form._leave("/patients")
    await tab.fire(RegistrationState.load)
    assert (form.values.get("phone"), form.relative.patient_id) == (None, "")


async def test_a_relative_of_another_than_the_record_drawn_is_not_registered(tab, people):
    await _open(tab, factories.make_patient(people.receptionist))
    for other in ("LMC999999", "", None, 5, []):
        assert events(await tab.fire(ProfileState.register_relative, other)) == []
    assert tab.state(SearchState).household == ""


# --- the dialog --------------------------------------------------------------------------------------


async def _dialog(tab, people, email="state@example.org"):
    done = factories.make_patient(people.receptionist)
    await tab.fire(PortalDialogState.ask_for, done.patient.patient_id)
    given = await tab.fire(PortalDialogState.submit, done.patient.patient_id, {"email": email})
    return tab.state(PortalDialogState), given


async def test_the_credentials_are_wiped_by_close_by_opening_and_by_leaving(tab, people):
    for number, way in enumerate((PortalDialogState.close, PortalDialogState.forget, PortalDialogState.ask_for)):
        state, _ = await _dialog(tab, people, f"wipe{number}@example.org")
        assert len(state.password) == 12
        password = state.password
        arguments = {PortalDialogState.close: [state.turn], PortalDialogState.ask_for: ["LMC000001"]}
        await tab.fire(way, *arguments.get(way, []))
        assert password not in str(state.dict())
        assert (state.step == DONE, state.password, state.username) == (False, "", "")


async def test_shown_credentials_outlive_escape_and_a_second_submit(tab, people):
    state, _ = await _dialog(tab, people)
    password = state.password
    assert state.title == "Portal Account Created!"
    for wanted in (False, True, None, 0):
        await tab.fire(PortalDialogState.change_open, state.turn, wanted)
    assert await tab.fire(PortalDialogState.submit, state.for_patient, {"email": "second@example.org"}) == []
    await tab.fire(PortalDialogState.check_email, "x")
    assert (state.password, dict(state.errors), state.step) == (password, {}, DONE)


async def test_the_credentials_go_by_themselves_but_never_somebody_elses(tab, people, news, monkeypatch):
    state, given = await _dialog(tab, people)
    assert events(given)[-1].startswith("expire")
    assert state._again_at.timestamp() == state._shown_until, "the loop wakes then"
    await tab.fire(PortalDialogState.expire)
    assert state.password, "whoever fires it early must not wipe these"
    monkeypatch.setattr(portal_dialog.clock, "now", lambda: dt.datetime.now(dt.UTC) + dt.timedelta(minutes=11))
    await tab.fire(PortalDialogState.expire)
    assert (state.password, state._sealed) == ("", "")


async def test_nothing_is_created_without_the_dialog_being_open(tab, people):
    assert await tab.fire(PortalDialogState.submit, "LMC000001", {"email": "unopened@example.org"}) == []
    await tab.fire(PortalDialogState.ask_for, "LMC999999")
    state = tab.state(PortalDialogState)
    assert (state.for_patient, state.failure_detail) == ("", "No patient has this number.")
    assert await tab.fire(PortalDialogState.submit, "LMC000001", {"email": "unopened@example.org"}) == []
    await tab.fire(PortalDialogState.printed, state.turn)


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


async def test_a_list_that_could_not_be_read_says_so_and_comes_back_by_itself(tab, people, news, monkeypatch):
    """The database is away for a moment, as when another server takes over: nobody presses anything."""
    await tab.fire(PatientListState.load)
    state, tries, said = tab.state(PatientListState), iter((DatabaseAway(), OperationalError("", {}, Away()), None)), []
    factories.make_patient(people.receptionist, first_name="Meanwhile", last_name="Aaa")

    def sometimes(*args: object, **kwargs: object):
        if (error := next(tries)) is not None:
            raise error
        return list_patients(*args, **kwargs)

    async def answered() -> None:
        said.append(state.failure)

    monkeypatch.setattr("clinic_app.ui.patients.state.list_patients", sometimes)
    monkeypatch.setattr(live_updates.changes, "answered", answered)
    await tab.fire(PatientListState.watch)
    assert said == [DatabaseAway.detail] * 2
    assert state.failure == ""
    assert "Meanwhile" in str([row.name for row in state.rows])


async def test_a_loop_that_begins_again_shows_what_there_is_at_once(tab, monkeypatch):
    async def answered() -> None:
        """It does."""

    monkeypatch.setattr(live_updates.changes, "answered", answered)
    monkeypatch.setattr(live_updates.changes, "number", 7)
    state = tab.state(PatientListState)
    await live_updates.back(state)
    async with asyncio.timeout(5), contextlib.aclosing(live_updates.news(state, 7)) as news:
        assert await anext(news) == 7
    assert not live_updates._at_once


async def test_a_loop_that_fails_for_another_reason_ends(tab, news, monkeypatch):
    await tab.fire(PatientListState.load)
    tries = []

    def wrong(*_: object, **__: object):
        tries.append(1)
        raise ValueError

    monkeypatch.setattr("clinic_app.ui.patients.state.list_patients", wrong)
    await tab.fire(PatientListState.watch)
    assert len(tries) == 1
    assert tab.state(PatientListState).failure not in ("", DatabaseAway.detail)
