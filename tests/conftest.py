"""Databases built by the migrations; every test rolled back, but for those that need real commits.

Tests of the database and of attacks run on SQLite and on PostgreSQL. Where the kind makes no difference (states, the
JSON API), SQLite is enough, and one journey through all of it runs on both. ``both_databases`` marks exceptions.
"""

from __future__ import annotations

import collections
import contextlib
import datetime as dt
import logging
import os
import re
import socket
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from _pytest.runner import runtestprotocol
from alembic.config import Config

from alembic import command

os.environ.update(CLINIC_MODE="test", CLINIC_BCRYPT_COST="4", CLINIC_TOKEN_KEY="t" * 40)  # before settings are read
os.environ.update(CLINIC_PEPPER="p" * 40, CLINIC_AUDIT_KEY="a" * 40)
for name in ("CLINIC_DATABASE_URL", "CLINIC_REDIS_URL", "CLINIC_PUBLIC_URL", "CLINIC_PORT", "CLINIC_NAME"):
    os.environ.pop(name, None)

from clinic_app.core import context, db, keys, logs  # noqa: E402
from clinic_app.core.settings import get_settings  # noqa: E402
from clinic_app.services.accounts import guessability  # noqa: E402
from clinic_app.services.audit import refusals  # noqa: E402
from clinic_app.services.patients import pairs, typed_searches  # noqa: E402
from clinic_app.services.portal import work_list  # noqa: E402
from tests import factories  # noqa: E402
from tests.browser.serving import Server  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
POSTGRES = os.environ.get("CLINIC_TEST_POSTGRES_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")


def _reachable(url: str) -> bool:
    parts = sa.make_url(url)
    try:
        with socket.create_connection((parts.host or "127.0.0.1", parts.port or 5432), timeout=1):
            return True
    except OSError:
        return False


HAS_POSTGRES = _reachable(POSTGRES)


def pytest_report_header() -> str:
    """Say which databases this run uses."""
    other = ", PostgreSQL" if HAS_POSTGRES else " only (no PostgreSQL found: those tests are skipped)"
    return f"databases: SQLite{other}"


def migrate(url: str) -> None:
    """Bring the database at ``url`` to head, by the migrations."""
    config = Config(ROOT / "alembic.ini")
    config.attributes["url"] = url
    command.upgrade(config, "head")


@pytest.fixture(scope="session", autouse=True)
def _data_dir(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["CLINIC_DATA_DIR"] = str(tmp_path_factory.mktemp("data"))
    get_settings.cache_clear()
    keys.key.cache_clear()


def _clinics_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("CLINIC_")}


@pytest.fixture(autouse=True)
def _nothing_waits() -> Iterator[None]:
    """What a process counts, has yet to record, or was set to, is not another test's."""
    get_settings.cache_clear()
    logs._ration = logs._new_ration()
    before, root = _clinics_environment(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    for kept in (refusals._counts, refusals._own, typed_searches._standing, typed_searches._due):
        kept.clear()
    work_list.forget_numbers()
    pairs.forget_numbers()
    yield
    for name in _clinics_environment().keys() - before.keys():  # ``serve`` leaves its port to the program that follows
        del os.environ[name]
    os.environ.update(before)
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(autouse=True)
def _passwords_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is: what is not judged in time counts as not good enough."""
    monkeypatch.setattr(guessability, "DEADLINE", 60.0)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Change settings for one test: ``settings.setenv(...)`` before the code asks."""
    get_settings.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    get_settings.cache_clear()


#: What the migrations make, once in a process: the file of SQLite, and the name of PostgreSQL's database to copy.
_migrated: dict[str, bytes | str] = {}


def _sqlite(file: Path) -> str:
    url = f"sqlite:///{file}"
    if "sqlite" not in _migrated:
        migrate(url)
        with contextlib.closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        _migrated["sqlite"] = file.read_bytes()
    file.write_bytes(_migrated["sqlite"])  # type: ignore[arg-type]
    return url


def _create(admin: sa.Engine, template: str = "template1") -> str:
    name = f"clinic_test_{uuid.uuid4().hex[:12]}"
    with admin.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return sa.make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)


def _new_database(kind: str, folder: Path) -> tuple[str, sa.Engine | None]:
    """The URL of a fresh, migrated database, and the engine that can drop it."""
    if kind == "sqlite":
        return _sqlite(folder / f"{uuid.uuid4().hex}.sqlite3"), None
    if not HAS_POSTGRES:
        if os.environ.get("CI") == "true":
            pytest.fail("PostgreSQL is needed in CI: set CLINIC_TEST_POSTGRES_URL")
        pytest.skip("no PostgreSQL: set CLINIC_TEST_POSTGRES_URL")
    admin = sa.create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    if kind not in _migrated:
        _migrated[kind] = _create(admin)
        migrate(str(_migrated[kind]))
    return _create(admin, str(sa.make_url(str(_migrated[kind])).database)), admin


def pytest_unconfigure() -> None:
    """Drop what was copied."""
    if url := _migrated.pop("postgres", None):
        _drop(str(url), sa.create_engine(POSTGRES, isolation_level="AUTOCOMMIT"))


def _drop(url: str, admin: sa.Engine | None) -> None:
    if admin is not None:
        with admin.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE "{sa.make_url(url).database}" WITH (FORCE)')
        admin.dispose()


