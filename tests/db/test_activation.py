"""Setting a password by a one-time link: what it does, what it refuses, and who is first of several."""

from __future__ import annotations

import collections

import pytest

from clinic_app.core import clock as clocks
from clinic_app.core import crypto, db
from clinic_app.core.errors import InvalidInput, TooManyAttempts
from clinic_app.models.notifications import LinkPurpose
from clinic_app.services.accounts import own_sessions, sessions, sign_in_throttle
from clinic_app.services.accounts.activation import activate
from clinic_app.services.accounts.code_tries import NOT_RIGHT
from clinic_app.services.accounts.errors import InvalidCredentials, LinkOver
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from clinic_app.services.accounts.views import SignedIn
from clinic_app.services.audit import chain
from clinic_app.services.notifications import links, outbox
from clinic_app.services.notifications.kinds import Kind
from clinic_app.services.notifications.views import Recipient
from clinic_app.services.portal import provisioning
from clinic_app.services.portal.forgotten import ask_for_link
from clinic_app.services.portal.forms import ChangePortalUsername
from tests import factories
from tests.db import tools

EMAIL = "amina.link@example.org"
NEW = "seven kettles under rain"
OTHER = "nine lanterns over snow"
NOBODYS = "7KQM-4RXT-92WD"


@pytest.fixture(autouse=True)
def mail(settings):
    """A clinic that sends emails."""
    settings.setenv("CLINIC_SMTP_HOST", "mail.example.org")


@pytest.fixture
def invited(desk):
    """A patient with a portal account and a fresh invitation."""
    return factories.make_patient(desk, portal_email=EMAIL)


@pytest.fixture
def code(invited) -> str:
    return factories.link_code(EMAIL)


def _fields(*given: str) -> dict[str, str]:
    with pytest.raises(InvalidInput) as refused:
        activate(*given)
    return refused.value.fields


def _over(code: str) -> LinkOver:
    with pytest.raises(LinkOver) as refused:
        activate(code, NEW, NEW)
    return refused.value


def _account(column: str):
    return tools.raw(f"SELECT {column} FROM accounts WHERE username = :name", name=EMAIL)[0][0]


# --- what it does -------------------------------------------------------------------------------------------------


@pytest.mark.asvs("6.4.1", "6.5.1")
def test_a_link_sets_a_password_once_and_signs_in(invited, code):
    before = sign_in(PATIENT_DOOR, EMAIL, invited.credentials.temporary_password)
    done = activate(code, NEW, NEW)
    assert sessions.resolve(crypto.digest(done.token)).username == EMAIL
    assert (done.actor.must_choose_password, done.device != "") == (False, True)
    assert sessions.resolve(crypto.digest(before.token)).kind == "anonymous"
    with pytest.raises(InvalidCredentials):
        sign_in(PATIENT_DOOR, EMAIL, invited.credentials.temporary_password)
    assert sign_in(PATIENT_DOOR, EMAIL, NEW).actor.account_id == done.actor.account_id
    assert _over(code).why == "used"
    assert sign_in(PATIENT_DOOR, EMAIL, NEW)


def test_the_browser_is_known_and_the_session_that_it_had_ends(desk, invited, code):
    grace = factories.make_staff(username="grace.at.the.desk")
    had = sign_in("staff", grace.username, factories.PASSWORD)
    done = activate(code, NEW, NEW, replaces=crypto.digest(had.token))
    assert sessions.resolve(crypto.digest(had.token)).kind == "anonymous"
    again = sign_in(PATIENT_DOOR, EMAIL, NEW, device=done.device)
    assert tools.trail("SIGNED_IN")[-1]["metadata"] == {"door": "patient", "known_device": True}
    assert again.device == done.device
    assert [one.kind for one in own_sessions.list_own_sessions(again.actor)] == ["page"] * 2


def test_it_is_recorded_without_values_and_told(invited, code):
    activate(code, NEW, NEW)
    event = tools.trail("PASSWORD_CHOSEN")[-1]
    assert event["metadata"] == {"was_temporary": True, "by": "link"}
    assert (event["role"], event["resource_type"], event["resource_id"]) == ("PATIENT", "account", _account("id"))
    assert tools.trail("SIGNED_IN")[-1]["metadata"] == {"door": "patient"}
    assert code not in str(tools.trail())
    told = tools.raw("SELECT address FROM outbox_messages WHERE kind = 'PASSWORD_CHANGED' AND channel = 'email'")
    assert [row[0] for row in told] == [EMAIL]


