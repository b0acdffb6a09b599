"""Another email for the same portal account: what changes, what is refused, what is kept."""

from __future__ import annotations

import collections
import datetime as dt

import pytest
import structlog
from sqlalchemy.exc import IntegrityError

from clinic_app.core import crypto, db
from clinic_app.core.errors import ClinicError, TooManyAttempts, Unexpected
from clinic_app.services.access import Actor
from clinic_app.services.accounts import sessions, tokens
from clinic_app.services.accounts.errors import InvalidCredentials, TokenRefused
from clinic_app.services.accounts.portal_accounts import former_usernames, formerly_named
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from clinic_app.services.audit import authorization, chain
from clinic_app.services.patients.duplicates.holding import ANYBODY
from clinic_app.services.patients.errors import PatientNotFound
from clinic_app.services.patients.forms import PatientRegistration
from clinic_app.services.patients.profile import reread_patient
from clinic_app.services.patients.registration import register_patient
from clinic_app.services.portal import provisioning
from clinic_app.services.portal.errors import (
    EmailInUse,
    NoPortalAccount,
    PortalAccessChanged,
    PortalAccountExists,
    PortalTurnedOff,
)
from clinic_app.services.portal.forms import ChangePortalUsername, PortalAccountRequest
from clinic_app.services.portal.provisioning import (
    change_portal_username,
    create_portal_account,
    reset_portal_password,
    turn_off_portal,
    turn_on_portal,
)
from clinic_app.services.portal.views import PortalCreated
from tests import factories
from tests.db import tools

TYPED, MEANT = "amina@gmial.com", "amina@gmail.com"


def _to(email: str = MEANT) -> ChangePortalUsername:
    return ChangePortalUsername.parse({"email": email})


def _former(patient_id: int) -> tuple[str, ...]:
    with db.reading() as session:
        return former_usernames(session, patient_id)


def _once(username: str) -> list[int]:
    """The patients whose account had this username before."""
    with db.reading() as session:
        return sorted(session.execute(formerly_named(username)).scalars())


@pytest.fixture
def amina(clock, desk):
    """A patient whose portal email has a slip in it. The clock stands still."""
    return factories.make_patient(desk, portal_email=TYPED)


# --- what changes -------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["id", "patient_id"])
def test_the_account_gets_the_email_and_a_new_temporary_password(clock, desk, amina, by):
    factories.own_password(amina)
    before = tools.raw("SELECT id, phone, full_name FROM accounts WHERE patient_id = :id", id=amina.patient.id)
    clock.shift(60)
    done = change_portal_username(desk, getattr(amina.patient, by), _to("Amina@GMAIL.com"))
    assert done.message == "Portal username changed successfully"
    assert done.credentials.username == MEANT
    assert done.credentials.login_url == "/patient-portal/login"
    assert done.credentials.expires_at == dt.datetime(2026, 6, 17, 9, 1, tzinfo=dt.UTC)
    assert (done.patient.patient_id, done.patient.portal_enabled) == (amina.patient.patient_id, True)
    assert before == tools.raw("SELECT id, phone, full_name FROM accounts WHERE username = :u", u=MEANT)
    profile = reread_patient(desk, amina.patient.id)
    assert (profile.access.status, profile.access.username) == ("temporary", MEANT)
    assert (profile.email, profile.version) == (TYPED, 1)  # the patient's own email is another matter
    signed_in = sign_in(PATIENT_DOOR, MEANT, done.credentials.temporary_password)
    assert signed_in.actor.patient_id == amina.patient.id
    assert signed_in.actor.must_choose_password
    for username in (TYPED, MEANT):
        for password in (amina.credentials.temporary_password, factories.OWN_PASSWORD):
            with pytest.raises(InvalidCredentials):
                sign_in(PATIENT_DOOR, username, password)
    with pytest.raises(InvalidCredentials):
        sign_in(PATIENT_DOOR, TYPED, done.credentials.temporary_password)
    assert done.credentials.temporary_password not in str(tools.dump())


