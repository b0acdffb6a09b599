"""Portal access over the API: reset, off and on, many at once."""

from __future__ import annotations

import pytest

from clinic_app.core import crypto
from clinic_app.core.settings import get_settings
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from clinic_app.services.patients.profile import reread_patient
from clinic_app.services.portal.bulk import AT_MOST
from tests import factories
from tests.db.tools import trail

P = "/api/v1/patients/"


@pytest.fixture
def desk(as_):
    return as_("receptionist")


@pytest.fixture
def with_portal(people):
    return factories.make_patient(people.receptionist, portal_email="p@example.org")


@pytest.fixture
def without(people):
    return factories.make_patient(people.receptionist).patient


async def test_reset(api, desk, with_portal):
    answer = await api.post(f"{P}{with_portal.patient.id}/reset-portal-password/", headers=desk)
    assert answer.status_code == 200
    found = answer.json()
    assert found["success"] is True
    assert set(found) == {"success", "message", "credentials", "patient"}
    password = found["credentials"]["temporary_password"]
    assert password != with_portal.credentials.temporary_password
    assert sign_in(PATIENT_DOOR, "p@example.org", password).actor.must_choose_password


async def test_off_and_on(api, desk, with_portal):
    path = f"{P}{with_portal.patient.id}/"
    off = await api.post(f"{path}disable-portal/", headers=desk)
    assert off.status_code == 200
    assert off.json()["patient"]["portal_enabled"] is False
    assert (await api.get(path, headers=desk)).json()["portal_status"] == "off"
    refused = await api.post(f"{path}reset-portal-password/", headers=desk)
    assert refused.status_code == 409
    assert refused.json()["error"] == "Portal access is turned off"
    on = await api.post(f"{path}enable-portal/", json={}, headers=desk)
    assert on.json()["patient"]["portal_enabled"] is True
    assert (await api.get(path, headers=desk)).json()["portal_enabled"] is True


async def test_change_username(api, desk, with_portal):
    path = f"{P}{with_portal.patient.id}/"
    answer = await api.post(f"{path}change-portal-username/", json={"email": "Right@Example.org"}, headers=desk)
    assert answer.status_code == 200
    found = answer.json()
    assert set(found) == {"success", "message", "credentials", "patient"}
    assert found["message"] == "Portal username changed successfully"
    assert found["credentials"]["username"] == "right@example.org"
    assert found["patient"]["portal_enabled"] is True
    password = found["credentials"]["temporary_password"]
    assert sign_in(PATIENT_DOOR, "right@example.org", password).actor.must_choose_password
    assert (await api.get(path, headers=desk)).json()["portal_username"] == "right@example.org"


@pytest.mark.parametrize(
    ("body", "error", "detail"),
    [
        ({}, "Email is required", "Please provide a valid email address for the portal account."),
        ({"email": " "}, "Email is required", "Please provide a valid email address for the portal account."),
        ({"email": None}, "Email is required", "Please provide a valid email address for the portal account."),
        ({"email": "not one"}, "Invalid email format", "Please provide a valid email address."),
        ({"email": 5}, "Invalid email format", "Please provide a valid email address."),
        (
            {"email": "Taken@example.org"},
            "Email already in use",
            "A portal account with this email already exists. Please use a different email.",
        ),
        (
            {"email": "P@example.org"},
            "Portal account already exists",
            "This patient already has a portal account with username: p@example.org",
        ),
        ({"email": "q@example.org", "phone": "0712345678"}, "Validation failed", "phone is not a known field."),
    ],
)
async def test_change_username_refused(api, desk, people, with_portal, body, error, detail):
    factories.make_patient(people.receptionist, portal_email="taken@example.org")
    path = f"{P}{with_portal.patient.id}/change-portal-username/"
    answer = await api.post(path, json=body, headers=desk)
    found = answer.json()
    assert (answer.status_code, found["success"], found["error"], found["detail"]) == (400, False, error, detail)
    assert list(found["errors"]) == ["phone" if "phone" in body else "email"]
    assert found.get("existing_username") == ("p@example.org" if error.startswith("Portal account") else None)


async def test_change_username_of_no_account_or_one_that_is_off(api, desk, without, with_portal):
    body = {"email": "right@example.org"}
    none = await api.post(f"{P}{without.id}/change-portal-username/", json=body, headers=desk)
    assert (none.status_code, none.json()["error"]) == (409, "No portal account")
    await api.post(f"{P}{with_portal.patient.id}/disable-portal/", headers=desk)
    off = await api.post(f"{P}{with_portal.patient.id}/change-portal-username/", json=body, headers=desk)
    assert (off.status_code, off.json()["error"]) == (409, "Portal access is turned off")


async def test_change_username_is_for_the_desk(api, as_, with_portal):
    path = f"{P}{with_portal.patient.id}/change-portal-username/"
    answer = await api.post(path, json={"email": "right@example.org"}, headers=as_("clinician"))
    assert answer.status_code == 403
    assert answer.json() == {"detail": "Only receptionists and administrators can create portal accounts."}


