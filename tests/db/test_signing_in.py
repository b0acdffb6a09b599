"""Signing in: one answer for every refusal, and limits on guessing."""

from __future__ import annotations

import datetime as dt

import pytest

from clinic_app.core import crypto
from clinic_app.core.errors import TooManyAttempts
from clinic_app.services.accounts import sessions, sign_in_throttle
from clinic_app.services.accounts.errors import InvalidCredentials, TemporaryPasswordExpired
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, STAFF_DOOR, normal_username, sign_in
from clinic_app.services.patients.profile import reread_patient
from clinic_app.services.portal.provisioning import reset_portal_password, turn_off_portal
from tests import factories
from tests.db import tools

NOBODY = "nobody@example.com"


@pytest.fixture
def grace(clock, database):
    """A receptionist called ``grace``."""
    return factories.make_staff(username="grace")


@pytest.fixture
def amina(grace):
    """A patient with a temporary password."""
    return factories.make_patient(grace, portal_email="amina@example.com")


def _answer(door: str, name: str, password: str, address: str = "203.0.113.7") -> str:
    """``in``, or the words of the refusal."""
    with tools.from_address(address):
        try:
            sign_in(door, name, password)
        except (InvalidCredentials, TemporaryPasswordExpired, TooManyAttempts) as error:
            return error.detail
    return "in"


def _staff(password: str = "wrong", address: str = "203.0.113.7", name: str = "grace") -> str:
    return _answer(STAFF_DOOR, name, password, address)


def _blocked(minutes: int) -> str:
    return f"Too many attempts. Please try again in {minutes} minute{'' if minutes == 1 else 's'}."


WRONG = "Incorrect username or password."
EXPIRED = "This temporary password has expired. Please ask the reception for a new one."


# --- the door -----------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["grace", " GRACE ", "Ｇｒａｃｅ"])
def test_the_right_password_opens_a_session(grace, typed):
    done = sign_in(STAFF_DOOR, typed, factories.PASSWORD)
    assert done.actor.account_id == grace.account_id
    assert (done.actor.role, done.actor.must_choose_password) == ("RECEPTIONIST", False)
    assert done.expires_at == dt.datetime(2026, 6, 15, 21, tzinfo=dt.UTC)
    found = sessions.resolve(crypto.digest(done.token))
    assert (found.account_id, found.session_id) == (done.actor.account_id, done.actor.session_id)
    assert tools.number("SELECT count(*) FROM accounts WHERE last_sign_in_at IS NOT NULL") == 1


@pytest.mark.asvs("6.3.8")
def test_every_refusal_is_the_same_answer_after_one_check_outside_of_transactions(grace, amina, hashing):
    off = factories.make_patient(grace, portal_email="off@example.com")
    turn_off_portal(grace, off.patient.id)
    assert amina.credentials is not None
    assert off.credentials is not None
    tries = {
        "unknown name": (STAFF_DOOR, NOBODY, factories.PASSWORD),
        "unknown email": (PATIENT_DOOR, NOBODY, factories.PASSWORD),
        "wrong password": (STAFF_DOOR, "grace", "wrong"),
        "wrong temporary password": (PATIENT_DOOR, "amina@example.com", "wrong"),
        "turned off, right password": (PATIENT_DOOR, "off@example.com", off.credentials.temporary_password),
        "turned off, wrong password": (PATIENT_DOOR, "off@example.com", "wrong"),
        "staff at the patients' door": (PATIENT_DOOR, "grace", factories.PASSWORD),
        "patient at the staff door": (STAFF_DOOR, "amina@example.com", amina.credentials.temporary_password),
        "no name": (STAFF_DOOR, "", factories.PASSWORD),
        "no password": (STAFF_DOOR, "grace", ""),
        "NUL in the name": (STAFF_DOOR, "gra\x00ce", factories.PASSWORD),
        "half a pair in the name": (STAFF_DOOR, "\ud800", "\ud800"),
        "endless name": (STAFF_DOOR, "x" * 5000, "x" * 5000),
    }
    hashing.made.clear()
    for why, (door, name, password) in tries.items():
        hashing.checked.clear()
        with pytest.raises(InvalidCredentials) as caught:
            sign_in(door, name, password)
        assert (caught.value.title, caught.value.detail, caught.value.fields) == ("Sign-in failed", WRONG, {}), why
        assert len(hashing.checked) == 1, why
        assert hashing.checked[0].startswith("hash"), why
    assert hashing.made == []
    assert hashing.inside == []
    assert tools.number("SELECT count(*) FROM login_sessions") == 0
    failures = tools.trail("SIGN_IN_FAILED")
    assert len(failures) == len(tries)
    assert {row["outcome"] for row in failures} == {"failure"}
    assert {row["actor"] for row in failures} == {"anonymous"}
    assert NOBODY not in str(failures)
    assert factories.PASSWORD not in str(failures)


