"""Tidying up removes what is past its time, and nothing else."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from sqlalchemy import func, select

from clinic_app.core import clock, db
from clinic_app.models.accounts import Account, FlashNote, SignInLimit
from clinic_app.services.accounts import flash, housekeeping
from clinic_app.services.accounts.errors import InvalidCredentials
from clinic_app.services.accounts.signing_in import STAFF_DOOR, sign_in
from clinic_app.services.patients.forms import PatientUpdate
from clinic_app.services.patients.profile import update_patient
from tests import factories


def _count(table: type) -> int:
    with db.reading() as session:
        return session.execute(select(func.count()).select_from(table)).scalar_one()


def test_failures_of_guessed_names_go_after_thirty_days_and_not_before(database: object) -> None:
    with pytest.raises(InvalidCredentials):
        sign_in(STAFF_DOOR, "guessed-by-a-robot", "whatever this is")
    flash.put_note(message="said once")
    assert _count(SignInLimit) > 0
    assert housekeeping.tidy() == 0
    with time_machine.travel(clock.now() + dt.timedelta(minutes=2), tick=False):
        assert housekeeping.tidy() == 1  # the note
    assert _count(FlashNote) == 0
    with time_machine.travel(clock.now() + dt.timedelta(days=31), tick=False):
        assert housekeeping.tidy() > 0
    assert _count(SignInLimit) == 0


def test_a_patient_who_is_renamed_is_renamed_at_the_portal_too(people: factories.People) -> None:
    done = factories.make_patient(people.receptionist, portal_email="renamed@example.org")
    update_patient(people.receptionist, done.patient.id, PatientUpdate.parse({"last_name": "Wekesa"}))
    with db.reading() as session:
        account = session.execute(select(Account).where(Account.username == "renamed@example.org")).scalar_one()
    assert account.full_name == f"{done.patient.first_name} Wekesa"
