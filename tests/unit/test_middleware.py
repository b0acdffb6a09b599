"""The outermost layer: headers, sizes, cookies as hashes, origins, failures without internals."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import logging

import pytest
import structlog

from clinic_app.core import context, cookies, crypto, logs, metrics
from clinic_app.core.settings import get_settings
from clinic_app.web import event_socket, middleware, refusals, security_headers

SCRIPT = "console.log('hello')"
SESSION = "clinic_session"


@pytest.fixture
def built(tmp_path, settings):
    """A finished build of one page with one inline script."""
    client = tmp_path / "build" / "client"
    client.mkdir(parents=True)
    page = f"<html><script>{SCRIPT}</script><script src='/x.js'></script></html>"
    (client / "index.html").write_text(page)
    settings.setenv("REFLEX_WEB_WORKDIR", str(tmp_path))
    settings.setenv("CLINIC_PORT", "4400")
    get_settings.cache_clear()
    return client


@pytest.fixture
def logged():
    """What the server logs during a test, set up as it is in production: the lines, when called."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure("INFO")
    written = io.StringIO()
    root.handlers[0].setStream(written)

    def lines():
        found = [json.loads(line) for line in written.getvalue().splitlines()]
        written.seek(written.truncate(0))
        return found

    yield lines
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def answering(status=200, content_type="text/html; charset=utf-8", body=b"ok", headers=()):
    """An application that always answers the same."""

    async def app(scope, receive, send):
        sent = [(b"content-type", content_type.encode()), *headers]
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": body})

    return app


async def ask(app, path="/", method="GET", headers=None, chunks=(b"",), query=b"", client=("203.0.113.7", 5)):
    """Send one request through ``harden(app)``; returns status, headers and body."""
    if len(chunks) > 1:
        headers = {"Transfer-Encoding": "chunked", **(headers or {})}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()],
        "client": client,
    }
    parts = [{"type": "http.request", "body": c, "more_body": i < len(chunks) - 1} for i, c in enumerate(chunks)]
    sent = []

    async def receive():
        return parts.pop(0) if parts else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    await middleware.harden(app, app)(scope, receive, send)
    starts = [message for message in sent if message["type"] == "http.response.start"]
    assert len(starts) == 1, "exactly one answer"
    body = b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")
    names = [name.decode().lower() for name, _ in starts[0]["headers"]]
    assert len(names) == len(set(names)), "no header twice"
    return starts[0]["status"], {k.decode(): v.decode() for k, v in starts[0]["headers"]}, body


def directives(headers):
    return {part.split(" ")[0]: part.split(" ")[1:] for part in headers["content-security-policy"].split("; ")}


# --- headers --------------------------------------------------------------------------------------


async def test_pages_get_a_policy_of_script_hashes(built):
    _, headers, _ = await ask(answering())
    found = directives(headers)
    expected = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    assert found["script-src"] == ["'self'", f"'sha256-{expected}'"]
    assert found["default-src"] == ["'none'"]
    assert found["frame-ancestors"] == ["'none'"]
    assert found["base-uri"] == ["'none'"]
    assert found["form-action"] == ["'self'"]
    assert "ws://localhost:4400" in found["connect-src"]
    assert "unsafe-eval" not in headers["content-security-policy"]


async def test_without_a_build_it_refuses_to_start_in_one_sentence(built):
    (built / "index.html").unlink()
    with pytest.raises(RuntimeError, match=r"^The pages have not been built: run `python -m clinic_app build`\.$"):
        middleware.harden(answering(), answering())


async def test_every_answer_carries_the_protecting_headers(built):
    _, headers, _ = await ask(answering(404, "application/json"), "/api/v1/nothing/")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert "clipboard" not in headers["permissions-policy"]  # the copy buttons need it
    assert headers["content-security-policy"] == security_headers.NOTHING.decode()
    assert "strict-transport-security" not in headers


async def test_https_is_remembered_where_it_is_used(built, settings):
    settings.setenv("CLINIC_PUBLIC_URL", "https://desk.example.org")
    get_settings.cache_clear()
    _, headers, _ = await ask(answering())
    assert headers["strict-transport-security"].startswith("max-age=31536000")
    assert "wss://desk.example.org" in directives(headers)["connect-src"]