@pytest.mark.asvs("16.3.1")
def test_a_success_is_recorded_with_its_door(grace):
    sign_in(STAFF_DOOR, "grace", factories.PASSWORD)
    event = tools.trail()[-1]
    assert (event["action"], event["outcome"], event["actor_id"]) == ("SIGNED_IN", "success", grace.account_id)
    assert event["metadata"] == {"door": "staff"}


def test_an_account_turned_off_while_the_hash_was_computed_stays_shut(grace, amina, monkeypatch):
    real = crypto.verify_password

    def slowly(*args, **more):
        same = real(*args, **more)
        turn_off_portal(grace, amina.patient.id)
        return same

    monkeypatch.setattr(crypto, "verify_password", slowly)
    with pytest.raises(InvalidCredentials):
        sign_in(PATIENT_DOOR, "amina@example.com", amina.credentials.temporary_password)
    assert tools.number("SELECT count(*) FROM login_sessions") == 0


def test_a_password_reset_while_the_hash_was_computed_opens_nothing(clock, grace, amina, monkeypatch):
    real = crypto.verify_password

    def slowly(*args, **more):
        same = real(*args, **more)
        clock.shift(1)
        reset_portal_password(grace, amina.patient.id)
        return same

    monkeypatch.setattr(crypto, "verify_password", slowly)
    with pytest.raises(InvalidCredentials):
        sign_in(PATIENT_DOOR, "amina@example.com", amina.credentials.temporary_password)
    assert tools.number("SELECT count(*) FROM login_sessions") == 0


@pytest.mark.parametrize("cost", ["5", "6"])
def test_another_cost_makes_the_hash_anew_at_the_next_sign_in(change_setting, grace, hashing, cost):
    change_setting("CLINIC_BCRYPT_COST", cost)
    sign_in(STAFF_DOOR, "grace", factories.PASSWORD)
    kept = tools.raw("SELECT password_hash FROM accounts WHERE username = 'grace'")[0][0]
    assert kept.startswith(f"v2$k1$$2b$0{cost}$")
    assert hashing.inside == []
    hashing.made.clear()
    sign_in(STAFF_DOOR, "grace", factories.PASSWORD)
    assert hashing.made == []
    assert tools.raw("SELECT password_hash FROM accounts WHERE username = 'grace'")[0][0] == kept


def test_a_wrong_password_never_makes_the_hash_anew(change_setting, grace):
    before = tools.raw("SELECT password_hash FROM accounts WHERE username = 'grace'")
    change_setting("CLINIC_BCRYPT_COST", "5")
    assert _staff() == WRONG
    assert tools.raw("SELECT password_hash FROM accounts WHERE username = 'grace'") == before


def test_usernames_are_compared_in_one_form():
    assert normal_username(" Amina@EXAMPLE.com\n") == "amina@example.com"
    assert normal_username("Jose\u0301") == "jos\u00e9"
    assert normal_username("a\x00b\u202e") == "a\ufffdb"
    assert normal_username("\u200eamina@example.com\ufeff") == "amina@example.com"
    assert len(normal_username("x" * 999)) == 254


