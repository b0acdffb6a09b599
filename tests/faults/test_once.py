"""*Register* pressed while something dies: done once, its outcome told, and the password that is shown works.

The server killed with its workers, the database restarted at once, a COMMIT that fails, that is kept and not said to
be, or in which the worker is killed. Without anything dying: a line that is dropped, one press sent several times.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from socketio.exceptions import SocketIOError

from clinic_app.core import crypto
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from tests import factories
from tests.browser.serving import Server, bound
from tests.browser.sockets import HYDRATE, ROOT_STATE, Tab, session
from tests.faults.conftest import serving
from tests.faults.instances import Postgres, Redis, until
from tests.security.attack import DIALOG, REGISTER

RESUME = f"{ROOT_STATE}.clinic_app___ui___session___resuming____resume_state.resume"
DESKS = 8  # that press at once, where a server or a database has to be started again
#: Presses: at every run, and with the slow tests. All faults with two hundred, as in docs/reliability.md, take an hour.
SMALL, FULL = DESKS, int(os.environ.get("CLINIC_TEST_PRESSES", "24"))
SIZES = [
    pytest.param(SMALL, marks=pytest.mark.timeout(600)),
    pytest.param(FULL, marks=[pytest.mark.slow, pytest.mark.timeout(7200)]),
]
OUTCOME = re.compile(r'"answered[^"]*": "([0-9a-f]{32}-[0-9]+) (done|refused|lost)"')
LATEST = 0.25  # seconds after a press within which something dies; a registration takes a tenth of it


async def _nothing() -> None:
    pass


def soon(happen: Callable[[], object]) -> Callable[[], Awaitable[object]]:
    """As the ``fault`` of a press: ``happen``, up to a quarter of a second after it."""

    async def fault() -> None:
        await asyncio.sleep(random.uniform(0, LATEST))
        await asyncio.to_thread(happen)

    return fault


def value_of(tab: Tab, name: str) -> Any:
    """What the dialog with credentials holds under ``name``, as the page knows it."""
    found: Any = ""
    for message in tab.messages:
        sent = (json.loads(message).get("delta") or {}).get(DIALOG, {})
        found = next((value for key, value in sent.items() if key.split("_rx_")[0] == name), found)
    return found


class Press:
    """What a page does with one press of *Register patient*, until it knows what became of it."""

    def __init__(
        self,
        server: Server,
        cookie: str,
        number: str,
        *,
        before: Callable[[], Awaitable[object]] = _nothing,
        fault: Callable[[], Awaitable[object]] = _nothing,
    ) -> None:
        """``before`` is waited for before the first press, ``fault`` after it and before its answer is looked at."""
        self.email = f"once{number}@example.org"
        self.outcomes, self.password, self.history = list[str](), "", list[str]()
        self.elsewhere = list[str]()  # what other lines were sent to show
        self._server, self._cookie, self._before, self._fault = server, cookie, before, fault
        self._token, self._intent, self._tries, self._had = "", secrets.token_hex(16), 0, ""
        self._first = f"Once{number}"

    async def run(self, patience: float = 60) -> None:
        """Press, let something die, come back, ask, and press again where nothing was done."""
        begun = time.monotonic()
        while "done" not in self.outcomes:
            assert time.monotonic() - begun < patience, self.outcomes
            with contextlib.suppress(SocketIOError, TimeoutError, OSError):
                self.history.append("connects")
                async with Tab(self._server.url, self._token, self._cookie) as tab:
                    self._token = tab.new_token or tab.token
                    await tab.send(HYDRATE)
                    await tab.settled(8)
                    if self._tries:
                        what = {"intent": self._press, "what": "registration", "had": self._had}
                        await tab.send(RESUME, {"form": what}, path="/patients/new")
                        self.history.append("asks")
                        if await self._answer(tab) == "done":
                            continue
                    if first := not self._tries:
                        await self._before()
                    self._tries += 1
                    self.history.append("presses")
                    await self._send(tab)
                    if first:
                        await self._fault()
                    await self._answer(tab)

    async def _send(self, tab: Tab) -> None:
        await tab.send(f"{REGISTER}.submit", {"form": self._form()}, path="/patients/new")

    async def _confirmed(self, tab: Tab) -> str:
        """Say what is on the screen, as a page does for each that it is sent to show; returns what is there then."""
        turn = -1
        while value_of(tab, "password") and turn != (turn := value_of(tab, "turn")):
            self._had = value_of(tab, "mark")
            await tab.send(f"{DIALOG}.confirm", {"turn": turn}, path="/patients/new")
            await tab.settled(8)
        return str(value_of(tab, "password"))

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
        self.history.append(found[-1])
        await tab.settled(8)
        self.password = await self._confirmed(tab)
        self.history.append("password" if self.password else "no password")
        self.outcomes.append(found[-1])
        return found[-1]


def judged(server: Server, presses: Sequence[Press], counters: dict[str, Any]) -> None:
    """Once each, and what is on a screen at the end works, on every line."""
    kept = Counter(name for (name,) in server.sql("SELECT username FROM accounts WHERE username LIKE ?", "once%"))
    people = server.sql("SELECT first_name, count(*) FROM patients WHERE last_name = 'Fault' GROUP BY first_name")
    works = 0
    with bound(server):
        for press in presses:
            ((kept_hash,),) = server.sql("SELECT password_hash FROM accounts WHERE username = ?", press.email)
            shown = {press.password, *press.elsewhere} - {""}
            if shown and all(crypto.verify_password(one, kept_hash) for one in shown):
                sign_in(PATIENT_DOOR, press.email, shown.pop())
                works += 1
            else:
                counters["refused"] = [press.email, press.history, bool(press.password)]
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


class Fault:
    """What happens once to several desks that press *Register patient*, each up to a quarter of a second before."""

    def __init__(self, desks: int, happen: Callable[[], None]) -> None:
        self._ready, self._over, self._happen = asyncio.Barrier(desks + 1), asyncio.Event(), happen

    async def before(self) -> None:
        """The desk's moment."""
        await self._ready.wait()
        await asyncio.sleep(random.uniform(0, LATEST))

    async def fault(self) -> None:
        """Until it has happened: whoever is answered sooner does not look."""
        await self._over.wait()

    async def run(self) -> None:
        """Let it happen, once all are ready."""
        await self._ready.wait()
        await asyncio.sleep(LATEST)
        await asyncio.to_thread(self._happen)
        self._over.set()


