"""What holds for every answer: slashes, request ids, methods, faults, rates, health, the description."""

from __future__ import annotations

import json
import re
from typing import Annotated

import httpx
import pytest
import sqlalchemy as sa
from fastapi import APIRouter, Depends
from limits.errors import StorageError

from clinic_app.api import patients as patients_api
from clinic_app.api.app import create_api
from clinic_app.api.endpoint import Anyone, Call, Route
from clinic_app.core import db, readiness
from clinic_app.core.settings import get_settings
from clinic_app.services.rates import FIGURES, rates
from tests.db.tools import statements

P = "/api/v1/patients/"


# --- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [P, f"{P}search/", "/api/v1/audit/", "/api/v1/openapi.json", "/api/v1/docs"])
async def test_with_and_without_the_last_slash(api, as_, path):
    for address in (path.rstrip("/"), path.rstrip("/") + "/"):
        assert (await api.get(address, headers=as_("admin"))).status_code == 200


@pytest.mark.parametrize(("path", "status"), [("/api/v1/nothing", 404), ("/api/", 404), ("/api/v1/patients//", 404)])
async def test_no_such_address(api, path, status):
    answer = await api.get(path)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", P, "GET, POST"),
        ("PUT", P + "1/", "GET, PATCH"),
        ("GET", "/api/v1/auth/login/", "POST"),
        ("DELETE", P + "search/", "GET, POST"),
        ("PATCH", P + "search/", "GET, POST"),
        ("GET", P + "bulk-create-portal/", "POST"),
        ("PATCH", P + "1/verify/", "POST"),
    ],
)
async def test_methods(api, method, path, allowed):
    answer = await api.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed
    assert answer.json() == {"detail": "This address does not allow that method."}


async def test_every_answer_has_a_request_id(api, as_):
    seen = set()
    for path in (P, "/api/v1/nothing", "/api/v1/docs", f"{P}1/"):
        found = (await api.get(path, headers=as_("admin"))).headers.get_list("x-request-id")
        assert len(found) == 1
        seen.add(found[0])
    assert len(seen) == 4


async def test_it_names_the_request_in_the_trail(api, as_):
    from tests.db.tools import trail

    answer = await api.get("/api/v1/audit/", headers=as_("receptionist"))
    assert trail("ACCESS_DENIED")[-1]["request_id"] == answer.headers["x-request-id"]


async def test_answers_are_not_kept(api, as_):
    assert (await api.get(P, headers=as_("admin"))).headers["cache-control"] == "no-store"


# --- faults ---------------------------------------------------------------------------------------


@pytest.mark.asvs("16.5.1")
async def test_a_fault_is_told_without_internals(api, as_, monkeypatch, capfd):
    def broken(*_):
        raise RuntimeError("secret inside")

    monkeypatch.setattr(patients_api, "list_patients", broken)
    answer = await api.get(P, headers=as_("admin"))
    assert answer.status_code == 500
    reference = answer.headers["x-request-id"]
    assert answer.json() == {
        "success": False,
        "error": "Something went wrong",
        "detail": f"Please try again. Reference: {reference}",
    }
    logged = "".join(capfd.readouterr())
    assert reference in logged
    assert "RuntimeError" in logged
    assert "secret inside" not in logged


async def test_a_fault_while_registering(api, as_, monkeypatch):
    from clinic_app.services.patients import registration

    def broken(*_):
        raise RuntimeError("secret inside")

    monkeypatch.setattr(registration, "_save", broken)
    answer = await api.post(P, json={"first_name": "A", "last_name": "B"}, headers=as_("receptionist"))
    assert answer.status_code == 500
    assert answer.json() == {
        "success": False,
        "error": "Failed to create patient",
        "detail": f"Please try again. Reference: {answer.headers['x-request-id']}",
    }


# --- how many statements --------------------------------------------------------------------------

CHECKED = 1  # the session behind the token


async def sent(api, method, path, headers, **more) -> list[str]:
    with statements() as seen:
        answer = await api.request(method, path, headers=headers, **more)
    assert answer.status_code < 300, answer.text
    return seen


async def test_statements(api, as_, people):
    """At most 3 without portal, 7 with it, besides the counter, the head of the chain (read, moved on), the actor, and
    what finding people takes (counted in ``tests/db/test_registration.py``)."""
    desk, besides = as_("receptionist"), CHECKED + 4 + 5
    body = {"first_name": "Count", "last_name": "Me"}
    assert len(await sent(api, "POST", P, desk, json=body)) <= 3 + besides
    with_portal = {**body, "create_portal_account": True, "portal_email": "count@example.org"}
    assert len(await sent(api, "POST", P, desk, json=with_portal)) <= 7 + besides
    recorded = 4  # the head read and moved on, the actor, the event
    listed = await sent(api, "GET", P, desk)
    assert (
        len(listed) == CHECKED + 5 + recorded
    )  # how many, which, the page, who of it is locked out, or missed a message
    assert len(await sent(api, "GET", f"{P}{people.patient.patient_id}/", desk)) <= CHECKED + 7
    by_search = await sent(api, "GET", f"{P}search/?q=count", desk)
    # the newest, parts of names that there are, who may match, names alike, the page, and as above
    assert len(by_search) == CHECKED + 7 + recorded


# --- rates ----------------------------------------------------------------------------------------


@pytest.fixture
def strict(settings):
    settings.setenv("CLINIC_API_RATE_FACTOR", "1")
    get_settings.cache_clear()


