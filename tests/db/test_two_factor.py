"""Two-factor sign-in: codes and recovery codes work once, are counted, and are kept encrypted or hashed."""

from __future__ import annotations

import dataclasses
import re

import pyotp
import pytest

from clinic_app.core import clock as clinic_clock
from clinic_app.core import crypto
from clinic_app.core.errors import (
    AuthenticationRequired,
    PermissionDenied,
    ReauthenticationRequired,
    TooManyAttempts,
)
from clinic_app.services import access
from clinic_app.services.access import Permission
from clinic_app.services.accounts import one_time_codes, own_sessions, sessions, staff, tokens, two_factor
from clinic_app.services.accounts.errors import (
    CodeRefused,
    InvalidCredentials,
    SecondFactorRequired,
    SignInOver,
    TwoFactorIsOff,
    TwoFactorIsOn,
    TwoFactorIsRequired,
)
from clinic_app.services.accounts.passwords import change_password
from clinic_app.services.accounts.reauthentication import reauthenticate
from clinic_app.services.accounts.signing_in import STAFF_DOOR, finish_sign_in, second_step_open, sign_in
from tests import factories
from tests.db import tools


@dataclasses.dataclass
class Phone:
    """An authenticator app: it has read the secret off the screen."""

    secret: str
    recovery: tuple[str, ...] = ()

    def code(self, steps: int = 0) -> str:
        return pyotp.TOTP(self.secret).at(int(clinic_clock.now().timestamp()) + 30 * steps)

    def wrong(self) -> str:
        right = {self.code(step) for step in (-1, 0, 1)}
        return next(code for code in ("000000", "111111", "222222", "333333") if code not in right)


def _set_up(actor) -> Phone:
    two_factor.begin_two_factor(actor)
    setup = two_factor.show_two_factor(actor)
    assert setup is not None
    phone = Phone(setup.secret.replace(" ", ""))
    phone.recovery = two_factor.confirm_two_factor(actor, phone.code())
    return phone


@pytest.fixture
def grace(clock, database):
    """A receptionist called ``grace``."""
    return factories.make_staff(username="grace")


@pytest.fixture
def phone(clock, grace) -> Phone:
    """Grace's second factor, on; the code it was turned on with is used, so the clock goes on."""
    made = _set_up(grace)
    clock.shift(60)
    return made


def _first_step(password: str = factories.PASSWORD, replaces: str = "") -> str:
    """The hash of the token of the second step."""
    with pytest.raises(SecondFactorRequired) as caught:
        sign_in(STAFF_DOOR, "grace", password, replaces=replaces)
    assert caught.value.token
    return crypto.digest(caught.value.token)


def _open_sessions() -> int:
    return tools.number("SELECT count(*) FROM login_sessions WHERE ended_at IS NULL")


# --- setting up ---------------------------------------------------------------------------------


@pytest.mark.asvs("6.5.3", "6.5.4")
def test_the_secret_has_160_bits_and_reaches_the_app_in_two_ways(grace):
    two_factor.begin_two_factor(grace)
    setup = two_factor.show_two_factor(grace)
    assert setup is not None
    secret = setup.secret.replace(" ", "")
    assert re.fullmatch("[A-Z2-7]{32}", secret)
    assert setup.address.startswith("otpauth://totp/Lakeside%20Medical%20Centre:grace?")
    assert f"secret={secret}" in setup.address
    assert two_factor.show_two_factor(grace) == setup  # the page may be loaded again
    two_factor.begin_two_factor(grace)
    assert two_factor.show_two_factor(grace) != setup


def test_nothing_asks_for_a_code_before_the_first_one_was_given(grace):
    two_factor.begin_two_factor(grace)
    sign_in(STAFF_DOOR, "grace", factories.PASSWORD)
    with pytest.raises(CodeRefused):
        two_factor.confirm_two_factor(grace, "000000")
    assert two_factor.own_two_factor(grace).enabled_at is None
    sign_in(STAFF_DOOR, "grace", factories.PASSWORD)


