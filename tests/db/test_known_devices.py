"""Nobody outside keeps somebody out: browsers that signed in before, sessions and codes have budgets of their own."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine

from clinic_app.core import crypto
from clinic_app.core.errors import TooManyAttempts, Unavailable
from clinic_app.services.accounts import housekeeping, known_devices, own_sessions, sessions, sign_in_throttle, staff
from clinic_app.services.accounts import two_factor as own_factor
from clinic_app.services.accounts.errors import CodeRefused, InvalidCredentials, SecondFactorRequired
from clinic_app.services.accounts.passwords import change_password
from clinic_app.services.accounts.reauthentication import reauthenticate
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, STAFF_DOOR, finish_sign_in, sign_in
from clinic_app.services.accounts.tokens import issue_tokens, refresh_tokens
from clinic_app.services.audit import chain
from clinic_app.services.patients.profile import reread_patient
from clinic_app.services.portal import provisioning
from clinic_app.services.portal.forms import ChangePortalUsername
from tests import factories
from tests.db import tools
from tests.db.test_two_factor import Phone, _set_up

WRONG = "Incorrect username or password."
HOME = "192.0.2.10"


@pytest.fixture
def grace(clock, database):
    """A receptionist called ``grace``."""
    return factories.make_staff(username="grace")


@pytest.fixture
def browser(grace) -> str:
    """What the browser keeps in which grace has signed in."""
    return _in().device


def _in(device: str = "", address: str = HOME, name: str = "grace"):
    with tools.from_address(address):
        return sign_in(STAFF_DOOR, name, factories.PASSWORD, device=device)


def _told(device: str = "", address: str = HOME, name: str = "grace", password: str = "wrong") -> str:
    with tools.from_address(address):
        try:
            sign_in(STAFF_DOOR, name, password, device=device)
        except (InvalidCredentials, TooManyAttempts) as error:
            return error.detail
    return "in"


def _attack(times: int = 12, name: str = "grace", door: str = STAFF_DOOR) -> None:
    """Strangers guess, each from elsewhere."""
    for n in range(times):
        with tools.from_address(f"198.51.{n // 250}.{n % 250}"), pytest.raises((InvalidCredentials, TooManyAttempts)):
            sign_in(door, name, "wrong")


def _stop(clock, monkeypatch, name: str = "grace", door: str = STAFF_DOOR) -> None:
    """Strangers guess until nobody's guesses are accepted any more, slowly enough not to be blocked."""
    monkeypatch.setattr(sign_in_throttle, "HARD_STOP", 12)
    for n in range(13):
        with tools.from_address(f"198.51.100.{n}"), pytest.raises(InvalidCredentials):
            sign_in(door, name, "wrong")
        clock.shift(301)


# --- strangers do not keep the owner out -----------------------------------------------------------


@pytest.mark.asvs("6.1.1")
def test_while_strangers_guess_a_browser_that_signed_in_before_gets_in(grace, browser):
    _attack()
    assert _told(password=factories.PASSWORD) != "in"
    for _ in range(30):
        assert _told(browser, password=factories.PASSWORD) == "in"
    assert tools.trail("SIGNED_IN")[-1]["metadata"] == {"door": "staff", "known_device": True}
    assert _told(password=factories.PASSWORD) != "in"  # and the owner's sign-ins buy strangers no new tries


@pytest.mark.asvs("6.3.1")
def test_after_a_hundred_wrong_tries_in_a_row_only_such_browsers_try_on(clock, grace, browser, monkeypatch, hashing):
    _stop(clock, monkeypatch)
    hashing.checked.clear()
    assert _told(password=factories.PASSWORD) == WRONG
    assert len(hashing.checked) == 1  # the same answer, and the same time
    assert _told(browser, password=factories.PASSWORD) == "in"
    assert tools.trail("SIGN_IN_BLOCKED")[-1]["metadata"] == {"door": "staff", "until": "unlocked"}
    assert len(tools.trail("SIGN_IN_BLOCKED")) == 1
    admin = factories.make_staff("ADMIN")
    shown = {one.username: one for one in staff.list_staff(admin)}["grace"]
    assert (shown.locked, shown.locked_until) == (True, None)
    staff.unlock_account(admin, grace.account_id or 0, shown.stamp)
    assert not {one.username: one for one in staff.list_staff(admin)}["grace"].locked
    assert _told(password=factories.PASSWORD) == "in"
    assert chain.verify().ok


