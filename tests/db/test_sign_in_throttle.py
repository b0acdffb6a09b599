"""The ceiling for everybody, unlocking, and what the owner is told of failed tries."""

from __future__ import annotations

import pytest
import structlog.testing

from clinic_app.core.errors import TooManyAttempts
from clinic_app.services import access
from clinic_app.services.accounts import own_sessions, sign_in_throttle, staff
from clinic_app.services.accounts.errors import InvalidCredentials
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, STAFF_DOOR, sign_in
from tests import factories
from tests.db import tools


@pytest.fixture
def grace(clock, database):
    """A receptionist called ``grace``."""
    return factories.make_staff(username="grace")


def _wrong(name: str = "grace", address: str = "203.0.113.7") -> str:
    with tools.from_address(address):
        try:
            sign_in(STAFF_DOOR, name, "wrong")
        except (InvalidCredentials, TooManyAttempts) as error:
            return error.detail
    raise AssertionError("signed in")


def _in(address: str = "203.0.113.7"):
    with tools.from_address(address):
        return sign_in(STAFF_DOOR, "grace", factories.PASSWORD)


# --- all together -------------------------------------------------------------------------------


@pytest.mark.asvs("6.3.1")
def test_a_spray_over_names_and_addresses_stops_at_the_ceiling(clock, grace, monkeypatch):
    monkeypatch.setattr(sign_in_throttle, "ALTOGETHER", 30)
    with structlog.testing.capture_logs() as logged:
        told = [_wrong(f"name{n}", f"198.51.{n}.1") for n in range(40)]
    assert told.count("Incorrect username or password.") == 30
    assert set(told[30:]) == {"Too many attempts. Please try again in 5 minutes."}
    assert [line["event"] for line in logged if line["log_level"] == "error"] == ["sign_in_ceiling_reached"]
    with pytest.raises(TooManyAttempts):  # everybody waits, with the same words
        _in("192.0.2.55")
    blocked = tools.trail("SIGN_IN_BLOCKED")
    assert len(blocked) == 1
    clock.shift(5 * 60 + 1)
    assert _in("192.0.2.55").actor.account_id == grace.account_id


def test_the_ceiling_never_grows(clock, grace, monkeypatch):
    monkeypatch.setattr(sign_in_throttle, "ALTOGETHER", 5)
    for turn in range(4):
        told = [_wrong(f"name{turn}{n}", f"198.51.{turn}.{n}") for n in range(7)]
        assert told[5:] == ["Too many attempts. Please try again in 5 minutes."] * 2
        clock.shift(5 * 60 + 1)


def test_right_passwords_do_not_fill_the_ceiling(grace, monkeypatch):
    monkeypatch.setattr(sign_in_throttle, "ALTOGETHER", 3)
    for _ in range(10):
        _in()
    assert tools.raw("SELECT failures FROM sign_in_limits WHERE key = 'everybody'")[0][0] == 0


def test_the_ceiling_is_a_thousand():
    assert sign_in_throttle.ALTOGETHER == 1000
    assert sign_in_throttle._keys("grace", "203.0.113.7")[sign_in_throttle.EVERYBODY] == 1000


# --- unlocking ----------------------------------------------------------------------------------


@pytest.mark.asvs("6.1.1")
def test_an_administrator_unlocks_and_that_is_recorded(grace):
    admin = factories.make_staff("ADMIN")
    for n in range(12):
        _wrong(address=f"198.51.100.{n}")
    with pytest.raises(TooManyAttempts):
        _in()
    staff.unlock_account(admin, grace.account_id or 0)
    assert _in().actor.account_id == grace.account_id
    event = tools.trail("ACCOUNT_UNLOCKED")[-1]
    assert (event["actor_id"], event["resource_id"]) == (admin.account_id, grace.account_id)


def test_a_patient_can_be_unlocked_too(clock, people):
    username = tools.raw("SELECT username FROM accounts WHERE id = :i", i=people.patient.account_id)[0][0]
    for n in range(12):
        with tools.from_address(f"198.51.100.{n}"), pytest.raises((InvalidCredentials, TooManyAttempts)):
            sign_in(PATIENT_DOOR, username, "wrong")
    staff.unlock_account(access.SYSTEM, people.patient.account_id or 0)
    sign_in(PATIENT_DOOR, username, factories.OWN_PASSWORD)


# --- the owner is told --------------------------------------------------------------------------


@pytest.mark.asvs("6.3.5")
def test_the_owner_is_told_once_how_many_tries_failed_and_when(clock, grace):
    _in()
    assert own_sessions.take_failed_tries(grace) is None
    _wrong()
    clock.shift(60)
    _wrong()
    latest = clock_now()
    clock.shift(60)
    done = _in()
    told = own_sessions.take_failed_tries(done.actor)
    assert told is not None
    assert (told.count, told.last_at) == (2, latest)
    assert own_sessions.take_failed_tries(done.actor) is None
    _in()
    assert own_sessions.take_failed_tries(done.actor) is None


def clock_now():
    from clinic_app.core import clock

    return clock.now()


def test_what_was_not_told_is_added_to_the_next_time(clock, grace):
    _wrong()
    _in()
    _wrong()
    done = _in()
    told = own_sessions.take_failed_tries(done.actor)
    assert told is not None
    assert told.count == 2


def test_tries_at_the_wrong_door_and_refused_ones_are_not_the_owners(clock, grace):
    with pytest.raises(InvalidCredentials):
        sign_in(PATIENT_DOOR, "grace", factories.PASSWORD)
    clock.shift(10 * 60)
    for _ in range(8):
        _wrong()
    staff.unlock_account(access.SYSTEM, grace.account_id or 0)
    told = own_sessions.take_failed_tries(_in().actor)
    assert told is not None
    assert told.count == 5  # three were refused before anything was looked at
