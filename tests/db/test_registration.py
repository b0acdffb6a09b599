"""Registering a patient: all of it or nothing, in exact words, and what it costs."""

from __future__ import annotations

import contextlib
import datetime as dt

import pytest
import structlog

from clinic_app.core import crypto, db
from clinic_app.core.errors import ErrorKind, InvalidInput, Unavailable, Unexpected
from clinic_app.services.accounts.portal_accounts import prepare_credentials
from clinic_app.services.accounts.signing_in import normal_username
from clinic_app.services.audit import authorization
from clinic_app.services.patients import registration, repository
from clinic_app.services.patients.duplicates.holding import ANYBODY
from clinic_app.services.patients.errors import (
    ConstraintViolated,
    NationalIdTaken,
    PatientDetailsTaken,
    PortalEmailTaken,
)
from clinic_app.services.patients.forms import PatientRegistration
from tests import factories
from tests.db import tools


def _form(**changes) -> PatientRegistration:
    return PatientRegistration.parse(factories.registration(**changes))


def _with_portal(email="amina@example.com", **changes) -> PatientRegistration:
    return _form(create_portal_account=True, portal_email=email, **changes)


def _nothing_happened(before, *, reason: str) -> None:
    """All tables are as they were, but for one event that says why."""
    after = tools.dump(without=("audit_head",))
    events = after.pop("audit_events")
    before = {**before}
    before.pop("audit_head", None)
    earlier = before.pop("audit_events")
    assert after == before
    assert len(events) == len(earlier) + 1
    event = tools.trail()[-1]
    assert (event["action"], event["outcome"]) == ("PATIENT_CREATE_FAILED", "failure")
    assert event["metadata"] == {"reason": reason}


# --- what is saved ------------------------------------------------------------------------------


def test_a_patient_is_saved_as_it_was_given(desk):
    done = registration.register_patient(
        desk, _form(first_name="Zawadi", last_name="Njeri", email="Z@Example.com"), despite=ANYBODY
    )
    assert done.message == "Patient registered successfully"
    assert done.credentials is None
    row = tools.raw("SELECT * FROM patients WHERE id = :id", id=done.patient.id)[0]
    assert (row.first_name, row.last_name, row.gender) == ("Zawadi", "Njeri", "FEMALE")
    assert (row.phone, row.email, row.next_of_kin_phone) == ("+254712445901", "Z@example.com", "+254722910448")
    assert str(row.date_of_birth) == "1988-03-14"
    assert row.verification_status == "VERIFIED"
    assert row.is_active
    assert not row.portal_enabled
    assert row.registered_by_id == desk.account_id
    assert done.patient.name == "Zawadi Njeri"
    assert done.patient.registered_by == desk.name
    assert done.patient.portal == done.patient.access.status == "none"
    assert done.patient.created_at.tzinfo is dt.UTC
    assert tools.number("SELECT count(*) FROM accounts WHERE role = 'PATIENT'") == 0


def test_the_portal_account_is_saved_with_the_patient(clock, desk):
    done = registration.register_patient(
        desk, _with_portal("Amina@Example.com", portal_phone="0733 100 200"), despite=ANYBODY
    )
    assert done.message == "Patient registered successfully with portal account"
    assert done.credentials is not None
    assert done.credentials.username == "amina@example.com"
    assert done.credentials.login_url == "/patient-portal/login"
    account = tools.raw("SELECT * FROM accounts WHERE patient_id = :id", id=done.patient.id)[0]
    assert (account.username, account.role, account.full_name) == ("amina@example.com", "PATIENT", done.patient.name)
    assert account.phone == "+254733100200"
    assert account.is_active
    assert account.password_temporary
    assert account.created_by_id == desk.account_id
    assert crypto.verify_password(done.credentials.temporary_password, account.password_hash)
    assert done.patient.portal_enabled
    assert tools.number("SELECT count(*) FROM patients WHERE portal_enabled AND id = :id", id=done.patient.id) == 1
    assert done.patient.access.status == done.patient.portal == "temporary"
    assert done.patient.access.username == "amina@example.com"
    noon = dt.datetime(2026, 6, 15, 9, tzinfo=dt.UTC)
    assert done.credentials.expires_at == done.patient.access.expires_at == noon + dt.timedelta(hours=48)


