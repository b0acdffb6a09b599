"""A PostgreSQL and a Redis of a test's own, which it may stop, freeze and kill."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from tests.browser.serving import free_port


def _missing(what: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is needed in CI")
    pytest.skip(f"no {what} on this machine")


def until(ready: Callable[[], bool], patience: float, what: str) -> float:
    """Wait until ``ready()``; returns how many seconds that took."""
    begun = time.monotonic()
    while not ready():
        assert time.monotonic() - begun < patience, f"{what}: not within {patience} s"
        time.sleep(0.02)
    return time.monotonic() - begun


class Instance:
    """A process that may be killed (``kill``), told to stop (``stop``), frozen and thawed."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def signal(self, number: int) -> None:
        """Send it to the process and to those it has started."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def freeze(self) -> None:
        """It neither answers nor refuses."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """It ends as by a power cut."""
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGKILL)
            self._process.wait(20)
        self._process = None


class Redis(Instance):
    """Keeps nothing on disk, as the documents ask for."""

    def __init__(self) -> None:
        super().__init__()
        if shutil.which("redis-server") is None:
            _missing("Redis")
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = redis.Redis.from_url(self.url, socket_timeout=2)

    def start(self, *more: str) -> None:
        """Serve, with nothing in it."""
        options = [*more, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            ["redis-server", *options],
            cwd=tempfile.gettempdir(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until(self._answers, 10, "Redis")

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(self.client.ping())
        return False


class Postgres(Instance):
    """A cluster in a folder of its own. Commits wait for the disk, as by default."""

    def __init__(self) -> None:
        super().__init__()
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: int(file.parts[-3]))
        if not found:
            _missing("PostgreSQL's server")
        self._bin = found[-1].parent
        # a database server refuses to run as root
        self._user = "postgres" if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="clinic-pg-"))
        if self._user is not None:
            owner = pwd.getpwnam(self._user)
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"
        self._make()

    def _make(self) -> None:
        subprocess.run(
            [self._bin / "initdb", "-D", self.folder / "data", "-U", "postgres", "-A", "trust", "--no-sync"],
            check=True,
            capture_output=True,
            user=self._user,
            cwd="/",
        )

    def start(self, *options: str) -> None:
        """Serve. Crash recovery, if there is any to do, is over when it returns."""
        with (self.folder.parent / f"{self.folder.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._bin / "postgres",
                    *("-D", self.folder / "data", "-p", str(self.port)),
                    *("-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}"),
                    *options,
                ],
                stdout=log,
                stderr=log,
                user=self._user,
                cwd="/",
                start_new_session=True,
            )
        until(self._answers, 30, "PostgreSQL")

    def stop(self) -> None:
        """*Immediate*: connections break, and nothing is tidied up."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGQUIT)
        self._process.wait(20)
        self._process = None

    def freeze(self) -> None:
        """All of it: backends are sessions of their own."""
        self._each(signal.SIGSTOP)

    def thaw(self) -> None:
        """All of it goes on."""
        self._each(signal.SIGCONT)

    def kill(self) -> None:
        """Power is cut: the backends die with their master."""
        if self._process is not None and self._process.poll() is None:
            self._each(signal.SIGKILL)
            self._process.wait(20)
        self._process = None

    def _each(self, number: int) -> None:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in (self._process.pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def sql(self, statement: str, *, read_only: str = "") -> list[tuple[object, ...]]:
        """One statement, committed. ``read_only``: ``off`` where the server is set to reading only."""
        url = self.url.replace("+psycopg", "")
        options = f"-c default_transaction_read_only={read_only}" if read_only else ""
        with psycopg.connect(url, autocommit=True, connect_timeout=5, options=options) as other:
            cursor = other.execute(statement)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "PostgreSQL did not start"
        with contextlib.suppress(psycopg.Error):
            return bool(self.sql("SELECT 1"))
        return False

    def remove(self) -> None:
        """It ends, and nothing stays."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.parent.joinpath(f"{self.folder.name}.log").unlink(missing_ok=True)


class Standby(Postgres):
    """A copy of ``first``, which it follows."""

    def __init__(self, first: Postgres) -> None:
        self._first = first
        super().__init__()

    def _make(self) -> None:
        where = ["-h", "127.0.0.1", "-p", str(self._first.port), "-U", "postgres"]
        subprocess.run(
            [self._bin / "pg_basebackup", *where, "-D", self.folder / "data", "-R", "-c", "fast", "--no-sync"],
            check=True,
            capture_output=True,
            user=self._user,
            cwd="/",
        )


@contextlib.contextmanager
def running(instance: Redis | Postgres) -> Iterator[None]:
    """It serves for as long as the block lasts, unless the block ends it."""
    instance.start()
    try:
        yield
    finally:
        instance.kill()
