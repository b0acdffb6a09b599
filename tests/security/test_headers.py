"""What every answer carries, and what malformed requests get: from outside, over plain sockets."""

from __future__ import annotations

import re
import socket

import httpx
import pytest

from clinic_app.core import routes
from tests.browser.serving import DEMO_PASSWORD, Server, bound
from tests.browser.sockets import session

PUBLIC = "https://desk.example.org"
PAGES = sorted({"/", "/patients", "/patients/new", "/patients/LMC000001", "/admin/audit"})
DOORS = ["/login", "/patient-portal/login"]  # for nobody signed in
OTHERS = [
    "/nothing",
    "/look.css",
    "/favicon.ico",
    "/healthz",
    "/readyz",
    "/auth/session",
    "/auth/two-factor",
    "/api/v1/docs",
]
OTHERS += ["/api/v1/openapi.json", "/api/v1/patients/", "/api/v1/nothing/", "/_upload", "/ping", "/assets/nothing.js"]


@pytest.fixture(scope="module")
def https(tmp_path_factory):
    """The same clinic as people reach it in production: behind a proxy that brings TLS."""
    server = Server(tmp_path_factory.mktemp("https"), CLINIC_PUBLIC_URL=PUBLIC)
    server.prepare()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def desk(https):
    """A browser of the receptionist's, on a page of ours."""
    with bound(https):
        token = https.open_session("receptionist")
    with httpx.Client(base_url=https.url, headers={"Cookie": f"__Host-{session(token)}", "Origin": PUBLIC}) as client:
        yield client


def cookies_of(answer: httpx.Response) -> dict[str, str]:
    """Each cookie an answer sets: name and its flags, lower case."""
    lines = answer.headers.get_list("set-cookie")
    return {line.partition("=")[0]: line.partition(";")[2].lower() for line in lines}


def _shown(desk: httpx.Client, path: str) -> httpx.Response:
    """The answer to whom it is meant for."""
    return desk.get(path, headers={"Cookie": "x=y"} if path in DOORS else {})


# --- headers ------------------------------------------------------------------------------------------------------