def test_the_life_of_a_temporary_password_is_a_setting(change_setting, clock, desk):
    change_setting("CLINIC_TEMPORARY_PASSWORD_HOURS", "5")
    done = registration.register_patient(desk, _with_portal(), despite=ANYBODY)
    assert done.credentials is not None
    assert done.credentials.expires_at == dt.datetime(2026, 6, 15, 14, tzinfo=dt.UTC)


@pytest.mark.asvs("6.4.1", "14.2.7")
def test_the_temporary_password_is_kept_nowhere(desk):
    done = registration.register_patient(desk, _with_portal(), despite=ANYBODY)
    assert done.credentials is not None
    assert done.credentials.temporary_password not in str(tools.dump())


def test_empty_email_and_phone_are_filled_from_the_portals(desk):
    done = registration.register_patient(
        desk, _with_portal(email="P@example.com", phone="", portal_phone="0733100200"), despite=ANYBODY
    )
    assert (done.patient.email, done.patient.phone) == ("P@example.com", "+254733100200")
    text = tools.raw("SELECT search_keys FROM patients WHERE id = :id", id=done.patient.id)[0][0]
    assert " p@example.com " in text
    assert " 0733100200 " in text


def test_email_and_phone_of_the_patient_stay_where_they_are_given(desk):
    data = factories.registration(
        email="own@example.com", create_portal_account=True, portal_email="p@example.com", portal_phone="0733100200"
    )
    done = registration.register_patient(desk, PatientRegistration.parse(data))
    assert (done.patient.email, done.patient.phone) == ("own@example.com", "+254712445901")


# --- patient IDs --------------------------------------------------------------------------------


def test_patient_ids_are_six_digits_and_grow_by_one(desk):
    ids = [registration.register_patient(desk, _form(), despite=ANYBODY).patient.patient_id for _ in range(3)]
    first = int(ids[0].removeprefix("LMC"))
    assert ids == [f"LMC{first + step:06d}" for step in range(3)]


def test_patient_ids_go_on_with_seven_digits(desk):
    tools.write("UPDATE counters SET value = 999998 WHERE name = 'patient_id'")
    ids = [registration.register_patient(desk, _form(), despite=ANYBODY).patient.patient_id for _ in range(3)]
    assert ids == ["LMC999999", "LMC1000000", "LMC1000001"]


def test_the_prefix_of_patient_ids_is_a_setting_and_the_number_goes_on(change_setting, desk):
    first = registration.register_patient(desk, _form(), despite=ANYBODY).patient.patient_id
    change_setting("CLINIC_PATIENT_ID_PREFIX", "KSM")
    number = int(first.removeprefix("LMC"))
    assert registration.register_patient(desk, _form(), despite=ANYBODY).patient.patient_id == f"KSM{number + 1:06d}"


def test_a_failed_registration_does_not_make_two_patients_share_a_number(desk, monkeypatch):
    before = registration.register_patient(desk, _form(national_id="NID-1"), despite=ANYBODY).patient.patient_id
    with pytest.raises(NationalIdTaken):
        registration.register_patient(desk, _form(national_id="nid1"), despite=ANYBODY)
    after = registration.register_patient(desk, _form(), despite=ANYBODY).patient.patient_id
    assert after > before


# --- what clashes -------------------------------------------------------------------------------