@pytest.mark.asvs("6.5.2", "11.3.3")
def test_the_secret_is_encrypted_and_recovery_codes_are_hashed(grace):
    phone = _set_up(grace)
    everything = str(tools.raw("SELECT * FROM accounts")) + str(tools.raw("SELECT * FROM recovery_codes"))
    assert phone.secret not in everything
    assert not any(code in everything or code.replace("-", "") in everything for code in phone.recovery)
    hashes = [row[0] for row in tools.raw("SELECT code_hash FROM recovery_codes")]
    assert len(hashes) == 10
    assert all(kept.startswith("v2$k1$$2b$") for kept in hashes)
    assert len(set(phone.recovery)) == 10
    assert all(re.fullmatch("([A-Z2-9]{4}-){3}[A-Z2-9]{4}", code) for code in phone.recovery)
    trail = str(tools.trail())
    assert phone.secret not in trail
    assert tools.trail("TWO_FACTOR_TURNED_ON")[-1]["actor_id"] == grace.account_id


@pytest.mark.asvs("7.4.3")
def test_turning_it_on_ends_the_other_sessions_and_cannot_be_done_twice(grace):
    here, elsewhere = (sign_in(STAFF_DOOR, "grace", factories.PASSWORD) for _ in range(2))
    _set_up(here.actor)
    assert sessions.resolve(crypto.digest(here.token)).kind == "account"
    assert sessions.resolve(crypto.digest(elsewhere.token)).kind == "anonymous"
    for again in (two_factor.begin_two_factor, two_factor.show_two_factor):
        with pytest.raises(TwoFactorIsOn):
            again(grace)
    with pytest.raises(TwoFactorIsOn):
        two_factor.confirm_two_factor(grace, "000000")


def test_the_code_it_was_turned_on_with_opens_nothing(grace):
    phone = _set_up(grace)
    with pytest.raises(CodeRefused):
        finish_sign_in(_first_step(), phone.code())


def test_it_cannot_be_confirmed_before_it_was_begun(grace):
    with pytest.raises(TwoFactorIsOff):
        two_factor.confirm_two_factor(grace, "000000")


# --- signing in ---------------------------------------------------------------------------------


@pytest.mark.asvs("6.3.3")
def test_the_right_password_opens_nothing_and_code_opens_a_session(grace, phone):
    sessions_before = _open_sessions()
    step = _first_step()
    assert _open_sessions() == sessions_before
    assert sessions.resolve(step).kind == "anonymous"
    assert second_step_open(step)
    done = finish_sign_in(step, phone.code())
    assert done.actor.account_id == grace.account_id
    assert not second_step_open(step)
    event = tools.trail("SIGNED_IN")[-1]
    assert event["metadata"] == {"door": "staff", "second_factor": "totp"}
    with pytest.raises(SignInOver):
        finish_sign_in(step, phone.code(1))


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_clock_may_be_half_a_minute_off(phone, steps):
    finish_sign_in(_first_step(), phone.code(steps))


@pytest.mark.asvs("6.5.5")
@pytest.mark.parametrize("steps", [-2, 2, 100])
def test_but_no_more(phone, steps):
    with pytest.raises(CodeRefused):
        finish_sign_in(_first_step(), phone.code(steps))


@pytest.mark.asvs("6.5.1")
def test_a_code_works_once_and_an_older_one_not_after_it(clock, phone):
    code, older = phone.code(), phone.code(-1)
    finish_sign_in(_first_step(), code)
    for used in (code, older):
        with pytest.raises(CodeRefused):
            finish_sign_in(_first_step(), used)
    clock.shift(30)
    finish_sign_in(_first_step(), phone.code())


def test_spaces_and_dashes_do_not_matter(clock, phone):
    code = phone.code()
    finish_sign_in(_first_step(), f" {code[:3]} {code[3:]} ")
    finish_sign_in(_first_step(), phone.recovery[0].lower().replace("-", " "))


@pytest.mark.parametrize("code", ["", " ", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "0x1F40", "\x00" * 6, "9" * 5000])
def test_what_is_no_code_is_a_wrong_one(phone, code):
    with pytest.raises(CodeRefused):
        finish_sign_in(_first_step(), code)


@pytest.mark.asvs("6.6.3")
def test_five_wrong_codes_end_the_step_and_count_for_the_account(clock, phone):
    step = _first_step()
    for _ in range(4):
        with pytest.raises(CodeRefused):
            finish_sign_in(step, phone.wrong())
    with pytest.raises(SignInOver):
        finish_sign_in(step, phone.wrong())
    with pytest.raises(SignInOver):
        finish_sign_in(step, phone.code())
    with pytest.raises(TooManyAttempts):  # a new step is no way round
        finish_sign_in(_first_step(), phone.code())
    clock.shift(61)
    done = finish_sign_in(_first_step(), phone.code())
    told = own_sessions.take_failed_tries(done.actor)
    assert told is not None
    assert told.count == 5
    assert [row["metadata"]["reason"] for row in tools.trail("SIGN_IN_FAILED")][-2:] == ["code_refused", "sign_in_over"]


