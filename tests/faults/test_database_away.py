"""The database is away, locked, full, changes its leader or takes nothing into the audit trail: 503, in words.

And everything comes back by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi.routing import APIRoute

from clinic_app.core import routes
from clinic_app.services.audit import chain
from clinic_app.web import shell
from tests import factories
from tests.architecture.test_web_routes import ROUTES
from tests.browser.serving import Server, bound
from tests.browser.sockets import HYDRATE, Tab, session
from tests.faults.conftest import serving
from tests.faults.instances import Postgres, until
from tests.security.attack import LIST, PROFILE, REGISTER

CALLERS = 12
#: Everybody waits for as long as one waits.
SLOW = {"frozen": pytest.mark.slow, "locked": pytest.mark.slow}
INTENT = "0123456789abcdef0123456789abcdef"
#: What is typed into any form: each takes what it knows.
TYPED = {
    "username": "reception",
    "email": "somebody@example.org",
    "password": factories.PASSWORD,
    "current_password": factories.PASSWORD,
    "new_password": "a long new passphrase",
    "first_name": "Typed",
    "last_name": "Once",
    "date_of_birth": "1990-01-15",
    "code": "ABCD-2345",
    "intent": INTENT,
}
#: Of the answers to programs: what they ask for is no page.
SCRIPTS = re.compile(r"/auth/(session|passkeys?|draft|strength)|strength|challenge|events|upload")


@dataclass(frozen=True)
class Clinic:
    """One under attack of its database."""

    server: Server
    patient: int
    access: str

    @property
    def staff(self) -> dict[str, str]:
        return {"Cookie": session(self._staff)}

    _staff: str = ""
    _patient: str = ""

    @property
    def owner(self) -> dict[str, str]:
        return {"Cookie": session(self._patient)}


def clinic_of(server: Server) -> Clinic:
    """With a patient who has portal access, both sides signed in."""
    with bound(server):
        desk = factories.make_staff("RECEPTIONIST")
        number = time.monotonic_ns()
        done = factories.make_patient(desk, portal_email=f"owner{number}@example.org", first_name="Zqxowner")
        factories.own_password(done)
        staff, owner = server.open_session("reception"), server.open_session(f"owner{number}@example.org")
    body = {"username": "chief", "password": factories.PASSWORD}
    access = httpx.post(f"{server.url}/api/v1/auth/login/", json=body, timeout=20).json()["access"]
    return Clinic(server, done.patient.id, access, staff, owner)


@dataclass(frozen=True)
class Request:
    """One of everything that can be asked for."""

    method: str
    path: str
    headers: dict[str, str]
    data: dict[str, str] | None = None
    json: Any = None

    def send(self, server: Server) -> httpx.Response:
        page = {"Sec-Fetch-Site": "same-origin", "Origin": server.url, "Accept": "text/html,*/*"}
        headers = {**page, **self.headers}
        with httpx.Client(base_url=server.url, timeout=70) as http:
            return http.request(self.method, self.path, headers=headers, data=self.data, json=self.json)


def everything(clinic: Clinic, mark: str) -> list[Request]:
    """Every page, every form of the plain pages, every route of the API; ``mark`` makes values of this round."""
    found = []
    for route in shell.DOCUMENTS:
        who = clinic.owner if routes.on_portal(route) else clinic.staff
        found.append(Request("GET", route.replace("[patient_id]", str(clinic.patient)), who))
    for route in [one for one in ROUTES if isinstance(one, APIRoute)]:
        path = re.sub(r"\{[^}]*\}", "registration" if "keep" in route.path else str(clinic.patient), route.path)
        who = clinic.owner if routes.on_portal(path) else clinic.staff
        for method in set(route.methods or ()) - {"HEAD"}:
            if path == routes.SIGN_OUT:
                continue  # at the end
            found.append(Request(method, path, who, data=TYPED if method != "GET" else None))
    program = {"Authorization": f"Bearer {clinic.access}", "Accept": "application/json"}
    patient = f"/api/v1/patients/{clinic.patient}/"
    person = {"first_name": f"Added{mark}", "last_name": "Fault", "allow_duplicate": True}
    login = {"username": "reception", "password": factories.PASSWORD}
    calls: list[tuple[str, str, Any]] = [
        ("POST", "/api/v1/auth/login/", login),
        ("POST", "/api/v1/auth/login/", {**login, "password": "wrong one"}),
        ("POST", "/api/v1/auth/refresh/", {"refresh": "x" * 43}),
        ("POST", "/api/v1/patients/", person),
        ("GET", "/api/v1/patients/", None),
        ("GET", "/api/v1/patients/search/?q=Zqxowner", None),
        ("POST", "/api/v1/patients/search/", {"q": "Zqxowner"}),
        ("GET", "/api/v1/patients/pending-verification/", None),
        ("GET", patient, None),
        ("PATCH", patient, {"phone": "0722000111"}),
        ("POST", f"{patient}verify/", {}),
        ("POST", "/api/v1/patients/bulk-create-portal/", {"patient_ids": [clinic.patient]}),
        ("POST", f"{patient}create-portal/", {"email": f"more{mark}@example.org"}),
        ("POST", f"{patient}reset-portal-password/", {}),
        ("POST", f"{patient}change-portal-username/", {"email": f"other{mark}@example.org"}),
        ("POST", f"{patient}resend-invitation/", {}),
        ("POST", f"{patient}disable-portal/", {"reason": "ASKED"}),
        ("POST", f"{patient}enable-portal/", {}),
        ("GET", f"{patient}duplicates/", None),
        ("POST", f"{patient}merge/", {"into": "LMC000999"}),
        ("POST", f"{patient}undo-merge/", {}),
        ("POST", f"{patient}not-a-duplicate/", {"other": "LMC000999"}),
        ("GET", "/api/v1/audit/", None),
    ]
    return found + [Request(method, path, program, json=body) for method, path, body in calls]


def wrong_with(request: Request, answer: httpx.Response, hidden: str = "") -> str:
    """What an answer has that it must not have: ``hidden`` is a name that nobody may be shown."""
    if hidden and hidden in answer.text:
        return "shows what was not recorded"
    if answer.status_code >= 500 and answer.status_code != 503:
        return f"{answer.status_code}"
    if answer.status_code != 503:
        return ""
    if int(answer.headers.get("retry-after", 0)) <= 0:
        return "no Retry-After"
    kind = answer.headers.get("content-type", "nothing")
    if request.path.startswith("/api/"):
        body = answer.json() if kind.startswith("application/json") else {}
        return "" if body.get("error") and body.get("detail") else f"no words: {answer.text[:80]}"
    if kind.startswith("text/html"):
        return "" if re.search(r"try again|cannot be reached|Try again", answer.text) else "a page without words"
    return "" if SCRIPTS.search(request.path) else f"{kind} for people"


def walk(clinic: Clinic, mark: str, counters: dict[str, Any], hidden: str = "") -> list[str]:
    """Ask for everything, a few at a time; what was wrong with the answers."""
    wrong, slowest, statuses = list[str](), 0.0, Counter[str]()
    lock = threading.Lock()

    def ask(request: Request) -> None:
        nonlocal slowest
        begun = time.monotonic()
        try:
            answer = request.send(clinic.server)
            said, status = wrong_with(request, answer, hidden), str(answer.status_code)
        except httpx.HTTPError as error:
            said = status = type(error).__name__
        with lock:
            slowest = max(slowest, time.monotonic() - begun)
            statuses[status] += 1
            if said:
                wrong.append(f"{request.method} {request.path}: {said}")

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(ask, everything(clinic, mark)))
    counters.update(sorted(statuses.items()), slowest=round(slowest, 1))
    return sorted(wrong)


def recovered(clinic: Clinic, patience: float = 20) -> float:
    """Seconds until a patient can be registered again."""

    def registers() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            body = {"first_name": f"Back{time.monotonic_ns()}", "last_name": "Again", "allow_duplicate": True}
            program = {"Authorization": f"Bearer {clinic.access}"}
            answer = httpx.post(f"{clinic.server.url}/api/v1/patients/", json=body, headers=program, timeout=70)
            return answer.status_code == 201
        return False

    return until(registers, patience, "registering again")


# --- PostgreSQL -------------------------------------------------------------------------------------


@contextlib.contextmanager
def killed(postgres: Postgres) -> Iterator[None]:
    postgres.kill()
    try:
        yield
    finally:
        postgres.start()


@contextlib.contextmanager
def frozen(postgres: Postgres) -> Iterator[None]:
    postgres.freeze()
    try:
        yield
    finally:
        postgres.thaw()


@contextlib.contextmanager
def standby(postgres: Postgres) -> Iterator[None]:
    """The server that is reached does not lead any more: it reads only, and broke every connection on the way."""
    postgres.sql("ALTER SYSTEM SET default_transaction_read_only = on")
    postgres.sql("SELECT pg_reload_conf()")
    postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    try:
        yield
    finally:
        postgres.sql("ALTER SYSTEM RESET default_transaction_read_only", read_only="off")
        postgres.sql("SELECT pg_reload_conf()")


@contextlib.contextmanager
def locked_pg(postgres: Postgres) -> Iterator[None]:
    """Somebody holds the counter of patient numbers, which every registration needs."""
    import psycopg

    with psycopg.connect(postgres.url.replace("+psycopg", "")) as other:
        other.execute("LOCK TABLE counters, audit_head IN EXCLUSIVE MODE")
        yield


POSTGRES: dict[str, Callable[[Postgres], AbstractContextManager[None]]] = {
    "killed": killed,
    "frozen": frozen,
    "standby": standby,
    "locked": locked_pg,
}


@pytest.fixture(scope="module")
def on_postgres(workers: Server) -> Clinic:
    return clinic_of(workers)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("fault", [pytest.param(name, marks=SLOW.get(name, ())) for name in POSTGRES])
def test_postgres_away(on_postgres: Clinic, postgres: Postgres, counters: dict[str, Any], fault: str) -> None:
    with POSTGRES[fault](postgres):
        wrong = walk(on_postgres, f"pg{fault}", counters)
    counters["seconds until it registers again"] = round(recovered(on_postgres), 2)
    assert wrong == []
    assert counters.get("503", 0) > 0


# --- SQLite -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    folder = tmp_path_factory.mktemp("small")
    server = serving(folder, factory="tests.faults.small_disk:create", FULL=str(folder / "full"))
    server.start()
    yield clinic_of(server)
    server.stop()


@contextlib.contextmanager
def full(clinic: Clinic) -> Iterator[None]:
    """No further page: what is free within the file is used up first."""
    mark = clinic.server.folder / "full"
    mark.touch()
    try:
        yield
    finally:
        mark.unlink()


@contextlib.contextmanager
def locked(clinic: Clinic) -> Iterator[None]:
    """Another program writes, and goes on."""
    with contextlib.closing(sqlite3.connect(clinic.server.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


SQLITE: dict[str, Callable[[Clinic], AbstractContextManager[None]]] = {"full": full, "locked": locked}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("fault", [pytest.param(name, marks=SLOW.get(name, ())) for name in SQLITE])
def test_sqlite_away(on_sqlite: Clinic, counters: dict[str, Any], fault: str) -> None:
    with SQLITE[fault](on_sqlite):
        wrong = walk(on_sqlite, fault, counters)
    counters["seconds until it registers again"] = round(recovered(on_sqlite), 2)
    assert wrong == []
    (found,) = on_sqlite.server.sql("PRAGMA integrity_check")
    assert found == ("ok",)
    counts = {name: on_sqlite.server.sql(f"SELECT count(*) FROM {name}")[0][0] for name in ("patients",)}
    assert counts["patients"] > 0


# --- nothing can be added to the audit trail --------------------------------------------------------

#: The rights of the server's role on PostgreSQL, as docs/security.md has them.
RIGHTS = """
CREATE ROLE clinic_app LOGIN;
GRANT USAGE ON SCHEMA public TO clinic_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clinic_app;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO clinic_app;
REVOKE UPDATE, DELETE, TRUNCATE ON audit_events FROM clinic_app;
REVOKE INSERT, DELETE, TRUNCATE ON audit_head FROM clinic_app;
REVOKE UPDATE, DELETE, TRUNCATE ON audit_checkpoints FROM clinic_app;
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON alembic_version FROM clinic_app
"""
CLOSED = {
    "sqlite": "CREATE TRIGGER closed BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'closed'); END",
    "postgres": "REVOKE INSERT ON audit_events FROM clinic_app",
}
OPEN = {"sqlite": "DROP TRIGGER closed", "postgres": "GRANT INSERT ON audit_events TO clinic_app"}


@pytest.fixture(params=["sqlite", "postgres"])
def trailed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Clinic, Callable[[str], object], str]]:
    """A clinic, and how its owner speaks to the database: on PostgreSQL the server's own role may add events only."""
    if request.param == "sqlite":
        found: Clinic = request.getfixturevalue("on_sqlite")
        yield clinic_of(found.server), found.server.sql, "sqlite"  # the walks before may have signed out
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    for statement in RIGHTS.strip().split(";"):
        postgres.sql(statement)
    url = sa.make_url(postgres.url).set(username="clinic_app")
    server = serving(tmp_path, CLINIC_DATABASE_URL=url.render_as_string(hide_password=False))
    server.start()
    yield clinic_of(server), postgres.sql, "postgres"
    server.stop()
    postgres.sql("DROP OWNED BY clinic_app")
    postgres.sql("DROP ROLE clinic_app")


