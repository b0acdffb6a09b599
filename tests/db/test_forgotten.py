"""Asking for a link because the password is forgotten: who is sent one, and what strangers cannot do with it."""

from __future__ import annotations

import pytest

from clinic_app.core import crypto
from clinic_app.core.errors import InvalidInput, TooManyAttempts
from clinic_app.core.settings import get_settings
from clinic_app.services.accounts import sessions, sign_in_throttle
from clinic_app.services.accounts.activation import activate
from clinic_app.services.accounts.errors import LinkOver
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from clinic_app.services.portal import forgotten, provisioning
from clinic_app.services.portal.forgotten import ask_for_link, username_of
from tests import factories
from tests.db import tools

EMAIL = "amina.forgot@example.org"
NEW = "seven kettles under rain"


@pytest.fixture(autouse=True)
def mail(settings):
    """A clinic that sends emails and, where there is a phone, text messages."""
    settings.setenv("CLINIC_SMTP_HOST", "mail.example.org")
    settings.setenv("CLINIC_SMS_URL", "json://gateway.example.org/{phone}")


@pytest.fixture
def amina(desk):
    """A patient who chose a password of her own."""
    done = factories.make_patient(desk, portal_email=EMAIL, portal_phone="0712 445 902")
    factories.own_password(done)
    return done


def _messages() -> list[tuple[str, ...]]:
    rows = tools.raw("SELECT channel, address FROM outbox_messages WHERE kind = 'FORGOT_PASSWORD' ORDER BY id")
    return [tuple(row) for row in rows]


def _asked() -> list[dict]:
    return [row["metadata"] for row in tools.trail("PASSWORD_FORGOTTEN")]


def test_the_owner_is_sent_a_link_by_email_alone_and_the_password_stays(amina):
    ask_for_link(EMAIL)
    assert _messages() == [("email", EMAIL)]
    assert _asked() == [{"known": True, "sent": True}]
    assert sign_in(PATIENT_DOOR, EMAIL, factories.OWN_PASSWORD)
    activate(factories.link_code(EMAIL), NEW, NEW)
    assert sign_in(PATIENT_DOOR, EMAIL, NEW)
    assert tools.number("SELECT count(*) FROM accounts WHERE email_shown_at IS NOT NULL") == 1


def test_the_link_lives_two_hours(clock, desk):
    factories.own_password(factories.make_patient(desk, portal_email=EMAIL))
    ask_for_link(EMAIL)
    code = factories.link_code(EMAIL)
    clock.shift(2 * 3600)
    with pytest.raises(LinkOver, match="link_over"):
        activate(code, NEW, NEW)


def test_it_works_for_whoever_never_signed_in_and_after_the_temporary_password_has_expired(desk):
    for standing in ("temporary", "expired"):
        done = factories.make_patient_with_access(desk, standing)
        username = done.credentials.username
        ask_for_link(username)
        assert activate(factories.link_code(username), NEW, NEW).actor.username == username


def test_for_others_nothing_is_written_but_that_somebody_asked(desk, amina):
    provisioning.turn_off_portal(desk, amina.patient.id)
    factories.make_staff(username="grace@example.org")
    for username in (EMAIL, "grace@example.org", "nobody@example.org", ""):
        ask_for_link(username)
    assert _messages() == []
    assert _asked() == [{"known": known, "sent": False} for known in (True, True, False, False)]
    assert EMAIL not in str(_asked())


def test_without_a_way_to_send_emails_none_is_written(amina, settings):
    settings.setenv("CLINIC_SMTP_HOST", "")
    get_settings.cache_clear()
    assert not forgotten.links_can_be_sent()
    ask_for_link(EMAIL)
    assert _messages() == []
    assert tools.number("SELECT count(*) FROM one_time_links WHERE purpose = 'FORGOT'") == 0


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" Amina@Example.ORG ", "amina@example.org"),
        ("amina\u200b@example.org", "amina@example.org"),
        ("ａｍｉｎａ@example.org", None),
        ("amina", None),
        ("amina@", None),
        ("a" * 65 + "@example.org", None),
        ("@" + "\u0301" * 3000, None),
        ("amina@example.org\x00", None),
        ("amina@example.org, grace@example.org", None),
    ],
)
def test_what_is_no_email_is_said_beside_the_field(typed, kept):
    if kept is not None:
        assert username_of(typed) == kept
        return
    with pytest.raises(InvalidInput) as refused:
        username_of(typed)
    assert refused.value.fields == {"email": "Please provide a valid email address."}


