"""The finished build, served as in production: no Node, no network, nothing writable but the data, any port."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import socketio

from clinic_app.cli import build
from clinic_app.core.settings import get_settings
from clinic_app.services.accounts import signing_in
from tests import factories
from tests.browser.serving import bound

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def pages():
    """The build for the settings of these tests; made now if it is not there (half a minute)."""
    if build.node_version() is None:
        pytest.skip("no Node: pip install -r requirements.txt")
    return build.build(get_settings())


def free_port():
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(folder, port, **more):
    """What a production start has: no Node on the path, and nothing of this process but its settings."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(("CLINIC_", "LANG", "TZ"))}
    return kept | {"PATH": "/nowhere", "CLINIC_DATA_DIR": str(folder), "CLINIC_PORT": str(port), **more}


def command(*arguments, env):
    """Run ``python -m clinic_app …`` to its end."""
    line = [sys.executable, "-m", "clinic_app", *arguments]
    return subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)


@contextlib.contextmanager
def serving(folder, port, **more):
    """A server, from ready to stopped; its log is ``folder``'s ``server.log``."""
    env = environment(folder, port, **more)
    with (Path(folder) / "server.log").open("w") as log:
        line = [sys.executable, "-m", "clinic_app", "serve"]
        process = subprocess.Popen(line, cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT)
        try:
            for _ in range(600):
                assert process.poll() is None, (Path(folder) / "server.log").read_text()
                with contextlib.suppress(OSError):
                    get(port, "/")
                    break
                time.sleep(0.05)
            yield process
        finally:
            process.terminate()
            process.wait(15)


def get(port, path, **headers):
    """Status, headers and body of one GET."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def clinic(pages, tmp_path_factory):
    """A migrated clinic and its server; the port it listens on and its folder."""
    folder, port = tmp_path_factory.mktemp("served"), free_port()
    folder.chmod(0o700)
    assert command("migrate", env=environment(folder, port)).returncode == 0
    with serving(folder, port) as process:
        yield port, folder, process


def test_pages_are_served_with_their_policy(clinic):
    port, _, _ = clinic
    status, headers, body = get(port, "/login")
    assert status == 200
    assert b"<html" in body
    assert "script-src 'self' 'sha256-" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"


def test_the_built_script_names_no_host(clinic, pages):
    port, _, _ = clinic
    (script,) = (pages / "build/client/assets").glob("reflex-env-*.js")
    for encoding in ("identity", "gzip", "br, gzip"):
        status, headers, body = get(port, f"/assets/{script.name}", accept_encoding=encoding)
        assert status == 200
        assert "immutable" in headers["cache-control"]
        if "content-encoding" not in headers:
            assert b"location.origin" in body
    texts = [file.read_text(errors="replace") for file in (pages / "build/client").rglob("*.js")]
    assert not [text for text in texts if build.PLACEHOLDER in text or "localhost:8000" in text]


def test_every_inline_script_of_every_page_is_allowed(clinic, pages):
    from clinic_app.web import security_headers

    port, _, _ = clinic
    _, headers, _ = get(port, "/login")
    for source in security_headers.inline_script_hashes(pages / "build/client"):
        assert source in headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/login%0d%0aX:y", "/%0a", "/_event%0a/?EIO=4&transport=polling", "/api%0a/v1/"])
def test_an_address_with_a_line_end_passes_the_outermost_layer_too(clinic, path):
    port, _, _ = clinic
    status, headers, _ = get(port, path)
    assert status == 404
    assert headers["x-content-type-options"] == "nosniff"
    assert "location" not in headers


def test_spare_endpoints_are_off(clinic):
    port, _, _ = clinic
    for path in ("/ping", "/_health", "/_upload", "/_all_routes", "/_event/?transport=polling&EIO=4"):
        assert get(port, path)[0] == 404, path


def test_nobody_is_told_that_another_origin_may_ask(clinic):
    port, _, _ = clinic
    _, headers, _ = get(port, "/login", origin="https://evil.example")
    assert not [name for name in headers if name.startswith("access-control-")]


async def _connects(port, origin, cookie):
    client = socketio.AsyncClient(reconnection=False)
    headers = {"Cookie": cookie} | ({"Origin": origin} if origin else {})
    try:
        await client.connect(
            f"http://127.0.0.1:{port}/_event?token=5f0c1a52-6c5e-4b8e-9d0b-0d5c5a1b2c3d",
            headers=headers,
            transports=["websocket"],
            namespaces=["/_event"],
            socketio_path="/_event",
            wait_timeout=10,
        )
    except socketio.exceptions.ConnectionError:
        return False
    finally:
        await client.disconnect()
    return True


async def test_the_socket_is_open_to_our_own_pages_only(clinic):
    port, folder, _ = clinic
    with bound(SimpleNamespace(database_url=f"sqlite:///{folder / 'clinic.sqlite3'}")):
        factories.make_staff(username="served")
        cookie = f"clinic_session={signing_in.sign_in(signing_in.STAFF_DOOR, 'served', factories.PASSWORD).token}"
    assert await _connects(port, f"http://localhost:{port}", cookie)
    assert await _connects(port, f"http://127.0.0.1:{port}", cookie)
    assert not await _connects(port, None, cookie)
    assert not await _connects(port, "https://evil.example", cookie)
    assert not await _connects(port, f"http://localhost:{port}", "")


def test_the_log_has_no_query_and_no_address(clinic):
    port, folder, _ = clinic
    get(port, "/login?search=Achieng", user_agent="Nokia 3310")
    until = time.monotonic() + 30
    while '"path": "/login"' not in (log := (folder / "server.log").read_text()):
        assert time.monotonic() < until, log
        time.sleep(0.02)
    assert not {"Achieng", "Nokia", "127.0.0.1"} & set(log.replace('"', " ").split())


@pytest.mark.slow
def test_the_same_build_serves_another_clinic_on_another_port(clinic, pages, tmp_path):
    port = free_port()
    tmp_path.chmod(0o700)
    assert command("migrate", env=environment(tmp_path, port)).returncode == 0
    with serving(tmp_path, port):
        assert get(port, "/login")[2] == get(clinic[0], "/login")[2]


@pytest.mark.slow
def test_it_stops_at_once_when_told_to(pages, tmp_path):
    port = free_port()
    assert command("migrate", env=environment(tmp_path, port)).returncode == 0
    with serving(tmp_path, port) as process:
        started = time.monotonic()
        process.terminate()
        process.wait(15)
        assert time.monotonic() - started < 5


# --- what it refuses to start with ----------------------------------------------------------------


def granian(env):
    """Start the server's entry directly, as a unit file may do; returns what it said."""
    line = [sys.executable, "-c", "from clinic_app.asgi import create; create()"]
    return subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)


