"""Passkeys: added by who proved who they are, open one account once, count as both factors, and go when they must."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

import pytest
from sqlalchemy import update

from clinic_app.core import clock as clinic_clock
from clinic_app.core import crypto, db
from clinic_app.core.errors import (
    AuthenticationRequired,
    InvalidInput,
    PermissionDenied,
    ReauthenticationRequired,
    TooManyAttempts,
    TryAgainShortly,
)
from clinic_app.models.accounts import LOGIN_SESSIONS, Account, Role
from clinic_app.services import access
from clinic_app.services.accounts import (
    housekeeping,
    own_sessions,
    passkey_ceremonies,
    passkeys,
    sessions,
    sign_in_throttle,
    staff,
)
from clinic_app.services.accounts.errors import (
    InvalidCredentials,
    PasskeyNotAdded,
    PasskeyNotConfirmed,
    PasskeyNotFound,
    PasskeyRefused,
    PasskeysUnavailable,
    TooManyPasskeys,
    WrongPassword,
)
from clinic_app.services.accounts.passkey_confirmation import begin_confirming_with_passkey, confirm_with_passkey
from clinic_app.services.accounts.passkey_sign_in import begin_passkey_sign_in, finish_passkey_sign_in
from clinic_app.services.accounts.passwords import change_password
from clinic_app.services.accounts.reauthentication import check_fresh, reauthenticate
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, STAFF_DOOR, sign_in
from clinic_app.services.portal import provisioning
from clinic_app.services.portal.forms import ChangePortalUsername
from tests import authenticator, factories
from tests.authenticator import Authenticator
from tests.db import tools
from tests.db.test_two_factor import _set_up as set_up_two_factor


def add(actor, phone: Authenticator, name: str = "My phone") -> None:
    """Both halves of *Add this passkey*."""
    passkeys.finish_adding_passkey(actor, name, phone.create(passkeys.begin_adding_passkey(actor, name)))


def enter(phone: Authenticator, door: str = STAFF_DOOR, *, device: str = "", replaces: str = "", **lies):
    """Both halves of *Sign in with a passkey*."""
    options = begin_passkey_sign_in(device=device)
    return finish_passkey_sign_in(door, phone.get(options, **lies), device=device, replaces=replaces)


def refused(phone: Authenticator, door: str = STAFF_DOOR, **lies) -> str:
    """The reason in the trail why it was not let in."""
    before = tools.last_seq()
    with pytest.raises(PasskeyRefused) as caught:
        enter(phone, door, **lies)
    assert caught.value.detail == "This passkey does not open an account here. Sign in with your password."
    (event,) = tools.trail(after=before)
    assert (event["action"], event["outcome"], event["metadata"]["door"]) == ("SIGN_IN_FAILED", "failure", door)
    assert event["metadata"]["passkey"] is True
    return event["metadata"]["reason"]


@pytest.fixture
def grace(clock, database):
    """A receptionist called ``grace``."""
    return factories.make_staff(username="grace")


@pytest.fixture
def amina(clock, database):
    """A patient with a password of her own."""
    done = factories.make_patient(factories.make_staff(), portal_email="amina@example.org")
    return replace(factories.own_password(done), session_id=None)


@pytest.fixture
def phone(grace) -> Authenticator:
    """Grace's, with a passkey."""
    made = Authenticator()
    add(grace, made)
    return made


# --- confirming ---------------------------------------------------------------------------------


def in_session(actor, clock):
    """``actor`` in a session that was opened with a password an hour ago, and the hash of its token."""
    with db.transaction() as session:
        account = session.get(Account, actor.account_id)
        assert account is not None
        token, _ = sessions.open_session(session, account)
    clock.shift(600)
    return sessions.resolve(crypto.digest(token), touch=False), crypto.digest(token)


def test_a_passkey_confirms_who_it_is_once_without_password_or_code(grace, phone, clock):
    set_up_two_factor(grace)
    actor, kept = in_session(grace, clock)
    with pytest.raises(ReauthenticationRequired):
        check_fresh(actor)
    asked = begin_confirming_with_passkey(actor)
    assert [one["id"] for one in json.loads(asked)["allowCredentials"]] == [authenticator.text(phone.keys[0].id)]
    answer = phone.get(asked)
    done = confirm_with_passkey(actor, answer, session_token_hash=kept)
    check_fresh(done.actor)
    assert (done.actor.session_id, sessions.resolve(kept, touch=False).kind) == (actor.session_id, "anonymous")
    event = tools.trail("CONFIRMED")[-1]
    assert (event["actor_id"], event["metadata"]) == (grace.account_id, {"passkey": True})
    with pytest.raises(PasskeyNotConfirmed):
        confirm_with_passkey(done.actor, answer, session_token_hash=crypto.digest(done.token))


