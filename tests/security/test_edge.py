"""Whoever opens connections, and sends or reads nothing, keeps nobody out and costs next to nothing."""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from clinic_app.core import logs
from tests import factories
from tests.browser.serving import Server
from tests.browser.sockets import session
from tests.security import attack

pytestmark = pytest.mark.slow

#: Small enough to be reached at once; the time is the one thing that tests wait for.
LIMITS = {
    "CLINIC_BODY_SECONDS": "1",
    "CLINIC_REQUESTS_PER_ADDRESS": "8",
    "CLINIC_REQUESTS_AT_ONCE": "12",
    "CLINIC_CONNECTIONS_PER_ADDRESS": "60",
    "CLINIC_TABS_PER_SESSION": "3",
    "CLINIC_TABS_PER_ADDRESS": "10",
}
PROTECTING = ("x-content-type-options", "content-security-policy", "x-request-id", "referrer-policy")
PROMPT = 5.0  # seconds; a server that is kept busy never answers
ONE_BYTE = "POST {path} HTTP/1.1\r\nHost: x\r\n{more}Content-Length: 100000\r\n\r\na"


@pytest.fixture(scope="module")
def edge(tmp_path_factory) -> Iterator[attack.Target]:
    """A clinic with low limits."""
    with attack.target(Server(tmp_path_factory.mktemp("edge"), **LIMITS)) as made:
        yield made


