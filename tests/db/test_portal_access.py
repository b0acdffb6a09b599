"""Giving portal access to somebody registered, and managing it."""

from __future__ import annotations

import datetime as dt

import pytest
import structlog
from sqlalchemy.exc import IntegrityError

from clinic_app.core import crypto
from clinic_app.core.errors import ErrorKind, PermissionDenied, Unavailable, Unexpected
from clinic_app.services.accounts import sessions
from clinic_app.services.accounts.errors import InvalidCredentials
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from clinic_app.services.audit import authorization
from clinic_app.services.patients.errors import PatientNotFound
from clinic_app.services.patients.profile import reread_patient
from clinic_app.services.portal import provisioning
from clinic_app.services.portal.errors import EmailInUse, NoPortalAccount, PortalAccountExists, PortalTurnedOff
from clinic_app.services.portal.forms import PortalAccountRequest
from clinic_app.services.portal.provisioning import (
    create_portal_account,
    note_printed,
    reset_portal_password,
    turn_off_portal,
    turn_on_portal,
    unlock_portal,
)
from tests import factories
from tests.db import tools


def _request(email="amina@example.com", phone=None) -> PortalAccountRequest:
    return PortalAccountRequest.parse({"email": email, "phone": phone})


def _nothing_happened(before, *, reason: str) -> None:
    """All tables are as they were, but for one event that says why."""
    after = tools.dump(without=("audit_head",))
    events, earlier = after.pop("audit_events"), before["audit_events"]
    assert after == {table: found for table, found in before.items() if table not in tools.TRAIL}
    assert len(events) == len(earlier) + 1
    event = tools.trail()[-1]
    assert (event["action"], event["outcome"]) == ("PORTAL_ACCOUNT_CREATE_FAILED", "failure")
    assert event["metadata"] == {"reason": reason}


# --- creating -----------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["id", "patient_id"])
def test_access_is_given_with_credentials_that_work(clock, desk, by):
    patient = factories.make_patient(desk).patient
    done = create_portal_account(desk, getattr(patient, by), _request("Amina@Example.com", "0733 100 200"))
    assert done.message == "Portal account created successfully"
    assert done.credentials.username == "amina@example.com"
    assert done.credentials.login_url == "/patient-portal/login"
    assert done.credentials.expires_at == dt.datetime(2026, 6, 17, 9, tzinfo=dt.UTC)
    assert (done.patient.id, done.patient.patient_id) == (patient.id, patient.patient_id)
    assert (done.patient.name, done.patient.portal_enabled) == (patient.name, True)
    account = tools.raw("SELECT * FROM accounts WHERE patient_id = :id", id=patient.id)[0]
    assert (account.role, account.phone, account.created_by_id) == ("PATIENT", "+254733100200", desk.account_id)
    profile = reread_patient(desk, patient.id)
    assert profile.portal_enabled
    assert profile.access.status == "temporary"
    signed_in = sign_in(PATIENT_DOOR, "amina@example.com", done.credentials.temporary_password)
    assert signed_in.actor.patient_id == patient.id
    assert signed_in.actor.must_choose_password
    assert done.credentials.temporary_password not in str(tools.dump())


def test_a_patient_with_an_account_is_told_its_username(desk):
    patient = factories.make_patient(desk, portal_email="existing@email.com").patient
    before = tools.dump()
    with pytest.raises(PortalAccountExists) as caught:
        create_portal_account(desk, patient.id, _request("other@example.com"))
    assert caught.value.title == "Portal account already exists"
    assert caught.value.detail == "This patient already has a portal account with username: existing@email.com"
    assert caught.value.extra() == {"existing_username": "existing@email.com"}
    assert list(caught.value.fields) == ["email"]
    _nothing_happened(before, reason="portal_account_exists")


def test_an_account_that_is_turned_off_still_counts(desk):
    patient = factories.make_patient(desk, portal_email="existing@email.com").patient
    turn_off_portal(desk, patient.id)
    with pytest.raises(PortalAccountExists):
        create_portal_account(desk, patient.id, _request("other@example.com"))


def test_ones_own_email_again_is_an_account_that_exists_not_an_email_in_use(desk):
    patient = factories.make_patient(desk, portal_email="existing@email.com").patient
    with pytest.raises(PortalAccountExists):
        create_portal_account(desk, patient.id, _request("Existing@email.com"))


@pytest.mark.parametrize("email", ["taken@example.com", "Taken@EXAMPLE.com"])
def test_an_email_of_another_account_is_refused(desk, email):
    factories.make_patient(desk, portal_email="taken@example.com")
    patient = factories.make_patient(desk).patient
    before = tools.dump()
    with pytest.raises(EmailInUse) as caught:
        create_portal_account(desk, patient.id, _request(email))
    assert caught.value.title == "Email already in use"
    assert caught.value.detail == "A portal account with this email already exists. Please use a different email."
    assert list(caught.value.fields) == ["email"]
    assert caught.value.extra() == {}
    _nothing_happened(before, reason="email_in_use")