@pytest.mark.asvs("6.6.3")
def test_guessing_codes_waits_longer_and_longer(clock, phone):
    checked = waited = 0
    for _ in range(200):
        try:
            finish_sign_in(_first_step(), phone.wrong())
        except (CodeRefused, SignInOver):
            checked += 1
        except TooManyAttempts as error:
            waited += error.retry_after
            clock.shift(error.retry_after)
    assert checked <= 105
    assert waited / checked > 600


def test_the_step_lasts_five_minutes(clock, phone):
    step = _first_step()
    clock.shift(5 * 60 - 1)
    assert second_step_open(step)
    clock.shift(1)
    assert not second_step_open(step)
    with pytest.raises(SignInOver):
        finish_sign_in(step, phone.code())


@pytest.mark.parametrize("what", ["disable", "reset", "two factor"])
def test_a_step_is_over_when_the_account_was_changed_meanwhile(phone, grace, what):
    step, ident = _first_step(), grace.account_id or 0
    {
        "disable": lambda: staff.disable_staff(access.SYSTEM, ident),
        "reset": lambda: staff.reset_staff_password(access.SYSTEM, ident),
        "two factor": lambda: staff.reset_two_factor(access.SYSTEM, ident),
    }[what]()
    before = _open_sessions()
    with pytest.raises(SignInOver):
        finish_sign_in(step, phone.code())
    assert _open_sessions() == before


def test_a_wrong_password_says_nothing_about_the_second_factor(phone):
    with pytest.raises(InvalidCredentials):
        sign_in(STAFF_DOOR, "grace", "wrong")
    with pytest.raises(InvalidCredentials):
        sign_in(STAFF_DOOR, "grace", "wrong", code=phone.code(), kind="api")


def test_the_session_this_browser_had_ends_with_the_second_step(clock, grace):
    old = sign_in(STAFF_DOOR, "grace", factories.PASSWORD)
    phone = _set_up(old.actor)
    sessions.remember_path(crypto.digest(old.token), "/patients")
    clock.shift(60)
    step = _first_step(replaces=crypto.digest(old.token))
    assert sessions.resolve(crypto.digest(old.token)).kind == "account"
    assert finish_sign_in(step, phone.code()).back_to == "/patients"
    assert sessions.resolve(crypto.digest(old.token)).kind == "anonymous"


def test_a_secret_that_cannot_be_read_opens_nothing(phone, change_setting):
    step = _first_step()
    tools.write("UPDATE accounts SET totp_secret = 'AAAA' WHERE username = 'grace'")
    with pytest.raises(CodeRefused):
        finish_sign_in(step, phone.code())


# --- recovery codes -----------------------------------------------------------------------------


@pytest.mark.asvs("6.5.1")
def test_a_recovery_code_works_once(grace, phone):
    done = finish_sign_in(_first_step(), phone.recovery[3])
    assert two_factor.own_two_factor(done.actor).codes_left == 9
    assert tools.trail("SIGNED_IN")[-1]["metadata"]["second_factor"] == "recovery code"
    with pytest.raises(CodeRefused):
        finish_sign_in(_first_step(), phone.recovery[3])
    finish_sign_in(_first_step(), phone.recovery[4])


def test_new_recovery_codes_replace_the_old_ones(grace, phone):
    fresh = two_factor.renew_recovery_codes(dataclasses.replace(grace, proved_at=clinic_clock.now()))
    assert not set(fresh) & set(phone.recovery)
    with pytest.raises(CodeRefused):
        finish_sign_in(_first_step(), phone.recovery[0])
    finish_sign_in(_first_step(), fresh[0])
    assert tools.trail("RECOVERY_CODES_MADE")


def test_a_recovery_code_of_somebody_else_opens_nothing(clock, grace, phone):
    other = _set_up(factories.make_staff(username="other"))
    for code in other.recovery[:3]:
        with pytest.raises(CodeRefused):
            finish_sign_in(_first_step(), code)


# --- the API ------------------------------------------------------------------------------------


