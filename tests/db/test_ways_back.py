"""What was given out before opens nothing that the desk, or the owner, has closed since; messages go where meant."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from clinic_app.core import db
from clinic_app.core.errors import InvalidInput
from clinic_app.models.notifications import LinkPurpose
from clinic_app.services.accounts.activation import activate
from clinic_app.services.accounts.errors import LinkOver
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, TEMPORARY_TRIES, sign_in
from clinic_app.services.notifications import delivery, links, outbox
from clinic_app.services.notifications.kinds import Kind
from clinic_app.services.notifications.views import Recipient
from clinic_app.services.patients.forms import PatientUpdate
from clinic_app.services.patients.profile import update_patient
from clinic_app.services.portal.errors import EmailLinkOver, PasswordOver
from clinic_app.services.portal.forgotten import ask_for_link
from clinic_app.services.portal.forms import ChangePortalUsername, HandOver
from clinic_app.services.portal.handing_over import record_hand_over
from clinic_app.services.portal.own_email import confirm_email
from clinic_app.services.portal.provisioning import (
    change_portal_username,
    reset_portal_password,
    turn_off_portal,
    turn_on_portal,
)
from clinic_app.ui import message_words
from tests import counterparts, factories
from tests.counterparts import code_in
from tests.db import tools

EMAIL, PHONE = "amina@example.com", "0733 100 200"
NEW = "seven kettles under rain"


@pytest.fixture
def sms(settings):
    with counterparts.sms_gateway() as gateway:
        counterparts.use_gateway(settings, gateway.url)
        settings.setenv("CLINIC_SMTP_HOST", "mail.clinic.example")
        counterparts.get_settings.cache_clear()
        yield gateway


@pytest.fixture(autouse=True)
def _one_at_a_time(monkeypatch):
    monkeypatch.setattr(delivery, "AT_ONCE", 1)
    monkeypatch.setattr(delivery, "open_channels", lambda: ("sms",))  # there is no mail server


def _registered(desk, **changes):
    asked = {"create_portal_account": True, "portal_email": EMAIL, "portal_phone": PHONE, "phone": "", "email": ""}
    return factories.make_patient(desk, **{**asked, **changes})


def _account() -> int:
    return tools.number("SELECT id FROM accounts WHERE role = 'PATIENT'")


def _code(purpose: LinkPurpose) -> str:
    """The code of the newest link for this, as it would have been sent."""
    row = tools.raw("SELECT id, seed FROM one_time_links WHERE purpose = :p ORDER BY id DESC", p=str(purpose))[0]
    links.make_findable(row.id, row.seed)
    return links.code_of(row.seed)


def _wait_for_email(email: str) -> str:
    with db.transaction() as session:
        to = Recipient(_account(), EMAIL)
        outbox.send_link(session, to, Kind.CONFIRM_EMAIL, LinkPurpose.EMAIL, dt.timedelta(hours=48), email=email)
    return _code(LinkPurpose.EMAIL)


def _rename(desk, done):
    change_portal_username(desk, done.patient.id, ChangePortalUsername.parse({"email": "amina.new@example.com"}))


def _own_password(desk, done):
    factories.own_password(done)


def _desk_edits(desk, done):
    update_patient(desk, done.patient.id, PatientUpdate.parse({"email": "desk@example.com"}))


CLOSED_BY = [
    lambda desk, done: reset_portal_password(desk, done.patient.id),
    _rename,
    lambda desk, done: turn_off_portal(desk, done.patient.id),
    lambda desk, done: (turn_off_portal(desk, done.patient.id), turn_on_portal(desk, done.patient.id)),
    _own_password,
    _desk_edits,
]


@pytest.mark.parametrize("close", CLOSED_BY, ids=["reset", "renamed", "off", "off and on", "own password", "edited"])
def test_an_email_that_waits_does_not_outlive_what_it_was_asked_under(sms, desk, close):
    done = _registered(desk)
    code = _wait_for_email("evil@example.com")
    close(desk, done)
    with pytest.raises(EmailLinkOver):
        confirm_email(code)
    assert tools.raw("SELECT email FROM patients")[0][0] != "evil@example.com"


def test_turning_access_off_and_on_brings_no_link_back(sms, desk):
    done = _registered(desk)
    code = _code(LinkPurpose.ACTIVATE)
    turn_off_portal(desk, done.patient.id)
    turn_on_portal(desk, done.patient.id)
    with pytest.raises(LinkOver):
        activate(code, NEW, NEW)


def test_a_password_by_a_link_takes_the_account_back_from_every_passkey(sms, desk):
    _registered(desk)
    tools.write(
        "INSERT INTO passkeys (account_id, credential_id, public_key, sign_count, name, created_at)"
        " SELECT id, 'x', :key, 0, 'Old phone', created_at FROM accounts WHERE role = 'PATIENT'",
        key=b"k",
    )
    activate(_code(LinkPurpose.ACTIVATE), NEW, NEW)
    assert tools.number("SELECT count(*) FROM passkeys") == 0


def test_text_messages_follow_the_phone_that_the_patient_gave_up(sms, desk):
    done = _registered(desk)
    update_patient(desk, done.patient.id, PatientUpdate.parse({"phone": "0712 445 901"}))
    reset = reset_portal_password(desk, done.patient.id)
    assert [one.address for one in reset.deliveries if one.channel == "sms"] == ["+254712445901"]


def test_a_phone_for_messages_that_was_another_one_stays(sms, desk):
    done = _registered(desk, phone="0712 445 901")
    update_patient(desk, done.patient.id, PatientUpdate.parse({"phone": "0712 445 902"}))
    assert tools.raw("SELECT phone FROM accounts WHERE role = 'PATIENT'")[0][0] == "+254733100200"


def test_the_text_message_of_a_reset_has_the_link(sms, clock, desk):
    done = _registered(desk)
    reset_portal_password(desk, done.patient.id)
    asyncio.run(delivery.Worker().send_due())
    (_, text) = sms.messages[-1]
    assert "new temporary password today 12:00. Or set your own by 17 Jun 12:00:" in text
    assert len(text) <= 160
    activate(code_in(text), NEW, NEW)


def test_consent_withdrawn_meanwhile_takes_the_link_out_of_the_notice(sms, desk):
    done = _registered(desk)
    reset_portal_password(desk, done.patient.id)
    update_patient(desk, done.patient.id, PatientUpdate.parse({"sms_allowed": False}))
    asyncio.run(delivery.Worker().send_due())
    (_, text) = sms.messages[-1]
    assert "the reception gave you a new temporary password" in text
    assert "http" not in text


def test_where_no_link_goes_the_screen_says_that_the_password_is_handed_over(sms, desk):
    done = _registered(desk, email_allowed=False, sms_allowed=False)
    said = [one.words for one in message_words.sent(reset_portal_password(desk, done.patient.id).deliveries)]
    assert said == [
        "A notice without a link goes to amina@example.com and 0733 100200.",
        "Hand these credentials over in person.",
    ]


def test_by_post_put_right_too_late_keeps_what_is_handed_over_alive(clock, desk):
    done = _registered(desk)
    record_hand_over(desk, done.patient.id, HandOver.POST)
    clock.shift(dt.timedelta(hours=60))
    handed = record_hand_over(desk, done.patient.id, HandOver.IN_PERSON)
    assert handed.expires_at == dt.datetime(2026, 6, 22, 9, tzinfo=dt.UTC)
    assert sign_in(PATIENT_DOOR, EMAIL, done.credentials.temporary_password)


def test_by_post_put_right_at_once_lives_as_usual(clock, desk):
    done = _registered(desk)
    record_hand_over(desk, done.patient.id, HandOver.POST)
    assert record_hand_over(desk, done.patient.id, HandOver.IN_PERSON).expires_at == done.credentials.expires_at


def test_a_password_that_guesses_have_ended_is_not_handed_over(desk):
    done = _registered(desk)
    tools.write("UPDATE accounts SET temporary_failures = :n WHERE role = 'PATIENT'", n=TEMPORARY_TRIES)
    with pytest.raises(PasswordOver):
        record_hand_over(desk, done.patient.id, HandOver.IN_PERSON)


def test_six_links_a_day_for_one_account_whoever_asks(sms, clock, desk):
    _registered(desk)
    for _ in range(12):
        for _ in range(4):
            ask_for_link(EMAIL)
        clock.shift(dt.timedelta(hours=1, minutes=1))
    assert tools.number("SELECT count(*) FROM outbox_messages WHERE kind = 'FORGOT_PASSWORD'") == 6


def test_a_bounced_answer_to_a_stranger_makes_nobody_a_case_for_the_desk(sms, desk):
    done = _registered(desk)
    factories.own_password(done)
    ask_for_link(EMAIL)
    tools.write("UPDATE outbox_messages SET state = 'FAILED', ended_at = created_at WHERE kind = 'FORGOT_PASSWORD'")
    with db.reading() as session:
        assert outbox.missed_by(session, [_account()]) == frozenset()


def test_whose_account_is_not_locked_is_not_warned(sms, desk):
    """An address that guesses everywhere is shut out; whoever it tried last is not said to be locked."""
    _registered(desk)
    for number in range(60):
        with pytest.raises(Exception, match=r"invalid_credentials|too_many_attempts|try_again"):
            sign_in(PATIENT_DOOR, EMAIL if number == 50 else f"nobody{number}@example.com", "wrong password at all")
    assert tools.number("SELECT count(*) FROM outbox_messages WHERE kind = 'WRONG_PASSWORDS'") == 0


def test_a_code_of_another_kind_is_not_right_and_uses_nothing_up(sms, desk):
    _registered(desk)
    code = _wait_for_email("mine@example.com")
    with pytest.raises(InvalidInput):
        activate(code, NEW, NEW)
    confirm_email(code)
    assert tools.raw("SELECT email FROM patients")[0][0] == "mine@example.com"