async def pressed_together(
    server: Server,
    size: int,
    name: str,
    happen: Callable[[], None],
    counters: dict[str, Any],
    ready: Callable[[], None] = lambda: None,
    cookie: Callable[[Any], str] = cookie_of,
) -> list[Press]:
    """``size`` presses, of eight desks at once: ``ready`` and ``happen`` once for each eight of them."""
    cookies, presses = [cookie(server) for _ in range(DESKS)], list[Press]()
    counters["faults"] = 0
    for begin in range(0, size, DESKS):
        numbers = range(begin, min(begin + DESKS, size))
        ready()
        one = Fault(len(numbers), happen)
        made = [
            Press(server, cookie, f"{name}{number}", before=one.before, fault=one.fault)
            for number, cookie in zip(numbers, cookies, strict=False)
        ]
        await asyncio.gather(one.run(), *(press.run(120) for press in made))
        presses += made
        counters["faults"] += 1
    return presses


@pytest.fixture(params=["sqlite", "postgres"])
def killable(request: pytest.FixtureRequest) -> Server:
    """One worker on SQLite; two on PostgreSQL."""
    found: Server = request.getfixturevalue("alone" if request.param == "sqlite" else "workers")
    return found


@pytest.mark.parametrize("size", SIZES)
async def test_server_and_worker_killed(killable: Server, counters: dict[str, Any], size: int) -> None:
    def die() -> None:
        killable.kill()
        killable.start()

    presses = await pressed_together(killable, size, f"kill{secrets.token_hex(3)}", die, counters)
    judged(killable, presses, counters)


# --- the database dies --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_database_restarted_at_once(
    workers: Server, postgres: Postgres, counters: dict[str, Any], size: int
) -> None:
    """Immediately, as a power cut: under two workers."""

    def die() -> None:
        postgres.stop()
        postgres.start()

    presses = await pressed_together(workers, size, f"restart{secrets.token_hex(3)}", die, counters)
    judged(workers, presses, counters)


# --- nothing dies -------------------------------------------------------------------------------------


class Dropped(Press):
    """Its line ends after the press, without a word."""

    async def _send(self, tab: Tab) -> None:
        await super()._send(tab)
        if self._tries == 1:
            await asyncio.sleep(random.uniform(0, 0.05))
            wire = tab._client.eio.ws._response.connection.transport
            wire.abort()


@pytest.mark.parametrize("size", SIZES)
async def test_line_dropped_after_the_press(workers: Server, counters: dict[str, Any], size: int) -> None:
    cookie, run = cookie_of(workers), secrets.token_hex(3)
    presses = [Dropped(workers, cookie, f"drop{run}{number}") for number in range(size)]
    for press in presses:
        await press.run()
    judged(workers, presses, counters)