def test_what_does_not_prove_it_confirms_nothing_and_is_limited_with_wrong_passwords(grace, phone, amina, clock):
    actor, kept = in_session(grace, clock)
    hers = Authenticator()
    add(replace(amina, proved_at=clinic_clock.now()), hers)
    stranger = Authenticator()
    stranger.create(passkeys.begin_adding_passkey(replace(grace, proved_at=clinic_clock.now()), "Other"))
    wrong = (
        ("not unlocked", lambda: phone.get(begin_confirming_with_passkey(actor), verified=False)),
        ("another account's", lambda: hers.get(begin_confirming_with_passkey(actor))),
        ("never added", lambda: stranger.get(begin_confirming_with_passkey(actor))),
        ("asked for by signing in", lambda: phone.get(begin_passkey_sign_in())),
        ("junk", lambda: "{}"),
    )
    for what, make in wrong:
        with pytest.raises(PasskeyNotConfirmed):
            confirm_with_passkey(actor, make(), session_token_hash=kept)
        assert tools.trail("CONFIRM_FAILED")[-1]["metadata"] == {"reason": "passkey_not_confirmed"}, what
    assert sessions.resolve(kept, touch=False).account_id == grace.account_id
    with pytest.raises(TooManyAttempts):
        confirm_with_passkey(actor, phone.get(begin_confirming_with_passkey(actor)), session_token_hash=kept)
    with pytest.raises(TooManyAttempts):
        reauthenticate(actor, factories.PASSWORD, session_token_hash=kept)


def test_a_challenge_to_confirm_adds_no_passkey_and_the_other_way_round(grace, phone, clock):
    actor, kept = in_session(grace, clock)
    grace = replace(grace, proved_at=clinic_clock.now())
    asked = json.loads(begin_confirming_with_passkey(actor))
    to_add = json.loads(passkeys.begin_adding_passkey(grace, "Another"))
    begun = json.dumps({**to_add, "challenge": json.loads(begin_confirming_with_passkey(actor))["challenge"]})
    with pytest.raises(PasskeyNotAdded):
        passkeys.finish_adding_passkey(actor, "Another", Authenticator().create(begun))
    to_add = json.loads(passkeys.begin_adding_passkey(grace, "Another"))
    swapped = json.dumps({**asked, "challenge": to_add["challenge"]})
    with pytest.raises(PasskeyNotConfirmed):
        confirm_with_passkey(actor, phone.get(swapped), session_token_hash=kept)


def test_who_has_no_passkey_is_not_asked_for_one(grace):
    with pytest.raises(PasskeyNotFound):
        begin_confirming_with_passkey(grace)


@pytest.mark.races
def test_of_two_who_send_one_confirmation_at_once_one_is_believed(own_database):
    grace, phone = factories.make_staff(), Authenticator()
    add(grace, phone)
    with db.transaction() as session:
        account = session.get(Account, grace.account_id)
        assert account is not None
        token, _ = sessions.open_session(session, account)
    actor = sessions.resolve(crypto.digest(token), touch=False)
    answer = phone.get(begin_confirming_with_passkey(actor))
    answers = tools.at_once(*[lambda: confirm_with_passkey(actor, answer, session_token_hash=crypto.digest(token))] * 3)
    assert sum(not isinstance(one, Exception) for one in answers) == 1, answers


# --- adding -------------------------------------------------------------------------------------


def test_what_a_browser_is_asked_names_our_site_and_demands_that_the_owner_unlocks_it(grace):
    asked = json.loads(passkeys.begin_adding_passkey(grace, "My phone"))
    assert asked["rp"] == {"id": "localhost", "name": "Lakeside Medical Centre"}
    assert asked["authenticatorSelection"] == {
        "residentKey": "required",
        "requireResidentKey": True,
        "userVerification": "required",
    }
    assert asked["attestation"] == "none"
    assert (asked["user"]["name"], len(authenticator.raw(asked["user"]["id"]))) == ("grace", 64)
    assert len(authenticator.raw(asked["challenge"])) == 32
    to_sign_in = json.loads(begin_passkey_sign_in())
    assert (to_sign_in["rpId"], to_sign_in["userVerification"]) == ("localhost", "required")
    assert to_sign_in.get("allowCredentials", []) == []  # whoever asks learns nothing about anybody


