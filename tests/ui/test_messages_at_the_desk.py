"""Messages at the desk: what is said of them, sending again, correcting an address, handing over."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from clinic_app.core import clock
from clinic_app.core.settings import get_settings
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from clinic_app.services.notifications.views import Delivery, Reach
from clinic_app.services.patients.forms import PatientUpdate
from clinic_app.services.patients.profile import reread_patient, update_patient
from clinic_app.services.patients.views import PortalStanding
from clinic_app.services.portal import provisioning
from clinic_app.services.portal.forms import AddressCorrection, HandOver
from clinic_app.services.portal.handing_over import record_hand_over
from clinic_app.services.portal.invitations import correct_address, resend_invitation
from clinic_app.services.portal.provisioning import reset_portal_password
from clinic_app.ui import message_words, presenters
from clinic_app.ui.portal_dialog.state import CORRECTING, PortalDialogState
from clinic_app.ui.profile.state import ProfileState
from clinic_app.ui.registration.state import RegistrationState
from clinic_app.ui.session.drawn import Misdirected
from clinic_app.ui.session.form_state import CLOSED, DONE, INPUT
from clinic_app.ui.session.presses import PressState
from tests import factories
from tests.db import tools
from tests.ui.conftest import Desk
from tests.ui.test_right_patient import open_record

CHANGED = "Portal access changed meanwhile. Nothing was changed."
PRESS = "a" * 32 + "-1"
EMAIL, PHONE = "amina@gmial.com", "+254712445901"


@pytest.fixture
def mail(settings: pytest.MonkeyPatch) -> None:
    """There is something to send emails and text messages with."""
    settings.setenv("CLINIC_SMTP_HOST", "mail.example.org")
    settings.setenv("CLINIC_SMS_URL", "json://localhost/{phone}")
    get_settings.cache_clear()


def _dialog(tab: Desk) -> Any:
    return tab.state(PortalDialogState)


def _said(tab: Desk) -> list[str]:
    return [one.words for one in _dialog(tab).sent]


def _fail(reason: str = "ADDRESS_REFUSED") -> None:
    """Every message that waits is refused."""
    tools.write("UPDATE outbox_messages SET state = 'FAILED', reason = :reason WHERE state = 'QUEUED'", reason=reason)


# --- what success screens say -----------------------------------------------------------------------


async def _register(tab: Desk, **changes: Any) -> None:
    tab.at("/patients/new")
    await tab.fire(RegistrationState.load)
    form = {"create_portal_account": True, "portal_email": EMAIL, "portal_phone": "0712 445 901"}
    await tab.fire(RegistrationState.submit, {**factories.registration(), **form, **changes})


async def test_with_nothing_set_up_credentials_are_handed_over_in_person(tab):
    await _register(tab)
    assert _said(tab) == ["Nothing was sent: hand these credentials over in person."]


async def test_a_registration_says_where_the_invitation_goes(tab, mail):
    await _register(tab, email_allowed="on", sms_allowed="on")
    assert _said(tab) == [f"An invitation goes to {EMAIL} and 0712 445901."]


async def test_what_is_kept_back_is_said_with_the_reason(tab, mail):
    await _register(tab, email_allowed="on")
    assert _said(tab) == [
        f"An invitation goes to {EMAIL}.",
        "Nothing goes to 0712 445901: Phone may not be used for messages.",
    ]
    await _register(tab, portal_email="other@example.org", sms_allowed="")
    assert _said(tab) == [
        "Nothing goes to other@example.org: Email may not be used for messages.",
        "Nothing goes to 0712 445901: Phone may not be used for messages.",
        "Hand these credentials over in person.",
    ]


async def test_a_reset_and_another_username_say_what_goes_where_before_and_after(tab, people, mail):
    done = factories.make_patient(people.receptionist, portal_email=EMAIL)
    number = done.patient.patient_id
    await open_record(tab, number)
    await tab.fire(PortalDialogState.ask_reset, number)
    assert _dialog(tab).replaced[-1] == f"A new invitation goes to {EMAIL}."
    await tab.fire(PortalDialogState.reset_password, number, _dialog(tab).stamp, {})
    assert _said(tab) == [f"A message about the new password goes to {EMAIL}."]
    await tab.fire(PortalDialogState.ask_username, number)
    assert _dialog(tab).tells is True
    await tab.fire(PortalDialogState.change_username, number, _dialog(tab).stamp, {"email": "right@example.org"})
    assert _said(tab) == [
        "An invitation goes to right@example.org.",
        f"A notice of the new username goes to right@example.org and {EMAIL}.",
    ]


@pytest.mark.parametrize(
    ("reach", "words"),
    [
        ((), "No message is sent: the new password must be handed over in person."),
        ((Reach("email", EMAIL, True),), f"A new invitation goes to {EMAIL}."),
        ((Reach("email", EMAIL, False),), f"A notice without a link goes to {EMAIL}."),
        (
            (Reach("email", EMAIL, True), Reach("sms", PHONE, False)),
            f"A new invitation goes to {EMAIL}. A notice without a link goes to 0712 445901.",
        ),
    ],
)
def test_where_the_message_of_a_reset_goes(database, reach, words):
    assert message_words.goes_where(PortalStanding("temporary", reach=reach)) == words


# --- what the profile says --------------------------------------------------------------------------


def _delivery(state: str, reason: str = "", **changes: Any) -> Delivery:
    given = {"kind": "INVITATION", "channel": "email", "address": EMAIL, "at": clock.now(), **changes}
    return Delivery(state=state, reason=reason, **given)


def test_each_address_has_one_line_the_latest_and_emails_come_first(database, mail):
    standing = PortalStanding("temporary", reach=(Reach("email", EMAIL, True), Reach("sms", PHONE, True)))
    now = clock.now()
    found = message_words.messages(
        [
            _delivery(
                "QUEUED",
                "GATEWAY",
                channel="sms",
                address=PHONE,
                tries=9,
                at=now - dt.timedelta(days=1),
                next_at=now + dt.timedelta(minutes=5),
            ),
            _delivery("FAILED", "ADDRESS_REFUSED"),
            _delivery("SENT"),
            _delivery("SENT", address="former@example.org", kind="USERNAME_CHANGED"),
        ],
        standing,
    )
    email, former, sms = found
    assert (email.what, email.address, email.state, email.tone, email.lost, email.correct) == (
        "Invitation",
        EMAIL,
        "Failed",
        "bad",
        True,
        True,
    )
    assert email.reason == "The mail server says that there is no such address."
    assert (former.what, former.state, former.reason, former.correct) == (
        "Notice of another username",
        "Sent",
        "",
        False,
    )
    assert (sms.address, sms.state, sms.reason) == ("0712 445901", "Queued", "The SMS gateway did not take it.")
    assert sms.when.startswith("Since yesterday, ")
    assert f". Tried 9 times, next at {clock.local(now + dt.timedelta(minutes=5)):%H:%M}" in sms.when


def test_a_page_looks_again_when_a_message_that_waits_may_have_been_tried(database, monkeypatch):
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    second, minute = dt.timedelta(seconds=1), dt.timedelta(minutes=1)
    for delivery, at in (
        (_delivery("SENT"), None),
        (_delivery("QUEUED", at=now), now + 5 * second),
        (_delivery("QUEUED", at=now - 90 * second), now + 5 * second),
        (_delivery("QUEUED", at=now - 3 * minute), None),  # nobody sends it
        (_delivery("QUEUED", at=now - 3 * minute, tries=1, next_at=now + minute), now + minute + 5 * second),
        (_delivery("QUEUED", at=now - 3 * minute, tries=1, next_at=now - second), now + 5 * second),
    ):
        assert message_words.changes_at([delivery]) == at
    (being_tried,) = message_words.messages(
        [_delivery("QUEUED", tries=1, next_at=now - second)], PortalStanding("temporary")
    )
    assert being_tried.when.endswith(". Tried once")


@pytest.mark.parametrize(
    ("delivery", "state", "reason"),
    [
        (_delivery("HELD", "NOT_ALLOWED"), "Not sent", "Email may not be used for messages."),
        (_delivery("HELD", "NOT_ALLOWED", channel="sms"), "Not sent", "Phone may not be used for messages."),
        (_delivery("DROPPED", "LINK_OVER"), "Not needed", "Its link was used or replaced before it was sent."),
        (_delivery("DROPPED", "ACCESS_OFF"), "Not sent", "Portal access was turned off before it was sent."),
        (_delivery("QUEUED"), "Queued", ""),
        (_delivery("FAILED", "SOMETHING_NEW"), "Failed", ""),
    ],
)
def test_every_state_has_its_words(database, mail, delivery, state, reason):
    (one,) = message_words.messages([delivery], PortalStanding("temporary"))
    assert (one.state, one.reason, one.correct) == (state, reason, False)


def test_what_waits_while_nothing_can_be_sent_says_why(database):
    for channel, words in (("email", "Emails are"), ("sms", "Text messages are")):
        (one,) = message_words.messages([_delivery("QUEUED", channel=channel)], PortalStanding("temporary"))
        assert one.reason == f"{words} switched off in the clinic's settings: it waits until they are on."


async def test_a_right_address_that_fails_too_can_be_put_right_again(tab, people, mail):
    """The username stays, and the line of the former address says that nothing goes there any more."""
    done = factories.make_patient(people.receptionist, portal_email=EMAIL)
    number = done.patient.patient_id
    _fail()
    correct_address(people.receptionist, number, AddressCorrection.parse({"email": "amina@gmail.con"}))
    _fail()
    state = await open_record(tab, number)
    assert [(one.address, one.state, one.correct) for one in state.messages] == [
        ("amina@gmail.con", "Failed", True),
        (EMAIL, "Failed", False),
    ]
    assert state.messages[1].reason.endswith(" address. Messages go to another address now.")
    assert (state.access.username, state.access.emails_to) == (EMAIL, "amina@gmail.con")
    await tab.fire(PortalDialogState.ask_correct, number, "email")
    assert _dialog(tab).values == {"email": "amina@gmail.con"}


async def test_an_invitation_that_was_held_up_goes_out_when_access_is_on_again(tab, people, mail):
    done = factories.make_patient(people.receptionist, portal_email=EMAIL)
    number = done.patient.patient_id
    provisioning.turn_off_portal(people.receptionist, number)
    state = await open_record(tab, number)
    await tab.fire(ProfileState.turn_on, number, state.access.stamp, PRESS)
    assert state.notice == f"Portal access is turned on. An invitation goes to {EMAIL}."
    assert [one.state for one in state.messages] == ["Queued"]
    tools.write("UPDATE outbox_messages SET state = 'SENT' WHERE state = 'QUEUED'")
    provisioning.turn_off_portal(people.receptionist, number)
    state = await open_record(tab, number)
    await tab.fire(ProfileState.turn_on, number, state.access.stamp, "b" * 32 + "-1")
    assert state.notice == "Portal access is turned on.", "what was sent is not sent again"


def test_a_password_killed_by_wrong_tries_and_a_link_that_lives_say_so(database, people, mail):
    done = factories.make_patient(people.receptionist, portal_email=EMAIL)
    tools.write("UPDATE accounts SET temporary_failures = 10 WHERE patient_id = :id", id=done.patient.id)

    def shown() -> Any:
        return presenters.access(reread_patient(people.receptionist, done.patient.id).access)

    assert (shown().portal, shown().worn_out, shown().link_until) == ("expired", True, "")
    tools.write("UPDATE outbox_messages SET state = 'SENT'")
    assert shown().link_until == shown().expires_at != ""
    standing = reread_patient(people.receptionist, done.patient.id).access
    assert standing.link_until in {presenters.changes_at([standing]), standing.expires_at}
    replaced = "A new temporary password replaces the one that opens nothing any more. A slip already handed over"
    assert presenters.replaced(standing)[0].startswith(replaced)
    tools.write("UPDATE one_time_links SET ended_at = created_at, end_reason = 'used'")
    assert shown().link_until == ""


async def test_where_access_is_off_no_address_is_corrected(tab, people, mail):
    standing = PortalStanding("off", reach=(Reach("email", EMAIL, True),))
    (one,) = message_words.messages([_delivery("FAILED", "ADDRESS_REFUSED")], standing)
    assert (one.state, one.correct) == ("Failed", False)


async def test_clinicians_are_not_told_of_messages(desk, people, mail):
    done = factories.make_patient(people.receptionist, portal_email=EMAIL)
    desk.sign_in(people.clinician)
    state = await open_record(desk, done.patient.patient_id)
    assert (state.mode, state.messages) == ("shown", [])


# --- sending again ----------------------------------------------------------------------------------


async def test_an_invitation_is_sent_again_by_one_press_and_that_is_said(tab, people, mail):
    done = factories.make_patient(people.receptionist, portal_email=EMAIL)
    number = done.patient.patient_id
    state = await open_record(tab, number)
    assert (state.access.temporary, state.access.kept_back) == (True, "")
    for _ in range(2):  # the second is the same press
        await tab.fire(PortalDialogState.resend, number, state.access.stamp, PRESS)
    assert len(tools.trail("PORTAL_INVITED")) == 1
    assert tab.state(PressState).told.startswith("The line was away when you pressed Resend invitation. It happened")
    await tab.fire(PortalDialogState.resend, number, state.access.stamp, "b" * 32 + "-1")
    assert tab.state(Misdirected).words == "Somebody sent the invitation again a moment ago. No second one was sent."
    state = await open_record(tab, number)
    await tab.fire(PortalDialogState.resend, number, state.access.stamp, "c" * 32 + "-1")
    assert tab.state(PressState).told == f"An invitation goes to {EMAIL}."
    assert (tab.state(Misdirected).words, _dialog(tab).step) == ("", CLOSED)


async def test_what_is_refused_is_said_above_the_page(tab, people):
    done = factories.make_patient(people.receptionist, portal_email=EMAIL)
    number = done.patient.patient_id
    state = await open_record(tab, number)
    assert state.access.kept_back == "No messages are sent from here. Hand the credentials over in person."
    await tab.fire(PortalDialogState.resend, number, state.access.stamp, PRESS)
    assert tab.state(Misdirected).words == state.access.kept_back
    reset_portal_password(people.admin, number)
    await tab.fire(PortalDialogState.resend, number, state.access.stamp, PRESS)
    assert tab.state(Misdirected).words == CHANGED
    assert (tab.state(PressState).told, _dialog(tab).step) == ("", CLOSED)


# --- an address put right ---------------------------------------------------------------------------


async def test_a_failed_email_is_corrected_with_the_username_and_credentials_are_shown(tab, people, mail):
    done = factories.make_patient(people.receptionist, portal_email=EMAIL)
    resend_invitation(people.receptionist, done.patient.id)
    _fail()
    number = done.patient.patient_id
    state = await open_record(tab, number)
    assert [(one.state, one.correct) for one in state.messages] == [("Failed", True)]
    await tab.fire(PortalDialogState.ask_correct, number, "email")
    dialog = _dialog(tab)
    assert (dialog.step, dialog.kind, dialog.values) == (INPUT, CORRECTING, {"email": EMAIL})
    assert dialog.slips == {"email": "gmail.com"}
    for typed, words in (("", "Email is required"), ("x@", "Invalid email format"), (EMAIL, "already has a portal")):
        form = {"email": typed, "change_username": "on"}
        await tab.fire(PortalDialogState.correct, number, dialog.stamp, dialog.version, form)
        assert (dialog.step, words in dialog.errors["email"]) == (INPUT, True), typed
    form = {"email": "amina@gmail.com", "change_username": True, "intent": PRESS}
    await tab.fire(PortalDialogState.correct, number, dialog.stamp, dialog.version, form)
    assert (dialog.step, dialog.username, dialog.title) == (DONE, "amina@gmail.com", "Username changed")
    assert sign_in(PATIENT_DOOR, "amina@gmail.com", dialog.password).token
    assert _said(tab)[0] == "An invitation goes to amina@gmail.com."
    assert reread_patient(people.receptionist, number).email == "amina@gmail.com"


async def test_a_lost_answer_of_a_correction_shows_fresh_credentials_or_tells_what_happened(tab, people, mail):
    done = factories.make_patient(people.receptionist, portal_email=EMAIL, portal_phone="0712 445 901")
    number = done.patient.patient_id
    await open_record(tab, number)
    for channel, form, kept in (
        ("email", {"email": "amina@gmail.com", "change_username": True}, DONE),
        ("sms", {"phone": "0733 100 200"}, CLOSED),
    ):
        press = {"email": "c" * 32, "sms": "d" * 32}[channel]
        await tab.fire(PortalDialogState.ask_correct, number, channel)
        dialog = _dialog(tab)
        drawn = (number, dialog.stamp, dialog.version)
        await tab.fire(PortalDialogState.correct, *drawn, {**form, "intent": f"{press}-1"})
        await tab.fire(PortalDialogState.ask_correct, number, channel)  # the page never saw the answer
        await tab.fire(PortalDialogState.correct, *drawn, {**form, "intent": f"{press}-2"})
        assert dialog.step == kept
    assert len(tools.trail("PORTAL_ADDRESS_CORRECTED")) == 2
    assert "Save and send again. It happened once" in tab.state(PressState).told


@pytest.mark.parametrize("channel", ["email", "sms"])
async def test_without_another_username_the_dialog_closes_and_says_what_went_where(tab, people, mail, channel):
    done = factories.make_patient(people.receptionist, portal_email=EMAIL, portal_phone="0712 445 901")
    number = done.patient.patient_id
    await open_record(tab, number)
    await tab.fire(PortalDialogState.ask_correct, number, channel)
    dialog = _dialog(tab)
    right = {"email": "amina@gmail.com", "sms": "0733 100200"}[channel]
    form = {"phone" if channel == "sms" else "email": right}
    await tab.fire(PortalDialogState.correct, number, dialog.stamp, dialog.version, form)
    assert (dialog.step, dialog.failure, dialog.errors) == (CLOSED, "", {})
    assert tab.state(PressState).told.startswith("The address is corrected. An invitation goes to ")
    assert right in tab.state(PressState).told
    assert sign_in(PATIENT_DOOR, EMAIL, done.credentials.temporary_password).token


async def test_a_correction_of_what_somebody_else_changed_is_refused_and_drawn_anew(tab, people, mail):
    done = factories.make_patient(people.receptionist, portal_email=EMAIL)
    number = done.patient.patient_id
    await open_record(tab, number)
    await tab.fire(PortalDialogState.ask_correct, number, "email")
    dialog = _dialog(tab)
    update_patient(people.admin, number, PatientUpdate.parse({"address": "Elsewhere"}))
    form = {"email": "amina@gmail.com"}
    await tab.fire(PortalDialogState.correct, number, dialog.stamp, dialog.version, form)
    assert (dialog.step, dialog.failure) == (INPUT, "Changed meanwhile")
    await tab.fire(PortalDialogState.correct, number, dialog.stamp, dialog.version, form)
    assert dialog.step == CLOSED
    assert len(tools.trail("PORTAL_ADDRESS_CORRECTED")) == 1


async def test_nothing_is_corrected_without_its_dialog(tab, people, mail):
    done = factories.make_patient(people.receptionist, portal_email=EMAIL)
    number = done.patient.patient_id
    state = await open_record(tab, number)
    before = tools.dump(without=tools.TRAIL)
    form = {"email": "amina@gmail.com"}
    await tab.fire(PortalDialogState.correct, number, state.access.stamp, 1, form)
    await tab.fire(PortalDialogState.ask_reset, number)
    await tab.fire(PortalDialogState.correct, number, state.access.stamp, 1, form)
    assert tools.dump(without=tools.TRAIL) == before


# --- handed over ------------------------------------------------------------------------------------


async def test_by_post_is_said_before_the_slip_is_printed(tab, people):
    done = factories.make_patient(people.receptionist)
    number = done.patient.patient_id
    state = await open_record(tab, number)
    await tab.fire(PortalDialogState.ask_for, number)
    await tab.fire(PortalDialogState.submit, number, {"email": EMAIL, "phone": ""})
    dialog = _dialog(tab)
    assert "(in 47 hours)" in dialog.until
    for junk in ("pigeon", "", None, [], {}, "POST"):
        await tab.fire(PortalDialogState.hand_over, number, dialog.stamp, junk, PRESS)
    assert (dialog.handed, len(tools.trail("PORTAL_HANDED_OVER"))) == ("", 0)
    await tab.fire(PortalDialogState.hand_over, number, dialog.stamp, "post", PRESS)
    assert (dialog.step, dialog.handed) == (DONE, "By post.")
    assert "(in 167 hours)" in dialog.until
    await tab.fire(PortalDialogState.hand_over, number, dialog.stamp, "in person", "b" * 32 + "-1")
    assert dialog.handed == "In person."
    assert "(in 47 hours)" in dialog.until
    reset_portal_password(people.admin, number)
    await tab.fire(PortalDialogState.hand_over, number, dialog.stamp, "post", "c" * 32 + "-1")
    assert (dialog.handed, "(in 47 hours)" in dialog.until) == (CHANGED, True)
    assert state.access.handed_over == ""


async def test_the_profile_says_how_and_by_whom(tab, people):
    done = factories.make_patient(people.receptionist, portal_email=EMAIL)
    record_hand_over(people.admin, done.patient.id, HandOver.PHONE)
    state = await open_record(tab, done.patient.patient_id)
    assert state.access.handed_over.startswith("By phone, by Daniel Otieno. Today, ")


# --- why access is turned off -----------------------------------------------------------------------


async def test_turning_off_asks_why(tab, people):
    number = factories.make_patient_with_access(people.receptionist, "active").patient.patient_id
    state = await open_record(tab, number)
    stamp = state.access.stamp
    await tab.fire(ProfileState.ask_turn_off, number, stamp, True)
    for form, words in (
        ({}, "Reason is required."),
        (None, "Reason is required."),
        ({"reason": "MOOD"}, "Reason must be one of: ASKED, LEFT, MISUSED, DIED, OTHER."),
    ):
        await tab.fire(ProfileState.turn_off, number, stamp, form)
        assert (state.asked, state.asked_again, state.access.portal) == (stamp, words, "active")
    await tab.fire(ProfileState.turn_off, number, stamp, {"reason": "DIED", "words": ""})
    assert (state.asked, state.asked_again, state.access.portal) == ("", "", "off")
    assert state.access.turned_off_reason == "The patient has died"
    await tab.fire(ProfileState.turn_on, number, state.access.stamp)
    assert state.access.turned_off_reason == ""