def test_a_wrong_setting_ends_the_start_with_one_sentence(tmp_path):
    done = granian(environment(tmp_path, 4449, CLINIC_REGION="Kenya"))
    assert (done.returncode, done.stderr) == (2, "CLINIC_REGION: must be a two-letter region, such as KE.\n")


def test_an_old_database_ends_the_start_with_one_sentence(tmp_path):
    done = granian(environment(tmp_path, 4449))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "The database is not up to date: run `python -m clinic_app migrate`."


def test_missing_pages_end_the_start_with_one_sentence(tmp_path):
    env = environment(tmp_path, 4449, CLINIC_NAME="A clinic nobody has built")
    assert command("migrate", env=env).returncode == 0
    done = granian(env)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "The pages have not been built: run `python -m clinic_app build`."


@pytest.mark.slow
def test_serving_writes_nothing_beside_the_data(pages, tmp_path):
    """The checkout may belong to another user, or be mounted read-only."""
    watched = [pages, ROOT / "assets", ROOT / "reflex.lock"]
    with build._alone():  # other tests may be building, which writes there
        before = {file: file.stat().st_mtime_ns for folder in watched for file in folder.rglob("*")}
        top = {each.name for each in ROOT.iterdir()} | {"__pycache__"}  # Python's own, where it may write
        port = free_port()
        assert command("migrate", env=environment(tmp_path, port)).returncode == 0
        with serving(tmp_path, port):
            get(port, "/login")
        assert {file: file.stat().st_mtime_ns for folder in watched for file in folder.rglob("*")} == before
        assert {each.name for each in ROOT.iterdir()} <= top
