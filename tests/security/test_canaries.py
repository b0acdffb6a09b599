"""Marked names, passwords, numbers and tokens through every input, with failures provoked: where do they end up?"""

from __future__ import annotations

import contextlib
import http.client
import json
import pickle
import re
import secrets
import socket
import subprocess
import sys
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import reflex as rx

from clinic_app.core import cookies, crypto, sealing
from clinic_app.services.accounts.signing_in import STAFF_DOOR, sign_in
from clinic_app.ui.portal_dialog.state import PortalDialogState
from tests import factories
from tests.browser.serving import Server, bound
from tests.browser.sockets import HYDRATE, ROOT_STATE, Tab, run, session
from tests.security.attack import AUDIT, BAR, DIALOG, LIST, PROFILE, REGISTER

pytestmark = [pytest.mark.slow, pytest.mark.asvs("14.2.1", "16.2.5")]


@dataclass
class Canaries:
    """What must turn up nowhere it does not belong, by what it is."""

    first_name: str = "Zqxfirstcanary"
    last_name: str = "Zqxlastcanary"
    address: str = "Zqxaddresscanary Road"
    kin: str = "Zqxkincanary"
    national_id: str = "NIDZQX 4471 9"
    phone: str = "0733 918 274"
    email: str = "zqxmailcanary@example.org"
    portal_email: str = "zqxportalcanary@example.org"
    term: str = "zqxtermcanary"
    username: str = "zqxusernamecanary"
    wrong_password: str = "zqx wrong password canary"
    bearer: str = "zqxbearercanary"
    own_password: str = "zqx kettles seven amber canary"
    secret: list[str] = field(default_factory=list)  # passwords and tokens that were given out

    def personal(self) -> list[str]:
        """Values of a record, as they may be written."""
        plain = [self.first_name, self.last_name, self.address, self.kin, self.email, self.portal_email, self.term]
        numbers = [self.national_id, self.national_id.replace(" ", ""), self.phone, "+254733918274", "733918274"]
        return [*plain, *numbers, self.username]

    def passwords(self) -> list[str]:
        """What nothing may keep, in any form that can be read."""
        return [self.wrong_password, self.own_password, self.bearer, *self.secret]


def _found(text: str, marks: list[str]) -> list[str]:
    low = text.lower()
    ways = {
        mark: {mark, urllib.parse.quote(mark), urllib.parse.quote_plus(mark), json.dumps(mark)[1:-1]} for mark in marks
    }
    return [mark for mark, spelled in ways.items() if any(each.lower() in low for each in spelled)]


