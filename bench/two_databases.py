"""The API on PostgreSQL with several workers against the API on SQLite with one: requests a second, in turn, as ratios.

    python bench/two_databases.py --postgres postgresql+psycopg://postgres@127.0.0.1:5432 [--redis redis://127.0.0.1:6379/9]

Eight clients that never pause register plain patients, and then look at records. Said are requests a second, p50 and
p95, and how much of a processor one request takes: in the workers, in PostgreSQL, in Redis. Limits are counted as in
production, only a thousand times as high. The database ``clinic_two_databases`` is made, and dropped at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import selectors
import signal
import socket
import statistics
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy import create_engine, text

ROOT = Path(__file__).resolve().parents[1]
NAME = "clinic_two_databases"
PASSWORD = "demo-clinic-passphrase"
PATH = "/api/v1/patients/"


def options() -> argparse.Namespace:
    """What to measure, from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--postgres", required=True, help="address of a server, without a database")
    parser.add_argument("--redis", default="redis://127.0.0.1:6379/9")
    parser.add_argument("--workers", default="2", help="of PostgreSQL: numbers with commas")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--patients", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tree", type=Path, action="append", help="a checkout to be measured; by default this one")
    return parser.parse_args()


# --- the servers ----------------------------------------------------------------------------------


@dataclass
class Served:
    """A running server: where it is, and whose processor time it takes."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    database: str = ""
    token: str = ""


def _environment(tree: Path, folder: Path, port: int, url: str, workers: int, redis: str) -> dict[str, str]:
    made = os.environ | {
        "CLINIC_MODE": "demo",
        "CLINIC_DATA_DIR": str(folder),
        "CLINIC_API_RATE_FACTOR": "1000",
        "CLINIC_PORT": str(port),
        "CLINIC_LOG_LEVEL": "ERROR",
        "CLINIC_WORKERS": str(workers),
        "PYTHONPATH": str(tree),
    }
    return made | ({"CLINIC_DATABASE_URL": url} if url else {}) | ({"CLINIC_REDIS_URL": redis} if workers > 1 else {})


@contextlib.contextmanager
def serving(tree: Path, name: str, folder: Path, port: int, url: str, workers: int, redis: str, patients: int):
    """A server with so many patients, for as long as the block lasts."""
    folder.mkdir(parents=True)
    env = _environment(tree, folder, port, url, workers, redis)
    with (folder / "out").open("w") as out:
        make = [sys.executable, "-m", "clinic_app"]
        for command in (["migrate"], ["demo", "--patients", str(patients)]):
            subprocess.run([*make, *command], env=env, cwd=tree, check=True, stdout=out, stderr=out)
        clinic = create_engine(url or f"sqlite:///{folder / 'clinic.sqlite3'}")
        with clinic.begin() as connection:  # what is measured is a clinic where all were compared long ago
            connection.execute(text("DELETE FROM waiting_comparisons"))
        clinic.dispose()
        command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--port", str(port)]
        command += ["--workers", str(workers), "--log-level", "warning", "bench.api_server:create"]
        process = subprocess.Popen(command, env=env, cwd=tree, stdout=out, stderr=out, start_new_session=True)
    try:
        served = Served(name, port, process, url.rpartition("/")[2])
        until = time.monotonic() + 60
        while not served.token:
            with contextlib.suppress(OSError, http.client.HTTPException):
                line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                body = json.dumps({"username": "receptionist", "password": PASSWORD})
                line.request("POST", "/api/v1/auth/login/", body, {"content-type": "application/json"})
                served.token = json.loads(line.getresponse().read())["access"]
            if time.monotonic() > until:
                raise SystemExit(f"{name} does not answer: {(folder / 'out').read_text()[-2000:]}")
            time.sleep(0.1)
        yield served
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


# --- processor time -------------------------------------------------------------------------------


def _ticks(pid: int) -> float:
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") * 1000
    return 0.0


def _group(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, ProcessLookupError):
                if os.getpgid(int(folder.name)) == pid:
                    found.append(int(folder.name))
    return found


def _named(name: str) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and (folder / "comm").read_text().strip() == name:
                found.append(int(folder.name))
    return found


class Spent:
    """Milliseconds of processor that the parts of a server have taken. All of Redis counts, whoever uses it."""

    def __init__(self, served: Served, line: psycopg.Connection) -> None:
        self._served, self._line = served, line

    def now(self) -> dict[str, dict[int, float]]:
        """By part and process."""
        database: list[int] = []
        if self._served.database:
            asked = "SELECT pid FROM pg_stat_activity WHERE datname = %s"
            database = [pid for (pid,) in self._line.execute(asked, [self._served.database])]
        parts = {"workers": _group(self._served.process.pid), "postgres": database, "redis": _named("redis-server")}
        return {part: {pid: _ticks(pid) for pid in pids} for part, pids in parts.items()}


def _between(before: dict[str, dict[int, float]], after: dict[str, dict[int, float]], count: int) -> dict[str, float]:
    return {
        part: sum(ms - before[part].get(pid, 0.0) for pid, ms in pids.items()) / max(1, count)
        for part, pids in after.items()
    }


# --- the clients ----------------------------------------------------------------------------------


def _word() -> str:
    return "".join(random.choices(string.ascii_lowercase, k=9)).title()


def registering() -> tuple[str, str, str]:
    """Somebody whom hardly anybody is like."""
    body = {"first_name": _word(), "last_name": _word(), "gender": "FEMALE", "allow_duplicate": True}
    body["date_of_birth"] = f"19{random.randrange(40, 100)}-{random.randrange(1, 13):02}-{random.randrange(1, 29):02}"
    body["phone"] = f"07{random.randrange(10**7, 10**8)}"
    return "POST", PATH, json.dumps(body)


def looking(patients: int) -> Callable[[], tuple[str, str, str]]:
    """One of those who were there."""
    return lambda: ("GET", f"{PATH}{random.randrange(1, patients)}/", "")


def drive(served: Served, ask: Callable[[], tuple[str, str, str]], clients: int, seconds: float) -> list[float]:
    """Milliseconds of each answer. Raises where one is not 200 or 201."""
    lines = selectors.DefaultSelector()
    started: dict[int, float] = {}
    heard: dict[int, bytes] = {}
    times: list[float] = []
    until = time.perf_counter() + seconds

    def send(line: socket.socket) -> None:
        method, path, body = ask()
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {served.token}\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        started[line.fileno()], heard[line.fileno()] = time.perf_counter(), b""
        line.sendall(f"{head}\r\n{body}".encode())

    for _ in range(clients):
        line = socket.create_connection(("127.0.0.1", served.port))
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines.register(line, selectors.EVENT_READ)
        send(line)
    open_ = clients
    while open_:
        for key, _ in lines.select(10):
            line = key.fileobj
            assert isinstance(line, socket.socket)
            heard[key.fd] += line.recv(65536)
            head, _, body = heard[key.fd].partition(b"\r\n\r\n")
            at = head.lower().find(b"content-length: ")
            if at < 0 or len(body) < int(head[at + 16 :].split(b"\r\n", 1)[0]):
                continue
            if head[9:12] not in (b"200", b"201"):
                raise SystemExit(f"{served.name}: {heard[key.fd][:600]!r}")
            times.append((time.perf_counter() - started[key.fd]) * 1000)
            if time.perf_counter() < until:
                send(line)
            else:
                lines.unregister(line)
                line.close()
                open_ -= 1
    return times


@contextlib.contextmanager
def databases(address: str, names: list[str]) -> Iterator[None]:
    """Empty databases, dropped at the end."""
    plain = address.replace("+psycopg", "")
    with psycopg.connect(f"{plain}/postgres", autocommit=True) as line:
        for name in names:
            line.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
            line.execute(f"CREATE DATABASE {name}".encode())
        yield
        for name in names:
            line.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


def main() -> None:
    """Measure all of them in turn, and print."""
    asked = options()
    trees = [tree.resolve() for tree in asked.tree or [ROOT]]
    wanted = [(tree, workers) for tree in trees for workers in (0, *map(int, asked.workers.split(",")))]
    names = {place: f"{NAME}_{place}" for place, (_, workers) in enumerate(wanted) if workers}
    plain = asked.postgres.replace("+psycopg", "")
    with (
        tempfile.TemporaryDirectory() as folder,
        databases(asked.postgres, list(names.values())),
        psycopg.connect(f"{plain}/postgres", autocommit=True) as line,
        contextlib.ExitStack() as stack,
    ):
        all_of_them = []
        for place, (tree, workers) in enumerate(wanted):
            label = f"{tree.name}: " * (len(trees) > 1) + (f"PostgreSQL, {workers}" if workers else "SQLite, 1")
            url = f"{asked.postgres}/{names[place]}" if workers else ""
            where = Path(folder) / str(place)
            all_of_them.append(
                stack.enter_context(
                    serving(tree, label, where, 4310 + place, url, max(1, workers), asked.redis, asked.patients)
                )
            )
        for what, ask in (("register", registering), ("look", looking(asked.patients))):
            rates: dict[str, list[float]] = {one.name: [] for one in all_of_them}
            kept: dict[str, list[float]] = {one.name: [] for one in all_of_them}
            cost: dict[str, list[dict[str, float]]] = {one.name: [] for one in all_of_them}
            for turn in range(asked.rounds + 1):
                for one in all_of_them:
                    spent = Spent(one, line)
                    before, began = spent.now(), time.perf_counter()
                    times = drive(one, ask, asked.clients, asked.seconds if turn else 1.0)
                    took = time.perf_counter() - began
                    if turn:  # the first one warms up
                        rates[one.name].append(len(times) / took)
                        kept[one.name] += times
                        cost[one.name].append(_between(before, spent.now(), len(times)))
            for one in all_of_them:
                times = sorted(kept[one.name])
                base = rates[next(other.name for other in all_of_them if other.name.endswith("SQLite, 1"))]
                ratios = [mine / theirs for mine, theirs in zip(rates[one.name], base, strict=True)]
                parts = {part: statistics.median(each[part] for each in cost[one.name]) for part in cost[one.name][0]}
                print(
                    f"{what:9s} {one.name:28s} {statistics.median(rates[one.name]):6.0f}/s  "
                    f"x{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})  "
                    f"p50 {times[len(times) // 2]:5.1f} p95 {times[int(len(times) * 0.95)]:5.1f} ms  "
                    + "  ".join(f"{part} {ms:.2f}" for part, ms in parts.items()),
                    flush=True,
                )
        print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


if __name__ == "__main__":
    main()