@pytest.mark.asvs("6.5.1")
def test_a_passkey_is_kept_by_its_public_half_and_listed_by_its_name(grace, clock):
    phone = Authenticator()
    add(grace, phone, "  Grace's  phone ")
    (mine,) = passkeys.own_passkeys(grace)
    assert (mine.name, mine.added_at, mine.used_at) == ("Grace's phone", clinic_clock.now(), None)
    clock.shift(60)
    enter(phone)
    assert passkeys.own_passkeys(grace)[0].used_at == clinic_clock.now()
    (event,) = tools.trail("PASSKEY_ADDED")
    assert (event["actor_id"], event["resource_id"], event["metadata"]) == (grace.account_id, grace.account_id, {})
    assert "Grace's phone" not in str(tools.trail())


def test_the_same_answer_sent_again_adds_nothing_and_is_no_failure(grace):
    phone = Authenticator()
    answer = phone.create(passkeys.begin_adding_passkey(grace, "Phone"))
    passkeys.finish_adding_passkey(grace, "Phone", answer)
    passkeys.finish_adding_passkey(grace, "Phone", answer)
    assert len(passkeys.own_passkeys(grace)) == len(tools.trail("PASSKEY_ADDED")) == 1


LIES = {
    "origin": {"origin": "https://evil.example"},
    "another port": {"origin": "http://localhost:3001"},
    "site": {"site": "evil.example"},
    "not unlocked": {"verified": False},
    "a sign-in": {"kind": "webauthn.get"},
    "in a frame": {"crossOrigin": True},
    "a challenge of its own": {"challenge": authenticator.text(b"c" * 32)},
}


@pytest.mark.asvs("6.7.2")
@pytest.mark.parametrize("lie", LIES)
def test_what_proves_no_passkey_is_not_added(grace, lie):
    options = passkeys.begin_adding_passkey(grace, "Phone")
    with pytest.raises(PasskeyNotAdded):
        passkeys.finish_adding_passkey(grace, "Phone", Authenticator().create(options, **LIES[lie]))
    assert passkeys.own_passkeys(grace) == ()
    assert tools.trail("PASSKEY_ADDED") == []


def test_a_challenge_adds_one_passkey_of_the_account_that_was_asked_within_five_minutes(grace, clock):
    other = factories.make_staff(username="mercy")
    options = passkeys.begin_adding_passkey(grace, "Phone")
    with pytest.raises(PasskeyNotAdded):
        passkeys.finish_adding_passkey(other, "Phone", Authenticator().create(options))
    with pytest.raises(PasskeyNotAdded):  # one for signing in is none for adding
        passkeys.finish_adding_passkey(
            grace, "Phone", Authenticator().create(options, challenge=json.loads(begin_passkey_sign_in())["challenge"])
        )
    passkeys.finish_adding_passkey(grace, "Phone", Authenticator().create(options))
    with pytest.raises(PasskeyNotAdded):
        passkeys.finish_adding_passkey(grace, "Phone", Authenticator().create(options))
    late = passkeys.begin_adding_passkey(grace, "Phone")
    clock.shift(5 * 60)
    with pytest.raises(PasskeyNotAdded):
        passkeys.finish_adding_passkey(grace, "Phone", Authenticator().create(late))
    assert len(passkeys.own_passkeys(grace)) == 1


def test_asking_again_leaves_one_challenge_of_an_account(grace):
    first = passkeys.begin_adding_passkey(grace, "Phone")
    passkeys.begin_adding_passkey(grace, "Phone")
    assert tools.number("SELECT count(*) FROM passkey_challenges") == 1
    with pytest.raises(PasskeyNotAdded):
        passkeys.finish_adding_passkey(grace, "Phone", Authenticator().create(first))


def test_a_key_that_is_another_accounts_already_is_not_added(grace, phone):
    other = factories.make_staff(username="mercy")
    options = passkeys.begin_adding_passkey(other, "Phone")
    with pytest.raises(PasskeyNotAdded):
        passkeys.finish_adding_passkey(other, "Phone", phone.create(options, key=phone.keys[0]))
    assert enter(phone).actor.account_id == grace.account_id


def test_there_are_ten_at_most(grace):
    for number in range(passkeys.AT_MOST - 1):
        add(grace, Authenticator(), f"Phone {number}")
    options, phone = passkeys.begin_adding_passkey(grace, "Last"), Authenticator()
    assert len(json.loads(options)["excludeCredentials"]) == 9
    passkeys.finish_adding_passkey(grace, "Last", phone.create(options))
    with pytest.raises(TooManyPasskeys):
        passkeys.begin_adding_passkey(grace, "One more")
    assert len(passkeys.own_passkeys(grace)) == 10


