"""Passwords people choose: the policy, and replacing the temporary one."""

from __future__ import annotations

import datetime as dt
import random

import pytest

from clinic_app.core import crypto
from clinic_app.core.errors import AuthenticationRequired, InvalidInput
from clinic_app.services.accounts import sessions
from clinic_app.services.accounts.errors import InvalidCredentials
from clinic_app.services.accounts.passwords import assess_password, choose_password
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from clinic_app.services.portal.provisioning import reset_portal_password, turn_off_portal
from tests import factories
from tests.db import tools

GOOD = factories.OWN_PASSWORD
LENGTH = "more character"
PERSONAL = "It contains a name, date or word linked to you or the clinic. Add unrelated words."


@pytest.fixture
def amina(clock, desk):
    """A patient who has just signed in with the temporary password."""
    made = factories.make_patient(
        desk,
        first_name="Wambui",
        last_name="Cheruiyot",
        national_id="27840001",
        date_of_birth="14/3/1988",
        portal_email="teal.heron@example.com",
    )
    return made, sign_in(PATIENT_DOOR, "teal.heron@example.com", made.credentials.temporary_password)


def _choose(done, new=GOOD, again=None):
    return choose_password(
        done.actor, new, new if again is None else again, session_token_hash=crypto.digest(done.token)
    )


def _refused(done, new, again=None) -> dict[str, str]:
    before = tools.dump()
    with pytest.raises(InvalidInput) as caught:
        _choose(done, new, again)
    assert tools.dump() == before
    return caught.value.fields


# --- the policy ---------------------------------------------------------------------------------


@pytest.mark.asvs("6.2.11")
@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("seven amber ke", "1 more character needed. Three or four words are easiest."),
        ("x", "14 more characters needed. Three or four words are easiest."),
        ("k" * 129, "At most 128 characters."),
        ("seven amber\x00kettles hum", "It contains a character that cannot be typed on every keyboard."),
        ("seven amber\ud800kettles hum", "It contains a character that cannot be typed on every keyboard."),
        ("aaaaaaaaaaaaaaaaaaaa", ""),
        ("passwordpassword", ""),
        ("qwertyuiopqwertyuiop", ""),
        ("wambui cheruiyot 88", PERSONAL),
        ("CHERUIYOT-wambui-1", PERSONAL),
        ("Wámbui Chéruiyot!!", PERSONAL),
        ("tealheron and teal", PERSONAL),
        ("lakeside medical centre", PERSONAL),
        ("my patient portal!", PERSONAL),
        ("it is 27840001 ok?", PERSONAL),
        ("call 0712445901 now", PERSONAL),
        ("call +254712445901", PERSONAL),
        ("i am 14031988 here", PERSONAL),
        ("my LMC{number} here", PERSONAL),
    ],
)
def test_a_password_that_is_easy_to_guess_is_refused_with_the_reason(amina, password, why):
    made, done = amina
    password = password.replace("{number}", made.patient.patient_id.removeprefix("LMC"))
    fields = _refused(done, password)
    assert list(fields) == ["new_password"]
    assert why in fields["new_password"]
    strength = assess_password(done.actor, password)
    assert not strength.good_enough
    assert strength.why == fields["new_password"]


@pytest.mark.asvs("6.2.5")
@pytest.mark.parametrize(
    "password",
    [
        GOOD,
        "x" + "kettle lorry " * 2 + "moss",
        "тихий зелёный грузовик вторник",
        "wambui likes seven amber kettles",
        "q" * 3 + "v8#Lw!" * 20,
    ],
)
def test_a_password_that_is_hard_to_guess_is_taken_whatever_it_is_made_of(amina, password):
    _, done = amina
    assert 15 <= len(password) <= 128
    strength = assess_password(done.actor, password)
    assert strength.good_enough, strength
    assert strength.score >= 3
    assert _choose(done, password).actor.must_choose_password is False


@pytest.mark.asvs("6.2.1", "6.2.9")
def test_fifteen_characters_are_enough_and_128_the_most(amina):
    _, done = amina
    assert assess_password(done.actor, "vex jumbo fryqd").good_enough
    assert not assess_password(done.actor, "vex jumbo fryq").good_enough
    longest = "".join(random.Random(7).choices("abcdefghijklmnopqrstuvwxyz", k=128))
    assert assess_password(done.actor, longest).good_enough
    assert assess_password(done.actor, longest + "x").why == "At most 128 characters."


@pytest.mark.asvs("6.1.2", "6.2.11")
def test_the_words_of_another_clinic_are_known_too(change_setting, amina):
    _, done = amina
    assert assess_password(done.actor, "kilimanjaro hospice").good_enough
    change_setting("CLINIC_NAME", "Kilimanjaro Hospice")
    assert assess_password(done.actor, "kilimanjaro hospice").why == PERSONAL


def test_a_very_long_password_takes_no_time(amina):
    _, done = amina
    assert assess_password(done.actor, "ab" * 500_000).why == "At most 128 characters."


def test_nothing_of_an_assessment_is_kept(amina):
    _, done = amina
    before = tools.dump()
    assess_password(done.actor, GOOD)
    assert tools.dump() == before


# --- replacing ----------------------------------------------------------------------------------