async def test_headers_of_the_application_are_replaced_not_doubled(built):
    loose = [(b"Content-Security-Policy", b"default-src *"), (b"X-Request-ID", b"theirs"), (b"x-other", b"kept")]
    _, headers, _ = await ask(answering(headers=loose))
    assert directives(headers)["default-src"] == ["'none'"]
    assert headers["x-other"] == "kept"


async def test_no_other_origin_is_invited(built):
    loose = [(b"Access-Control-Allow-Origin", b"*"), (b"access-control-allow-credentials", b"true")]
    _, headers, _ = await ask(answering(headers=loose))
    assert not [name for name in headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    ("path", "status", "content_type", "expected"),
    [
        ("/", 200, "text/html", "no-store"),
        ("/patients/LMC000001", 200, "text/html; charset=utf-8", "no-store"),
        ("/api/v1/patients/", 200, "application/json", "no-store"),
        ("/auth/session", 200, "application/json", "no-store"),
        ("/healthz", 200, "application/json", "no-store"),
        ("/assets/root-abc.js", 200, "text/javascript", "public, max-age=31536000, immutable"),
        ("/assets/gone.js", 404, "text/html", "no-store"),
        ("/assets/gone.js", 404, "text/javascript", "no-store"),
        ("/look.css", 200, "text/css", "no-cache"),
    ],
)
async def test_what_may_be_cached(built, path, status, content_type, expected):
    _, headers, _ = await ask(answering(status, content_type), path)
    assert headers["cache-control"] == expected


# --- request id and context -----------------------------------------------------------------------


@pytest.mark.parametrize("given", ["abcdefgh", "A-b_9" * 8])
async def test_a_request_id_of_the_right_shape_is_taken_over(built, given):
    _, headers, _ = await ask(answering(), headers={"X-Request-ID": given})
    assert headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["short", "x" * 41, "has space in", "line\nbreak1", "ünicodé-id"])
async def test_any_other_request_id_is_replaced(built, given):
    _, headers, _ = await ask(answering(), headers={"X-Request-ID": given})
    assert headers["x-request-id"] != given
    assert len(headers["x-request-id"]) == 16


@pytest.mark.parametrize(("path", "source"), [("/api/v1/patients/", "api"), ("/login", "page"), ("/apiary", "page")])
async def test_services_learn_where_a_request_came_from(built, path, source):
    seen = []

    async def app(scope, receive, send):
        seen.append(await asyncio.to_thread(context.current))
        await answering()(scope, receive, send)

    _, headers, _ = await ask(app, path, headers={"User-Agent": "u" * 300, "X-Forwarded-For": "198.51.100.9"})
    assert seen[0] == context.RequestContext(source, "203.0.113.7", "u" * 200, headers["x-request-id"])
    assert context.current().source == "system"


# --- what is off, too large, or failing ------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/_upload", "/_upload/x", "/ping", "/_health", "/_all_routes", "/auth-codespace", "/_event/"]
)
async def test_spare_endpoints_do_not_exist(built, path):
    status, headers, _ = await ask(answering(), path)
    assert status == 404
    assert "x-request-id" in headers


async def test_names_that_only_begin_alike_do_exist(built):
    status, _, _ = await ask(answering(), "/pingpong")
    assert status == 200


async def reading(scope, receive, send):
    """Reads the whole body, as a framework would, and hides trouble with it."""
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            await answering(400, "application/json", b'{"detail": "bad body"}')(scope, receive, send)
            return
        size += len(message["body"])
        if not message["more_body"]:
            await answering(200, "application/json", str(size).encode())(scope, receive, send)
            return


