"""One request and its answer: limits, protecting headers, failures without internals, one line in the log."""

from __future__ import annotations

import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clinic_app.core import context, logs, metrics, outage
from clinic_app.core.addresses import client_address
from clinic_app.core.settings import Settings
from clinic_app.web import dead_ends, refusals, security_headers
from clinic_app.web.admission import Admission
from clinic_app.web.arrivals import Arrivals
from clinic_app.web.event_socket import SOCKET
from clinic_app.web.refusals import Refusal, Refused
from clinic_app.web.turns import Turns

#: Reflex's own endpoints that nothing of ours needs. ``/_upload`` knows its caller by the tab token alone;
#: ``/ping`` and ``/_health`` are replaced by ``/healthz`` and ``/readyz``; plain HTTP on the socket's path is
#: long polling, where Reflex would see the raw cookie.
OFF = ("/_upload", "/ping", "/_health", "/_all_routes", "/auth-codespace", SOCKET)
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,40}")
_log = logs.get("access")
#: What figures call a file of the pages, and what no route answered.
FILE, NOTHING = "file", "none"


class Exchange:
    """One request and its answer."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, page_policy: bytes, fixed: list[tuple[bytes, bytes]]
    ) -> None:
        self.scope, self._receive, self._send = scope, receive, send
        self._page_policy, self._fixed = page_policy, fixed
        self.path: str = scope["path"]
        self.request_id = request_id(scope)
        self.status = 0  # 0: nothing sent yet
        self._named: list[str] = []  # by what answers, where that is no route of the web's
        self._held: list[Message] = []  # an answer 500, until it is known who made it

    async def run(
        self, app: ASGIApp, settings: Settings, arrivals: Arrivals, turns: Turns, admission: Admission
    ) -> None:
        """Answer with what ``app`` says, or with a plain refusal or failure of our own.

        ``app`` hears of a request when it has arrived whole.
        """
        started = time.perf_counter()
        self.scope[metrics.ROUTE] = self._named
        here = context.RequestContext(
            source="api" if self._of_the_api() else "page",
            address=client_address(self.scope, settings.trusted_proxy_hops),
            user_agent=_header(self.scope, b"user-agent")[:200],
            request_id=self.request_id,
        )
        with context.use(here):
            try:
                self._look_at_it()
                async with arrivals.whole(self.scope, self._receive, here.address, settings.body_seconds) as body:
                    if body is not None:
                        async with turns.turn(self.scope) as turn:
                            with admission.admitted(here.address):
                                await self._answer(app, body)
                            turn.too_many = self.status == 429
            except Refused as refused:
                await self._refuse(refused.refusal)
            finally:
                seconds = time.perf_counter() - started
                self._count(seconds)
                self._log(seconds)

    def _of_the_api(self) -> bool:
        return self.path == "/api" or self.path.startswith("/api/")

    def _look_at_it(self) -> None:
        refusal = refusals.at_first_sight(self.scope)
        if refusal is None and any(self.path == off or self.path.startswith(off + "/") for off in OFF):
            refusal = refusals.NOT_FOUND
        if refusal is not None:
            raise Refused(refusal)

    async def _answer(self, app: ASGIApp, body: bytes) -> None:
        told = False

        async def arrived() -> Message:
            nonlocal told
            if told:
                return await self._receive()  # whether the caller has left
            told = True
            return {"type": "http.request", "body": body, "more_body": False}

        try:
            await app(self.scope, arrived, self._outgoing)
        except Exception as error:  # noqa: BLE001  the last net: a caller never sees a traceback
            await self._failed(error)
        if self._held:
            await self._release()

    async def _failed(self, error: Exception) -> None:
        """Say 500 without internals, unless an error handler of the API has put its own words together.

        A page for people. 503 while the database is away, wherever that was noticed.
        """
        if self._held and _content_type(self._held[0]).startswith(b"application/json"):
            await self._release()
            return
        logs.failure(error, f"http {self.scope['method'][:10]}")
        self._held.clear()
        if self.status != 0:
            return
        if outage.database_is_away(error):
            await self._refuse(refusals.DATABASE_AWAY)
        else:
            detail = f"Please try again. Reference: {self.request_id}"
            await self._refuse(Refusal(500, "Something went wrong", detail))

    async def _outgoing(self, message: Message) -> None:
        """Hand an answer on, dressed; hold back a 500."""
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
        found = [
            (name, value) for name, value in theirs if name not in names and not name.startswith(b"access-control-")
        ] + ours
        if message["status"] == 503 and all(name != b"retry-after" for name, _ in found):
            found.append((b"retry-after", str(dead_ends.LATER).encode()))  # whoever said so, and in whatever words
        return found

    async def _refuse(self, refusal: Refusal) -> None:
        """Say no: a page for people, JSON for programs. What has not been read of a body stays unread."""
        if not self._of_the_api() and "text/html" in _header(self.scope, b"accept"):
            page = dead_ends.refused(self.path, refusal.status, refusal.title, refusal.detail)
            await self._reply(refusal.status, bytes(page.body), b"text/html; charset=utf-8", refusal.headers)
        else:
            await self._reply(refusal.status, refusal.json(), headers=refusal.headers)

    async def _reply(
        self,
        status: int,
        body: bytes,
        content_type: bytes = b"application/json",
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        told = [(b"content-type", content_type), (b"content-length", str(len(body)).encode()), *headers]
        await self._pass_on({"type": "http.response.start", "status": status, "headers": told})
        await self._pass_on({"type": "http.response.body", "body": b"" if self.scope["method"] == "HEAD" else body})

    def _count(self, seconds: float) -> None:
        """Count the request, by the template of what answered: nothing of the address that was asked for."""
        method, file = self.scope["method"], "." in self.path.rpartition("/")[2] and 0 < self.status < 400
        route = self._named[-1] if self._named else getattr(self.scope.get("route"), "path", "")
        route = route or (FILE if file else NOTHING)
        metrics.count(metrics.REQUESTS, method if method in refusals.METHODS else "OTHER", route, str(self.status))
        metrics.observe(metrics.REQUEST_SECONDS, seconds, route)

    def _log(self, seconds: float) -> None:
        """One line a request: never its query, which may hold a search term. Files are left out.

        Of what leads nowhere, and strangers can ask for as often as they like, only so many lines a minute.
        """
        if self.status < 400 and "." in self.path.rpartition("/")[2]:
            return
        if not 200 <= self.status < 300 and not logs.allows(f"request {self.status}"):
            return
        method = self.scope["method"]
        _log.info(
            "request",
            method=method if method in refusals.METHODS else "OTHER",
            path=self.path[:120],
            status=self.status,
            seconds=round(seconds, 4),
        )


def request_id(scope: Scope) -> str:
    """What one request is called in answers and logs: the caller's name for it if it is one, else one of ours."""
    asked = _header(scope, b"x-request-id")
    return asked if _REQUEST_ID.fullmatch(asked) else context.new_request_id()


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
