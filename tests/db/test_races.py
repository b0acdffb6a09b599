"""Several people at the same moment, with real commits on both databases."""

from __future__ import annotations

import asyncio
import collections
import threading

import pytest
import sqlalchemy as sa

from clinic_app.core import db, waiting_room
from clinic_app.core.errors import TooManyAttempts
from clinic_app.services.access import Actor
from clinic_app.services.accounts import drafts
from clinic_app.services.accounts.errors import InvalidCredentials
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, STAFF_DOOR, sign_in
from clinic_app.services.audit import chain
from clinic_app.services.audit.authorization import note_refusal
from clinic_app.services.patients import pair_finding, pairs
from clinic_app.services.patients.duplicates.holding import ANYBODY
from clinic_app.services.patients.errors import NationalIdTaken, PortalEmailTaken, StaleRecord
from clinic_app.services.patients.forms import PatientRegistration, PatientUpdate
from clinic_app.services.patients.profile import update_patient
from clinic_app.services.patients.registration import register_patient
from clinic_app.services.patients.views import Registered
from clinic_app.services.portal import provisioning
from clinic_app.services.portal.errors import EmailInUse, PortalAccountExists
from clinic_app.services.portal.forms import PortalAccountRequest
from clinic_app.services.portal.views import PortalCreated
from tests import factories
from tests.db import tools

pytestmark = pytest.mark.races
EIGHT = 8


@pytest.fixture
def grace(own_database) -> Actor:
    """A receptionist in a database of its own."""
    return factories.make_staff(username="grace")


def _parse(**changes) -> PatientRegistration:
    return PatientRegistration.parse(factories.registration(**changes))


def _kinds(results) -> dict[str, int]:
    return dict(collections.Counter(type(result).__name__ for result in results))


def _whole() -> None:
    """No half rows, flags that agree with accounts, an unbroken chain."""
    assert (
        tools.raw(
            "SELECT p.id FROM patients p LEFT JOIN accounts a ON a.patient_id = p.id AND a.is_active "
            "WHERE p.portal_enabled <> (a.id IS NOT NULL)"
        )
        == []
    )
    created = tools.trail("PATIENT_CREATED")
    assert sorted(row["resource_id"] for row in created) == [
        row[0] for row in tools.raw("SELECT id FROM patients ORDER BY id")
    ]
    with_account = [row for row in created if row["metadata"]["portal_account_created"]]
    later = tools.trail("PORTAL_ACCOUNT_CREATED")
    accounts = tools.raw("SELECT patient_id FROM accounts WHERE role = 'PATIENT' ORDER BY patient_id")
    assert sorted(row["resource_id"] for row in [*with_account, *later]) == [row[0] for row in accounts]
    report = chain.verify()
    assert report.ok, report


@pytest.mark.asvs("2.3.4", "15.4.2")
def test_of_eight_who_register_one_portal_email_one_wins(grace):
    emails = ["amina@example.com", "Amina@example.com", "AMINA@EXAMPLE.COM", "amina@Example.com"] * 2
    forms = [_parse(create_portal_account=True, portal_email=email) for email in emails]
    results = tools.at_once(*[lambda form=form: register_patient(grace, form, despite=ANYBODY) for form in forms])
    assert _kinds(results) == {"Registered": 1, "PortalEmailTaken": 7}, results
    assert {type(result) for result in results} == {Registered, PortalEmailTaken}
    assert tools.number("SELECT count(*) FROM patients") == 1
    assert len(tools.trail("PATIENT_CREATE_FAILED")) == 7
    _whole()


def test_of_eight_who_register_one_national_id_one_wins(grace):
    spelt = ["AB 12", "ab12", "AB-12", "aB12"] * 2
    forms = [
        _parse(national_id=spelling, create_portal_account=True, portal_email=f"p{n}@example.com")
        for n, spelling in enumerate(spelt)
    ]
    results = tools.at_once(*[lambda form=form: register_patient(grace, form, despite=ANYBODY) for form in forms])
    assert _kinds(results) == {"Registered": 1, "NationalIdTaken": 7}, results
    assert {result.fields["national_id"] for result in results if isinstance(result, NationalIdTaken)} == {
        "A patient with this national ID already exists. Please verify the national ID or search for existing patient."
    }
    assert tools.number("SELECT count(*) FROM patients") == tools.number(
        "SELECT count(*) FROM accounts WHERE role = 'PATIENT'"
    )
    _whole()