@pytest.mark.parametrize("name", ["", "  ", "a" * 61, "a\x00b", "\u200b", "e" + "\u0301" * 9])
def test_a_name_is_one_that_can_be_read(grace, name):
    for work in (
        lambda: passkeys.begin_adding_passkey(grace, name),
        lambda: passkeys.finish_adding_passkey(grace, name, ""),
    ):
        with pytest.raises(InvalidInput) as caught:
            work()
        assert list(caught.value.fields) == ["passkey_name"]


NO_ANSWERS = ["", "{}", "[]", "null", "[" * 20_000, '{"id": 1}', "\ud800", "x" * 100_000, json.dumps({"id": "é"})]


@pytest.mark.parametrize("sent", NO_ANSWERS, ids=range(len(NO_ANSWERS)))
def test_what_is_no_answer_at_all_is_refused_like_a_wrong_one(grace, sent):
    with pytest.raises(PasskeyNotAdded):
        passkeys.finish_adding_passkey(grace, "Phone", sent)
    with pytest.raises(PasskeyRefused):
        finish_passkey_sign_in(STAFF_DOOR, sent)


def test_hostile_bytes_inside_an_answer_are_refused_too(grace):
    options = passkeys.begin_adding_passkey(grace, "Phone")
    whole = json.loads(Authenticator().create(options))
    for bad in (b"", b"\xff" * 200, b"\x9f" * 9000, bytes.fromhex("5b7fffffffffffffff"), b"\xa3\x63fmt\x64none"):
        sent = {**whole, "response": {**whole["response"], "attestationObject": authenticator.text(bad)}}
        options = passkeys.begin_adding_passkey(grace, "Phone")
        asked = json.dumps({"type": "webauthn.create", "challenge": json.loads(options)["challenge"],
                            "origin": authenticator.ORIGIN})  # fmt: skip
        sent["response"]["clientDataJSON"] = authenticator.text(asked.encode())
        with pytest.raises(PasskeyNotAdded):
            passkeys.finish_adding_passkey(grace, "Phone", json.dumps(sent))


# --- fresh proof --------------------------------------------------------------------------------


@pytest.mark.asvs("7.5.1")
def test_adding_and_removing_need_fresh_proof_and_staff_confirm(grace, phone, clock):
    clock.shift(5 * 60)
    (mine,) = passkeys.own_passkeys(grace)
    for password in ("", factories.PASSWORD):
        with pytest.raises(ReauthenticationRequired):
            passkeys.begin_adding_passkey(grace, "Phone", password)
        with pytest.raises(ReauthenticationRequired):
            passkeys.remove_passkey(grace, mine.id, password)
    assert len(passkeys.own_passkeys(grace)) == 1


def test_a_patient_gives_the_password_and_guessing_it_is_limited(amina, clock):
    clock.shift(5 * 60)
    amina = replace(amina, session_id=1)
    with db.transaction() as session:
        session.execute(
            update(LOGIN_SESSIONS).values(expires_at=clinic_clock.now() + dt.timedelta(hours=1), ended_at=None)
        )
    amina = replace(amina, session_id=tools.number("SELECT max(id) FROM login_sessions"))
    with pytest.raises(ReauthenticationRequired):
        passkeys.begin_adding_passkey(amina, "Phone")
    for _ in range(sign_in_throttle.PER_SESSION - 1):
        with pytest.raises(WrongPassword):
            passkeys.begin_adding_passkey(amina, "Phone", "wrong")
    passkeys.begin_adding_passkey(amina, "Phone", factories.OWN_PASSWORD)  # the wrong ones are forgotten
    for _ in range(sign_in_throttle.PER_SESSION):
        with pytest.raises(WrongPassword):
            passkeys.remove_passkey(amina, 1, "wrong")
    with pytest.raises(TooManyAttempts):
        passkeys.remove_passkey(amina, 1, factories.OWN_PASSWORD)


def test_with_a_temporary_password_there_are_no_passkeys(database):
    made = factories.make_patient(factories.make_staff(), portal_email="new@example.org")
    assert made.credentials is not None
    actor = sign_in(PATIENT_DOOR, made.credentials.username, made.credentials.temporary_password).actor
    with pytest.raises(PermissionDenied):
        passkeys.begin_adding_passkey(actor, "Phone")