@pytest.mark.parametrize("clash", ["patient", "email"])
def test_a_clash_that_only_the_constraint_sees_gets_the_same_words(desk, monkeypatch, clash):
    taken = factories.make_patient(desk, portal_email="taken@example.com").patient
    patient = taken if clash == "patient" else factories.make_patient(desk).patient
    email = "other@example.com" if clash == "patient" else "taken@example.com"
    real, calls = provisioning._refuse_if_taken, []

    def blind(*args):  # both looks come too early
        calls.append(args)
        if len(calls) > 2:
            real(*args)

    monkeypatch.setattr(provisioning, "_refuse_if_taken", blind)
    with pytest.raises(PortalAccountExists if clash == "patient" else EmailInUse) as caught:
        create_portal_account(desk, patient.id, _request(email))
    assert len(calls) == 3
    if clash == "patient":
        assert caught.value.extra() == {"existing_username": "taken@example.com"}


def test_an_unforeseen_constraint_is_unexpected(desk, monkeypatch):
    patient = factories.make_patient(desk).patient
    monkeypatch.setattr(provisioning, "normal_username", str.upper)
    before = tools.dump()
    with structlog.testing.capture_logs(), pytest.raises(Unexpected) as caught:
        create_portal_account(desk, patient.id, _request())
    assert caught.value.title == "Failed to create patient portal account"
    assert not isinstance(caught.value, IntegrityError)
    _nothing_happened(before, reason="unexpected")


@pytest.mark.parametrize("key", [0, -1, 10**12, 999999, "LMC999999", "LMC'--", "", "\x00", True, None, 1.5, ["LMC1"]])
def test_a_patient_that_is_not_there_is_not_found(desk, key):
    with pytest.raises(PatientNotFound):
        create_portal_account(desk, key, _request())
    assert tools.trail("PORTAL_ACCOUNT_CREATE_FAILED")[-1]["metadata"] == {"reason": "patient_not_found"}


@pytest.mark.parametrize("step", ["add_portal_account", "record"])
@pytest.mark.parametrize("after", [False, True])
def test_whatever_step_fails_the_patient_stays_without_access(desk, monkeypatch, step, after):
    patient = factories.make_patient(desk).patient
    before, real = tools.dump(), getattr(provisioning, step)

    def broken(*args, **kwargs):
        if after:
            real(*args, **kwargs)
        raise RuntimeError("amina@example.com")

    monkeypatch.setattr(provisioning, step, broken)
    if step == "record":
        monkeypatch.setattr(authorization, step, broken)
    with structlog.testing.capture_logs() as lines, pytest.raises(Unexpected) as caught:
        create_portal_account(desk, patient.id, _request())
    assert caught.value.detail.startswith("Please try again. Reference: ")
    assert "amina" not in str(lines)
    if step == "record":  # then the failure cannot be recorded either
        assert tools.dump() == before
    else:
        _nothing_happened(before, reason="unexpected")


def test_a_hash_that_cannot_be_made_leaves_the_patient_as_it_was(desk, monkeypatch):
    def busy(*_, **__):
        raise Unavailable

    patient = factories.make_patient(desk).patient
    before = tools.dump()
    monkeypatch.setattr(crypto, "hash_password", busy)
    with pytest.raises(Unavailable):
        create_portal_account(desk, patient.id, _request())
    _nothing_happened(before, reason="unavailable")


def test_the_hash_is_made_outside_of_any_transaction(desk, hashing):
    patient = factories.make_patient(desk).patient
    create_portal_account(desk, patient.id, _request())
    reset_portal_password(desk, patient.id)
    assert len(hashing.made) == 2
    assert all(name.startswith("hash") for name in hashing.made)
    assert hashing.inside == []


def test_a_clinician_is_refused_in_the_words_of_the_specification(people):
    patient = factories.make_patient(people.receptionist).patient
    with pytest.raises(PermissionDenied) as caught:
        create_portal_account(people.clinician, patient.id, _request())
    assert caught.value.kind == ErrorKind.FORBIDDEN
    assert caught.value.detail == "Only receptionists and administrators can create portal accounts."


# --- managing -----------------------------------------------------------------------------------


def test_a_reset_makes_new_credentials_and_ends_the_old_ones(clock, desk):
    made = factories.make_patient(desk, portal_email="amina@example.com")
    assert made.credentials is not None
    first = sign_in(PATIENT_DOOR, "amina@example.com", made.credentials.temporary_password)
    clock.shift(60)
    done = reset_portal_password(desk, made.patient.patient_id)
    assert done.message == "Temporary password reset successfully"
    assert done.credentials.username == "amina@example.com"
    assert done.credentials.temporary_password != made.credentials.temporary_password
    assert done.credentials.expires_at == dt.datetime(2026, 6, 17, 9, 1, tzinfo=dt.UTC)
    assert sessions.resolve(crypto.digest(first.token)).kind == "anonymous"
    with pytest.raises(InvalidCredentials):
        sign_in(PATIENT_DOOR, "amina@example.com", made.credentials.temporary_password)
    assert sign_in(PATIENT_DOOR, "amina@example.com", done.credentials.temporary_password).actor.must_choose_password
    event = tools.trail("PORTAL_PASSWORD_RESET")[-1]
    assert (event["resource_id"], event["metadata"]) == (made.patient.id, {"portal_username": "amina@example.com"})
    assert done.credentials.temporary_password not in str(tools.dump())


