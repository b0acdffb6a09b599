"""Fixtures of the tests in which something breaks: a clinic, on disk or served, commands, and what counts."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clinic_app.core import bootstrap, data_lock, db, keys
from clinic_app.core.settings import Settings, get_settings, load_settings
from tests import conftest as tests_conftest
from tests import factories
from tests.browser.serving import Server, bound
from tests.conftest import ROOT
from tests.faults.instances import Postgres, Redis, running

KEYS = ("CLINIC_PEPPER", "CLINIC_AUDIT_KEY", "CLINIC_TOKEN_KEY")


def forget() -> None:
    """This process knows no clinic any more."""
    bootstrap.stop()
    data_lock.release()
    db.use(None)
    get_settings.cache_clear()
    keys.key.cache_clear()


@pytest.fixture
def own_settings(own_database, tmp_path) -> Iterator[Settings]:
    """The settings of the clinic in ``own_database``, with a data directory of its own."""
    url = own_database.url.render_as_string(hide_password=False)
    yield load_settings(mode="test", data_dir=tmp_path / "data", database_url=url)
    keys.key.cache_clear()
    get_settings.cache_clear()


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Any]:
    """``command("migrate", …)``: a command of a clinic with generated keys, in a process of its own."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("CLINIC_")}
    env |= {"CLINIC_MODE": "test", "CLINIC_BCRYPT_COST": "4", "CLINIC_DATA_DIR": str(tmp_path / "data")}

    def run(*arguments: str, stdin: str = "", **settings: str) -> Any:
        return subprocess.run(
            [sys.executable, "-m", "clinic_app", *arguments],
            cwd=ROOT,
            env={**env, **settings},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=100,
        )

    run.env = env
    run.folder = tmp_path / "data"
    return run


Serve = Callable[..., Server]


@pytest.fixture(scope="module")
def redis_server() -> Iterator[Redis]:
    """A Redis of the module's own."""
    made = Redis()
    with running(made):
        yield made


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of the module's own, with the tables of this version."""
    made = Postgres()
    try:
        with running(made):
            tests_conftest.migrate(made.url)
            yield made
    finally:
        made.remove()


def serving(folder: Path, **settings: str) -> Server:
    """A clinic with one member of staff of each role, not started yet."""
    made = Server(folder, settings.pop("factory", "clinic_app.asgi:create"), **settings)
    if made.database_url.startswith("sqlite"):
        made.prepare(people=False)
    else:
        made.build()
    with bound(made):
        for role, name in (("RECEPTIONIST", "reception"), ("ADMIN", "chief")):
            if not made.sql("SELECT 1 FROM accounts WHERE username = ?", name):
                factories.make_staff(role, name)
    return made


@pytest.fixture(scope="module")
def workers(postgres: Postgres, redis_server: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers on PostgreSQL and Redis, both the module's own."""
    made = serving(
        tmp_path_factory.mktemp("workers"),
        factory="tests.security.looking_in:create",
        CLINIC_DATABASE_URL=postgres.url,
        CLINIC_REDIS_URL=redis_server.url,
        CLINIC_WORKERS="2",
    )
    made.start()
    with bound(made):
        yield made
    made.stop()


@pytest.fixture
def counters(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """What a test counts; printed at its end, however it ends (``-s`` shows it)."""
    found: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: print(f"\n{request.node.name}: {json.dumps(found)}"))
        yield found
