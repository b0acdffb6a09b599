"""The proxies' settings in docs/operations.md, tried as they stand there, with only names and ports changed."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.browser.serving import Server, free_port
from tests.browser.sockets import HYDRATE, Tab, session
from tests.security import attack
from tests.security.test_edge import Line, lines

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.slow


def snippet(language: str) -> str:
    """The block of the document in this language."""
    found = re.search(rf"```{language}\n(.*?)```", DOCUMENT, re.S)
    assert found
    return found[1]


def nginx(folder: Path, ours: int, theirs: int) -> list[str]:
    """Without TLS, which needs a certificate; and quicker than a clinic wants it."""
    text = re.sub(r"listen .*?;", f"listen 127.0.0.1:{theirs};", snippet("nginx"))
    text = re.sub(r"\s+ssl_certificate.*", "", text).replace("/var/log/nginx/", f"{folder}/")
    text = text.replace("127.0.0.1:3000", f"127.0.0.1:{ours}").replace("_timeout 10s", "_timeout 2s")
    text = text.replace("clinic_by_address 500", "clinic_by_address 20")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("proxy", "client_body", "fastcgi"))
    temporary += f"uwsgi_temp_path {folder}/uwsgi;\nscgi_temp_path {folder}/scgi;\n"
    whole = f"pid {folder}/pid;\ndaemon off;\nuser root;\nerror_log {folder}/errors.log;\n"
    whole += f"worker_rlimit_nofile 20000;\nevents {{ worker_connections 8000; }}\nhttp {{\n{temporary}{text}\n}}\n"
    (folder / "nginx.conf").write_text(whole)
    return ["nginx", "-c", str(folder / "nginx.conf")]


def caddy(folder: Path, ours: int, theirs: int) -> list[str]:
    """Without TLS, and quicker."""
    text = snippet("caddy").replace("desk.example.org", f"http://localhost:{theirs}, http://127.0.0.1:{theirs}")
    text = text.replace("127.0.0.1:3000", f"127.0.0.1:{ours}").replace("read_header 10s", "read_header 2s")
    text = text.replace("read_body 30s", "read_body 2s").replace("{\n    servers", "{\n    admin off\n    servers", 1)
    (folder / "Caddyfile").write_text(text)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


@pytest.fixture(scope="module", params=[nginx, caddy], ids=lambda made: made.__name__)
def proxied(request, tmp_path_factory) -> Iterator[tuple[attack.Target, Server]]:
    """A clinic behind a proxy, and the proxy as if it were a server."""
    if shutil.which(request.param.__name__) is None:
        pytest.skip(f"{request.param.__name__} is not installed")
    folder, port = tmp_path_factory.mktemp(request.param.__name__), free_port()
    settings = {"CLINIC_PUBLIC_URL": f"http://localhost:{port}", "CLINIC_TRUSTED_PROXY_HOPS": "1"}
    server = Server(folder, CLINIC_BODY_SECONDS="2", CLINIC_REQUESTS_PER_ADDRESS="8", **settings)
    with attack.target(server) as target:
        log = (folder / "proxy.log").open("wb")
        process = subprocess.Popen(request.param(folder, server.port, port), stdout=log, stderr=log)
        front = Server(folder / "front")
        front.port, front.url = port, f"http://localhost:{port}"
        try:
            begun = time.monotonic()
            while True:
                assert process.poll() is None, (folder / "proxy.log").read_text()
                try:
                    if httpx.get(f"{front.url}/healthz").status_code == 200:
                        break
                except httpx.TransportError:
                    assert time.monotonic() - begun < 20
                    time.sleep(0.1)
            yield target, front
        finally:
            process.terminate()
            process.wait(20)
            log.close()


async def test_pages_and_sockets_pass(proxied):
    target, front = proxied
    assert httpx.get(f"{front.url}/login").status_code == 200
    token = target.sign_in("second")
    async with Tab(front.url, cookie=session(token)) as tab:
        await tab.send(HYDRATE)
        await tab.settled()
    assert httpx.get(f"{front.url}/auth/session", headers={"Cookie": session(token)}).status_code == 200


def test_the_callers_address_is_passed_on_and_cannot_be_invented(proxied):
    target, front = proxied
    form = {"username": "invented", "password": "x"}
    headers = {"X-Forwarded-For": "198.51.100.9", "Origin": front.url}
    assert httpx.post(f"{front.url}/login", data=form, headers=headers).status_code == 400
    query = "SELECT address FROM audit_events WHERE action = 'SIGN_IN_FAILED' ORDER BY seq DESC LIMIT 1"
    assert target.server.sql(query) == [("127.0.0.1",)]


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "GET /login HT",
        "POST /login HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nContent-Length: 99\r\n\r\na",
    ],
)
def test_who_sends_half_a_request_is_let_go(proxied, sent):
    _, front = proxied
    with lines(front, 1, sent.replace("localhost", f"localhost:{front.port}")) as (line,):
        begun = time.monotonic()
        status, _, body = line.answer()
        assert status in (0, 400, 408, 502) or (status, body) == (200, b"")  # Caddy, about what it gave up itself
        assert time.monotonic() - begun < 25


def test_a_crowd_of_them_keeps_nobody_out(proxied):
    _, front = proxied
    half = f"POST /login HTTP/1.1\r\nHost: localhost:{front.port}\r\nOrigin: {front.url}\r\nContent-Length: 99\r\n\r\na"
    with lines(front, 15, half), lines(front, 600, "GET /login HT"):
        for _ in range(3):
            begun = time.monotonic()
            assert httpx.get(f"{front.url}/login", timeout=10).status_code == 200
            assert time.monotonic() - begun < 5


def test_lengths_that_contradict_each_other_do_not_pass(proxied):
    _, front = proxied
    raw = f"POST /login HTTP/1.1\r\nHost: localhost:{front.port}\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n"
    line = Line(front, f"{raw}Connection: close\r\n\r\n0\r\n\r\nX")
    status, headers, _ = line.answer()
    line.close()
    assert status in (400, 403)
    assert headers.get("location") is None


def test_while_the_program_is_away_it_is_said_in_words(proxied):
    target, front = proxied
    secret = "Zebedee-in-the-query"
    target.server.stop()
    try:
        page = httpx.get(f"{front.url}/patients", params={"search": secret})
        assert (page.status_code, page.headers["retry-after"], page.headers["cache-control"]) == (503, "10", "no-store")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "What was saved is safe" in page.text
        answer = httpx.post(f"{front.url}/api/v1/patients/", params={"search": secret}, json={})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        assert answer.json()["error"] == "Temporarily unavailable"
    finally:
        target.server.start()
    assert httpx.get(f"{front.url}/login").status_code == 200
    for log in front.folder.parent.glob("clinic*.log"):  # nginx's; Caddy's has it, which the document says
        assert secret not in log.read_text(), f"{log.name} holds what was searched for"
