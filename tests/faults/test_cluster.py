"""The clinic on three PostgreSQL under Patroni (`tools/cluster`), while who leads changes: asked for, lost, or frozen.

Eight programs register patients all the time, a desk has its list open, and somebody presses *Register patient* at the
moment it happens. The table in docs/reliability.md is this file with `CLINIC_TEST_CLUSTER=all`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from socketio.exceptions import SocketIOError

from tests import conftest as tests_conftest
from tests import factories
from tests.browser.serving import Server
from tests.browser.sockets import HYDRATE, Tab
from tests.conftest import ROOT
from tests.faults.conftest import serving
from tests.faults.instances import Redis, until
from tests.faults.test_once import Press, cookie_of, judged, soon
from tests.security.attack import LIST

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WRITERS = 8
#: Seconds between two registrations that are said to be done, at most: planned, and after a crash. Patroni lets another
#: one lead at the earliest when who led has said nothing for 20 s; it says something every 5 s.
PLANNED, CRASH = 5.0, 25.0


class Cluster:
    """`tools/cluster` with a folder and ports of its own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="clinic-cluster-", dir="/var/tmp"))
        self._env = {**os.environ, "CLUSTER_FOLDER": str(self.folder / "it"), "CLUSTER_PORT": "25600"}
        self.folder.chmod(0o755)

    def do(self, *words: str) -> str:
        """One command of it."""
        done = subprocess.run(
            [ROOT / "tools/cluster", *words], env=self._env, capture_output=True, text=True, timeout=180
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def status(self) -> dict[str, Any]:
        """Who leads, and how the clinic reaches it."""
        found: dict[str, Any] = json.loads(self.do("status", "--json"))
        return found

    def mend(self) -> None:
        """Three members that work together."""
        self.do("thaw")
        self.do("start")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    lacking = subprocess.check_output([ROOT / "tools/cluster", "missing"], text=True).split()
    if lacking:
        if os.environ.get("CI") == "true":
            pytest.fail("a cluster is needed in CI: run tools/cluster install")
        pytest.skip(f"not installed (tools/cluster install): {', '.join(lacking)}")
    made = Cluster()
    try:
        made.do("start")
        yield made
    finally:
        made.do("remove")
        shutil.rmtree(made.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def served(
    cluster: Cluster, redis_server: Redis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Server]]:
    """``served("hosts")`` or ``served("proxy")``: two workers that reach the cluster so."""
    running = dict[str, Server]()
    urls = cluster.status()["urls"]
    tests_conftest.migrate(urls["hosts"])

    def serve(route: str) -> Server:
        if route not in running:
            running[route] = serving(
                tmp_path_factory.mktemp(route),
                CLINIC_DATABASE_URL=urls[route],
                CLINIC_READ_DATABASE_URL=urls[f"read-{route}"],
                CLINIC_REDIS_URL=redis_server.url.replace("/0", f"/{2 + len(running)}"),
                CLINIC_WORKERS="2",
            )
            running[route].start()
        return running[route]

    yield serve
    for server in running.values():
        server.stop()


#: A kept connection was ended while a request was on its way: a program sends it again (RFC 9112 section 9.3.1).
CLOSED = httpx.RemoteProtocolError.__name__


class Writers:
    """Programs that register one patient after the other, each with a key, again until they are told it is done."""

    def __init__(self, server: Server, run: str) -> None:
        body = {"username": "reception", "password": factories.PASSWORD}
        self._access = httpx.post(f"{server.url}/api/v1/auth/login/", json=body, timeout=20).json()["access"]
        self._server, self._run, self._end = server, run, threading.Event()
        self.done, self.statuses = list[tuple[float, str]](), Counter[str]()
        self.slowest, self.gave_up = 0.0, list[str]()
        self.by_the_proxy = 0  # answered so by what stands in front: docs/operations.md
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(WRITERS)]

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended = time.monotonic()
        self._end.set()
        for thread in self._threads:
            thread.join(90)
            assert not thread.is_alive()

    def _write(self, number: int) -> None:
        with httpx.Client(base_url=self._server.url, timeout=60) as http:
            for count in range(1_000_000):
                if self._end.is_set():
                    return
                self._register(http, f"{self._run}w{number}n{count}")

    def _register(self, http: httpx.Client, name: str) -> None:
        headers = {"Authorization": f"Bearer {self._access}", "Idempotency-Key": name}
        person = {"first_name": name, "last_name": "Cluster", "allow_duplicate": True}
        while True:
            begun = time.monotonic()
            try:
                answer = http.post("/api/v1/patients/", json=person, headers=headers)
                status = str(answer.status_code)
            except httpx.HTTPError as error:
                status = type(error).__name__
            with self._lock:
                self.statuses[status] += 1
                self.by_the_proxy += status == "503" and "is being restarted" in answer.text
                self.slowest = max(self.slowest, time.monotonic() - begun)
                if status == "201" or (status == "409" and "Already done" in answer.text):
                    self.done.append((time.monotonic(), name))
                    return
            if status not in ("409", "503", CLOSED):
                return  # which fails the test
            if self._end.is_set() and time.monotonic() - self._ended > 30:
                self.gave_up.append(name)
                return
            if status == "503":
                assert int(answer.headers["retry-after"]) > 0
            time.sleep(0.2)  # sooner than Retry-After says: to see when it comes back

    def wait(self, more: int, patience: float) -> None:
        """Until so many more are done."""
        wanted = len(self.done) + more
        until(lambda: len(self.done) >= wanted, patience, "registering")

    def gap(self) -> float:
        """The longest time in which nobody was told that something is done."""
        times = [when for when, _ in self.done if when <= self._ended]
        return max(after - before for before, after in itertools.pairwise(times))


