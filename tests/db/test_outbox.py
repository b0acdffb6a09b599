"""Messages are written with the work they tell of: to whom, with which link, and what is kept back."""

from __future__ import annotations

import datetime as dt
import re

import pytest

from clinic_app.core import clock as clocks
from clinic_app.core import crypto, db
from clinic_app.models.notifications import LinkPurpose
from clinic_app.services.accounts.errors import InvalidCredentials
from clinic_app.services.accounts.passwords import change_password
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from clinic_app.services.notifications import links, outbox
from clinic_app.services.portal.forms import ChangePortalUsername, PortalAccountRequest
from clinic_app.services.portal.provisioning import (
    change_portal_username,
    create_portal_account,
    reset_portal_password,
)
from tests import factories
from tests.db import tools


@pytest.fixture
def sends(settings) -> None:
    """There is something to send with, both ways."""
    settings.setenv("CLINIC_SMTP_HOST", "mail.clinic.example")
    settings.setenv("CLINIC_SMS_URL", "json://gateway.example/{phone}")


def _messages(columns: str = "kind, channel, address, state, reason") -> list[tuple[object, ...]]:
    return [tuple(row) for row in tools.raw(f"SELECT {columns} FROM outbox_messages ORDER BY id")]


def _links() -> list[tuple[object, ...]]:
    return [tuple(row) for row in tools.raw("SELECT id, purpose, end_reason FROM one_time_links ORDER BY id")]


def _with_access(desk, **changes):
    asked = {"create_portal_account": True, "portal_email": "amina@example.com", "portal_phone": "0733 100 200"}
    return factories.make_patient(desk, **{**asked, **changes})


def test_nothing_is_written_where_there_is_nothing_to_send_with(desk):
    done = _with_access(desk)
    assert (done.deliveries, _messages(), _links()) == ((), [], [])


def test_a_registration_writes_an_invitation_to_each_address_with_one_link(sends, desk):
    done = _with_access(desk)
    assert [(one.channel, one.address, one.state) for one in done.deliveries] == [
        ("email", "amina@example.com", "QUEUED"),
        ("sms", "+254733100200", "QUEUED"),
    ]
    assert _messages() == [
        ("INVITATION", "email", "amina@example.com", "QUEUED", None),
        ("INVITATION", "sms", "+254733100200", "QUEUED", None),
    ]
    assert [(purpose, reason) for _, purpose, reason in _links()] == [("ACTIVATE", None)]
    assert len({row[0] for row in tools.raw("SELECT link_id FROM outbox_messages")}) == 1
    expires = tools.raw("SELECT expires_at FROM one_time_links")[0][0]
    assert tools.raw("SELECT DISTINCT expires_at FROM outbox_messages")[0][0] == expires


def test_messages_cost_two_statements(sends, desk):
    asked = PortalAccountRequest.parse({"email": "amina@example.com", "phone": "0733 100 200"})
    patient = factories.make_patient(desk).patient
    with tools.statements() as seen:
        create_portal_account(desk, patient.id, asked)
    written = [one for one in seen if re.search("outbox_messages|one_time_links", one)]
    assert [one.split()[0] for one in written] == ["INSERT", "INSERT"]


def test_a_registration_that_fails_leaves_no_message(sends, desk):
    _with_access(desk)
    before = _messages()
    with pytest.raises(Exception, match="portal_email_taken"):
        _with_access(desk)
    assert _messages() == before


@pytest.mark.parametrize(
    ("allowed", "states"),
    [
        ({"email_allowed": False}, ["HELD", "QUEUED"]),
        ({"sms_allowed": False}, ["QUEUED", "HELD"]),
        ({"email_allowed": False, "sms_allowed": False}, ["HELD", "HELD"]),
    ],
)
def test_what_the_patient_forbids_is_kept_back_and_told(sends, desk, allowed, states):
    done = _with_access(desk, **allowed)
    assert [one.state for one in done.deliveries] == states
    assert [one.reason for one in done.deliveries] == ["NOT_ALLOWED" if s == "HELD" else "" for s in states]
    assert len(_links()) == ("QUEUED" in states)