def test_the_api_wants_the_code_at_once(clock, phone):
    with pytest.raises(SecondFactorRequired) as caught:
        tokens.issue_tokens("grace", factories.PASSWORD)
    assert caught.value.token == ""
    assert tools.number("SELECT count(*) FROM pending_sign_ins") == 0
    with pytest.raises(CodeRefused):
        tokens.issue_tokens("grace", factories.PASSWORD, phone.wrong())
    code = phone.code()
    made = tokens.issue_tokens("grace", factories.PASSWORD, code)
    assert tokens.resolve_access(made.access).username == "grace"
    with pytest.raises(CodeRefused):
        tokens.issue_tokens("grace", factories.PASSWORD, code)
    tokens.issue_tokens("grace", factories.PASSWORD, phone.recovery[0])
    for _ in range(5):
        with pytest.raises((CodeRefused, TooManyAttempts)):
            tokens.issue_tokens("grace", factories.PASSWORD, phone.wrong())
    clock.shift(30)
    with pytest.raises(TooManyAttempts):
        tokens.issue_tokens("grace", factories.PASSWORD, phone.code())


# --- turning off, and who must ------------------------------------------------------------------


@pytest.mark.asvs("7.5.1")
def test_delicate_things_need_a_fresh_confirmation(clock, grace, phone):
    done = finish_sign_in(_first_step(), phone.code())
    clock.shift(6 * 60)
    actor = sessions.resolve(crypto.digest(done.token))
    for call in (
        lambda: two_factor.turn_off_two_factor(actor),
        lambda: two_factor.renew_recovery_codes(actor),
        lambda: two_factor.begin_two_factor(actor),
        lambda: two_factor.show_two_factor(actor),
        lambda: two_factor.confirm_two_factor(actor, phone.code()),
        lambda: change_password(
            actor, factories.PASSWORD, factories.OWN_PASSWORD, factories.OWN_PASSWORD, session_token_hash="x"
        ),
    ):
        with pytest.raises(ReauthenticationRequired):
            call()
    for code in ("", phone.wrong()):
        with pytest.raises(CodeRefused):
            reauthenticate(actor, factories.PASSWORD, code, session_token_hash=crypto.digest(done.token))
    fresh = reauthenticate(actor, factories.PASSWORD, phone.code(), session_token_hash=crypto.digest(done.token))
    assert tools.trail("CONFIRMED")[-1]["metadata"] == {"second_factor": "totp"}
    two_factor.turn_off_two_factor(fresh.actor)
    sign_in(STAFF_DOOR, "grace", factories.PASSWORD)
    assert tools.trail("TWO_FACTOR_TURNED_OFF")
    assert tools.number("SELECT count(*) FROM recovery_codes") == 0
    with pytest.raises(TwoFactorIsOff):
        two_factor.turn_off_two_factor(fresh.actor)
    with pytest.raises(TwoFactorIsOff):
        two_factor.renew_recovery_codes(fresh.actor)


def test_a_reset_by_an_administrator_opens_the_account_again(grace, phone):
    staff.reset_two_factor(factories.make_staff("ADMIN"), grace.account_id or 0)
    sign_in(STAFF_DOOR, "grace", factories.PASSWORD)
    event = tools.trail("TWO_FACTOR_RESET")[-1]
    assert (event["resource_id"], event["role"]) == (grace.account_id, "ADMIN")


@pytest.mark.asvs("6.4.3")
def test_a_password_reset_does_not_take_the_second_factor_off(grace, phone):
    made = staff.reset_staff_password(factories.make_staff("ADMIN"), grace.account_id or 0)
    step = _first_step(made.credentials.temporary_password)
    assert finish_sign_in(step, phone.code()).actor.must_choose_password


@pytest.mark.asvs("6.3.3", "2.3.1")
@pytest.mark.parametrize(
    ("setting", "held"),
    [("nobody", set()), ("admins", {"ADMIN"}), ("staff", {"ADMIN", "RECEPTIONIST", "CLINICIAN"})],
)
def test_who_must_and_has_not_may_do_nothing_but_set_it_up(clock, people, change_setting, setting, held):
    change_setting("CLINIC_REQUIRE_TWO_FACTOR", setting)
    allowed = {Permission.OWN_PASSWORD, Permission.OWN_SESSION, Permission.OWN_SECOND_FACTOR}
    for role in ("ADMIN", "RECEPTIONIST", "CLINICIAN"):
        actor = factories.make_staff(role, username=f"one.{role.lower()}")
        assert actor.must_set_up_second_factor == (role in held)
        if role not in held:
            assert actor.can(Permission.PATIENT_SEE)
            continue
        assert {one for one in Permission if actor.can(one)} == allowed
        with pytest.raises(PermissionDenied) as caught:
            staff.list_staff(actor)
        assert caught.value.detail == access.SET_UP_FIRST
        with pytest.raises(PermissionDenied) as caught:
            tokens.issue_tokens(actor.username, factories.PASSWORD)
        assert caught.value.detail == access.SET_UP_FIRST
        assert tools.number("SELECT count(*) FROM login_sessions WHERE kind = 'api' AND ended_at IS NULL") == 0
        phone = _set_up(actor)
        clock.shift(60)
        with pytest.raises(SecondFactorRequired) as needed:
            sign_in(STAFF_DOOR, actor.username, factories.PASSWORD)
        done = finish_sign_in(crypto.digest(needed.value.token), phone.code())
        assert done.actor.can(Permission.PATIENT_SEE)
        with pytest.raises(TwoFactorIsRequired):
            two_factor.turn_off_two_factor(done.actor)
    assert not people.patient.must_set_up_second_factor