def test_of_eight_who_give_one_patient_access_one_wins(grace):
    patient = factories.make_patient(grace).patient
    requests = [PortalAccountRequest(f"amina{n}@example.com") for n in range(EIGHT)]
    results = tools.at_once(
        *[lambda form=form: provisioning.create_portal_account(grace, patient.id, form) for form in requests]
    )
    assert _kinds(results) == {"PortalCreated": 1, "PortalAccountExists": 7}, results
    winner = next(result for result in results if isinstance(result, PortalCreated)).credentials.username
    for result in results:
        if isinstance(result, PortalAccountExists):
            assert result.extra() == {"existing_username": winner}
            assert result.detail == f"This patient already has a portal account with username: {winner}"
    assert len(tools.trail("PORTAL_ACCOUNT_CREATED")) == 1
    assert len(tools.trail("PORTAL_ACCOUNT_CREATE_FAILED")) == 7
    _whole()


def test_of_eight_who_give_one_email_to_eight_patients_one_wins(grace):
    patients = [factories.make_patient(grace).patient for _ in range(EIGHT)]
    request = PortalAccountRequest("amina@example.com")
    results = tools.at_once(
        *[lambda p=patient: provisioning.create_portal_account(grace, p.id, request) for patient in patients]
    )
    assert _kinds(results) == {"PortalCreated": 1, "EmailInUse": 7}, results
    assert {result.detail for result in results if isinstance(result, EmailInUse)} == {EmailInUse.detail}
    assert tools.number("SELECT count(*) FROM patients WHERE portal_enabled") == 1
    assert len(tools.trail("PORTAL_ACCOUNT_CREATED")) == 1
    _whole()


def test_registering_and_giving_access_later_race_for_one_email_too(grace):
    patients = [factories.make_patient(grace).patient for _ in range(4)]
    jobs = []
    for patient in patients:
        form = _parse(create_portal_account=True, portal_email="amina@example.com")
        jobs.append(lambda form=form: register_patient(grace, form, despite=ANYBODY))
        jobs.append(
            lambda p=patient: provisioning.create_portal_account(grace, p.id, PortalAccountRequest("amina@example.com"))
        )
    kinds = _kinds(tools.at_once(*jobs))
    assert kinds.pop("Registered", 0) + kinds.pop("PortalCreated", 0) == 1
    assert set(kinds) <= {"PortalEmailTaken", "EmailInUse"}, kinds
    _whole()


def test_eight_desks_register_side_by_side_without_a_failure(grace):
    def five(forms) -> list[str]:
        return [register_patient(grace, form, despite=ANYBODY).patient.patient_id for form in forms]

    work = [[_parse() for _ in range(5)] for _ in range(EIGHT)]
    before = tools.last_seq()
    results = tools.at_once(*[lambda forms=forms: five(forms) for forms in work])
    ids = [patient_id for done in results for patient_id in done]
    assert sorted(ids) == [f"LMC{n:06d}" for n in range(1, 41)]  # all of them, none twice, no gap
    assert all(done == sorted(done) for done in results)
    assert tools.last_seq() == before + 40
    _whole()


def test_one_person_taken_in_by_six_desks_at_once_makes_all_pairs(grace):
    form = _parse(
        first_name="Zacharia", last_name="Okemwa", phone="0712777888", date_of_birth="1975-04-03", national_id=""
    )
    results = tools.at_once(*[lambda: register_patient(grace, form, despite=ANYBODY)] * 6)
    assert _kinds(results) == {"Registered": 6}
    pair_finding.compare_all()
    page, numbers = pairs.list_pairs(grace, "")
    assert numbers.total == 15
    assert {one.likeness.grade for one in page.items} == {"certain"}
    _whole()


def test_of_two_who_edit_one_version_one_wins(grace):
    patient = factories.make_patient(grace).patient
    edits = [PatientUpdate.parse({"address": "A"}, 1), PatientUpdate.parse({"first_name": "Zed"}, 1)]
    results = tools.at_once(*[lambda form=form: update_patient(grace, patient.id, form) for form in edits])
    assert sum(isinstance(result, StaleRecord) for result in results) == 1, results
    row = tools.raw("SELECT address, first_name, version FROM patients")[0]
    assert row.version == 2
    assert (row.address == "A") != (row.first_name == "Zed")
    assert len(tools.trail("PATIENT_UPDATED")) == 1
    _whole()


def test_edits_of_different_fields_without_a_version_are_all_kept(grace):
    patient = factories.make_patient(grace).patient
    changes = [{"address": "A"}, {"first_name": "Zed"}, {"phone": "0733100200"}, {"gender": "OTHER"}]
    results = tools.at_once(
        *[lambda c=change: update_patient(grace, patient.id, PatientUpdate.parse(c)) for change in changes]
    )
    assert _kinds(results) == {"PatientProfile": 4}, results
    row = tools.raw("SELECT * FROM patients")[0]
    assert (row.address, row.first_name, row.phone, row.gender, row.version) == (
        "A",
        "Zed",
        "+254733100200",
        "OTHER",
        5,
    )
    assert " zed " in row.search_names
    assert " 0733100200 " in row.search_keys