@pytest.mark.parametrize(
    "typed",
    [
        lambda code: code.replace("-", ""),
        lambda code: code.lower().replace("-", " "),
        lambda code: f"\u202a {code.replace('-', ' – ')}\u200b\n",
        lambda code: "".join(chr(ord(c) + 0xFEE0) if c != "-" else c for c in code),  # full width
        lambda code: code.replace("0", "O").replace("1", "l"),
        lambda code: f"https://portal.clinic.example/patient-portal/activate#{code}",
        lambda code: f"portal.clinic.example/a#{code} Help: 020 712 3456",
    ],
)
def test_a_code_is_read_however_it_is_written(code, typed):
    assert activate(typed(code), NEW, NEW).actor.username == EMAIL


def test_whoever_was_locked_out_is_let_in(invited, code):
    factories.lock(EMAIL)
    with pytest.raises(TooManyAttempts):
        sign_in(PATIENT_DOOR, EMAIL, NEW)
    activate(code, NEW, NEW)
    assert sign_in(PATIENT_DOOR, EMAIL, NEW)


def test_an_email_is_shown_to_be_ones_own_where_the_code_went_there_alone(desk):
    """A code that was sent by SMS too may have been read on the phone."""
    for email, phone in (("one.way@example.org", ""), (EMAIL, "0712 445 902")):
        factories.make_patient(desk, portal_email=email, portal_phone=phone, phone="")
        link = tools.number("SELECT max(id) FROM one_time_links")
        if phone:
            row = "SELECT 'INVITATION', 'sms', account_id, link_id, '+254712445902', facts, 'x', state, created_at, "
            tools.write(
                "INSERT INTO outbox_messages (kind, channel, account_id, link_id, address, facts, message_id, state, "
                f"created_at, expires_at, due_at, tries) {row} expires_at, due_at, 0 FROM outbox_messages "
                "WHERE link_id = :link AND channel = 'email'",
                link=link,
            )
        activate(factories.link_code(email), NEW, NEW)
    shown = tools.raw("SELECT username FROM accounts WHERE email_shown_at IS NOT NULL")
    assert [row[0] for row in shown] == ["one.way@example.org"]


def test_one_hash_for_the_code_and_one_for_the_password_and_none_in_a_transaction(code, hashing):
    activate(code, NEW, NEW)
    assert (len(hashing.checked), len(hashing.made), hashing.inside) == (1, 1, [])
    _fields(NOBODYS, NEW, NEW)
    assert (len(hashing.checked), len(hashing.made), hashing.inside) == (2, 1, [])
    assert hashing.checked[-1].startswith("hash-strangers")


# --- what it refuses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [NOBODYS, "7KQM-4RXT-92W", "x", "\u0301" * 4000, "\x00", "UUUU-UUUU-UUUU"])
def test_a_wrong_code_is_said_at_its_field(code, wrong):
    assert _fields(wrong, NEW, NEW) == {"code": NOT_RIGHT}
    event = tools.trail("LINK_REFUSED")[-1]
    assert (event["metadata"], event["resource_id"], event["outcome"]) == ({"reason": "wrong"}, None, "failure")
    assert activate(code, NEW, NEW)


def test_what_is_missing_is_said_before_anything_is_counted(code):
    assert set(_fields("", "", "")) == {"code", "new_password"}
    assert set(_fields("\u200b ", NEW, NEW)) == {"code"}
    assert tools.number("SELECT count(*) FROM sign_in_limits") == 0


def test_of_a_password_something_is_said_after_the_right_code_only(code):
    assert set(_fields(NOBODYS, "short", "other")) == {"code"}
    assert set(_fields(code, "short", "short")) == {"new_password"}
    assert set(_fields(code, NEW, OTHER)) == {"confirm_password"}


@pytest.mark.asvs("6.2.11")
def test_a_weak_password_does_not_spend_the_code(desk):
    factories.make_patient(desk, portal_email=EMAIL, first_name="Zebulon", last_name="Kiprotich")
    code = factories.link_code(EMAIL)
    for weak in ("short", "passwordpassword", "Zebulon Kiprotich", "a" * 129, "\u0301" * 3000):
        assert set(_fields(code, weak, weak)) == {"new_password"}
    assert _account("password_temporary")
    assert activate(code, NEW, NEW)


def test_a_link_for_an_email_sets_no_password(invited):
    with db.transaction() as session:
        to = Recipient(_account("id"), EMAIL)
        outbox.send_link(
            session, to, Kind.CONFIRM_EMAIL, LinkPurpose.EMAIL, outbox.CONFIRM_LIFE, email="new@example.org"
        )
    code = factories.link_code(EMAIL)
    assert _fields(code, NEW, NEW) == {
        "code": "This code confirms an email. It belongs on the page “Confirm your email”."
    }
    assert tools.trail("LINK_REFUSED")[-1]["metadata"] == {"reason": "elsewhere"}
    with db.reading() as session:
        assert links.find(session, code).ended == ""  # it is still good for what it is for


