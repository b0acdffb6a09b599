"""Two servers with two workers each behind nginx with TLS, as in docs/operations.md: restarted in turn, killed.

Eight programs register patients all the time, a desk has its list open, and somebody is typing a registration.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests import conftest as tests_conftest
from tests.browser.conftest import PATIENCE_MS, Watch
from tests.browser.serving import ROOT, Server, bound, free_port
from tests.browser.sockets import run, session
from tests.faults.conftest import serving
from tests.faults.instances import Postgres, Redis, running
from tests.faults.test_cluster import CLOSED, WRITERS, Writers
from tests.faults.test_once import FULL, Press, judged, pressed_together, soon
from tests.security.test_proxies import DOCUMENT, snippet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NEXT = "Clinic of the next version"
#: Settings that both have.
SAME = {"CLINIC_DATABASE_URL", "CLINIC_REDIS_URL", "CLINIC_WORKERS", "CLINIC_PUBLIC_URL", "CLINIC_TRUSTED_PROXY_HOPS"}
#: Seconds after which nginx asks a server again that was away: `fail_timeout`, and one.
FORGIVEN = 6
#: Seconds in which nobody is told that something is done, at most: one server stops in order, or is killed.
IN_ORDER, KILLED = 3.0, 3.0


NOT_ASKED = re.compile(r"(server 127\.0\.0\.1:\d+ [^;]*?) down;")


class Pair(Server):
    """What people see: nginx. Behind it are ``both``."""

    def __init__(self, folder: Path, port: int, both: list[Server], config: Path) -> None:
        super().__init__(folder, CLINIC_DATABASE_URL=both[0].database_url)
        # Reflex takes no port from `localhost` where it is https
        self.url, self.both, self.config = f"https://127.0.0.1:{port}", both, config

    def only(self, number: int | None) -> None:
        """Have nginx ask that server alone, as operators do: the other one is ``down``, and a reload. None: both."""
        text = NOT_ASKED.sub(r"\1;", self.config.read_text())
        for place, server in enumerate(self.both):
            if number not in (None, place):
                text = re.sub(rf"(server 127\.0\.0\.1:{server.port} [^;]*?);", r"\1 down;", text)
        self.config.write_text(text)
        subprocess.run(["nginx", "-c", self.config, "-s", "reload"], check=True, capture_output=True)
        time.sleep(1)  # until its new processes answer

    def log_text(self) -> str:
        """Of both."""
        return "".join(server.log_text() for server in self.both)


def settings_of_nginx(folder: Path, port: int, ours: list[int]) -> Path:
    """The document's two blocks as they stand there, with our names, ports and certificate."""
    found = re.search(r"```nginx\n(upstream.*?)```", DOCUMENT, re.S)
    assert found
    text = found[1] + snippet("nginx").replace("http://127.0.0.1:3000", "http://clinic")
    for machine, own in zip(("10.0.0.11", "10.0.0.12"), ours, strict=True):
        assert f"server {machine}:3000" in text
        text = text.replace(f"{machine}:3000", f"127.0.0.1:{own}")
    assert text.count("proxy_pass http://clinic;") == 3
    text = text.replace("listen 443 ", f"listen 127.0.0.1:{port} ").replace("desk.example.org;", "127.0.0.1;")
    text = re.sub(r"/etc/letsencrypt/live/desk.example.org/\w+\.pem", f"{folder}/both.pem", text)
    text = text.replace("/var/log/nginx/", f"{folder}/")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("proxy", "client_body", "fastcgi"))
    temporary += f"uwsgi_temp_path {folder}/uwsgi;\nscgi_temp_path {folder}/scgi;\n"
    whole = f"pid {folder}/pid;\ndaemon off;\nuser root;\nworker_processes 2;\nerror_log {folder}/errors.log;\n"
    whole += f"worker_rlimit_nofile 20000;\nevents {{ worker_connections 8000; }}\nhttp {{\n{temporary}{text}\n}}\n"
    (folder / "nginx.conf").write_text(whole)
    return folder / "nginx.conf"


