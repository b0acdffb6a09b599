"""A clinic on databases of its own, served as in production, and what counts how it fares."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import conftest as tests_conftest
from tests import factories
from tests.browser.serving import Server, bound
from tests.faults.instances import Postgres, Redis, running

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
        made.run("build")
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
