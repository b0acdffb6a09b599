"""Staff accounts: created with a temporary password, changed by administrators, never without the last one."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

from clinic_app.core import clock as clinic_clock
from clinic_app.core import crypto
from clinic_app.core.errors import InvalidInput, PermissionDenied, ReauthenticationRequired, TooManyAttempts
from clinic_app.services import access
from clinic_app.services.accounts import sessions, staff
from clinic_app.services.accounts.errors import (
    InvalidCredentials,
    LastAdministrator,
    OwnStaffAccount,
    StaffNotFound,
    TemporaryPasswordExpired,
    UsernameTaken,
)
from clinic_app.services.accounts.passwords import choose_password
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, STAFF_DOOR, sign_in
from tests import factories
from tests.db import tools

CHANGES = {
    "change_role": lambda actor, ident: staff.change_role(actor, ident, "CLINICIAN"),
    "disable_staff": staff.disable_staff,
    "enable_staff": staff.enable_staff,
    "reset_staff_password": staff.reset_staff_password,
    "reset_two_factor": staff.reset_two_factor,
}


@pytest.fixture
def admin(clock, database):
    """An administrator."""
    return factories.make_staff("ADMIN", username="daniel", name="Daniel Otieno")


@pytest.fixture
def grace(admin):
    """A receptionist called ``grace``."""
    return factories.make_staff(username="grace")


def _role(ident) -> str:
    return tools.raw("SELECT role FROM accounts WHERE id = :i", i=ident)[0][0]


# --- creating -----------------------------------------------------------------------------------


@pytest.mark.asvs("6.4.1")
def test_a_new_account_signs_in_with_its_temporary_password_and_must_choose_one(admin):
    made = staff.create_staff_with_temporary_password(admin, " Mercy.Akinyi ", "Mercy Akinyi", "CLINICIAN")
    assert made.credentials.username == "mercy.akinyi"
    assert made.credentials.login_url == "/login"
    assert made.credentials.expires_at == clinic_clock.now() + dt.timedelta(hours=48)
    assert made.credentials.temporary_password not in repr(made)
    assert made.credentials.temporary_password not in str(tools.dump())
    first = sign_in(STAFF_DOOR, "mercy.akinyi", made.credentials.temporary_password)
    assert first.actor.held_back == access.CHOOSE_PASSWORD_FIRST
    assert not first.actor.can(access.Permission.PATIENT_SEE)
    own = choose_password(
        first.actor, factories.OWN_PASSWORD, factories.OWN_PASSWORD, session_token_hash=crypto.digest(first.token)
    )
    assert own.actor.can(access.Permission.PATIENT_SEE)
    assert sign_in(STAFF_DOOR, "mercy.akinyi", factories.OWN_PASSWORD)
    event = tools.trail("STAFF_CREATED")[-1]
    assert (event["actor_id"], event["resource_id"], event["metadata"]) == (
        admin.account_id,
        made.id,
        {"role": "CLINICIAN"},
    )


def test_a_temporary_password_of_staff_expires_and_says_whom_to_ask(clock, admin):
    made = staff.create_staff_with_temporary_password(admin, "mercy", "Mercy Akinyi", "CLINICIAN")
    clock.shift(48 * 3600)
    with pytest.raises(TemporaryPasswordExpired) as caught:
        sign_in(STAFF_DOOR, "mercy", made.credentials.temporary_password)
    assert "administrator" in caught.value.detail


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (("", "Mercy", "ADMIN"), "username"),
        (("ab", "Mercy", "ADMIN"), "username"),
        (("a" * 61, "Mercy", "ADMIN"), "username"),
        (("mercy akinyi", "Mercy", "ADMIN"), "username"),
        (("mércy", "Mercy", "ADMIN"), "username"),
        (("mercy", " ", "ADMIN"), "name"),
        (("mercy", "Mercy\x00", "ADMIN"), "name"),
        (("mercy", "Mercy", "PATIENT"), "role"),
        (("mercy", "Mercy", "SUPERUSER"), "role"),
    ],
)
def test_what_is_wrong_is_said_by_field(admin, given, field):
    with pytest.raises(InvalidInput) as caught:
        staff.create_staff_with_temporary_password(admin, *given)
    assert list(caught.value.fields) == [field]


def test_a_username_is_unique_in_any_case(admin, grace):
    with pytest.raises(UsernameTaken) as caught:
        staff.create_staff_with_temporary_password(admin, "GRACE", "Another Grace", "CLINICIAN")
    assert list(caught.value.fields) == ["username"]


# --- the list -----------------------------------------------------------------------------------


def test_the_list_shows_how_each_account_stands(clock, admin, grace, people):
    made = staff.create_staff_with_temporary_password(admin, "mercy", "Mercy Akinyi", "CLINICIAN")
    sign_in(STAFF_DOOR, "grace", factories.PASSWORD)
    staff.disable_staff(admin, people.clinician.account_id or 0)
    found = {one.id: one for one in staff.list_staff(admin)}
    assert people.patient.account_id not in found
    mercy, hers = found[made.id], found[grace.account_id or 0]
    assert (mercy.temporary_until, mercy.last_sign_in_at) == (made.credentials.expires_at, None)
    assert (hers.temporary_until, hers.last_sign_in_at, hers.two_factor) == (None, clinic_clock.now(), False)
    assert [one.id for one in staff.list_staff(admin)][-1] == people.clinician.account_id  # turned off: last
    for n in range(12):
        with tools.from_address(f"198.51.100.{n}"), pytest.raises((InvalidCredentials, TooManyAttempts)):
            sign_in(STAFF_DOOR, "grace", "wrong")
    locked = {one.id: one.locked_until for one in staff.list_staff(admin)}
    assert locked[grace.account_id or 0] is not None
    assert staff.staff_id(access.SYSTEM, " GRACE ") == grace.account_id
    with pytest.raises(StaffNotFound):
        staff.staff_id(access.SYSTEM, people.patient.username)


# --- changing -----------------------------------------------------------------------------------


def test_each_change_is_recorded_and_done_twice_changes_nothing(admin, grace):
    ident = grace.account_id or 0
    staff.change_role(admin, ident, "CLINICIAN")
    event = tools.trail("STAFF_ROLE_CHANGED")[-1]
    assert event["metadata"] == {"before": "RECEPTIONIST", "role": "CLINICIAN"}
    staff.disable_staff(admin, ident)
    with pytest.raises(InvalidCredentials):
        sign_in(STAFF_DOOR, "grace", factories.PASSWORD)
    seq = tools.last_seq()
    staff.change_role(admin, ident, "CLINICIAN")
    staff.disable_staff(admin, ident)
    assert tools.last_seq() == seq
    staff.enable_staff(admin, ident)
    assert sign_in(STAFF_DOOR, "grace", factories.PASSWORD).actor.role == "CLINICIAN"
    seq = tools.last_seq()
    staff.enable_staff(admin, ident)
    assert tools.last_seq() == seq
    assert [row["action"] for row in tools.trail() if row["resource_id"] == ident][-4:] == [
        "STAFF_DISABLED",
        "SIGN_IN_FAILED",
        "STAFF_ENABLED",
        "SIGNED_IN",
    ]


def test_a_reset_password_is_temporary_and_the_old_one_opens_nothing(clock, admin, grace):
    made = staff.reset_staff_password(admin, grace.account_id or 0)
    assert (made.name, made.credentials.login_url) == ("Grace Wanjiru", "/login")
    with pytest.raises(InvalidCredentials):
        sign_in(STAFF_DOOR, "grace", factories.PASSWORD)
    assert sign_in(STAFF_DOOR, "grace", made.credentials.temporary_password).actor.must_choose_password
    assert tools.trail("STAFF_PASSWORD_RESET")[-1]["metadata"] == {}


def test_a_role_must_be_one_of_staff(admin, grace):
    for role in ("PATIENT", "", "admin"):
        with pytest.raises(InvalidInput):
            staff.change_role(admin, grace.account_id or 0, role)


@pytest.mark.parametrize("change", CHANGES)
def test_nobody_changes_their_own_account_here(admin, change):
    factories.make_staff("ADMIN")
    with pytest.raises(OwnStaffAccount):
        CHANGES[change](admin, admin.account_id)


@pytest.mark.parametrize("change", CHANGES)
def test_patients_and_ids_that_do_not_exist_are_no_staff(admin, people, change):
    for ident in (people.patient.account_id, 999_999, 0, -1):
        with pytest.raises(StaffNotFound):
            CHANGES[change](admin, ident)
    assert _role(people.patient.account_id) == "PATIENT"


@pytest.mark.asvs("7.5.3")
@pytest.mark.parametrize("change", [*CHANGES, "create"])
def test_changes_need_a_fresh_confirmation(admin, grace, change):
    old = dataclasses.replace(admin, proved_at=clinic_clock.now() - dt.timedelta(minutes=5))
    before = tools.dump()
    create = lambda actor, _: staff.create_staff_with_temporary_password(actor, "mercy", "Mercy", "CLINICIAN")  # noqa: E731
    with pytest.raises(ReauthenticationRequired):
        {**CHANGES, "create": create}[change](old, grace.account_id)
    assert tools.dump() == before


# --- the last administrator ---------------------------------------------------------------------


def test_the_last_administrator_stays(admin, grace):
    for change in ("change_role", "disable_staff"):
        with pytest.raises(LastAdministrator):
            CHANGES[change](access.SYSTEM, admin.account_id)
    other = factories.make_staff("ADMIN")
    staff.disable_staff(access.SYSTEM, other.account_id or 0)  # one that is off does not count
    with pytest.raises(LastAdministrator):
        staff.change_role(access.SYSTEM, admin.account_id or 0, "CLINICIAN")
    staff.enable_staff(access.SYSTEM, other.account_id or 0)
    staff.change_role(access.SYSTEM, admin.account_id or 0, "CLINICIAN")
    assert _role(admin.account_id) == "CLINICIAN"


@pytest.mark.asvs("8.3.2")
def test_an_administrator_who_is_none_any_more_changes_nothing(admin, grace):
    """The actor was looked up before the transaction: what counts is what is true inside it."""
    other = factories.make_staff("ADMIN")
    staff.change_role(other, admin.account_id or 0, "CLINICIAN")
    with pytest.raises(PermissionDenied):
        staff.change_role(admin, other.account_id or 0, "CLINICIAN")
    with pytest.raises(PermissionDenied):
        staff.disable_staff(admin, grace.account_id or 0)


@pytest.mark.races
@pytest.mark.parametrize("change", ["change_role", "disable_staff"])
def test_of_two_who_take_each_others_rights_one_wins(own_database, change):
    one, two = factories.make_staff("ADMIN"), factories.make_staff("ADMIN")
    for _ in range(5):
        results = tools.at_once(
            lambda: CHANGES[change](one, two.account_id),
            lambda: CHANGES[change](two, one.account_id),
        )
        assert sum(result is None for result in results) == 1, results
        assert sum(isinstance(result, PermissionDenied) for result in results) == 1, results
        assert tools.number("SELECT count(*) FROM accounts WHERE role = 'ADMIN' AND is_active") == 1
        tools.write("UPDATE accounts SET role = 'ADMIN', is_active = :yes", yes=True)


@pytest.mark.races
def test_two_new_accounts_with_one_username_are_one(own_database):
    admin = factories.make_staff("ADMIN")
    results = tools.at_once(
        *[
            lambda: staff.create_staff_with_temporary_password(admin, "mercy", "Mercy Akinyi", "CLINICIAN")
            for _ in range(6)
        ]
    )
    assert sum(isinstance(result, UsernameTaken) for result in results) == 5
    assert tools.number("SELECT count(*) FROM accounts WHERE username = 'mercy'") == 1


@pytest.mark.asvs("6.3.4")
def test_staff_have_no_way_in_at_the_patients_door(admin):
    made = staff.create_staff_with_temporary_password(admin, "mercy@example.org", "Mercy Akinyi", "CLINICIAN")
    with pytest.raises(InvalidCredentials):
        sign_in(PATIENT_DOOR, "mercy@example.org", made.credentials.temporary_password)
    assert sessions.resolve("").kind == "anonymous"
