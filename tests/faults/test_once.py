"""*Register* pressed while something dies: done once, its outcome told, and the password that is shown works.

The server killed with its workers, the database restarted at once, a connection cut before or after its COMMIT arrived.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from socketio.exceptions import SocketIOError

from clinic_app.services.accounts.errors import InvalidCredentials
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from tests import factories
from tests.browser.serving import Server, bound
from tests.browser.sockets import HYDRATE, ROOT_STATE, Tab, session
from tests.faults.conftest import serving
from tests.faults.instances import Postgres, Redis
from tests.security.attack import REGISTER
from tests.security.test_shown_passwords import password_of

RESUME = f"{ROOT_STATE}.clinic_app___ui___session___resuming____resume_state.resume"
#: Presses: at every run, and with the slow tests. Two hundred, as in docs/reliability.md, take hours for all faults.
SMALL, FULL = 6, int(os.environ.get("CLINIC_TEST_PRESSES", "20"))
SIZES = [SMALL, pytest.param(FULL, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
OUTCOME = re.compile(r'"answered[^"]*": "([0-9a-f]{32}-[0-9]+) (done|refused|lost)"')
LATEST = 0.25  # seconds after a press within which something dies; a registration takes a tenth of it


class Press:
    """What a page does with one press of *Register patient*, until it knows what became of it."""

    def __init__(self, server: Server, cookie: str, number: str, fault: Callable[[], None]) -> None:
        self.email = f"once{number}@example.org"
        self.outcomes, self.password = list[str](), ""
        self._server, self._cookie, self._fault = server, cookie, fault
        self._token, self._intent, self._tries = "", secrets.token_hex(16), 0
        self._first = f"Once{number}"

    async def run(self, patience: float = 60) -> None:
        """Press, let something die, come back, ask, and press again where nothing was done."""
        begun, faulted = time.monotonic(), False
        while "done" not in self.outcomes:
            assert time.monotonic() - begun < patience, self.outcomes
            with contextlib.suppress(SocketIOError, TimeoutError, OSError):
                async with Tab(self._server.url, self._token, self._cookie) as tab:
                    self._token = tab.new_token or tab.token
                    await tab.send(HYDRATE)
                    await tab.settled(8)
                    if self._tries:
                        what = {"intent": self._press, "what": "registration"}
                        await tab.send(RESUME, {"form": what}, path="/patients/new")
                        if await self._answer(tab) == "done":
                            continue
                    self._tries += 1
                    await tab.send(f"{REGISTER}.submit", {"form": self._form()}, path="/patients/new")
                    if not faulted:
                        faulted = True
                        await asyncio.sleep(random.uniform(0, LATEST))
                        await asyncio.to_thread(self._fault)
                    await self._answer(tab)

    @property
    def _press(self) -> str:
        return f"{self._intent}-{self._tries}"

    def _form(self) -> dict[str, Any]:
        return {
            "first_name": self._first, "last_name": "Fault", "portal_email": self.email, "despite": "",
            "create_portal_account": True, "intent": self._press,
        }  # fmt: skip

    async def _answer(self, tab: Tab) -> str:
        async with asyncio.timeout(12):
            while True:
                found = [how for press, how in OUTCOME.findall(tab.text()) if press == self._press]
                if found:
                    break
                if not tab.connected():
                    raise SocketIOError
                await asyncio.sleep(0.01)
        await tab.settled(8)
        self.password = password_of(tab) or self.password
        self.outcomes.append(found[-1])
        return found[-1]


def judged(server: Server, presses: list[Press], counters: dict[str, Any]) -> None:
    """Once each, and the password shown last is the one that works."""
    kept = Counter(name for (name,) in server.sql("SELECT username FROM accounts WHERE username LIKE ?", "once%"))
    people = server.sql("SELECT first_name, count(*) FROM patients WHERE last_name = 'Fault' GROUP BY first_name")
    works = 0
    with bound(server):
        for press in presses:
            with contextlib.suppress(InvalidCredentials):
                sign_in(PATIENT_DOOR, press.email, press.password)
                works += 1
    counters.update(
        pressed=len(presses),
        once=sum(kept[press.email] == 1 for press in presses),
        doubled=sum(count > 1 for _, count in people),
        lost=sum(kept[press.email] == 0 for press in presses),
        told=sum("done" in press.outcomes for press in presses),
        **{"password works": works, "pressed again": sum(len(press.outcomes) > 1 for press in presses)},
    )
    assert (counters["once"], counters["doubled"], counters["lost"]) == (len(presses), 0, 0)
    assert counters["told"] == counters["password works"] == len(presses)
    assert '"status": 500' not in server.log_text()


# --- the server dies ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One worker on SQLite."""
    made = serving(tmp_path_factory.mktemp("alone"))
    made.start()
    yield made
    made.stop()


def cookie_of(server: Server) -> str:
    with bound(server):
        return session(server.open_session("reception"))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.timeout(600)
