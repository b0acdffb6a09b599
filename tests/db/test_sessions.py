"""Sessions and one-time notes."""

from __future__ import annotations

import datetime as dt

import pytest

from clinic_app.core import context, crypto
from clinic_app.services.accounts import flash, sessions
from clinic_app.services.accounts.passwords import choose_password
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, STAFF_DOOR, sign_in
from clinic_app.services.portal.forms import ChangePortalUsername
from clinic_app.services.portal.provisioning import (
    change_portal_username,
    reset_portal_password,
    turn_off_portal,
    turn_on_portal,
)
from tests import factories
from tests.db import tools


@pytest.fixture
def grace(clock, database):
    """A receptionist called ``grace``."""
    return factories.make_staff(username="grace")


def _staff() -> str:
    return crypto.digest(sign_in(STAFF_DOOR, "grace", factories.PASSWORD).token)


def _alive(token_hash: str, *, touch: bool = False) -> bool:
    return sessions.resolve(token_hash, touch=touch).kind == "account"


@pytest.mark.asvs("7.2.2")
def test_a_token_is_kept_as_its_hash_only(grace):
    done = sign_in(STAFF_DOOR, "grace", factories.PASSWORD)
    everything = str(tools.dump())
    assert done.token not in everything
    assert crypto.digest(done.token) in everything
    assert not _alive(done.token)


@pytest.mark.asvs("7.2.1")
@pytest.mark.parametrize("nothing", ["", "x", "0" * 64, "' OR 1=1 --"])
def test_what_is_no_session_is_nobody(grace, nothing):
    actor = sessions.resolve(nothing)
    assert (actor.kind, actor.account_id, actor.role) == ("anonymous", None, "UNKNOWN")


@pytest.mark.asvs("7.3.1")
def test_a_session_ends_after_doing_nothing_for_the_idle_time(clock, grace):
    token = _staff()
    clock.shift(15 * 60 - 1)
    assert _alive(token)
    clock.shift(1)
    assert not _alive(token)
    assert not _alive(token, touch=True)  # and looking does not bring it back


def test_activity_puts_the_idle_end_off_and_looking_does_not(clock, grace):
    token = _staff()
    clock.shift(14 * 60)
    assert _alive(token, touch=True)
    clock.shift(14 * 60)
    assert _alive(token)
    clock.shift(60)
    assert not _alive(token)


def test_activity_is_written_down_every_twenty_seconds_at_most(clock, grace):
    token = _staff()

    def seen():
        return str(tools.raw("SELECT last_seen_at FROM login_sessions"))

    first = seen()
    clock.shift(20)
    sessions.resolve(token)
    assert seen() == first
    clock.shift(1)
    sessions.resolve(token, touch=False)
    assert seen() == first
    sessions.resolve(token)
    assert seen() != first


def test_looking_up_a_session_is_one_statement_and_no_write(grace):
    token = _staff()
    with tools.statements() as seen:
        assert _alive(token, touch=True)
    assert len(seen) == 1
    assert seen[0].startswith("SELECT")


@pytest.mark.asvs("7.3.2")
def test_a_staff_session_ends_after_twelve_hours_whatever_is_done(clock, grace):
    token = _staff()
    for _ in range(12 * 6 - 1):
        clock.shift(600)
        assert _alive(token, touch=True)
    clock.shift(599)
    assert _alive(token, touch=True)
    clock.shift(1)
    assert not _alive(token)


@pytest.mark.asvs("7.3.2")
def test_a_patients_session_ends_after_one_hour_whatever_is_done(clock, grace):
    factories.own_password(factories.make_patient(grace, portal_email="amina@example.com"))
    done = sign_in(PATIENT_DOOR, "amina@example.com", factories.OWN_PASSWORD)
    assert done.expires_at == dt.datetime(2026, 6, 15, 10, tzinfo=dt.UTC)
    for _ in range(5):
        clock.shift(600)
        assert _alive(crypto.digest(done.token), touch=True)
    clock.shift(600)
    assert not _alive(crypto.digest(done.token))


def test_the_times_are_settings(change_setting, clock, grace):
    change_setting("CLINIC_STAFF_IDLE_MINUTES", "2")
    change_setting("CLINIC_STAFF_SESSION_HOURS", "1")
    done = sign_in(STAFF_DOOR, "grace", factories.PASSWORD)
    assert done.expires_at == dt.datetime(2026, 6, 15, 10, tzinfo=dt.UTC)
    clock.shift(120)
    assert not _alive(crypto.digest(done.token))