@pytest.mark.parametrize("again", ["taken@example.com", "TAKEN@Example.COM"])
@pytest.mark.parametrize("looked", [True, False])
def test_a_portal_email_of_another_account_is_refused_by_a_look_and_by_the_constraint(desk, monkeypatch, again, looked):
    factories.make_patient(desk, portal_email="taken@example.com")
    if not looked:  # as when the other registration commits after the look
        monkeypatch.setattr(
            registration, "_credentials", lambda form: prepare_credentials(normal_username(form.portal_email))
        )
    before = tools.dump()
    with pytest.raises(PortalEmailTaken) as caught:
        registration.register_patient(desk, _with_portal(again), despite=ANYBODY)
    assert caught.value.title == "A portal account with this email already exists."
    assert caught.value.detail == "Please use a different email address for the patient portal."
    assert list(caught.value.fields) == ["portal_email"]
    _nothing_happened(before, reason="portal_email_taken")


def test_a_portal_email_that_is_a_staff_username_is_refused(database):
    desk = factories.make_staff(username="grace@example.com")
    with pytest.raises(PortalEmailTaken):
        registration.register_patient(desk, _with_portal("Grace@example.com"), despite=ANYBODY)


def test_the_look_for_a_taken_email_saves_the_hash(desk, hashing):
    factories.make_patient(desk, portal_email="taken@example.com")
    hashing.made.clear()
    with pytest.raises(PortalEmailTaken):
        registration.register_patient(desk, _with_portal("taken@example.com"), despite=ANYBODY)
    assert hashing.made == []


@pytest.mark.parametrize("again", ["2784-0001 AB", "27840001ab", "2784 0001AB"])
def test_a_national_id_of_another_patient_is_refused_however_it_is_spelt(desk, again):
    factories.make_patient(desk, national_id="2784 0001 AB")
    before = tools.dump()
    with pytest.raises(NationalIdTaken) as caught:
        registration.register_patient(desk, _with_portal(national_id=again), despite=ANYBODY)
    assert caught.value.title == "A patient with this national ID already exists."
    assert caught.value.detail == "Please verify the national ID or search for existing patient."
    assert list(caught.value.fields) == ["national_id"]
    _nothing_happened(before, reason="national_id_taken")


def test_a_national_id_stays_taken_by_an_inactive_patient(desk):
    factories.make_patient(desk, national_id="NID-7")
    tools.write("UPDATE patients SET is_active = false")
    with pytest.raises(NationalIdTaken):
        registration.register_patient(desk, _form(national_id="NID 7"), despite=ANYBODY)


def test_patients_without_a_national_id_do_not_clash(desk):
    for _ in range(2):
        registration.register_patient(desk, _form(national_id=None), despite=ANYBODY)


def test_a_patient_id_that_is_already_there_is_told_in_words(desk):
    factories.make_patient(desk)
    tools.write("UPDATE counters SET value = value - 1 WHERE name = 'patient_id'")
    before = tools.dump()
    with pytest.raises(PatientDetailsTaken) as caught:
        registration.register_patient(desk, _form(), despite=ANYBODY)
    assert caught.value.title == "A patient with these details already exists."
    assert caught.value.detail == "This patient ID has already been assigned."
    _nothing_happened(before, reason="patient_details_taken")


def test_another_constraint_is_told_without_the_drivers_words(desk, monkeypatch):
    monkeypatch.setattr(registration, "normal_username", str.upper)  # usernames are lower case: a check says so
    before = tools.dump()
    with pytest.raises(ConstraintViolated) as caught:
        registration.register_patient(desk, _with_portal(), despite=ANYBODY)
    assert caught.value.title == "Database constraint violation."
    assert caught.value.detail == "The details break a rule of the register. Nothing was saved."
    _nothing_happened(before, reason="constraint_violated")


def test_a_portal_account_that_is_asked_for_without_email_is_never_left_out(desk):
    form = PatientRegistration(first_name="Amina", last_name="Odhiambo", create_portal_account=True)
    before = tools.dump()
    with pytest.raises(InvalidInput) as caught:
        registration.register_patient(desk, form)
    assert caught.value.fields == {"portal_email": "Email is required when creating a patient portal account."}
    _nothing_happened(before, reason="invalid_input")


