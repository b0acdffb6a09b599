"""The ceiling for everybody, unlocking, and what the owner is told of failed tries."""

from __future__ import annotations

import pytest
import structlog.testing

from clinic_app.core import crypto, db, waiting_room
from clinic_app.core.errors import TooManyAttempts, TryAgainShortly, Unavailable
from clinic_app.services import access
from clinic_app.services.accounts import housekeeping, own_sessions, sign_in_throttle, staff
from clinic_app.services.accounts.errors import InvalidCredentials
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, STAFF_DOOR, sign_in
from tests import factories
from tests.db import tools


@pytest.fixture
def grace(clock, database):
    """A receptionist called ``grace``."""
    return factories.make_staff(username="grace")


WRONG = "Incorrect username or password."
BLOCKED = "Too many attempts. Please try again in 1 minute."
HERE = "203.0.113.7"


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
    limits = sign_in_throttle.of_stranger("grace", "203.0.113.7", None).limits
    assert limits[sign_in_throttle.EVERYBODY] == 1000


# --- IPv6 ---------------------------------------------------------------------------------------


@pytest.mark.asvs("6.3.1")
def test_all_of_an_ipv6_network_of_one_household_counts_as_one_address(clock, grace):
    told = [_wrong(f"name{n}", f"2001:db8:1:2::{n + 1:x}") for n in range(52)]
    assert told.count(WRONG) == 50
    assert {told[50], told[51]} == {"Too many attempts. Please try again in 1 minute."}
    assert _wrong("name", "2001:db8:1:3::1") == WRONG
    assert [_wrong("grace", f"2001:db8:9:9::{n + 1:x}") for n in range(6)][4:] == [WRONG, BLOCKED]


def test_and_ten_times_as_much_the_network_around_it(clock, grace, monkeypatch):
    assert sign_in_throttle.PER_NETWORK == 10 * sign_in_throttle.PER_ADDRESS
    monkeypatch.setattr(sign_in_throttle, "PER_NETWORK", 20)
    told = [_wrong(f"name{n}", f"2001:db8:1:{n + 1:x}::1") for n in range(24)]
    assert told == [WRONG] * 20 + [BLOCKED] * 4
    assert _wrong("name", "2001:db8:2:1::1") == WRONG
    assert _wrong("name", HERE) == WRONG


# --- what tries leave behind ----------------------------------------------------------------------


def _rows() -> int:
    return tools.number("SELECT count(*) FROM sign_in_limits")


def test_whoever_is_blocked_adds_no_row_whatever_names_are_made_up(clock, grace):
    for n in range(51):
        _wrong(f"name{n}")
    before = _rows()
    assert {_wrong(f"another{n}") for n in range(30)} == {BLOCKED}
    assert _rows() == before


def test_nor_does_anybody_once_the_ceiling_is_reached(clock, grace, monkeypatch):
    monkeypatch.setattr(sign_in_throttle, "ALTOGETHER", 10)
    for n in range(11):
        _wrong(f"name{n}", f"198.51.100.{n}")
    before = _rows()
    for n in range(20, 60):
        _wrong(f"name{n}", f"198.51.100.{n}")
    assert _rows() == before


def test_what_strangers_leave_is_bounded_by_what_they_may_try_in_half_an_hour(clock, grace, monkeypatch):
    monkeypatch.setattr(sign_in_throttle, "ALTOGETHER", 10)
    most = 0
    for turn in range(30):  # more than two hours
        for n in range(12):
            _wrong(f"name{turn}-{n}", f"198.51.{turn}.{n}")
        most = max(most, _rows())
        clock.shift(5 * 60 + 1)
        housekeeping.tidy()
    assert most <= 3 * 11 * 7 + 1


def test_a_try_that_blocks_a_name_costs_the_address_nothing(clock, grace):
    """Many who mistype the name of a colleague that strangers guess at do not use their own address up."""
    for n in range(10):
        _wrong(address=f"198.51.100.{n}")
    count = "SELECT count(*) FROM sign_in_limits WHERE key LIKE :kind AND failures > 0"
    before = tools.number(count, kind="address:%")
    assert _wrong() == BLOCKED
    assert tools.number(count, kind="address:%") == before


# --- tries under way ------------------------------------------------------------------------------


def _stranger(name: str = "grace", address: str = HERE) -> sign_in_throttle.Budget:
    return sign_in_throttle.of_stranger(name, address, None)


def _begin(budget: sign_in_throttle.Budget, **more: float) -> sign_in_throttle.Verdict:
    with db.transaction() as session:
        return sign_in_throttle.count_try(session, budget, **more)


