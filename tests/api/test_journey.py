"""A day at the desk over the API, on both databases: what its other tests hold on SQLite is true of PostgreSQL."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from clinic_app.core import db
from clinic_app.models.patients import Patient
from clinic_app.services.audit import chain
from tests import factories
from tests.db.tools import trail

V = "/api/v1"
P = f"{V}/patients/"

pytestmark = pytest.mark.both_databases


async def _bearer(api, actor) -> tuple[dict[str, str], dict[str, str]]:
    body = {"username": actor.username, "password": factories.PASSWORD}
    answer = await api.post(f"{V}/auth/login/", json=body)
    assert answer.status_code == 200, answer.text
    return {"authorization": f"Bearer {answer.json()['access']}"}, answer.json()


async def test_from_signing_in_to_signing_out(api, people):
    desk, pair = await _bearer(api, people.receptionist)

    body = {
        "first_name": "Zawadi",
        "last_name": "Journey",
        "date_of_birth": "1988-03-14",
        "national_id": "JOURNEY 1",
        "create_portal_account": True,
        "portal_email": "zawadi.journey@example.org",
    }
    once = {**desk, "idempotency-key": "journey-1"}
    made = await api.post(P, json=body, headers=once)
    again = await api.post(P, json=body, headers=once)
    assert (made.status_code, again.status_code) == (201, 201), made.text
    ident = made.json()["patient"]["id"]
    assert again.json()["patient"]["id"] == ident
    assert made.json()["portal_credentials"]["username"] == "zawadi.journey@example.org"
    clash = await api.post(P, json={**body, "create_portal_account": False}, headers=desk)
    assert (clash.status_code, clash.json()["error"]) == (400, "A patient with this national ID already exists.")

    found = (await api.get(f"{P}search/", params={"q": "journey"}, headers=desk)).json()
    assert [row["id"] for row in found["results"]] == [ident]
    listed = (await api.get(f"{P}?search=zawadi&page_size=1", headers=desk)).json()
    assert listed["count"] == 1

    seen = await api.get(f"{P}{ident}/", headers=desk)
    assert seen.json()["date_of_birth"] == "1988-03-14"
    edited = await api.patch(f"{P}{ident}/", json={"address": "7 New Street", "version": 1}, headers=desk)
    assert edited.status_code == 200, edited.text
    late = await api.patch(f"{P}{ident}/", json={"address": "8 New Street", "version": 1}, headers=desk)
    assert late.status_code == 409

    with db.transaction() as session:
        session.execute(sa.update(Patient).where(Patient.__table__.c.id == ident).values(verification_status="PENDING"))
    waiting = (await api.get(f"{P}pending-verification/", headers=desk)).json()
    assert [row["id"] for row in waiting["results"]] == [ident]
    assert (await api.post(f"{P}{ident}/verify/", headers=desk)).status_code == 200

    reset = await api.post(f"{P}{ident}/reset-portal-password/", headers=desk)
    assert reset.status_code == 200, reset.text
    renamed = await api.post(
        f"{P}{ident}/change-portal-username/", json={"email": "zawadi.other@example.org"}, headers=desk
    )
    assert renamed.status_code == 200, renamed.text
    assert (await api.post(f"{P}{ident}/disable-portal/", headers=desk)).status_code == 200
    assert (await api.post(f"{P}{ident}/enable-portal/", headers=desk)).status_code == 200

    fresh = await api.post(f"{V}/auth/refresh/", json={"refresh": pair["refresh"]})
    assert fresh.status_code == 200, fresh.text
    renewed = {"authorization": f"Bearer {fresh.json()['access']}"}
    assert (await api.get(f"{P}{ident}/", headers=renewed)).status_code == 200
    out = await api.post(f"{V}/auth/logout/", json={"refresh": fresh.json().get("refresh", "")}, headers=renewed)
    assert out.status_code in (200, 204), out.text
    assert (await api.get(f"{P}{ident}/", headers=renewed)).status_code == 401

    admin, _ = await _bearer(api, people.admin)
    events = (await api.get(f"{V}/audit/", params={"page_size": 100}, headers=admin)).json()["results"]
    done = [event["action"] for event in events]
    for action in (
        "PATIENT_CREATED",
        "PATIENT_UPDATED",
        "PATIENT_VERIFIED",
        "PORTAL_PASSWORD_RESET",
        "PORTAL_USERNAME_CHANGED",
        "PORTAL_TURNED_OFF",
    ):
        assert action in done
    assert [row["resource_id"] for row in trail("PATIENT_VERIFIED")] == [ident]
    assert chain.verify().ok