# --- what goes wrong ----------------------------------------------------------------------------


def _breaks(monkeypatch, step: str) -> None:
    """Make one step of a registration fail, once."""
    where, name, after = {
        "the number": (registration, "_next_patient_id", True),
        "the keys": (repository, "keys_for_finding", False),
        "the account": (registration, "add_portal_account", False),
        "after the account": (registration, "add_portal_account", True),
        "the audit event": (registration, "record", False),
        "after the audit event": (registration, "record", True),
    }[step]
    real = getattr(where, name)

    def broken(*args, **kwargs):
        if after:
            real(*args, **kwargs)
        monkeypatch.setattr(where, name, real)
        raise RuntimeError("Odhiambo 0712 445 901")

    monkeypatch.setattr(where, name, broken)


@pytest.mark.asvs("2.3.3")
@pytest.mark.parametrize(
    "step",
    ["the number", "the keys", "the account", "after the account", "the audit event", "after the audit event"],
)
def test_whatever_step_fails_nothing_remains(desk, monkeypatch, step):
    before = tools.dump()
    _breaks(monkeypatch, step)
    with pytest.raises(Unexpected):
        registration.register_patient(desk, _with_portal(), despite=ANYBODY)
    _nothing_happened(before, reason="unexpected")
    assert registration.register_patient(desk, _with_portal(), despite=ANYBODY).credentials is not None


def test_a_commit_that_fails_leaves_nothing(desk, monkeypatch):
    before, failed = tools.dump(), []

    def refuse(session):
        if not failed and any("PATIENT_CREATED" in str(row) for row in tools.trail()[-1:]):
            failed.append(1)
            raise OSError("disk full")

    transaction = db.transaction

    @contextlib.contextmanager
    def failing(**how):
        with transaction(**how) as session:
            yield session
            refuse(session)

    monkeypatch.setattr(db, "transaction", failing)
    with pytest.raises(Unexpected):
        registration.register_patient(desk, _with_portal(), despite=ANYBODY)
    assert failed
    _nothing_happened(before, reason="unexpected")


def test_an_interruption_leaves_nothing(desk, monkeypatch):
    before = tools.dump()

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(registration, "record", interrupt)
    with pytest.raises(KeyboardInterrupt):
        registration.register_patient(desk, _with_portal(), despite=ANYBODY)
    assert tools.dump() == before


def test_a_hash_that_cannot_be_made_leaves_nothing(desk, monkeypatch):
    def busy(*_, **__):
        raise Unavailable

    before = tools.dump()
    monkeypatch.setattr(crypto, "hash_password", busy)
    with pytest.raises(Unavailable):
        registration.register_patient(desk, _with_portal(), despite=ANYBODY)
    _nothing_happened(before, reason="unavailable")


def test_the_unexpected_is_told_with_a_reference_and_logged_under_it_without_values(desk, request_id, monkeypatch):
    _breaks(monkeypatch, "the account")
    with structlog.testing.capture_logs() as lines, pytest.raises(Unexpected) as caught:
        registration.register_patient(desk, _with_portal(), despite=ANYBODY)
    assert caught.value.kind == ErrorKind.UNEXPECTED
    assert caught.value.title == "Failed to create patient"
    assert caught.value.detail == f"Please try again. Reference: {request_id}"
    assert caught.value.__suppress_context__
    assert len(lines) == 1
    assert lines[0]["request_id"] == request_id
    assert lines[0]["error"] == "RuntimeError"
    assert "test_registration.py" in lines[0]["at"]
    assert "Odhiambo" not in str(lines)
    event = tools.trail("PATIENT_CREATE_FAILED")[-1]
    assert event["request_id"] == request_id