async def test_resend_invitation(api, desk, with_portal, settings):
    path = f"{P}{with_portal.patient.patient_id}/resend-invitation/"
    refused = await api.post(path, headers=desk)
    assert (refused.status_code, refused.json()) == (
        409,
        {
            "success": False,
            "error": "Nothing was sent",
            "detail": "No messages are sent from here. Hand the credentials over in person.",
        },
    )
    settings.setenv("CLINIC_SMTP_HOST", "mail.example.org")
    get_settings.cache_clear()
    sent = await api.post(path, headers={**desk, "idempotency-key": "once"})
    patient = {"id": with_portal.patient.id, "patient_id": with_portal.patient.patient_id}
    assert sent.status_code == 200
    assert sent.json() == {
        "success": True,
        "message": "Invitation sent again",
        "patient": {**patient, "name": with_portal.patient.name, "portal_enabled": True},
        "deliveries": [{"channel": "email", "address": "p@example.org", "state": "QUEUED", "reason": None}],
    }
    again = await api.post(path, headers={**desk, "idempotency-key": "once"})
    assert again.json() == sent.json()
    assert len(trail("PORTAL_INVITED")) == 1


async def test_a_reason_for_turning_off(api, desk, with_portal, people):
    path = f"{P}{with_portal.patient.id}/disable-portal/"
    for body, fields in (
        ({"reason": "MOOD"}, ["reason"]),
        ({"words": "Because"}, ["reason"]),
        ({"reason": "OTHER", "words": "x" * 151}, ["words"]),
    ):
        answer = await api.post(path, json=body, headers=desk)
        assert (answer.status_code, list(answer.json()["errors"])) == (400, fields)
    answer = await api.post(path, json={"reason": "OTHER", "words": "Moved"}, headers=desk)
    assert answer.status_code == 200
    kept = reread_patient(people.receptionist, with_portal.patient.id).access.turned_off_reason
    assert kept == "OTHER: Moved"


@pytest.mark.parametrize("what", ["reset-portal-password", "resend-invitation", "disable-portal", "enable-portal"])
async def test_without_an_account(api, desk, without, what):
    answer = await api.post(f"{P}{without.id}/{what}/", headers=desk)
    assert answer.status_code == 409
    assert answer.json() == {
        "success": False,
        "error": "No portal account",
        "detail": "This patient has no portal account yet.",
    }
    assert (await api.post(f"{P}999999/{what}/", headers=desk)).status_code == 404
    assert (await api.post(f"{P}{without.id}/{what}/", json={"x": 1}, headers=desk)).status_code == 400


# --- many at once ---------------------------------------------------------------------------------


async def test_bulk(api, as_, people, with_portal, without):
    mail = factories.make_patient(people.receptionist, email="bulk@example.org", first_name="Bulk").patient
    same = factories.make_patient(people.receptionist, email="BULK@example.org").patient
    wanted = [mail.id, without.patient_id, with_portal.patient.id, same.id, 999999, mail.id]
    answer = await api.post(f"{P}bulk-create-portal/", json={"patient_ids": wanted}, headers=as_("admin"))
    assert answer.status_code == 200
    found = answer.json()
    assert (found["created"], found["failed"]) == (1, 4)
    results = {result["requested"]: result for result in found["results"]}
    assert len(found["results"]) == 5  # named twice, done once
    assert results[mail.id]["credentials"]["username"] == "bulk@example.org"
    assert len(results[mail.id]["credentials"]["temporary_password"]) == 12
    assert results[without.patient_id]["error"] == "Email is required"
    assert results[with_portal.patient.id]["existing_username"] == "p@example.org"
    assert results[same.id]["error"] == "Email already in use"
    assert results[999999] == {
        "requested": 999999,
        "success": False,
        "patient": None,
        "error": "Patient not found",
        "detail": "No patient has this number.",
    }
    assert [row["metadata"] for row in trail("PORTAL_BULK_RUN")] == [{"created": 1, "failed": 4}]
    assert len([row for row in trail("PORTAL_ACCOUNT_CREATED") if row["resource_id"] == mail.id]) == 1


async def test_bulk_repeated_shows_no_password(api, as_, people):
    mail = factories.make_patient(people.receptionist, email="bulk@example.org").patient
    headers = {**as_("admin"), "idempotency-key": "b"}
    body = {"patient_ids": [mail.id]}
    first = (await api.post(f"{P}bulk-create-portal/", json=body, headers=headers)).json()
    again = (await api.post(f"{P}bulk-create-portal/", json=body, headers=headers)).json()
    assert first["results"][0]["credentials"]["temporary_password"]
    assert again["results"][0]["credentials"] == {
        **first["results"][0]["credentials"],
        "temporary_password": None,
        "already_issued": True,
    }


@pytest.mark.parametrize("ids", [None, [], "1", [True], [1.5], [None], [[1]], list(range(1, AT_MOST + 2))])
async def test_bulk_refused(api, as_, ids):
    answer = await api.post(f"{P}bulk-create-portal/", json={"patient_ids": ids}, headers=as_("admin"))
    assert answer.status_code == 400
    assert answer.json()["errors"]["patient_ids"]


async def test_too_many_hashes_at_once(api, desk, without, monkeypatch):
    monkeypatch.setattr(crypto._known._places, "acquire", lambda **_: False)
    answer = await api.post(f"{P}{without.id}/create-portal/", json={"email": "x@example.org"}, headers=desk)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
