"""Portal accounts in bulk in a tab: preview, a run that others see too, its report, and who may not."""

from __future__ import annotations

import re

import pytest

from clinic_app.core import crypto
from clinic_app.models.accounts import Role
from clinic_app.services.portal import bulk_choice
from clinic_app.services.portal.bulk_choice import Chosen
from clinic_app.services.portal.bulk_runs import report_run, start_run, stop_run, work_on
from clinic_app.ui.bulk import words
from clinic_app.ui.bulk.state import BulkState
from clinic_app.ui.session.guard import Refusal
from clinic_app.ui.session.presses import PressState
from tests import factories
from tests.db import tools

PRESS = "0123456789abcdef0123456789abcdef-1"
OTHER = "1123456789abcdef0123456789abcdef-1"


@pytest.fixture
def admin(people, monkeypatch):
    monkeypatch.setattr(crypto, "HASH_THREADS", 1)
    return people.admin


@pytest.fixture
def here(desk, admin):
    """An administrator at the page."""
    desk.sign_in(admin)
    desk.at("/admin/portal")
    return desk


def _patients(actor, number: int) -> list[str]:
    return [factories.make_patient(actor, email=f"bulk{n}@example.org").patient.patient_id for n in range(number)]


def _form(state, press: str = PRESS) -> dict[str, str]:
    return {**state.asked, "eligible": str(state.eligible), "intent": press}


async def test_a_run_from_the_preview_to_the_report(here, admin):
    first, second, _ = _patients(admin, 3)
    state = here.state(BulkState)
    await here.fire(BulkState.load)
    assert (state.mode, state.previewed) == ("who", False)
    await here.fire(BulkState.look, {"age": "ADULT"})
    assert next((one.number, one.words, one.more) for one in state.preview) == ("3", "eligible", "of 4 chosen")
    assert (state.eligible, state.eligible_words) == (3, "3 portal accounts")
    one, *_, other = state.chosen
    assert (one.eligible, one.why, one.href) == (True, "", f"/patients/{one.patient_id}")
    assert (other.eligible, other.why.startswith("Has a login since ")) == (False, True)
    assert (state.chosen_summary, state.chosen_pages) == ("1–4 of 4 patients", 1)
    assert state.invited_words == "No invitation goes out: neither a mail server nor an SMS gateway is set up."
    await here.fire(BulkState.start, _form(state))
    assert state.chosen == [], "who is not on the screen is not in the tab"
    assert (state.mode, state.progress, state.busy, state.rows) == ("running", "0 of 3", False, [])
    assert re.fullmatch(r"Run of \d+ \w{3}, \d\d:\d\d", state.title)
    tools.write("UPDATE patients SET email = NULL WHERE patient_id = :one", one=second)
    assert work_on()
    await here.fire(BulkState.load)
    assert (state.mode, state.done, state.total, state.ended) == ("report", 3, 3, "")
    assert state.title.startswith("Report of the run of ")
    assert [(one.number, one.words) for one in state.numbers] == [
        ("2", "created"),
        ("1", "not created"),
        ("0", "invitations sent"),
    ]
    assert state.numbers[0].more.startswith(f"by {admin.name}, in ")
    assert [(one.patient_id, one.href, one.why) for one in state.rows] == [
        (second, f"/patients/{second}", "No email any more")
    ]
    assert first not in [one.patient_id for one in state.rows]
    await here.fire(BulkState.begin)
    assert (state.mode, state.previewed, state.asked["age"]) == ("who", False, "")


async def test_the_chosen_are_turned_a_page_at_a_time_and_each_look_leaves_an_event(here, admin, monkeypatch):
    monkeypatch.setattr(bulk_choice, "PREVIEW_ROWS", 2)
    monkeypatch.setattr(words, "PREVIEW_ROWS", 2)
    keys = _patients(admin, 2)
    state = here.state(BulkState)
    await here.fire(BulkState.load)
    await here.fire(BulkState.turn_chosen, 1)
    assert state.chosen == []
    await here.fire(BulkState.look, {})
    seen = [[one.patient_id for one in state.chosen]]
    for by in (1, 1, "junk", -1):
        await here.fire(BulkState.turn_chosen, by)
        seen.append([one.patient_id for one in state.chosen])
    new, old = keys[::-1], seen[1]
    assert seen == [new, old, old, old, new]
    assert (len(old), state.chosen_page, state.chosen_summary) == (1, 1, "1–2 of 3 patients")
    listed = [event["metadata"] for event in tools.trail("PATIENT_LISTED")]
    assert [one["page"] for one in listed if one["kind"] == "bulk preview"] == [1, 2, 2, 2, 1]
    state._leave("/patients")
    assert state.chosen == []