@pytest.mark.asvs("6.4.3")
def test_a_link_never_sets_a_password_of_staff(desk):
    """They may have a second factor. None is ever sent to them; this one was smuggled in."""
    with db.transaction() as session:
        links.new_link(session, desk.account_id, LinkPurpose.ACTIVATE, clocks.now() + outbox.FORGOT_LIFE)
    assert _over(factories.link_code(desk.username)).why == "off"
    assert sign_in("staff", desk.username, factories.PASSWORD)


@pytest.mark.asvs("6.5.2")
def test_no_row_holds_the_code(code):
    rows = str(tools.dump())
    for written in (code, links.plain_code(code)):
        assert written not in rows
    assert tools.raw("SELECT code_hash FROM one_time_links")[0][0].startswith("v2$k1$$2b$")


@pytest.mark.asvs("6.5.3", "6.5.4")
def test_codes_have_sixty_random_bits(desk):
    assert (len(set(links.SYMBOLS)), links.LENGTH) == (32, 12)
    with db.transaction() as session:
        # At 700 codes a symbol is missing from one of twelve places once in ten million runs.
        for _ in range(700):
            links.new_link(session, desk.account_id, LinkPurpose.FORGOT, clocks.now())
    codes = [links.code_of(row[0]) for row in tools.raw("SELECT seed FROM one_time_links")]
    assert len(set(codes)) == 700
    for place in (0, 1, 2, 3, 5, 6, 7, 8, 10, 11, 12, 13):
        assert len({code[place] for code in codes}) == 32


def test_an_expired_link_says_until_when(clock, desk):
    factories.make_patient(desk, portal_email=EMAIL)
    code = factories.link_code(EMAIL)
    clock.shift(48 * 3600 + 1)
    over = _over(code)
    assert (over.why, f"{over.at:%Y-%m-%d %H:%M}") == ("expired", "2026-06-17 09:00")
    assert tools.trail("LINK_REFUSED")[-1]["metadata"] == {"reason": "expired"}


def test_a_newer_link_takes_its_place(clock, desk, invited, code):
    clock.shift(60)
    provisioning.reset_portal_password(desk, invited.patient.id)
    over = _over(code)
    assert (over.why, f"{over.at:%H:%M:%S}") == ("superseded", "09:01:00")
    activate(factories.link_code(EMAIL), NEW, NEW)
    assert _over(code).why == "replaced"  # the newer one works no more


def test_a_password_that_was_chosen_otherwise_ends_it(invited, code):
    factories.own_password(invited)
    assert _over(code).why == "replaced"


def test_another_username_ends_it(desk, invited, code):
    provisioning.change_portal_username(desk, invited.patient.id, ChangePortalUsername("new.one@example.org"))
    assert _over(code).why == "superseded"
    assert activate(factories.link_code("new.one@example.org"), NEW, NEW).actor.username == "new.one@example.org"


def test_nothing_is_set_where_access_is_off_and_only_the_right_code_says_so(desk, invited, code):
    tools.write("UPDATE outbox_messages SET state = 'SENT'")
    provisioning.turn_off_portal(desk, invited.patient.id)
    assert _over(code).why == "off"
    assert _fields(NOBODYS, NEW, NEW) == {"code": NOT_RIGHT}
    provisioning.turn_on_portal(desk, invited.patient.id)
    assert _over(code).why == "replaced"  # the reception sends another one


# --- limits -------------------------------------------------------------------------------------------------------


@pytest.mark.asvs("6.6.3")
def test_guessed_codes_are_limited_by_address(clock, code):
    told = collections.Counter()
    for number in range(200):
        try:
            activate(f"{number:012d}", NEW, NEW)
        except (InvalidInput, TooManyAttempts) as refused:
            told[type(refused).__name__] += 1
    assert told == {"InvalidInput": 50, "TooManyAttempts": 150}
    assert len(tools.trail("LINK_REFUSED")) == 50
    (blocked,) = tools.trail("SIGN_IN_BLOCKED")
    assert blocked["metadata"] == {"door": "patient", "by": "link", "seconds": 60}
    with pytest.raises(TooManyAttempts):  # else the right one would be found by going on
        activate(code, NEW, NEW)
    with tools.from_address("198.51.100.20"):
        assert activate(code, NEW, NEW)