class Visitor:
    """Plain HTTP, as any client can speak it."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        kept = {"Origin": self.server.url, **{name.replace("_", "-"): value for name, value in headers.items()}}
        connection.request(method, path, body, kept)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text

    def form(self, path: str, fields: dict[str, str], **headers: str) -> tuple[int, dict[str, str], str]:
        kind = {"Content_Type": "application/x-www-form-urlencoded"}
        return self.ask("POST", path, urllib.parse.urlencode(fields), **kind, **headers)

    def json(self, method: str, path: str, data: Any, **headers: str) -> tuple[int, dict[str, str], str]:
        return self.ask(method, path, json.dumps(data), **{"Content_Type": "application/json"}, **headers)


def _record(marks: Canaries, **changes: Any) -> dict[str, Any]:
    return {
        "first_name": marks.first_name,
        "last_name": marks.last_name,
        "date_of_birth": "14/3/1988",
        "gender": "FEMALE",
        "phone": marks.phone,
        "email": marks.email,
        "national_id": marks.national_id,
        "address": marks.address,
        "next_of_kin_name": marks.kin,
        "next_of_kin_phone": marks.phone,
        **changes,
    }


async def _through_pages(server: Server, marks: Canaries, cookie: str, admin: str) -> None:
    junk = {"anything": [marks.first_name, {"deep": marks.wrong_password}]}
    async with Tab(server.url, cookie=session(cookie)) as tab:
        await tab.send(HYDRATE)
        good = _record(marks, create_portal_account="on", portal_email=marks.portal_email)
        for form in (
            _record(marks, date_of_birth=marks.first_name),
            _record(marks, phone=marks.last_name),
            {**good, "first_name": marks.first_name * 20},
            good,
            good,  # everything clashes now
        ):
            await tab.send(f"{REGISTER}.load", path="/patients/new")
            await tab.send(f"{REGISTER}.submit", {"form": form}, path="/patients/new")
        await tab.settled()
        marks.secret += re.findall(r'"password_rx_state_": ?"([^"]{12})"', tab.text())
        await tab.send(f"{DIALOG}.close", {"turn": int(re.findall(r'"turn_rx_state_": ?([0-9]+)', tab.text())[-1])})
        for name, value in _record(marks).items():
            await tab.send(f"{REGISTER}.check", {"name": name, "value": value})
            await tab.send(f"{REGISTER}.check", {"name": value, "value": name})
        for term in (marks.term, marks.first_name, marks.phone, marks.national_id, marks.email):
            await tab.send(f"{LIST}.search", {"term": term})
            await tab.send(f"{BAR}.search", {"term": term})
        await tab.send(f"{PROFILE}.load", path=f"/patients/{marks.first_name}", query={"patient_id": marks.first_name})
        await tab.send(f"{DIALOG}.ask_for", {"patient_id": marks.last_name})
        await tab.send(
            f"{DIALOG}.submit",
            {"patient_id": marks.last_name, "form": {"email": marks.email, "phone": marks.last_name}},
        )
        # what no page sends
        await tab.send(f"{REGISTER}.submit", {"form": marks.first_name})
        await tab.send(f"{REGISTER}.submit", junk)
        await tab.send(f"{LIST}.search", {"term": junk})
        await tab.send(f"{LIST}.no_such_handler", junk)
        await tab.send("reflex___state____state.no_such_state.handler", junk)
        await tab.send(f"{LIST}.setvar", {"var_name": "term", "value": marks.term})
        await tab.send({"name": marks.first_name}, junk)
        await tab.send_raw({"payload": junk})
        await tab.send_raw([marks.first_name])
        await tab.send(
            f"{ROOT_STATE}.reflex___state____frontend_event_exception_state.handle_frontend_exception",
            {"info": marks.first_name, "component_stack": marks.wrong_password},
        )
        await tab.settled()
        with server.refusing("audit_events", rule=False):
            await tab.send(f"{REGISTER}.load", path="/patients/new")
            await tab.send(f"{REGISTER}.submit", {"form": _record(marks, national_id="", phone="")})
            await tab.send(f"{LIST}.search", {"term": f"{marks.term} again"})
            await tab.send(f"{BAR}.search", {"term": f"{marks.term} again"})
            await tab.settled()
    async with Tab(server.url, cookie=session(admin)) as tab:
        await tab.send(HYDRATE)
        await tab.send(f"{AUDIT}.apply", {"form": {"actor": marks.username, "patient": marks.first_name}})
        await tab.send(f"{AUDIT}.apply", {"form": {"since": marks.first_name, "action": marks.wrong_password}})
        await tab.settled()


def _through_doors(visitor: Visitor, marks: Canaries) -> None:
    for path, name in (("/login", "username"), ("/patient-portal/login", "email")):
        for username in (marks.username, "receptionist", marks.email):
            status, _, text = visitor.form(path, {name: username, "password": marks.wrong_password})
            assert status in (400, 429)
            assert username in text
            assert marks.wrong_password not in text
    visitor.ask("POST", "/login", marks.wrong_password.encode() * 10)
    for path in ("/choose-password", "/patient-portal/change-password"):
        visitor.form(path, {"new_password": marks.wrong_password, "confirm_password": marks.own_password})
    visitor.json("POST", "/auth/password-strength", {"password": marks.wrong_password})
    visitor.ask("POST", "/auth/password-strength", marks.wrong_password)
    visitor.ask("GET", f"/login?password={urllib.parse.quote(marks.wrong_password)}")
    visitor.ask("GET", f"/{marks.first_name}")
    visitor.ask("GET", f"/patients/{marks.first_name}?q={marks.term}")
    visitor.ask("GET", f"/{marks.term}/{urllib.parse.quote(marks.national_id)}")
    visitor.ask("GET", "/", Cookie=f"clinic_session={marks.bearer}; {marks.first_name}={marks.bearer}")


def _through_api(visitor: Visitor, marks: Canaries) -> None:
    login = "/api/v1/auth/login/"
    visitor.json("POST", login, {"username": marks.username, "password": marks.wrong_password})
    visitor.json("POST", login, {"username": marks.wrong_password, "password": marks.username, marks.bearer: 1})
    status, _, text = visitor.json("POST", login, {"username": "receptionist", "password": "demo-clinic-passphrase"})
    assert status == 200, text
    tokens = json.loads(text)
    marks.secret += [tokens["access"], tokens["refresh"]]
    me = {"Authorization": f"Bearer {tokens['access']}"}
    patients = "/api/v1/patients/"
    visitor.json("POST", "/api/v1/auth/refresh/", {"refresh": marks.bearer})
    visitor.ask("GET", patients, Authorization=f"Bearer {marks.bearer}")
    good = _record(marks, national_id="NIDZQX 4471 8", phone="", email="", first_name=marks.first_name + "b")
    key = {"Idempotency_Key": secrets.token_hex(8) + marks.bearer}
    for _ in range(2):
        status, _, text = visitor.json(
            "POST",
            patients,
            {
                **good,
                "create_portal_account": True,
                "allow_duplicate": True,
                "portal_email": f"b{marks.portal_email}",
                "date_of_birth": "1988-03-14",
            },
            **me,
            **key,
        )
        assert status == 201, text
        given = (json.loads(text).get("portal_credentials") or {}).get("temporary_password")
        marks.secret += [given] if given else []
    visitor.json("POST", patients, _record(marks, gender=marks.first_name), **me)
    visitor.json("POST", patients, {marks.first_name: marks.national_id, "first_name": [marks.last_name]}, **me)
    visitor.ask("POST", patients, f'{{"first_name": "{marks.first_name}', Content_Type="application/json", **me)
    visitor.ask("GET", f"{patients}?search={marks.term}&{marks.first_name}=1", **me)
    visitor.ask("GET", f"{patients}search/?q={marks.term}", **me)
    visitor.json("POST", f"{patients}search/", {"q": marks.term}, **me)
    visitor.ask("GET", f"{patients}{marks.first_name}/", **me)
    visitor.ask("GET", f"/api/v1/{marks.first_name}/", **me)
    visitor.ask("PATCH", f"{patients}1/", json.dumps({"address": marks.address * 40}), **me)
    with visitor.server.refusing("audit_events", rule=False):
        status, _, text = visitor.json("POST", patients, {**good, "national_id": "", "allow_duplicate": True}, **me)
        assert status == 503
        assert _found(text, marks.personal()) == []
        visitor.json("POST", f"{patients}search/", {"q": marks.term}, **me)
        visitor.json("POST", login, {"username": marks.username, "password": marks.wrong_password})
    visitor.json("POST", "/api/v1/auth/logout/", {"refresh": tokens["refresh"]}, **me)


def _broken_frames(server: Server, marks: Canaries) -> None:
    """Requests and frames that are no HTTP and no Socket.IO at all."""
    upgrade = (
        f"GET /_event/?EIO=4&transport=websocket&token={marks.bearer} HTTP/1.1\r\nHost: localhost:{server.port}\r\n"
        f"Origin: {server.url}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()
    text = f'42/_event,["event",{{"name":"{marks.first_name}"'.encode()
    frames = [
        b"\x81" + bytes([0x80 | len(body)]) + b"\0\0\0\0" + body
        for body in (b"40/_event,", text[:120], f"4{marks.first_name}".encode(), b"9" + marks.term.encode())
    ]
    for sent in (
        upgrade + b"".join(frames),
        upgrade + b"\xff\xff\xff\xff" + marks.first_name.encode(),
        f"{marks.first_name} /{marks.term} HTTP/9.9\r\n{marks.national_id}\r\n\r\n".encode(),
        f"GET /{marks.term} HTTP/1.1\r\nHost: x\r\nX-Request-ID: {marks.bearer} {marks.term}\r\n\r\n".encode(),
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.sendall(sent)
            connection.settimeout(0.5)
            with contextlib.suppress(OSError):
                while connection.recv(65536):
                    pass


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Server, Canaries, str]:
    """A server through which everything has gone; the marks; what commands said."""
    server, marks = Server(tmp_path_factory.mktemp("canaries"), CLINIC_LOG_LEVEL="DEBUG"), Canaries()
    server.prepare()
    with bound(server):
        cookie, admin = server.open_session("receptionist"), server.open_session("admin")
    marks.secret += [cookie, admin]
    server.start()
    said = ""
    try:
        visitor = Visitor(server)
        run(_through_pages(server, marks, cookie, admin))
        _through_doors(visitor, marks)
        _through_api(visitor, marks)
        _broken_frames(server, marks)
        said = _through_commands(server, marks)
    finally:
        server.stop()
    return server, marks, said


def _through_commands(server: Server, marks: Canaries) -> str:
    said = ""
    person = ("--name", marks.first_name, "--role", "CLINICIAN")
    with server.refusing("audit_events", rule=False):
        for arguments, typed in (
            (("staff", "create", "--username", marks.username, *person), marks.own_password),
            (("staff", "create", "--username", "admin", *person), marks.own_password),
            (("staff", "create", "--username", "x", *person), marks.wrong_password),
            (("audit", "export", "--out", str(server.folder / "x.csv"), "--actor", marks.term), ""),
        ):
            done = subprocess.run(
                [sys.executable, "-m", "clinic_app", *arguments],
                env=server.env,
                input=typed + "\n",
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert done.returncode != 0
            said += done.stdout + done.stderr
    return said


def test_the_marks_were_there_to_be_found(place):
    """Without this the others would prove nothing."""
    server, marks, _ = place
    people = json.dumps(server.sql("SELECT * FROM patients WHERE first_name LIKE 'Zqx%'"))
    assert set(_found(people, marks.personal())) >= {marks.first_name, marks.last_name, marks.national_id, marks.email}
    assert len(marks.secret) >= 6  # two cookies, two API tokens, two temporary passwords
    log = server.log_text()
    assert log.count('"failed"') >= 4  # provoked, and logged
    assert log.count('"request"') >= 30


def test_no_log_line_holds_a_mark(place):
    server, marks, said = place
    assert _found(server.log_text(), [*marks.personal(), *marks.passwords()]) == []
    assert _found(said, [marks.first_name, marks.term, *marks.passwords()]) == []


@pytest.mark.asvs("16.4.1")
def test_every_log_line_of_the_application_is_one_json_object(place):
    server, _, _ = place
    for line in server.log_text().splitlines():
        if not re.match(r"\[(INFO|WARNING)\] ", line):  # granian's own first and last words
            assert isinstance(json.loads(line), dict)


def test_the_access_log_has_no_patient_in_its_paths(place):
    server, _, _ = place
    paths = [json.loads(line)["path"] for line in server.log_text().splitlines() if '"request"' in line]
    assert "/api/v1/patients/…/" in paths
    assert not [path for path in paths if re.search(r"LMC|\?|/\d", path)]


@pytest.mark.parametrize("table", ["login_sessions", "sign_in_limits", "flash_notes", "refresh_tokens", "counters"])
def test_no_other_table_holds_a_mark(place, table):
    server, marks, _ = place
    rows = json.dumps(server.sql(f"SELECT * FROM {table}"), default=str)
    assert _found(rows, [*marks.personal(), *marks.passwords()]) == []


def test_answers_kept_for_a_repeated_request_hold_no_password(place):
    """They hold the record, as the answer did, for a day."""
    server, marks, _ = place
    rows = server.sql("SELECT * FROM idempotency_keys")
    assert rows
    assert _found(json.dumps(rows, default=str), [marks.term, marks.username, *marks.passwords()]) == []


def test_the_trail_holds_no_mark_but_the_portal_username(place):
    """The username of a portal account is recorded on purpose."""
    server, marks, _ = place
    rows = server.sql("SELECT * FROM audit_events")
    assert {row[5] for row in rows} >= {"PATIENT_CREATED", "PATIENT_SEARCHED", "SIGN_IN_FAILED"}
    assert set(_found(json.dumps(rows, default=str), [*marks.personal(), *marks.passwords()])) <= {marks.portal_email}


@pytest.mark.asvs("11.4.2", "6.4.1")
def test_no_file_of_the_database_holds_a_password_or_a_token(place):
    """Not in a page that was freed, not in the write-ahead log either."""
    server, marks, _ = place
    for file in filter(Path.is_file, (server.folder / "data").rglob("*")):
        assert _found(file.read_bytes().decode("latin-1"), marks.passwords()) == [], file.name


# --- what the server remembers of a page --------------------------------------------------------------------------


def _state(cls: Any, token: str) -> tuple[Any, Any]:
    root = rx.State(_reflex_internal_init=True)
    found = root.get_substate([root.get_name(), *cls.get_full_name().split(".")[1:]])
    cookie = f"{cookies.session_name()}={crypto.digest(token)}; {cookies.ADDRESS}=127.0.0.1"
    root.router_data = root._update_router_vars({"headers": {"cookie": cookie}, "pathname": "/"}, {})
    return root, found


async def _fire(state: Any, name: str, *arguments: Any) -> None:
    answer = type(state).event_handlers[name].fn(state, *arguments)
    if hasattr(answer, "__aiter__"):
        async for _ in answer:
            pass
    else:
        await answer


@pytest.mark.parametrize("closed_by", ["close", "forget"])
async def test_after_close_the_state_holds_no_password(people, closed_by):
    done = factories.make_patient(people.receptionist, email="zqxmailcanary@example.org")
    token = sign_in(STAFF_DOOR, people.receptionist.username, factories.PASSWORD).token
    root, dialog = _state(PortalDialogState, token)
    with sealing.holding(token):
        await _fire(dialog, "ask_for", done.patient.patient_id)
        await _fire(dialog, "submit", done.patient.patient_id, {"email": "zqxportalcanary@example.org"})
        password = dialog.password
        assert len(password) == crypto.TEMPORARY_LENGTH, dialog.failure
        assert password in str(pickle.loads(pickle.dumps(root.dict())))  # while it is shown the page has to be sent it
        await _fire(dialog, closed_by, *([dialog.turn] if closed_by == "close" else []))
        kept = root._serialize() + pickle.dumps(root.dict())
    for mark in (password, token, "zqxportalcanary", "zqxmailcanary"):
        assert mark.encode() not in kept