def test_a_patient_gets_in_all_the_same_and_the_desk_sees_the_lock(clock, grace, monkeypatch):
    done = factories.make_patient(grace, portal_email="amina@example.org")
    factories.own_password(done)
    phone = sign_in(PATIENT_DOOR, "amina@example.org", factories.OWN_PASSWORD).device
    _stop(clock, monkeypatch, "amina@example.org", PATIENT_DOOR)
    shown = reread_patient(grace, done.patient.id).access
    assert (shown.status, shown.locked_until, shown.due) == ("locked", None, "locked")
    with pytest.raises(InvalidCredentials):
        sign_in(PATIENT_DOOR, "amina@example.org", factories.OWN_PASSWORD)
    assert sign_in(PATIENT_DOOR, "amina@example.org", factories.OWN_PASSWORD, device=phone).device == phone
    assert reread_patient(grace, done.patient.id).access.status == "locked"  # strangers still are shut out
    provisioning.unlock_portal(grace, done.patient.id)
    assert reread_patient(grace, done.patient.id).access.status == "active"
    sign_in(PATIENT_DOOR, "amina@example.org", factories.OWN_PASSWORD)


def test_it_passes_what_all_share(clock, grace, browser, monkeypatch):
    monkeypatch.setattr(sign_in_throttle, "ALTOGETHER", 20)
    for n in range(52):  # names, from behind the address that the desks are behind too
        _told(name=f"name{n}")
    assert _told(password=factories.PASSWORD) == "Too many attempts. Please try again in 5 minutes."
    before = tools.raw("SELECT * FROM sign_in_limits WHERE key = 'everybody'")
    assert _told(browser, password=factories.PASSWORD) == "in"
    assert _told(browser) == WRONG
    assert tools.raw("SELECT * FROM sign_in_limits WHERE key = 'everybody'") == before


def test_confirming_is_counted_in_its_session_and_nobody_else_can_use_that_up(clock, grace, browser, monkeypatch):
    done = _in(browser)
    _stop(clock, monkeypatch)
    tools.write(
        "UPDATE login_sessions SET last_seen_at = :now", now=tools.raw("SELECT expires_at FROM login_sessions")[0][0]
    )
    again = reauthenticate(done.actor, factories.PASSWORD, session_token_hash=crypto.digest(done.token))
    new = "violet harbour mends lantern"
    change_password(again.actor, factories.PASSWORD, new, new, session_token_hash=crypto.digest(again.token))


# --- what such a browser may --------------------------------------------------------------------------


def test_it_has_ten_tries_of_its_own_which_cost_nobody_else(clock, grace, browser):
    assert [_told(browser) for _ in range(10)] == [WRONG] * 10
    assert _told(browser, password=factories.PASSWORD) == "Too many attempts. Please try again in 1 minute."
    assert _told(password=factories.PASSWORD) == "in"  # as a stranger, from the same address
    clock.shift(60)
    assert _told(browser, password=factories.PASSWORD) == "in"


def test_one_that_guesses_without_end_is_known_no_longer(clock, grace, browser, monkeypatch):
    monkeypatch.setattr(sign_in_throttle, "HARD_STOP", 12)
    for _ in range(13):
        assert _told(browser) == WRONG
        clock.shift(301)
    assert tools.number("SELECT count(*) FROM known_devices") == 0
    _attack()
    assert _told(browser, password=factories.PASSWORD).startswith("Too many")


def test_it_is_known_for_its_own_accounts_only(grace, browser):
    factories.make_staff(username="ada")
    _attack(name="ada")
    assert _told(browser, name="ada", password=factories.PASSWORD).startswith("Too many")
    assert _told(browser, name="nobody") == WRONG


def test_several_people_at_one_desk_share_the_browsers_token(grace, browser):
    factories.make_staff(username="ada")
    assert _in(browser, name="ada").device == browser
    for name in ("ada", "grace"):
        _attack(name=name)
        assert _told(browser, name=name, password=factories.PASSWORD) == "in"


def test_how_many_are_kept_is_bounded_and_the_newest_stay(clock, grace, monkeypatch):
    monkeypatch.setattr(known_devices, "AT_MOST", 3)
    browsers = []
    for _ in range(5):
        clock.shift(1)
        browsers.append(_in().device)
    kept = {row[0] for row in tools.raw("SELECT device_hash FROM known_devices")}
    assert kept == {known_devices.mark(each) for each in browsers[2:]}
    for n in range(5):
        clock.shift(1)
        factories.make_staff(username=f"desk{n}")
        assert _in(browsers[-1], name=f"desk{n}").device == browsers[-1]
    at_the_desk = "SELECT count(*) FROM known_devices WHERE device_hash = :mark"
    assert tools.number(at_the_desk, mark=known_devices.mark(browsers[-1])) == 3


