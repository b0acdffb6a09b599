"""A press counts once: however often it is sent, whatever becomes of the line, the server or the COMMIT."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine

from clinic_app.core import clock, context, db
from clinic_app.core.errors import DatabaseAway, Unexpected
from clinic_app.models.accounts import Role
from clinic_app.services import intents
from clinic_app.services.accounts import housekeeping, staff
from clinic_app.services.accounts.errors import CredentialsSeen, InvalidCredentials, IssuedMeanwhile
from clinic_app.services.accounts.shown import confirm_shown
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, STAFF_DOOR, sign_in
from clinic_app.services.audit import chain
from clinic_app.services.patients.duplicates.holding import ANYBODY
from clinic_app.services.patients.errors import NationalIdTaken
from clinic_app.services.patients.forms import PatientRegistration, PatientUpdate
from clinic_app.services.patients.profile import update_patient
from clinic_app.services.patients.registration import register_patient
from clinic_app.services.portal import provisioning
from clinic_app.services.portal.errors import PortalAccountExists
from clinic_app.services.portal.forms import ChangePortalUsername, PortalAccountRequest
from tests import factories
from tests.db import tools

FIRST, SECOND = "a" * 32, "b" * 32


def press(intent: str, actor: Any, use_case: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a page does with a press."""
    with context.use(dataclasses.replace(context.current(), intent=intent)):
        return intents.once(actor, lambda: use_case(actor, *args, **kwargs))


def form(**changes: Any) -> PatientRegistration:
    return PatientRegistration.parse(factories.registration(**changes))


def patients() -> int:
    return tools.number("SELECT count(*) FROM patients")


# --- one after the other ------------------------------------------------------------------------


def test_the_same_press_again_does_nothing_and_says_what_the_first_one_did(desk):
    wanted = form()
    done = press(FIRST, desk, register_patient, wanted, despite=ANYBODY)
    before = tools.dump()
    with pytest.raises(intents.AlreadyDone) as again:
        press(FIRST, desk, register_patient, wanted, despite=ANYBODY)
    assert tools.dump() == before
    found = again.value.done
    assert (found.action, found.resource_type, found.resource_id) == ("PATIENT_CREATED", "patient", done.patient.id)
    assert found.seen is True  # no credentials were issued
    press(SECOND, desk, register_patient, form(), despite=ANYBODY)
    assert patients() == 2


def test_a_press_is_its_accounts_and_of_one_shape(people):
    press(FIRST, people.receptionist, register_patient, form(), despite=ANYBODY)
    assert intents.outcome(people.admin, FIRST) is None
    press(FIRST, people.admin, register_patient, form(), despite=ANYBODY)
    assert intents.outcome(people.admin, FIRST) is not None
    for strange in ("", "x", "A" * 32, "a" * 33, "a" * 31 + "\n", "' OR 1=1 --" + "a" * 21):
        assert intents.outcome(people.receptionist, strange) is None
        assert intents.is_intent(strange) is False


def test_a_press_that_was_refused_may_be_tried_again_under_its_name(desk):
    taken = factories.make_patient(desk, national_id="27 84 5555").patient
    with pytest.raises(NationalIdTaken):
        press(FIRST, desk, register_patient, form(national_id="27845555"), despite=ANYBODY)
    assert intents.outcome(desk, FIRST) is None
    done = press(FIRST, desk, register_patient, form(national_id="27845556"), despite=ANYBODY)
    assert done.patient.id != taken.id
    assert intents.outcome(desk, FIRST) is not None


def test_what_the_row_holds_is_no_value_of_a_record(desk):
    press(
        FIRST,
        desk,
        register_patient,
        form(create_portal_account=True, portal_email="held@example.org"),
        despite=ANYBODY,
    )
    (row,) = tools.raw("SELECT * FROM intents")
    assert FIRST not in str(row)
    assert "held" not in str(row)


