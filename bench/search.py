"""How long does finding take, and how does it grow? ``python bench/search.py --patients 10000 100000 1000000``

Fills clinics of these sizes with the invented people of ``demo --patients``, on SQLite and, where ``--postgres`` names
a server on which databases may be made, there too; or takes filled ones: ``--filled``, data directories, with the
address of their PostgreSQL database behind ``=``. It asks each kind of question many times, one after the other, of the
service alone and of the API by HTTP, prints tables of p50 and p95 in milliseconds, and draws how they grow
(``--chart``).

Two times are told: by the clock, and of the processor, which a machine that has more to do does not change as much. For
the API the latter is that of the server for all of one kind, divided by their number.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bed import ROOT  # the program, and its settings
from growth_chart import drawn

for _key in ("CLINIC_PEPPER", "CLINIC_AUDIT_KEY", "CLINIC_TOKEN_KEY"):
    os.environ.pop(_key, None)  # each clinic has keys of its own, in its data directory
PASSWORD = "demo-clinic-passphrase"
ROUNDS = 3
#: So many people are asked for, from all over the register.
PEOPLE = 40
GOAL, GOAL_PAGE = 10, 80
CHARTED = ("first page", "part of a name", "two parts", "a name with a slip", "end of a phone number", "birth date")
Times = dict[
    str, tuple[float, float, float, float]
]  # question → p50, p95 by the clock; p50 and p95, or mean, of the processor


# --- what is asked --------------------------------------------------------------------------------


def _slip(name: str) -> str:
    return name[:2] + name[3:] if len(name) > 5 else f"{name}a"


def _people(patients: int) -> list[Any]:
    import sqlalchemy as sa

    from clinic_app.core import db

    wanted = "WHERE phone IS NOT NULL AND national_id IS NOT NULL AND date_of_birth IS NOT NULL"
    statement = f"""SELECT id, patient_id, first_name, last_name, phone, national_id, date_of_birth FROM patients
        {wanted} AND id % :step = 7 ORDER BY id LIMIT {PEOPLE}"""
    with db.reading() as session:
        return list(session.execute(sa.text(statement), {"step": max(11, patients // (3 * PEOPLE))}).all())


def _questions(some: list[Any], pages: int) -> dict[str, list[dict[str, Any]]]:
    """Kind → what is asked."""
    born = [str(row.date_of_birth or "1990-01-15")[:10] for row in some]
    terms = {
        "part of a name": ["wanj", "wanjiku", "achieng", "kam", "oti", "zawadi", *[row.last_name for row in some]],
        "one or two letters": ["w", "wa", "k", "am", "zu", "ng", "o", "ch"],
        "inside a name": ["anjik", "hieng", "ambo", "tieno"],
        "two parts": [f"{row.first_name} {row.last_name[:4]}" for row in some],
        "end of a phone number": [row.phone[-6:] for row in some],
        "four digits": [row.phone[-4:] for row in some],
        "phone number": [f"0{row.phone[4:]}" for row in some],
        "patient ID": [row.patient_id for row in some],
        "national ID": [row.national_id for row in some],
        "a name with a slip": [_slip(row.last_name) for row in some],
        "birth date": born,
        "a name and a birth date": [f"{row.first_name} {day}" for row, day in zip(some, born, strict=True)],
        "a year of birth": [day[:4] for day in born[:10]],
        "a name and a year": [f"{row.last_name} {day[:4]}" for row, day in zip(some, born, strict=True)],
        "nobody's": ["zzqqxx", "%", "_", "' OR 1=1 --", "NEAR(", "*", "\U0001f600", "x" * 10_000, "علي", "a b c d"],
    }
    asked = {name: [{"term": term} for term in wanted] for name, wanted in terms.items()}
    depths = sorted({max(1, pages * part // 10) for part in range(11)})
    return {
        "first page": [{}] * len(some),
        "`next`, at any depth": [{"page": 2, "after": row.id} for row in some],
        "a page by number, at any depth": [{"page": page} for page in depths],
        **asked,
    }


def _screens() -> dict[str, Callable[[], Any]]:
    """What pages of the desk read besides."""
    import sqlalchemy as sa

    from clinic_app.core import db
    from clinic_app.services.access import Actor
    from clinic_app.services.patients import opened_last, overview, pairs, verification
    from clinic_app.services.portal import work_list

    with db.reading() as session:
        row = session.execute(sa.text("SELECT id FROM accounts WHERE username = 'receptionist'")).one()
    desk = Actor("account", row.id, "RECEPTIONIST", "Grace", "receptionist")

    def anew(forget: Callable[[], None], count: Callable[[Actor], Any]) -> Callable[[], Any]:
        def ask() -> Any:
            forget()
            return count(desk)

        return ask

    return {
        "Reception's figures": lambda: overview.overview(desk),
        "records opened last": lambda: opened_last.opened_last(desk),
        "portal work list": lambda: work_list.list_stuck(desk),
        "its count": anew(work_list.forget_numbers, work_list.count_stuck),
        "possible duplicates": lambda: pairs.list_pairs(desk),
        "their count": anew(pairs.forget_numbers, pairs.count_pairs),
        "pending verification": lambda: verification.list_waiting(desk),
    }


# --- measuring ------------------------------------------------------------------------------------


def _spread(taken: list[float]) -> tuple[float, float]:
    taken = sorted(taken)
    return statistics.median(taken), taken[int(0.95 * (len(taken) - 1))]


def _timed(asks: list[Callable[[], Any]], rounds: int = ROUNDS) -> tuple[float, float, float, float]:
    clocks, processors = [], []
    for ask in asks * rounds:
        clock, processor = time.perf_counter(), time.process_time()
        ask()
        processors.append((time.process_time() - processor) * 1e3)
        clocks.append((time.perf_counter() - clock) * 1e3)
    return *_spread(clocks), *_spread(processors)


def _service(questions: dict[str, list[dict[str, Any]]]) -> Times:
    from clinic_app.services.patients import search, search_terms
    from clinic_app.services.patients.forms import PatientQuery

    def asking(given: dict[str, Any]) -> Callable[[], Any]:
        query = PatientQuery(**given)
        return lambda: search._page(query, search_terms.parse(query.term))

    return {name: _timed(list(map(asking, wanted))) for name, wanted in questions.items()}


@contextlib.contextmanager
def _server(env: dict[str, str]) -> Iterator[tuple[int, int]]:
    """The API by itself, as the server has it: its port and its process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--port", str(port)]
    command += ["--log-level", "warning", "bench.api_server:create"]
    process = subprocess.Popen(command, env=env, cwd=ROOT, start_new_session=True)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        yield port, process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


