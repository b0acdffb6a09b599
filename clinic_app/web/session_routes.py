"""What every page's scripts and forms ask of a session: signing out, whether it is still open, that one is active."""

from __future__ import annotations

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from clinic_app.core import routes
from clinic_app.services.access import Actor
from clinic_app.services.accounts import sessions
from clinic_app.web import requests, way_back
from clinic_app.web.answers import let_out
from clinic_app.web.requests import Acting, Asking, Json, leaves_portal, look_up, token_hash

router = requests.router()


@router.post(routes.SIGN_OUT)
async def leave(request: Request) -> Response:
    """*Sign out*: the session ends, on the server first."""
    token = token_hash(request)
    actor = await look_up(sessions.sign_out, token)
    owner = actor.account_id or (await look_up(sessions.owner_of, token) if token else way_back.parted(request))
    return let_out(patient=leaves_portal(request, actor), owner=owner)


async def _left(actor: Actor, token: str) -> Response:
    """``seconds`` until the session ends if nothing is done, and whether it is ``held`` back; 401 once it is over."""
    seconds = await look_up(sessions.seconds_left, token) if actor.kind == "account" else None
    if seconds is None:
        return JSONResponse({}, 401)
    return JSONResponse({"seconds": round(seconds, 1), "held": bool(actor.held_back)})


@router.get(routes.SESSION_ALIVE)
async def session_alive(request: Request, actor: Asking) -> Response:
    """How long the session lasts; 401 once it is over. Asking is not activity."""
    return await _left(actor, token_hash(request))


@router.post(routes.SESSION_TOUCH)
async def session_touch(request: Request, actor: Acting, sent: Json) -> Response:
    """The person did something the server did not see, such as typing into a form; and on which page they are.

    Answers as ``session_alive``.
    """
    path = routes.staff_page(str(sent.get("path", "")))
    if path and actor.is_staff:
        await look_up(sessions.remember_path, token_hash(request), path)
    return await _left(actor, token_hash(request))
