"""Tidying up removes what is past its time, and nothing else."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from sqlalchemy import func, select, update

from clinic_app.core import clock, db
from clinic_app.core.errors import TooManyAttempts
from clinic_app.models.accounts import Account, FlashNote, SignInLimit
from clinic_app.services.accounts import flash, housekeeping, sign_in_throttle
from clinic_app.services.accounts.errors import InvalidCredentials
from clinic_app.services.accounts.signing_in import STAFF_DOOR, sign_in
from clinic_app.services.patients.forms import PatientUpdate
from clinic_app.services.patients.profile import update_patient
from tests import factories
from tests.db import tools


def _count(table: type) -> int:
    with db.reading() as session:
        return session.execute(select(func.count()).select_from(table)).scalar_one()


def test_failures_of_guessed_names_go_after_half_an_hour_and_not_before(database: object) -> None:
    with pytest.raises(InvalidCredentials):
        sign_in(STAFF_DOOR, "guessed-by-a-robot", "whatever this is")
    flash.put_note(message="said once")
    assert _count(SignInLimit) > 0
    assert housekeeping.tidy() == 0
    with time_machine.travel(clock.now() + dt.timedelta(minutes=2), tick=False):
        assert housekeeping.tidy() == 1  # the note
    assert _count(FlashNote) == 0
    with time_machine.travel(clock.now() + dt.timedelta(minutes=31), tick=False):
        assert housekeeping.tidy() > 0
    assert _count(SignInLimit) == 0


def test_failures_at_an_account_that_there_is_go_after_thirty_days(database: object) -> None:
    factories.make_staff(username="grace")
    with pytest.raises(InvalidCredentials):
        sign_in(STAFF_DOOR, "grace", "whatever this is")
    with time_machine.travel(clock.now() + dt.timedelta(days=29), tick=False):
        housekeeping.tidy()
    assert tools.raw("SELECT DISTINCT account_id IS NULL FROM sign_in_limits") == [(False,)]
    with time_machine.travel(clock.now() + dt.timedelta(days=31), tick=False):
        housekeeping.tidy()
    assert _count(SignInLimit) == 0


def test_what_still_blocks_stays_however_long_ago_it_began(database: object) -> None:
    for n in range(12):
        with tools.from_address(f"198.51.100.{n}"), pytest.raises((InvalidCredentials, TooManyAttempts)):
            sign_in(STAFF_DOOR, "guessed-by-a-robot", "whatever this is")
    key = sign_in_throttle.account_key("guessed-by-a-robot")
    began = clock.now() - sign_in_throttle.KEEP_FAILURES - dt.timedelta(days=1)
    limits = SignInLimit.__table__  # type: ignore[attr-defined]
    with db.transaction() as session:
        session.execute(update(limits).values(window_started_at=began))
    assert housekeeping.tidy() > 0  # addresses and pairs, which block nobody
    with db.reading() as session:
        assert session.execute(select(limits.c.key)).scalars().all() == [key]
        assert sign_in_throttle.locked(session, ["guessed-by-a-robot"])
    with pytest.raises(TooManyAttempts):
        sign_in(STAFF_DOOR, "guessed-by-a-robot", "whatever this is")
    with time_machine.travel(clock.now() + dt.timedelta(hours=1), tick=False):
        assert housekeeping.tidy() == 1  # the block is over
    with db.reading() as session:
        assert key not in session.execute(select(limits.c.key)).scalars().all()


def test_a_patient_who_is_renamed_is_renamed_at_the_portal_too(people: factories.People) -> None:
    done = factories.make_patient(people.receptionist, portal_email="renamed@example.org")
    update_patient(people.receptionist, done.patient.id, PatientUpdate.parse({"last_name": "Wekesa"}))
    with db.reading() as session:
        account = session.execute(select(Account).where(Account.username == "renamed@example.org")).scalar_one()
    assert account.full_name == f"{done.patient.first_name} Wekesa"
