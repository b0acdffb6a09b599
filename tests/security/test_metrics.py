"""Figures for Prometheus: right, for whoever has the token alone, and without anything of anybody in them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from prometheus_client.parser import text_string_to_metric_families
from reflex_base.registry import RegistrationContext
from sqlalchemy.exc import IntegrityError
from starlette.routing import Mount

import clinic_app.clinic_app  # noqa: F401  every screen
from clinic_app.api import health
from clinic_app.api import metrics as door
from clinic_app.api.app import create_api
from clinic_app.core import context, db, metrics
from clinic_app.core.errors import ErrorKind
from clinic_app.core.settings import SettingsError, get_settings, load_settings
from clinic_app.models.patients import PATIENTS
from clinic_app.services import monitoring
from clinic_app.services.access import SYSTEM
from clinic_app.services.audit.actions import Action, Outcome
from clinic_app.services.audit.recording import record, record_many
from clinic_app.ui.registration.state import RegistrationState
from clinic_app.ui.session.guard import MARK
from clinic_app.web import exchange, shell
from clinic_app.web.app import ROUTERS, create_web
from clinic_app.web.documents import before_session
from clinic_app.web.middleware import harden
from clinic_app.web.open_sockets import OpenSockets
from tests import factories
from tests.api.conftest import bearer
from tests.db import tools
from tests.security.attack import BRAVO, marks_in, personal
from tests.ui.conftest import Desk

TOKEN = "figures-for-prometheus-and-nobody"
MAY = {"authorization": f"Bearer {TOKEN}"}
HOME = {"host": "localhost:3000"}


@pytest.fixture(autouse=True)
def _nothing_counted() -> None:
    metrics.begin_anew()
    door._wrong._buckets.clear()
    door._found = (-door.FRESH, {})


@pytest.fixture
def edge(tmp_path: Any, settings: Any) -> Callable[..., Any]:
    """The server's outermost layer around the web's and the API's routes; pages are one file."""
    client = tmp_path / "build" / "client"
    client.mkdir(parents=True)
    (client / "index.html").write_text("<html><head><script>1</script></head><body></body></html>")
    settings.setenv("REFLEX_WEB_WORKDIR", str(tmp_path))

    def make(*routers: Any, **environment: str) -> Any:
        for name, value in environment.items():
            settings.setenv(name, value)
        get_settings.cache_clear()
        web = create_web(health.router, *routers)
        served = harden(before_session(web, OpenSockets()), api=Mount("/api", app=create_api()))

        async def app(scope: Any, receive: Any, send: Any) -> None:
            token = context._current.set(None)
            try:
                await served(scope, receive, send)
            finally:
                context._current.reset(token)

        return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost:3000")

    return make