ON_BOTH = [ROOT / "tests" / name for name in ("db", "security")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Say which kinds of database a test runs on."""
    both = metafunc.definition.get_closest_marker("both_databases") or any(
        folder in metafunc.definition.path.parents for folder in ON_BOTH
    )
    kinds = ["sqlite", "postgres"]
    if "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", kinds if both else kinds[:1], indirect=True, scope="session")


#: What takes longest begins first, so that no process works alone at the end.
LONGEST_FIRST = {name: place for place, name in enumerate(("browser", "security", "cli"))}
#: The modules that attack one server.
ATTACKERS = {file.name for file in (ROOT / "tests" / "security").glob("test_*.py") if "attacked" in file.read_text()}


def _shares(nodeid: str) -> str:
    """What a test shares with others, so that they belong in one process: a server, else what its module makes."""
    file = nodeid.partition("::")[0]
    return "attacked" if Path(file).name in ATTACKERS and "/security/" in file else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep together what belongs together, where ``--dist loadgroup`` is asked for.

    The one of pytest-xdist 3.8 puts every test alone: it writes groups into a name that pytest 9.2 does not read.
    """
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _shares(nodeid)

    return Groups(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by what they need, name each, and have those that take longest begin first."""
    for item in items:
        if ROOT / "tests" / "browser" in item.path.parents:
            item.add_marker(pytest.mark.browser)
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        if "postgres" in (parameters.get("engine"), parameters.get("own_database")):
            item.add_marker(pytest.mark.postgres)
        if label := getattr(item, "operation_label", ""):
            # Schemathesis gives all operations one name, and pytest-xdist runs the first test of a name only
            item._id = item.id.with_params(label)  # type: ignore[attr-defined]
    if "PYTEST_XDIST_WORKER" in os.environ:
        sizes = collections.Counter(_shares(item.nodeid) for item in items)

        def order(item: pytest.Item) -> tuple[int, int, str]:
            group = _shares(item.nodeid)
            folder = item.path.relative_to(ROOT / "tests").parts[0]
            return LONGEST_FIRST.get(folder, len(LONGEST_FIRST)), -sizes[group], group

        items.sort(key=order)


#: What a browser test that passed at its second try said at its first one.
FAILED_FIRST = "failed first"
#: What Playwright says when the browser's own process for a page has died.
CRASHED = re.compile(r"Error: .*[Pp]age crashed")


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """A browser test that fails is tried once more: it shares two cores with Chromium, a server and other tests.

    Where Chromium itself crashed, which two tabs that load at once now and then bring about, the try tells nothing and
    does not count, up to three times. Nothing is hidden: what it said first is printed at the end of the run, for
    whoever has to mend it.
    """
    if "/browser/" not in item.nodeid:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    begun = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
    reports = runtestprotocol(item, log=False, nextitem=nextitem)
    tries_left, crashes_left, first = 1, 3, ""
    while said := "\n".join(report.longreprtext for report in reports if report.failed):
        first = first or said
        if crashes_left and CRASHED.search(said):
            crashes_left -= 1
        elif tries_left:
            tries_left -= 1
        else:
            break
        for server in Server.serving:
            server.put_aside(begun)  # or the next try fails for what the one before left
        item._initrequest()  # type: ignore[attr-defined]  its fixtures are made anew
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
    if first:
        reports[0].user_properties.append((FAILED_FIRST, first))
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell which tests did not pass at once."""
    told = {
        report.nodeid: said
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, said in getattr(report, "user_properties", ())
        if name == FAILED_FIRST
    }
    for nodeid, said in told.items():
        terminalreporter.section(f"not passed at once: {nodeid}", yellow=True)
        terminalreporter.write_line(said)


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    """One migrated database a kind, shared by the tests that roll back."""
    url, admin = _new_database(request.param, tmp_path_factory.mktemp("db"))
    made = db.make_engine(url)
    yield made
    made.dispose()
    _drop(url, admin)


class _Shared:
    """One connection for whatever a test does, one thread after the other: two at once undo each other's parts."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection, self._one = connection, threading.RLock()

    @contextlib.contextmanager
    def by_this_thread(self) -> Iterator[sa.Connection]:
        assert self._one.acquire(blocking=False), "threads race on one connection: this test wants own_database"
        try:
            yield self._connection
        finally:
            self._one.release()


@pytest.fixture
def database(engine: sa.Engine) -> Iterator[sa.Engine]:
    """The services bound to ``engine`` inside an outer transaction that is rolled back."""
    connection = engine.execution_options(clinic_write=True).connect()
    outer = connection.begin()
    shared = _Shared(connection)
    db.use(lambda write: shared.by_this_thread())
    with context.use(context.RequestContext("page", "203.0.113.7", "pytest")):
        yield engine
    db.use(None)
    outer.rollback()
    connection.close()


@pytest.fixture(params=["sqlite", "postgres"])
def own_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """A database of the test's own, with real commits: for races, migrations and crashes."""
    url, admin = _new_database(request.param, tmp_path)
    made = db.make_engine(url)
    db.bind(made)
    with context.use(context.RequestContext("page", "203.0.113.7", "pytest")):
        yield made
    db.use(None)
    made.dispose()
    _drop(url, admin)


@pytest.fixture
def people(database: sa.Engine) -> factories.People:
    """An actor of each role, and a patient with a portal account and password of their own."""
    return factories.people()
