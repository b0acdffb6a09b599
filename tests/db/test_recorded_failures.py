"""A failure is recorded by itself, and a note that fails never hides what happened."""

from __future__ import annotations

import pytest
import structlog

from clinic_app.core import crypto, db
from clinic_app.core.errors import ClinicError, PermissionDenied, Unexpected
from clinic_app.services.access import Permission
from clinic_app.services.accounts.errors import InvalidCredentials, WrongPassword
from clinic_app.services.accounts.reauthentication import reauthenticate
from clinic_app.services.accounts.signing_in import STAFF_DOOR, sign_in
from clinic_app.services.audit import authorization
from clinic_app.services.audit.actions import Action
from clinic_app.services.patients.errors import NationalIdTaken
from clinic_app.services.patients.profile import view_patient
from clinic_app.services.patients.registration import FAILED
from tests import factories
from tests.db import tools

VALUE = "Odhiambo 0712 445 901"


def _fails(actor, error: Exception) -> None:
    with authorization.recorded_failure(actor, Action.PATIENT_CREATE_FAILED, FAILED, resource_type="patient"):
        tools.write("UPDATE counters SET value = value")
        raise error


@pytest.fixture
def no_notes(monkeypatch):
    """The trail cannot be written when something has failed."""

    def broken(*_, **__):
        raise OSError(VALUE)

    monkeypatch.setattr(authorization, "record", broken)


def test_an_error_of_ours_is_recorded_and_raised_as_it_is(desk):
    error = NationalIdTaken()
    with structlog.testing.capture_logs() as said, pytest.raises(NationalIdTaken) as caught:
        _fails(desk, error)
    assert caught.value is error
    assert tools.trail("PATIENT_CREATE_FAILED")[-1]["metadata"] == {"reason": "national_id_taken"}
    assert said == []


def test_a_fault_is_logged_without_values_recorded_and_told_by_its_reference(desk, request_id):
    with structlog.testing.capture_logs() as said, pytest.raises(Unexpected) as caught:
        _fails(desk, ValueError(VALUE))
    assert (caught.value.title, caught.value.detail) == (FAILED, f"Please try again. Reference: {request_id}")
    assert tools.trail("PATIENT_CREATE_FAILED")[-1]["metadata"] == {"reason": "unexpected"}
    assert [line["error"] for line in said] == ["ValueError"]
    assert VALUE not in str(said)


def test_nothing_is_recorded_of_what_succeeds(desk):
    seq = tools.last_seq()
    with authorization.recorded_failure(desk, Action.PATIENT_CREATE_FAILED, FAILED, resource_type="patient"):
        pass
    assert tools.last_seq() == seq


@pytest.mark.asvs("16.5.3")
@pytest.mark.parametrize(("error", "told"), [(NationalIdTaken(), NationalIdTaken), (ValueError(VALUE), Unexpected)])
def test_a_note_that_fails_does_not_hide_the_error(desk, no_notes, error, told):
    with structlog.testing.capture_logs() as said, pytest.raises(ClinicError) as caught:
        _fails(desk, error)
    assert type(caught.value) is told
    assert said[-1]["error"] == "OSError"
    assert VALUE not in str(said)


def test_neither_does_a_database_that_is_gone(desk):
    connect = db._connect
    db.use(None)
    try:
        with structlog.testing.capture_logs() as said, pytest.raises(PermissionDenied):
            authorization.demand(desk, Permission.STAFF_MANAGE)
    finally:
        db.use(connect)
    assert [line["error"] for line in said] == ["RuntimeError"]


def test_who_is_refused_signs_in_wrongly_or_confirms_wrongly_is_told_so_without_the_note(people, no_notes):
    patient = factories.make_patient(people.receptionist).patient
    cases = {
        PermissionDenied: lambda: view_patient(people.patient, patient.id),
        InvalidCredentials: lambda: sign_in(STAFF_DOOR, people.receptionist.username, "wrong"),
        WrongPassword: lambda: reauthenticate(people.receptionist, "wrong", session_token_hash=crypto.digest("x")),
    }
    for told, case in cases.items():
        before = tools.last_seq()
        with structlog.testing.capture_logs() as said, pytest.raises(ClinicError) as caught:
            case()
        assert type(caught.value) is told
        assert [line["error"] for line in said] == ["OSError"], told
        assert tools.last_seq() == before