def test_an_edit_is_made_once_and_a_later_one_is_not_undone(desk):
    patient = factories.make_patient(desk).patient
    press(FIRST, desk, update_patient, patient.id, PatientUpdate.parse({"address": "First"}))
    press(SECOND, desk, update_patient, patient.id, PatientUpdate.parse({"address": "Second"}))
    with pytest.raises(intents.AlreadyDone):
        press(FIRST, desk, update_patient, patient.id, PatientUpdate.parse({"address": "First"}))
    assert tools.raw("SELECT address FROM patients WHERE id = :id", id=patient.id) == [("Second",)]


def test_turning_off_once_does_not_turn_off_what_was_turned_on_since(desk):
    patient = factories.make_patient(desk, portal_email="on@example.org").patient
    press(FIRST, desk, provisioning.turn_off_portal, patient.id)
    provisioning.turn_on_portal(desk, patient.id)
    with pytest.raises(intents.AlreadyDone) as again:
        press(FIRST, desk, provisioning.turn_off_portal, patient.id)
    assert again.value.done.action == "PORTAL_TURNED_OFF"
    assert tools.raw("SELECT is_active FROM accounts WHERE username = 'on@example.org'")[0][0]


def test_rows_go_after_a_day_and_not_before(desk):
    press(FIRST, desk, register_patient, form(), despite=ANYBODY)
    with time_machine.travel(clock.now() + dt.timedelta(hours=23), tick=False):
        housekeeping.tidy()
        assert intents.outcome(desk, FIRST) is not None
    with time_machine.travel(clock.now() + dt.timedelta(hours=25), tick=False):
        assert housekeeping.tidy() == 1
    assert intents.outcome(desk, FIRST) is None


# --- credentials nobody has seen ------------------------------------------------------------------


def _with_portal(desk: Any) -> Any:
    return press(
        FIRST,
        desk,
        register_patient,
        form(create_portal_account=True, portal_email="lost@example.org"),
        despite=ANYBODY,
    )


def test_a_password_that_was_never_seen_is_replaced_by_a_fresh_one_as_often_as_it_is_lost(desk):
    lost = _with_portal(desk).credentials
    again = provisioning.reissue_credentials(desk, FIRST)
    third = provisioning.reissue_credentials(desk, FIRST)
    assert (
        len({lost.temporary_password, again.credentials.temporary_password, third.credentials.temporary_password}) == 3
    )
    with pytest.raises(InvalidCredentials):
        sign_in(PATIENT_DOOR, lost.username, lost.temporary_password)
    assert sign_in(PATIENT_DOOR, lost.username, third.credentials.temporary_password).actor.must_choose_password
    assert len(tools.trail("PORTAL_PASSWORD_RESET")) == 2
    assert tools.number("SELECT count(*) FROM intents") == 1


def test_after_close_it_is_not_issued_again(desk):
    lost = _with_portal(desk).credentials
    intents.mark_seen(desk, FIRST)
    before = tools.dump()
    with pytest.raises(CredentialsSeen):
        provisioning.reissue_credentials(desk, FIRST)
    assert tools.dump() == before
    assert sign_in(PATIENT_DOOR, lost.username, lost.temporary_password)


def test_a_password_of_the_patients_own_or_one_that_somebody_else_issued_is_left_alone(people):
    done = _with_portal(people.receptionist)
    newer = provisioning.reset_portal_password(people.admin, done.patient.id).credentials
    with pytest.raises(CredentialsSeen):
        provisioning.reissue_credentials(people.receptionist, FIRST)
    factories.own_password(dataclasses.replace(done, credentials=newer))
    with pytest.raises(CredentialsSeen):
        provisioning.reissue_credentials(people.receptionist, FIRST)
    assert sign_in(PATIENT_DOOR, newer.username, factories.OWN_PASSWORD)


def test_nobody_elses_press_and_no_other_press_issues_anything(people):
    _with_portal(people.receptionist)
    press(SECOND, people.admin, staff.create_staff_with_temporary_password, "new.person", "New Person", Role.ADMIN)
    for who, intent in ((people.admin, FIRST), (people.receptionist, SECOND), (people.admin, SECOND)):
        with pytest.raises(CredentialsSeen):
            provisioning.reissue_credentials(who, intent)
    with pytest.raises(CredentialsSeen):
        staff.reissue_staff_credentials(people.admin, FIRST)