async def shows_by_itself(server: Server, cookie: str, name: str, ready: asyncio.Event, away: asyncio.Event) -> float:
    """Seconds until a list that is open all the time shows ``name``, once ``ready``.

    A page opens a line again that has ended, by itself; it asks for nothing else.
    """
    token, begun = "", 0.0
    while True:
        with contextlib.suppress(SocketIOError, TimeoutError, OSError):
            async with Tab(server.url, token, cookie) as tab:
                token = tab.new_token or tab.token
                await tab.send(HYDRATE, path="/patients")
                await tab.send(f"{LIST}.load", path="/patients")
                await tab.settled(40)
                await tab.send(f"{LIST}.watch", path="/patients")
                away.set()  # it is open: now things may happen
                while tab.connected():
                    if ready.is_set():
                        begun = begun or time.monotonic()
                        if name in tab.text():
                            return time.monotonic() - begun
                        assert time.monotonic() - begun < 20, "the list does not come back"
                    await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)


#: What happens, how the clinic reaches the database, and how long it may take.
EVERYTHING = [(event, route) for event in ("switch", "lose", "freeze") for route in ("hosts", "proxy")]
USUAL = [("switch", "hosts"), ("lose", "proxy"), ("freeze", "hosts")]
RUNS = EVERYTHING if os.environ.get("CLINIC_TEST_CLUSTER") == "all" else USUAL


@pytest.mark.parametrize(("event", "route"), RUNS)
async def test_who_leads_changes(
    cluster: Cluster, served: Callable[[str], Server], counters: dict[str, Any], event: str, route: str
) -> None:
    await asyncio.to_thread(cluster.mend)
    server = await asyncio.to_thread(served, route)
    cookie, run = cookie_of(server), f"{event}{route}{secrets.token_hex(2)}"
    ready, opened = asyncio.Event(), asyncio.Event()
    before = len(server.log_text())
    desk = asyncio.create_task(shows_by_itself(server, cookie, f"Aaa{run}", ready, opened))

    def happen() -> None:
        cluster.do(event)

    press = Press(server, cookie, run, fault=soon(happen))
    with Writers(server, run) as writers:
        await opened.wait()
        await asyncio.to_thread(writers.wait, 50, 30)
        await press.run(90)
        await asyncio.to_thread(writers.wait, 50, 60)
        if event == "freeze":
            await asyncio.to_thread(cluster.do, "thaw")
            await asyncio.to_thread(writers.wait, 50, 60)
        name = httpx.post(
            f"{server.url}/api/v1/patients/",
            json={"first_name": f"Aaa{run}", "last_name": "Aaaa", "allow_duplicate": True},
            headers={"Authorization": f"Bearer {writers._access}"},
            timeout=60,
        )
        assert name.status_code == 201
        ready.set()
        counters["list shows news after"] = round(await desk, 1)
    found = Counter(
        name for (name,) in server.sql("SELECT first_name FROM patients WHERE first_name LIKE ?", f"{run}w%")
    )
    counters.update(
        acknowledged=len(writers.done),
        lost=sum(found[name] == 0 for _, name in writers.done),
        doubled=sum(count > 1 for count in found.values()),
        unknown=len(set(found) - {name for _, name in writers.done}),
        gap=round(writers.gap(), 1),
        slowest=round(writers.slowest, 1),
        statuses=dict(sorted(writers.statuses.items())),
    )
    judged(server, [press], counters)
    assert (counters["lost"], counters["doubled"], counters["unknown"]) == (0, 0, 0)
    assert writers.gave_up == []
    assert set(writers.statuses) <= {"201", "409", "503"}
    assert '"status": 500' not in server.log_text()[before:]
    assert counters["gap"] <= (PLANNED if event == "switch" else CRASH)
    assert "is intact" in server.run("audit", "verify")
