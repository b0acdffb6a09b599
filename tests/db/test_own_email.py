"""Another email of the own record: it counts once it was shown to be theirs, and both addresses are told."""

from __future__ import annotations

import datetime as dt

import pytest

from clinic_app.core.errors import AuthenticationRequired, InvalidInput, PermissionDenied, TooManyAttempts
from clinic_app.services import rates
from clinic_app.services.accounts.sign_in_throttle import PER_ADDRESS
from clinic_app.services.notifications import links
from clinic_app.services.patients.forms import PatientQuery
from clinic_app.services.patients.profile import view_patient
from clinic_app.services.patients.search import list_patients
from clinic_app.services.portal.errors import EmailLinkOver, EmailNotSendable, NoEmailWaits
from clinic_app.services.portal.forms import NO_EMAIL, OwnContactCorrection
from clinic_app.services.portal.own_contact import correct_own_contact, own_contact
from clinic_app.services.portal.own_email import confirm_email, keep_old_email, send_again
from clinic_app.services.portal.own_record import own_record
from clinic_app.services.portal.provisioning import turn_off_portal
from tests import factories
from tests.db import tools

OLD, NEW = "amina@example.com", "amina.new@example.org"


@pytest.fixture
def sends(settings) -> None:
    """There is something to send emails with."""
    settings.setenv("CLINIC_SMTP_HOST", "mail.clinic.example")


@pytest.fixture
def owner(sends, desk):
    """A patient whose email is their username, with a password of their own."""
    return factories.own_password(factories.make_patient(desk, portal_email=OLD))


def _ask(actor, email: str = NEW) -> None:
    correct_own_contact(actor, OwnContactCorrection.parse({"email": email}, own_contact(actor).version))


def _code() -> str:
    """The code of the latest link that confirms an email, as the message that was sent has it."""
    link = tools.raw("SELECT id, seed FROM one_time_links WHERE purpose = 'EMAIL' ORDER BY id DESC")[0]
    links.make_findable(link.id, link.seed)
    return links.code_of(link.seed)


def _messages(kind: str) -> list[str]:
    return [row.address for row in tools.raw("SELECT * FROM outbox_messages ORDER BY id") if row.kind == kind]


def _email(actor) -> str | None:
    return tools.raw("SELECT email FROM patients WHERE id = :id", id=actor.patient_id)[0][0]


def test_a_new_email_waits_until_the_link_that_was_sent_there_is_opened(owner):
    before = tools.last_seq()
    _ask(owner)
    assert _email(owner) == OLD
    assert _messages("CONFIRM_EMAIL") == [NEW]
    waits = own_record(owner)
    assert waits.email_waits == NEW
    assert waits.email_waits_until is not None
    event = tools.trail("OWN_EMAIL_ASKED", after=before)[0]
    assert (event["actor_id"], event["resource_id"]) == (owner.account_id, owner.patient_id)
    assert NEW not in str(event["metadata"])


def test_whoever_has_the_code_confirms_it_and_both_addresses_are_told(owner, desk):
    _ask(owner)
    before = tools.last_seq()
    assert confirm_email(_code().lower()) == owner.account_id
    assert _email(owner) == NEW
    assert own_record(owner).email_waits == ""
    assert sorted(_messages("EMAIL_CHANGED")) == sorted([OLD, NEW])
    assert tools.raw("SELECT username FROM accounts WHERE id = :id", id=owner.account_id) == [(OLD,)]
    (event,) = tools.trail("PATIENT_UPDATED", after=before)
    assert (event["actor_id"], event["metadata"]["fields"]) == (owner.account_id, ["email"])
    assert [one.id for one in list_patients(desk, PatientQuery(term="amina.new")).items] == [owner.patient_id]


def test_a_code_confirms_once(owner):
    _ask(owner)
    code = _code()
    confirm_email(code)
    with pytest.raises(EmailLinkOver) as caught:
        confirm_email(code)
    assert caught.value.why == "used"
    assert len(_messages("EMAIL_CHANGED")) == 2


def test_a_newer_link_and_the_old_email_kept_end_the_one_before(owner):
    _ask(owner)
    first = _code()
    send_again(owner)
    assert _messages("CONFIRM_EMAIL") == [NEW, NEW]
    second = _code()
    with pytest.raises(EmailLinkOver) as caught:
        confirm_email(first)
    assert caught.value.why == "superseded"
    keep_old_email(owner)
    with pytest.raises(EmailLinkOver):
        confirm_email(second)
    assert (_email(owner), own_record(owner).email_waits) == (OLD, "")
    assert len(tools.trail("OWN_EMAIL_KEPT")) == 1
    keep_old_email(owner)
    assert len(tools.trail("OWN_EMAIL_KEPT")) == 1
    with pytest.raises(NoEmailWaits):
        send_again(owner)


def test_a_link_lives_two_days(clock, owner):
    _ask(owner)
    code = _code()
    clock.shift(dt.timedelta(hours=48))
    with pytest.raises(EmailLinkOver) as caught:
        confirm_email(code)
    assert caught.value.why == "expired"
    assert _email(owner) == OLD