def test_a_staff_password_that_was_never_seen_is_replaced_too(people):
    made = press(FIRST, people.admin, staff.create_staff_with_temporary_password, "new.person", "New", Role.ADMIN)
    again = staff.reissue_staff_credentials(people.admin, FIRST)
    assert (again.id, again.credentials.login_url) == (made.id, made.credentials.login_url)
    with pytest.raises(InvalidCredentials):
        sign_in(STAFF_DOOR, "new.person", made.credentials.temporary_password)
    assert sign_in(STAFF_DOOR, "new.person", again.credentials.temporary_password)
    intents.mark_seen(people.admin, FIRST)
    with pytest.raises(CredentialsSeen):
        staff.reissue_staff_credentials(people.admin, FIRST)


# --- credentials that are on a screen ---------------------------------------------------------------


def works(credentials: Any, door: Any = PATIENT_DOOR) -> bool:
    """Whether these credentials sign in."""
    try:
        sign_in(door, credentials.username, credentials.temporary_password)
    except InvalidCredentials:
        return False
    return True


def stand(actor: Any, one: Any, *, arrived: bool = True, intent: str = FIRST) -> bool:
    """What a page asks that shows the credentials ``one``."""
    return confirm_shown(actor, intent, one.username, one.mark, arrived=arrived)


def test_what_a_page_has_on_its_screen_is_replaced_for_nobody_but_that_page(desk):
    first = _with_portal(desk).credentials
    assert stand(desk, first)
    before = tools.dump()
    for had in ("", "0" * 16):  # another line, or another tab
        with pytest.raises(CredentialsSeen):
            provisioning.reissue_credentials(desk, FIRST, had)
    assert tools.dump() == before
    second = provisioning.reissue_credentials(desk, FIRST, first.mark).credentials  # its server was killed
    assert (works(first), works(second)) == (False, True)
    assert not stand(desk, first), "a page that still shows them is told"
    assert intents.outcome(desk, FIRST).seen is False
    assert stand(desk, second)
    for had in ("", first.mark):  # of a line that was lost before
        with pytest.raises(CredentialsSeen):
            provisioning.reissue_credentials(desk, FIRST, had)
    assert works(second)


def test_the_same_for_staff(people):
    made = press(FIRST, people.admin, staff.create_staff_with_temporary_password, "new.person", "New", Role.ADMIN)
    assert stand(people.admin, made.credentials)
    with pytest.raises(CredentialsSeen):
        staff.reissue_staff_credentials(people.admin, FIRST)
    again = staff.reissue_staff_credentials(people.admin, FIRST, made.credentials.mark).credentials
    assert (works(made.credentials, STAFF_DOOR), works(again, STAFF_DOOR)) == (False, True)
    assert (stand(people.admin, made.credentials), stand(people.admin, again)) == (False, True)


@pytest.mark.parametrize("of_staff", [False, True])
def test_fresh_ones_that_come_late_do_not_replace_those_on_the_screen(people, monkeypatch, of_staff):
    """A line is lost while it gets fresh ones, and the next line is quicker: its page shows them, or has said so."""
    if of_staff:
        desk, door, module, reissue = people.admin, STAFF_DOOR, staff, staff.reissue_staff_credentials
        press(FIRST, desk, staff.create_staff_with_temporary_password, "new.person", "New", Role.ADMIN)
    else:
        desk, door, module, reissue = people.receptionist, PATIENT_DOOR, provisioning, provisioning.reissue_credentials
        _with_portal(desk)
    prepare, quick = module.prepare_credentials, list[Any]()
    for expected, arrived in ((IssuedMeanwhile, False), (CredentialsSeen, True)):

        def slowly(*args: Any, arrived: bool = arrived, **kwargs: Any) -> Any:
            monkeypatch.setattr(module, "prepare_credentials", prepare)
            quick.append(reissue(desk, FIRST).credentials)
            assert not arrived or stand(desk, quick[-1])
            return prepare(*args, **kwargs)

        monkeypatch.setattr(module, "prepare_credentials", slowly)
        with pytest.raises(expected):
            reissue(desk, FIRST)
        assert works(quick[-1], door)


