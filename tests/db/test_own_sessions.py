"""One's own sessions, confirming that it is still oneself, and changing one's password."""

from __future__ import annotations

import dataclasses

import pytest

from clinic_app.core import crypto
from clinic_app.core.errors import (
    AuthenticationRequired,
    InvalidInput,
    NotFound,
    ReauthenticationRequired,
    TooManyAttempts,
)
from clinic_app.services import access
from clinic_app.services.accounts import own_sessions, sessions, staff
from clinic_app.services.accounts.errors import InvalidCredentials, WrongPassword
from clinic_app.services.accounts.passwords import change_password
from clinic_app.services.accounts.reauthentication import check_fresh, reauthenticate
from clinic_app.services.accounts.signing_in import STAFF_DOOR, sign_in
from clinic_app.services.audit.reading import change_number
from tests import factories
from tests.db import tools

NEW = "violet harbour mends lantern"


@pytest.fixture
def grace(clock, database):
    """A receptionist called ``grace``."""
    return factories.make_staff(username="grace")


def _in(**how):
    return sign_in(STAFF_DOOR, "grace", how.pop("password", factories.PASSWORD), **how)


def _hash(done) -> str:
    return crypto.digest(done.token)


def _alive(done) -> bool:
    return sessions.resolve(_hash(done), touch=False).kind == "account"


# --- seeing and ending --------------------------------------------------------------------------


@pytest.mark.asvs("7.5.2")
def test_the_list_has_the_open_ones_only_and_knows_this_one(clock, grace):
    with tools.from_address("198.51.100.1"):
        first = _in()
    clock.shift(60)
    second = _in(kind="api")
    other = factories.make_staff(username="other")
    sign_in(STAFF_DOOR, "other", factories.PASSWORD)
    sessions.sign_out(_hash(_in()))
    found = own_sessions.list_own_sessions(first.actor)
    assert [(one.id, one.kind, one.this_one) for one in found] == [
        (second.actor.session_id, "api", False),
        (first.actor.session_id, "page", True),
    ]
    assert found[1].address == "198.51.100.1"
    clock.shift(15 * 60)
    assert own_sessions.list_own_sessions(first.actor) == ()
    assert other


def test_ending_one_leaves_the_others_and_wakes_open_lists(grace):
    one, two = _in(), _in()
    before = change_number()
    own_sessions.end_own_session(one.actor, two.actor.session_id or 0)
    assert (_alive(one), _alive(two)) == (True, False)
    assert change_number() == before + 1
    assert tools.trail("SESSIONS_ENDED")[-1]["actor_id"] == grace.account_id
    with pytest.raises(NotFound):
        own_sessions.end_own_session(one.actor, two.actor.session_id or 0)


@pytest.mark.asvs("8.2.2")
def test_a_session_of_somebody_else_cannot_be_ended(grace):
    factories.make_staff(username="other")
    theirs = sign_in(STAFF_DOOR, "other", factories.PASSWORD)
    with pytest.raises(NotFound):
        own_sessions.end_own_session(_in().actor, theirs.actor.session_id or 0)
    assert _alive(theirs)
    with pytest.raises(AuthenticationRequired):
        own_sessions.end_own_session(access.ANONYMOUS, theirs.actor.session_id or 0)


@pytest.mark.asvs("7.5.2")
def test_sign_out_everywhere_ends_all_this_one_too(grace):
    done = [_in(), _in(), _in(kind="api")]
    before = change_number()
    own_sessions.sign_out_everywhere(done[0].actor)
    assert [_alive(one) for one in done] == [False] * 3
    assert change_number() == before + 1


@pytest.mark.asvs("7.1.2")
def test_the_eleventh_session_ends_the_oldest(grace):
    done = [_in() for _ in range(10)]
    api = _in(kind="api")
    assert all(map(_alive, done))
    before = change_number()
    eleventh = _in()
    assert [_alive(one) for one in done] == [False] + [True] * 9
    assert _alive(eleventh)
    assert _alive(api)
    assert change_number() == before + 1  # its open lists leave


@pytest.mark.asvs("7.4.5")
@pytest.mark.parametrize("what", ["role", "disable", "reset", "two factor"])
def test_what_an_administrator_changes_ends_the_sessions(grace, what):
    done, admin = _in(), factories.make_staff("ADMIN")
    ident, before = grace.account_id or 0, change_number()
    {
        "role": lambda: staff.change_role(admin, ident, "CLINICIAN"),
        "disable": lambda: staff.disable_staff(admin, ident),
        "reset": lambda: staff.reset_staff_password(admin, ident),
        "two factor": lambda: staff.reset_two_factor(admin, ident),
    }[what]()
    assert not _alive(done)
    assert change_number() == before + 1


# --- coming back after an idle end --------------------------------------------------------------


def test_the_same_browser_comes_back_to_its_page_after_an_idle_end(clock, grace):
    first = _in()
    sessions.remember_path(_hash(first), "/patients/LMC000012")
    clock.shift(16 * 60)
    assert not _alive(first)
    assert _in(replaces=_hash(first)).back_to == "/patients/LMC000012"


def test_nobody_comes_back_after_signing_out_or_in_another_browser_or_as_somebody_else(clock, grace):
    factories.make_staff(username="other")
    out, idle = _in(), _in()
    for done in (out, idle):
        sessions.remember_path(_hash(done), "/patients/LMC000012")
    sessions.sign_out(_hash(out))
    clock.shift(16 * 60)
    assert _in(replaces=_hash(out)).back_to == ""
    assert _in().back_to == ""
    assert sign_in(STAFF_DOOR, "other", factories.PASSWORD, replaces=_hash(idle)).back_to == ""