def test_the_second_factor_is_for_staff_and_for_oneself(people):
    for call in (
        two_factor.turn_off_two_factor,
        two_factor.renew_recovery_codes,
        lambda a: two_factor.confirm_two_factor(a, "1"),
    ):
        with pytest.raises(PermissionDenied):
            call(people.patient)
        with pytest.raises(AuthenticationRequired):
            call(people.anonymous)


# --- races, with real commits -------------------------------------------------------------------


@pytest.fixture
def racing(own_database) -> Phone:
    """Grace's second factor in a database of the test's own."""
    made = _set_up(factories.make_staff(username="grace"))
    tools.write("UPDATE accounts SET totp_counter = totp_counter - 10")  # its time, without waiting for it
    return made


def _sorted(results) -> tuple[int, list[str]]:
    """How many signed in, and the names of the other answers."""
    errors = sorted(type(one).__name__ for one in results if isinstance(one, BaseException))
    return len(results) - len(errors), errors


@pytest.mark.races
def test_of_eight_uses_of_one_code_one_succeeds(racing):
    steps, code = [_first_step() for _ in range(8)], racing.code()
    jobs = [lambda step=step: finish_sign_in(step, code) for step in steps]
    signed_in, errors = _sorted(tools.at_once(*jobs))
    assert signed_in == 1
    assert set(errors) <= {"CodeRefused", "TooManyAttempts"}
    assert tools.number("SELECT count(*) FROM login_sessions") == 1


@pytest.mark.races
def test_of_eight_uses_of_one_recovery_code_one_succeeds(racing):
    steps = [_first_step() for _ in range(8)]
    jobs = [lambda step=step: finish_sign_in(step, racing.recovery[0]) for step in steps]
    signed_in, errors = _sorted(tools.at_once(*jobs))
    assert signed_in == 1
    assert set(errors) <= {"CodeRefused", "TooManyAttempts"}
    assert tools.number("SELECT count(*) FROM recovery_codes WHERE used_at IS NOT NULL") == 1


@pytest.mark.races
def test_one_second_step_opens_one_session(racing):
    step = _first_step()
    jobs = [lambda n=n: finish_sign_in(step, racing.recovery[n]) for n in range(5)]
    signed_in, errors = _sorted(tools.at_once(*jobs))
    assert signed_in == 1
    assert errors == ["SignInOver"] * 4
    assert tools.number("SELECT count(*) FROM login_sessions") == 1
    # the four others lost, and their codes are not used up
    assert tools.number("SELECT count(*) FROM recovery_codes WHERE used_at IS NOT NULL") == 1


@pytest.mark.races
def test_guesses_at_once_are_counted_before_they_are_checked(racing, monkeypatch):
    checked = []
    real = one_time_codes.use
    monkeypatch.setattr(one_time_codes, "use", lambda *args: checked.append(1) or real(*args))
    steps = [_first_step() for _ in range(16)]
    wrong = racing.wrong()
    tools.at_once(*[lambda step=step: finish_sign_in(step, wrong) for step in steps])
    assert len(checked) == 5


@pytest.mark.races
def test_a_session_is_renewed_once(own_database):
    factories.make_staff(username="grace")
    done = sign_in(STAFF_DOOR, "grace", factories.PASSWORD)
    jobs = [
        lambda: reauthenticate(done.actor, factories.PASSWORD, session_token_hash=crypto.digest(done.token))
        for _ in range(4)
    ]
    renewed, errors = _sorted(tools.at_once(*jobs))
    assert renewed == 1
    assert errors == ["AuthenticationRequired"] * 3
