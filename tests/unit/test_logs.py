"""Log lines: JSON, one an event, allow-listed keys, no way to put a value of a record into them."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from clinic_app.core import context, logs
from clinic_app.core.logs import safe_path


@pytest.fixture
def lines(monkeypatch):
    """What is logged, line by line, as a server logs it."""
    root, out = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "stderr", out)
    logs.configure("DEBUG")
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.asvs("16.2.1", "16.2.5")
def test_only_allowed_keys_are_written(lines):
    logs.get("test").info("happened", count=3, name="Amina", password="x", term="odhiambo")
    (line,) = lines()
    assert set(line) <= logs.ALLOWED
    assert (line["event"], line["count"]) == ("happened", 3)
    assert not {"name", "password", "term"} & set(line)


@pytest.mark.asvs("16.2.2")
def test_time_is_utc(lines):
    logs.get("test").info("happened")
    assert lines()[0]["time"].endswith("Z")


def test_a_line_names_its_request(lines):
    with context.use(context.RequestContext("api", request_id="req-12345678")):
        logs.get("test").info("happened")
    assert (lines()[0]["request_id"], lines()[0]["source"]) == ("req-12345678", "api")


@pytest.mark.asvs("16.4.1")
@pytest.mark.parametrize("evil", ["a\nb", "a\r\n{}", "\x1b[31mred", "x" * 65536, '"}\n{"event": "forged', "\u2028"])
def test_one_event_is_one_line_whatever_it_says(lines, evil):
    logs.get("test").info("happened", handler=evil)
    assert [line["handler"] for line in lines()] == [evil]


@pytest.mark.asvs("16.2.5", "16.5.1")
def test_a_failure_is_logged_by_type_and_place_without_its_words(lines):
    def broken(name):
        raise ValueError(f"cannot read {name}")

    with context.use(context.RequestContext("page", request_id="req-12345678")):
        try:
            broken("Amina")
        except ValueError as error:
            assert logs.failure(error, "Test.handler") == "req-12345678"
    (line,) = lines()
    assert (line["error"], line["handler"]) == ("ValueError", "Test.handler")
    assert "broken" in line["at"]
    assert "Amina" not in json.dumps(line)


@pytest.mark.asvs("16.2.5")
@pytest.mark.parametrize(
    "name", ["reflex.state", "reflex_base.event", "sqlalchemy.engine", "_granian", "uvicorn.error"]
)
def test_other_libraries_say_where_they_are_but_no_values(lines, name):
    library = logging.getLogger(name)
    library.error("Event(name='x', payload=%r)", {"password": "Amina"})
    try:
        raise ValueError("Amina")
    except ValueError:
        library.exception("broken by %s", "Amina")
    first, second = lines()
    assert first == {"event": "library", "logger": name, "level": "error"}
    assert second["error"] == "ValueError"


@pytest.mark.parametrize("name", ["granian.access", "_granian", "engineio.server", "socketio.server"])
def test_a_library_that_brings_its_own_handler_does_not_keep_it(lines, name):
    stray = logging.getLogger(name)
    stray.addHandler(logging.StreamHandler())
    stray.propagate = False
    logs.configure("DEBUG")
    assert (stray.handlers, stray.propagate) == ([], True)


@pytest.mark.asvs("16.2.5")
def test_socket_io_adds_no_handler_that_prints_tracebacks(lines):
    import socketio

    socketio.AsyncServer(async_mode="asgi")
    for name in ("socketio.server", "engineio.server"):
        assert logging.getLogger(name).handlers == [], name


@pytest.mark.asvs("14.2.1", "16.2.5")
@pytest.mark.parametrize(
    ("path", "status", "written"),
    [
        ("/", 200, "/"),
        ("/patients", 200, "/patients"),
        ("/patients/new", 200, "/patients/new"),
        ("/patients/LMC000123", 200, "/patients/…"),
        ("/patients/amina", 200, "/patients/…"),
        ("/patients/Amina Odhiambo", 200, "/patients/…"),
        ("/api/v1/patients/17/", 200, "/api/v1/patients/…/"),
        ("/api/v1/patients/17/create-portal/", 201, "/api/v1/patients/…/create-portal/"),
        ("/api/v1/patients/search/", 200, "/api/v1/patients/search/"),
        ("/api/v1/openapi.json", 200, "/api/v1/openapi.json"),
        ("/patient-portal/login", 200, "/patient-portal/login"),
        ("/login/recovery-code", 303, "/login/recovery-code"),
        ("/_event", 404, "/…"),
        ("/amina", 404, "/…"),
        ("/patients/LMC000123/amina", 404, "/…"),
        ("/api/v1/amina/", 404, "/api/…"),
        ("", 400, ""),
    ],
)
def test_paths_are_written_without_patients(path, status, written):
    assert safe_path(path, status) == written


@given(st.text())
@example("v1")
@example("x/v1")
def test_no_path_lets_a_number_through(text):
    assert not any(c.isdecimal() for c in safe_path(f"/patients/{text}"))
    assert not any(c.isdecimal() for c in safe_path(f"/api/v1/{text}").removeprefix("/api/v1"))


def test_the_access_log_goes_through_that(lines):
    logs.get("access").info("request", path="/api/v1/patients/17/", status=200, method="GET")
    assert lines()[0]["path"] == "/api/v1/patients/…/"


@pytest.mark.asvs("16.5.4")
def test_what_nobody_caught_is_logged_without_its_words(lines, monkeypatch):
    for owner, name in ((sys, "excepthook"), (threading, "excepthook"), (sys, "unraisablehook")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    captured = logging._warnings_showwarning
    logs.last_resort()
    try:

        def broken():
            raise ValueError("Amina")

        thread = threading.Thread(target=broken)
        thread.start()
        thread.join()
        sys.excepthook(ValueError, ValueError("Amina"), None)
        assert [(line["handler"], line["error"]) for line in lines()] == [("uncaught", "ValueError")] * 2
    finally:
        if captured is None:
            logging.captureWarnings(False)