def test_a_page_is_kept_for_known_sessions_only_and_not_endless(grace):
    done = _in()
    sessions.remember_path("0" * 64, "/patients")
    sessions.remember_path(_hash(done), "/" + "x" * 200)
    assert tools.raw("SELECT path FROM login_sessions") == [("",)]


# --- confirming ---------------------------------------------------------------------------------


def test_signing_in_counts_as_confirming_for_five_minutes(clock, grace):
    done = _in()
    check_fresh(done.actor)
    clock.shift(5 * 60 - 1)
    check_fresh(sessions.resolve(_hash(done)))
    clock.shift(1)
    with pytest.raises(ReauthenticationRequired):
        check_fresh(sessions.resolve(_hash(done)))
    clock.shift(-600)  # a clock set back opens nothing
    with pytest.raises(ReauthenticationRequired):
        check_fresh(dataclasses.replace(done.actor))
    check_fresh(access.SYSTEM)
    with pytest.raises(AuthenticationRequired):
        check_fresh(access.ANONYMOUS)


@pytest.mark.asvs("7.2.4")
def test_confirming_brings_a_new_token_and_the_old_one_opens_nothing(clock, grace):
    done = _in()
    clock.shift(10 * 60)
    fresh = reauthenticate(sessions.resolve(_hash(done)), factories.PASSWORD, session_token_hash=_hash(done))
    assert fresh.token != done.token
    assert not _alive(done)
    assert fresh.actor == sessions.resolve(_hash(fresh))
    assert fresh.actor.session_id == done.actor.session_id
    assert fresh.expires_at == done.expires_at  # the absolute end stays
    check_fresh(fresh.actor)
    assert tools.trail("CONFIRMED")[-1]["actor_id"] == grace.account_id


def test_a_wrong_password_confirms_nothing_and_is_counted_in_its_session(clock, grace):
    done = _in()
    clock.shift(6 * 60)
    actor = sessions.resolve(_hash(done))
    for _ in range(5):
        with pytest.raises(WrongPassword):
            reauthenticate(actor, "wrong", session_token_hash=_hash(done))
    with pytest.raises(TooManyAttempts):
        reauthenticate(actor, factories.PASSWORD, session_token_hash=_hash(done))
    _in()  # elsewhere nobody waits for it
    assert _alive(done)
    assert len(tools.trail("CONFIRM_FAILED")) == 5
    clock.shift(5 * 60 + 60)
    told = own_sessions.take_failed_tries(_in().actor)
    assert told is not None
    assert told.count == 5


def test_confirming_for_somebody_elses_session_is_refused(grace):
    factories.make_staff(username="other")
    theirs = sign_in(STAFF_DOOR, "other", factories.PASSWORD)
    own = _in()
    with pytest.raises(AuthenticationRequired):
        reauthenticate(own.actor, factories.PASSWORD, session_token_hash=_hash(theirs))
    assert _alive(theirs)


def test_a_session_that_ended_meanwhile_is_not_renewed(grace):
    done = _in()
    sessions.sign_out(_hash(done))
    with pytest.raises(AuthenticationRequired):
        reauthenticate(done.actor, factories.PASSWORD, session_token_hash=_hash(done))


# --- one's own password -------------------------------------------------------------------------


def _change(done, current=factories.PASSWORD, new=NEW, again=None):
    return change_password(done.actor, current, new, new if again is None else again, session_token_hash=_hash(done))


@pytest.mark.asvs("6.2.2", "7.4.3")
def test_changing_ones_password_ends_all_sessions_but_opens_a_new_one(grace):
    here, elsewhere = _in(), _in(kind="api")
    fresh = _change(here)
    assert (_alive(here), _alive(elsewhere), _alive(fresh)) == (False, False, True)
    with pytest.raises(InvalidCredentials):
        _in()
    assert _in(password=NEW)
    event = tools.trail("PASSWORD_CHOSEN")[-1]
    assert event["metadata"] == {"was_temporary": False}
    assert NEW not in str(tools.dump())


@pytest.mark.asvs("6.2.3")
@pytest.mark.parametrize(
    ("current", "new", "again", "field"),
    [
        ("", NEW, NEW, "current_password"),
        ("wrong", NEW, NEW, "current_password"),
        (factories.PASSWORD, "", "", "new_password"),
        (factories.PASSWORD, "short", "short", "new_password"),
        (factories.PASSWORD, "passwordpassword", "passwordpassword", "new_password"),
        (factories.PASSWORD, "grace wanjiru grace", "grace wanjiru grace", "new_password"),
        (factories.PASSWORD, factories.PASSWORD, factories.PASSWORD, "new_password"),
        (factories.PASSWORD, NEW, NEW + "!", "confirm_password"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_changes_nothing(grace, current, new, again, field):
    done = _in()
    with pytest.raises(InvalidInput) as caught:
        _change(done, current, new, again)
    assert list(caught.value.fields) == [field]
    assert _alive(done)
    assert _in()


@pytest.mark.asvs("6.2.3")
def test_a_wrong_current_password_is_counted(grace):
    done = _in()
    for _ in range(5):
        with pytest.raises(InvalidInput):
            _change(done, "wrong")
    with pytest.raises(TooManyAttempts):
        _change(done)


def test_changing_a_password_is_for_somebody_signed_in(database):
    with pytest.raises(AuthenticationRequired):
        change_password(access.ANONYMOUS, "a", "b", "b", session_token_hash="")