def test_it_is_recorded_with_the_new_username(desk, amina):
    change_portal_username(desk, amina.patient.id, _to())
    event = tools.trail()[-1]
    assert (event["action"], event["outcome"], event["actor_id"]) == (
        "PORTAL_USERNAME_CHANGED",
        "success",
        desk.account_id,
    )
    assert (event["resource_type"], event["resource_id"]) == ("patient", amina.patient.id)
    assert event["metadata"] == {"portal_username": MEANT}
    assert chain.verify().ok


def test_all_sessions_and_tokens_end(desk, amina):
    factories.own_password(amina)
    page = crypto.digest(sign_in(PATIENT_DOOR, TYPED, factories.OWN_PASSWORD).token)
    pair = tokens.issue_tokens(TYPED, factories.OWN_PASSWORD)
    other = factories.make_patient(desk, portal_email="other@example.com").credentials
    bystander = crypto.digest(sign_in(PATIENT_DOOR, other.username, other.temporary_password).token)
    assert sessions.resolve(page).patient_id == tokens.resolve_access(pair.access).patient_id == amina.patient.id
    change_portal_username(desk, amina.patient.id, _to())
    assert sessions.resolve(page).kind == "anonymous"
    for use, token in ((tokens.resolve_access, pair.access), (tokens.refresh_tokens, pair.refresh)):
        with pytest.raises(TokenRefused):
            use(token)
    assert sessions.resolve(bystander).kind == "account"
    reasons = tools.raw("SELECT DISTINCT end_reason FROM login_sessions WHERE ended_at IS NOT NULL")
    assert "username changed" in {row[0] for row in reasons}


@pytest.mark.parametrize("locked", [TYPED, MEANT])
def test_a_lock_is_lifted_under_both_names(desk, amina, locked):
    def tries(username: str) -> None:
        for _ in range(6):
            with pytest.raises((InvalidCredentials, TooManyAttempts)):
                sign_in(PATIENT_DOOR, username, "wrong")

    tries(locked)
    with pytest.raises(TooManyAttempts):
        sign_in(PATIENT_DOOR, locked, amina.credentials.temporary_password)
    done = change_portal_username(desk, amina.patient.id, _to())
    assert sign_in(PATIENT_DOOR, MEANT, done.credentials.temporary_password)
    with pytest.raises(InvalidCredentials):  # nobody's any more, and nothing counted against whoever gets it next
        sign_in(PATIENT_DOOR, TYPED, amina.credentials.temporary_password)


def test_a_temporary_password_that_wrong_tries_have_killed_is_replaced(desk, amina):
    for n in range(10):
        with tools.from_address(f"198.51.100.{n}"), pytest.raises(InvalidCredentials):
            sign_in(PATIENT_DOOR, TYPED, "wrong")
    assert reread_patient(desk, amina.patient.id).access.status == "expired"
    done = change_portal_username(desk, amina.patient.id, _to())
    assert reread_patient(desk, amina.patient.id).access.status == "temporary"
    assert sign_in(PATIENT_DOOR, MEANT, done.credentials.temporary_password)


def test_the_hash_is_made_outside_of_any_transaction(desk, amina, hashing):
    change_portal_username(desk, amina.patient.id, _to())
    assert len(hashing.made) == 1
    assert hashing.inside == []


# --- the former username ------------------------------------------------------------------------


def test_the_former_username_is_free_for_its_owner_and_still_finds_the_patient(clock, desk, amina):
    owner = factories.make_patient(desk).patient
    with pytest.raises(EmailInUse):
        create_portal_account(desk, owner.id, PortalAccountRequest(TYPED))
    clock.shift(60)
    change_portal_username(desk, amina.patient.id, _to())
    assert (_former(amina.patient.id), _once(TYPED), _once(MEANT)) == ((TYPED,), [amina.patient.id], [])
    done = create_portal_account(desk, owner.id, PortalAccountRequest(TYPED))
    assert sign_in(PATIENT_DOOR, TYPED, done.credentials.temporary_password).actor.patient_id == owner.id
    assert _once(TYPED) == [amina.patient.id]
    change_portal_username(desk, owner.id, _to("owner@example.com"))
    assert _once(TYPED) == sorted([amina.patient.id, owner.id])
    assert tools.raw("SELECT count(*) FROM former_usernames")[0][0] == 2


