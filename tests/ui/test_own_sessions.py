"""*Where you are signed in*: whose sessions are listed and ended is decided by the session alone."""

from __future__ import annotations

import pytest

from clinic_app.core import crypto, db
from clinic_app.models.accounts import Account, LoginSession
from clinic_app.services.access import Actor
from clinic_app.services.accounts import own_sessions, sessions
from clinic_app.ui.account.state import AccountState
from clinic_app.ui.own_sessions.state import OwnSessionsState
from clinic_app.ui.view_models import SessionRow
from tests.ui.conftest import Desk, events

OVER = "This session has already ended."


def _elsewhere(actor: Actor) -> Actor:
    """``actor``, signed in once more."""
    with db.transaction() as session:
        account = session.get(Account, actor.account_id)
        assert account is not None
        token, _ = sessions.open_session(session, account)
    return sessions.resolve(crypto.digest(token))


def _alive(actor: Actor) -> bool:
    with db.reading() as session:
        row = session.get(LoginSession, actor.session_id)
        return row is not None and row.ended_at is None


async def _rows(desk: Desk) -> list[SessionRow]:
    await desk.fire(OwnSessionsState.load)
    return desk.state(OwnSessionsState).sessions


@pytest.mark.parametrize("who", ["patient", "receptionist"])
async def test_the_list_is_that_of_whoever_is_signed_in(desk, people, who):
    own = getattr(people, who)
    desk.sign_in(own)
    (here,), mine = [row.id for row in await _rows(desk) if row.this_one], _elsewhere(own)
    theirs = {_elsewhere(people.clinician).session_id, _elsewhere(people.admin).session_id}
    found = await _rows(desk)
    assert found[0].id == mine.session_id
    assert not theirs & {row.id for row in found}
    assert [row.id for row in found if row.this_one] == [here]


async def test_ending_one_takes_it_from_the_list_and_says_so(desk, people):
    desk.sign_in(people.patient)
    other = _elsewhere(people.patient)
    assert other.session_id in [row.id for row in await _rows(desk)]
    assert events(await desk.fire(OwnSessionsState.end, other.session_id)) == ["_set_focus ref_sessions_said"]
    state = desk.state(OwnSessionsState)
    assert other.session_id not in [row.id for row in state.sessions]
    assert (state.notice, state.failure, _alive(other)) == ("That device has been signed out.", "", False)


async def test_somebody_elses_session_answers_like_one_that_does_not_exist(desk, people):
    desk.sign_in(people.patient)
    theirs, said = _elsewhere(people.receptionist), set()
    for ident in (theirs.session_id, 10**6, 0, -1, "1", None, [theirs.session_id], {"id": theirs.session_id}):
        await desk.fire(OwnSessionsState.end, ident)
        said.add((desk.state(OwnSessionsState).failure, desk.state(OwnSessionsState).notice))
    assert said == {(OVER, "")}
    assert _alive(theirs)


async def test_one_that_is_over_already_leaves_the_list_as_well(desk, people):
    desk.sign_in(people.patient)
    other = _elsewhere(people.patient)
    assert other.session_id in [row.id for row in await _rows(desk)]
    own_sessions.end_own_session(people.patient, other.session_id or 0)
    await desk.fire(OwnSessionsState.end, other.session_id)
    assert desk.state(OwnSessionsState).failure == OVER
    assert other.session_id not in [row.id for row in desk.state(OwnSessionsState).sessions]


@pytest.mark.parametrize(
    ("who", "path", "to"),
    [("patient", "/patient-portal", "/patient-portal/login"), ("receptionist", "/account", "/login")],
)
async def test_ending_this_very_session_leads_to_ones_own_sign_in(desk, people, who, path, to):
    desk.sign_in(getattr(people, who))
    desk.at(path)
    (own,) = [row.id for row in await _rows(desk) if row.this_one]
    assert events(await desk.fire(OwnSessionsState.end, own)) == [f"_redirect {to}"]


async def test_the_account_page_of_the_desk_is_not_for_patients(desk, people):
    desk.sign_in(people.patient)
    assert events(await desk.fire(AccountState.load)) == ["_redirect /patient-portal"]
    assert desk.state(AccountState).mode == "loading"