async def test_a_body_of_one_mebibyte_is_read(built):
    half = b"x" * (refusals.BODY_LIMIT // 2)
    status, _, body = await ask(reading, "/api/v1/x", "POST", chunks=(half, half))
    assert (status, body) == (200, str(refusals.BODY_LIMIT).encode())


async def test_a_larger_body_is_refused_while_it_arrives(built):
    half = b"x" * (refusals.BODY_LIMIT // 2)
    status, headers, body = await ask(reading, "/api/v1/x", "POST", chunks=(half, half, b"x"))
    assert status == 413
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["success"] is False


async def test_a_larger_body_is_refused_before_it_is_read(built):
    asked = []

    async def never(scope, receive, send):
        asked.append(scope)

    status, _, _ = await ask(never, "/api/v1/x", "POST", {"Content-Length": str(refusals.BODY_LIMIT + 1)})
    assert status == 413
    assert asked == []


async def broken(scope, receive, send):
    raise ValueError("patient Achieng, national ID 12345678")


async def test_a_failure_says_nothing_of_its_cause(built, logged):
    status, headers, body = await ask(broken, "/api/v1/patients/")
    said = json.loads(body)
    assert status == 500
    assert said["success"] is False
    assert headers["x-request-id"] in said["detail"]
    lines = logged()
    failure = next(line for line in lines if line["event"] == "failed")
    assert failure["error"] == "ValueError"
    assert failure["request_id"] == headers["x-request-id"]
    assert "test_middleware.py" in failure["at"]
    assert "Achieng" not in body.decode() + json.dumps(lines)


async def test_a_frameworks_own_failure_page_is_replaced(built):
    async def framework(scope, receive, send):
        await answering(500, "text/plain", b"Internal Server Error: Achieng")(scope, receive, send)
        raise ValueError("Achieng")

    status, headers, body = await ask(framework)
    assert status == 500
    assert headers["content-type"] == "application/json"
    assert b"Achieng" not in body


async def test_the_apis_own_words_about_a_failure_are_kept(built):
    async def api(scope, receive, send):
        await answering(500, "application/json", b'{"error": "Failed to create patient"}')(scope, receive, send)
        raise ValueError

    status, _, body = await ask(api, "/api/v1/patients/")
    assert (status, json.loads(body)) == (500, {"error": "Failed to create patient"})


async def test_a_500_without_an_exception_is_passed_on(built):
    status, headers, body = await ask(answering(500, "application/json", b'{"error": "said so"}'), "/api/v1/x")
    assert (status, body) == (500, b'{"error": "said so"}')
    assert headers["x-content-type-options"] == "nosniff"


async def test_the_access_log_has_no_query(built, logged):
    await ask(answering(), "/api/v1/patients/LMC000001/", query=b"search=Achieng", headers={"User-Agent": "Nokia"})
    (line,) = logged()
    assert line["event"] == "request"
    assert line["path"] == "/api/v1/patients/…/"
    assert line["method"] == "GET"
    assert line["status"] == 200
    assert line["source"] == "api"
    assert 0 <= line["seconds"] < 5
    assert not {"Achieng", "203.0.113.7", "Nokia"} & {str(value) for value in line.values()}


async def test_files_are_not_logged_unless_they_are_missing(built, logged):
    for path in ("/assets/root-abc.js", "/copy.js", "/fonts/atkinson-next-latin.woff2"):
        await ask(answering(200, "text/javascript"), path)
    assert logged() == []
    await ask(answering(404, "text/html"), "/assets/gone.js")
    assert [line["status"] for line in logged()] == [404]


# --- the event socket -----------------------------------------------------------------------------


async def connect(headers, messages=(), path="/_event/", app=None, client=("203.0.113.7", 5)):
    """Open a socket through the outermost layer; returns what the browser gets, and the scope the application saw."""
    incoming = [{"type": "websocket.connect"}, *messages]
    sent, seen = [], []

    async def echo(scope, receive, send):
        seen.append(scope)
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        while (await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": "got it"})
        await send({"type": "websocket.send", "text": "too late"})

    async def receive():
        return incoming.pop(0) if incoming else {"type": "websocket.disconnect", "code": 1000}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": path,
        "headers": [(k.lower().encode(), v.encode()) for k, v in headers],
        "client": client,
    }
    await middleware.harden(app or echo, app or echo)(scope, receive, send)
    return sent, seen[0] if seen else None


OWN = ("Origin", "http://localhost:4400")


@pytest.mark.parametrize("origin", ["http://localhost:4400", "http://127.0.0.1:4400"])
async def test_our_own_pages_may_connect(built, origin):
    sent, _ = await connect([("Origin", origin)])
    assert sent[0] == {"type": "websocket.accept"}


@pytest.mark.asvs("4.4.2")
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Origin", "null")],
        [("Origin", "")],
        [("Origin", "http://localhost:4401")],
        [("Origin", "https://localhost:4400")],
        [("Origin", "http://localhost:4400.evil.example")],
        [("Origin", "http://evil.example")],
        [OWN, ("Origin", "http://evil.example")],
    ],
)
async def test_nobody_else_may(built, headers):
    sent, seen = await connect(headers)
    assert sent == [{"type": "websocket.close", "code": 1008}]
    assert seen is None