def test_while_it_is_open_how_five_tries_end_a_sixth_waits_and_costs_nothing(clock, grace):
    for _ in range(5):
        assert _begin(_stranger()).wait == 0
    before = tools.dump()["sign_in_limits"]
    for _ in range(3):
        with pytest.raises(TryAgainShortly) as told:
            _begin(_stranger(), waited=0.0)
        assert (told.value.seconds, told.value.retry_after) == (0.1, 1)
    assert tools.dump()["sign_in_limits"] == before
    with db.transaction() as session:
        sign_in_throttle.give_back(session, _stranger())
    assert _begin(_stranger()).wait == 0


def test_who_waits_for_how_others_end_asks_less_and_less_often_and_writes_nothing(clock, grace, monkeypatch):
    """Twenty addresses that guess at one account asked a hundred times a second, each time with six writes."""
    for _ in range(5):
        _begin(_stranger())
    monkeypatch.setattr(sign_in_throttle.db, "upsert", None)
    asked, waited = 0, 0.0
    while waited < waiting_room.LONGEST:
        with pytest.raises(TryAgainShortly) as told:
            _begin(_stranger(), waited=waited)
        assert told.value.seconds <= 2
        asked, waited = asked + 1, waited + told.value.seconds
    assert asked <= 12


def test_a_try_that_comes_in_between_is_seen_when_it_is_counted(clock, grace, monkeypatch):
    for _ in range(5):
        _begin(_stranger())
    monkeypatch.setattr(sign_in_throttle, "_look", lambda *_: [])  # as it was before they came
    with pytest.raises(TryAgainShortly):
        _begin(_stranger(), waited=0.0)


def test_tries_that_a_crash_left_open_keep_nobody_waiting_for_long(clock, grace):
    for _ in range(5):
        _begin(_stranger())
    clock.shift(61)
    assert _begin(_stranger()).newly_blocked  # they count as failures now, for five minutes like others
    clock.shift(5 * 60)
    assert _in().actor.account_id == grace.account_id


def test_where_too_many_hashes_wait_nothing_was_tried(clock, grace, monkeypatch):
    def busy(*_: object, **__: object) -> bool:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(crypto, "verify_password", busy)
        for _ in range(20):
            with pytest.raises(Unavailable):
                _in()
    assert tools.number("SELECT sum(failures) + sum(pending) FROM sign_in_limits") == 0
    _in()


def test_tries_are_held_up_before_a_common_limit_refuses_them(clock, grace):
    held = []
    for n in range(50):
        budget = _stranger(f"name{n}")
        try:
            _begin(budget, waited=0.0)
            held.append(0.0)
        except TryAgainShortly as error:
            held.append(error.seconds)
            with pytest.raises(TryAgainShortly) as rest:
                _begin(budget, waited=error.seconds / 4)
            assert rest.value.seconds == pytest.approx(error.seconds * 3 / 4)
            assert _begin(budget, waited=error.seconds).wait == 0
    assert held[:26] == [0.0] * 26
    assert 0 < held[26] < held[27] < held[49]
    assert held == sorted(held)
    assert 1.5 < held[49] <= sign_in_throttle.LONGEST_DELAY


# --- a clock that is set back -----------------------------------------------------------------------


@pytest.mark.parametrize("back", [10, 60 * 60, 24 * 60 * 60, 400 * 24 * 60 * 60])
def test_no_wait_is_endless_when_the_clock_is_set_back(clock, grace, back):
    for n in range(12):
        _wrong(address=f"198.51.100.{n}")
    for _ in range(51):
        _wrong("somebody else")
    clock.shift(-back)
    for _ in range(3):
        clock.shift(sign_in_throttle.LONGEST_WAIT_MINUTES * 60 + 1)
        assert _in().actor.account_id == grace.account_id
    assert sum(_wrong() == WRONG for _ in range(12)) == 5  # and limits still limit


def test_a_clock_that_wavers_buys_no_tries(clock, grace):
    told = []
    for n in range(16):
        clock.shift(2 if n % 2 else -3)
        told.append(_wrong(address=f"198.51.100.{n}"))
    assert told.count(WRONG) == 10


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
    _wrong()
    clock.shift(60)
    _wrong()
    latest = clock_now()
    clock.shift(60)
    done = _in()
    told = own_sessions.take_failed_tries(done.actor)
    assert told is not None
    assert (told.count, told.last_at) == (3, latest)
    assert own_sessions.take_failed_tries(done.actor) is None
    _in()
    assert own_sessions.take_failed_tries(done.actor) is None


def clock_now():
    from clinic_app.core import clock

    return clock.now()


def test_what_was_not_told_is_added_to_the_next_time(clock, grace):
    _wrong()
    _wrong()
    _in()
    _wrong()
    done = _in()
    told = own_sessions.take_failed_tries(done.actor)
    assert told is not None
    assert told.count == 3


def test_one_or_two_are_the_owners_own_slips_and_not_added_to_the_next_time_once_looked_at(clock, grace):
    for _ in range(3):
        _wrong()
        _wrong()
        assert own_sessions.take_failed_tries(_in().actor) is None


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
