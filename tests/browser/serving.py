"""A real server for tests: the finished build, a data directory and a port of its own, its log kept."""

from __future__ import annotations

import atexit
import contextlib
import datetime as dt
import functools
import itertools
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import psycopg
from sqlalchemy import select

from clinic_app.cli import build
from clinic_app.cli.server import EDGE
from clinic_app.core import context, crypto, db
from clinic_app.models.accounts import ACCOUNTS, Account
from clinic_app.services.accounts import sessions

if TYPE_CHECKING:
    from tests.faults.instances import Postgres, Redis

ROOT = Path(__file__).resolve().parents[2]
DEMO_PASSWORD = "demo-clinic-passphrase"
#: The values of the settings that pages are made of for which this process has had them built.
_BUILT: set[frozenset[tuple[str, str]]] = set()
#: Databases as the commands make them, without people and with: SQLite's files, or the names of PostgreSQL's.
_READY: dict[bool, bytes | str] = {}
#: ``CLINIC_TEST_WORKERS=2``: servers for which a test names no database have two workers on PostgreSQL and Redis.
WORKERS = int(os.environ.get("CLINIC_TEST_WORKERS", "1"))
WORKED_OUT = (
    *("name_parts", "name_part_changes", "patient_counts", "patient_count_changes"),
    *("waiting_comparisons", "duplicate_pairs"),
    *("audit_checkpoints", "audit_tree_nodes"),
)
#: The tables of the index over ``name_parts``.
INDEX_OF_PARTS = "patients_search_parts"
READY_WITHIN = 60  # seconds; a busy machine is no failure here, test_first_load has the figure


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _worked(leader: int, since: float) -> float:
    """Processor seconds of ``leader`` and of what it has started; elsewhere than on Linux, those of the clock."""
    if not Path("/proc/self/stat").exists():
        return time.monotonic() - since
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            fields = file.read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader:  # its session
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


@functools.cache
def _stores() -> tuple[Postgres, Redis, Iterator[int]]:
    """A PostgreSQL and a Redis for all servers of this process, and numbers for what each server has in them."""
    from tests.faults.instances import Postgres, Redis

    database, state = Postgres(), Redis()
    atexit.register(database.remove)
    atexit.register(state.kill)
    database.start("-c", "max_connections=400", "-c", "fsync=off")
    state.start("--databases", "64")
    return database, state, itertools.count(1)


def _stores_of_its_own() -> dict[str, str]:
    """The settings of one more server with several workers."""
    database, state, numbers = _stores()
    number = next(numbers)
    return {
        "CLINIC_DATABASE_URL": f"{database.url.rpartition('/')[0]}/served_{number}",
        "CLINIC_REDIS_URL": f"{state.url.rpartition('/')[0]}/{number}",
        "CLINIC_WORKERS": str(WORKERS),
    }


