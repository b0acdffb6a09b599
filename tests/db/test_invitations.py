"""An invitation sent again, an address put right, how credentials were handed over, and why access is turned off."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest

from clinic_app.core.errors import InvalidInput, TooManyAttempts
from clinic_app.services import rates
from clinic_app.services.accounts.errors import InvalidCredentials
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from clinic_app.services.audit import chain
from clinic_app.services.patients.errors import StaleRecord
from clinic_app.services.patients.forms import PatientUpdate
from clinic_app.services.patients.profile import reread_patient, update_patient, view_patient
from clinic_app.services.portal.errors import (
    CannotSend,
    EmailInUse,
    EmailInvalid,
    EmailRequired,
    NoPortalAccount,
    PasswordChosen,
    PasswordOver,
    PortalAccessChanged,
    PortalTurnedOff,
)
from clinic_app.services.portal.forgotten import ask_for_link
from clinic_app.services.portal.forms import (
    AddressCorrection,
    ChangePortalUsername,
    HandOver,
    PortalAccountRequest,
    TurnOff,
)
from clinic_app.services.portal.handing_over import record_hand_over
from clinic_app.services.portal.invitations import correct_address, resend_invitation
from clinic_app.services.portal.provisioning import (
    change_portal_username,
    create_portal_account,
    reset_portal_password,
    turn_off_portal,
    turn_on_portal,
)
from clinic_app.services.portal.wording import TURN_OFF_REASONS, turn_off_words
from tests import factories
from tests.db import tools

TYPED, MEANT = "amina@gmial.com", "amina@gmail.com"
PHONE = "+254712445901"


@pytest.fixture
def mail(change_setting) -> None:
    """There is something to send emails with."""
    change_setting("CLINIC_SMTP_HOST", "mail.example.org")


@pytest.fixture
def texts(change_setting) -> None:
    """There is something to send text messages with."""
    change_setting("CLINIC_SMS_URL", "json://localhost/{phone}")


def _stamp(actor: Any, key: int) -> str:
    return reread_patient(actor, key).access.stamp


def _links() -> list[Any]:
    return tools.raw("SELECT id, end_reason, expires_at FROM one_time_links WHERE ended_at IS NULL")


def _outbox(*columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in tools.raw(f"SELECT {', '.join(columns)} FROM outbox_messages ORDER BY id")]


def _unchanged(before: dict[str, Any]) -> bool:
    return tools.dump(without=tools.TRAIL) == before


# --- sending again --------------------------------------------------------------------------------


def test_an_invitation_goes_out_again_with_a_new_link_and_the_same_password(clock, desk, mail, texts):
    done = factories.make_patient(desk, portal_email=TYPED, portal_phone="0712 445 901")
    (first,) = _links()
    kept = "SELECT password_hash, password_expires_at, updated_at FROM accounts WHERE patient_id = :id"
    account = tools.raw(kept, id=done.patient.id)
    clock.shift(3600)
    sent = resend_invitation(desk, done.patient.patient_id)
    assert sent.message == "Invitation sent again"
    assert [(one.kind, one.channel, one.address, one.state) for one in sent.deliveries] == [
        ("INVITATION", "email", TYPED, "QUEUED"),
        ("INVITATION", "sms", PHONE, "QUEUED"),
    ]
    (link,) = _links()
    assert (link.id != first.id, str(link.expires_at)) == (True, str(first.expires_at))  # 47 h are enough
    assert account == tools.raw(kept, id=done.patient.id)
    assert sign_in(PATIENT_DOOR, TYPED, done.credentials.temporary_password).token
    (event,) = tools.trail("PORTAL_INVITED")
    assert (event["resource_id"], event["metadata"]) == (done.patient.id, {"portal_username": TYPED})
    assert chain.verify().ok


@pytest.mark.parametrize(("hours", "life"), [(36, 12), (37, 48), (60, 48)])
def test_a_link_whose_password_is_nearly_over_gets_a_time_of_its_own(clock, desk, mail, hours, life):
    done = factories.make_patient(desk, portal_email=TYPED)
    clock.shift(dt.timedelta(hours=hours))
    now = dt.datetime(2026, 6, 15, 9, tzinfo=dt.UTC) + dt.timedelta(hours=hours)
    resend_invitation(desk, done.patient.id)
    (link,) = _links()
    assert str(link.expires_at).startswith(f"{now + dt.timedelta(hours=life):%Y-%m-%d %H:%M}")


REFUSED = [
    ("none", {}, NoPortalAccount, "This patient has no portal account yet."),
    ("off", {}, PortalTurnedOff, "Turn on portal access first."),
    ("active", {}, PasswordChosen, "The patient has chosen a password already. Reset it to give out a new one."),
    ("temporary", {"email_allowed": False}, CannotSend, "Email may not be used for messages."),
]


@pytest.mark.parametrize(("standing", "changes", "error", "words"), REFUSED)
def test_where_none_can_go_that_is_said_and_recorded_and_the_last_link_lives(
    desk, mail, standing, changes, error, words
):
    patient = factories.make_patient_with_access(desk, standing, **changes).patient
    before, seq = tools.dump(without=tools.TRAIL), tools.last_seq()
    with pytest.raises(error) as refused:
        resend_invitation(desk, patient.id)
    assert refused.value.detail == words
    assert _unchanged(before)
    (event,) = tools.trail(after=seq)
    assert (event["action"], event["outcome"], event["metadata"]) == (
        "PORTAL_CHANGE_FAILED",
        "failure",
        {"reason": refused.value.code},
    )


def test_nothing_set_up_and_no_address_are_two_things(desk, change_setting):
    done = factories.make_patient(desk, portal_email=TYPED)
    for words in ("No messages are sent from here.", "There is no address that a message could go to."):
        with pytest.raises(CannotSend) as refused:
            resend_invitation(desk, done.patient.id)
        assert refused.value.detail == f"{words} Hand the credentials over in person."
        change_setting("CLINIC_SMS_URL", "json://localhost/{phone}")


def test_what_the_patient_allows_decides_for_each_address(desk, mail, texts):
    done = factories.make_patient(desk, portal_email=TYPED, portal_phone="0712 445 901", sms_allowed=False)
    sent = resend_invitation(desk, done.patient.id)
    assert [(one.channel, one.state, one.reason) for one in sent.deliveries] == [
        ("email", "QUEUED", ""),
        ("sms", "HELD", "NOT_ALLOWED"),
    ]
    update_patient(desk, done.patient.id, PatientUpdate.parse({"email_allowed": False}))
    with pytest.raises(CannotSend) as refused:
        resend_invitation(desk, done.patient.id)
    assert refused.value.detail == "Email and phone may not be used for messages."


def test_too_many_are_refused(desk, mail, change_setting):
    done = factories.make_patient(desk, portal_email=TYPED)
    change_setting("CLINIC_API_RATE_FACTOR", "1")
    rates.rates.cache_clear()
    try:
        for _ in range(60):
            resend_invitation(desk, done.patient.id)
        with pytest.raises(rates.TooManyRequests):
            resend_invitation(desk, done.patient.id)
    finally:
        rates.rates.cache_clear()
    assert len(_links()) == 1


@pytest.mark.both_databases
def test_of_two_desks_that_send_again_from_one_look_one_does_and_the_other_is_told(own_database, change_setting):
    change_setting("CLINIC_SMTP_HOST", "mail.example.org")
    desks = [factories.make_staff(name=name) for name in ("Grace Wanjiru", "Daniel Otieno")]
    done = factories.make_patient(desks[0], portal_email=TYPED)
    drawn = _stamp(desks[0], done.patient.id)
    found = tools.at_once(*[lambda who=who: resend_invitation(who, done.patient.id, drawn) for who in desks])
    assert sorted(type(one).__name__ for one in found) == ["InvitationSent", "SentAgainAlready"]
    assert len(_links()) == 1
    assert [row[0] for row in _outbox("kind")] == ["INVITATION"] * 2
    assert len(tools.trail("PORTAL_INVITED")) == 1
    assert [row["metadata"] for row in tools.trail("PORTAL_CHANGE_FAILED")] == [{"reason": "sent_again_already"}]


@pytest.mark.both_databases
def test_of_two_desks_that_correct_an_address_from_one_look_one_does(own_database, change_setting):
    """Also where the record itself stays: another phone is another stamp. And where it stays the same: one message."""
    change_setting("CLINIC_SMS_URL", "json://localhost/{phone}")
    desks = [factories.make_staff(), factories.make_staff()]
    numbers = dict(zip(desks, ("0733 100 200", "0733 100 300"), strict=True))
    done = factories.make_patient(desks[0], phone="0799 999 999", portal_email=TYPED, portal_phone="0712 445 901")
    key, drawn = done.patient.id, _stamp(desks[0], done.patient.id)
    found = tools.at_once(
        *[lambda who=who: correct_address(who, key, _right(phone=numbers[who]), drawn) for who in desks]
    )
    assert sorted(type(one).__name__ for one in found) == ["AddressCorrected", "PortalAccessChanged"]
    (number,) = {one.address for one in reread_patient(desks[0], key).access.reach}
    drawn, same, before = _stamp(desks[0], key), _right(phone=number), len(_outbox("id"))
    found = tools.at_once(*[lambda who=who: correct_address(who, key, same, drawn) for who in desks])
    assert sorted(type(one).__name__ for one in found) == ["AddressCorrected", "SentAgainAlready"]
    assert len(_outbox("id")) == before + 1
    assert number[1:] not in drawn


def test_an_invitation_that_was_sent_again_leaves_what_others_drew_meant(desk, mail):
    done = factories.make_patient(desk, portal_email=TYPED)
    drawn = _stamp(desk, done.patient.id)
    resend_invitation(desk, done.patient.id, drawn)
    assert _stamp(desk, done.patient.id) != drawn
    assert reset_portal_password(desk, done.patient.id, drawn).credentials.temporary_password


# --- an address put right ---------------------------------------------------------------------------


def _right(**data: Any) -> AddressCorrection:
    return AddressCorrection.parse(data)


def test_an_email_becomes_the_patients_and_the_username_and_everything_is_sent_there(clock, desk, mail):
    done = factories.make_patient(desk, portal_email=TYPED)
    profile = view_patient(desk, done.patient.id)
    clock.shift(60)
    seq = tools.last_seq()
    found = correct_address(
        desk,
        done.patient.id,
        _right(email="Amina@GMAIL.com", change_username=True),
        profile.access.stamp,
        profile.version,
    )
    assert found.credentials is not None
    assert found.credentials.username == MEANT
    after = reread_patient(desk, done.patient.id)
    assert (after.email, after.access.username, after.version) == ("Amina@gmail.com", MEANT, profile.version + 1)
    assert found.stamp == after.access.stamp
    assert sign_in(PATIENT_DOOR, MEANT, found.credentials.temporary_password).token
    with pytest.raises(InvalidCredentials):
        sign_in(PATIENT_DOOR, MEANT, done.credentials.temporary_password)
    assert _outbox("kind", "address", "state")[1:] == [
        ("USERNAME_CHANGED", MEANT, "QUEUED"),
        ("USERNAME_CHANGED", TYPED, "QUEUED"),
        ("INVITATION", MEANT, "QUEUED"),
    ]
    assert {(one.kind, one.address) for one in found.deliveries} == {row[:2] for row in _outbox("kind", "address")[1:]}
    assert len(_links()) == 1
    told = [(row["action"], row["metadata"]) for row in tools.trail(after=seq)]
    assert [one for one in told if one[0].startswith("P") and one[0] != "PATIENT_VIEWED"] == [
        ("PORTAL_ADDRESS_CORRECTED", {"portal_username": MEANT, "channel": "email"}),
        ("PORTAL_USERNAME_CHANGED", {"portal_username": MEANT}),
        ("PATIENT_UPDATED", {"patient_id": done.patient.patient_id, "fields": ["email"]}),
    ]
    assert chain.verify().ok


def test_an_email_whose_username_stays_is_the_patients_and_the_link_goes_there(desk, mail):
    done = factories.make_patient(desk, email="another@example.org", portal_email=TYPED)
    found = correct_address(desk, done.patient.id, _right(email=MEANT))
    assert (found.credentials, [(one.kind, one.address) for one in found.deliveries]) == (
        None,
        [("INVITATION", MEANT)],
    )
    after = reread_patient(desk, done.patient.id)
    assert (after.email, after.access.username) == (MEANT, TYPED)
    assert sign_in(PATIENT_DOOR, TYPED, done.credentials.temporary_password).token


def test_what_is_sent_later_goes_to_the_right_address_and_no_more_to_the_username(clock, desk, mail):
    done = factories.make_patient(desk, portal_email=TYPED)
    correct_address(desk, done.patient.id, _right(email=MEANT))
    before = len(_outbox("id"))
    assert [one.address for one in reread_patient(desk, done.patient.id).access.reach] == [MEANT]
    resend_invitation(desk, done.patient.id)
    fresh = reset_portal_password(desk, done.patient.id).credentials
    ask_for_link(TYPED)
    factories.own_password(dataclasses.replace(done, credentials=fresh))
    for _ in range(5):
        with pytest.raises(InvalidCredentials):
            sign_in(PATIENT_DOOR, TYPED, "wrong password of a stranger")
    with pytest.raises(TooManyAttempts):
        sign_in(PATIENT_DOOR, TYPED, "wrong password of a stranger")
    assert _outbox("kind", "address")[before:] == [
        ("INVITATION", MEANT),
        ("PASSWORD_RESET", MEANT),
        ("FORGOT_PASSWORD", MEANT),
        ("PASSWORD_CHANGED", MEANT),
        ("WRONG_PASSWORDS", MEANT),
    ]
    renamed = change_portal_username(desk, done.patient.id, ChangePortalUsername("third@example.org"))
    assert [(one.kind, one.address) for one in renamed.deliveries] == [
        ("INVITATION", "third@example.org"),
        ("USERNAME_CHANGED", "third@example.org"),
        ("USERNAME_CHANGED", MEANT),
    ]
    assert [one.address for one in reread_patient(desk, done.patient.id).access.reach] == ["third@example.org"]


def test_a_right_address_follows_the_patients_own_email_and_can_be_put_right_again(desk, mail):
    done = factories.make_patient(desk, portal_email=TYPED)

    def goes_to() -> list[str]:
        return [one.address for one in reread_patient(desk, done.patient.id).access.reach]

    correct_address(desk, done.patient.id, _right(email=MEANT))
    update_patient(desk, done.patient.id, PatientUpdate.parse({"email": "new@example.org"}))
    assert goes_to() == ["new@example.org"]
    update_patient(desk, done.patient.id, PatientUpdate.parse({"email": None}))
    assert goes_to() == ["new@example.org"], "the username still reaches nobody"
    correct_address(desk, done.patient.id, _right(email="third@example.org"))
    update_patient(desk, done.patient.id, PatientUpdate.parse({"email": "third@example.org"}))
    assert (goes_to(), reread_patient(desk, done.patient.id).email) == (["third@example.org"], "third@example.org")
    correct_address(desk, done.patient.id, _right(email=TYPED))
    assert goes_to() == [TYPED], "the username is right after all"
    update_patient(desk, done.patient.id, PatientUpdate.parse({"email": "other@example.org"}))
    assert goes_to() == [TYPED]


def test_whoever_has_a_password_of_their_own_is_told_at_both_emails_where_theirs_go_now(desk, mail, texts):
    done = factories.make_patient(desk, portal_email=TYPED, portal_phone="0712 445 901")
    factories.own_password(done)
    seen = len(_outbox("id"))
    found = correct_address(desk, done.patient.id, _right(email=MEANT))
    told = [("EMAIL_CHANGED", MEANT), ("EMAIL_CHANGED", PHONE), ("EMAIL_CHANGED", TYPED)]
    assert [(one.kind, one.address) for one in found.deliveries] == told
    assert found.credentials is None
    update_patient(desk, done.patient.id, PatientUpdate.parse({"email": "third@example.org"}))
    told += [("EMAIL_CHANGED", "third@example.org"), ("EMAIL_CHANGED", PHONE), ("EMAIL_CHANGED", MEANT)]
    assert _outbox("kind", "address")[seen:] == told
    update_patient(desk, done.patient.id, PatientUpdate.parse({"email": None}))
    correct_address(desk, done.patient.id, _right(phone="0733 100 200"))
    turn_off_portal(desk, done.patient.id)
    update_patient(desk, done.patient.id, PatientUpdate.parse({"email": "fourth@example.org"}))
    assert _outbox("kind", "address")[seen:] == told, "emails go where they went, or nobody can sign in"


@pytest.mark.parametrize(
    ("own", "kept"),
    [("someone.else@example.org", "someone.else@example.org"), (None, MEANT), ("Amina@gmial.com", MEANT)],
)
def test_an_email_of_the_patients_that_is_another_one_stays_when_the_username_changes(desk, mail, own, kept):
    done = factories.make_patient(desk, portal_email=TYPED)
    update_patient(desk, done.patient.id, PatientUpdate.parse({"email": own}))
    correct_address(desk, done.patient.id, _right(email=MEANT, change_username=True))
    assert reread_patient(desk, done.patient.id).email == kept


@pytest.mark.parametrize(("own", "kept"), [("0712 445 901", "+254733100200"), ("0799 999 999", "+254799999999")])
def test_a_phone_becomes_the_accounts_and_the_patients_where_it_was_the_same(desk, texts, own, kept):
    done = factories.make_patient(desk, phone=own, portal_email=TYPED, portal_phone="0712 445 901")
    found = correct_address(desk, done.patient.id, _right(phone="0733 100 200"))
    assert [(one.kind, one.channel, one.address) for one in found.deliveries] == [
        ("INVITATION", "sms", "+254733100200")
    ]
    after = reread_patient(desk, done.patient.id)
    assert after.phone == kept
    assert [one.address for one in after.access.reach] == ["+254733100200"]


def test_with_a_password_of_their_own_nothing_is_sent(desk, mail, texts):
    patient = factories.make_patient_with_access(desk, "active", portal_phone="0712 445 901").patient
    before = len(_outbox("id"))
    found = correct_address(desk, patient.id, _right(phone="0733 100 200"))
    assert (found.deliveries, found.credentials, len(_outbox("id"))) == ((), None, before)


def test_what_is_refused_changes_nothing_and_is_recorded(desk, mail):
    factories.make_patient(desk, portal_email="taken@example.org")
    done = factories.make_patient(desk, portal_email=TYPED)
    off = factories.make_patient_with_access(desk, "off").patient
    stamp = _stamp(desk, done.patient.id)
    before = tools.dump(without=tools.TRAIL)
    for key, form, drawn, version, error in (
        (done.patient.id, _right(email="taken@example.org", change_username=True), stamp, 1, EmailInUse),
        (done.patient.id, _right(email=MEANT, change_username=True), stamp, 7, StaleRecord),
        (done.patient.id, _right(email=MEANT), stamp, 7, StaleRecord),
        (done.patient.id, _right(phone="0733 100 200"), "0-on-", None, PortalAccessChanged),
        (off.id, _right(email=MEANT), None, None, PortalTurnedOff),
    ):
        seq = tools.last_seq()
        with pytest.raises(error):
            correct_address(desk, key, form, drawn, version)
        assert _unchanged(before), error
        assert [(row["action"], row["resource_id"]) for row in tools.trail(after=seq)] == [
            ("PORTAL_CHANGE_FAILED", key)
        ]


@pytest.mark.both_databases
def test_of_two_patients_that_get_one_username_at_once_one_does(own_database):
    desk = factories.make_staff()
    keys = [factories.make_patient(desk, portal_email=f"wrong{n}@gmial.com").patient.id for n in (1, 2)]
    right = _right(email=MEANT, change_username=True)
    found = tools.at_once(*[lambda key=key: correct_address(desk, key, right) for key in keys])
    assert sorted(type(one).__name__ for one in found) == ["AddressCorrected", "EmailInUse"]
    assert tools.number("SELECT count(*) FROM accounts WHERE username = :name", name=MEANT) == 1
    assert len(tools.trail("PORTAL_ADDRESS_CORRECTED")) == 1


@pytest.mark.both_databases
def test_of_two_desks_that_put_the_same_right_at_once_one_does(own_database):
    desks = [factories.make_staff(), factories.make_staff()]
    key = factories.make_patient(desks[0], portal_email=TYPED).patient.id
    right = _right(email=MEANT, change_username=True)
    found = tools.at_once(*[lambda who=who: correct_address(who, key, right) for who in desks])
    assert sorted(type(one).__name__ for one in found) == ["AddressCorrected", "PortalAccountExists"]
    (done,) = [one for one in found if not isinstance(one, Exception)]
    assert sign_in(PATIENT_DOOR, MEANT, done.credentials.temporary_password).token


@pytest.mark.parametrize(
    ("data", "error", "field"),
    [
        ({}, EmailRequired, "email"),
        ({"email": " "}, EmailRequired, "email"),
        ({"email": "x@"}, EmailInvalid, "email"),
        ({"email": MEANT, "change_username": "perhaps"}, InvalidInput, "change_username"),
        ({"phone": ""}, InvalidInput, "phone"),
        ({"phone": "12"}, InvalidInput, "phone"),
        ({"phone": "0712 445 901", "email": MEANT}, InvalidInput, "phone"),
        ({"email": MEANT, "username": MEANT}, InvalidInput, "username"),
    ],
)
def test_what_is_no_address_is_said_at_its_field(data, error, field):
    with pytest.raises(error) as refused:
        AddressCorrection.parse(data)
    assert list(refused.value.fields) == [field]


# --- handed over ------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", HandOver)
def test_how_credentials_were_handed_over_is_kept_and_by_post_they_live_a_week(clock, desk, how):
    done = factories.make_patient(desk, portal_email=TYPED)
    clock.shift(600)
    found = record_hand_over(desk, done.patient.id, how, _stamp(desk, done.patient.id))
    made = dt.datetime(2026, 6, 15, 9, tzinfo=dt.UTC)
    lives = dt.timedelta(hours=168 if how == "post" else 48)
    access = reread_patient(desk, done.patient.id).access
    assert (access.handed_over, access.handed_over_by, access.handed_over_at, access.expires_at) == (
        how,
        "Grace Wanjiru",
        made + dt.timedelta(minutes=10),
        made + lives,
    )
    assert (found.how, found.expires_at, found.stamp) == (how, made + lives, access.stamp)
    (event,) = tools.trail("PORTAL_HANDED_OVER")
    assert event["metadata"] == {"portal_username": TYPED, "how": how}
    clock.shift(lives - dt.timedelta(minutes=11))
    assert sign_in(PATIENT_DOOR, TYPED, done.credentials.temporary_password).token


def test_it_may_be_put_right_and_a_new_password_is_not_handed_over_yet(clock, desk):
    done = factories.make_patient(desk, portal_email=TYPED)
    record_hand_over(desk, done.patient.id, HandOver.POST)
    record_hand_over(desk, done.patient.id, HandOver.PHONE)
    access = reread_patient(desk, done.patient.id).access
    assert (access.handed_over, access.expires_at) == ("phone", dt.datetime(2026, 6, 17, 9, tzinfo=dt.UTC))
    reset_portal_password(desk, done.patient.id)
    access = reread_patient(desk, done.patient.id).access
    assert (access.handed_over, access.handed_over_at, access.handed_over_by) == ("", None, "")


@pytest.mark.both_databases
def test_of_two_desks_that_say_so_from_one_look_one_wins(own_database):
    desks = [factories.make_staff(), factories.make_staff()]
    done = factories.make_patient(desks[0], portal_email=TYPED)
    drawn = _stamp(desks[0], done.patient.id)
    ways = dict(zip(desks, (HandOver.POST, HandOver.PHONE), strict=True))
    found = tools.at_once(*[lambda who=who: record_hand_over(who, done.patient.id, ways[who], drawn) for who in desks])
    assert sorted(type(one).__name__ for one in found) == ["HandedOver", "PortalAccessChanged"]
    assert len(tools.trail("PORTAL_HANDED_OVER")) == 1


@pytest.mark.parametrize(
    ("standing", "error"),
    [
        ("none", NoPortalAccount),
        ("off", PortalTurnedOff),
        ("active", PasswordChosen),
        ("expired", PasswordOver),
    ],
)
def test_nothing_is_handed_over_where_no_temporary_password_lives(desk, standing, error):
    patient = factories.make_patient_with_access(desk, standing).patient
    before = tools.dump(without=tools.TRAIL)
    with pytest.raises(error):
        record_hand_over(desk, patient.id, HandOver.POST)
    assert _unchanged(before)


@pytest.mark.parametrize("junk", [None, "", "pigeon", "POST", 1, [], {}])
def test_ways_of_handing_over_are_three(junk):
    with pytest.raises(InvalidInput) as refused:
        HandOver.parse(junk)
    assert list(refused.value.fields) == ["how"]


# --- access turned off and on -------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["QUEUED", "DROPPED"])
def test_what_was_not_sent_because_access_was_off_is_sent_when_it_is_on(desk, mail, state):
    done = factories.make_patient(desk, portal_email=TYPED)
    turn_off_portal(desk, done.patient.id)
    tools.write("UPDATE outbox_messages SET state = :state, reason = 'ACCESS_OFF'", state=state)
    before = len(_outbox("id"))
    done_again = turn_on_portal(desk, done.patient.id)
    assert [(one.kind, one.address) for one in done_again.deliveries] == [("INVITATION", TYPED)]
    assert (len(_outbox("id")), len(_links())) == (before + 1, 1)
    assert [row["action"] for row in tools.trail()][-2:] == ["PORTAL_TURNED_ON", "PORTAL_INVITED"]
    assert turn_on_portal(desk, done.patient.id).deliveries == (), "on already"
    assert len(_outbox("id")) == before + 1


def test_what_was_sent_failed_or_is_not_needed_any_more_is_not_sent_again(desk, mail):
    done = factories.make_patient(desk, portal_email=TYPED)
    for values in ("state = 'SENT'", "state = 'FAILED'", "state = 'DROPPED', reason = 'LINK_OVER'"):
        tools.write(f"UPDATE outbox_messages SET {values}")
        turn_off_portal(desk, done.patient.id)
        assert turn_on_portal(desk, done.patient.id).deliveries == ()
    tools.write("UPDATE outbox_messages SET state = 'DROPPED', reason = 'ACCESS_OFF'")
    factories.own_password(done)
    turn_off_portal(desk, done.patient.id)
    assert turn_on_portal(desk, done.patient.id).deliveries == (), "with a password of their own"


# --- why access is turned off -----------------------------------------------------------------------


def test_a_reason_stands_on_the_profile_and_its_kind_alone_in_the_trail(desk):
    patient = factories.make_patient_with_access(desk, "active").patient
    why = TurnOff.parse({"reason": "OTHER", "words": "  Moved to   Nairobi "})
    turn_off_portal(desk, patient.id, why=why)
    access = reread_patient(desk, patient.id).access
    assert (access.turned_off_reason, turn_off_words(access.turned_off_reason)) == (
        "OTHER: Moved to Nairobi",
        "Moved to Nairobi",
    )
    assert tools.trail("PORTAL_TURNED_OFF")[-1]["metadata"] == {
        "portal_username": access.username,
        "reason": "OTHER",
    }
    assert "Nairobi" not in str(tools.dump(without=("accounts",)))
    turn_on_portal(desk, patient.id)
    turn_off_portal(desk, patient.id)
    assert reread_patient(desk, patient.id).access.turned_off_reason == ""
    assert "reason" not in tools.trail("PORTAL_TURNED_OFF")[-1]["metadata"]


@pytest.mark.parametrize("reason", TURN_OFF_REASONS)
def test_every_reason_has_words_and_fits_its_column_with_the_longest(desk, reason):
    patient = factories.make_patient_with_access(desk, "active").patient
    turn_off_portal(desk, patient.id, why=TurnOff.parse({"reason": reason, "words": "é" * 150}))
    kept = reread_patient(desk, patient.id).access.turned_off_reason
    assert turn_off_words(kept).endswith("é" * 150)
    assert turn_off_words(reason) == TURN_OFF_REASONS[reason]


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"reason": "MOOD"}, "reason"),
        ({"reason": 1}, "reason"),
        ({"reason": ["ASKED"]}, "reason"),
        ({"words": "Because"}, "reason"),
        ({"reason": "OTHER", "words": "x" * 151}, "words"),
        ({"reason": "OTHER", "words": "a\x00b"}, "words"),
        ({"reason": "OTHER", "words": 7}, "words"),
        ({"why": "OTHER"}, "why"),
    ],
)
def test_what_is_no_reason_is_refused(data, field):
    with pytest.raises(InvalidInput) as refused:
        TurnOff.parse(data)
    assert list(refused.value.fields) == [field]


def test_a_reason_must_be_given_where_it_is_asked_for():
    assert TurnOff.parse({}) == TurnOff()
    with pytest.raises(InvalidInput) as refused:
        TurnOff.parse({}, required=True)
    assert refused.value.fields == {"reason": "Reason is required."}


# --- what a profile tells of messages ----------------------------------------------------------------


def test_messages_are_told_to_the_desk_and_not_to_clinicians_for_one_statement(desk, people, mail):
    done = factories.make_patient(desk, portal_email=TYPED)
    with tools.statements() as told:
        seen = view_patient(desk, done.patient.id)
    assert [(one.kind, one.address, one.state) for one in seen.deliveries] == [("INVITATION", TYPED, "QUEUED")]
    with tools.statements() as silent:
        assert view_patient(people.clinician, done.patient.id).deliveries == ()
    listed = "ORDER BY outbox_messages.id DESC"
    assert len([one for one in told if listed in one]) == 1
    assert not any(listed in one for one in silent)
    plain = factories.make_patient(desk).patient
    with tools.statements() as nobody:
        assert view_patient(desk, plain.id).deliveries == ()
    assert not any(listed in one for one in nobody)
    changed = update_patient(desk, done.patient.id, PatientUpdate.parse({"address": "Elsewhere"}))
    assert changed.deliveries == reread_patient(desk, done.patient.id).deliveries != ()


def test_another_username_is_told_to_both_addresses_and_said(desk, mail):
    done = factories.make_patient(desk, portal_email=TYPED)
    found = change_portal_username(desk, done.patient.id, ChangePortalUsername(MEANT))
    assert [(one.kind, one.address) for one in found.deliveries] == [
        ("INVITATION", MEANT),
        ("USERNAME_CHANGED", MEANT),
        ("USERNAME_CHANGED", TYPED),
    ]


def test_credentials_come_with_the_stamp_of_the_access_they_open(desk):
    plain = factories.make_patient(desk).patient
    made = create_portal_account(desk, plain.id, PortalAccountRequest(MEANT))
    assert made.stamp == _stamp(desk, plain.id)
    reset = reset_portal_password(desk, plain.id, made.stamp)
    assert made.stamp != reset.stamp == _stamp(desk, plain.id)
    registered = factories.make_patient(desk, portal_email=TYPED).patient
    assert registered.access.stamp == _stamp(desk, registered.id)