def test_what_was_reset_turned_off_or_renamed_meanwhile_does_not_stand_and_what_its_owner_used_does(people):
    done = _with_portal(people.receptionist)
    shown, number = done.credentials, done.patient.id
    assert stand(people.receptionist, shown, arrived=False)
    assert intents.outcome(people.receptionist, FIRST).seen is False, "only looked"
    newer = provisioning.reset_portal_password(people.admin, number).credentials
    assert not stand(people.receptionist, shown)
    assert stand(people.receptionist, newer)
    provisioning.turn_off_portal(people.admin, number)
    assert not stand(people.receptionist, newer)
    provisioning.turn_on_portal(people.admin, number)
    factories.own_password(dataclasses.replace(done, credentials=newer))
    assert stand(people.receptionist, newer)
    new = ChangePortalUsername.parse({"email": "renamed@example.org"})
    provisioning.change_portal_username(people.admin, number, new)
    assert not stand(people.receptionist, newer)


# --- at the same moment, and when the COMMIT has no answer -----------------------------------------


@pytest.fixture
def grace(own_database):
    """A receptionist in a database of its own."""
    return factories.make_staff(username="grace")


def _outcomes(results: list[Any], kind: type) -> tuple[int, int]:
    return sum(isinstance(one, kind) for one in results), sum(isinstance(one, intents.AlreadyDone) for one in results)


@pytest.mark.races
def test_of_eight_tries_of_one_press_one_registers(grace):
    wanted = form(create_portal_account=True, portal_email="raced@example.org")
    results = tools.at_once(*[lambda: press(FIRST, grace, register_patient, wanted, despite=ANYBODY)] * 8)
    assert _outcomes(results, type(register_patient(grace, form(), despite=ANYBODY))) == (1, 7), results
    assert patients() == 2
    assert tools.number("SELECT count(*) FROM intents") == 1
    assert tools.trail("PATIENT_CREATE_FAILED") == []  # a repeated press is no failure
    assert tools.number("SELECT value FROM counters WHERE name = 'patient_id'") == 2
    chain.verify()


@pytest.mark.races
def test_of_eight_tries_of_one_press_one_gives_access(grace):
    patient = factories.make_patient(grace).patient
    asked = PortalAccountRequest.parse({"email": "raced@example.org"})
    results = tools.at_once(*[lambda: press(FIRST, grace, provisioning.create_portal_account, patient.id, asked)] * 8)
    assert _outcomes(results, provisioning.PortalCreated) == (1, 7), results
    with pytest.raises(PortalAccountExists):
        press(SECOND, grace, provisioning.create_portal_account, patient.id, asked)


@pytest.mark.races
def test_of_eight_tries_of_one_press_one_resets(grace):
    patient = factories.make_patient(grace, portal_email="raced@example.org").patient
    results = tools.at_once(*[lambda: press(FIRST, grace, provisioning.reset_portal_password, patient.id)] * 8)
    assert _outcomes(results, provisioning.PortalCreated) == (1, 7), results
    won = next(one for one in results if isinstance(one, provisioning.PortalCreated))
    assert sign_in(PATIENT_DOOR, "raced@example.org", won.credentials.temporary_password)
    assert len(tools.trail("PORTAL_PASSWORD_RESET")) == 1


@pytest.mark.races
def test_either_the_page_keeps_what_it_shows_or_another_line_gets_fresh_ones_and_the_page_is_told(grace):
    told = set()
    for number in range(12):
        intent = f"{number:032x}"
        wanted = form(create_portal_account=True, portal_email=f"raced{number}@example.org")
        shown = press(intent, grace, register_patient, wanted, despite=ANYBODY).credentials
        stands, fresh = tools.at_once(
            lambda one=shown, intent=intent: stand(grace, one, intent=intent),
            lambda intent=intent: provisioning.reissue_credentials(grace, intent),
        )
        assert stands is isinstance(fresh, CredentialsSeen), (stands, fresh)
        assert works(shown if stands else fresh.credentials)
        told.add(stands)
    assert told