# --- temporary passwords ------------------------------------------------------------------------


def test_a_pasted_temporary_password_opens_with_gaps_and_is_not_counted(grace, amina):
    right = amina.credentials.temporary_password
    groups = [right[:4], right[4:8], right[8:]]
    for typed in (" ".join(groups), "\u00a0".join(groups), "-".join(groups), f" {right}\n", f"\u202a{right}\u202c"):
        assert _answer(PATIENT_DOOR, "amina@example.com", typed) == "in", repr(typed)
    assert tools.number("SELECT max(temporary_failures) FROM accounts") == 0
    assert tools.trail("SIGN_IN_FAILED") == []
    assert _answer(PATIENT_DOOR, "amina@example.com", right[:-1]) != "in"
    assert tools.number("SELECT max(temporary_failures) FROM accounts") == 1


def test_an_expired_temporary_password_is_told_only_after_the_right_one(clock, grace, amina):
    right = amina.credentials.temporary_password
    clock.shift(48 * 3600 - 1)
    assert _answer(PATIENT_DOOR, "amina@example.com", right) == "in"
    clock.shift(1)
    assert _answer(PATIENT_DOOR, "amina@example.com", "wrong") == WRONG
    assert _answer(PATIENT_DOOR, "amina@example.com", right) == EXPIRED
    assert _answer(STAFF_DOOR, "amina@example.com", right) == WRONG
    event = tools.trail()[-2]
    assert (event["action"], event["metadata"]["reason"]) == ("SIGN_IN_FAILED", "temporary_password_expired")
    assert reread_patient(grace, amina.patient.id).access.status == "expired"
    fresh = reset_portal_password(grace, amina.patient.id).credentials.temporary_password
    assert _answer(PATIENT_DOOR, "amina@example.com", fresh) == "in"


@pytest.mark.asvs("6.4.1")
def test_ten_wrong_tries_kill_a_temporary_password(clock, grace, amina):
    right = amina.credentials.temporary_password
    for n in range(9):
        assert _answer(PATIENT_DOOR, "amina@example.com", "wrong", f"198.51.100.{n}") == WRONG
    assert _answer(PATIENT_DOOR, "amina@example.com", right) == "in"
    assert _answer(PATIENT_DOOR, "amina@example.com", "wrong") == WRONG  # a sign-in in between does not help
    assert reread_patient(grace, amina.patient.id).access.status == "expired"
    assert _answer(PATIENT_DOOR, "amina@example.com", right) == EXPIRED
    fresh = reset_portal_password(grace, amina.patient.id).credentials.temporary_password
    assert _answer(PATIENT_DOOR, "amina@example.com", fresh) == "in"


def test_the_wrong_door_uses_no_tries_of_a_temporary_password_up(clock, grace, amina):
    for n in range(10):
        assert (
            _answer(STAFF_DOOR, "amina@example.com", amina.credentials.temporary_password, f"198.51.100.{n}") == WRONG
        )
    clock.shift(600)
    assert _answer(PATIENT_DOOR, "amina@example.com", amina.credentials.temporary_password) == "in"


def test_a_password_of_ones_own_is_not_killed_by_wrong_tries(clock, grace, amina):
    factories.own_password(amina)
    for n in range(10):
        assert _answer(PATIENT_DOOR, "amina@example.com", "wrong", f"198.51.100.{n}") == WRONG
    clock.shift(600)
    assert _answer(PATIENT_DOOR, "amina@example.com", factories.OWN_PASSWORD) == "in"


# --- limits -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["grace", NOBODY])
def test_one_address_has_five_tries_at_one_name_known_or_not(grace, hashing, name):
    assert [_staff(name=name) for _ in range(8)] == [WRONG] * 5 + [_blocked(1)] * 3
    assert len(hashing.checked) == 5