def certificate(folder: Path) -> Path:
    """Of this machine alone, with its key in one file."""
    wanted = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2", "-nodes"]
    files = ["-keyout", folder / "key.pem", "-out", folder / "only.pem"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", *wanted, *files], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text((folder / "key.pem").read_text() + (folder / "only.pem").read_text())
    return folder / "only.pem"


@pytest.fixture(scope="module")
def stores() -> Iterator[tuple[Postgres, Redis]]:
    database, state = Postgres(), Redis()
    try:
        with running(database), running(state):
            tests_conftest.migrate(database.url)
            yield database, state
    finally:
        database.remove()


@pytest.fixture(scope="module")
def pair(stores: tuple[Postgres, Redis], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two servers, as on two machines: with data directories and ports of their own, and the same keys."""
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed")
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    settings = {
        "CLINIC_DATABASE_URL": stores[0].url,
        "CLINIC_REDIS_URL": stores[1].url,
        "CLINIC_WORKERS": "2",
        "CLINIC_PUBLIC_URL": f"https://127.0.0.1:{port}",
        "CLINIC_TRUSTED_PROXY_HOPS": "1",
    }
    both = [serving(tmp_path_factory.mktemp(name), **settings) for name in ("first", "second")]
    trusted = certificate(folder)
    config = settings_of_nginx(folder, port, [server.port for server in both])
    made = Pair(folder / "seen", port, both, config)
    (folder / "seen").mkdir()
    with contextlib.ExitStack() as stack:
        patched = stack.enter_context(pytest.MonkeyPatch.context())
        patched.setenv("SSL_CERT_FILE", str(trusted))
        for server in both:
            server.start()
            stack.callback(server.stop)
        log = stack.enter_context((folder / "nginx.log").open("wb"))
        process = subprocess.Popen(["nginx", "-c", config], stdout=log, stderr=log)
        stack.callback(process.wait, 20)
        stack.callback(process.terminate)
        begun = time.monotonic()
        while True:
            assert process.poll() is None, (folder / "nginx.log").read_text()
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{made.url}/healthz").status_code == 200:
                    break
            assert time.monotonic() - begun < 20
            time.sleep(0.1)
        yield made


@pytest.fixture
def up(pair: Pair) -> Iterator[Pair]:
    """Both serve when a test begins."""
    yield pair
    for server in pair.both:
        if server._process is None:
            server.start()


def cookie_of(pair: Pair) -> str:
    with bound(pair):
        return f"__Host-{session(pair.open_session('reception'))}"


def noted(counters: dict[str, Any], pair: Pair, writers: Writers, name: str) -> None:
    """What the programs were told, and what is in the database."""
    found = Counter(row[0] for row in pair.sql("SELECT first_name FROM patients WHERE first_name LIKE ?", f"{name}w%"))
    counters.update(
        acknowledged=len(writers.done),
        lost=sum(found[one] == 0 for _, one in writers.done),
        doubled=sum(count > 1 for count in found.values()),
        unknown=len(set(found) - {one for _, one in writers.done}),
        gap=round(writers.gap(), 2),
        slowest=round(writers.slowest, 2),
        statuses=dict(sorted(writers.statuses.items())),
        by_the_proxy=writers.by_the_proxy,
    )
    assert (counters["lost"], counters["doubled"], counters["unknown"]) == (0, 0, 0)
    assert writers.gave_up == []
    assert set(writers.statuses) <= {"201", "409", "503", CLOSED}
    assert (
        writers.statuses[CLOSED] <= 3 * WRITERS
    )  # nginx, which ends idle connections where it reads its settings anew


@pytest.fixture
def counters(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """What a test counts; printed at its end, however it ends (``-s`` shows it)."""
    found: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: print(f"\n{request.node.name}: {json.dumps(found)}"))
        yield found


Opener = Callable[..., Page]


@pytest.fixture
def desk(up: Pair, open_page: Opener, watch: Watch) -> tuple[Page, Page]:
    """Two tabs of a receptionist's: the list of patients, and a registration that is being typed."""
    for noise in ("WebSocket connection", "net::ERR", "Failed to load resource"):
        watch.expect(noise)
    listed = open_page("reception", "/patients", at=up, ignore_https_errors=True)
    form = open_page(path="/patients/new", at=up, context=listed.context)
    form.locator("#press[data-line]:not([data-line=''])").wait_for(state="attached")
    form.get_by_label("First name").fill("Rolling")
    form.get_by_label("Last name").fill("Restart")
    form.get_by_label("Address").fill("12 Lake Road\nKisumu")
    return listed, form


def shown_after(listed: Page, pair: Pair, writers: Writers, name: str) -> float:
    """Seconds until the open list has somebody whom another program registers now."""
    begun = time.monotonic()
    while True:
        answer = httpx.post(
            f"{pair.url}/api/v1/patients/",
            json={"first_name": name, "last_name": "Aaaa", "allow_duplicate": True},
            headers={"Authorization": f"Bearer {writers._access}", "Idempotency-Key": name},
            timeout=60,
        )
        if answer.status_code == 201:
            break
        assert answer.status_code == 503
        time.sleep(0.2)
    expect(listed.get_by_text(f"{name} Aaaa").first).to_be_visible(timeout=PATIENCE_MS)
    return round(time.monotonic() - begun, 1)


def registers_once(form: Page, pair: Pair) -> None:
    """What was typed is there, and one press makes one patient of it."""
    before = pair.sql("SELECT count(*) FROM patients WHERE first_name = 'Rolling'")
    expect(form.get_by_label("First name")).to_have_value("Rolling")
    expect(form.get_by_label("Address")).to_have_value("12 Lake Road\nKisumu")
    form.get_by_role("button", name="Register patient", exact=True).click()
    expect(form.get_by_role("heading", level=1)).to_have_text("Patient registered successfully")
    assert pair.sql("SELECT count(*) FROM patients WHERE first_name = 'Rolling'") == [(before[0][0] + 1,)]


def test_both_are_restarted_in_turn_while_the_desk_works(
    up: Pair, desk: tuple[Page, Page], counters: dict[str, Any]
) -> None:
    (listed, form), name, cookie = desk, f"turn{secrets.token_hex(2)}", cookie_of(up)
    before, presses = len(up.log_text()), list[Press]()
    with Writers(up, name) as writers:
        writers.wait(50, 30)
        for number, server in enumerate(up.both):
            press = Press(up, cookie, f"{name}{number}", fault=soon(server.stop))
            run(press.run(60))
            presses.append(press)
            counters[f"list shows news after, {number}"] = shown_after(listed, up, writers, f"Aaa{name}{number}")
            expect(form.get_by_label("First name")).to_have_value("Rolling")
            server.start()
            time.sleep(FORGIVEN)
            writers.wait(50, 30)
        registers_once(form, up)
    noted(counters, up, writers, name)
    judged(up, presses, counters)
    assert '"status": 500' not in up.log_text()[before:]
    assert counters["gap"] <= IN_ORDER


def test_one_is_killed_and_the_other_takes_over(up: Pair, desk: tuple[Page, Page], counters: dict[str, Any]) -> None:
    (listed, form), name = desk, f"kill{secrets.token_hex(2)}"
    before = len(up.log_text())
    press = Press(up, cookie_of(up), name, fault=soon(up.both[0].kill))
    with Writers(up, name) as writers:
        writers.wait(50, 30)
        run(press.run(60))
        counters["list shows news after"] = shown_after(listed, up, writers, f"Aaa{name}")
        registers_once(form, up)
        writers.wait(50, 30)
        up.both[0].start()
        writers.wait(50, 30)
    noted(counters, up, writers, name)
    judged(up, [press], counters)
    assert '"status": 500' not in up.log_text()[before:]
    assert counters["gap"] <= KILLED


@pytest.mark.timeout(3600)
def test_what_is_shown_signs_in_however_the_servers_end(up: Pair, counters: dict[str, Any]) -> None:
    """Eight desks press at once, through nginx; up to a quarter of a second later one server is stopped, or killed."""
    ends = itertools.cycle([up.both[0].stop, up.both[1].kill, up.both[1].stop, up.both[0].kill])

    def both_serve() -> None:
        for server in up.both:
            if server._process is None:
                server.start()
                time.sleep(FORGIVEN)

    name = f"ends{secrets.token_hex(2)}"
    presses = run(pressed_together(up, FULL, name, lambda: next(ends)(), counters, both_serve, cookie_of))
    judged(up, presses, counters)


def test_another_version_takes_over_at_one_moment(
    up: Pair, desk: tuple[Page, Page], tmp_path: Path, counters: dict[str, Any]
) -> None:
    """Another name of the clinic stands for another version: its pages are another build. The tables are the same."""
    (listed, _), name = desk, f"next{secrets.token_hex(2)}"
    old, second = up.both
    before = len(up.log_text())
    settings = {key: up.both[0].env[key] for key in sorted(SAME)}
    following = serving(tmp_path, CLINIC_NAME=NEXT, **settings)
    following.port, following.url = second.port, second.url
    try:
        with Writers(up, name) as writers:
            up.only(0)
            second.stop()
            following.start()
            writers.wait(20, 60)
            up.only(1)
            answers = [httpx.get(f"{up.url}/login").text for _ in range(20)]
            assert all(NEXT in answer for answer in answers)
            old.stop()
            counters["list shows news after"] = shown_after(listed, up, writers, f"Aaa{name}")
            writers.wait(20, 60)
        noted(counters, up, writers, name)
    finally:
        following.stop()
        old.start()
        second.start()
        up.only(None)
    assert '"status": 500' not in up.log_text()[before:] + following.log_text()
    assert counters["gap"] <= IN_ORDER


def test_a_server_meets_the_tables_of_a_newer_version(up: Pair) -> None:
    """It does not start, and says why. One that runs goes on, and ``readyz`` tells: so both are stopped first."""
    first, second = up.both
    second.stop()
    (made,) = up.sql("SELECT version_num FROM alembic_version")[0]
    up.sql("UPDATE alembic_version SET version_num = 'from_the_future'")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "clinic_app", "serve"],
            cwd=ROOT,
            env={**second.env, "CLINIC_MODE": "test"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode != 0
        assert "The database was made by a newer version of this program" in done.stdout + done.stderr
        ready = httpx.get(f"{first.url}/readyz")
        assert (ready.status_code, ready.json()["parts"]["migrations"]) == (503, "behind")
        assert httpx.get(f"{up.url}/login").status_code == 200
    finally:
        up.sql("UPDATE alembic_version SET version_num = ?", made)