@pytest.mark.races
def test_of_eight_lines_that_want_fresh_ones_at_once_the_last_one_that_got_some_has_those_that_work(grace):
    wanted = form(create_portal_account=True, portal_email="raced@example.org")
    first = press(FIRST, grace, register_patient, wanted, despite=ANYBODY).credentials
    results = tools.at_once(*[lambda: provisioning.reissue_credentials(grace, FIRST)] * 8)
    got = [one.credentials for one in results if isinstance(one, provisioning.PortalCreated)]
    assert all(isinstance(one, IssuedMeanwhile | provisioning.PortalCreated) for one in results), results
    assert [works(first), sum(works(one) for one in got), sum(stand(grace, one) for one in got)] == [False, 1, 1]


@contextlib.contextmanager
def commit_fails(engine: sa.Engine, *, after: bool, also_reading: bool = False) -> Iterator[None]:
    """The next COMMIT breaks: before the database took it, or ``after``, when only the answer is lost."""
    real, broken, open_ = engine.dialect.do_commit, [], db._connect
    assert open_ is not None

    def once(connection: Any) -> None:
        if broken:
            real(connection)
            return
        if after:
            real(connection)
        broken.append(1)
        if also_reading:
            db.use(_gone, queued=db._queued)
        raise engine.dialect.loaded_dbapi.OperationalError("the line to the database was lost")

    def _gone(write: bool) -> Any:
        raise sa.exc.OperationalError("connect", {}, Exception("refused"))

    queued = db._queued
    engine.dialect.do_commit = once  # type: ignore[method-assign]
    try:
        yield
        assert broken
    finally:
        engine.dialect.do_commit = real  # type: ignore[method-assign]
        db.use(open_, queued=queued)


def test_a_commit_that_the_database_took_before_the_line_broke_is_a_success(own_database, grace):
    wanted = form(create_portal_account=True, portal_email="taken@example.org")
    with commit_fails(own_database, after=True), pytest.raises(intents.AlreadyDone) as told:
        press(FIRST, grace, register_patient, wanted, despite=ANYBODY)
    assert told.value.done.seen is False
    assert patients() == 1
    assert tools.trail("PATIENT_CREATE_FAILED") == []  # it has not failed, and the trail does not say so
    with pytest.raises(intents.AlreadyDone):
        press(FIRST, grace, register_patient, wanted, despite=ANYBODY)
    assert patients() == 1
    fresh = provisioning.reissue_credentials(grace, FIRST).credentials
    assert sign_in(PATIENT_DOOR, "taken@example.org", fresh.temporary_password)


def test_a_commit_that_never_reached_the_database_is_a_failure_and_the_same_press_may_follow(own_database, grace):
    with commit_fails(own_database, after=False), pytest.raises((Unexpected, DatabaseAway)):
        press(FIRST, grace, register_patient, form(), despite=ANYBODY)
    assert patients() == 0
    assert len(tools.trail("PATIENT_CREATE_FAILED")) == 1
    press(FIRST, grace, register_patient, form(), despite=ANYBODY)
    assert patients() == 1


@pytest.mark.parametrize("after", [True, False])
def test_while_nobody_can_tell_nobody_is_told_that_it_failed(own_database, grace, after):
    wanted = form()
    with commit_fails(own_database, after=after, also_reading=True), pytest.raises(intents.OutcomeUnknown) as told:
        press(FIRST, grace, register_patient, wanted, despite=ANYBODY)
    assert told.value.detail == "The database does not answer. Press again in a moment: it happens once."
    with contextlib.suppress(intents.AlreadyDone):
        press(FIRST, grace, register_patient, wanted, despite=ANYBODY)
    assert patients() == 1


@pytest.mark.parametrize("after", [True, False])
def test_a_use_case_that_records_no_failures_is_looked_up_all_the_same(own_database, grace, after):
    patient = factories.make_patient(grace, portal_email="reset@example.org").patient
    expected = intents.AlreadyDone if after else sa.exc.OperationalError
    with commit_fails(own_database, after=after), pytest.raises(expected):
        press(FIRST, grace, provisioning.reset_portal_password, patient.id)
    assert len(tools.trail("PORTAL_PASSWORD_RESET")) == (1 if after else 0)