def test_an_empty_field_is_said_too():
    with pytest.raises(InvalidInput) as refused:
        username_of(" \u200b ")
    assert refused.value.fields == {"email": "Email is required."}


# --- what strangers can bring about --------------------------------------------------------------------------------


def test_three_within_an_hour_then_silently_none(clock, desk):
    factories.own_password(factories.make_patient(desk, portal_email=EMAIL))
    for stranger in range(6):
        with tools.from_address(f"198.51.100.{stranger}"):
            ask_for_link(EMAIL)
    assert len(_messages()) == 3
    assert [each["sent"] for each in _asked()] == [True] * 3 + [False] * 3
    assert activate(factories.link_code(EMAIL), NEW, NEW)  # the newest that came is good
    clock.shift(3600)
    ask_for_link(EMAIL)
    assert len(_messages()) == 4


def test_a_stranger_does_not_end_an_invitation(desk):
    factories.make_patient(desk, portal_email=EMAIL)
    code = factories.link_code(EMAIL)
    ask_for_link(EMAIL)
    assert activate(code, NEW, NEW).actor.username == EMAIL


def test_a_newer_one_takes_the_place_of_an_older_one_and_one_from_the_reception_of_both(desk, amina):
    ask_for_link(EMAIL)
    first = factories.link_code(EMAIL)
    ask_for_link(EMAIL)
    second = factories.link_code(EMAIL)
    provisioning.reset_portal_password(desk, amina.patient.id)
    for code in (first, second):
        with pytest.raises(LinkOver) as over:
            activate(code, NEW, NEW)
        assert over.value.why == "superseded"
    assert activate(factories.link_code(EMAIL), NEW, NEW)


def test_asking_ends_no_session_and_lifts_no_lock(amina):
    open_one = sign_in(PATIENT_DOOR, EMAIL, factories.OWN_PASSWORD)
    factories.lock(EMAIL)
    ask_for_link(EMAIL)
    assert sessions.resolve(crypto.digest(open_one.token)).username == EMAIL
    with pytest.raises(TooManyAttempts):
        sign_in(PATIENT_DOOR, EMAIL, factories.OWN_PASSWORD)


@pytest.mark.asvs("6.3.8")
def test_an_address_is_limited_by_itself_whoever_it_asks_about(clock, amina):
    for place, names in enumerate(([EMAIL] * 12, [f"name{n}@example.org" for n in range(12)])):
        told = []
        with tools.from_address(f"198.51.100.{place}"):
            for name in names:
                try:
                    ask_for_link(name)
                    told.append("")
                except TooManyAttempts as refused:
                    told.append(refused.detail)
        assert told == [""] * 10 + ["Too many attempts. Please try again in 1 minute."] * 2
    with tools.from_address("192.0.2.9"):
        ask_for_link(EMAIL)
    assert tools.trail("SIGN_IN_BLOCKED")[-1]["metadata"] == {"door": "patient", "by": "forgotten", "seconds": 60}
    assert sign_in(PATIENT_DOOR, EMAIL, factories.OWN_PASSWORD)  # signing in is another budget


def test_there_is_a_ceiling_for_all_of_them_which_never_grows(clock, amina, monkeypatch):
    monkeypatch.setattr(sign_in_throttle, "ASKS_ALTOGETHER", 20)
    for turn in range(3):
        refused = 0
        for stranger in range(30):
            with tools.from_address(f"198.51.{turn}.{stranger}"):
                try:
                    ask_for_link(f"name{stranger}@example.org")
                except TooManyAttempts as error:
                    assert error.detail == "Too many attempts. Please try again in 5 minutes."
                    refused += 1
        assert refused == 10
        clock.shift(5 * 60 + 1)
    assert sign_in(PATIENT_DOOR, EMAIL, factories.OWN_PASSWORD)


@pytest.mark.races
def test_of_eight_at_once_three_are_sent(own_database):
    desk = factories.make_staff()
    factories.own_password(factories.make_patient(desk, portal_email=EMAIL))
    assert tools.at_once(*[lambda: ask_for_link(EMAIL)] * 8) == [None] * 8
    assert len(_messages()) == 3
    assert tools.number("SELECT count(*) FROM one_time_links WHERE purpose = 'FORGOT' AND ended_at IS NULL") == 1
    assert sorted(each["sent"] for each in _asked()) == [False] * 5 + [True] * 3
