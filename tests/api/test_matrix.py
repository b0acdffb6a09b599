"""Role × operation, made from the routes: a new route without a row here fails."""

from __future__ import annotations

import pytest
from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute

from clinic_app.api import app as composition
from clinic_app.api.endpoint import Anyone, Call, Needs, Route
from clinic_app.services.access import Permission

STAFF, DESK, ADMIN, ALL = (
    {"admin", "receptionist", "clinician"},
    {"admin", "receptionist"},
    {"admin"},
    {"admin", "receptionist", "clinician", "patient"},
)
WHO = ("admin", "receptionist", "clinician", "patient", "anonymous")
#: Who may call what, written by hand. None: everybody.
MATRIX: dict[tuple[str, str], set[str] | None] = {
    ("POST", "/v1/auth/login/"): None,
    ("POST", "/v1/auth/refresh/"): None,
    ("POST", "/v1/auth/logout/"): ALL,
    ("POST", "/v1/patients/"): DESK,
    ("GET", "/v1/patients/"): STAFF,
    ("GET", "/v1/patients/search/"): STAFF,
    ("POST", "/v1/patients/search/"): STAFF,
    ("GET", "/v1/patients/pending-verification/"): DESK,
    ("GET", "/v1/patients/{id}/"): STAFF,
    ("PATCH", "/v1/patients/{id}/"): DESK,
    ("POST", "/v1/patients/{id}/verify/"): DESK,
    ("GET", "/v1/patients/{id}/duplicates/"): DESK,
    ("POST", "/v1/patients/{id}/merge/"): DESK,
    ("POST", "/v1/patients/{id}/undo-merge/"): DESK,
    ("POST", "/v1/patients/{id}/not-a-duplicate/"): DESK,
    ("POST", "/v1/patients/bulk-create-portal/"): ADMIN,
    ("POST", "/v1/patients/{id}/create-portal/"): DESK,
    ("POST", "/v1/patients/{id}/reset-portal-password/"): DESK,
    ("POST", "/v1/patients/{id}/change-portal-username/"): DESK,
    ("POST", "/v1/patients/{id}/resend-invitation/"): DESK,
    ("POST", "/v1/patients/{id}/disable-portal/"): DESK,
    ("POST", "/v1/patients/{id}/enable-portal/"): DESK,
    ("GET", "/v1/audit/"): ADMIN,
    ("GET", "/v1/openapi.json/"): None,
    ("GET", "/v1/docs/"): None,
}
ROUTES = [
    (method, route.path_format)
    for route in composition.create_api().router.routes
    if isinstance(route, APIRoute)
    for method in sorted(route.methods)
]


def test_every_route_has_a_row():
    assert sorted(ROUTES) == sorted(MATRIX)


@pytest.mark.asvs("8.1.1", "8.2.1")
@pytest.mark.parametrize(("method", "path"), ROUTES, ids=[" ".join(r) for r in ROUTES])
async def test_who_may(api, as_, people, method, path):
    allowed = MATRIX[(method, path)]
    address = "/api" + path.replace("{id}", str(people.patient.patient_id))
    missing = "/api" + path.replace("{id}", "999999")
    for who in WHO:
        headers = as_(who)
        # a body that no form takes: whoever is let through gets no further than 400, 404 or 409
        answer = await api.request(
            method, address, content=b"[1", headers={**headers, "content-type": "application/json"}
        )
        if allowed is None or who in allowed:
            assert answer.status_code in (200, 400, 409), (who, answer.text)
            continue
        assert answer.status_code == (401 if who == "anonymous" else 403), (who, answer.text)
        assert set(answer.json()) == {"detail"}
        # and it never shows whether there is such a patient
        other = await api.request(method, missing, headers=headers)
        assert (other.status_code, other.content) == (answer.status_code, answer.content), who


@pytest.mark.asvs("16.3.2")
async def test_a_refusal_is_recorded(api, as_, people):
    from tests.db.tools import trail

    before = len(trail("ACCESS_DENIED"))
    await api.get("/api/v1/audit/", headers=as_("receptionist"))
    found = trail("ACCESS_DENIED")[before:]
    assert [(row["actor_id"], row["metadata"]["permission"]) for row in found] == [
        (people.receptionist.account_id, "audit:see")
    ]


# --- denied by default ----------------------------------------------------------------------------


def test_a_route_without_a_permission_stops_the_start():
    forgetful = APIRouter(route_class=Route)

    @forgetful.get("/v1/forgotten/")
    async def forgotten() -> dict[str, str]:
        return {}

    with pytest.raises(RuntimeError, match="/v1/forgotten/ names no permission"):
        composition.create_api(forgetful)


def test_two_permissions_are_none():
    """Which of them would count is anybody's guess."""
    undecided = APIRouter(route_class=Route)

    @undecided.get("/v1/undecided/", dependencies=[Depends(Anyone("why"))])
    async def both(call: Call = Depends(Needs(Permission.AUDIT_SEE))) -> dict[str, str]:
        return {}

    with pytest.raises(RuntimeError, match="undecided"):
        composition.create_api(undecided)


def test_whatever_needs_nothing_says_why():
    open_to_all = [
        need.why for route in composition.create_api().router.routes if isinstance(need := route.need, Anyone)
    ]
    assert len(open_to_all) == 4
    assert all(open_to_all)
