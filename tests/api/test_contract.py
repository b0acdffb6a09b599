"""Requests that other systems send, word for word, get the answers they rely on, word for word."""

from __future__ import annotations

import re
from typing import Any

import pytest

LOGIN_URL = "/patient-portal/login"
DOE = {
    "first_name": "John",
    "last_name": "Doe",
    "date_of_birth": "1990-01-15",
    "gender": "MALE",
    "phone": "0712345678",
}
SMITH = {
    "first_name": "Jane",
    "last_name": "Smith",
    "date_of_birth": "1985-03-20",
    "gender": "FEMALE",
    "create_portal_account": True,
    "portal_email": "jane.smith@email.com",
    "portal_phone": "0723456789",
}
EXISTING = {
    "first_name": "Test",
    "last_name": "User",
    "create_portal_account": True,
    "portal_email": "existing@email.com",
}
PASSWORD = re.compile(r"[A-HJ-KM-NP-Za-hj-km-np-z2-9]{12}")


def agrees(answer: dict[str, Any], expected: dict[str, Any]) -> None:
    """Everything that stands in the example is in the answer, with that value."""
    for name, value in expected.items():
        if isinstance(value, dict):
            agrees(answer[name], value)
        else:
            assert answer[name] == value, name


@pytest.fixture
def desk(as_):
    return as_("receptionist")


async def test_without_portal(api, desk):
    answer = await api.post("/api/v1/patients/", json=DOE, headers=desk)
    assert answer.status_code == 201
    found = answer.json()
    agrees(
        found,
        {
            "success": True,
            "message": "Patient registered successfully",
            "patient": {**DOE, "portal_enabled": False},
            "portal_created": False,
        },
    )
    assert "portal_credentials" not in found
    assert re.fullmatch(r"LMC\d{6}", found["patient"]["patient_id"])


async def test_with_portal(api, desk):
    answer = await api.post("/api/v1/patients/", json=SMITH, headers=desk)
    assert answer.status_code == 201
    found = answer.json()
    agrees(
        found,
        {
            "success": True,
            "message": "Patient registered successfully with portal account",
            "patient": {
                "first_name": "Jane",
                "last_name": "Smith",
                "email": "jane.smith@email.com",
                "phone": "0723456789",
                "portal_enabled": True,
            },
            "portal_created": True,
            "portal_credentials": {"username": "jane.smith@email.com", "login_url": LOGIN_URL},
        },
    )
    assert PASSWORD.fullmatch(found["portal_credentials"]["temporary_password"])


async def test_duplicate_email(api, desk):
    assert (await api.post("/api/v1/patients/", json=EXISTING, headers=desk)).status_code == 201
    answer = await api.post("/api/v1/patients/", json=EXISTING, headers=desk)
    assert answer.status_code == 400
    agrees(
        answer.json(),
        {
            "success": False,
            "error": "A portal account with this email already exists.",
            "detail": "Please use a different email address for the patient portal.",
        },
    )


async def test_missing_email(api, desk):
    body = {"first_name": "Test", "last_name": "User", "create_portal_account": True}
    answer = await api.post("/api/v1/patients/", json=body, headers=desk)
    assert answer.status_code == 400
    assert answer.json() == {
        "success": False,
        "error": "Validation failed",
        "detail": "Email is required when creating a patient portal account.",
        "errors": {"portal_email": "Email is required when creating a patient portal account."},
    }


async def test_duplicate_national_id(api, desk):
    body = {**DOE, "national_id": "2345 6789"}
    assert (await api.post("/api/v1/patients/", json=body, headers=desk)).status_code == 201
    answer = await api.post("/api/v1/patients/", json={**body, "national_id": "23-456789"}, headers=desk)
    assert answer.status_code == 400
    agrees(
        answer.json(),
        {
            "success": False,
            "error": "A patient with this national ID already exists.",
            "detail": "Please verify the national ID or search for existing patient.",
        },
    )