@pytest.fixture
async def http(edge: Callable[..., Any], database: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A server that tells figures."""
    async with edge(door.router, CLINIC_METRICS_TOKEN=TOKEN) as client:
        yield client


def series(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Each series and its value."""
    return {
        (one.name, frozenset(one.labels.items())): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def value(text: str, name: str, **labels: str) -> float:
    """One series; 0 where there is none."""
    return series(text).get((name, frozenset(labels.items())), 0.0)


async def told(http: httpx.AsyncClient) -> str:
    """What is told now."""
    door._found = (-door.FRESH, {})
    answer = await http.get("/metrics", headers=MAY)
    assert answer.status_code == 200
    return answer.text


# --- who is told ----------------------------------------------------------------------------------------


@pytest.mark.asvs("13.4.5")
async def test_without_the_setting_there_is_no_such_address(edge, database):
    async with edge() as http:
        assert (await http.get("/metrics", headers=MAY)).status_code == 404


@pytest.mark.asvs("13.4.5")
@pytest.mark.parametrize("header", [None, "", TOKEN, "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Basic x"])
async def test_nobody_is_told_without_the_token(http, header):
    answer = await http.get("/metrics", headers={} if header is None else {"authorization": header})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "clinic_" not in answer.text


async def test_a_staff_token_is_no_token_for_figures(http, people):
    assert (await http.get("/metrics", headers=bearer(people.admin))).status_code == 401


@pytest.mark.asvs("13.4.5")
async def test_whoever_guesses_is_kept_from_going_on(http):
    tried = [(await http.get("/metrics", headers={"authorization": f"Bearer {n}"})).status_code for n in range(14)]
    assert tried == [401] * 10 + [429] * 4
    answer = await http.get("/metrics", headers={"authorization": "Bearer 15"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "6")


@pytest.mark.asvs("13.4.5")
async def test_wrong_tokens_keep_nobody_out_who_has_the_right_one(http):
    """Or anybody at the address of the proxy, or of Prometheus, could blind whoever watches."""
    for number in range(14):
        await http.get("/metrics", headers={"authorization": f"Bearer {number}"})
    assert (await http.get("/metrics", headers=MAY)).status_code == 200


async def test_whoever_has_the_token_may_ask_as_often_as_they_like(http):
    for _ in range(30):
        assert (await http.get("/metrics", headers=MAY)).status_code == 200
    head = await http.head("/metrics", headers=MAY)
    assert (head.status_code, head.text) == (200, "")


@pytest.mark.parametrize("token", ["short", "x" * 31, "x" * 201, "words with blanks in between them all", "ü" * 40])
def test_a_token_that_could_be_guessed_is_refused_at_the_start(settings, token):
    settings.setenv("CLINIC_METRICS_TOKEN", token)
    with pytest.raises(SettingsError, match=r"^CLINIC_METRICS_TOKEN: must be 32 to 200"):
        load_settings()


def test_an_empty_token_is_none(settings):
    settings.setenv("CLINIC_METRICS_TOKEN", "")
    assert load_settings().metrics_token is None


# --- what is told ---------------------------------------------------------------------------------------


async def _busy(http: httpx.AsyncClient, people: Any) -> str:
    """Somebody with marks in every value is registered, looked for, read, refused, and signs in wrongly."""
    may = bearer(people.receptionist)
    sent = {**personal(BRAVO, "420002"), "date_of_birth": "1988-03-14"}
    made = await http.post("/api/v1/patients/", json=sent, headers=may)
    assert made.status_code == 201
    number = made.json()["patient"]["patient_id"]
    await http.post("/api/v1/patients/", json=sent, headers=may)
    await http.post("/api/v1/patients/search/", json={"q": BRAVO}, headers=may)
    await http.get(f"/api/v1/patients/{number}/", headers=may)
    await http.get(f"/api/v1/patients/{BRAVO}/", headers=may)
    await http.get(f"/api/v1/{BRAVO}/", headers=may)
    await http.get(f"/{BRAVO}", headers=may)
    await http.get(f"/patients/{number}?term={BRAVO}")
    await http.get(f"/patients/{number}/card")
    await http.get(f"/{BRAVO}.css")
    await http.request(f"{BRAVO}".upper()[:10], "/login")
    await http.post("/api/v1/auth/login/", json={"username": f"user{BRAVO}", "password": f"pass {BRAVO}"})
    await http.post(
        "/login",
        data={"username": f"user{BRAVO}", "password": f"pass {BRAVO}"},
        headers={"sec-fetch-site": "same-origin", "accept": "text/html", "user-agent": BRAVO, "x-request-id": BRAVO},
    )
    tab = Desk()
    tab.sign_in(people.receptionist)
    await tab.fire(RegistrationState.load)
    await tab.fire(RegistrationState.submit, {**personal(f"{BRAVO}x", "420003"), "intent": BRAVO})
    await tab.fire(RegistrationState.check, BRAVO, BRAVO)
    return number


async def test_nothing_of_anybody_is_in_what_is_told(http, people):
    number = await _busy(http, people)
    text = await told(http)
    assert marks_in(text, BRAVO) == set()
    assert number not in text
    assert people.receptionist.username not in text
    assert "203.0.113" not in text
    assert value(text, "clinic_requests_total", method="GET", route="/patients/[patient_id]", status="303") == 1


async def test_every_value_of_a_label_stands_in_the_code(http, people):
    await _busy(http, people)
    routers = (*ROUTERS, health.router, door.router)
    templates = {route.path for router in routers for route in router.routes if isinstance(route, APIRoute)}
    templates |= {f"/api{route.path}" for route in create_api().routes if isinstance(route, APIRoute)}
    templates |= {*shell.DOCUMENTS, exchange.FILE, exchange.NOTHING}
    handlers = {
        one.handler.fn.__qualname__
        for one in RegistrationContext.get().event_handlers.values()
        if getattr(one.handler.fn, MARK, None) is not None
    }
    known = {
        "method": {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER"},
        "route": templates,
        "handler": handlers,
        "action": {str(one) for one in Action},
        "way": {"api", "desk", "web"},
        "kind": {str(one) for one in ErrorKind},
        "room": {"people", "strangers", "bulk"},
        "part": {"database", "migrations", "writes", "disk", "state_store"},
        "version": {monitoring.program_version()},
        "state": {"in use", "idle", "waiting", "failed"},
    }
    seen: dict[str, set[str]] = {}
    for (name, labels), _ in series(await told(http)).items():
        for label, found in labels:
            if label == "outcome":
                ways = {"done", "refused", "failed", "ended"} if "desk" in name else {str(one) for one in Outcome}
                assert found in ways
            elif label == "status":
                assert re.fullmatch(r"0|[1-5][0-9][0-9]", found)
            elif label == "le":
                assert found == "+Inf" or float(found) in metrics._SECONDS
            else:
                seen.setdefault(label, set()).add(found)
    assert set(seen) >= {"method", "route", "handler", "action", "kind", "room", "part", "version"}
    assert {label: sorted(found - known[label]) for label, found in seen.items() if found - known[label]} == {}


async def test_figures_are_right(http, people):
    metrics.begin_anew()
    await _busy(http, people)
    for _ in range(7):
        await http.get("/healthz")
    text = await told(http)
    assert value(text, "clinic_requests_total", method="GET", route="/healthz", status="200") == 7
    assert value(text, "clinic_request_seconds_count", route="/healthz") == 7
    assert value(text, "clinic_requests_total", method="POST", route="/api/v1/patients/", status="201") == 1
    assert value(text, "clinic_requests_total", method="OTHER", route="none", status="405") == 1
    assert value(text, "clinic_audit_events_total", action="SIGN_IN_FAILED", outcome="failure") == 2
    assert value(text, "clinic_audit_events_total", action="PATIENT_CREATED", outcome="success") == 1
    assert value(text, "clinic_desk_events_total", handler="RegistrationState.load", outcome="done") == 1
    assert value(text, "clinic_desk_events_total", handler="RegistrationState.submit", outcome="refused") == 1
    assert value(text, "clinic_refusals_total", way="desk", kind="conflict") == 1
    assert value(text, "clinic_desk_event_seconds_count", handler="RegistrationState.submit") == 1
    assert value(text, "clinic_audit_trail_rows") == tools.last_seq()
    assert value(text, "clinic_part_ready", part="database") == 1
    assert value(text, "clinic_last_backup_timestamp_seconds") == 0
    assert value(text, "clinic_workers") == 1
    assert sum(one for (name, labels), one in series(text).items() if name == "clinic_refusals_total") >= 3


async def test_a_backup_is_told(http):
    with db.transaction() as session:
        record(session, SYSTEM, Action.BACKUP_MADE)
    assert abs(value(await told(http), "clinic_last_backup_timestamp_seconds") - time.time()) < 60


async def test_while_the_database_is_away_the_rest_is_told(http, monkeypatch):
    monkeypatch.setattr(monitoring.readiness, "parts", lambda: {"database": "unreachable", "disk": "ok"})
    text = await told(http)
    assert value(text, "clinic_part_ready", part="database") == 0
    assert "clinic_outbox_oldest_seconds" not in text
    assert value(text, "clinic_disk_free_bytes") > 0


async def test_a_figure_that_cannot_be_had_keeps_nobody_from_the_others(http, monkeypatch):
    def broken() -> Any:
        raise IntegrityError("SELECT", {}, Exception())

    monkeypatch.setattr(monitoring, "_from_database", broken)
    assert value(await told(http), "clinic_part_ready", part="database") == 1


# --- counting ---------------------------------------------------------------------------------------------


def _counted(action: Action) -> float:
    return value(metrics.page({}).decode(), "clinic_audit_events_total", action=str(action), outcome="success")


def test_what_was_undone_was_never_counted(database):
    def undone() -> None:
        with db.transaction() as session:
            record(session, SYSTEM, Action.AUDIT_READ)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        undone()
    assert _counted(Action.AUDIT_READ) == 0
    with db.transaction() as session:
        record(session, SYSTEM, Action.AUDIT_READ)
        record_many(session, SYSTEM, Action.AUDIT_READ, resource_type="patient", about=[(1, {}), (2, {})])
    assert _counted(Action.AUDIT_READ) == 3


@pytest.mark.parametrize("own_database", ["sqlite"], indirect=True)
def test_what_is_committed_at_once_is_counted_then(own_database):
    def undone() -> None:
        with db.grouped():
            with db.transaction() as session:
                record(session, SYSTEM, Action.AUDIT_READ)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        undone()
    assert _counted(Action.AUDIT_READ) == 0
    with db.grouped():
        for _ in range(2):
            with db.transaction() as session:
                record(session, SYSTEM, Action.AUDIT_READ)
        assert _counted(Action.AUDIT_READ) == 0
    assert _counted(Action.AUDIT_READ) == 2


def test_what_the_database_refuses_is_counted(own_database):
    factories.make_staff("ADMIN", "admin2")
    with pytest.raises(IntegrityError), db.transaction() as session:
        session.execute(PATIENTS.insert().values(id=1))
    assert value(metrics.page({}).decode(), "clinic_database_errors_total", error="IntegrityError") == 1


def test_there_are_never_more_series_than_a_wall_allows(monkeypatch):
    monkeypatch.setattr(metrics, "SERIES", 5)
    for number in range(50):
        metrics.count(metrics.REFUSALS, "api", f"kind{number}")
    found = {labels: one for (name, labels), one in series(metrics.page({}).decode()).items() if "refusals" in name}
    assert len(found) == 6
    assert found[frozenset({("way", "other"), ("kind", "other")})] == 45


async def test_a_scrape_asks_the_database_little_and_the_same_for_every_clinic(http, people):
    await told(http)
    with tools.statements() as asked:
        await told(http)
    assert len(asked) <= 12, asked
    wide = [one for one in asked if re.search(r"FROM (patients|accounts|login_sessions)\b", one)]
    assert wide == []
    with tools.statements() as asked:
        await http.get("/metrics", headers=MAY)
    assert asked == []  # within five seconds nobody asks again


@pytest.mark.parametrize("own_database", ["sqlite"], indirect=True)
def test_the_database_finds_each_figure_by_an_index_of_its_own(own_database):
    for sql, index in (
        ("SELECT count(*), min(created_at) FROM outbox_messages WHERE state = 'QUEUED'", "ix_outbox_messages_due_at"),
        ("SELECT count(*) FROM outbox_messages WHERE state = 'FAILED'", "ix_outbox_messages_failed"),
        (
            "SELECT at FROM audit_events WHERE action = 'BACKUP_MADE' ORDER BY seq DESC LIMIT 1",
            "ix_audit_events_action",
        ),
    ):
        assert index in str(tools.raw(f"EXPLAIN QUERY PLAN {sql}")), sql


# --- several workers --------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Where workers leave their figures."""
    monkeypatch.setenv(metrics.FOLDER, str(tmp_path))
    return tmp_path


def _left_by(folder: Any, process: int, refusals: int) -> Any:
    """What a worker of this process id has left."""
    metrics.begin_anew()
    metrics.count(metrics.REFUSALS, "api", "invalid", by=refusals)
    metrics.observe(metrics.REQUEST_SECONDS, 0.02, "/healthz")
    file = folder / f"{process}-1.json"
    file.write_text(json.dumps(metrics.leave()))
    for other in folder.glob(f"{os.getpid()}-*.json"):
        other.unlink()
    metrics.begin_anew()
    return file


def test_whichever_worker_is_asked_adds_all_of_them_up(folder):
    _left_by(folder, os.getppid(), 5)
    metrics.count(metrics.REFUSALS, "api", "invalid", by=2)
    metrics.observe(metrics.REQUEST_SECONDS, 3, "/healthz")
    text = metrics.page({}).decode()
    assert value(text, "clinic_refusals_total", way="api", kind="invalid") == 7
    assert value(text, "clinic_request_seconds_count", route="/healthz") == 2
    assert value(text, "clinic_request_seconds_bucket", route="/healthz", le="0.025") == 1
    assert value(text, "clinic_request_seconds_bucket", route="/healthz", le="5.0") == 2
    assert value(text, "clinic_workers") == 2
    assert len(list(folder.glob("*.json"))) == 2  # it has left its own, so that the next one asked tells no less


def test_what_a_dead_worker_counted_stays_and_what_it_held_does_not(folder):
    ended = subprocess.Popen(["true"])
    ended.wait()
    _left_by(folder, ended.pid, 5)
    silent = _left_by(folder, os.getppid(), 3)
    os.utime(silent, (time.time() - metrics.GONE - 1,) * 2)
    text = metrics.page({}).decode()
    assert value(text, "clinic_refusals_total", way="api", kind="invalid") == 8
    assert value(text, "clinic_workers") == 1


def test_a_count_is_never_smaller_again_where_nothing_can_be_written(folder, monkeypatch):
    metrics.count(metrics.REFUSALS, "api", "invalid", by=4)
    metrics.page({})
    metrics.count(metrics.REFUSALS, "api", "invalid", by=1)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(metrics.Path, "write_text", full)
    assert value(metrics.page({}).decode(), "clinic_refusals_total", way="api", kind="invalid") == 4
    monkeypatch.undo()
    monkeypatch.setenv(metrics.FOLDER, str(folder))
    assert value(metrics.page({}).decode(), "clinic_refusals_total", way="api", kind="invalid") == 5


def test_a_file_that_nobody_can_read_is_left_out(folder):
    (folder / f"{os.getppid()}-1.json").write_text("{")
    assert value(metrics.page({}).decode(), "clinic_workers") == 1


def test_a_process_that_is_forked_begins_with_nothing():
    metrics.count(metrics.WORKERS_ENDED, "-9")
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        os.write(writes, metrics.page({}))
        os._exit(0)
    os.waitpid(child, 0)
    text = os.read(reads, 1 << 16).decode()
    assert value(text, "clinic_workers") == 1
    assert value(text, "clinic_workers_ended_total", code="-9") == 0
    assert value(metrics.page({}).decode(), "clinic_workers_ended_total", code="-9") == 1