def test_a_reset_is_told_whatever_the_patient_allows_but_without_a_link(sends, desk):
    done = _with_access(desk, email_allowed=False)
    reset = reset_portal_password(desk, done.patient.id)
    assert [(one.kind, one.channel, one.state) for one in reset.deliveries] == [
        ("PASSWORD_RESET", "email", "QUEUED"),
        ("PASSWORD_RESET", "sms", "QUEUED"),
    ]
    linked = tools.raw("SELECT channel FROM outbox_messages WHERE kind = 'PASSWORD_RESET' AND link_id IS NOT NULL")
    assert [row[0] for row in linked] == ["sms"]


def test_a_reset_ends_the_link_before_it(sends, desk):
    done = _with_access(desk)
    reset_portal_password(desk, done.patient.id)
    assert [reason for _, _, reason in _links()] == ["superseded", None]


def test_a_reset_ends_the_link_before_it_also_where_nothing_can_be_sent_any_more(sends, settings, desk):
    done = _with_access(desk)
    settings.setenv("CLINIC_SMTP_HOST", "")
    settings.setenv("CLINIC_SMS_URL", "")
    from clinic_app.core.settings import get_settings

    get_settings.cache_clear()
    assert reset_portal_password(desk, done.patient.id).deliveries == ()
    assert [reason for _, _, reason in _links()] == ["superseded"]


def test_another_username_is_told_to_both_addresses_and_the_new_one_is_invited(sends, desk):
    done = _with_access(desk)
    form = ChangePortalUsername.parse({"email": "amina.new@example.com"})
    change_portal_username(desk, done.patient.id, form)
    told = [row for row in _messages("kind, channel, address") if row[0] != "INVITATION" or "new" in str(row[2])]
    assert told == [
        ("USERNAME_CHANGED", "email", "amina.new@example.com"),
        ("USERNAME_CHANGED", "sms", "+254733100200"),
        ("USERNAME_CHANGED", "email", "amina@example.com"),
        ("INVITATION", "email", "amina.new@example.com"),
    ]


def test_choosing_a_password_ends_the_link_and_is_told(sends, desk):
    done = _with_access(desk)
    factories.own_password(done)
    assert [reason for _, _, reason in _links()] == ["superseded"]
    assert _messages("kind, channel")[2:] == [("PASSWORD_CHANGED", "email"), ("PASSWORD_CHANGED", "sms")]


def test_changing_a_password_is_told_and_staff_get_no_messages(sends, desk, database):
    done = _with_access(desk)
    factories.own_password(done)
    before = len(_messages())
    signed = sign_in(PATIENT_DOOR, "amina@example.com", factories.OWN_PASSWORD)
    new = "wooden harbour sings twice"
    change_password(signed.actor, factories.OWN_PASSWORD, new, new, session_token_hash=crypto.digest(signed.token))
    assert _messages("kind")[before:] == [("PASSWORD_CHANGED",), ("PASSWORD_CHANGED",)]
    factories.make_staff()
    assert len(_messages()) == before + 2


def test_the_owner_is_warned_once_a_day_however_long_strangers_guess(sends, clock, desk):
    _with_access(desk)
    before = len(_messages())
    for _ in range(3):
        factories.lock("amina@example.com")
        clock.shift(dt.timedelta(hours=2))
    assert {row[0] for row in _messages("kind")[before:]} <= {"WRONG_PASSWORDS"}
    for number in range(12):
        with pytest.raises(Exception, match=r"invalid_credentials|too_many_attempts"):
            sign_in(PATIENT_DOOR, "amina@example.com", f"wrong password number {number}")
    warned = _messages("kind, channel")[before:]
    assert warned == [("WRONG_PASSWORDS", "email"), ("WRONG_PASSWORDS", "sms")]
    clock.shift(dt.timedelta(hours=25))
    for number in range(12):
        with pytest.raises(Exception, match=r"invalid_credentials|too_many_attempts"):
            sign_in(PATIENT_DOOR, "amina@example.com", f"wrong password number {number}")
    assert len(_messages()) == before + 4


def test_nobody_is_warned_who_does_not_exist(sends, desk):
    for number in range(12):
        with pytest.raises((InvalidCredentials, Exception)):
            sign_in(PATIENT_DOOR, "nobody@example.com", f"wrong password number {number}")
    assert _messages() == []


# --- links --------------------------------------------------------------------------------------