def test_forty_strangers_do_not_keep_the_owner_out(clock, code, monkeypatch):
    monkeypatch.setattr(sign_in_throttle, "ALTOGETHER", 100)
    for stranger in range(40):
        for number in range(3):
            with tools.from_address(f"198.51.100.{stranger}"), pytest.raises((InvalidInput, TooManyAttempts)):
                activate(f"{number:012d}", NEW, NEW)
    assert len(tools.trail("LINK_REFUSED")) == 100  # then they wait
    with tools.from_address("192.0.2.9"):
        with pytest.raises(TooManyAttempts):
            activate(NOBODYS, NEW, NEW)
        assert activate(code, NEW, NEW)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.asvs("6.6.3")
def test_ten_thousand_guesses_buy_a_thousand_checks(clock, code, hashing):
    """From four hundred addresses, each within its own limit."""
    for number in range(10_000):
        address = f"198.51.{number % 400 // 200}.{number % 200}"
        with tools.from_address(address), pytest.raises((InvalidInput, TooManyAttempts)):
            activate(f"{number:012d}", NEW, NEW)
    assert len(hashing.checked) == sign_in_throttle.ALTOGETHER
    assert tools.number("SELECT count(*) FROM audit_events WHERE action = 'LINK_REFUSED'") == len(hashing.checked)
    assert tools.number("SELECT count(*) FROM sign_in_limits") <= 401
    with tools.from_address("192.0.2.9"):
        assert activate(code, NEW, NEW)


def test_whoever_has_the_code_may_try_twenty_passwords(clock, code):
    for _ in range(20):
        assert set(_fields(code, "short", "short")) == {"new_password"}
    with pytest.raises(TooManyAttempts):
        activate(code, NEW, NEW)
    clock.shift(61)
    assert activate(code, NEW, NEW)


def test_the_right_code_gives_back_what_it_counted(code):
    _fields(NOBODYS, NEW, NEW)
    activate(code, NEW, NEW)
    rows = tools.raw("SELECT key, failures, pending FROM sign_in_limits ORDER BY key")
    assert [(key.partition(":")[0], *rest) for key, *rest in rows] == [("address", 1, 0), ("everybody", 1, 0)]


# --- several at once ----------------------------------------------------------------------------------------------


def _kinds(results) -> dict[str, int]:
    return dict(collections.Counter(one.why if isinstance(one, LinkOver) else type(one).__name__ for one in results))


@pytest.fixture
def one_account(own_database):
    desk = factories.make_staff()
    done = factories.make_patient(desk, portal_email=EMAIL)
    return desk, done, factories.link_code(EMAIL)


@pytest.mark.races
@pytest.mark.asvs("2.3.4", "15.4.2", "6.5.1")
def test_of_eight_with_one_link_one_sets_the_password(one_account):
    _, _, code = one_account
    chosen = [f"{NEW} {word}" for word in ("ant", "bee", "cow", "dog", "elk", "fox", "gnu", "hen")]
    results = tools.at_once(*[lambda new=new: activate(code, new, new) for new in chosen])
    assert _kinds(results) == {"SignedIn": 1, "used": 7}, results
    (winner,) = [new for new, result in zip(chosen, results, strict=True) if isinstance(result, SignedIn)]
    assert sign_in(PATIENT_DOOR, EMAIL, winner)
    assert len(tools.trail("PASSWORD_CHOSEN")) == 1
    assert tools.number("SELECT count(*) FROM login_sessions WHERE ended_at IS NULL") == 2
    assert chain.verify().ok


@pytest.mark.races
def test_of_two_links_of_one_account_one_sets_the_password(one_account):
    _, _, invitation = one_account
    ask_for_link(EMAIL)
    forgot = factories.link_code(EMAIL)
    results = tools.at_once(lambda: activate(invitation, NEW, NEW), lambda: activate(forgot, OTHER, OTHER))
    assert _kinds(results) == {"SignedIn": 1, "replaced": 1}, results
    assert sign_in(PATIENT_DOOR, EMAIL, NEW if isinstance(results[0], SignedIn) else OTHER)
    assert tools.number("SELECT count(*) FROM one_time_links WHERE ended_at IS NULL") == 0


@pytest.mark.races
def test_of_a_link_and_a_reset_at_the_desk_both_count_in_the_order_they_came(one_account):
    desk, done, code = one_account
    link, reset = tools.at_once(
        lambda: activate(code, NEW, NEW), lambda: provisioning.reset_portal_password(desk, done.patient.id)
    )
    temporary = reset.credentials.temporary_password
    assert sign_in(PATIENT_DOOR, EMAIL, temporary).actor.must_choose_password  # the reset came last, or the link failed
    if isinstance(link, LinkOver):
        assert link.why == "superseded"
    else:
        assert sessions.resolve(crypto.digest(link.token)).kind == "anonymous"
    assert activate(factories.link_code(EMAIL), OTHER, OTHER)
    assert chain.verify().ok