@pytest.mark.asvs("3.4.1", "3.4.3", "3.4.4", "3.4.5", "3.4.6", "3.4.8", "4.1.1")
@pytest.mark.parametrize("path", [*PAGES, *DOORS, *OTHERS])
def test_every_answer_protects_the_browser(desk, path):
    headers = _shown(desk, path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    kind = headers["content-type"]
    assert not kind.startswith("text/") or "charset=utf-8" in kind
    assert not re.search(r"[0-9]+\.[0-9]+", headers.get("server", ""))  # no version
    assert "x-powered-by" not in headers
    assert re.fullmatch(r"[0-9a-f]{16}", headers["x-request-id"])


@pytest.mark.asvs("3.4.3")
@pytest.mark.parametrize("path", [*PAGES, *DOORS])
def test_pages_run_our_scripts_only(desk, path):
    answer = _shown(desk, path)
    given = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert given["object-src"] == given["base-uri"] == given["default-src"] == "'none'"
    assert given["form-action"] == "'self'"
    for source in given["script-src"].split():
        assert source == "'self'" or re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", source), source
    assert not re.search(r"\son[a-z]+\s*=", answer.text)  # no handler in the markup, which the policy would refuse
    for script in re.findall(r"<script[^>]*src=\"([^\"]+)\"", answer.text):
        assert re.match(r"/[^/]", script), script


@pytest.mark.asvs("14.3.2")
@pytest.mark.parametrize("path", [*PAGES, *DOORS, "/auth/session", "/api/v1/patients/", "/api/v1/nothing/", "/healthz"])
def test_nothing_personal_may_be_cached(desk, path):
    assert _shown(desk, path).headers["cache-control"] == "no-store"
    assert desk.get(path).headers["cache-control"] == "no-store"


@pytest.mark.asvs("14.3.2", "8.3.1", "3.5.1")
def test_the_file_of_the_trail_is_for_administrators_from_our_own_page_and_kept_nowhere(https, desk):
    with bound(https):
        admin = {"Cookie": f"__Host-{session(https.open_session('admin'))}"}
    answer = desk.post(routes.AUDIT_EXPORT, headers=admin, data={"action": "SIGNED_IN"})
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(r'attachment; filename="audit-trail-[0-9-]+\.csv"', answer.headers["content-disposition"])
    before = https.audit("AUDIT_EXPORTED")
    assert len(before) == 1
    refused = desk.post(routes.AUDIT_EXPORT)
    assert (refused.status_code, refused.text) == (403, "Only administrators can read the audit trail.")
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        assert desk.post(routes.AUDIT_EXPORT, headers={**admin, **headers}).status_code == 403
    assert httpx.post(https.url + routes.AUDIT_EXPORT, headers=admin).status_code == 403  # no Origin at all
    assert desk.get(routes.AUDIT_EXPORT, headers=admin).status_code in (404, 405)
    assert desk.post(routes.AUDIT_EXPORT, headers=admin, data={"since": "soon"}).status_code == 400
    nobody = desk.post(routes.AUDIT_EXPORT, headers={"Cookie": "x=y"})
    assert (nobody.status_code, nobody.headers["location"]) == (303, "/login")
    assert https.audit("AUDIT_EXPORTED") == before
    https.sql("UPDATE login_sessions SET proved_at = '2020-01-01 00:00:00.000000'")
    stale = desk.post(routes.AUDIT_EXPORT, headers=admin)
    assert (stale.status_code, stale.headers["location"]) == (303, routes.confirm(routes.AUDIT_TRAIL))
    assert https.audit("AUDIT_EXPORTED") == before


@pytest.mark.asvs("3.4.2")
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://desk.example.org.evil.example", PUBLIC])
@pytest.mark.parametrize("path", ["/", "/api/v1/patients/", "/auth/session", "/_event/"])
def test_no_other_origin_is_invited(desk, path, origin):
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-a"}
    for answer in (desk.get(path, headers=asked), desk.options(path, headers=asked)):
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.asvs("5.4.2")
def test_the_name_of_a_file_is_ours_whatever_is_asked_for(https, desk):
    with bound(https):
        admin = {"Cookie": f"__Host-{session(https.open_session('admin'))}"}
    form = {"filename": "../../evil.html", "actor": 'x";filename=evil.html', "patient": "LMC000001"}
    answer = desk.post(f"{routes.AUDIT_EXPORT}?filename=evil.html", headers=admin, data=form)
    assert re.fullmatch(r'attachment; filename="audit-trail-[0-9-]+\.csv"', answer.headers["content-disposition"])


@pytest.mark.asvs("1.2.2")
@pytest.mark.parametrize(
    "target",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/%2f/evil.example", ""],
)
def test_no_address_leads_away_from_us(https, target):
    assert routes.after_confirming(target) == routes.ACCOUNT
    assert not routes.staff_page(target)
    answer = httpx.post(
        https.url + routes.STAFF_SIGN_IN,
        params={"next": target},
        data={"username": "receptionist", "password": DEMO_PASSWORD, "next": target},
        headers={"Origin": PUBLIC},
    )
    assert answer.headers["location"] == routes.RECEPTION


# --- cookies ------------------------------------------------------------------------------------------------------


def _cookie_of(answer):
    return f"__Host-clinic_session={answer.cookies['__Host-clinic_session']}"


@pytest.mark.asvs("3.3.1", "3.3.2", "3.3.3", "3.3.4", "7.2.3")
def test_our_cookies_are_out_of_reach_of_scripts_and_other_sites(https):
    form = {"username": "receptionist", "password": DEMO_PASSWORD}
    answer = httpx.post(https.url + routes.STAFF_SIGN_IN, data=form, headers={"Origin": PUBLIC})
    assert answer.status_code == 303
    page = httpx.get(https.url + routes.STAFF_SIGN_IN)
    noted = httpx.post(https.url + routes.CHANGE_PASSWORD, headers={"Origin": PUBLIC, "Cookie": _cookie_of(answer)})
    set_ones = {**cookies_of(page), **cookies_of(answer), **cookies_of(noted)}
    assert set(set_ones) >= {"__Host-clinic_session", "__Host-clinic_probe", "__Host-clinic_flash"}
    for name, flags in set_ones.items():
        assert name.startswith("__Host-"), name
        parts = {part.strip() for part in flags.split(";")}
        assert {"secure", "httponly", "samesite=strict", "path=/"} <= parts, name
        assert "domain" not in flags, name
    token = re.search(r"__Host-clinic_session=([^;]+)", answer.headers["set-cookie"])[1]
    assert re.fullmatch(r"[A-Za-z0-9_-]{43,}", token)  # 256 bits
    kept = str(https.sql("SELECT * FROM login_sessions"))
    assert token not in kept


@pytest.mark.asvs("3.3.1")
def test_without_the_prefix_a_cookie_counts_for_nothing_under_https(https):
    with bound(https):
        token = https.open_session("receptionist")
    asked = {"Cookie": session(token)}  # what another host of the domain could have set
    assert httpx.get(https.url + routes.SESSION_ALIVE, headers=asked).status_code == 401
    asked = {"Cookie": f"__Host-{session(token)}"}
    assert httpx.get(https.url + routes.SESSION_ALIVE, headers=asked).status_code == 200


@pytest.mark.asvs("7.2.4")
def test_signing_in_makes_a_new_token_and_ends_the_old_one(https):
    form = {"username": "receptionist", "password": DEMO_PASSWORD}
    url, ours = https.url + routes.STAFF_SIGN_IN, {"Origin": PUBLIC}
    planted = {**ours, "Cookie": "__Host-clinic_session=planted-by-somebody-else"}
    first = httpx.post(url, data=form, headers=planted).cookies["__Host-clinic_session"]
    assert first != "planted-by-somebody-else"
    second = httpx.post(url, data=form, headers={**ours, "Cookie": f"__Host-clinic_session={first}"})
    fresh = second.cookies["__Host-clinic_session"]
    assert fresh != first
    alive = [
        httpx.get(https.url + routes.SESSION_ALIVE, headers={"Cookie": f"__Host-clinic_session={token}"}).status_code
        for token in (first, fresh, "planted-by-somebody-else")
    ]
    assert alive == [401, 200, 401]


@pytest.mark.asvs("7.4.1", "14.3.1", "7.4.4")
def test_signing_out_ends_it_on_the_server_and_forgets_in_the_browser(https, desk):
    assert desk.get(routes.SESSION_ALIVE).status_code == 200
    answer = desk.post(routes.SIGN_OUT)
    assert answer.status_code == 303
    assert "max-age=0" in cookies_of(answer)["__Host-clinic_session"]
    assert desk.get(routes.SESSION_ALIVE).status_code == 401  # the cookie, replayed


# --- methods, addresses, sizes ------------------------------------------------------------------------------------


@pytest.mark.asvs("4.1.4", "13.4.4")
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "CONNECTED", "PROPFIND"])
@pytest.mark.parametrize("path", ["/", "/patients", "/login", "/auth/logout", "/api/v1/patients/"])
def test_methods_that_nothing_needs_do_nothing(desk, method, path):
    assert desk.request(method, path).status_code in (400, 404, 405, 501)