def test_resets_and_switches_at_once_leave_one_password_and_flags_that_agree(grace):
    made = factories.make_patient(grace, portal_email="amina@example.com")
    patient = made.patient.id
    results = tools.at_once(
        lambda: provisioning.reset_portal_password(grace, patient),
        lambda: provisioning.reset_portal_password(grace, patient),
        lambda: provisioning.reset_portal_password(grace, patient),
        lambda: provisioning.turn_off_portal(grace, patient),
        lambda: provisioning.turn_on_portal(grace, patient),
    )
    assert set(_kinds(results)) <= {"PortalCreated", "PortalTurnedOff", "PortalSwitched"}, results
    provisioning.turn_on_portal(grace, patient)
    passwords = [made.credentials.temporary_password]
    passwords += [result.credentials.temporary_password for result in results if isinstance(result, PortalCreated)]
    opened = 0
    for n, password in enumerate(passwords):
        with tools.from_address(f"198.51.100.{n}"):
            try:
                opened += bool(sign_in(PATIENT_DOOR, "amina@example.com", password))
            except InvalidCredentials:
                continue
    assert opened == 1
    _whole()


# --- guessing -----------------------------------------------------------------------------------


def _guess(address: str, password: str = "wrong", device: str = ""):
    """One try from ``address``, which waits for its turn as it would at the doors."""

    async def ask(waited: float):
        return await asyncio.to_thread(sign_in, STAFF_DOOR, "grace", password, device=device, waited=waited)

    def job():
        with tools.from_address(address):
            return asyncio.run(waiting_room.patiently(ask))

    return job


@pytest.mark.asvs("6.3.1", "15.4.2")
@pytest.mark.parametrize(("addresses", "allowed"), [(1, 5), (16, 10)])
def test_sixteen_who_guess_at_once_get_no_more_checks_than_the_limit(grace, hashing, addresses, allowed):
    jobs = [_guess(f"198.51.100.{n % addresses}") for n in range(16)]
    results = tools.at_once(*jobs)
    assert _kinds(results) == {"InvalidCredentials": allowed, "TooManyAttempts": 16 - allowed}, results
    assert len(hashing.checked) == allowed
    assert {result.detail for result in results if isinstance(result, TooManyAttempts)} == {
        "Too many attempts. Please try again in 1 minute."
    }
    assert len(tools.trail("SIGN_IN_FAILED")) == allowed
    assert len(tools.trail("SIGN_IN_BLOCKED")) == 1
    assert tools.number("SELECT sum(pending) FROM sign_in_limits") == 0
    assert chain.verify().ok


@pytest.mark.parametrize("known", [False, True], ids=["new browsers", "one known browser"])
def test_right_passwords_at_once_from_one_address_are_none_too_many(grace, known):
    device = _guess("198.51.100.1", factories.PASSWORD)().device if known else ""
    for _ in range(2):
        results = tools.at_once(*[_guess("198.51.100.1", factories.PASSWORD, device)] * (12 if known else 8))
        assert set(_kinds(results)) == {"SignedIn"}, results
    assert tools.number("SELECT coalesce(sum(failures) + sum(pending), 0) FROM sign_in_limits") == 0
    assert tools.number("SELECT count(*) FROM known_devices") == (1 if known else 16)


def test_right_passwords_at_once_all_sign_in_even_when_the_hash_is_made_anew(grace, change_setting):
    change_setting("CLINIC_BCRYPT_COST", "5")
    for n in range(3):
        results = tools.at_once(*[_guess(f"198.51.100.{n}", factories.PASSWORD) for _ in range(5)])
        assert _kinds(results) == {"SignedIn": 5}, results
        change_setting("CLINIC_BCRYPT_COST", str(4 + n % 2))
    assert tools.number("SELECT count(*) FROM sign_in_limits WHERE failures > 0") == 0


def test_wrong_and_right_passwords_at_once_never_end_in_a_deadlock(grace):
    for _ in range(4):
        jobs = [_guess("198.51.100.1", factories.PASSWORD), _guess("198.51.100.1")] * 2
        results = tools.at_once(*jobs)
        assert set(_kinds(results)) <= {"SignedIn", "InvalidCredentials", "TooManyAttempts"}, results


# --- one consistent view ------------------------------------------------------------------------