def test_only_its_hash_is_kept_and_nobody_chooses_it(grace, browser):
    assert len(browser) * 6 >= 256
    assert browser not in str(tools.dump())
    for invented in ("", "x" * 43, "x" * 5000, "\ud800", "é" * 43):
        assert _in(invented).device not in (invented, browser)


@pytest.mark.parametrize("what", ["sign out everywhere", "turned off", "another username", "turned off by admin"])
def test_it_is_forgotten_when_browsers_are_in_other_hands(clock, grace, what):
    admin, number = factories.make_staff("ADMIN"), factories.make_patient(grace, portal_email="amina@example.org")
    factories.own_password(number)
    browser, done = _in().device, _in()
    sign_in(PATIENT_DOOR, "amina@example.org", factories.OWN_PASSWORD)
    account = grace.account_id if "amina" not in what else 0
    if what == "sign out everywhere":
        own_sessions.sign_out_everywhere(done.actor)
    elif what == "turned off by admin":
        staff.disable_staff(admin, grace.account_id or 0)
        staff.enable_staff(admin, grace.account_id or 0)
    else:
        patient = number.patient.id
        account = tools.number("SELECT id FROM accounts WHERE patient_id = :p", p=patient)
        if what == "turned off":
            provisioning.turn_off_portal(grace, patient)
        else:
            provisioning.change_portal_username(grace, patient, ChangePortalUsername("other@example.org"))
    assert tools.number("SELECT count(*) FROM known_devices WHERE account_id = :a", a=account) == 0
    if account == grace.account_id:
        _attack()
        assert _told(browser, password=factories.PASSWORD).startswith("Too many")


@pytest.mark.parametrize("what", ["signed out", "unlocked", "reset", "own change"])
def test_it_outlives_what_an_attack_makes_people_do(clock, grace, what):
    done = factories.make_patient(grace, portal_email="amina@example.org")
    factories.own_password(done)
    first = sign_in(PATIENT_DOOR, "amina@example.org", factories.OWN_PASSWORD)
    password = factories.OWN_PASSWORD
    if what == "signed out":
        sessions.sign_out(crypto.digest(first.token))
    elif what == "unlocked":
        provisioning.unlock_portal(grace, done.patient.id)
    elif what == "reset":
        password = provisioning.reset_portal_password(grace, done.patient.id).credentials.temporary_password
    else:
        password = "violet harbour mends lantern"
        hashed = crypto.digest(first.token)
        change_password(first.actor, factories.OWN_PASSWORD, password, password, session_token_hash=hashed)
    _attack(11, name="amina@example.org", door=STAFF_DOOR)  # the wrong door counts too, and uses nothing up
    with pytest.raises(TooManyAttempts):
        sign_in(PATIENT_DOOR, "amina@example.org", password)
    assert sign_in(PATIENT_DOOR, "amina@example.org", password, device=first.device).device == first.device


def test_unlocking_and_resetting_lift_its_own_waits_too(clock, grace):
    done = factories.make_patient(grace, portal_email="amina@example.org")
    factories.own_password(done)
    phone = sign_in(PATIENT_DOOR, "amina@example.org", factories.OWN_PASSWORD).device
    for _ in range(10):
        with pytest.raises(InvalidCredentials):
            sign_in(PATIENT_DOOR, "amina@example.org", "wrong", device=phone)
    with pytest.raises(TooManyAttempts):
        sign_in(PATIENT_DOOR, "amina@example.org", factories.OWN_PASSWORD, device=phone)
    provisioning.unlock_portal(grace, done.patient.id)
    sign_in(PATIENT_DOOR, "amina@example.org", factories.OWN_PASSWORD, device=phone)


def test_it_lasts_half_a_year_since_somebody_last_signed_in_with_it(clock, grace, browser):
    clock.shift(dt.timedelta(days=179))
    assert _in(browser).device == browser
    clock.shift(dt.timedelta(days=179))
    housekeeping.tidy()
    _attack()
    assert _told(browser, password=factories.PASSWORD) == "in"
    clock.shift(dt.timedelta(days=180))
    _attack()
    assert _told(browser, password=factories.PASSWORD).startswith("Too many")
    assert housekeeping.tidy() > 0
    assert tools.number("SELECT count(*) FROM known_devices") == 0


# --- programs -----------------------------------------------------------------------------------------