@pytest.mark.asvs("2.4.1")
async def test_too_often(api, as_, strict):
    header = as_("receptionist")
    allowed = int(FIGURES["search"].split("/")[0])
    statuses = [(await api.get(f"{P}search/?q=x", headers=header)).status_code for _ in range(allowed)]
    assert set(statuses) == {200}
    answer = await api.get(f"{P}search/?q=x", headers=header)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert re.fullmatch(r"Too many requests\. Please try again in \d+ seconds\.", answer.json()["detail"])
    # somebody else, and something else, goes on
    assert (await api.get(f"{P}search/?q=x", headers=as_("admin"))).status_code == 200
    assert (await api.get(P, headers=header)).status_code == 200


@pytest.mark.asvs("2.4.1", "16.5.2")
async def test_rates_hold_without_redis(strict, people, monkeypatch, settings):
    """Redis gone: neither let everything through nor nothing."""
    from clinic_app.services.rates import Rates, TooManyRequests

    asked = []
    made = Rates("redis://127.0.0.1:1/0")
    real = Rates._ask

    def counted(limiter, item, key):
        asked.append(limiter is made._memory)
        return real(limiter, item, key)

    monkeypatch.setattr(Rates, "_ask", staticmethod(counted))
    for _ in range(60):
        made.spend(people.receptionist, "audit")
    with pytest.raises(TooManyRequests):
        made.spend(people.receptionist, "audit")
    assert asked.count(False) <= 1  # asked once, then left alone for a while


def test_figures_can_be_read():
    assert rates().spend
    assert StorageError


# --- health ---------------------------------------------------------------------------------------


async def test_alive_and_ready(api):
    alive = await api.get("/healthz")
    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
    ready = await api.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {
        "status": "ready",
        "parts": {"database": "ok", "migrations": "ok", "writes": "ok", "disk": "ok", "state_store": "not used"},
    }


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_whoever_asks_for_the_head_alone_gets_it(api, path):
    whole, head = await api.get(path), await api.head(path)
    assert (head.status_code, head.headers["content-type"]) == (200, whole.headers["content-type"])
    assert head.headers["content-length"] == whole.headers["content-length"]


async def test_not_ready_behind(api, database):
    with db.transaction() as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = '0001_front_desk'"))
    answer = await api.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"]["migrations"] == "behind"


async def test_not_ready_without_a_database(asgi):
    """And it says which part, without a path, a host or a driver's words."""
    gone = sa.create_engine("sqlite:////nowhere/at/all.sqlite3")
    db.bind(gone)
    try:
        transport = httpx.ASGITransport(app=asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            answer = await client.get("/readyz")
    finally:
        db.use(None)
        gone.dispose()
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "not ready",
        "parts": {
            "database": "unreachable",
            "migrations": "unreachable",
            "writes": "unreachable",
            "disk": "ok",
            "state_store": "not used",
        },
    }


async def test_not_ready_without_redis(api, settings):
    settings.setenv("CLINIC_REDIS_URL", "redis://127.0.0.1:1/0")
    get_settings.cache_clear()
    answer = await api.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"]["state_store"] == "unreachable"
    assert not readiness.ready(answer.json()["parts"])


# --- the description ------------------------------------------------------------------------------


@pytest.fixture
async def described(api):
    return (await api.get("/api/v1/openapi.json")).json()


@pytest.mark.asvs("2.1.1", "8.1.2")
async def test_every_operation_is_described(described):
    operations = [(path, method, what) for path, item in described["paths"].items() for method, what in item.items()]
    assert len(operations) == 23
    names = [what["operationId"] for _, _, what in operations]
    assert len(set(names)) == len(names)
    for path, method, what in operations:
        assert re.fullmatch(r"[a-z_]+", what["operationId"])
        assert path.startswith("/api/v1/")
        assert what["description"], path
        assert "security" in what, path
        assert any(status.startswith("2") for status in what["responses"])
        for status, answer in what["responses"].items():
            assert answer["description"], (path, method, status)
            assert "schema" in answer["content"]["application/json"], (path, method, status)
            assert "X-Request-ID" in answer["headers"]
        if what["security"]:
            assert {"401", "403", "429"} <= set(what["responses"])
    assert "HTTPValidationError" not in json.dumps(described)


async def test_references_lead_somewhere(described):
    shapes = described["components"]["schemas"]
    for name in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(described)):
        assert name in shapes
    assert not re.search(r'"#/\$defs', json.dumps(described))


async def test_the_page_needs_no_script(api):
    answer = await api.get("/api/v1/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "<script" not in answer.text
    assert "http://" not in answer.text.replace("http://localhost", "").replace("http://testserver", "")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.text.count("<h1>") == 1
    for words in ("Patient registered successfully with portal account", "Idempotency-Key", "existing_username"):
        assert words in answer.text


async def test_both_describe_the_application_that_serves_them():
    more = APIRouter(prefix="/v1", route_class=Route, tags=["More"])

    @more.get("/more/", operation_id="more")
    async def _(call: Annotated[Call, Depends(Anyone("an example"))]):
        """More of it."""

    for routers, there in (((more,), True), ((), False)):
        transport = httpx.ASGITransport(app=create_api(*routers))
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            assert ("/api/v1/more/" in (await client.get("/v1/openapi.json")).json()["paths"]) is there
            assert ("More of it." in (await client.get("/v1/docs")).text) is there