@pytest.mark.asvs("3.5.3")
def test_asking_for_a_page_changes_nothing(https, desk):
    quiet = ("audit_events", "audit_head", "login_sessions")
    before = https.dump(but=quiet)
    for path in [*PAGES, *OTHERS, "/auth/logout", "/auth/touch", routes.AUDIT_EXPORT]:
        desk.get(path)
        desk.head(path)
    assert https.dump(but=quiet) == before
    assert desk.get(routes.SESSION_ALIVE).status_code == 200


@pytest.mark.asvs("13.4.1", "13.4.2", "13.4.5", "5.3.2")
@pytest.mark.parametrize(
    "path",
    [
        "/.git/config",
        "/.env",
        "/keys.json",
        "/data/keys.json",
        "/clinic.sqlite3",
        "/data/clinic.sqlite3",
        "/rxconfig.py",
        "/clinic_app/asgi.py",
        "/../../../../etc/passwd",
        "/assets/../../../../etc/passwd",
        "/assets/..%2f..%2f..%2f..%2fetc/passwd",
        "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/assets/%00",
        "/assets/",
        "/docs",
        "/openapi.json",
        "/redoc",
        "/metrics",
        "/debug",
        "/admin",
        "/api/docs",
    ],
)
def test_no_file_and_no_tool_of_ours_lies_open(https, path):
    with socket.create_connection(("127.0.0.1", https.port), timeout=10) as connection:  # httpx would tidy the path
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert int(answer.split(b" ")[1]) in (400, 404), answer[:100]
    for secret in (b"root:", b"[core]", b"pepper", b"SQLite format", b"import os", b"Traceback"):
        assert secret not in answer


