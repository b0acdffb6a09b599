"""The outermost layer: whatever reaches Reflex or the API passes here first, and every answer last."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from clinic_app.core import context, cookies, crypto, logs
from clinic_app.core.addresses import allowed_origins, client_address
from clinic_app.core.settings import Settings, get_settings
from clinic_app.web import security_headers

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SOCKET = "/_event"
SOCKET_LIMIT = 64 * 1024  # bytes in one message from a page
BODY_LIMIT = 1024 * 1024  # bytes in one request
#: Reflex's own endpoints that nothing of ours needs. ``/_upload`` knows its caller by the tab token alone;
#: ``/ping`` and ``/_health`` are replaced by ``/healthz`` and ``/readyz``; plain HTTP on the socket's path is
#: long polling, where Reflex would see the raw cookie.
OFF = ("/_upload", "/ping", "/_health", "/_all_routes", "/auth-codespace", SOCKET)
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,40}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_log = logs.get("access")


def harden(app: App, api: App) -> App:
    """Put this layer around ``app``, Reflex's with the pages, and ``api``, which gets what asks for ``/api/…``.

    Raises ``RuntimeError`` with one sentence if the pages have not been built.
    """
    settings = get_settings()
    page_policy = security_headers.page_policy(
        settings, security_headers.inline_script_hashes(security_headers.built_pages())
    )
    fixed = security_headers.fixed_headers(settings)
    origins = frozenset(origin.encode() for origin in allowed_origins(settings))

    async def edge(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            inner = api if scope["path"].startswith("/api/") else app
            await _Exchange(scope, receive, send, page_policy, fixed).run(inner, settings)
        elif scope["type"] == "websocket":
            await _socket(app, scope, receive, send, origins, settings.trusted_proxy_hops)
        else:
            await app(scope, receive, send)

    return edge


def _header(scope: Scope, name: bytes) -> str:
    for key, value in scope["headers"]:
        if key == name:
            return value.decode("latin-1")
    return ""


def _sent_cookies(scope: Scope) -> dict[str, str]:
    lines = (value.decode("latin-1") for key, value in scope["headers"] if key == b"cookie")
    return cookies.parse("; ".join(lines))


# --- the event socket -----------------------------------------------------------------------------


def _without_secrets(scope: Scope, hops: int) -> Scope:
    """``scope`` as Reflex may keep it: our two cookies as hashes, the caller's address, no other cookie."""
    sent = _sent_cookies(scope)
    kept = {
        name: crypto.digest(sent[name]) for name in (cookies.session_name(), cookies.flash_name()) if sent.get(name)
    }
    kept[cookies.ADDRESS] = client_address(scope, hops)
    headers = [(key, value) for key, value in scope["headers"] if key != b"cookie"]
    headers.append((b"cookie", "; ".join(f"{name}={value}" for name, value in kept.items()).encode()))
    return {**scope, "headers": headers}


async def _refuse_socket(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 1008})


async def _socket(app: App, scope: Scope, receive: Receive, send: Send, origins: frozenset[bytes], hops: int) -> None:
    """Let in pages of ours only: Reflex refuses a foreign ``Origin``, but not a missing one."""
    sent = [value for key, value in scope["headers"] if key == b"origin"]
    here = scope["path"] == SOCKET or scope["path"].startswith(SOCKET + "/")
    if not here or len(sent) != 1 or sent[0] not in origins:
        await _refuse_socket(receive, send)
        return
    closed = False

    async def measured() -> Message:
        nonlocal closed
        message = await receive()
        if message["type"] == "websocket.receive" and _too_long(message):
            closed = True
            await send({"type": "websocket.close", "code": 1009})
            return {"type": "websocket.disconnect", "code": 1009}
        return message

    async def unless_closed(message: Message) -> None:
        if not closed:
            await send(_sendable(message))

    await app(_without_secrets(scope, hops), measured, unless_closed)


def _too_long(message: Message) -> bool:
    text, data = message.get("text"), message.get("bytes")
    if text is not None:  # encoding is needed only where characters may be wider than a byte
        return len(text) > SOCKET_LIMIT or (len(text) * 4 > SOCKET_LIMIT and len(text.encode()) > SOCKET_LIMIT)
    return data is not None and len(data) > SOCKET_LIMIT