@pytest.mark.asvs("16.5.3")
def test_when_the_trail_itself_fails_the_desk_still_gets_a_sentence(desk, monkeypatch):
    def broken(*_, **__):
        raise OSError

    monkeypatch.setattr(registration, "record", broken)
    monkeypatch.setattr(authorization, "record", broken)
    before = tools.dump()
    with structlog.testing.capture_logs() as lines, pytest.raises(Unexpected) as caught:
        registration.register_patient(desk, _form(), despite=ANYBODY)
    assert caught.value.title == "Failed to create patient"
    assert len(lines) == 2
    assert tools.dump() == before


# --- how ----------------------------------------------------------------------------------------


ACTOR_CHECK = "LEFT OUTER JOIN login_sessions"
INDEX = "INSERT INTO name_part_changes"
#: Who may be the same person: numbers given out so far, how common the names are, and the keys.
MATCHER = ("SELECT counters", "FROM name_parts", "match_keys")


def _own(seen: list[str]) -> list[str]:
    """Statements but for the counter, the head of the trail, the check of the actor, names, and the matcher."""
    others = ("counters", "audit_head", ACTOR_CHECK, INDEX, *MATCHER)
    return [statement for statement in seen if not any(one in statement for one in others)]


def _matchers(statement: str) -> bool:
    return any(one in statement for one in MATCHER)


def test_the_matcher_sends_four_statements_and_one_more_where_somebody_is_overruled(desk):
    form = _form(national_id=None)
    with tools.statements() as seen:
        registration.register_patient(desk, form)
    assert len([one for one in seen if _matchers(one)]) == 4, seen  # the last keeps the keys
    with tools.statements() as again:
        registration.register_patient(desk, form, despite=ANYBODY)
    kept = [one for one in again if "waiting_comparisons" not in one]
    alone = [one for one in seen if "waiting_comparisons" not in one]  # who is like nobody need not be compared again
    assert len(kept) == len(alone) + 1, again  # their patient IDs


def test_without_a_portal_account_at_most_three_statements_are_sent(desk):
    with tools.statements() as seen:
        registration.register_patient(desk, _form(), despite=ANYBODY)
    assert any("INSERT INTO patients" in statement for statement in seen)
    assert len(_own(seen)) <= 3, seen
    others = [one for one in seen if one not in _own(seen) and not _matchers(one)]
    assert len(others) == 5, seen  # counter, actor and names once, the head read and moved on


def test_with_a_portal_account_at_most_seven_statements_are_sent(desk):
    with tools.statements() as seen:
        registration.register_patient(desk, _with_portal(), despite=ANYBODY)
    assert any("INSERT INTO accounts" in statement for statement in seen)
    assert len(_own(seen)) <= 7, seen
    assert len([one for one in seen if one not in _own(seen) and not _matchers(one)]) == 5, seen


def test_one_statement_keeps_what_names_are_found_by(desk):
    with tools.statements() as seen:
        registration.register_patient(desk, _form(), despite=ANYBODY)
    assert len([one for one in seen if INDEX in one]) == 1


def test_the_hash_is_made_once_on_a_hash_thread_outside_of_any_transaction(desk, hashing):
    registration.register_patient(desk, _with_portal(), despite=ANYBODY)
    assert len(hashing.made) == 1
    assert hashing.made[0].startswith("hash")
    assert hashing.inside == []


def test_without_a_portal_account_nothing_is_hashed(desk, hashing):
    registration.register_patient(desk, _form(), despite=ANYBODY)
    assert (hashing.made, hashing.checked) == ([], [])


def test_lists_are_told_after_the_commit_and_only_then(desk, monkeypatch):
    told: list[int] = []
    monkeypatch.setattr(
        "clinic_app.core.db._after_change", [lambda: told.append(tools.number("SELECT count(*) FROM patients"))]
    )
    registration.register_patient(desk, _form(), despite=ANYBODY)
    assert told == [1]
    _breaks(monkeypatch, "after the audit event")
    with pytest.raises(Unexpected):
        registration.register_patient(desk, _form(), despite=ANYBODY)
    assert told == [1]