@pytest.mark.asvs("2.2.2", "15.3.5")
@pytest.mark.parametrize(
    "raw",
    [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        "POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\nhello",
        "POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nhello",
        "POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\nhello",
        "POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nhello\r\n0\r\n\r\n",
        "POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
        "GET / HTTP/1.1\r\nHost: x\r\nX-A: one\r\n two\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nBad Name: y\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\nHost: x\n\n",
        "GET / HTTP/1.1\r\nHost: x\r\nCookie: " + "a=b; " * 30000 + "\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=range(16),
)
def test_a_request_that_is_none_gets_at_most_a_refusal_and_the_server_lives_on(https, raw):
    marker = "GET /healthz?smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", https.port), timeout=10) as connection:
        connection.settimeout(1)
        answer = b""
        try:
            connection.sendall((raw + marker).encode("latin-1"))
            while part := connection.recv(65536):
                answer += part
        except OSError:
            pass
    assert b"Traceback" not in answer
    if "Content-Length" in raw or "Transfer-Encoding" in raw:
        assert answer.count(b"HTTP/1.1 200") <= 1
        assert b"HTTP/1.1 303" not in answer
    assert httpx.get(https.url + "/healthz").status_code == 200


@pytest.mark.asvs("5.2.1")
@pytest.mark.parametrize("path", ["/login", "/auth/password-strength", "/auth/audit-export", "/api/v1/auth/login/"])
def test_a_body_over_the_limit_is_refused_announced_or_not(https, path):
    ours = {"Origin": PUBLIC, "Content-Type": "application/json"}
    assert httpx.post(https.url + path, content=b"x" * (1024 * 1024 + 1), headers=ours).status_code == 413
    assert httpx.post(https.url + path, content=(b"x" * 65536 for _ in range(17)), headers=ours).status_code == 413


@pytest.mark.asvs("4.1.3", "15.3.4")
def test_headers_of_proxies_are_not_believed(https):
    forged = {
        "Origin": PUBLIC,
        "X-Forwarded-For": "198.51.100.9",
        "X-Real-IP": "198.51.100.9",
        "Forwarded": "for=198.51.100.9",
    }
    forged |= {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "Host": "evil.example"}
    answer = httpx.post(https.url + routes.STAFF_SIGN_IN, data={"username": "forger", "password": "x"}, headers=forged)
    assert answer.status_code == 400
    assert "evil.example" not in answer.text
    page = httpx.get(https.url + routes.STAFF_SIGN_IN, headers=forged)
    assert "secure" in cookies_of(page)["__Host-clinic_probe"]
    sent_on = httpx.post(https.url + routes.SIGN_OUT, headers=forged)
    assert sent_on.headers["location"] == "/login"  # no host of anybody's choosing
    (address,) = https.sql(
        "SELECT address FROM audit_events WHERE action = 'SIGN_IN_FAILED' ORDER BY seq DESC LIMIT 1"
    )[0]
    assert address == "127.0.0.1"


@pytest.mark.asvs("16.4.1")
@pytest.mark.parametrize("asked", ["short", "has space 12345", "a" * 41, "<script>alert(1)</script>", "ümläut-12345"])
def test_a_request_id_of_the_callers_is_taken_only_if_it_is_one(https, asked):
    answer = httpx.get(https.url + "/healthz", headers={"X-Request-ID": asked.encode()})
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])
    kept = httpx.get(https.url + "/healthz", headers={"X-Request-ID": "trace-12345678"})
    assert kept.headers["x-request-id"] == "trace-12345678"


@pytest.mark.asvs("16.5.1", "13.4.2")
def test_a_failure_says_nothing_of_its_inside(https):
    https.sql("ALTER TABLE sign_in_limits RENAME TO gone")
    try:
        form = {"username": "receptionist", "password": DEMO_PASSWORD}
        answer = httpx.post(https.url + routes.STAFF_SIGN_IN, data=form, headers={"Origin": PUBLIC})
    finally:
        https.sql("ALTER TABLE gone RENAME TO sign_in_limits")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["detail"] == f"Please try again. Reference: {answer.headers['x-request-id']}"
    assert not re.search(r"sqlite|sign_in_limits|Traceback|\.py", answer.text, re.I)
    line = next(line for line in https.log_text().splitlines() if answer.headers["x-request-id"] in line)
    assert '"failed"' in line
    assert DEMO_PASSWORD not in https.log_text()
