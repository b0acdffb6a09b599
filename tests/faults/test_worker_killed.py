"""A worker dies: the clinic stays up, its place is filled again, and one that dies again and again ends nobody else."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from clinic_app.cli import respawn, supervisor
from clinic_app.cli import server as serve_command
from clinic_app.core.settings import load_settings
from tests.browser.serving import ROOT, Server
from tests.cli.test_served import command, environment, free_port
from tests.faults.conftest import serving
from tests.faults.instances import until


def workers_of(server: Server) -> set[int]:
    """The processes below the server's own."""
    assert server._process is not None
    parent = server._process.pid
    return {int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()}


def answers(server: Server) -> str:
    """What one request on a connection of its own comes to."""
    try:
        return str(httpx.get(f"{server.url}/login", timeout=5).status_code)
    except httpx.HTTPError as error:
        return type(error).__name__


def both_serve(server: Server) -> set[int]:
    """The two workers' processes, once each has answered."""
    told = set[int]()

    def ask() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            told.add(pickle.loads(httpx.get(f"{server.url}/looking-in/tabs", timeout=5).content)[0])
        return told >= workers_of(server) and len(workers_of(server)) == 2

    until(ask, 60, "two workers")
    return workers_of(server)


class Callers:
    """Somebody asks for a page again and again, each time anew."""

    def __init__(self, server: Server) -> None:
        self.seen, self._over = Counter[str](), threading.Event()
        self._server, self._thread = server, threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while not self._over.wait(0.02):
            self.seen[answers(self._server)] += 1

    def __enter__(self) -> Callers:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def test_one_of_two_workers_is_killed_and_the_clinic_stays_up(workers: Server, counters: dict[str, Any]) -> None:
    before = both_serve(workers)
    with Callers(workers) as callers:
        until(lambda: callers.seen["200"] > 20, 20, "answers")
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        counters["seconds until its place is filled"] = round(
            until(lambda: len(workers_of(workers) - {victim}) == 2, 10, "another worker"), 2
        )
        time.sleep(3)
    counters.update(callers.seen)
    assert workers._process is not None
    assert workers._process.poll() is None
    # what the dead one had accepted is lost with it, as with any server; nobody is answered with a failure
    assert set(callers.seen) <= {"200", "ReadError", "RemoteProtocolError", "ConnectError"}
    assert sum(callers.seen.values()) - callers.seen["200"] <= 5


def test_a_worker_that_dies_again_and_again_ends_nobody_else(workers: Server, counters: dict[str, Any]) -> None:
    stays = max(both_serve(workers))
    gaps = []
    with Callers(workers) as callers:
        for _ in range(3):
            (victim,) = workers_of(workers) - {stays}
            os.kill(victim, signal.SIGKILL)
            until(lambda gone=victim: gone not in workers_of(workers), 5, "its end")
            gaps.append(round(until(lambda: len(workers_of(workers)) == 2, 30, "another worker"), 1))
    counters.update(callers.seen, seconds=gaps)
    assert workers._process is not None
    assert workers._process.poll() is None
    assert gaps == sorted(gaps)
    assert gaps[-1] >= 1.0
    assert callers.seen["200"] >= 0.8 * sum(callers.seen.values())
    assert stays in both_serve(workers)


def test_the_only_worker_is_killed_and_comes_back(tmp_path: Path, counters: dict[str, Any]) -> None:
    server = serving(tmp_path)
    server.start()
    try:
        (victim,) = workers_of(server)
        os.kill(victim, signal.SIGKILL)
        counters["seconds"] = round(until(lambda: answers(server) == "200", 30, "the clinic"), 2)
        assert workers_of(server) != {victim}
        begun = time.monotonic()
        assert server._process is not None
        server._process.terminate()
        assert server._process.wait(15) == 0
        counters["seconds to stop"] = round(time.monotonic() - begun, 2)
    finally:
        server.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="needs a signal of Linux")
def test_the_process_above_the_workers_is_killed_and_they_end_with_it(tmp_path: Path) -> None:
    """Else they would serve on at the same port beside the next server, which knows nothing of them."""
    server = serving(tmp_path)
    server.start()
    try:
        assert server._process is not None
        (worker,) = workers_of(server)
        os.kill(server._process.pid, signal.SIGKILL)
        until(lambda: not Path(f"/proc/{worker}").exists(), 15, "its end")
        assert answers(server) == "ConnectError"
    finally:
        server.kill()
    server.start()
    server.stop()


def test_a_second_server_on_the_same_database_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two would share a port, know nothing of each other's pages, and write one continuous copy."""
    server = serving(tmp_path)
    settings = load_settings(mode="demo", data_dir=tmp_path / "data")
    monkeypatch.setattr(supervisor, "PATIENCE", 0.3)
    server.start()
    try:
        with pytest.raises(SystemExit) as ended, supervisor.only_one(settings):
            pass
        assert ended.value.code == 1
        words = f"A server of this clinic works with {tmp_path / 'data'} already: stop it first.\n"
        assert capsys.readouterr().err == words
    finally:
        server.stop()
    with supervisor.only_one(settings):
        pass


def test_workers_that_say_why_they_cannot_start_end_the_start(tmp_path: Path) -> None:
    env = environment(tmp_path, free_port(), CLINIC_NAME="A clinic nobody has built")
    assert command("migrate", env=env).returncode == 0
    options = ["--interface", "asgi", "--factory", "--port", env["CLINIC_PORT"], "clinic_app.asgi:create"]
    done = subprocess.run(
        [sys.executable, "-m", "clinic_app.cli.supervisor", *options],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.count("The pages have not been built") == 1


def test_waits_grow_and_begin_anew_after_a_good_while() -> None:
    deaths = respawn.Deaths()
    assert [deaths.wait_after(0, 1.0) for _ in range(9)] == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert deaths.wait_after(1, 1.0) == 0.0
    assert [deaths.wait_after(0, respawn.WELL) for _ in range(2)] == [0.0, 0.0]
    assert deaths.wait_after(0, 1.0) == 1.0


def test_serve_puts_the_supervisor_above_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr(supervisor.cli, "Server", None)
    monkeypatch.setattr(supervisor.cli, "entrypoint", lambda: made.append(vars(supervisor.cli)["Server"]))
    supervisor.main()
    assert made == [supervisor.Supervisor]
    seen: list[list[str]] = []
    monkeypatch.setattr(serve_command.os, "execv", lambda _, line: seen.append(line))
    monkeypatch.setattr(serve_command, "connect", lambda: None)
    monkeypatch.setattr(serve_command.build, "finished", lambda *_: Path())
    with contextlib.suppress(SystemExit):
        serve_command.serve(None, free_port())
    assert seen[0][1:3] == ["-m", "clinic_app.cli.supervisor"]