# --- signing in ---------------------------------------------------------------------------------


@pytest.mark.asvs("6.3.3")
def test_a_passkey_opens_a_session_without_a_username(grace, phone):
    done = enter(phone)
    assert (done.actor.account_id, done.actor.proved_at) == (grace.account_id, clinic_clock.now())
    assert sessions.resolve(crypto.digest(done.token)) == done.actor
    event = tools.trail("SIGNED_IN")[-1]
    assert (event["actor_id"], event["metadata"]) == (grace.account_id, {"door": "staff", "passkey": True})


def test_and_a_patients_at_their_own_door(amina):
    phone = Authenticator(counts=False)
    add(amina, phone)
    for _ in range(2):
        assert enter(phone, PATIENT_DOOR).actor.account_id == amina.account_id


@pytest.mark.asvs("6.3.3")
def test_it_counts_as_both_factors(grace, phone, settings):
    set_up_two_factor(replace(grace, session_id=None))
    assert enter(phone).actor.held_back == ""


def test_where_a_second_factor_is_required_a_passkey_is_one_and_the_password_alone_is_not(grace, phone, change_setting):
    change_setting("CLINIC_REQUIRE_TWO_FACTOR", "staff")
    done = enter(phone)
    assert not done.actor.must_set_up_second_factor
    assert not sessions.resolve(crypto.digest(done.token)).held_back
    assert sign_in(STAFF_DOOR, "grace", factories.PASSWORD).actor.must_set_up_second_factor
    hashed = crypto.digest(done.token)
    confirmed = reauthenticate(done.actor, factories.PASSWORD, session_token_hash=hashed)
    assert not confirmed.actor.held_back
    new = "herons over quiet wetlands"
    changed = change_password(
        confirmed.actor, factories.PASSWORD, new, new, session_token_hash=crypto.digest(confirmed.token)
    )
    assert not changed.actor.held_back


def test_the_browser_is_known_afterwards_the_last_session_ends_and_failed_tries_are_told(grace, phone):
    for _ in range(3):
        with pytest.raises(InvalidCredentials):
            sign_in(STAFF_DOOR, "grace", "wrong")
    first = enter(phone)
    assert first.device
    told = own_sessions.take_failed_tries(first.actor)
    assert told is not None
    assert told.count == 3
    second = enter(phone, device=first.device, replaces=crypto.digest(first.token))
    assert second.device == first.device
    assert tools.trail("SIGNED_IN")[-1]["metadata"]["known_device"] is True
    assert sessions.resolve(crypto.digest(first.token)).kind == "anonymous"


def test_pages_opened_by_passkeys_and_by_passwords_are_ten_together(grace, phone):
    first = sign_in(STAFF_DOOR, "grace", factories.PASSWORD)
    for _ in range(sessions.AT_MOST):
        enter(phone)
    assert sessions.resolve(crypto.digest(first.token)).kind == "anonymous"


REASONS = {
    "origin": ({"origin": "https://evil.example"}, "not_proved"),
    "another port": ({"origin": "http://localhost:3001"}, "not_proved"),
    "site": ({"site": "evil.example"}, "not_proved"),
    "not unlocked": ({"verified": False}, "not_proved"),
    "nobody there": ({"present": False}, "not_proved"),
    "an adding": ({"kind": "webauthn.create"}, "not_proved"),
    "in a frame": ({"crossOrigin": True}, "challenge"),
    "a challenge of its own": ({"challenge": authenticator.text(b"c" * 32)}, "challenge"),
    "nobody's handle": ({"handle": authenticator.text(b"h" * 64)}, "not_the_owner"),
    "no handle": ({"handle": None}, "not_the_owner"),
}


@pytest.mark.asvs("6.7.2", "6.3.1")
@pytest.mark.parametrize("lie", REASONS)
def test_what_does_not_prove_the_passkey_opens_nothing(phone, lie):
    lies, reason = REASONS[lie]
    assert refused(phone, **lies) == reason
    enter(phone)


def test_a_signature_of_another_key_opens_nothing(grace, phone):
    thief = Authenticator()
    add(factories.make_staff(username="mercy"), thief)
    assert refused(phone, signed_by=thief.keys[0]) == "not_proved"
    assert refused(thief, key=replace(phone.keys[0], private=thief.keys[0].private)) == "not_proved"


def test_a_key_that_nobody_has_here_opens_nothing(grace):
    stranger = Authenticator()
    stranger.create(passkeys.begin_adding_passkey(grace, "Never sent"))
    assert refused(stranger) == "unknown"