def test_usernames_that_come_and_go_are_kept_once_and_the_present_one_is_no_former_one(clock, desk, amina):
    third = "amina.o@example.com"
    for email in (MEANT, third, TYPED, MEANT):
        clock.shift(60)
        change_portal_username(desk, amina.patient.id, _to(email))
    assert _former(amina.patient.id) == (TYPED, third)
    assert _once(MEANT) == []
    ended = tools.raw("SELECT ended_at FROM former_usernames WHERE username = :u", u=TYPED)[0][0]
    assert "09:04" in str(ended)  # the last time, not the first
    assert _former(factories.make_patient(desk).patient.id) == ()


# --- what is refused ----------------------------------------------------------------------------


def _refused(desk, patient_id, form, error: type[ClinicError], drawn: str | None = None) -> ClinicError:
    """It is refused, nothing changes, and one event says why."""
    before, seq = tools.dump(without=tools.TRAIL), tools.last_seq()
    with pytest.raises(error) as caught:
        change_portal_username(desk, patient_id, form, drawn)
    assert tools.dump(without=tools.TRAIL) == before
    events = tools.trail(after=seq)
    assert [(event["action"], event["outcome"]) for event in events] == [("PORTAL_USERNAME_CHANGE_FAILED", "failure")]
    assert events[0]["metadata"] == {"reason": caught.value.code}
    return caught.value


@pytest.mark.parametrize("email", ["taken@example.com", "Taken@EXAMPLE.com"])
def test_an_email_of_another_account_is_refused(desk, amina, email):
    factories.make_patient(desk, portal_email="taken@example.com")
    error = _refused(desk, amina.patient.id, _to(email), EmailInUse)
    assert error.title == "Email already in use"
    assert error.detail == "A portal account with this email already exists. Please use a different email."
    assert list(error.fields) == ["email"]


def test_the_username_it_has_already_is_refused_by_name(desk, amina):
    error = _refused(desk, amina.patient.id, _to(TYPED.upper()), PortalAccountExists)
    assert error.detail == f"This patient already has a portal account with username: {TYPED}"
    assert error.extra() == {"existing_username": TYPED}


def test_without_an_account_or_with_one_that_is_off_there_is_nothing_to_change(desk, amina):
    plain = factories.make_patient(desk).patient
    assert _refused(desk, plain.id, _to(), NoPortalAccount).detail == "This patient has no portal account yet."
    turn_off_portal(desk, amina.patient.id)
    assert _refused(desk, amina.patient.id, _to(), PortalTurnedOff).detail == "Turn on portal access first."
    for key in (999999, "LMC999999", "", True, None):
        _refused(desk, key, _to(), PatientNotFound)


def test_what_was_drawn_for_other_access_changes_nothing(clock, desk, amina):
    others = [factories.make_patient_with_access(desk, standing).patient for standing in factories.STANDINGS]
    clock.shift(60)
    drawn = reread_patient(desk, amina.patient.id).access.stamp
    for stamp in ["", "0-none-", *(reread_patient(desk, other.id).access.stamp for other in others)]:
        _refused(desk, amina.patient.id, _to(), PortalAccessChanged, stamp)
    change_portal_username(desk, amina.patient.id, _to(), drawn)
    assert reread_patient(desk, amina.patient.id).access.stamp != drawn
    _refused(desk, amina.patient.id, _to(TYPED), PortalAccessChanged, drawn)


def test_a_clash_that_only_the_constraint_sees_gets_the_same_words(desk, amina, monkeypatch):
    factories.make_patient(desk, portal_email="taken@example.com")
    monkeypatch.setattr(provisioning, "refuse_username", lambda *_: None)  # both looks come too early
    _refused(desk, amina.patient.id, _to("taken@example.com"), EmailInUse)


def test_an_unforeseen_constraint_is_unexpected(desk, amina, monkeypatch):
    monkeypatch.setattr(provisioning, "normal_username", str.upper)
    with structlog.testing.capture_logs():
        error = _refused(desk, amina.patient.id, _to(), Unexpected)
    assert error.title == "Failed to change portal username"
    assert not isinstance(error, IntegrityError)