async def test_the_curl_lines(api, people):
    """Sign in, take ``.access``, register, create a portal account later."""
    username = people.receptionist.username
    signed_in = await api.post(
        "/api/v1/auth/login/", json={"username": username, "password": "green lorry quiet tuesday"}
    )
    assert signed_in.status_code == 200
    assert set(signed_in.json()) == {"access", "refresh"}
    header = {"Authorization": f"Bearer {signed_in.json()['access']}", "Content-Type": "application/json"}
    body = {
        "first_name": "API",
        "last_name": "Test",
        "create_portal_account": True,
        "portal_email": "apitest@example.com",
        "portal_phone": "0712345678",
    }
    assert (await api.post("/api/v1/patients/", json=body, headers=header)).status_code == 201
    plain = (await api.post("/api/v1/patients/", json=DOE, headers=header)).json()["patient"]
    later = await api.post(
        f"/api/v1/patients/{plain['id']}/create-portal/", json={"email": "test@example.com"}, headers=header
    )
    assert later.status_code == 201


# --- create portal later --------------------------------------------------------------------------


@pytest.fixture
async def john(api, desk):
    return (await api.post("/api/v1/patients/", json=DOE, headers=desk)).json()["patient"]


async def test_create_portal(api, desk, john):
    answer = await api.post(
        f"/api/v1/patients/{john['id']}/create-portal/",
        json={"email": "patient@example.com", "phone": "0712345678"},
        headers=desk,
    )
    assert answer.status_code == 201
    found = answer.json()
    agrees(
        found,
        {
            "success": True,
            "message": "Portal account created successfully",
            "credentials": {"username": "patient@example.com", "login_url": LOGIN_URL},
        },
    )
    assert found["patient"] == {
        "id": john["id"],
        "patient_id": john["patient_id"],
        "name": "John Doe",
        "portal_enabled": True,
    }
    assert PASSWORD.fullmatch(found["credentials"]["temporary_password"])


@pytest.mark.parametrize("body", [{}, {"email": ""}, {"email": "  "}, {"email": None}])
async def test_email_required(api, desk, john, body):
    answer = await api.post(f"/api/v1/patients/{john['id']}/create-portal/", json=body, headers=desk)
    assert answer.status_code == 400
    agrees(
        answer.json(),
        {
            "success": False,
            "error": "Email is required",
            "detail": "Please provide a valid email address for the portal account.",
        },
    )


async def test_invalid_email(api, desk, john):
    answer = await api.post(f"/api/v1/patients/{john['id']}/create-portal/", json={"email": "not one"}, headers=desk)
    assert answer.status_code == 400
    agrees(
        answer.json(),
        {"success": False, "error": "Invalid email format", "detail": "Please provide a valid email address."},
    )


async def test_portal_already_exists(api, desk, john):
    path = f"/api/v1/patients/{john['id']}/create-portal/"
    await api.post(path, json={"email": "existing@email.com"}, headers=desk)
    answer = await api.post(path, json={"email": "other@email.com"}, headers=desk)
    assert answer.status_code == 400
    agrees(
        answer.json(),
        {
            "success": False,
            "error": "Portal account already exists",
            "detail": "This patient already has a portal account with username: existing@email.com",
            "existing_username": "existing@email.com",
        },
    )


async def test_email_in_use(api, desk, john):
    await api.post("/api/v1/patients/", json=EXISTING, headers=desk)
    answer = await api.post(
        f"/api/v1/patients/{john['id']}/create-portal/", json={"email": "Existing@Email.com"}, headers=desk
    )
    assert answer.status_code == 400
    agrees(
        answer.json(),
        {
            "success": False,
            "error": "Email already in use",
            "detail": "A portal account with this email already exists. Please use a different email.",
        },
    )


async def test_permission_denied(api, as_, john):
    answer = await api.post(
        f"/api/v1/patients/{john['id']}/create-portal/", json={"email": "a@example.com"}, headers=as_("clinician")
    )
    assert answer.status_code == 403
    assert answer.json() == {"detail": "Only receptionists and administrators can create portal accounts."}