def test_where_hashes_of_strangers_wait_whoever_is_known_gets_in(clock, grace, browser, monkeypatch):
    issue_tokens("grace", factories.PASSWORD)
    signed_in = _in(browser)
    monkeypatch.setattr(crypto._strangers._places, "acquire", lambda **_: False)
    for known_or_not in ("grace", "nobody"):
        with pytest.raises(Unavailable):
            _in(name=known_or_not)
    assert _told(browser, password=factories.PASSWORD) == "in"
    issue_tokens("grace", factories.PASSWORD)
    reauthenticate(signed_in.actor, factories.PASSWORD, session_token_hash=crypto.digest(signed_in.token))


def test_a_program_gets_in_from_the_network_it_signed_in_from_before(grace):
    with tools.from_address("2001:db8:1:2::5"):
        issue_tokens("grace", factories.PASSWORD)
    _attack()
    with tools.from_address("2001:db8:1:2::77"):
        pair = issue_tokens("grace", factories.PASSWORD)
    for elsewhere in ("2001:db8:1:3::5", HOME):
        with tools.from_address(elsewhere), pytest.raises(TooManyAttempts):
            issue_tokens("grace", factories.PASSWORD)
    with tools.from_address(HOME):
        refresh_tokens(pair.refresh)  # and does not need to while it goes on with what it has
    with tools.from_address("2001:db8:1:2::5"):  # but the pages ask for the browser's own
        assert _told(address="2001:db8:1:2::5", password=factories.PASSWORD).startswith("Too many")


# --- codes --------------------------------------------------------------------------------------------


@pytest.fixture
def phone(clock, browser, grace) -> Phone:
    """Grace's second factor, set up after she signed in with her browser."""
    made = _set_up(grace)
    clock.shift(60)
    return made


def _first_step(device: str = "") -> str:
    with pytest.raises(SecondFactorRequired) as needed:
        sign_in(STAFF_DOOR, "grace", factories.PASSWORD, device=device)
    return crypto.digest(needed.value.token)


@pytest.mark.asvs("6.6.3")
def test_wrong_codes_of_others_do_not_keep_the_owner_from_the_second_step(clock, grace, browser, phone):
    for _ in range(3):
        for _ in range(6):
            with pytest.raises((CodeRefused, TooManyAttempts)):
                finish_sign_in(_first_step(), phone.wrong())
        clock.shift(30)
    with pytest.raises(TooManyAttempts):
        finish_sign_in(_first_step(), phone.code())
    admin = factories.make_staff("ADMIN")
    assert {one.username: one.locked for one in staff.list_staff(admin)}["grace"]
    assert finish_sign_in(_first_step(browser), phone.code(), device=browser).device == browser
    staff.unlock_account(admin, grace.account_id or 0)
    clock.shift(30)
    finish_sign_in(_first_step(), phone.code())


def test_a_browser_has_as_few_codes_as_strangers(clock, browser, phone):
    for _ in range(5):
        with pytest.raises(CodeRefused):
            finish_sign_in(_first_step(browser), phone.wrong(), device=browser)
    with pytest.raises(TooManyAttempts):
        finish_sign_in(_first_step(browser), phone.code(), device=browser)


def test_a_code_is_not_used_again_when_the_clock_is_set_back(clock, grace, browser, phone):
    code = phone.code()
    finish_sign_in(_first_step(), code)
    with time_machine.travel(clock_now() - dt.timedelta(seconds=30), tick=False), pytest.raises(CodeRefused):
        finish_sign_in(_first_step(), code)
    with time_machine.travel(clock_now() - dt.timedelta(hours=2), tick=False):
        with pytest.raises(CodeRefused):
            finish_sign_in(_first_step(), code)
        assert finish_sign_in(_first_step(), phone.recovery[0]).actor.username == "grace"


def clock_now() -> dt.datetime:
    from clinic_app.core import clock

    return clock.now()


def test_setting_up_a_second_factor_is_counted_in_its_session(clock, grace, browser):
    done = _in(browser)
    own_factor.begin_two_factor(done.actor)
    for _ in range(5):
        with pytest.raises(CodeRefused):
            own_factor.confirm_two_factor(done.actor, "000000")
    with pytest.raises(TooManyAttempts):
        own_factor.confirm_two_factor(done.actor, "000000")


def test_while_strangers_hashes_have_no_room_a_stranger_writes_nothing_and_a_known_browser_gets_in(grace, monkeypatch):
    device = _in().device
    before = tools.dump()
    monkeypatch.setattr(crypto, "strangers_wait", lambda: True)
    with pytest.raises(Unavailable):
        _in(address="198.51.100.9")
    with pytest.raises(Unavailable):
        _in(device="x" * 43, address="198.51.100.9", name="nobody")
    assert tools.dump() == before
    assert _in(device).token