def test_the_trail_verifies_while_others_add_to_it(grace):
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            note_refusal(grace, "something")

    writers = [threading.Thread(target=write) for _ in range(2)]
    for thread in writers:
        thread.start()
    try:
        reports = [chain.verify() for _ in range(25)]
        while reports[-1].count == reports[0].count:  # they have not had a turn yet: the machine decides when
            reports.append(chain.verify())
    finally:
        stop.set()
        for thread in writers:
            thread.join(10)
    assert all(report.ok for report in reports), [report for report in reports if not report.ok][:1]
    assert reports[-1].count > reports[0].count


def test_the_trail_verifies_though_an_event_is_added_between_its_head_and_its_rows(grace, own_database):
    before, added = chain.verify().count, []

    @sa.event.listens_for(own_database, "after_cursor_execute")
    def add(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM audit_head" in statement and not added:
            added.append(statement)
            note_refusal(grace, "something")

    report = chain.verify()
    assert (report.ok, report.count, len(added)) == (True, before, 1)
    assert chain.verify().count == before + 1


def test_reading_sees_one_moment_and_keeps_nothing_that_was_written_in_it(grace):
    with db.reading() as session:
        count = sa.text("SELECT count(*) FROM audit_events")
        before = session.execute(count).scalar_one()
        note_refusal(grace, "something")
        assert session.execute(count).scalar_one() == before
    assert tools.number("SELECT count(*) FROM audit_events") == before + 1
    with db.reading() as session:
        session.execute(sa.text("UPDATE accounts SET full_name = 'Somebody'"))
    assert tools.number("SELECT count(*) FROM accounts WHERE full_name = 'Somebody'") == 0


def test_one_name_and_a_last_name_at_the_same_moment_agree_in_the_end(grace):
    number = factories.make_patient(grace, first_name="Suharto").patient.id
    for _ in range(4):
        edits = [{"single_name": True}, {"last_name": "Sastro"}, {"single_name": False}, {"first_name": "Soeharto"}] * 2
        results = tools.at_once(*[lambda e=e: update_patient(grace, number, PatientUpdate.parse(e)) for e in edits])
        assert {type(one).__name__ for one in results} <= {"PatientProfile", "InvalidInput"}
        last_name, single = tools.raw("SELECT last_name, single_name FROM patients WHERE id = :id", id=number)[0]
        assert bool(single) == (last_name == "")
    assert chain.verify().ok


# --- half-filled forms ----------------------------------------------------------------------------


def test_of_eight_tabs_that_go_on_with_one_draft_one_gets_it(grace):
    drafts.save_draft(grace, "registration", "a" * 32, {"first_name": "Only one"})
    got = tools.at_once(*[lambda: drafts.continue_draft(grace, "registration", "a" * 32)] * EIGHT)
    assert _kinds(got) == {"Draft": 1, "NoneType": EIGHT - 1}
    (taken,) = [each for each in got if each is not None]
    assert [each.instance for each in drafts.offered_drafts(grace, "registration")] == [taken.instance]


def test_tabs_that_type_at_once_keep_their_own_and_no_more_than_the_limit(grace):
    for number in range(drafts.KEPT_AT_MOST - 1):
        drafts.save_draft(grace, "registration", f"{number:032x}", {"first_name": "Before"})
    tabs = [f"{number:032x}" for number in range(1000, 1000 + EIGHT)]
    jobs = [lambda tab=tab: drafts.save_draft(grace, "registration", tab, {"first_name": tab}) for tab in tabs]
    assert tools.at_once(*jobs) == [None] * EIGHT
    assert tools.number("SELECT count(*) FROM drafts") == drafts.KEPT_AT_MOST
    for each in drafts.offered_drafts(grace, "registration"):
        assert each.fields["first_name"] in (each.instance, "Before")


def test_what_is_saved_while_its_form_is_sent_does_not_come_back(grace):
    for number in range(EIGHT):
        tab = f"{number:032x}"
        tools.at_once(
            lambda tab=tab: drafts.save_draft(grace, "registration", tab, {"first_name": "Late"}),
            lambda tab=tab: drafts.discard_draft(grace, "registration", tab),
            lambda tab=tab: drafts.save_draft(grace, "registration", tab, {"first_name": "Later"}),
        )
    assert drafts.offered_drafts(grace, "registration") == ()


def test_of_eight_desks_that_register_one_person_one_does(grace):
    """Whoever was registered after the look is compared before the number is kept."""
    names = ["Amina", "Aminah", "Amina", "Amena"] * 2
    forms = [_parse(first_name=name, last_name="Odhiambo", national_id=None) for name in names]
    results = tools.at_once(*[lambda form=form: register_patient(grace, form) for form in forms])
    assert _kinds(results) == {"Registered": 1, "PossibleDuplicate": 7}, results
    assert tools.number("SELECT count(*) FROM patients") == 1
    assert tools.number("SELECT value FROM counters WHERE name = 'patient_id'") == 1
    _whole()