@pytest.mark.asvs("6.3.1")
@pytest.mark.parametrize("name", ["grace", NOBODY])
def test_one_name_has_ten_tries_from_everywhere(grace, hashing, name):
    answers = [_staff(name=name, address=f"198.51.100.{n}") for n in range(12)]
    assert answers == [WRONG] * 10 + [_blocked(1)] * 2
    assert len(hashing.checked) == 10


@pytest.mark.asvs("6.3.1")
def test_one_address_has_fifty_tries_at_all_names(grace, hashing):
    answers = [_staff(name=f"name{n}") for n in range(52)]
    assert answers == [WRONG] * 50 + [_blocked(1)] * 2
    assert len(hashing.checked) == 50
    assert _staff(factories.PASSWORD) == _blocked(1)  # the right password waits too
    assert _staff(factories.PASSWORD, "198.51.100.9") == "in"  # but not elsewhere


def test_the_right_password_does_not_pass_a_block(grace, hashing):
    for _ in range(6):
        _staff()
    hashing.checked.clear()
    assert _staff(factories.PASSWORD) == _blocked(1)
    assert hashing.checked == []


@pytest.mark.asvs("6.1.1", "6.3.1")
def test_waits_grow_to_a_quarter_of_an_hour_with_one_try_after_each(clock, grace):
    for _ in range(5):
        assert _staff() == WRONG
    for minutes in (1, 2, 4, 8, 15, 15):
        assert _staff() == _blocked(minutes)
        clock.shift(minutes * 60 - 1)
        assert _staff() == _blocked(1)
        clock.shift(1)
        assert _staff() == WRONG
    assert _staff() == _blocked(15)
    clock.shift(15 * 60)
    assert _staff(factories.PASSWORD) == "in"
    assert [_staff() for _ in range(6)] == [WRONG] * 5 + [_blocked(1)]  # a success begins anew


def test_waits_grow_by_name_from_many_addresses_too(clock, grace):
    places = iter(f"198.51.{n // 250}.{n % 250}" for n in range(1000))
    for _ in range(10):
        assert _staff(address=next(places)) == WRONG
    for minutes in (1, 2, 4, 8, 15, 15):
        assert _staff(address=next(places)) == _blocked(minutes)
        clock.shift(minutes * 60)
        assert _staff(address=next(places)) == WRONG


def test_the_longest_wait_is_the_one_that_is_told(clock, grace):
    for place in [*["198.51.100.1"] * 4, *[f"198.51.100.{n}" for n in range(2, 8)]]:
        assert _staff(address=place) == WRONG
    for minutes in (1, 2):
        assert _staff(address=f"198.51.100.{minutes * 10}") == _blocked(minutes)
        clock.shift(minutes * 60)
        assert _staff(address=f"198.51.100.{minutes * 10 + 1}") == WRONG
    assert _staff(address="198.51.100.30") == _blocked(4)  # the name, for everybody
    assert [_staff(address="198.51.100.1") for _ in range(3)] == [_blocked(4)] * 3  # and here the pair, for one


def test_a_try_that_is_refused_costs_nobody_else(grace):
    """One address alone must not be able to lock an account for its owner."""
    for _ in range(40):
        _staff(address="198.51.100.66")
    assert [_staff(address=f"198.51.100.{n}") for n in range(4)] == [WRONG] * 4
    assert _staff(factories.PASSWORD, "203.0.113.1") == "in"  # the tenth that is checked


def test_old_failures_are_forgotten_after_five_minutes(clock, grace):
    assert [_staff() for _ in range(5)] == [WRONG] * 5
    clock.shift(300)
    assert [_staff() for _ in range(5)] == [WRONG] * 5


def test_a_success_forgives_the_failures_before_it(grace):
    for _ in range(3):
        assert [_staff() for _ in range(4)] == [WRONG] * 4
        assert _staff(factories.PASSWORD) == "in"


def test_a_success_does_not_forgive_what_an_address_does_to_other_names(grace):
    for n in range(49):
        assert _staff(name=f"name{n}") == WRONG
    assert _staff(factories.PASSWORD) == "in"  # took its own try back, no more
    assert _staff(name="name49") == WRONG
    assert _staff(name="name50") == _blocked(1)


