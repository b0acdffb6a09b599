"""Clients that others make from the API's description: made here from what a server says, and used on that server.

The generators are installed once, in environments of their own, from the pins in ``tests/api/clients``.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from granian.constants import Interfaces
from granian.server.embed import Server
from openapi_spec_validator import OpenAPIV31SpecValidator

from clinic_app.cli import build
from clinic_app.core import db
from clinic_app.core.settings import get_settings
from clinic_app.models.accounts import Role
from tests import factories
from tests.api.conftest import served
from tests.conftest import ROOT, migrate

HERE = Path(__file__).with_name("clients")
TOOLS = ROOT / ".tools"
ADMIN = "clients-admin"


def _run(*command: str | Path, cwd: Path, env: dict[str, str], seconds: int = 100) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def _installed(name: str, pins: list[str], install: Callable[[Path], None]) -> Path:
    """The folder that ``install`` fills from these pins, made once for each state of them."""
    state = hashlib.sha256(sys.version.encode())
    for file in pins:
        state.update((HERE / file).read_bytes())
    folder = TOOLS / f"{name}-{state.hexdigest()[:12]}"
    if not folder.is_dir():
        TOOLS.mkdir(exist_ok=True)
        for older in TOOLS.glob(f"{name}-*"):
            shutil.rmtree(older, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=TOOLS))  # half a folder must not look like a whole one
        try:
            install(new)
            new.rename(folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return folder


@pytest.fixture(scope="module")
def python_packages() -> Path:
    """A folder with what ``requirements.txt`` pins."""

    def install(folder: Path) -> None:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        _run(*pip, "--target", folder, "-r", HERE / "requirements.txt", cwd=HERE, env=dict(os.environ), seconds=600)

    return _installed("python-client", ["requirements.txt"], install)


@pytest.fixture(scope="module")
def node_packages() -> Path:
    """A folder with the ``node_modules`` that the lock pins."""

    def install(folder: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        npm = Path(sys.executable).with_name("npm")
        _run(npm, "ci", "--ignore-scripts", cwd=folder, env=build.environment(), seconds=600)

    return _installed("typescript-client", ["package.json", "package-lock.json"], install)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def server(tmp_path: Path, settings: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the API, served over HTTP on a database of its own, with an administrator to sign in as."""
    port = _free_port()
    settings.setenv("CLINIC_PORT", str(port))
    settings.setenv("CLINIC_SMTP_HOST", "mail.example.org")  # invitations wait there, and are not sent
    get_settings.cache_clear()
    url = f"sqlite:///{tmp_path / 'clinic.sqlite3'}"
    migrate(url)
    engine = db.make_engine(url)
    db.bind(engine)
    factories.make_staff(Role.ADMIN, ADMIN)
    loop, ready, running = asyncio.new_event_loop(), threading.Event(), []

    async def serve() -> None:
        app = Server(served(), port=port, interface=Interfaces.ASGI, websockets=False, log_enabled=False)
        running.append(app)
        loop.call_soon(ready.set)
        await app.serve()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(30)
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.1)
        yield get_settings().origin
    finally:
        loop.call_soon_threadsafe(running[0].stop)
        thread.join(30)
        loop.close()
        db.use(None)
        engine.dispose()


@pytest.fixture
def described(server: str) -> dict[str, Any]:
    """What the server says about itself."""
    with urllib.request.urlopen(f"{server}/api/v1/openapi.json", timeout=30) as answer:
        return json.load(answer)


def _as_admin(server: str) -> dict[str, str]:
    return {"FRONT_DESK": server, "FRONT_DESK_USERNAME": ADMIN, "FRONT_DESK_PASSWORD": factories.PASSWORD}


def _operations(described: dict[str, Any], name: Callable[[str, str, str], str]) -> list[str]:
    """Every operation of the description, as the program under test names it."""
    return sorted(
        name(method.upper(), path, what["operationId"])
        for path, item in described["paths"].items()
        for method, what in item.items()
    )


def test_the_description_is_valid_openapi(described, server):
    found = [error.message for error in OpenAPIV31SpecValidator(described).iter_errors()]
    assert found == []
    assert described["servers"] == [{"url": server, "description": get_settings().name}]
    assert (described["info"]["license"] == {"name": "All rights reserved"}) != (ROOT / "LICENSE").exists()


def test_no_field_that_may_be_missing_has_a_default(described):
    """A generated client would send it, or read it where the answer has none."""
    shapes = described["components"]["schemas"]
    assert shapes["Edit"]["properties"]["first_name"]
    assert [
        f"{shape}.{name}"
        for shape, what in shapes.items()
        for name, field in what.get("properties", {}).items()
        if "default" in field
    ] == []
    assert "required" not in shapes["Edit"]


def test_a_python_client_does_every_operation(described, server, python_packages, tmp_path):
    description, made = tmp_path / "openapi.json", tmp_path / "made"
    description.write_text(json.dumps(described))
    # without site-packages: the pins are all it has
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(python_packages), str(made))), "PYTHONUTF8": "1"}
    command = ["generate", "--path", description, "--config", HERE / "generator.yml", "--output-path", made]
    python = (sys.executable, "-S")
    _run(*python, "-m", "openapi_python_client", *command, "--fail-on-warning", cwd=tmp_path, env=env)
    said = _run(*python, HERE / "every_operation.py", cwd=tmp_path, env={**env, **_as_admin(server)})
    assert json.loads(said) == _operations(described, lambda _method, _path, ident: ident)


def test_a_typescript_client_does_every_operation(described, server, node_packages, tmp_path):
    (tmp_path / "openapi.json").write_text(json.dumps(described))
    for name in ("package.json", "tsconfig.json", "every_operation.ts"):
        shutil.copy(HERE / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(node_packages / "node_modules")
    env, tools = build.environment(), tmp_path / "node_modules" / ".bin"
    _run(tools / "openapi-typescript", "openapi.json", "--output", "description.d.ts", cwd=tmp_path, env=env)
    _run(tools / "tsc", "--project", ".", cwd=tmp_path, env=env)
    said = _run("node", "made/every_operation.js", cwd=tmp_path, env={**env, **_as_admin(server)})
    assert json.loads(said) == _operations(described, lambda method, path, _: f"{method} {path}")