def _new_link(account_id: int, purpose: LinkPurpose = LinkPurpose.ACTIVATE) -> tuple[int, str]:
    with db.transaction() as session:
        made = links.new_link(session, account_id, purpose, clocks.now() + dt.timedelta(hours=48))
    seed = tools.raw("SELECT seed FROM one_time_links WHERE id = :id", id=made)[0][0]
    links.make_findable(made, seed)
    return made, links.code_of(seed)


def test_a_code_is_found_and_checked_and_is_in_no_row(desk, people):
    made, code = _new_link(people.patient.account_id)
    assert re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{4}-){2}[0-9A-HJKMNP-TV-Z]{4}", code)
    with db.reading() as session:
        found = links.find(session, code)
    assert found is not None
    assert (found.id, found.ended, links.is_right(found, code)) == (made, "", True)
    plain = code.replace("-", "")
    everything = "\n".join(row for rows in tools.dump().values() for row in rows)
    assert code not in everything
    assert plain not in everything


@pytest.mark.parametrize(
    "spell",
    [
        str.lower,
        lambda c: c.replace("-", " "),
        lambda c: f" {c}\u200b. ",
        lambda c: c.replace("0", "o").replace("1", "l"),
    ],
)
def test_a_code_is_found_however_it_was_typed(desk, people, spell):
    made, code = _new_link(people.patient.account_id)
    with db.reading() as session:
        found = links.find(session, spell(code))
    assert found is not None
    assert found.id == made
    assert links.is_right(found, spell(code))


@pytest.mark.parametrize(
    "typed", ["", "x", "7KQM-4RXT-92W", "7KQM-4RXT-92WDD", "\u0301" * 100_000, "ÀÀÀÀ-ÀÀÀÀ-ÀÀÀÀ", "\ud800" * 12]
)
def test_what_is_no_code_belongs_to_no_link(database, typed):
    with db.reading() as session:
        assert links.find(session, typed) is None
    assert not links.is_right(None, typed)


def test_codes_are_made_of_the_key_too(people, settings):
    _, code = _new_link(people.patient.account_id)
    seed = tools.raw("SELECT seed FROM one_time_links")[0][0]
    from clinic_app.core import keys
    from clinic_app.core.settings import get_settings

    settings.setenv("CLINIC_TOKEN_KEY", "u" * 40)
    get_settings.cache_clear()
    keys.key.cache_clear()
    try:
        assert links.code_of(seed) != code
    finally:
        keys.key.cache_clear()


def test_a_newer_link_ends_those_it_replaces_and_one_that_anybody_can_ask_for_no_others(people):
    first, _ = _new_link(people.patient.account_id, LinkPurpose.EMAIL)
    second, _ = _new_link(people.patient.account_id)
    third, code = _new_link(people.patient.account_id, LinkPurpose.FORGOT)
    assert [reason for _, _, reason in _links()] == [None, None, None]
    with db.reading() as session:
        found = links.find(session, code)
    assert found is not None
    assert found.purpose == "FORGOT"
    fourth, _ = _new_link(people.patient.account_id)
    assert {number: reason for number, _, reason in _links()} == {
        first: None,
        second: "superseded",
        third: "superseded",
        fourth: None,
    }


def test_of_several_who_use_a_link_at_once_one_does(own_database):
    people = factories.people()
    made, _ = _new_link(people.patient.account_id)

    def use() -> bool:
        with db.transaction() as session:
            return links.redeem(session, made)

    assert sorted(tools.at_once(*[use] * 8)) == [False] * 7 + [True]


def test_a_link_whose_time_is_over_cannot_be_used(clock, people):
    made, code = _new_link(people.patient.account_id)
    clock.shift(dt.timedelta(hours=48))
    with db.reading() as session:
        found = links.find(session, code)
    assert found is not None
    assert found.ended == "expired"
    with db.transaction() as session:
        assert not links.redeem(session, made)


def test_messages_are_told_the_latest_first(sends, desk):
    done = _with_access(desk)
    account = tools.number("SELECT id FROM accounts WHERE role = 'PATIENT'")
    reset_portal_password(desk, done.patient.id)
    with db.reading() as session:
        kinds = [one.kind for one in outbox.deliveries(session, account)]
    assert kinds == ["PASSWORD_RESET", "PASSWORD_RESET", "INVITATION", "INVITATION"]