async def test_server_and_worker_killed(alone: Server, counters: dict[str, Any], size: int) -> None:
    cookie, run = cookie_of(alone), secrets.token_hex(3)

    def die() -> None:
        alone.kill()
        alone.start()

    presses = []
    for number in range(size):
        presses.append(Press(alone, cookie, f"kill{run}{number}", die))
        await presses[-1].run(120)
    judged(alone, presses, counters)


# --- the database dies --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.timeout(600)
async def test_database_restarted_at_once(
    workers: Server, postgres: Postgres, counters: dict[str, Any], size: int
) -> None:
    """Immediately, as a power cut: under two workers."""
    cookie, run = cookie_of(workers), secrets.token_hex(3)

    def die() -> None:
        postgres.stop()
        postgres.start()

    presses = []
    for number in range(size):
        presses.append(Press(workers, cookie, f"restart{run}{number}", die))
        await presses[-1].run(120)
    judged(workers, presses, counters)


# --- COMMIT fails -------------------------------------------------------------------------------------


class Wire:
    """Between the server and its PostgreSQL. It can cut a connection at a COMMIT: before it arrives, or after."""

    def __init__(self, port: int) -> None:
        self._port, self._listener = port, socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cut = ""  # "before" or "after": the next COMMIT of a registration
        self.cuts = Counter[str]()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
                state = {"inserts": False, "cut": ""}
                threading.Thread(target=self._up, args=(near, far, state), daemon=True).start()
                threading.Thread(target=self._down, args=(far, near, state), daemon=True).start()

    def _up(self, near: socket.socket, far: socket.socket, state: dict[str, Any]) -> None:
        with contextlib.suppress(OSError), near, far:
            while data := near.recv(65536):
                state["inserts"] = state["inserts"] or b"INSERT INTO patients" in data or b"once" in data
                if b"COMMIT" in data and state["inserts"]:
                    state["inserts"] = False
                    with self._lock:
                        state["cut"], self.cut = self.cut, ""
                    if state["cut"]:
                        self.cuts[state["cut"]] += 1
                    if state["cut"] == "before":
                        break
                far.sendall(data)
            for one in (near, far):
                one.shutdown(socket.SHUT_RDWR)

    def _down(self, far: socket.socket, near: socket.socket, state: dict[str, Any]) -> None:
        with contextlib.suppress(OSError), near, far:
            while data := far.recv(65536):
                if state["cut"] == "after":  # it is kept, and nobody says so
                    break
                near.sendall(data)
            for one in (near, far):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture(scope="module")
def wired(
    postgres: Postgres, redis_server: Redis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Wire]]:
    """Two workers whose database is at the other end of a wire."""
    wire = Wire(postgres.port)
    url = sa.make_url(postgres.url).set(port=wire.port, query={"sslmode": "disable"})
    made = serving(
        tmp_path_factory.mktemp("wired"),
        CLINIC_DATABASE_URL=url.render_as_string(hide_password=False),
        CLINIC_REDIS_URL=redis_server.url.replace("/0", "/1"),
        CLINIC_WORKERS="2",
    )
    made.start()
    yield made, wire
    made.stop()
    wire.close()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.timeout(600)
async def test_commit_without_an_answer(
    wired: tuple[Server, Wire], counters: dict[str, Any], when: str, size: int
) -> None:
    server, wire = wired
    cookie, run = cookie_of(server), secrets.token_hex(3)
    presses = []
    before = wire.cuts[when]
    for number in range(size):
        wire.cut = when
        presses.append(Press(server, cookie, f"{when}{run}{number}", lambda: None))
        await presses[-1].run(60)
    counters["cut"] = wire.cuts[when] - before
    judged(server, presses, counters)
    assert counters["cut"] >= size // 2


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.timeout(600)
def test_a_request_of_the_api_whose_commit_has_no_answer(
    wired: tuple[Server, Wire], counters: dict[str, Any], when: str, size: int
) -> None:
    """503 at most, and the same ``Idempotency-Key`` tells what became of it: done once."""
    server, wire = wired
    body = {"username": "reception", "password": factories.PASSWORD}
    access = httpx.post(f"{server.url}/api/v1/auth/login/", json=body, timeout=20).json()["access"]
    statuses, run = Counter[int](), secrets.token_hex(3)
    for number in range(size):
        wire.cut = when
        name = f"Api{when}{run}{number}"
        headers = {"Authorization": f"Bearer {access}", "Idempotency-Key": name}
        person = {"first_name": name, "last_name": "onceFault", "allow_duplicate": True}
        for _ in range(10):
            answer = httpx.post(f"{server.url}/api/v1/patients/", json=person, headers=headers, timeout=60)
            statuses[answer.status_code] += 1
            if answer.status_code == 201 or (answer.status_code == 409 and "Already done" in answer.text):
                break
            assert int(answer.headers["retry-after"]) > 0
            time.sleep(0.2)
    found = server.sql(
        "SELECT count(*), count(DISTINCT first_name) FROM patients WHERE first_name LIKE ?", f"Api{when}{run}%"
    )
    counters.update({str(status): count for status, count in statuses.items()}, patients=found[0][0])
    assert found == [(size, size)]
    assert set(statuses) <= {201, 503, 409}