KEPT = ("patients", "accounts", "login_sessions", "outbox_messages", "one_time_links", "audit_events")


@pytest.mark.timeout(400)
async def test_what_cannot_be_recorded_is_neither_shown_nor_done(
    trailed: tuple[Clinic, Callable[[str], object], str], counters: dict[str, Any]
) -> None:
    clinic, owner, kind = trailed
    server, desk = clinic.server, clinic.staff["Cookie"]

    def kept() -> dict[str, Any]:
        return {name: server.sql(f"SELECT count(*) FROM {name}") for name in KEPT} | {
            "phone": server.sql("SELECT phone, version FROM patients WHERE id = ?", clinic.patient)
        }

    owner(CLOSED[kind])
    before = kept()
    try:
        wrong = await asyncio.to_thread(walk, clinic, f"closed{kind}", counters, "Zqxowner")
        async with Tab(server.url, "", desk) as tab:
            await tab.send(HYDRATE, path="/patients")
            await tab.send(f"{LIST}.load", path="/patients")
            await tab.send(f"{PROFILE}.load", path=f"/patients/{clinic.patient}", patient_id=str(clinic.patient))
            form = {"first_name": "Unrecorded", "last_name": "Fault", "intent": f"{INTENT}-1"}
            await tab.send(f"{REGISTER}.submit", {"form": form}, path="/patients/new")
            await tab.settled()
            shown = tab.text()
        after = kept()
    finally:
        owner(OPEN[kind])
    counters["seconds until it registers again"] = round(recovered(clinic), 2)
    counters["kept meanwhile"] = {name: value for name, value in after.items() if value != before[name]}
    assert wrong == []
    assert counters["kept meanwhile"] == {}
    assert counters["503"] >= 20
    assert "Zqxowner" not in shown
    assert f"{INTENT}-1 refused" in shown
    assert "cannot be reached just now" in shown
    assert server.sql("SELECT count(*) FROM patients WHERE first_name = 'Unrecorded'") == [(0,)]
    with bound(server):
        assert chain.verify().ok
