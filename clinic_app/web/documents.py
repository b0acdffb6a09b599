"""Before a session there is no page of scripts and no socket: who is let through to them, asked once at the edge.

One more wall, not another one: every event is still checked by the guard, and every use case checks again.
"""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import quote

from fastapi import Request, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from clinic_app.core import cookies, logs, metrics, routes
from clinic_app.core.settings import get_settings
from clinic_app.core.state_store import state_store
from clinic_app.services.access import ANONYMOUS, Actor
from clinic_app.services.accounts import places, sessions
from clinic_app.web import dead_ends, pages, request_kind, security_headers, shell, way_back
from clinic_app.web.answers import see_other
from clinic_app.web.open_sockets import OpenSockets
from clinic_app.web.request_kind import Kind
from clinic_app.web.requests import look_up, token_hash
from clinic_app.web.socket_limits import SocketLimits

_ELSEWHERE = frozenset({"cross-site", "same-site"})
_AGAIN = 5  # seconds in which the page that loads itself again does so


def before_session(app: ASGIApp, sockets: OpenSockets) -> ASGIApp:
    """Put this layer around ``app``, the routes of this layer with Reflex's behind them.

    ``sockets`` learns which are open, and closes those whose session ends.
    """
    settings = get_settings()
    limits = SocketLimits(settings.tabs_per_session, settings.tabs_per_address)
    kinds = request_kind.Kinds(request_kind.built_files(security_headers.built_pages()), getattr(app, "routes", ()))

    async def edge(scope: Scope, receive: Receive, send: Send) -> None:
        kind = kinds.of(scope) if scope["type"] in ("http", "websocket") else None
        if kind is Kind.SOCKET:
            await _socket(app, scope, receive, send, sockets, limits)
        elif kind is Kind.DOCUMENT and scope["method"] in ("GET", "HEAD"):
            answer = _without_slash(kinds, scope) or await document(Request(scope), limits)
            await answer(scope, receive, send)
        else:
            await app(scope, receive, send)

    return edge


# --- documents --------------------------------------------------------------------------------------


async def document(request: Request, limits: SocketLimits | None = None) -> Response:
    """The page asked for, or where somebody goes who may not have it now. For anybody; asking is not activity."""
    path = request.scope["path"].rstrip("/") or routes.RECEPTION
    page = shell.find(path)
    if page is None:
        return dead_ends.not_found(path)
    metrics.name_route(request.scope, shell.template(path))
    token = token_hash(request)
    if not token and request.headers.get("sec-fetch-site") in _ELSEWHERE and not _loaded_again(request):
        return _load_again(path)
    try:
        actor, owner = await look_up(_who, token)
    except Exception as error:  # noqa: BLE001  whatever keeps us from knowing: nobody is sent away for it
        logs.failure(error, "document")
        return dead_ends.unavailable(path)
    if actor.kind != "account":
        return way_back.remember(see_other(places.sign_in_page(path)), path, owner or way_back.parted(request))
    elsewhere = _own_place(actor, path)
    if not elsewhere and limits is not None and limits.full(token):
        return dead_ends.too_many_tabs(path)
    answer = see_other(elsewhere) if elsewhere else shell.answer(page, request)
    return _forget_again(answer, path) if _loaded_again(request) else answer


def _without_slash(kinds: request_kind.Kinds, scope: Scope) -> Response | None:
    """On to a plain page that was asked for with a slash behind it, as the other pages are found with one too."""
    path = scope["path"].rstrip("/")
    asked_for = path != scope["path"] and kinds.of({**scope, "path": path}) is Kind.ROUTE
    return see_other(path) if asked_for else None


def _who(token: str) -> tuple[Actor, int]:
    """Who asks, and if nobody does any more: whose session it was."""
    actor = sessions.resolve(token, touch=False)
    return actor, 0 if actor is not ANONYMOUS or not token else sessions.owner_of(token)


def _own_place(actor: Actor, path: str) -> str:
    """Where this person has to be instead of at ``path``; empty where they may stay."""
    own_side = (actor.patient_id is not None) == routes.on_portal(path)
    return places.start(actor) if actor.held_back or not own_side else ""


# --- links from elsewhere ---------------------------------------------------------------------------
# Our cookies are not sent with a click on another site's page, such as a mail's. The page that loads itself again is
# one of ours, so the second request carries them. It is tried once: a cookie that comes along says so.


def _loaded_again(request: Request) -> bool:
    return cookies.AGAIN in cookies.sent(request.scope)


def _as_address(path: str) -> str:
    """A path as it stands in an address, in a cookie and in HTML alike: no sign in it means anything there."""
    return quote(path, safe="/", errors="replace")


def _load_again(path: str) -> Response:
    answer = pages.render("dead_ends/again.html", address=_as_address(path))
    answer.set_cookie(cookies.AGAIN, "1", max_age=_AGAIN, **_again_flags(path))
    return answer


def _forget_again(answer: Response, path: str) -> Response:
    answer.delete_cookie(cookies.AGAIN, **_again_flags(path))
    return answer


def _again_flags(path: str) -> Any:
    """Of this page only, and sent with links from elsewhere too. It proves nothing: it only keeps from going round."""
    secure = get_settings().secure_cookies
    return {"path": _as_address(path), "httponly": True, "samesite": "lax", "secure": secure}


# --- sockets ----------------------------------------------------------------------------------------


async def _socket(
    app: ASGIApp, scope: Scope, receive: Receive, send: Send, sockets: OpenSockets, limits: SocketLimits
) -> None:
    token, address = _sent(scope, cookies.session_name()), _sent(scope, cookies.ADDRESS)
    if not await may_connect(token):
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    await limits.serve(token, address, functools.partial(sockets.serve, token, app), scope, receive, send)


async def may_connect(token: str) -> bool:
    """Whether somebody who has nothing left to do first is behind a token's hash, as far as can be told now.

    Nobody while page state cannot be reached: the page says that it is not connected, and asks again.
    """
    if not token or state_store().away:
        return False
    try:
        actor = await look_up(sessions.resolve, token, touch=False)
    except Exception as error:  # noqa: BLE001  the page asks again until it can be told
        logs.failure(error, "handshake")
        return False
    return actor.kind == "account" and not actor.held_back


def _sent(scope: Scope, name: str) -> str:
    """A cookie as the outermost layer has left it, with hashes in place of tokens: see ``event_socket``."""
    return cookies.sent(scope).get(name, "")