@pytest.mark.asvs("6.7.2", "6.5.1")
def test_an_answer_opens_one_session(phone):
    answer = phone.get(begin_passkey_sign_in())
    finish_passkey_sign_in(STAFF_DOOR, answer)
    with pytest.raises(PasskeyRefused):
        finish_passkey_sign_in(STAFF_DOOR, answer)
    assert tools.trail("SIGN_IN_FAILED")[-1]["metadata"]["reason"] == "challenge"


def test_a_challenge_is_used_up_by_a_wrong_answer_too(phone):
    options = begin_passkey_sign_in()
    for verified in (False, True):
        with pytest.raises(PasskeyRefused):
            finish_passkey_sign_in(STAFF_DOOR, phone.get(options, verified=verified))


def test_a_challenge_lasts_five_minutes(phone, clock):
    in_time, late = begin_passkey_sign_in(), begin_passkey_sign_in()
    clock.shift(5 * 60 - 1)
    finish_passkey_sign_in(STAFF_DOOR, phone.get(in_time))
    clock.shift(1)
    with pytest.raises(PasskeyRefused):
        finish_passkey_sign_in(STAFF_DOOR, phone.get(late))


def test_a_challenge_for_adding_is_none_for_signing_in(grace, phone):
    adding = json.loads(passkeys.begin_adding_passkey(grace, "Phone"))["challenge"]
    assert refused(phone, challenge=adding) == "challenge"


def test_a_count_that_does_not_go_on_is_a_copy(phone):
    enter(phone, count=7)
    for copied in (7, 3, 0):
        assert refused(phone, count=copied) == "sign_count"
    enter(phone, count=8)


@pytest.mark.parametrize("door", [PATIENT_DOOR, STAFF_DOOR])
def test_each_door_refuses_the_others_passkeys(grace, phone, amina, door):
    hers = Authenticator()
    add(amina, hers)
    assert refused(phone if door == PATIENT_DOOR else hers, door) == "door"


# --- when they go -------------------------------------------------------------------------------


def test_a_removed_one_opens_nothing_and_ends_the_other_sessions(grace, phone):
    here, elsewhere = enter(phone), enter(phone)
    (mine,) = passkeys.own_passkeys(here.actor)
    assert passkeys.remove_passkey(here.actor, mine.id) == "My phone"
    assert refused(phone) == "unknown"
    assert sessions.resolve(crypto.digest(here.token)).kind == "account"
    assert sessions.resolve(crypto.digest(elsewhere.token)).kind == "anonymous"
    with pytest.raises(PasskeyNotFound):
        passkeys.remove_passkey(here.actor, mine.id)
    (event,) = tools.trail("PASSKEY_REMOVED")
    assert (event["actor_id"], event["resource_id"]) == (grace.account_id, grace.account_id)


def test_nobody_removes_anothers(grace, phone):
    (mine,) = passkeys.own_passkeys(grace)
    with pytest.raises(PasskeyNotFound):
        passkeys.remove_passkey(factories.make_staff(username="mercy"), mine.id)
    enter(phone)


STAFF_ENDS = {
    "password reset": lambda ident: staff.reset_staff_password(access.SYSTEM, ident),
    "turned off and on": lambda ident: (
        staff.disable_staff(access.SYSTEM, ident),
        staff.enable_staff(access.SYSTEM, ident),
    ),
    "second factor reset": lambda ident: staff.reset_two_factor(access.SYSTEM, ident),
}


@pytest.mark.asvs("6.4.3")
@pytest.mark.parametrize("end", STAFF_ENDS)
def test_passkeys_of_staff_go_with(grace, phone, end):
    waiting = phone.create(passkeys.begin_adding_passkey(grace, "Begun before"))
    STAFF_ENDS[end](grace.account_id)
    assert tools.number("SELECT count(*) FROM passkeys") == tools.number("SELECT count(*) FROM passkey_challenges") == 0
    assert refused(phone, key=phone.keys[0]) == "unknown"
    with pytest.raises(PasskeyNotAdded):
        passkeys.finish_adding_passkey(grace, "Phone", waiting)


PORTAL_ENDS = {
    "password reset": lambda desk, ident: provisioning.reset_portal_password(desk, ident),
    "another username": lambda desk, ident: provisioning.change_portal_username(
        desk, ident, ChangePortalUsername("other@example.org")
    ),
    "turned off and on": lambda desk, ident: (
        provisioning.turn_off_portal(desk, ident),
        provisioning.turn_on_portal(desk, ident),
    ),
}