class Line:
    """One connection, spoken to byte by byte."""

    def __init__(self, server: Server, sent: bytes | str = b"", *, window: int = 0) -> None:
        self.socket = socket.socket()
        if window:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.socket.settimeout(30)
        self.socket.connect(("127.0.0.1", server.port))
        self.send(sent)

    def send(self, sent: bytes | str) -> None:
        """Some bytes; nothing happens if the line is closed."""
        with contextlib.suppress(OSError):
            self.socket.sendall(sent.encode("latin-1") if isinstance(sent, str) else sent)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of what comes until the line is closed; status 0 if nothing comes."""
        got = b""
        with contextlib.suppress(OSError):
            while part := self.socket.recv(65536):
                got += part
        return parsed(got)

    def closed(self) -> bool:
        """Whether it has been ended from the other side."""
        self.socket.settimeout(0)
        try:
            while self.socket.recv(65536):
                pass
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def close(self) -> None:
        """From this side."""
        self.socket.close()


def parsed(got: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = got.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return (int(first.split(" ")[1]) if first else 0), headers, body


def asked(server: Server, raw: str) -> tuple[int, dict[str, str], bytes]:
    """What one request on a line of its own is answered."""
    line = Line(server, raw.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
    try:
        return line.answer()
    finally:
        line.close()


@contextlib.contextmanager
def lines(server: Server, count: int, sent: str) -> Iterator[list[Line]]:
    """So many connections, each of which has sent this much."""
    opened = [Line(server, sent) for _ in range(count)]
    try:
        yield opened
    finally:
        for line in opened:
            line.close()


def works(server: Server) -> None:
    """Others are answered, promptly, page and API alike."""
    begun = time.monotonic()
    assert httpx.get(f"{server.url}/login", timeout=PROMPT).status_code == 200
    wrong = httpx.post(f"{server.url}/api/v1/auth/refresh/", json={"refresh": "none"}, timeout=PROMPT)
    assert wrong.status_code == 401
    assert time.monotonic() - begun < PROMPT


# --- bodies ---------------------------------------------------------------------------------------


@pytest.mark.asvs("5.2.1")
@pytest.mark.parametrize(
    ("path", "more", "kind"),
    [
        ("/api/v1/auth/login/", "Content-Type: application/json\r\n", "application/json"),
        ("/login", "Accept: text/html\r\nOrigin: {origin}\r\n", "text/html; charset=utf-8"),
        ("/auth/password-strength", "Origin: {origin}\r\nAccept: */*\r\n", "application/json"),
    ],
)
def test_a_body_that_does_not_arrive_is_waited_for_so_long_and_no_longer(edge, path, more, kind):
    begun = time.monotonic()
    line = Line(edge.server, ONE_BYTE.format(path=path, more=more.format(origin=edge.server.url)))
    status, headers, body = line.answer()
    line.close()
    assert (status, headers["content-type"]) == (408, kind)
    assert 0.9 < time.monotonic() - begun < 10
    assert b"did not arrive in time" in body
    assert all(name in headers for name in PROTECTING)


def test_nor_is_one_that_comes_byte_by_byte(edge):
    line = Line(
        edge.server,
        "POST /api/v1/auth/login/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n",
    )
    ended = threading.Event()

    def drip() -> None:
        while not ended.wait(0.1):
            line.send(b"1\r\n \r\n")

    threading.Thread(target=drip, daemon=True).start()
    try:
        assert line.answer()[0] == 408
    finally:
        ended.set()
        line.close()


def test_a_body_in_crumbs_is_refused_before_it_costs_anything(edge):
    line = Line(
        edge.server,
        "POST /api/v1/auth/login/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n",
    )
    line.send(b"2\r\n  \r\n" * 20_000 + b"0\r\n\r\n")
    status, _, body = line.answer()
    line.close()
    assert status in (0, 400)  # the server may hang up on what it has not read
    assert status == 0 or b"small pieces" in body
    works(edge.server)


@pytest.mark.asvs("2.4.1")
def test_who_waits_with_bodies_makes_room_for_those_who_do_not(edge):
    """As many as no one address may have, and more than the process takes on: nobody else notices."""
    with lines(edge.server, 40, ONE_BYTE.format(path="/api/v1/auth/login/", more="Content-Type: application/json\r\n")):
        for _ in range(3):
            works(edge.server)


def test_who_sends_a_bit_of_a_body_is_not_answered_before_its_time_is_over(edge):
    """An answer at once would be a new connection at once, again and again, as fast as the server answers."""
    half = ONE_BYTE.format(path="/login", more=f"Origin: {edge.server.url}\r\n")
    with selectors.DefaultSelector() as answered, contextlib.ExitStack() as opened:
        for _ in range(40):
            line, sent = Line(edge.server), time.monotonic()
            opened.callback(line.close)
            line.send(half)
            answered.register(line.socket, selectors.EVENT_READ, sent)
        waited, until = [], time.monotonic() + 30
        while answered.get_map() and time.monotonic() < until:
            for key, _ in answered.select(1):
                waited.append(time.monotonic() - key.data)
                answered.unregister(key.fileobj)
    assert len(waited) == 40
    assert min(waited) > 0.9


def test_too_much_is_refused_before_it_is_read(edge):
    begun = time.monotonic()
    raw = "POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n"
    status, headers, body = asked(edge.server, raw)
    assert (status, json.loads(body)["error"]) == (413, "Request too large")
    assert all(name in headers for name in PROTECTING)
    assert time.monotonic() - begun < 0.9 + PROMPT


# --- connections ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", ["", "GET /login HT", "GET /login HTTP/1.1\r\nHost: x\r\nX-A: ", "PRI * HTTP/2.0\r\n"])
def test_an_address_that_opens_too_many_connections_loses_the_excess(edge, sent):
    with lines(edge.server, 200, sent) as opened:
        deadline = time.monotonic() + 20
        while (left := sum(not line.closed() for line in opened)) > 60 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert left <= 60
        works(edge.server)


def test_those_who_have_been_answered_keep_their_connection(edge):
    desk = Line(edge.server, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b" 200 " in desk.socket.recv(65536)
    with lines(edge.server, 150, "GET /login HT") as opened:
        deadline = time.monotonic() + 8  # an idle connection is kept for ten seconds
        while sum(not line.closed() for line in opened) > 60 and time.monotonic() < deadline:
            time.sleep(0.1)
        desk.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        desk.socket.settimeout(PROMPT)
        assert b" 200 " in desk.socket.recv(65536)
    desk.close()


# --- first line and headers -------------------------------------------------------------------------


ELSEWHERE = "evil.example"


@pytest.mark.asvs("4.1.4", "13.4.4")
@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n", {400, 405}),
        ("TRACE / HTTP/1.1\r\nHost: evil.example\r\n\r\n", {405}),
        ("get /login HTTP/1.1\r\nHost: evil.example\r\n\r\n", {405}),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {0, 400, 405}),
        ("OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n\r\n", {400}),
        ("GET evil.example HTTP/1.1\r\nHost: evil.example\r\n\r\n", {400}),
        ("GET http://evil.example/patients HTTP/1.1\r\nHost: evil.example\r\n\r\n", {303, 400}),
        ("GET http://evil.example HTTP/1.1\r\nHost: evil.example\r\n\r\n", {303, 400}),
        ("GET //evil.example/login HTTP/1.1\r\nHost: evil.example\r\n\r\n", {404}),
        ("GET //evil.example/login/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", {404}),
        ("GET /login/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", {303}),
        ("GET /api/v1/patients HTTP/1.1\r\nHost: evil.example\r\n\r\n", {401}),
        ("GET /api/v1/docs/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", {200, 404}),
        ("GET /login HTTP/1.1\r\nHost: evil.example\r\nHost: evil.example\r\n\r\n", {400}),
        ("GET /login HTTP/1.1\r\nHost: evil.example/@ours\r\n\r\n", {400}),
        ("GET /login HTTP/1.1\r\nHost: a b\r\n\r\n", {400}),
        ("GET /login HTTP/1.1\r\n\r\n", {400}),
        ("GET /login HTTP/1.0\r\n\r\n", {200}),
        ("GET /login HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n", {400}),
        ("GET /login HTTP/1.1\r\nHost: x\r\nX-A: a\rb\r\n\r\n", {400}),
        ("GET /login HTTP/1.1\r\nHost: x\r\nX-A: a\r\n b\r\n\r\n", {400}),
        ("POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", {400}),
        ("POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\nhello", {400}),
        ("POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello", {400}),
        ("POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", {400}),
        ("POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         {400}),
        ("POST /login HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    ],
)  # fmt: skip
def test_what_is_no_request_of_ours_is_refused_and_nobody_is_led_elsewhere(edge, raw, expected):
    status, headers, body = asked(edge.server, raw)
    assert status in expected
    assert ELSEWHERE not in headers.get("location", "")
    assert ELSEWHERE.encode() not in body
    if status == 405:
        assert headers["allow"]


def test_both_lengths_at_once_are_read_one_way_and_end_the_connection(edge):
    """RFC 9112, 6.3: chunks count, and nothing that follows on the line is taken for a request."""
    line = Line(
        edge.server,
        "POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n"
        "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    status, headers, body = line.answer()
    line.close()
    assert (status, headers["connection"]) == (403, "close")
    assert b"HTTP/1.1" not in body


# --- the event socket -----------------------------------------------------------------------------


HANDSHAKE = (
    "GET /_event/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nOrigin: {origin}\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n{more}\r\n"
)


def frame(first: int, body: bytes, *, said: int | None = None) -> bytes:
    return struct.pack("!BBQ", first, 0xFF, len(body) if said is None else said) + bytes(4) + body


def open_socket(target: attack.Target, token: str, *, window: int = 0) -> Line:
    """A handshake that is accepted; read up to the first message."""
    more = f"Cookie: {session(token)}\r\n"
    line = Line(target.server, HANDSHAKE.format(origin=target.server.url, more=more), window=window)
    got = b""
    while b'"sid"' not in got:
        part = line.socket.recv(65536)
        assert part, got
        got += part
    assert got.startswith(b"HTTP/1.1 101")
    assert b"sec-websocket-extensions" not in got.lower(), "nothing is ever decompressed"
    return line


@pytest.mark.asvs("4.4.3")
@pytest.mark.parametrize("more", ["", "Cookie: clinic_session=guess\r\n", "Origin: https://evil.example\r\n"])
def test_a_refused_handshake_is_answered_like_any_refused_request(edge, more):
    line = Line(edge.server, HANDSHAKE.format(origin=edge.server.url, more=more))
    line.socket.settimeout(PROMPT)
    got = b""
    while not got.endswith(b"}"):
        got += line.socket.recv(65536)
    line.close()
    status, headers, body = parsed(got)
    assert status == 403
    assert all(name in headers for name in PROTECTING)
    assert "sign" in json.loads(body)["detail"]


def memory(server: Server) -> int:
    """MiB of the server's largest process."""
    assert server._process is not None
    found = []
    for pid in [server._process.pid, *children(server._process.pid)]:
        told = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
        found += [int(line.split()[1]) // 1024 for line in told if line.startswith("VmRSS")]
    return max(found)


def children(pid: int) -> list[int]:
    return [int(number) for number in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


@pytest.mark.asvs("5.2.1")
@pytest.mark.parametrize("how", ["one frame", "many frames"])
def test_a_message_without_end_is_cut_off_and_not_collected(edge, how):
    line = open_socket(edge, edge.sign_in("second"))
    before = memory(edge.server)
    piece = bytes(256 * 1024)
    if how == "one frame":
        line.send(frame(0x82, piece, said=15 * 2**20))
    else:
        line.send(frame(0x02, piece))
    begun = time.monotonic()
    while not line.closed() and time.monotonic() - begun < 20:
        line.socket.settimeout(1)
        line.send(piece if how == "one frame" else frame(0x00, piece))
        time.sleep(0.05)
    assert line.closed()
    line.close()
    assert memory(edge.server) - before < 50
    works(edge.server)


def test_a_person_with_too_many_pages_is_told_so_and_a_new_line_replaces_the_oldest(edge):
    token = edge.sign_in("second")
    opened = [open_socket(edge, token) for _ in range(3)]
    page = httpx.get(f"{edge.server.url}/patients", headers={"Cookie": session(token)})
    assert page.status_code == 429
    assert "Close some of them" in page.text
    assert "retry-after" in page.headers
    another = open_socket(edge, token)
    begun = time.monotonic()
    while not opened[0].closed() and time.monotonic() - begun < 10:
        time.sleep(0.02)
    assert opened[0].closed()
    assert not opened[1].closed()
    assert not another.closed()
    for line in (*opened, another):
        line.close()
    while httpx.get(f"{edge.server.url}/patients", headers={"Cookie": session(token)}).status_code == 429:
        assert time.monotonic() - begun < 20, "a closed page counts no longer"
        time.sleep(0.05)


def test_an_address_with_too_many_pages_is_refused_another_one(edge):
    tokens = [edge.sign_in("second") for _ in range(5)]
    opened = [open_socket(edge, token) for token in tokens for _ in range(2)]
    line = Line(
        edge.server,
        HANDSHAKE.format(origin=edge.server.url, more=f"Cookie: {session(edge.sign_in('second'))}\r\n"),
    )
    line.socket.settimeout(PROMPT)
    got = line.socket.recv(65536)
    for each in (*opened, line):
        each.close()
    status, headers, _ = parsed(got)
    assert (status, headers["retry-after"]) == (429, "10")


# --- cookies ---------------------------------------------------------------------------------------


@pytest.mark.asvs("7.2.1")
@pytest.mark.parametrize(
    "sent",
    ["clinic_session={0}; clinic_session=other", "clinic_session=other; clinic_session={0}", 'clinic_session="{0}"',
     "clinic_session={0}=", "CLINIC_SESSION={0}", "clinic_session= {0}x"],
)  # fmt: skip
def test_a_session_is_named_in_one_way_only_and_pages_and_sockets_agree(edge, sent):
    token = edge.sign_in("second")
    header = sent.format(token)
    page = httpx.get(f"{edge.server.url}/auth/session", headers={"Cookie": header})
    assert page.status_code == 401
    line = Line(edge.server, HANDSHAKE.format(origin=edge.server.url, more=f"Cookie: {header}\r\n"))
    line.socket.settimeout(PROMPT)
    assert line.socket.recv(65536).startswith(b"HTTP/1.1 403")
    line.close()
    twice = f"clinic_session={token}; clinic_session={token}"
    assert httpx.get(f"{edge.server.url}/auth/session", headers={"Cookie": twice}).status_code == 200


def test_the_way_back_is_read_as_it_was_given_and_no_other_way(edge):
    given = httpx.get(f"{edge.server.url}/account").cookies["clinic_way_back"]
    form = {"username": "second", "password": factories.PASSWORD}
    for value, leads in ((given, "/account"), (f"{given}=", "/"), (f"{given[:9]}*{given[9:]}", "/")):
        answer = httpx.post(
            f"{edge.server.url}/login",
            data=form,
            headers={"Cookie": f"clinic_way_back={value}", "Origin": edge.server.url},
        )
        assert (answer.status_code, answer.headers["location"]) == (303, leads)


# --- logs -----------------------------------------------------------------------------------------


@pytest.mark.asvs("16.2.5")
def test_refusals_do_not_fill_the_log(edge):
    seen = len(edge.server.log_text())
    with httpx.Client(base_url=edge.server.url, timeout=PROMPT) as stranger:
        for _ in range(logs.LINES_A_MINUTE + 100):
            stranger.get("/nothing-here")
            stranger.request("TRACE", "/")
    lines = edge.server.log_text()[seen:].count('"request"')
    assert 0 < lines <= 4 * logs.LINES_A_MINUTE, "two kinds, and a minute may end in between"
    assert lines < 2 * logs.LINES_A_MINUTE + 100
