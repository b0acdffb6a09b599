"""The outermost layer: whatever reaches Reflex or the API passes here first, and every answer last."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from clinic_app.core.addresses import allowed_origins
from clinic_app.core.settings import get_settings
from clinic_app.web import event_socket, exchange, security_headers
from clinic_app.web.admission import Admission
from clinic_app.web.arrivals import Arrivals
from clinic_app.web.turns import Turns


def harden(app: ASGIApp, api: ASGIApp) -> ASGIApp:
    """Put this layer around ``app``, Reflex's with the pages, and ``api``, which gets what asks for ``/api/…``.

    Raises ``RuntimeError`` with one sentence if the pages have not been built.
    """
    settings = get_settings()
    page_policy = security_headers.page_policy(
        settings, security_headers.inline_script_hashes(security_headers.built_pages())
    )
    fixed = security_headers.fixed_headers(settings)
    arrivals, turns = Arrivals(), Turns()
    admission = Admission(settings.requests_per_address, settings.requests_at_once)
    origins = frozenset(origin.encode() for origin in allowed_origins(settings))

    async def edge(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            inner = api if scope["path"].startswith("/api/") else app
            one = exchange.Exchange(scope, receive, send, page_policy, fixed)
            await one.run(inner, settings, arrivals, turns, admission)
        elif scope["type"] == "websocket":
            headers = [*fixed, *security_headers.of_refusals(), (b"x-request-id", exchange.request_id(scope).encode())]
            worded = event_socket.in_words(scope, send, headers)
            await event_socket.serve(app, scope, receive, worded, origins, settings.trusted_proxy_hops)
        else:
            await app(scope, receive, send)

    return edge