def _as_sqlite_keeps_it(value: Any) -> Any:
    """What SQLite gives for the same column: tests read rows of either."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, dt.datetime):
        return f"{value.astimezone(dt.UTC) if value.tzinfo else value:%Y-%m-%d %H:%M:%S.%f}"
    if isinstance(value, dt.date):
        return value.isoformat()
    return json.dumps(value) if isinstance(value, dict | list) else value


class Server:
    """One clinic in demo mode, served as in production: granian, no node, one worker unless told otherwise."""

    #: Those that serve now.
    serving: ClassVar[list[Server]] = []

    def __init__(self, folder: Path, factory: str = "clinic_app.asgi:create", **settings: str) -> None:
        self.folder, self.port, self._factory = folder, free_port(), factory
        self.url = f"http://localhost:{self.port}"
        self.log = folder / "server.log"
        if WORKERS > 1 and "CLINIC_DATABASE_URL" not in settings:
            settings = _stores_of_its_own() | settings
        self.database_url = settings.get("CLINIC_DATABASE_URL", f"sqlite:///{folder / 'data' / 'clinic.sqlite3'}")
        self.database = Path(self.database_url.removeprefix("sqlite:///"))  # SQLite's
        self.ready_seconds = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CLINIC_")}
        keys = {name: os.environ[name] for name in ("CLINIC_PEPPER", "CLINIC_AUDIT_KEY", "CLINIC_TOKEN_KEY")}
        self.env = {
            **kept,
            **keys,  # those of this process: tests may call the services on the server's database
            "CLINIC_MODE": "demo",
            "CLINIC_DATA_DIR": str(folder / "data"),
            "CLINIC_PORT": str(self.port),
            "CLINIC_BCRYPT_COST": "4",
            "CLINIC_LOG_LEVEL": "INFO",
            "PYTHONPATH": str(ROOT),
            **settings,
        }

    def run(self, *arguments: str) -> str:
        """``python -m clinic_app …`` with this server's settings."""
        done = subprocess.run(
            [sys.executable, "-m", "clinic_app", *arguments],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=1200,
        )
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stdout[-1500:]}{done.stderr[-1500:]}"
        return done.stdout

    def build(self) -> None:
        """Build the pages unless that is done."""
        names = {f"CLINIC_{name.upper()}" for name in build.COMPILED}
        compiled = frozenset((name, value) for name, value in self.env.items() if name in names)
        if compiled not in _BUILT:
            self.run("build")
            _BUILT.add(compiled)

    def prepare(self, *, people: bool = True) -> None:
        """Build the pages unless that is done, make the tables and, if wanted, the demo clinic.

        Once in a process by the commands; later servers begin with a copy of that database.
        """
        self.build()
        if not self.database_url.startswith("sqlite"):
            self._prepare_postgres(people)
            return
        if people not in _READY:
            self.run("migrate")
            if people:
                self.run("demo")
            _READY[people] = self.database.read_bytes()
        self.database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.database.write_bytes(_READY[people])  # type: ignore[arg-type]

    def _prepare_postgres(self, people: bool) -> None:
        name = self.database_url.rpartition("/")[2]
        copied = _READY.get(people, "template1")
        _stores()[0].sql(f"CREATE DATABASE {name} TEMPLATE {copied}")
        if people in _READY:
            return
        self.run("migrate")
        if people:
            self.run("demo")
        _READY[people] = f"ready_{int(people)}"
        _stores()[0].sql(f"CREATE DATABASE {_READY[people]} TEMPLATE {name}")

    def start(self) -> None:
        """Serve; returns once the first page is answered."""
        begun = time.monotonic()
        command = ["--interface", "asgi", "--factory", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", self.env.get("CLINIC_WORKERS", "1"), *EDGE, "--workers-kill-timeout", "10"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "clinic_app.cli.supervisor", *command, "--log-level", "warning", self._factory],
                cwd=ROOT,
                env=self.env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        while time.monotonic() - begun < READY_WITHIN:
            assert self._process.poll() is None, f"The server ended: {self.log_text()[-2000:]}"
            try:
                with urllib.request.urlopen(f"{self.url}/login", timeout=5):
                    self.ready_seconds = _worked(self._process.pid, begun)
                    self.serving.append(self)
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.02)
        raise AssertionError(f"The server was not ready in {READY_WITHIN} s: {self.log_text()[-2000:]}")

    def stop(self) -> None:
        """End the server and its worker."""
        self._serves_no_more()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(5)
        self._process = None

    def kill(self) -> None:
        """End it as a power cut does."""
        self._serves_no_more()
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(5)
        self._process = None

    def _serves_no_more(self) -> None:
        if self in self.serving:
            self.serving.remove(self)

    def put_aside(self, since: str) -> None:
        """Whoever was registered ``since`` (UTC) is in no list and holds no value that another may have once only."""
        self.sql("UPDATE patients SET is_active = false, national_id_key = NULL WHERE created_at >= ?", since)
        self.sql(
            "UPDATE accounts SET username = 'aside' || id || '@example.org' WHERE created_at >= ? AND role = 'PATIENT'",
            since,
        )

    def log_text(self) -> str:
        """All that the server has written."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """One statement on the server's database, committed; ``?`` stands for each of the ``values``.

        Rows are as SQLite keeps them: truth as 0 and 1, times as text in UTC.
        """
        if not self.database_url.startswith("sqlite"):
            url = self.database_url.replace("+psycopg", "")
            with psycopg.connect(url) as other:
                text = statement.replace("%", "%%").replace("?", "%s")
                cursor = other.execute(text, values)  # type: ignore[arg-type]
                rows = cursor.fetchall() if cursor.description else []
            return [tuple(_as_sqlite_keeps_it(value) for value in row) for row in rows]
        with sqlite3.connect(self.database, timeout=10) as connection:
            rows = connection.execute(statement, values).fetchall()
        connection.close()
        return rows

    @contextlib.contextmanager
    def refusing(self, table: str, *, rule: bool = True) -> Iterator[None]:
        """Whatever is added to ``table`` fails inside the database, by a rule of its own or by a figure too large."""
        if self.database_url.startswith("sqlite"):
            does = (
                "SELECT RAISE(ABORT, 'CHECK constraint failed: secret')"
                if rule
                else "SELECT abs(-9223372036854775807 - 1)"
            )
            self.sql(f"CREATE TRIGGER refusing BEFORE INSERT ON {table} BEGIN {does}; END")
        else:
            kind = "check_violation" if rule else "numeric_value_out_of_range"
            does = f"BEGIN RAISE EXCEPTION 'secret' USING ERRCODE = '{kind}'; END"
            self.sql(f"CREATE OR REPLACE FUNCTION refusing() RETURNS trigger LANGUAGE plpgsql AS $$ {does} $$")
            self.sql(f"CREATE TRIGGER refusing BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refusing()")
        try:
            yield
        finally:
            on = "" if self.database_url.startswith("sqlite") else f" ON {table}"
            self.sql(f"DROP TRIGGER refusing{on}")

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Whoever wants to change something waits until the block ends."""
        if self.database_url.startswith("sqlite"):
            with contextlib.closing(sqlite3.connect(self.database, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                yield
                other.execute("ROLLBACK")
            return
        with psycopg.connect(self.database_url.replace("+psycopg", "")) as other:
            other.execute("LOCK TABLE audit_head, patients, accounts IN EXCLUSIVE MODE")
            yield
            other.rollback()

    def dump(self, but: Sequence[str] = ()) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table but those named, and what the server works out of other rows by and by."""
        but = (*but, *WORKED_OUT)
        if self.database_url.startswith("sqlite"):
            names = [name for (name,) in self.sql("SELECT name FROM sqlite_master WHERE type = 'table'")]
        else:
            names = [name for (name,) in self.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        tables = [name for name in names if name not in but and not name.startswith(("sqlite_", INDEX_OF_PARTS))]
        return {name: sorted(self.sql(f'SELECT * FROM "{name}"'), key=repr) for name in sorted(tables)}

    def audit(self, action: str) -> list[tuple[Any, ...]]:
        """``(role, outcome, resource_id, metadata)`` of all audit rows with this action, oldest first."""
        return self.sql(
            "SELECT role, outcome, resource_id, metadata FROM audit_events WHERE action = ? ORDER BY seq", action
        )

    def open_session(self, username: str) -> str:
        """The session token of somebody who has just signed in. Needs ``bound``."""
        with context.use(context.RequestContext("page", "127.0.0.1", "tests")), db.transaction() as session:
            account = session.execute(select(Account).where(ACCOUNTS.c.username == username)).scalar_one()
            return sessions.open_session(session, account)[0]

    def end_session(self, token: str) -> None:
        """What an idle end or an administrator does."""
        digest = crypto.digest(token)
        self.sql("UPDATE login_sessions SET ended_at = created_at WHERE token_hash = ?", digest)


@contextlib.contextmanager
def bound(server: Server) -> Iterator[None]:
    """The services of this process work on the server's database, with real commits."""
    engine, before = db.make_engine(server.database_url), (db._connect, db._queued)
    db.bind(engine)
    try:
        with context.use(context.RequestContext("page", "203.0.113.7", "pytest")):
            yield
    finally:
        db.use(before[0], queued=before[1])
        engine.dispose()