async def test_a_press_counts_once_and_says_so(here, admin):
    _patients(admin, 1)
    state = here.state(BulkState)
    await here.fire(BulkState.load)
    await here.fire(BulkState.look, {})
    form = _form(state)
    await here.fire(BulkState.start, form)
    work_on()
    await here.fire(BulkState.begin)
    await here.fire(BulkState.start, form)
    assert state.mode == "report"
    assert tools.number("SELECT count(*) FROM portal_runs") == 1
    assert here.state(PressState).told.startswith("The line was away when you pressed")


async def test_more_than_was_previewed_is_not_created_and_previewed_anew(here, admin):
    _patients(admin, 1)
    state = here.state(BulkState)
    await here.fire(BulkState.load)
    await here.fire(BulkState.look, {})
    form = _form(state)
    factories.make_patient(admin, email="later@example.org")
    await here.fire(BulkState.start, form)
    assert (state.mode, state.eligible, state.busy) == ("who", 2, False)
    assert state.failure.startswith("Who can get a portal account has changed meanwhile.")
    assert tools.number("SELECT count(*) FROM portal_runs") == 0


async def test_a_wrong_day_is_told_at_its_field_and_junk_chooses_nobody(here, admin):
    state = here.state(BulkState)
    await here.fire(BulkState.load)
    await here.fire(BulkState.look, {"registered_from": "soon"})
    assert state.errors == {"registered_from": "A day is written like 2026-01-15."}
    assert (state.previewed, state.busy) == (False, False)
    for junk in (None, [], "x", {"age": ["ADULT"]}, {"language": "x" * 10_000}):
        await here.fire(BulkState.look, junk)
        assert state.busy is False
    await here.fire(BulkState.start, {"eligible": "junk"})
    assert tools.number("SELECT count(*) FROM portal_runs") == 0
    for junk in ("1", None, True, 10**30):
        await here.fire(BulkState.stop, junk, PRESS)
        assert state.failure


async def test_it_is_stopped_and_gone_on_with_by_the_run_that_was_drawn(here, admin):
    _patients(admin, 2)
    run = start_run(admin, Chosen())
    state = here.state(BulkState)
    await here.fire(BulkState.load)
    assert (state.mode, state.run_id) == ("running", run)
    await here.fire(BulkState.stop, run + 1, PRESS)
    assert (report_run(admin).state, state.failure) == ("RUNNING", "There is no such run, or it has changed meanwhile.")
    await here.fire(BulkState.stop, run, PRESS)
    assert (state.mode, state.ended, state.failure) == ("report", "Stopped. 2 are left.", "")
    await here.fire(BulkState.go_on, run, OTHER)
    assert (state.mode, report_run(admin).state) == ("running", "RUNNING")


async def test_whoever_has_the_page_open_sees_the_run_of_another(here, admin, news):
    (first,) = _patients(admin, 1)
    other = factories.make_staff(Role.ADMIN)
    state = here.state(BulkState)
    await here.fire(BulkState.load)
    await here.fire(BulkState.look, {})
    run = start_run(other, Chosen())
    await here.fire(BulkState.watch)
    assert (state.mode, state.run_id) == ("running", run)
    tools.write("UPDATE patients SET email = NULL WHERE patient_id = :one", one=first)
    work_on()
    await here.fire(BulkState.watch)
    assert (state.mode, [one.patient_id for one in state.rows]) == ("report", [first])
    after = tools.last_seq()
    await here.fire(BulkState.watch)
    assert tools.trail("PATIENT_LISTED", after=after) == [], "nobody new came on the screen"


async def test_a_filter_that_is_being_filled_in_is_left_alone_by_a_report(here, admin, news):
    _patients(admin, 1)
    stop_run(admin, start_run(admin, Chosen()))
    state = here.state(BulkState)
    await here.fire(BulkState.load)
    await here.fire(BulkState.begin)
    await here.fire(BulkState.watch)
    assert state.mode == "who"


@pytest.mark.parametrize("who", ["receptionist", "clinician"])
async def test_others_read_whose_the_page_is(desk, people, who):
    desk.sign_in(getattr(people, who))
    desk.at("/admin/portal")
    await desk.fire(BulkState.load)
    assert desk.state(Refusal).words == "Only administrators can create portal accounts in bulk."
    assert desk.state(BulkState).mode == "loading"


async def test_names_are_gone_from_the_tab_once_the_page_is_left(here, admin):
    (first,) = _patients(admin, 1)
    start_run(admin, Chosen())
    tools.write("UPDATE patients SET email = NULL WHERE patient_id = :one", one=first)
    work_on()
    state = here.state(BulkState)
    await here.fire(BulkState.load)
    assert state.rows
    state._leave("/patients")
    assert (state.rows, state.mode) == ([], "loading")


async def test_what_cannot_be_read_is_said(here, admin, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise OSError("disk")

    monkeypatch.setattr("clinic_app.ui.bulk.state.report_run", broken)
    await here.fire(BulkState.load)
    state = here.state(BulkState)
    assert state.mode == "failed"
    assert state.failure