def test_a_reset_takes_a_password_of_ones_own_away(desk):
    made = factories.make_patient(desk, portal_email="amina@example.com")
    factories.own_password(made)
    done = reset_portal_password(desk, made.patient.id)
    with pytest.raises(InvalidCredentials):
        sign_in(PATIENT_DOOR, "amina@example.com", factories.OWN_PASSWORD)
    assert sign_in(PATIENT_DOOR, "amina@example.com", done.credentials.temporary_password).actor.must_choose_password
    assert reread_patient(desk, made.patient.id).access.status == "temporary"


def test_there_is_nothing_to_manage_without_an_account(desk):
    patient = factories.make_patient(desk).patient
    before, seq = tools.dump(without=tools.TRAIL), tools.last_seq()
    for use_case in (reset_portal_password, turn_off_portal, turn_on_portal, unlock_portal):
        with pytest.raises(NoPortalAccount) as caught:
            use_case(desk, patient.id)
        assert caught.value.detail == "This patient has no portal account yet."
        with pytest.raises(PatientNotFound):
            use_case(desk, 999999)
    assert tools.dump(without=tools.TRAIL) == before
    told = [(row["action"], row["resource_id"], row["metadata"]) for row in tools.trail(after=seq)]
    assert told == [("PORTAL_CHANGE_FAILED", patient.id, {"reason": "no_portal_account"})] * 4, "one learns that too"


def test_access_that_is_turned_off_opens_nothing_and_says_so_to_the_desk(clock, desk):
    made = factories.make_patient(desk, portal_email="amina@example.com")
    actor = factories.own_password(made)
    assert actor.session_id
    assert turn_off_portal(desk, made.patient.id).portal_enabled is False
    with pytest.raises(InvalidCredentials):
        sign_in(PATIENT_DOOR, "amina@example.com", factories.OWN_PASSWORD)
    assert tools.number("SELECT count(*) FROM login_sessions WHERE ended_at IS NULL") == 0
    profile = reread_patient(desk, made.patient.id)
    assert not profile.portal_enabled
    assert (profile.portal, profile.access.status) == ("off", "off")
    assert profile.access.turned_off_by == desk.name
    assert profile.access.turned_off_at == dt.datetime(2026, 6, 15, 9, tzinfo=dt.UTC)
    with pytest.raises(PortalTurnedOff) as caught:
        reset_portal_password(desk, made.patient.id)
    assert caught.value.detail == "Turn on portal access first."


def test_access_that_is_turned_on_again_has_the_password_it_had(desk):
    made = factories.make_patient(desk, portal_email="amina@example.com")
    factories.own_password(made)
    turn_off_portal(desk, made.patient.id)
    assert turn_on_portal(desk, made.patient.id).portal_enabled is True
    assert sign_in(PATIENT_DOOR, "amina@example.com", factories.OWN_PASSWORD).actor.patient_id == made.patient.id
    profile = reread_patient(desk, made.patient.id)
    assert (profile.portal_enabled, profile.access.status) == (True, "active")
    assert (profile.access.turned_off_at, profile.access.turned_off_by) == (None, "")


def test_turning_off_or_on_twice_changes_nothing_the_second_time(desk):
    patient = factories.make_patient(desk, portal_email="amina@example.com").patient
    for use_case, action in ((turn_off_portal, "PORTAL_TURNED_OFF"), (turn_on_portal, "PORTAL_TURNED_ON")):
        use_case(desk, patient.id)
        once = tools.dump(without=tools.TRAIL)
        use_case(desk, patient.id)
        assert tools.dump(without=tools.TRAIL) == once
        assert len(tools.trail(action)) == 1


def test_portal_enabled_is_true_exactly_while_an_active_account_is_linked(desk):
    def consistent() -> bool:
        return not tools.raw(
            "SELECT 1 FROM patients p LEFT JOIN accounts a ON a.patient_id = p.id AND a.is_active "
            "WHERE p.portal_enabled <> (a.id IS NOT NULL)"
        )

    plain, made = factories.make_patient(desk), factories.make_patient(desk, portal_email="amina@example.com")
    assert consistent()
    create_portal_account(desk, plain.patient.id, _request("other@example.com"))
    assert consistent()
    turn_off_portal(desk, made.patient.id)
    assert consistent()
    turn_on_portal(desk, made.patient.id)
    reset_portal_password(desk, made.patient.id)
    assert consistent()


def test_printing_credentials_is_recorded(desk):
    patient = factories.make_patient(desk, portal_email="amina@example.com").patient
    note_printed(desk, patient.patient_id)
    event = tools.trail()[-1]
    assert (event["action"], event["resource_id"], event["metadata"]) == ("CREDENTIALS_PRINTED", patient.id, {})
    with pytest.raises(PatientNotFound):
        note_printed(desk, "LMC999999")