class _Api:
    """One client, whose connection stays open."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.token = ""
        self.token = self.ask("POST", "/auth/login/", username="receptionist", password=PASSWORD)["access"]

    def ask(self, method: str, path: str, **body: Any) -> Any:
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {self.token}"} if self.token else {}
        )
        self.connection.request(method, f"/api/v1{path}", json.dumps(body) if body else None, headers)
        answer = self.connection.getresponse()
        read = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{method} {path}: {answer.status} {read[:200]!r}")
        return json.loads(read)

    def asking(self, given: dict[str, Any]) -> Callable[[], Any]:
        if term := given.get("term"):
            return lambda: self.ask("POST", "/patients/search/", q=term[:200])
        query = "&".join(f"{name}={value}" for name, value in given.items())
        return lambda: self.ask("GET", f"/patients/?{query}")


def _processor(pid: int) -> float:
    """Seconds of the processor that a process and those it started have taken."""
    tasks = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    ticks = 0
    for one in tasks:
        ticks += sum(map(int, Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _by_http(questions: dict[str, list[dict[str, Any]]], env: dict[str, str]) -> Times:
    found: Times = {}
    with _server(env) as (port, pid):
        api = _Api(port)
        for name, wanted in questions.items():
            asks = list(map(api.asking, wanted))
            asks[0]()
            before = _processor(pid)
            p50, p95, *_ = _timed(asks)
            mean = (_processor(pid) - before) * 1e3 / (len(asks) * ROUNDS)
            found[name] = (p50, p95, mean, mean)
    return found


# --- one clinic -----------------------------------------------------------------------------------


def _environment(where: str) -> dict[str, str]:
    """The settings for a data directory, alone or with the address of a PostgreSQL database behind ``=``."""
    data, _, address = where.partition("=")
    return {
        "CLINIC_MODE": "demo",
        "CLINIC_DATA_DIR": data,
        "CLINIC_DATABASE_URL": address,
        "CLINIC_API_RATE_FACTOR": "0",
        "CLINIC_LOG_LEVEL": "ERROR",
        "PYTHONPATH": str(ROOT),
    }


def _apart(work: Callable[[], Any]) -> Any:
    """What ``work`` returns, in a process of its own: settings and statements are kept in one."""
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            done = json.dumps(work()).encode()
            with os.fdopen(write, "wb") as out:
                out.write(done)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    os.close(write)
    with os.fdopen(read, "rb") as source:
        done = source.read()
    if os.waitpid(pid, 0)[1]:
        raise SystemExit(1)
    return json.loads(done)


def _fill(where: str, patients: int) -> None:
    env = os.environ | _environment(where)
    clinic = [sys.executable, "-m", "clinic_app"]
    subprocess.run([*clinic, "migrate"], env=env, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    began = time.perf_counter()
    command = [*clinic, "demo", "--patients", str(patients)]
    subprocess.run(command, env=env, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    print(f"{patients:,} patients filled in {time.perf_counter() - began:.0f} s", file=sys.stderr)


def _measured(where: str) -> dict[str, Any]:
    """Everything about one clinic."""
    import sqlalchemy as sa

    from clinic_app.core import bootstrap, db

    env = _environment(where)
    os.environ |= env
    bootstrap.start()
    with db.transaction() as session:
        session.execute(sa.text("DELETE FROM waiting_comparisons"))  # of a clinic where all were compared long ago
    with db.reading() as session:
        patients = session.execute(sa.text("SELECT count(*) FROM patients")).scalar_one()
        dialect = db.connection(session).dialect
        version = ".".join(map(str, dialect.server_version_info or ()))
    questions = _questions(_people(patients), patients // 20)
    service = _service(questions)
    screens = {name: _timed([ask], 15) for name, ask in _screens().items()}
    http_times = _by_http(questions, os.environ | env)
    name = "SQLite" if dialect.name == "sqlite" else "PostgreSQL"
    print(f"{name}, {patients:,} patients: measured", file=sys.stderr)
    return {
        "patients": patients,
        "database": name,
        "version": f"{name} {version}",
        "service": service,
        "screens": screens,
        "http": http_times,
    }


def _cell(times: list[float], goal: float = GOAL) -> str:
    p50, p95, mean, _ = times
    return f"{p50:.1f} / {p95:.1f}{' **over**' if p95 > goal else ''} ({mean:.1f})"


def _table(found: list[dict[str, Any]], what: str, title: str) -> str:
    heads = [f"{one['version']}, {one['patients']:,}" for one in found]
    lines = [f"| {title} | {' | '.join(heads)} |", f"| --- |{' --- |' * len(found)}"]
    for name in found[0][what]:
        goal = GOAL_PAGE if "by number" in name else GOAL if what == "http" else 30
        lines.append(f"| {name} | {' | '.join(_cell(one[what][name], goal) for one in found)} |")
    return "\n".join(lines)


def main() -> None:
    """Fill, measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, nargs="*", default=[], help="sizes to be filled, and taken away again")
    parser.add_argument("--postgres", default="", help="postgresql+psycopg://… of a server: these sizes there too")
    parser.add_argument("--filled", nargs="*", default=[], help="data directories, or directory=postgresql+psycopg://…")
    parser.add_argument("--chart", type=Path, help="where the chart is drawn: docs/images/search-growth.svg")
    parser.add_argument(
        "--service", action="store_true", help="of the service and the screens too, not of the API alone"
    )
    given = parser.parse_args()
    found = [_apart(lambda: _measured(where)) for where in given.filled]  # noqa: B023
    for patients in given.patients:
        with tempfile.TemporaryDirectory() as folder:
            _fill(folder, patients)
            found.append(_apart(lambda: _measured(folder)))
        if given.postgres:
            with tempfile.TemporaryDirectory() as folder, _database(given.postgres) as address:
                where = f"{folder}={address}"
                _fill(where, patients)
                found.append(_apart(lambda: _measured(where)))  # noqa: B023
    found.sort(key=lambda one: (one["database"] != "SQLite", one["patients"]))
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"{dt.datetime.now(dt.UTC):%-d %B %Y}, Python {sys.version.split()[0]}, load at the end {load}. By HTTP, one")
    print("client, p50 / p95 ms by the clock (mean of the server's processor):\n")
    print(_table(found, "http", "question"))
    print("\nWhat the desk's screens read, of the service, p50 / p95 ms by the clock (median of the processor):\n")
    print(_table(found, "screens", "screen"))
    if given.service:
        print("\nOf the service alone, p50 / p95 ms by the clock (median of the processor):\n")
        print(_table(found, "service", "question"))
    if given.chart:
        given.chart.write_text(drawn(found, CHARTED, GOAL))


@contextlib.contextmanager
def _database(server: str) -> Iterator[str]:
    """A PostgreSQL database for as long as the block lasts."""
    import sqlalchemy as sa

    url = sa.make_url(server)
    engine = sa.create_engine(url.set(database=url.database or "postgres"), isolation_level="AUTOCOMMIT")
    name = f"clinic_bench_{os.getpid()}_{time.monotonic_ns()}"
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()


if __name__ == "__main__":
    main()