def test_an_account_that_is_turned_off_confirms_nothing(owner, desk):
    _ask(owner)
    code = _code()
    turn_off_portal(desk, owner.patient_id)
    with pytest.raises(EmailLinkOver) as caught:
        confirm_email(code)
    assert caught.value.why == "off"
    assert _email(owner) == OLD


@pytest.mark.parametrize("typed", ["AAAA-AAAA-AAAA", "x", "a" + "\u0301" * 1000, "0" * 100_000, "\x00"])
def test_a_wrong_code_is_refused_in_one_way_and_recorded(owner, typed):
    _ask(owner)
    with pytest.raises(InvalidInput) as caught:
        confirm_email(typed)
    assert caught.value.fields == {
        "code": "This code is not right. Check it against the message: three groups of four."
    }
    assert tools.trail()[-1]["action"] == "LINK_REFUSED"
    assert _email(owner) == OLD


def test_a_code_that_sets_a_password_confirms_no_email(sends, desk):
    factories.make_patient(desk, portal_email=OLD)
    link = tools.raw("SELECT id, seed FROM one_time_links")[0]
    links.make_findable(link.id, link.seed)
    with pytest.raises(InvalidInput):
        confirm_email(links.code_of(link.seed))
    assert tools.raw("SELECT ended_at FROM one_time_links") == [(None,)]


def test_guesses_from_one_address_are_limited_and_keep_no_owner_out(owner, clock):
    _ask(owner)
    code = _code()
    for _ in range(PER_ADDRESS):
        with pytest.raises(InvalidInput):
            confirm_email("AAAA-AAAA-AAAA", waited=10)
    with pytest.raises(TooManyAttempts):
        confirm_email("AAAA-AAAA-AAAA", waited=10)
    with tools.from_address("198.51.100.9"):
        confirm_email(code)
    assert _email(owner) == NEW


def test_without_anything_to_send_with_an_email_cannot_be_asked_for(people):
    with pytest.raises(EmailNotSendable):
        _ask(people.patient)
    assert not own_contact(people.patient).may_confirm
    assert tools.raw("SELECT count(*) FROM one_time_links") == [(0,)]


def test_an_email_is_not_emptied_and_the_one_there_is_not_asked_about(owner):
    with pytest.raises(InvalidInput) as caught:
        OwnContactCorrection.parse({"email": " "}, 1)
    assert caught.value.fields == {"email": NO_EMAIL}
    assert correct_own_contact(owner, OwnContactCorrection.parse({"email": "amina@EXAMPLE.com"}, 1)) == []
    assert _messages("CONFIRM_EMAIL") == []


def test_with_other_corrections_it_is_all_or_nothing(people):
    both = OwnContactCorrection.parse({"address": "Plot 9", "email": NEW}, own_contact(people.patient).version)
    with pytest.raises(EmailNotSendable):  # there is nothing to send with
        correct_own_contact(people.patient, both)
    assert own_contact(people.patient).address == "12 Lake Road, Kisumu"


def test_messages_to_whatever_address_are_few(owner, change_setting):
    change_setting("CLINIC_API_RATE_FACTOR", "1")
    rates.rates.cache_clear()
    for number in range(5):
        _ask(owner, f"victim{number}@example.org")
    with pytest.raises(rates.TooManyRequests):
        _ask(owner, "victim9@example.org")
    with pytest.raises(rates.TooManyRequests):
        send_again(owner)
    rates.rates.cache_clear()


def test_nobody_else_decides(people):
    for use_case in (send_again, keep_old_email):
        with pytest.raises(AuthenticationRequired):
            use_case(people.anonymous)
        with pytest.raises(PermissionDenied):
            use_case(people.receptionist)


def test_of_many_who_open_one_link_at_once_one_changes_the_email(settings, own_database):
    settings.setenv("CLINIC_SMTP_HOST", "mail.clinic.example")
    desk = factories.make_staff()
    actor = factories.own_password(factories.make_patient(desk, portal_email=OLD))
    _ask(actor)
    code = _code()
    results = tools.at_once(*[lambda: confirm_email(code, waited=10)] * 6)
    assert results.count(actor.account_id) == 1
    assert {one.why for one in results if isinstance(one, EmailLinkOver)} == {"used"}
    assert len(_messages("EMAIL_CHANGED")) == 2
    assert view_patient(desk, actor.patient_id).email == NEW


def test_of_two_who_ask_at_once_one_link_is_left(settings, own_database):
    settings.setenv("CLINIC_SMTP_HOST", "mail.clinic.example")
    actor = factories.own_password(factories.make_patient(factories.make_staff(), portal_email=OLD))
    version = own_contact(actor).version
    tools.at_once(
        *[
            lambda email=f"new{number}@example.org": correct_own_contact(
                actor, OwnContactCorrection.parse({"email": email}, version)
            )
            for number in range(4)
        ]
    )
    assert tools.number("SELECT count(*) FROM one_time_links WHERE purpose = 'EMAIL' AND ended_at IS NULL") == 1
