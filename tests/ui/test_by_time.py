"""Words that time alone changes, such as *locked until*: their page wakes when they are not true any more."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt

import pytest
import time_machine

from clinic_app.core import clock
from clinic_app.services.patients import wording
from clinic_app.services.patients.views import PortalStanding
from clinic_app.ui import presenters
from clinic_app.ui.patients.state import PatientListState
from clinic_app.ui.profile.state import ProfileState
from clinic_app.ui.reception.state import ReceptionState
from clinic_app.ui.session import live_updates
from tests import factories
from tests.db import tools


@pytest.fixture
def quiet(monkeypatch):
    """Nobody changes anything."""

    async def beyond(seen: int) -> int:
        await asyncio.Event().wait()
        return seen

    monkeypatch.setattr(live_updates.changes, "beyond", beyond)


@pytest.fixture
def still(tab):
    """The clinic's clock stands, however slow the machine is; that of the loop goes on."""
    with time_machine.travel(clock.now(), tick=False) as traveller:
        yield traveller


def _lock_ends(seconds: float) -> None:
    tools.write("UPDATE sign_in_limits SET blocked_until = :until", until=clock.now() + dt.timedelta(seconds=seconds))


async def _next(state) -> None:
    async with asyncio.timeout(20), contextlib.aclosing(live_updates.news(state, 0)) as news:
        await anext(news)


SHOWS = {
    PatientListState: lambda state: {row.portal for row in state.rows},
    ProfileState: lambda state: {state.access.portal},
    ReceptionState: lambda state: {row.portal for row in state.latest},
}


@pytest.mark.parametrize("cls", SHOWS, ids=lambda cls: cls.__name__)
async def test_a_lock_that_ends_by_itself_wakes_the_page_that_shows_it(tab, people, quiet, still, cls):
    number = factories.make_patient_with_access(people.receptionist, "locked").patient.patient_id
    _lock_ends(2)
    tab.at(f"/patients/{number}", patient_id=number)
    object.__setattr__(tab.state(ProfileState), "_key", lambda: number)
    await tab.fire(cls.load)
    state = tab.state(cls)
    assert "locked" in SHOWS[cls](state)
    await _next(state)
    still.shift(dt.timedelta(seconds=3))
    await tab.fire(cls.load)
    assert "locked" not in SHOWS[cls](state)
    assert live_updates._asleep == {}


async def test_what_is_shown_meanwhile_decides_when_a_sleeping_page_wakes(tab, people, quiet, still):
    factories.make_patient_with_access(people.receptionist, "locked", first_name="Aoko")
    _lock_ends(600)
    state = tab.state(PatientListState)
    await tab.fire(PatientListState.search, "nobody at all")
    assert state._again_at is None
    waking = asyncio.create_task(_next(state))
    await asyncio.sleep(0)
    while not live_updates._asleep:
        await asyncio.sleep(0.01)
    assert next(iter(live_updates._asleep.values())).when() is None
    _lock_ends(1.5)
    await tab.fire(PatientListState.search, "Aoko")
    await waking


async def test_a_page_that_shows_nothing_new_is_woken_once_for_a_word_and_not_at_once(tab, quiet):
    state = tab.state(PatientListState)
    live_updates.again_at(state, clock.now() - dt.timedelta(hours=1))
    begun, woken = asyncio.get_running_loop().time(), []

    async def listen() -> None:
        async for _ in live_updates.news(state, 0):
            woken.append(asyncio.get_running_loop().time() - begun)

    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(listen(), 4)
    assert len(woken) == 1
    assert woken[0] > 0.9


@pytest.mark.parametrize(
    ("left", "until_next"),
    [
        (dt.timedelta(hours=47, minutes=59), dt.timedelta(minutes=59)),
        (dt.timedelta(hours=2), dt.timedelta(0)),
        (dt.timedelta(hours=1, minutes=59, seconds=40), dt.timedelta(seconds=40)),
        (dt.timedelta(seconds=20), dt.timedelta(seconds=20)),
    ],
)
def test_the_words_about_a_deadline_change_when_they_are_said_to(left, until_next):
    with time_machine.travel("2026-06-15 09:00:00+00:00", tick=False) as now:
        deadline = clock.now() + left
        changes = wording.deadline_changes(deadline)
        assert changes == clock.now() + until_next
        said = wording.deadline_words(deadline)[0]
        now.move_to(changes)
        before = wording.deadline_words(deadline)[0] if until_next else said
        now.shift(dt.timedelta(seconds=1))
        assert wording.deadline_words(deadline)[0] != said or deadline <= clock.now()
        assert before  # at the instant itself it may still be the old word: pages wake a moment later


def test_pages_wake_for_the_first_of_their_words():
    with time_machine.travel("2026-06-15 09:00:00+00:00", tick=False):
        now = clock.now()
        at = lambda **ago: now + dt.timedelta(**ago)  # noqa: E731
        fresh = PortalStanding(
            temporary=True, expires_at=at(hours=30, minutes=5), password_since=at(hours=-18), last_sign_in_at=now
        )
        assert presenters.changes_at([fresh]) == at(minutes=5)
        waits = PortalStanding(
            temporary=True, expires_at=at(hours=30, minutes=5), password_since=at(hours=-23, minutes=-58)
        )
        assert presenters.changes_at([fresh, waits]) == at(minutes=2), "a new password is offered from then on"
        locked = PortalStanding(status="locked", locked_until=at(seconds=30))
        assert presenters.changes_at([fresh, waits, locked]) == at(seconds=30)
        expired = PortalStanding(temporary=True, expires_at=at(hours=-1))
        assert presenters.changes_at([expired, PortalStanding(), PortalStanding(status="active")]) is None