@pytest.mark.asvs("6.4.3")
@pytest.mark.parametrize("end", PORTAL_ENDS)
def test_passkeys_of_a_patient_go_with(amina, end):
    phone = Authenticator()
    add(amina, phone)
    PORTAL_ENDS[end](factories.make_staff(), amina.patient_id)
    assert tools.number("SELECT count(*) FROM passkeys") == 0
    assert refused(phone, PATIENT_DOOR) == "unknown"


def test_an_account_that_is_off_or_has_a_temporary_password_stays_shut_for_a_passkey_that_is_there_all_the_same(phone):
    for state in ("is_active = false", "is_active = true, password_temporary = true"):
        tools.write(f"UPDATE accounts SET {state} WHERE username = 'grace'")
        assert refused(phone) == "door"


def test_a_new_password_of_ones_own_leaves_them(grace, phone):
    done, new = enter(phone), "herons over quiet wetlands"
    change_password(done.actor, factories.PASSWORD, new, new, session_token_hash=crypto.digest(done.token))
    enter(phone)


@pytest.mark.asvs("6.3.7")
def test_a_patient_is_told_of_one_that_is_added_or_removed(amina, grace, change_setting):
    change_setting("CLINIC_SMTP_HOST", "mail.clinic.example")
    for owner in (amina, grace):  # staff have no address here
        add(owner, Authenticator())
        (mine,) = passkeys.own_passkeys(owner)
        passkeys.remove_passkey(owner, mine.id)
    told = [tuple(row) for row in tools.raw("SELECT kind, account_id, address FROM outbox_messages ORDER BY id")]
    hers = (amina.account_id, "amina@example.org")
    assert told == [("PASSKEY_ADDED", *hers), ("PASSKEY_REMOVED", *hers)]


# --- limits -------------------------------------------------------------------------------------


@pytest.mark.asvs("6.3.1")
def test_strangers_who_only_ask_are_limited_by_address_and_fill_no_table(grace, clock):
    for _ in range(sign_in_throttle.PER_ADDRESS):
        begin_passkey_sign_in()
    with pytest.raises(TryAgainShortly):  # some of them may still prove to be right
        begin_passkey_sign_in()
    clock.shift(sign_in_throttle.PENDING.total_seconds() + 1)
    for _ in range(2):
        with pytest.raises(TooManyAttempts):
            begin_passkey_sign_in()
    assert tools.number("SELECT count(*) FROM passkey_challenges") == sign_in_throttle.PER_ADDRESS
    assert tools.trail("SIGN_IN_BLOCKED")[-1]["metadata"]["passkey"] is True
    with tools.from_address("198.51.100.9"):
        begin_passkey_sign_in()


@pytest.mark.asvs("6.3.1")
def test_and_those_who_answer_what_nobody_asked(grace, phone):
    phone.get(begin_passkey_sign_in())
    answer = phone.get(begin_passkey_sign_in(), challenge=authenticator.text(b"c" * 32))
    with tools.from_address("198.51.100.9"):
        for _ in range(sign_in_throttle.PER_ADDRESS):
            with pytest.raises(PasskeyRefused):
                finish_passkey_sign_in(STAFF_DOOR, answer)
        before = tools.last_seq()
        for _ in range(3):
            with pytest.raises(TooManyAttempts):
                finish_passkey_sign_in(STAFF_DOOR, answer)
        assert [event["action"] for event in tools.trail(after=before)] == ["SIGN_IN_BLOCKED"]


def test_right_answers_cost_nothing_and_a_known_browser_passes_what_strangers_fill(grace, phone):
    device = ""
    for _ in range(3 * sign_in_throttle.PER_DEVICE):
        device = enter(phone, device=device).device
    for _ in range(sign_in_throttle.PER_ADDRESS):
        begin_passkey_sign_in()
    with pytest.raises(TooManyAttempts):
        begin_passkey_sign_in()
    enter(phone, device=device)
    for _ in range(sign_in_throttle.PER_DEVICE):
        begin_passkey_sign_in(device=device)
    with pytest.raises(TooManyAttempts):
        begin_passkey_sign_in(device=device)


def test_old_challenges_are_tidied_away(phone, clock):
    begin_passkey_sign_in()
    assert housekeeping.tidy() == 0
    clock.shift(passkey_ceremonies.LIFE.total_seconds())
    housekeeping.tidy()
    assert tools.number("SELECT count(*) FROM passkey_challenges") == 0