class SentOften(Press):
    """The same press is sent twice on its own line, and at that moment on two others: whatever stays shown works."""

    async def _send(self, tab: Tab) -> None:
        others = [Tab(self._server.url, "", self._cookie) for _ in range(2)]
        async with contextlib.AsyncExitStack() as stack:
            for other in others:
                await stack.enter_async_context(other)
                await other.send(HYDRATE)
                await other.settled(8)
            await asyncio.gather(*(super(SentOften, self)._send(one) for one in (tab, *others, tab)))
            for other in others:
                await other.settled(20)
            self.elsewhere = [await self._confirmed(other) for other in others]


@pytest.mark.parametrize("size", SIZES)
async def test_one_press_sent_four_times_at_once(workers: Server, counters: dict[str, Any], size: int) -> None:
    cookie, run = cookie_of(workers), secrets.token_hex(3)
    presses = [SentOften(workers, cookie, f"often{run}{number}") for number in range(size)]
    for press in presses:
        await press.run()
    judged(workers, presses, counters)


async def test_another_line_replaces_what_is_shown_only_until_the_page_says_that_it_shows_it(workers: Server) -> None:
    """Two lines of one session, of two workers or of one: the page's own, and one that was lost and is not done."""
    cookie = cookie_of(workers)
    for number in range(4):
        press = Press(workers, cookie, f"line{secrets.token_hex(3)}{number}")
        async with Tab(workers.url, "", cookie) as page, Tab(workers.url, "", cookie) as lost:
            for tab in (page, lost):
                await tab.send(HYDRATE)
                await tab.settled(20)
            press._tries = 1
            await press._send(page)
            await page.settled(20)
            first = value_of(page, "password")
            if number % 2:  # it has said so in time
                assert await press._confirmed(page) == first
            press._tries = 2
            await press._send(lost)
            await lost.settled(20)
            assert bool(value_of(lost, "password")) == (number % 2 == 0)
            now = await press._confirmed(page)
            assert (now == first) == (number % 2 == 1)
            assert await press._confirmed(lost) == "", "and it does not go on showing a dead one"
        with bound(workers):
            assert sign_in(PATIENT_DOOR, press.email, now)


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
                if b"BEGIN" in data:  # what was only looked for in the transaction before does not count
                    state["inserts"] = False
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
async def test_commit_without_an_answer(
    wired: tuple[Server, Wire], counters: dict[str, Any], when: str, size: int
) -> None:
    server, wire = wired
    cookie, run = cookie_of(server), secrets.token_hex(3)
    presses = []
    before = wire.cuts[when]
    for number in range(size):
        wire.cut = when
        presses.append(Press(server, cookie, f"{when}{run}{number}"))
        await presses[-1].run(60)
    counters["cut"] = wire.cuts[when] - before
    judged(server, presses, counters)
    assert counters["cut"] >= size // 2


def program_of(server: Server) -> dict[str, str]:
    """The headers of a program that may register."""
    body = {"username": "reception", "password": factories.PASSWORD}
    access = httpx.post(f"{server.url}/api/v1/auth/login/", json=body, timeout=20).json()["access"]
    return {"Authorization": f"Bearer {access}"}


def register(server: Server, program: dict[str, str], name: str, statuses: Counter[str], patience: float = 60) -> None:
    """By the API with an ``Idempotency-Key``, again until it is told what became of it."""
    headers = {**program, "Idempotency-Key": name}
    person = {"first_name": name, "last_name": "onceFault", "allow_duplicate": True}
    begun = time.monotonic()
    while time.monotonic() - begun < patience:
        try:
            answer = httpx.post(f"{server.url}/api/v1/patients/", json=person, headers=headers, timeout=60)
        except httpx.TransportError:
            statuses["no answer"] += 1
            time.sleep(0.2)
            continue
        statuses[str(answer.status_code)] += 1
        if answer.status_code == 201 or (answer.status_code == 409 and "Already done" in answer.text):
            return
        assert int(answer.headers["retry-after"]) > 0
        time.sleep(0.2)
    raise AssertionError(f"{name}: not told in {patience} s")


def judged_requests(
    server: Server, name: str, size: int, statuses: Counter[str], counters: dict[str, Any], no_answer: bool = False
) -> None:
    """Once each, and no answer but those that are meant."""
    found = server.sql("SELECT count(*), count(DISTINCT first_name) FROM patients WHERE first_name LIKE ?", f"{name}%")
    counters.update(statuses, patients=found[0][0])
    assert found == [(size, size)]
    assert set(statuses) <= {"201", "503", "409", *(["no answer"] if no_answer else [])}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("size", SIZES)
