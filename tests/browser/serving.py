"""A real server for tests: the finished build, a data directory and a port of its own, its log kept."""

from __future__ import annotations

import contextlib
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
from typing import Any

from sqlalchemy import select

from clinic_app.core import context, crypto, db
from clinic_app.models.accounts import ACCOUNTS, Account
from clinic_app.services.accounts import sessions

ROOT = Path(__file__).resolve().parents[2]
DEMO_PASSWORD = "demo-clinic-passphrase"
READY_WITHIN = 60  # seconds; a busy machine is no failure here, test_first_load has the figure


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One clinic in demo mode, served as in production: granian, one worker, no node."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://localhost:{self.port}"
        self.log = folder / "server.log"
        self.database = folder / "data" / "clinic.sqlite3"
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

    def prepare(self, *, people: bool = True) -> None:
        """Build the pages unless that is done, make the tables and, if wanted, the demo clinic."""
        self.run("build")
        self.run("migrate")
        if people:
            self.run("demo")

    def start(self) -> None:
        """Serve; returns once the first page is answered."""
        begun = time.monotonic()
        command = ["--interface", "asgi", "--factory", "--host", "127.0.0.1", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "granian", *command, "--log-level", "warning", "clinic_app.asgi:create"],
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
                    self.ready_seconds = time.monotonic() - begun
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.02)
        raise AssertionError(f"The server was not ready in {READY_WITHIN} s: {self.log_text()[-2000:]}")

    def stop(self) -> None:
        """End the server and its worker."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(5)
        self._process = None

    def log_text(self) -> str:
        """All that the server has written."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """One statement on the server's database, committed."""
        with sqlite3.connect(self.database, timeout=10) as connection:
            rows = connection.execute(statement, values).fetchall()
        connection.close()
        return rows

    def dump(self, but: Sequence[str] = ()) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table but those named."""
        names = [name for (name,) in self.sql("SELECT name FROM sqlite_master WHERE type = 'table'")]
        tables = [name for name in names if name not in but and not name.startswith("sqlite_")]
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
    engine, before = db.make_engine(f"sqlite:///{server.database}"), (db._connect, db._queued)
    db.bind(engine)
    try:
        with context.use(context.RequestContext("page", "203.0.113.7", "pytest")):
            yield
    finally:
        db.use(before[0], queued=before[1])
        engine.dispose()
