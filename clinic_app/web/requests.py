"""What every route of this layer begins with: whether a page of ours sent the request, who asks, what they sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute

from clinic_app.core import cookies, crypto
from clinic_app.core.addresses import allowed_origins, normal_origin
from clinic_app.core.settings import get_settings
from clinic_app.services.access import Actor
from clinic_app.services.accounts import sessions

FORBIDDEN = "This request did not come from one of our pages."
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LONGEST_JSON = 64 * 1024


def from_our_pages(request: Request) -> bool:
    """Whether a page of ours sent this. Browsers set both headers and no page can forge them (OWASP CSRF, 2024).

    Over plain http on a name other than localhost ``Sec-Fetch-Site`` is missing: then ``Origin`` decides.
    Neither present: refused.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    if origin is None:
        return site == "same-origin"
    return normal_origin(origin) in allowed_origins(get_settings())


def changes(route: APIRoute) -> bool:
    """Whether the route may change something, by its methods."""
    return bool(set(route.methods or ()) - _SAFE)


class Route(APIRoute):
    """A route that changes something for pages of ours only: anybody else gets 403 before anything is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, behind the check unless the route only reads."""
        handle = super().get_route_handler()
        if not changes(self):
            return handle

        async def checked(request: Request) -> Response:
            return await handle(request) if from_our_pages(request) else PlainTextResponse(FORBIDDEN, 403)

        return checked


def router() -> APIRouter:
    """A router whose routes are all of that kind."""
    return APIRouter(route_class=Route, include_in_schema=False)


def token_hash(request: Request) -> str:
    """The hash of the request's session token; empty without one."""
    token = request.cookies.get(cookies.session_name(), "")
    return crypto.digest(token) if token else ""


async def who_asks(request: Request) -> Actor:
    """Who is behind the request's cookie now. Asking is not activity."""
    return await asyncio.to_thread(sessions.resolve, token_hash(request))


async def who_acts(request: Request) -> Actor:
    """The same, for what somebody does: their session stays open for it."""
    return await asyncio.to_thread(sessions.resolve, token_hash(request), touch=True)


async def posted_fields(request: Request) -> dict[str, str]:
    """The fields of a posted form; nothing for what cannot be read."""
    body = await request.body()
    try:
        pairs = parse_qsl(body.decode("latin-1"), keep_blank_values=True, max_num_fields=20, errors="replace")
    except ValueError:
        return {}
    return dict(pairs)


async def posted_json(request: Request) -> dict[str, Any]:
    """The JSON object that was sent; empty for anything else, and for what is too long to be one of ours."""
    raw = await request.body()
    try:
        found = json.loads(raw) if 0 < len(raw) <= _LONGEST_JSON else None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


# A handler takes what it needs as parameters of these types.
Asking = Annotated[Actor, Depends(who_asks)]
Acting = Annotated[Actor, Depends(who_acts)]
Form = Annotated[dict[str, str], Depends(posted_fields)]
Json = Annotated[dict[str, Any], Depends(posted_json)]
