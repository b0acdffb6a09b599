"""The work list in a tab: words, filters, pages, other desks' changes, and the number in the menu."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from sqlalchemy import update

from clinic_app.core import clock, db
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.services.accounts.errors import TemporaryPasswordExpired
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from clinic_app.services.portal import work_list
from clinic_app.services.portal.provisioning import reset_portal_password
from clinic_app.ui.frame.state import ShellState
from clinic_app.ui.session.guard import Refusal
from clinic_app.ui.work_list.state import WorkListState
from tests.db import tools
from tests.stuck import expires_in, in_group, message

MORNING = "2026-06-16 08:10:00+00:00"  # 11:10 at the clinic


@pytest.fixture
def traveller():
    with time_machine.travel(MORNING, tick=False) as made:
        yield made


@pytest.fixture
def desk_actor(traveller, people):
    """The desk, with nobody stuck: the patient among the people has a password of their own."""
    return people.receptionist


@pytest.fixture
def here(traveller, tab):
    """A receptionist at the work list."""
    tab.at("/patients/portal")
    return tab


def _rows(state) -> dict[str, list[tuple[str, str]]]:
    return {one.key: [(f"{row.why}{row.what}{row.then}", row.age) for row in one.rows] for one in state.groups}


def _handed(done, how: str, **ago: float) -> None:
    at = clock.now() - dt.timedelta(**ago)
    with db.transaction() as session:
        where = ACCOUNTS.c.patient_id == done.patient.id
        session.execute(update(ACCOUNTS).where(where).values(handed_over=how, handed_over_at=at))


async def test_the_reason_is_a_sentence(here, traveller, desk_actor):
    desk = desk_actor
    locked = in_group(desk, "locked")
    with db.transaction() as session:
        ago = clock.now() - dt.timedelta(minutes=20)
        session.execute(update(ACCOUNTS).where(ACCOUNTS.c.patient_id == locked.patient.id).values(last_failed_at=ago))
    email, sms = in_group(desk, "never"), in_group(desk, "never")
    message(email, address="joseph.mwangi@gmial.com", ended_at=clock.now() - dt.timedelta(hours=1))
    message(sms, channel="sms", address="+254733902117", reason="GATEWAY", ended_at=clock.now() - dt.timedelta(days=2))
    today, tomorrow = in_group(desk, "soon"), in_group(desk, "soon")
    expires_in(today, 5.5)
    _handed(today, "in person", hours=40)
    expires_in(tomorrow, 21 + 1 / 3)
    tried, unused = in_group(desk, "never"), in_group(desk, "never")
    invited, told, plain = in_group(desk, "never"), in_group(desk, "never"), in_group(desk, "never")
    expires_in(unused, -7 * 24)
    expires_in(tried, -4 * 24)
    with pytest.raises(TemporaryPasswordExpired):
        sign_in(PATIENT_DOOR, tried.credentials.username, tried.credentials.temporary_password)
    message(invited, "SENT")
    _handed(told, "phone", hours=20)
    await here.fire(WorkListState.load)
    state = here.state(WorkListState)
    assert state.failure == ""
    assert _rows(state) == {
        "locked": [("Too many wrong passwords. Locked until 11:15.", "20 min")],
        "failed": [
            ("SMS to 0733 902117: the SMS gateway did not take it.", "2 days"),
            (
                "Email to joseph.mwangi@gmial.com: the mail server says that there is no such address.",
                "1 h",
            ),
        ],
        "expired": [
            ("Tried to sign in today, 11:10, with the expired password.", "4 days"),
            ("Expired 9 Jun, never used.", "7 days"),
        ],
        "soon": [
            ("Expires today, 16:40. Handed over in person.", "in 5 h"),
            ("Expires tomorrow, 08:30. Hand-over not recorded.", "in 21 h"),
        ],
        "never": [
            ("Hand-over not recorded. Good until Thu 18 Jun, 11:10.", "now"),
            ("Told by phone, yesterday, 15:10. Good until Thu 18 Jun, 11:10.", "now"),
            ("Invitation sent today, 11:10, not used yet. Good until Thu 18 Jun, 11:10.", "now"),
        ],
    }
    assert [one.title for one in state.groups] == [
        "Locked",
        "Message failed",
        "Password expired",
        "Password expires soon",
        "Never signed in",
    ]
    assert [(one.words, one.count) for one in state.reasons] == [
        ("All", "10"),
        ("Locked", "1"),
        ("Message failed", "2"),
        ("Password expired", "2"),
        ("Password expires soon", "2"),
        ("Never signed in", "3"),
    ]
    assert [row.locked for one in state.groups for row in one.rows] == [True] + [False] * 9
    assert [row.channel for one in state.groups for row in one.rows] == ["", "sms", "email"] + [""] * 7
    assert plain.patient.patient_id == state.groups[4].rows[0].patient_id


async def test_a_password_that_wrong_tries_have_killed_says_so(here, desk_actor):
    done = in_group(desk_actor, "never")
    with db.transaction() as session:
        session.execute(update(ACCOUNTS).where(ACCOUNTS.c.patient_id == done.patient.id).values(temporary_failures=10))
    await here.fire(WorkListState.load)
    ((words, _),) = _rows(here.state(WorkListState))["expired"]
    assert words == "Too many wrong tries: the temporary password opens nothing any more."


async def test_nobody_stuck_is_said_and_so_is_nobody_under_a_filter(here, desk_actor):
    state = here.state(WorkListState)
    assert state.mode == "loading"
    await here.fire(WorkListState.load)
    assert (state.mode, list(state.groups)) == ("empty", [])
    in_group(desk_actor, "expired")
    await here.fire(WorkListState.choose, "locked")
    assert (state.mode, state.title) == ("none", "Locked")
    assert [one.words for one in state.reasons if one.chosen] == ["Locked"]
    await here.fire(WorkListState.choose, "expired")
    assert (state.mode, [one.key for one in state.groups]) == ("rows", ["expired"])
    for strange in ("", "DROP TABLE", None, 1, {"key": 1}):
        await here.fire(WorkListState.choose, strange)
        assert [one.words for one in state.reasons if one.chosen] == ["All"]


async def test_pages_follow_each_other_and_back(here, desk_actor, monkeypatch):
    for place in ("clinic_app.services.portal.work_list.PAGE_SIZE", "clinic_app.ui.work_list.state.PAGE_SIZE"):
        monkeypatch.setattr(place, 2)
    everybody = {in_group(desk_actor, "expired").patient.patient_id for _ in range(5)}
    state, seen = here.state(WorkListState), []
    await here.fire(WorkListState.load)
    for step, page, summary in ((0, 1, "1–2 of 5 people"), (1, 2, "3–4 of 5 people"), (1, 3, "5–5 of 5 people")):
        await here.fire(WorkListState.turn, step)
        assert (state.page, state.pages, state.summary) == (page, 3, summary)
        seen += [row.patient_id for one in state.groups for row in one.rows]
    assert (len(seen), set(seen)) == (5, everybody)
    for step, page in ((1, 3), (9, 3), ("x", 3), (None, 3), (-1, 2), (-9, 1), (-1, 1)):
        await here.fire(WorkListState.turn, step)
        assert state.page == page
    await here.fire(WorkListState.turn, 1)
    await here.fire(WorkListState.turn, 1)
    for patient_id in everybody:
        reset_portal_password(desk_actor, patient_id)
    await here.fire(WorkListState.choose, "expired")
    assert (state.mode, state.page) == ("none", 1)


async def test_a_list_that_cannot_be_read_never_says_that_nobody_is_stuck(here, desk_actor, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise OSError("disk")

    in_group(desk_actor, "expired")
    state = here.state(WorkListState)
    with monkeypatch.context() as patched:
        patched.setattr("clinic_app.ui.work_list.state.list_stuck", broken)
        await here.fire(WorkListState.load)
        assert (state.mode, list(state.groups)) == ("failed", [])
        assert state.failure.startswith("Please try again. Reference: ")
    await here.fire(WorkListState.load)
    assert (state.mode, state.failure) == ("rows", "")
    monkeypatch.setattr("clinic_app.ui.work_list.state.list_stuck", broken)
    await here.fire(WorkListState.choose, "locked")
    assert (state.mode, [one.key for one in state.groups]) == ("rows", ["expired"])
    assert state.failure.startswith("Please try again. Reference: ")
    assert [one.words for one in state.reasons if one.chosen] == ["All"]


# --- the number in the menu -------------------------------------------------------------------------------


async def test_the_menu_says_how_many_to_those_whose_work_it_is(desk, people):
    in_group(people.receptionist, "expired")
    for actor, said in ((people.receptionist, "1"), (people.admin, "1"), (people.clinician, "")):
        desk.sign_in(actor)
        await desk.fire(ShellState.enter)
        assert desk.state(ShellState).stuck == said
        assert desk.state(Refusal).words == ""


async def test_a_clinician_reads_whose_the_page_is(desk, people):
    desk.sign_in(people.clinician)
    desk.at("/patients/portal")
    await desk.fire(WorkListState.load)
    assert desk.state(Refusal).words == "Only receptionists and administrators can see work lists."
    assert desk.state(WorkListState).mode == "loading"


async def test_open_pages_hear_of_others_work(here, traveller, desk_actor, news):
    done = in_group(desk_actor, "expired")
    await here.fire(ShellState.enter)
    await here.fire(WorkListState.load)
    state, shell = here.state(WorkListState), here.state(ShellState)
    assert (shell.stuck, [one.key for one in state.groups]) == ("1", ["expired"])
    reset_portal_password(desk_actor, done.patient.id)
    in_group(desk_actor, "soon")
    after = tools.last_seq()
    await here.fire(WorkListState.watch)
    assert [one.key for one in state.groups] == ["soon", "never"]
    assert len(tools.trail("PATIENT_LISTED", after=after)) == 1
    traveller.shift(dt.timedelta(seconds=1))
    await here.fire(ShellState.watch)
    assert shell.stuck == "2"


async def test_a_page_that_was_turned_meanwhile_is_not_drawn_over(here, desk_actor, news, monkeypatch):
    in_group(desk_actor, "expired")
    await here.fire(WorkListState.load)
    state, real = here.state(WorkListState), work_list.list_stuck

    def slow(*args: object, **kwargs: object):
        found = real(*args, **kwargs)
        state._chosen = "locked"  # as if it were pressed while the loop reads
        return found

    monkeypatch.setattr("clinic_app.ui.work_list.state.list_stuck", slow)
    reset_portal_password(desk_actor, state.groups[0].rows[0].patient_id)
    await here.fire(WorkListState.watch)
    assert [one.key for one in state.groups] == ["expired"]


async def test_the_loop_of_the_menu_says_nothing_to_a_clinician(desk, people, news):
    desk.sign_in(people.clinician)
    in_group(people.receptionist, "expired")
    await desk.fire(ShellState.enter)
    await desk.fire(ShellState.watch)
    assert (desk.state(ShellState).stuck, desk.state(Refusal).words) == ("", "")