@pytest.mark.asvs("7.4.1", "16.3.1")
def test_signing_out_ends_this_session_only_and_is_recorded(grace):
    one, other = _staff(), _staff()
    assert sessions.sign_out(one).account_id == grace.account_id
    assert not _alive(one)
    assert _alive(other)
    event = tools.trail()[-1]
    assert (event["action"], event["actor_id"]) == ("SIGNED_OUT", grace.account_id)
    before = tools.dump()
    assert sessions.sign_out(one).kind == "anonymous"
    assert sessions.sign_out("").kind == "anonymous"
    assert tools.dump() == before


@pytest.mark.asvs("7.2.4")
def test_signing_in_again_ends_the_session_this_browser_had(grace):
    first, bystander = _staff(), _staff()
    second = crypto.digest(sign_in(STAFF_DOOR, "grace", factories.PASSWORD, replaces=first).token)
    assert [_alive(first), _alive(bystander), _alive(second)] == [False, True, True]
    assert tools.number("SELECT count(*) FROM login_sessions WHERE end_reason = 'signed in again'") == 1


def test_a_refused_sign_in_leaves_the_session_this_browser_had(grace):
    first = _staff()
    with pytest.raises(Exception, match="invalid_credentials"):
        sign_in(STAFF_DOOR, "grace", "wrong", replaces=first)
    assert _alive(first)


@pytest.mark.parametrize("how", ["choose", "reset", "rename", "off"])
def test_all_sessions_of_the_account_end_with_its_password_or_access(grace, how):
    made = factories.make_patient(grace, portal_email="amina@example.com")
    other = factories.make_patient(grace, portal_email="other@example.com")
    done = [sign_in(PATIENT_DOOR, "amina@example.com", made.credentials.temporary_password) for _ in range(2)]
    bystanders = [
        crypto.digest(sign_in(PATIENT_DOOR, "other@example.com", other.credentials.temporary_password).token),
        _staff(),
    ]
    tokens = [crypto.digest(one.token) for one in done]
    assert all(map(_alive, tokens))
    if how == "choose":
        choose_password(done[0].actor, factories.OWN_PASSWORD, factories.OWN_PASSWORD, session_token_hash=tokens[0])
    else:
        do = {
            "reset": reset_portal_password,
            "rename": lambda *who: change_portal_username(*who, ChangePortalUsername("another@example.com")),
            "off": turn_off_portal,
        }[how]
        do(grace, made.patient.id)
    assert not any(map(_alive, tokens))
    assert all(map(_alive, bystanders))
    if how == "off":
        turn_on_portal(grace, made.patient.id)
        assert not any(map(_alive, tokens))


@pytest.mark.asvs("7.4.2")
def test_an_account_that_is_off_is_nobody_even_with_a_session_left(grace):
    token = _staff()
    tools.write("UPDATE accounts SET is_active = false WHERE username = 'grace'")
    assert not _alive(token)


@pytest.mark.asvs("8.3.2")
def test_a_changed_role_counts_at_once(grace):
    token = _staff()
    tools.write("UPDATE accounts SET role = 'CLINICIAN' WHERE username = 'grace'")
    assert sessions.resolve(token).role == "CLINICIAN"


def test_a_session_remembers_where_it_came_from_in_printable_and_short_form(grace):
    with context.use(context.RequestContext("page", "2001:db8::1", "Moz\x00illa\x1b[31m" + "x" * 400)):
        _staff()
    row = tools.raw("SELECT address, user_agent FROM login_sessions")[0]
    assert row.address == "2001:db8::1"
    assert row.user_agent.startswith("Moz?illa?[31mxx")
    assert len(row.user_agent) == 200


# --- notes --------------------------------------------------------------------------------------


def test_a_note_is_read_once(clock, database):
    token = flash.put_note(message="Incorrect username or password.", username="grace")
    assert token not in str(tools.dump())
    assert flash.pop_note(crypto.digest(token)) == {"message": "Incorrect username or password.", "username": "grace"}
    assert flash.pop_note(crypto.digest(token)) == {}


def test_a_note_is_gone_after_a_minute(clock, database):
    early, late = flash.put_note(n=1), flash.put_note(n=2)
    clock.shift(59.9)
    assert flash.pop_note(crypto.digest(early)) == {"n": 1}
    clock.shift(0.1)
    assert flash.pop_note(crypto.digest(late)) == {}


@pytest.mark.asvs("14.2.7")
def test_notes_nobody_read_are_swept_by_the_next_one(clock, database):
    flash.put_note(n=1)
    clock.shift(60)
    flash.put_note(n=2)
    assert tools.number("SELECT count(*) FROM flash_notes") == 1


@pytest.mark.parametrize("nothing", ["", "x", "0" * 64])
def test_no_note_is_an_empty_one(database, nothing):
    flash.put_note(n=1)
    assert flash.pop_note(nothing) == {}
    assert tools.number("SELECT count(*) FROM flash_notes") == 1
