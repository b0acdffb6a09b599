"""While the database is away: said in words with when to come back, and never taken for the end of a session."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading

import psycopg
import pytest
from sqlalchemy import exc
from starlette.requests import Request

from clinic_app.core import cookies, db, outage, routes
from clinic_app.web import dead_ends, documents, requests
from clinic_app.web.requests import CANNOT_LOOK_UP
from tests.web.conftest import Shown

GONE = exc.OperationalError("SELECT 1", {}, sqlite3.OperationalError("unable to open database file"))


class Shutdown(psycopg.OperationalError):
    sqlstate = "57P01"


class ReadOnly(psycopg.errors.InternalError):
    sqlstate = "25006"


def _because(error: Exception) -> Exception:
    try:
        try:
            raise error
        except Exception as inner:
            raise RuntimeError("could not") from inner
    except RuntimeError as outer:
        return outer


@pytest.mark.parametrize(
    "error",
    [
        GONE,
        _because(GONE),
        exc.OperationalError("x", {}, sqlite3.OperationalError("database is locked")),
        exc.OperationalError("x", {}, psycopg.OperationalError("connection refused")),
        exc.OperationalError("x", {}, Shutdown("terminating connection")),
        exc.InternalError("x", {}, ReadOnly("cannot execute UPDATE in a read-only transaction")),
        exc.TimeoutError("QueuePool limit reached"),
        exc.DBAPIError("x", {}, Exception("gone"), connection_invalidated=True),
        psycopg.OperationalError("server closed the connection"),
    ],
)
def test_these_mean_that_the_database_is_away(error):
    assert outage.database_is_away(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("database is locked"),
        exc.OperationalError("x", {}, sqlite3.OperationalError("no such table: accounts")),
        exc.IntegrityError("x", {}, sqlite3.IntegrityError("UNIQUE constraint failed")),
        exc.ProgrammingError("x", {}, psycopg.errors.UndefinedTable("no")),
        exc.IntegrityError("x", {}, psycopg.errors.UniqueViolation("no")),
    ],
)
def test_these_are_faults_of_another_kind(error):
    assert not outage.database_is_away(error)


@pytest.fixture
def away(database):
    """The database is gone until the test ends."""

    def connect(_write: bool):
        raise GONE

    before, queued = db._connect, db._queued
    db.use(connect)
    yield
    db.use(before, queued=queued)


async def test_the_form_says_so_and_keeps_the_name(browser, away):
    doors = {routes.STAFF_SIGN_IN: "username", routes.PORTAL_SIGN_IN: "email", routes.ACTIVATE: "code"}
    for path, field in doors.items():
        assert (await browser.get(path)).status_code == 200  # nobody is asked about: the page is there
        secret = dict.fromkeys(("password", "new_password"), "a secret slip")
        answer = await browser.post(path, data={field: "amina@example.org", **secret})
        page = Shown(answer)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert CANNOT_LOOK_UP in page.words
        assert page.the(field)["value"] == "amina@example.org"
        assert "a secret slip" not in page.html


async def test_a_page_that_needs_to_know_who_asks_says_so_and_sends_nobody_to_sign_in(browser, away):
    browser.cookies.set("clinic_session", "x" * 43)
    for path, words in (
        (routes.STAFF_SIGN_IN, "The register cannot be reached"),
        (routes.STAFF_PASSWORD, "The register cannot be reached"),
        (routes.PORTAL_SIGN_IN, "We cannot open your record just now"),
        (routes.PORTAL_PASSWORD, "We cannot open your record just now"),
    ):
        answer = await browser.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, str(dead_ends.LATER)), path
        assert words in answer.text
        assert "set-cookie" not in answer.headers


async def test_scripts_get_a_short_answer(browser, away):
    browser.cookies.set("clinic_session", "x" * 43)
    answer = await browser.get(routes.SESSION_ALIVE, headers={"accept": "*/*"})
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/json")
    assert answer.headers["retry-after"] == str(dead_ends.LATER)


async def test_a_fault_of_another_kind_is_not_called_an_outage(browser, database, monkeypatch):
    def broken(*_, **__):
        raise exc.OperationalError("x", {}, sqlite3.OperationalError("no such table: accounts"))

    monkeypatch.setattr("clinic_app.web.signing_in.sign_in", broken)
    await browser.get(routes.STAFF_SIGN_IN)
    with contextlib.suppress(exc.OperationalError):
        answer = await browser.post(routes.STAFF_SIGN_IN, data={"username": "x", "password": "y"})
        pytest.fail(f"answered with {answer.status_code}")


# --- a database that says nothing -------------------------------------------------------------------


@pytest.fixture
async def silent(database, monkeypatch):
    """The database neither answers nor refuses until the test ends: before its loop, which waits for the threads."""
    over = threading.Event()

    def connect(_write: bool):
        over.wait(20)
        raise GONE

    monkeypatch.setattr(requests, "_LOOK_UP", 0.2)
    monkeypatch.setattr(requests, "_USE_CASE", 0.2)
    before, queued = db._connect, db._queued
    db.use(connect)
    yield
    over.set()
    db.use(before, queued=queued)


@pytest.mark.parametrize(
    "path", [routes.STAFF_SIGN_IN, routes.PORTAL_PASSWORD, routes.TWO_FACTOR, routes.SESSION_ALIVE]
)
async def test_nobody_waits_for_ever_to_be_told_that_it_cannot_be_looked_up(browser, silent, path):
    browser.cookies.set("clinic_session", "x" * 43)
    async with asyncio.timeout(5):
        answer = await browser.get(path)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, str(dead_ends.LATER))
    assert "set-cookie" not in answer.headers


async def test_a_form_comes_back_when_the_database_says_nothing(browser, silent):
    await browser.get(routes.STAFF_SIGN_IN)
    async with asyncio.timeout(5):
        answer = await browser.post(routes.STAFF_SIGN_IN, data={"username": "grace", "password": "a secret slip"})
    assert answer.status_code == 503
    assert CANNOT_LOOK_UP in Shown(answer).words
    assert Shown(answer).the("username")["value"] == "grace"


async def test_neither_a_document_nor_a_handshake_waits_for_ever(silent):
    cookie = f"{cookies.session_name()}={'x' * 43}".encode()
    request = Request({"type": "http", "method": "GET", "path": "/patients", "headers": [(b"cookie", cookie)]})
    async with asyncio.timeout(5):
        answer = await documents.document(request)
        assert answer.status_code == 503
        assert not await documents.may_connect("x" * 64)


# --- dead ends ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "status"),
    [
        (dead_ends.not_found, 404),
        (dead_ends.no_rights, 403),
        (dead_ends.unavailable, 503),
        (dead_ends.no_cookies, 400),
    ],
)
@pytest.mark.parametrize("portal", [False, True])
def test_every_dead_end_is_of_its_side_and_has_a_way_on(make, status, portal):
    made = make("/patient-portal/x" if portal else "/x")
    html = bytes(made.body).decode()
    assert (made.status_code, made.headers["cache-control"]) == (status, "no-store")
    assert html.count("<h1") == 1
    assert ('class="app portal"' in html) == portal
    assert ("tel:+254207123456" in html) == portal
    assert '<a class="btn primary' in html
    if portal and make is dead_ends.not_found:
        assert 'href="/patient-portal"><span>Go to my record' in html


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example", "javascript:alert(1)", "/auth/code", ""])
def test_trying_again_never_leads_away(path):
    html = bytes(dead_ends.unavailable(path).body).decode()
    assert 'href="/"><svg' in html
    assert "evil" not in html
    assert "javascript" not in html


def test_the_portal_begins_at_its_own_prefix_only():
    assert routes.on_portal("/patient-portal")
    assert routes.on_portal("/patient-portal/views")
    assert not routes.on_portal("/patient-portals")
    assert not routes.on_portal("/")