def test_a_request_of_the_api_whose_commit_has_no_answer(
    wired: tuple[Server, Wire], counters: dict[str, Any], when: str, size: int
) -> None:
    """503 at most, and the same ``Idempotency-Key`` tells what became of it: done once."""
    server, wire = wired
    program, name, statuses = program_of(server), f"Api{when}{secrets.token_hex(3)}", Counter[str]()
    before = wire.cuts[when]
    for number in range(size):
        wire.cut = when
        register(server, program, f"{name}n{number}", statuses)
    counters["cut"] = wire.cuts[when] - before
    assert counters["cut"] >= size // 2
    judged_requests(server, name, size, statuses, counters)


# --- COMMIT fails on SQLite ---------------------------------------------------------------------------

#: See tests/faults/at_commit.py.
TOLD, DIES = ("full", "broken", "unsynced", "busy", "unsaid"), ("dies before", "dies after")


class Commit:
    """What the next COMMIT of a registration is told to do."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "at_commit"
        self._done = self._file.with_suffix(".done")
        self.happened = 0

    def goes(self, how: str) -> None:
        """Once; what was told before is counted if it happened."""
        self.count()
        self._file.with_suffix(".new").write_text(how)
        self._file.with_suffix(".new").rename(self._file)

    def count(self) -> bool:
        """Whether it has happened since it was told."""
        if found := self._done.exists():
            self._done.unlink()
            self.happened += 1
        return found


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Commit]]:
    """One worker on SQLite, whose COMMIT may be told to fail."""
    folder = tmp_path_factory.mktemp("failing")
    made = serving(folder, factory="tests.faults.at_commit:create", AT_COMMIT=str(folder / "at_commit"))
    made.start()
    yield made, Commit(folder)
    made.stop()


@pytest.mark.parametrize("how", TOLD)
@pytest.mark.parametrize("size", SIZES)
async def test_commit_fails_on_sqlite(
    failing: tuple[Server, Commit], counters: dict[str, Any], how: str, size: int
) -> None:
    server, commit = failing
    cookie, name, before = cookie_of(server), f"{how}{secrets.token_hex(3)}", commit.happened
    presses = []
    for number in range(size):
        commit.goes(how)
        presses.append(Press(server, cookie, f"{name}{number}"))
        await presses[-1].run()
    commit.count()
    counters["failed"] = commit.happened - before
    judged(server, presses, counters)
    assert counters["failed"] == size
    assert server.sql("PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("how", DIES)
@pytest.mark.parametrize("size", SIZES)
async def test_killed_at_commit_on_sqlite(
    failing: tuple[Server, Commit], counters: dict[str, Any], how: str, size: int
) -> None:
    """The worker between a registration's last statement and its COMMIT, or right after; the server then."""
    server, commit = failing
    name, before = f"{how.replace(' ', '')}{secrets.token_hex(3)}", commit.happened

    def die() -> None:
        until(commit.count, 20, "a COMMIT")
        server.kill()
        server.start()

    presses = await pressed_together(server, size, name, die, counters, ready=lambda: commit.goes(how))
    counters["killed at COMMIT"] = commit.happened - before
    judged(server, presses, counters)
    assert counters["killed at COMMIT"] == counters["faults"]


@pytest.mark.parametrize("how", [*TOLD, *DIES])
@pytest.mark.parametrize("size", SIZES)
def test_a_request_of_the_api_whose_commit_fails_on_sqlite(
    failing: tuple[Server, Commit], counters: dict[str, Any], how: str, size: int
) -> None:
    """Eight programs at once where the worker is killed, one otherwise."""
    server, commit = failing
    program, statuses = program_of(server), Counter[str]()
    name, before = f"Api{how.replace(' ', '')}{secrets.token_hex(3)}", commit.happened
    for begin in range(0, size, DESKS if how in DIES else 1):
        commit.goes(how)
        numbers = range(begin, min(begin + DESKS, size)) if how in DIES else (begin,)
        with ThreadPoolExecutor(DESKS) as pool:
            asked = [pool.submit(register, server, program, f"{name}n{number}", statuses) for number in numbers]
            if how in DIES:
                until(commit.count, 20, "a COMMIT")
                server.kill()
                # as if two minutes had gone by, in which a key is taken for being worked on
                server.sql("UPDATE idempotency_keys SET started_at = '2026-01-01' WHERE status IS NULL")
                server.start()
            for one in asked:
                one.result()
    commit.count()
    counters["failed"] = commit.happened - before
    judged_requests(server, name, size, statuses, counters, no_answer=how in DIES)
    assert counters["failed"] == (-(-size // DESKS) if how in DIES else size)
    assert '"status": 500' not in server.log_text()