# --- where they cannot be -----------------------------------------------------------------------


@pytest.mark.parametrize("address", ["http://desk.example.org", "http://192.168.1.5:3000", "https://192.168.1.5"])
def test_without_https_and_a_name_there_are_none(grace, change_setting, address):
    change_setting("CLINIC_PUBLIC_URL", address)
    for work in (
        begin_passkey_sign_in,
        lambda: finish_passkey_sign_in(STAFF_DOOR, ""),
        lambda: passkeys.own_passkeys(grace),
        lambda: passkeys.begin_adding_passkey(grace, "Phone"),
        lambda: passkeys.finish_adding_passkey(grace, "Phone", ""),
        lambda: passkeys.remove_passkey(grace, 1),
    ):
        with pytest.raises(PasskeysUnavailable):
            work()


def test_with_https_they_are_made_for_the_name_people_type(grace, change_setting):
    change_setting("CLINIC_PUBLIC_URL", "https://Desk.Example.org:8443")
    phone = Authenticator()
    options = passkeys.begin_adding_passkey(grace, "Phone")
    assert json.loads(options)["rp"]["id"] == "desk.example.org"
    passkeys.finish_adding_passkey(grace, "Phone", phone.create(options, origin="https://desk.example.org:8443"))
    enter(phone, origin="https://desk.example.org:8443")
    assert refused(phone) == "not_proved"  # from http://localhost:3000


# --- several at once ----------------------------------------------------------------------------


@pytest.mark.races
def test_of_two_who_send_one_answer_at_once_one_gets_in(own_database):
    grace, phone = factories.make_staff(username="grace"), Authenticator()
    add(grace, phone)
    for _ in range(5):
        answer = phone.get(begin_passkey_sign_in())
        results = tools.at_once(*[lambda: finish_passkey_sign_in(STAFF_DOOR, answer)] * 4)  # noqa: B023  done by then
        assert sorted(type(one).__name__ for one in results) == ["PasskeyRefused"] * 3 + ["SignedIn"]


@pytest.mark.races
def test_of_two_that_are_added_at_once_where_one_has_room_one_is(own_database):
    grace = factories.make_staff(username="grace")
    for number in range(passkeys.AT_MOST - 1):
        add(grace, Authenticator(), f"Phone {number}")
    options, phone = passkeys.begin_adding_passkey(grace, "Phone"), Authenticator()
    answers = [phone.create(options), phone.create(options)]
    results = tools.at_once(*[lambda one=one: passkeys.finish_adding_passkey(grace, "Phone", one) for one in answers])
    assert results.count(None) == 1
    assert isinstance(next(filter(None, results)), PasskeyNotAdded)
    assert len(passkeys.own_passkeys(grace)) == passkeys.AT_MOST


@pytest.mark.races
def test_a_passkey_that_is_removed_while_it_signs_in_opens_nothing_afterwards(own_database):
    for turn in range(6):
        grace, phone = factories.make_staff(username=f"grace{turn}"), Authenticator()
        add(grace, phone)
        (mine,) = passkeys.own_passkeys(grace)
        answer = phone.get(begin_passkey_sign_in())
        entered, removed = tools.at_once(
            lambda answer=answer: finish_passkey_sign_in(STAFF_DOOR, answer),
            lambda grace=grace, mine=mine: passkeys.remove_passkey(grace, mine.id),
        )
        assert removed == "My phone"
        assert isinstance(entered, PasskeyRefused) or (
            sessions.resolve(crypto.digest(entered.token)).kind == "anonymous"
        ), "either it came too late, or its session has ended with it"


@pytest.mark.races
def test_a_reset_while_it_signs_in_leaves_nobody_in(own_database):
    for turn in range(6):
        grace, phone = factories.make_staff(username=f"grace{turn}"), Authenticator()
        add(grace, phone)
        answer = phone.get(begin_passkey_sign_in())
        entered, _ = tools.at_once(
            lambda answer=answer: finish_passkey_sign_in(STAFF_DOOR, answer),
            lambda grace=grace: staff.reset_staff_password(access.SYSTEM, grace.account_id or 0),
        )
        assert isinstance(entered, PasskeyRefused) or (
            sessions.resolve(crypto.digest(entered.token)).kind == "anonymous"
        )


def test_nobody_is_not_asked_for_a_passkey_of_theirs(database):
    with pytest.raises(AuthenticationRequired):
        passkeys.own_passkeys(access.ANONYMOUS)
    assert Role.PATIENT in access.PERMISSIONS