def _sendable(message: Message) -> Message:
    """``message`` without halves of surrogate pairs, which clients can send as JSON escapes but no frame can hold."""
    text = message.get("text")
    if text is None or text.isascii():
        return message
    try:
        text.encode()
    except UnicodeEncodeError:
        return {**message, "text": text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")}
    return message


# --- requests -------------------------------------------------------------------------------------


def _problem(error: str, detail: str) -> bytes:
    return json.dumps({"success": False, "error": error, "detail": detail}).encode()


class _Exchange:
    """One request and its answer."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, page_policy: bytes, fixed: list[tuple[bytes, bytes]]
    ) -> None:
        self.scope, self._receive, self._send = scope, receive, send
        self._page_policy, self._fixed = page_policy, fixed
        self.path: str = scope["path"]
        asked = _header(scope, b"x-request-id")
        self.request_id = asked if _REQUEST_ID.fullmatch(asked) else context.new_request_id()
        self.status = 0  # 0: nothing sent yet
        self._held: list[Message] = []  # an answer 500, until it is known who made it
        self._received = 0
        self._too_large = False

    async def run(self, app: App, settings: Settings) -> None:
        """Answer with what ``app`` says, or with a plain refusal or failure of our own."""
        started = time.perf_counter()
        here = context.RequestContext(
            source="api" if self.path == "/api" or self.path.startswith("/api/") else "page",
            address=client_address(self.scope, settings.trusted_proxy_hops),
            user_agent=_header(self.scope, b"user-agent")[:200],
            request_id=self.request_id,
        )
        with context.use(here):
            try:
                await self._answer(app)
            finally:
                self._log(time.perf_counter() - started)

    async def _answer(self, app: App) -> None:
        if any(self.path == off or self.path.startswith(off + "/") for off in OFF):
            await self._reply(404, b'{"detail": "Not found."}')
            return
        length = _header(self.scope, b"content-length")
        if length.isdigit() and int(length) > BODY_LIMIT:
            await self._reply_too_large()
            return
        try:
            await app(self.scope, self._counted, self._outgoing)
        except Exception as error:  # noqa: BLE001  the last net: a caller never sees a traceback
            if not self._too_large:
                await self._failed(error)
        if self._too_large and self.status == 0:
            await self._reply_too_large()
        elif self._held:
            await self._release()

    async def _failed(self, error: Exception) -> None:
        """Say 500 without internals, unless an error handler of the API has put its own words together."""
        if self._held and _content_type(self._held[0]).startswith(b"application/json"):
            await self._release()
            return
        logs.failure(error, f"http {self.scope['method'][:10]}")
        self._held.clear()
        if self.status == 0:
            detail = f"Please try again. Reference: {self.request_id}"
            await self._reply(500, _problem("Something went wrong.", detail))

    async def _counted(self) -> Message:
        if self._too_large:
            return {"type": "http.disconnect"}
        message = await self._receive()
        self._received += len(message.get("body", b""))
        if self._received > BODY_LIMIT:
            self._too_large = True
            return {"type": "http.disconnect"}
        return message

    async def _outgoing(self, message: Message) -> None:
        """Hand an answer on, dressed; hold back a 500, and drop what follows an answer of our own."""
        if self._too_large and self.status == 0:
            return
        if self._held or (message["type"] == "http.response.start" and message["status"] == 500):
            self._held.append(message)
        else:
            await self._pass_on(message)

    async def _release(self) -> None:
        held, self._held = self._held, []
        for message in held:
            await self._pass_on(message)

    async def _pass_on(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": self._dressed(message)}
        await self._send(message)

    def _dressed(self, message: Message) -> list[tuple[bytes, bytes]]:
        html = _content_type(message).startswith(b"text/html")
        ours = [
            *self._fixed,
            (b"content-security-policy", self._page_policy if html else security_headers.NOTHING),
            (b"cache-control", security_headers.cache_control(self.path, message["status"], html)),
            (b"x-request-id", self.request_id.encode()),
        ]
        names = {name for name, _ in ours}
        theirs = ((name.lower(), value) for name, value in message.get("headers", ()))
        # Reflex invites its allowed origins to ask from elsewhere. Pages and API share one origin: nobody needs it.
        return [
            (name, value) for name, value in theirs if name not in names and not name.startswith(b"access-control-")
        ] + ours

    async def _reply_too_large(self) -> None:
        detail = f"A request may hold at most {BODY_LIMIT // 1024} KiB."
        await self._reply(413, _problem("Request too large", detail))

    async def _reply(self, status: int, body: bytes) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self._pass_on({"type": "http.response.start", "status": status, "headers": headers})
        await self._pass_on({"type": "http.response.body", "body": b"" if self.scope["method"] == "HEAD" else body})

    def _log(self, seconds: float) -> None:
        """One line a request: never its query, which may hold a search term. Files are left out."""
        if self.status < 400 and "." in self.path.rpartition("/")[2]:
            return
        method = self.scope["method"]
        _log.info(
            "request",
            method=method if method in _METHODS else "OTHER",
            path=self.path[:120],
            status=self.status,
            seconds=round(seconds, 4),
        )


def _content_type(message: Message) -> bytes:
    for name, value in message.get("headers", ()):
        if name.lower() == b"content-type":
            return value.lower()
    return b""
