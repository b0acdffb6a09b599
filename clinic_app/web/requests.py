"""What every route of this layer begins with: whether a page of ours sent the request, who asks, what they sent."""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute

from clinic_app.core import context, cookies, crypto, logs, metrics, outage, routes
from clinic_app.core.addresses import allowed_origins, normal_origin
from clinic_app.core.errors import ClinicError, Unavailable
from clinic_app.core.settings import get_settings
from clinic_app.services import intents
from clinic_app.services.access import Actor
from clinic_app.services.accounts import sessions
from clinic_app.web import dead_ends

Answer = TypeVar("Answer")
FORBIDDEN = "This request did not come from one of our pages."
CANNOT_LOOK_UP = "We cannot look this up just now. It is our fault, not yours: please try again in a minute."
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LONGEST_JSON = 64 * 1024
_LOOK_UP = 10.0  # seconds until a database that does not answer counts as away
_USE_CASE = 30.0  # the same for a form: hashing a password may wait for others


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
    """A route that changes something for pages of ours only: anybody else gets 403 before anything is read.

    While the database is away it says so: 503, and when to come back. Whatever answers GET answers HEAD.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], *, methods: Any = None, **options: Any) -> None:
        asked = set(methods or ("GET",))
        super().__init__(path, endpoint, methods=sorted(asked | {"HEAD"} if "GET" in asked else asked), **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler; behind the check unless the route only reads."""
        handle = super().get_route_handler()
        reads = not changes(self)

        async def checked(request: Request) -> Response:
            if not reads and not from_our_pages(request):
                return PlainTextResponse(FORBIDDEN, 403)
            try:
                answer = await handle(request)
                return _compressed(request, answer) if reads else answer
            except Exception as error:
                if not (isinstance(error, Unavailable) or outage.database_is_away(error)):
                    raise
                logs.failure(error, f"outage {self.path}")
                return _unavailable(request)

        return checked


def _compressed(request: Request, answer: Response) -> Response:
    """A page that only reads, compressed where the browser takes that. What repeats a stranger's words beside a secret
    must not be (BREACH, 2013): those are answers to posts, which stay as they are."""
    takes = "gzip" in request.headers.get("accept-encoding", "") and request.method == "GET"
    if not takes or not isinstance(answer, HTMLResponse) or "content-encoding" in answer.headers:
        return answer
    answer.body = gzip.compress(bytes(answer.body), 9, mtime=0)
    answer.headers.update(
        {"content-encoding": "gzip", "content-length": str(len(answer.body)), "vary": "accept-encoding"}
    )
    return answer


def _unavailable(request: Request) -> Response:
    """503: in words for people, shorter for scripts."""
    if shows_pages(request):
        return dead_ends.unavailable(request.url.path)
    return JSONResponse({"detail": Unavailable.detail}, 503, {"retry-after": str(dead_ends.LATER)})


def shows_pages(request: Request) -> bool:
    """Whether a browser asks for something to show: then it takes HTML by name."""
    return "text/html" in request.headers.get("accept", "")


def router() -> APIRouter:
    """A router whose routes are all of that kind."""
    return APIRouter(route_class=Route, include_in_schema=False)


async def look_up(work: Callable[..., Answer], *args: Any, within: float | None = None, **kwargs: Any) -> Answer:
    """Call ``work``, which asks the database, off the event loop, and wait ``within`` seconds for it, by default ten.

    Raises ``Unavailable`` if there is no answer by then: what was begun may still be done.
    """
    try:
        async with asyncio.timeout(_LOOK_UP if within is None else within):
            return await asyncio.to_thread(work, *args, **kwargs)
    except TimeoutError:
        raise Unavailable(CANNOT_LOOK_UP) from None
    except ClinicError as error:
        metrics.count(metrics.REFUSALS, "web", str(error.kind))
        raise


async def ask(use_case: Callable[..., Answer], *args: Any, **kwargs: Any) -> Answer:
    """Call ``use_case`` off the event loop, for a form that says itself what went wrong.

    Raises ``Unavailable`` while the database is away or does not answer.
    """
    try:
        return await look_up(use_case, *args, within=_USE_CASE, **kwargs)
    except Exception as error:
        if not outage.database_is_away(error):
            raise
        logs.failure(error, "outage")
        raise Unavailable(CANNOT_LOOK_UP) from None


def counted(actor: Actor, form: dict[str, str], use_case: Callable[..., Answer], *args: Any) -> Answer:
    """Call ``use_case(actor, …)`` for the press that the form's field ``intent`` names: it counts once (``intents``).

    Without that field each time is another press. Raises ``AlreadyDone`` with what it did before.
    """
    press = form.get("intent", "")
    named = dataclasses.replace(context.current(), intent=press if intents.is_intent(press) else "")
    with context.use(named):
        return intents.once(actor, lambda: use_case(actor, *args))


def token_hash(request: Request) -> str:
    """The hash of the request's session token; empty without one."""
    token = cookies.sent(request.scope).get(cookies.session_name(), "")
    return crypto.digest(token) if token else ""


async def who_asks(request: Request) -> Actor:
    """Who is behind the request's cookie now. Asking is not activity."""
    return await look_up(sessions.resolve, token_hash(request), touch=False)


async def who_acts(request: Request) -> Actor:
    """The same, for what somebody does: their session stays open for it."""
    return await look_up(sessions.resolve, token_hash(request), touch=True)


def leaves_portal(request: Request, actor: Actor) -> bool:
    """Whether somebody who signs out was on the patients' side; if their session is over, by the page they leave."""
    if actor.kind == "account":
        return actor.patient_id is not None
    try:
        return routes.on_portal(urlsplit(request.headers.get("referer", "")).path)
    except ValueError:
        return False


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