def test_the_chosen_password_opens_the_portal_and_the_temporary_one_no_more(clock, amina):
    made, done = amina
    clock.shift(60)
    fresh = _choose(done)
    assert fresh.actor.must_choose_password is False
    assert fresh.expires_at == dt.datetime(2026, 6, 15, 10, 1, tzinfo=dt.UTC)
    assert sessions.resolve(crypto.digest(done.token)).kind == "anonymous"
    assert sessions.resolve(crypto.digest(fresh.token)).account_id == done.actor.account_id
    assert sign_in(PATIENT_DOOR, made.credentials.username, GOOD).actor.must_choose_password is False
    with pytest.raises(InvalidCredentials):
        sign_in(PATIENT_DOOR, made.credentials.username, made.credentials.temporary_password)
    account = tools.raw("SELECT * FROM accounts WHERE id = :id", id=done.actor.account_id)[0]
    assert not account.password_temporary
    assert account.password_expires_at is None
    assert account.temporary_failures == 0
    assert GOOD not in str(tools.dump())
    event = tools.trail("PASSWORD_CHOSEN")[-1]
    assert (event["actor_id"], event["resource_id"]) == (account.id, account.id)
    assert event["metadata"] == {"was_temporary": True}


@pytest.mark.parametrize("nothing", ["", None])
def test_a_new_password_is_required(amina, nothing):
    assert _refused(amina[1], nothing, "") == {"new_password": "New password is required."}


def test_both_spellings_must_be_the_same(amina):
    assert _refused(amina[1], GOOD, GOOD + "x") == {"confirm_password": "The two passwords are not the same."}
    assert _refused(amina[1], GOOD, "") == {"confirm_password": "The two passwords are not the same."}


def test_blanks_at_both_ends_of_ones_own_password_do_not_count(clock, amina):
    choose_password(amina[1].actor, f"  {GOOD}\u00a0", f"{GOOD} ", session_token_hash=crypto.digest(amina[1].token))
    for typed in (GOOD, f" {GOOD}", f"{GOOD}\u200b\n"):
        assert sign_in(PATIENT_DOOR, "teal.heron@example.com", typed).actor.name
    assert _refused(amina[1], "   ", "   ") == {"new_password": "New password is required."}


@pytest.mark.asvs("6.4.1")
def test_the_temporary_password_itself_is_refused(clock, desk, monkeypatch):
    monkeypatch.setattr(crypto, "temporary_password", lambda: "Hq7vRkMw2TzEn9PxYd")  # long enough to be one's own
    made = factories.make_patient(desk, portal_email="amina@example.com")
    done = sign_in(PATIENT_DOOR, "amina@example.com", made.credentials.temporary_password)
    assert assess_password(done.actor, "Hq7vRkMw2TzEn9PxYd").good_enough
    assert _refused(done, "Hq7vRkMw2TzEn9PxYd") == {
        "new_password": "Choose a password that is different from the temporary one."
    }


def test_hashes_are_computed_outside_of_any_transaction(amina, hashing):
    _choose(amina[1])
    assert (len(hashing.made), len(hashing.checked)) == (1, 1)
    assert hashing.inside == []


def _too_late(done) -> None:
    before = tools.dump()
    with pytest.raises(AuthenticationRequired) as caught:
        _choose(done)
    assert caught.value.detail == "Please sign in."
    assert tools.dump() == before


def test_a_temporary_password_that_expired_meanwhile_cannot_be_replaced(clock, amina):
    clock.shift(48 * 3600)
    _too_late(amina[1])


def test_a_password_can_be_chosen_once_and_only_from_a_living_session(amina):
    _, done = amina
    fresh = _choose(done)
    _too_late(done)  # the session is over
    for guess in (GOOD, "seven violet kettles hum"):  # and does not tell which of them is the password
        with pytest.raises(AuthenticationRequired):
            _choose(fresh, guess)


def test_after_a_reset_a_turn_off_or_a_sign_out_the_session_chooses_nothing(desk, amina):
    made, done = amina
    second = sign_in(PATIENT_DOOR, made.credentials.username, made.credentials.temporary_password)
    sessions.sign_out(crypto.digest(second.token))
    _too_late(second)
    password = reset_portal_password(desk, made.patient.id).credentials.temporary_password
    _too_late(done)
    third = sign_in(PATIENT_DOOR, made.credentials.username, password)
    turn_off_portal(desk, made.patient.id)
    _too_late(third)


def test_a_session_of_somebody_else_chooses_nothing(desk, amina):
    other = factories.make_patient(desk, portal_email="other@example.com")
    theirs = sign_in(PATIENT_DOOR, "other@example.com", other.credentials.temporary_password)
    before = tools.dump()
    for token in (theirs.token, "", "x"):
        with pytest.raises(AuthenticationRequired):
            choose_password(amina[1].actor, GOOD, GOOD, session_token_hash=crypto.digest(token))
    assert tools.dump() == before


def test_a_reset_while_the_hash_was_computed_wins(clock, desk, amina, monkeypatch):
    made, done = amina
    real = crypto.hash_password

    def slowly(password):
        hashed = real(password)
        monkeypatch.setattr(crypto, "hash_password", real)
        reset_portal_password(desk, made.patient.id)
        return hashed

    monkeypatch.setattr(crypto, "hash_password", slowly)
    with pytest.raises(AuthenticationRequired):
        _choose(done)
    assert tools.number("SELECT count(*) FROM accounts WHERE role = 'PATIENT' AND password_temporary") == 1
