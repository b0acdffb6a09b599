"""The error tree: stable codes, constant words, one place each."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import clinic_app.services
from clinic_app.core.errors import (
    AlreadyExists,
    ClinicError,
    ErrorKind,
    InvalidInput,
    TooManyAttempts,
    Unexpected,
)
from clinic_app.services.accounts import errors as accounts
from clinic_app.services.patients import errors as patients
from clinic_app.services.portal import errors as portal


def _tree() -> list[type[ClinicError]]:
    for module in pkgutil.walk_packages(clinic_app.services.__path__, "clinic_app.services."):
        importlib.import_module(module.name)
    found, open_ = [], [ClinicError]
    while open_:
        below = open_.pop().__subclasses__()
        found += [error for error in below if error.__module__.startswith("clinic_app.")]
        open_ += below
    return found


def test_every_error_has_a_kind_a_title_and_a_code_of_its_own():
    tree = _tree()
    assert len(tree) > 20
    assert all(isinstance(error.kind, ErrorKind) and error.title and error.code for error in tree)
    codes = [vars(error).get("code") for error in tree]
    assert None not in codes
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize(
    ("error", "title", "detail", "kind"),
    [
        (
            patients.PortalEmailTaken(),
            "A portal account with this email already exists.",
            "Please use a different email address for the patient portal.",
            "invalid",
        ),
        (
            patients.NationalIdTaken(),
            "A patient with this national ID already exists.",
            "Please verify the national ID or search for existing patient.",
            "invalid",
        ),
        (
            patients.PatientDetailsTaken(),
            "A patient with these details already exists.",
            "This patient ID has already been assigned.",
            "invalid",
        ),
        (
            patients.ConstraintViolated(),
            "Database constraint violation.",
            "The details break a rule of the register. Nothing was saved.",
            "invalid",
        ),
        (
            portal.EmailRequired(),
            "Email is required",
            "Please provide a valid email address for the portal account.",
            "invalid",
        ),
        (portal.EmailInvalid(), "Invalid email format", "Please provide a valid email address.", "invalid"),
        (
            portal.PortalAccountExists("existing@email.com"),
            "Portal account already exists",
            "This patient already has a portal account with username: existing@email.com",
            "invalid",
        ),
        (
            portal.EmailInUse(),
            "Email already in use",
            "A portal account with this email already exists. Please use a different email.",
            "invalid",
        ),
        (
            Unexpected("abc123", "Failed to create patient"),
            "Failed to create patient",
            "Please try again. Reference: abc123",
            "unexpected",
        ),
        (accounts.InvalidCredentials(), "Sign-in failed", "Incorrect username or password.", "unauthenticated"),
        (
            accounts.TemporaryPasswordExpired(),
            "Temporary password expired",
            "This temporary password has expired. Please ask the reception for a new one.",
            "unauthenticated",
        ),
    ],
)
def test_the_words_are_those_of_the_specification(error, title, detail, kind):
    assert (error.title, error.detail, error.kind) == (title, detail, kind)


def test_the_account_that_exists_is_named_in_the_answer():
    assert portal.PortalAccountExists("existing@email.com").extra() == {"existing_username": "existing@email.com"}
    assert patients.PortalEmailTaken().extra() == {}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "1 minute"), (60, "1 minute"), (61, "2 minutes"), (900, "15 minutes"), (0, "1 minute")],
)
def test_waits_are_told_in_whole_minutes_rounded_up(seconds, words):
    error = TooManyAttempts(seconds)
    assert error.detail == f"Too many attempts. Please try again in {words}."
    assert error.retry_after == max(1, seconds)
    assert error.kind == ErrorKind.THROTTLED


def test_clashes_are_told_beside_their_field():
    assert patients.PortalEmailTaken().fields == {
        "portal_email": "A portal account with this email already exists. "
        "Please use a different email address for the patient portal."
    }
    assert patients.NationalIdTaken().fields == {
        "national_id": "A patient with this national ID already exists. "
        "Please verify the national ID or search for existing patient."
    }
    assert portal.EmailInUse().fields == {
        "email": "Email already in use. A portal account with this email already exists. Please use a different email."
    }
    assert AlreadyExists().fields == {}
    assert patients.ConstraintViolated().fields == {}


def test_input_errors_tell_the_first_sentence_and_all_of_them_by_field():
    error = InvalidInput({"a": "First.", "b": "Second."})
    assert (error.title, error.detail) == ("Validation failed", "First.")
    assert error.fields == {"a": "First.", "b": "Second."}
    assert InvalidInput({}).detail == "The request could not be read."


def test_what_python_prints_of_an_error_is_its_code():
    assert str(portal.PortalAccountExists("secret@example.com")) == "portal_account_exists"
    assert "secret" not in repr(portal.PortalAccountExists("secret@example.com"))