def test_an_account_that_was_given_another_username_meanwhile_stays_as_it_is(desk, amina, monkeypatch):
    real = provisioning.prepare_credentials

    def slowly(username):
        monkeypatch.setattr(provisioning, "prepare_credentials", real)
        change_portal_username(desk, amina.patient.id, _to("quicker@example.com"))
        return real(username)

    monkeypatch.setattr(provisioning, "prepare_credentials", slowly)
    with pytest.raises(PortalAccessChanged) as caught:
        change_portal_username(desk, amina.patient.id, _to())
    assert caught.value.detail == "Portal access changed meanwhile. Nothing was changed."
    assert reread_patient(desk, amina.patient.id).access.username == "quicker@example.com"


def test_a_reset_never_shows_a_username_that_the_account_has_lost_meanwhile(desk, amina, monkeypatch):
    real, quicker = provisioning.prepare_credentials, []

    def slowly(username):
        monkeypatch.setattr(provisioning, "prepare_credentials", real)
        quicker.append(change_portal_username(desk, amina.patient.id, _to()).credentials)
        return real(username)

    monkeypatch.setattr(provisioning, "prepare_credentials", slowly)
    with pytest.raises(PortalAccessChanged):
        reset_portal_password(desk, amina.patient.id)
    assert sign_in(PATIENT_DOOR, MEANT, quicker[0].temporary_password)


@pytest.mark.parametrize("step", ["change_username", "put_temporary_password", "record"])
@pytest.mark.parametrize("after", [False, True])
def test_whatever_step_fails_the_account_stays_as_it_was(desk, amina, monkeypatch, step, after):
    before, real = tools.dump(), getattr(provisioning, step)

    def broken(*args, **kwargs):
        if after:
            real(*args, **kwargs)
        raise RuntimeError(MEANT)

    monkeypatch.setattr(provisioning, step, broken)
    if step == "record":  # then the failure cannot be recorded either
        monkeypatch.setattr(authorization, step, broken)
    with structlog.testing.capture_logs() as lines, pytest.raises(Unexpected) as caught:
        change_portal_username(desk, amina.patient.id, _to())
    assert caught.value.detail.startswith("Please try again. Reference: ")
    assert MEANT not in str(lines)
    assert {**tools.dump(), **{table: before[table] for table in tools.TRAIL}} == before
    monkeypatch.undo()
    assert sign_in(PATIENT_DOOR, TYPED, amina.credentials.temporary_password)


# --- at the same moment, with real commits ------------------------------------------------------


@pytest.fixture
def grace(own_database) -> Actor:
    """A receptionist in a database of its own."""
    return factories.make_staff(username="grace")


def _kinds(results) -> dict[str, int]:
    return dict(collections.Counter(type(result).__name__ for result in results))


def _opened(username: str, passwords: list[str]) -> int:
    """How many of ``passwords`` open the account."""
    opened = 0
    for n, password in enumerate(passwords):
        with tools.from_address(f"198.51.100.{n}"):
            try:
                opened += bool(sign_in(PATIENT_DOOR, username, password))
            except InvalidCredentials:
                continue
    return opened


@pytest.mark.races
def test_of_eight_accounts_that_want_one_email_one_gets_it(grace):
    made = [factories.make_patient(grace, portal_email=f"p{n}@example.com").patient for n in range(8)]
    results = tools.at_once(*[lambda p=patient: change_portal_username(grace, p.id, _to()) for patient in made])
    assert _kinds(results) == {"PortalCreated": 1, "EmailInUse": 7}, results
    assert len(tools.trail("PORTAL_USERNAME_CHANGED")) == 1
    assert tools.number("SELECT count(*) FROM former_usernames") == 1
    assert tools.number("SELECT count(*) FROM accounts WHERE role = 'PATIENT' AND username LIKE 'p%'") == 7
    assert chain.verify().ok


