"""One request and its answer: sizes, protecting headers, failures without internals, one line in the log."""

from __future__ import annotations

import json
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clinic_app.core import context, logs
from clinic_app.core.addresses import client_address
from clinic_app.core.settings import Settings
from clinic_app.web import security_headers
from clinic_app.web.event_socket import SOCKET

BODY_LIMIT = 1024 * 1024  # bytes in one request
#: Reflex's own endpoints that nothing of ours needs. ``/_upload`` knows its caller by the tab token alone;
#: ``/ping`` and ``/_health`` are replaced by ``/healthz`` and ``/readyz``; plain HTTP on the socket's path is
#: long polling, where Reflex would see the raw cookie.
OFF = ("/_upload", "/ping", "/_health", "/_all_routes", "/auth-codespace", SOCKET)
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,40}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_log = logs.get("access")


class Exchange:
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

    async def run(self, app: ASGIApp, settings: Settings) -> None:
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

    async def _answer(self, app: ASGIApp) -> None:
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


def _header(scope: Scope, name: bytes) -> str:
    for key, value in scope["headers"]:
        if key == name:
            return value.decode("latin-1")
    return ""


def _content_type(message: Message) -> bytes:
    for name, value in message.get("headers", ()):
        if name.lower() == b"content-type":
            return value.lower()
    return b""


def _problem(error: str, detail: str) -> bytes:
    return json.dumps({"success": False, "error": error, "detail": detail}).encode()