async def test_a_public_address_shuts_out_this_machines_own_names(built, settings):
    settings.setenv("CLINIC_PUBLIC_URL", "https://desk.example.org")
    get_settings.cache_clear()
    assert (await connect([OWN]))[1] is None
    assert (await connect([("Origin", "https://desk.example.org")]))[1] is not None


async def test_sockets_on_other_paths_are_refused(built):
    assert (await connect([OWN], path="/_eventually"))[1] is None


@pytest.mark.asvs("4.4.3", "7.2.2")
async def test_reflex_sees_our_cookies_as_hashes_and_no_others(built):
    cookie = f"{SESSION}=secret-token; {cookies.flash_name()}=note; tracker=1; {cookies.ADDRESS}=198.51.100.66"
    _, seen = await connect([OWN, ("Cookie", cookie), ("Cookie", f"{cookies.ADDRESS}=198.51.100.67")])
    lines = [value.decode() for name, value in seen["headers"] if name == b"cookie"]
    assert len(lines) == 1
    assert cookies.parse(lines[0]) == {
        SESSION: crypto.digest("secret-token"),
        cookies.flash_name(): crypto.digest("note"),
        cookies.ADDRESS: "203.0.113.7",
    }
    assert "secret-token" not in repr(seen)


async def test_two_different_cookies_with_one_name_are_no_session_to_sockets(built):
    twice = [("Cookie", f"{SESSION}=mine"), ("Cookie", f"tracker=1; {SESSION}=planted")]
    _, seen = await connect([OWN, *twice])
    (line,) = [value.decode() for name, value in seen["headers"] if name == b"cookie"]
    assert SESSION not in cookies.parse(line)


async def test_the_address_behind_a_trusted_proxy_is_passed_on(built, settings):
    settings.setenv("CLINIC_TRUSTED_PROXY_HOPS", "1")
    get_settings.cache_clear()
    _, seen = await connect([OWN, ("X-Forwarded-For", "198.51.100.66, 192.0.2.4")], client=("10.0.0.1", 5))
    lines = [value.decode() for name, value in seen["headers"] if name == b"cookie"]
    assert cookies.parse(lines[0]) == {cookies.ADDRESS: "192.0.2.4"}


def text(content):
    return {"type": "websocket.receive", "text": content}


async def test_messages_up_to_the_limit_pass(built):
    sent, _ = await connect([OWN], [text("x" * event_socket.SOCKET_LIMIT)])
    assert {"type": "websocket.send", "text": "got it"} in sent


@pytest.mark.parametrize(
    "message",
    [
        text("x" * (event_socket.SOCKET_LIMIT + 1)),
        text("ü" * (event_socket.SOCKET_LIMIT // 2 + 1)),
        {"type": "websocket.receive", "bytes": b"x" * (event_socket.SOCKET_LIMIT + 1)},
    ],
)
async def test_a_longer_message_ends_the_connection(built, message):
    sent, _ = await connect([OWN], [message, text("more")])
    assert sent == [{"type": "websocket.accept"}, {"type": "websocket.close", "code": 1009}]


async def test_requests_are_counted_by_what_answers_and_never_by_their_address(built):
    metrics.begin_anew()
    for path in ("/assets/look-LMC000123.css", "/patients/LMC000123"):
        await ask(answering(content_type="text/css"), path)
    text = metrics.page({}).decode()
    for route in ("file", "none"):
        assert f'clinic_requests_total{{method="GET",route="{route}",status="200"}} 1.0' in text
    assert "LMC" not in text