@pytest.mark.races
def test_changing_registering_and_giving_access_race_for_one_email(grace):
    changed = [factories.make_patient(grace, portal_email=f"p{n}@example.com").patient for n in range(3)]
    given = [factories.make_patient(grace).patient for _ in range(3)]
    jobs = [lambda p=p: change_portal_username(grace, p.id, _to()) for p in changed]
    jobs += [lambda p=p: create_portal_account(grace, p.id, PortalAccountRequest(MEANT)) for p in given]
    for _ in range(2):
        form = PatientRegistration.parse(factories.registration(create_portal_account=True, portal_email=MEANT))
        jobs.append(lambda form=form: register_patient(grace, form, despite=ANYBODY))
    kinds = _kinds(tools.at_once(*jobs))
    assert kinds.pop("PortalCreated", 0) + kinds.pop("Registered", 0) == 1
    assert set(kinds) <= {"EmailInUse", "PortalEmailTaken"}, kinds
    assert tools.number("SELECT count(*) FROM accounts WHERE username = :u", u=MEANT) == 1


@pytest.mark.races
def test_of_eight_who_change_one_account_only_the_last_ones_password_opens(grace):
    made = factories.make_patient(grace, portal_email=TYPED)
    emails = [f"amina{n}@example.com" for n in range(8)]
    results = tools.at_once(*[lambda e=e: change_portal_username(grace, made.patient.id, _to(e)) for e in emails])
    won = [result for result in results if isinstance(result, PortalCreated)]
    assert set(_kinds(results)) <= {"PortalCreated", "PortalAccessChanged"}, results
    username = reread_patient(grace, made.patient.id).access.username
    last = [result for result in won if result.credentials.username == username]
    assert len(last) == 1
    assert len(tools.trail("PORTAL_USERNAME_CHANGED")) == len(won)
    passwords = [made.credentials.temporary_password, *(one.credentials.temporary_password for one in won)]
    assert _opened(username, passwords) == 1
    assert sorted(_former(made.patient.id)) == sorted({TYPED, *(one.credentials.username for one in won)} - {username})


@pytest.mark.races
def test_of_eight_who_decide_from_one_look_one_wins(grace):
    patient = factories.make_patient(grace, portal_email=TYPED).patient.id
    drawn = reread_patient(grace, patient).access.stamp
    jobs = [lambda n=n: change_portal_username(grace, patient, _to(f"amina{n}@example.com"), drawn) for n in range(4)]
    jobs += [lambda: reset_portal_password(grace, patient, drawn), lambda: turn_off_portal(grace, patient, drawn)] * 2
    kinds = _kinds(tools.at_once(*jobs))
    assert kinds.pop("PortalCreated", 0) + kinds.pop("PortalSwitched", 0) == 1
    assert set(kinds) == {"PortalAccessChanged"}, kinds


@pytest.mark.races
def test_changes_resets_and_switches_at_once_leave_one_password(grace):
    made = factories.make_patient(grace, portal_email=TYPED)
    patient = made.patient.id
    results = tools.at_once(
        lambda: change_portal_username(grace, patient, _to()),
        lambda: reset_portal_password(grace, patient),
        lambda: turn_off_portal(grace, patient),
        lambda: change_portal_username(grace, patient, _to("other@example.com")),
        lambda: reset_portal_password(grace, patient),
        lambda: turn_on_portal(grace, patient),
    )
    allowed = {"PortalCreated", "PortalTurnedOff", "PortalSwitched", "PortalAccessChanged"}
    assert set(_kinds(results)) <= allowed, results
    turn_on_portal(grace, patient)
    passwords = [made.credentials.temporary_password]
    passwords += [result.credentials.temporary_password for result in results if isinstance(result, PortalCreated)]
    assert _opened(reread_patient(grace, patient).access.username, passwords) == 1
    assert chain.verify().ok


@pytest.mark.races
def test_a_username_that_becomes_free_goes_to_one_of_those_who_wait_for_it(grace):
    made = factories.make_patient(grace, portal_email=TYPED).patient
    waiting = [factories.make_patient(grace).patient for _ in range(4)]
    jobs = [lambda: change_portal_username(grace, made.id, _to())]
    jobs += [lambda p=p: create_portal_account(grace, p.id, PortalAccountRequest(TYPED)) for p in waiting]
    first, *others = tools.at_once(*jobs)
    assert isinstance(first, PortalCreated)
    assert set(_kinds(others)) <= {"PortalCreated", "EmailInUse"}, others
    assert tools.number("SELECT count(*) FROM accounts WHERE username = :u", u=TYPED) == _kinds(others).get(
        "PortalCreated", 0
    )
    assert _kinds(others).get("PortalCreated", 0) <= 1