def test_a_reset_lifts_every_lock_of_the_account_and_shows_none(clock, grace, amina):
    for n in range(10):
        _answer(PATIENT_DOOR, "amina@example.com", "wrong", f"198.51.100.{n}")
    for _ in range(3):
        _answer(PATIENT_DOOR, "amina@example.com", "wrong", "198.51.100.0")
    factories.make_patient(grace, portal_email="other@example.com")
    assert _answer(PATIENT_DOOR, "amina@example.com", "x", "198.51.100.99") == _blocked(1)
    fresh = reset_portal_password(grace, amina.patient.id).credentials.temporary_password
    assert reread_patient(grace, amina.patient.id).access.status == "temporary"
    assert _answer(PATIENT_DOOR, "amina@example.com", fresh, "198.51.100.99") == "in"


def test_a_reset_lifts_the_lock_at_the_address_where_the_patient_sits(grace, amina):
    for _ in range(6):
        _answer(PATIENT_DOOR, "amina@example.com", "wrong")
        _answer(PATIENT_DOOR, "other@example.com", "wrong")
    fresh = reset_portal_password(grace, amina.patient.id).credentials.temporary_password
    assert _answer(PATIENT_DOOR, "amina@example.com", fresh) == "in"
    assert _answer(PATIENT_DOOR, "other@example.com", "wrong") == _blocked(1)


def test_a_lock_is_shown_to_the_desk_while_it_lasts(clock, grace, amina):
    factories.own_password(amina)
    for n in range(11):
        _answer(PATIENT_DOOR, "amina@example.com", "wrong", f"198.51.100.{n}")
    access = reread_patient(grace, amina.patient.id).access
    assert access.status == "locked"
    assert access.locked_until == dt.datetime(2026, 6, 15, 9, 1, tzinfo=dt.UTC)
    clock.shift(60)
    access = reread_patient(grace, amina.patient.id).access
    assert (access.status, access.locked_until) == ("active", None)


def test_after_too_many_failures_in_a_row_only_a_reset_opens_the_account(clock, grace, amina, monkeypatch, hashing):
    monkeypatch.setattr(sign_in_throttle, "HARD_STOP", 12)
    factories.own_password(amina)
    for n in range(13):
        assert _answer(PATIENT_DOOR, "amina@example.com", "wrong", f"198.51.100.{n}") == WRONG
        clock.shift(301)
    hashing.checked.clear()
    assert _answer(PATIENT_DOOR, "amina@example.com", factories.OWN_PASSWORD) == WRONG
    assert len(hashing.checked) == 1
    fresh = reset_portal_password(grace, amina.patient.id).credentials.temporary_password
    assert _answer(PATIENT_DOOR, "amina@example.com", fresh) == "in"


@pytest.mark.asvs("16.3.3")
def test_a_block_is_recorded_once_and_not_for_every_try(grace):
    for _ in range(9):
        _staff()
    events = tools.trail("SIGN_IN_BLOCKED")
    assert len(events) == 1
    assert events[0]["outcome"] == "denied"
    assert events[0]["resource_id"] == grace.account_id
    assert events[0]["metadata"] == {"door": "staff", "seconds": 60}
    assert len(tools.trail("SIGN_IN_FAILED")) == 5


def test_the_limits_table_holds_no_name_and_no_address(grace):
    _staff(name="somebody.else")
    kept = str(tools.raw("SELECT key FROM sign_in_limits"))
    assert "account:" in kept
    assert "somebody" not in kept
    assert "203.0.113" not in kept


def test_a_refusal_carries_the_seconds_to_wait(clock, grace):
    for _ in range(6):
        _staff()
    clock.shift(20)
    with pytest.raises(TooManyAttempts) as caught:
        sign_in(STAFF_DOOR, "grace", "wrong")
    assert caught.value.retry_after == 40
