"""What routes of this layer answer with: on to another page, with the cookies that go with it."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from clinic_app.core import cookies, routes
from clinic_app.core.errors import ClinicError, TooManyAttempts, Unavailable
from clinic_app.services.accounts import flash, known_devices, places, sessions
from clinic_app.services.accounts.views import SignedIn
from clinic_app.web import way_back
from clinic_app.web.requests import look_up, token_hash

#: Empties the browser's cache. Not its storage: that holds the choice of light or dark, and nothing about anybody.
CLEARED = '"cache"'


def see_other(path: str) -> Response:
    """On to ``path``."""
    return RedirectResponse(path, 303)


def keep(answer: Response, name: str, token: str, max_age: int | None = None) -> Response:
    """Give ``answer`` a cookie of ours; without ``max_age`` the browser keeps it until it is closed."""
    answer.set_cookie(name, token, max_age=max_age, **cookies.options())  # type: ignore[arg-type]
    return answer


def forget(answer: Response, name: str) -> Response:
    """Take a cookie of ours away."""
    answer.delete_cookie(name, **cookies.options())  # type: ignore[arg-type]
    return answer


def let_in(path: str, signed_in: SignedIn) -> Response:
    """On to ``path`` in a new session."""
    answer = keep(see_other(path), cookies.session_name(), signed_in.token)
    if signed_in.device:
        keep(answer, cookies.device_name(), signed_in.device, int(known_devices.LIFE.total_seconds()))
    if not signed_in.actor.held_back:  # else it is needed once that is done
        forget(answer, cookies.way_back_name())
    return forget(forget(answer, cookies.flash_name()), cookies.step_name())


async def sign_in_first(request: Request, path: str) -> Response:
    """To the sign-in page of the side that ``path`` is on, and back to it afterwards."""
    token = token_hash(request)
    owner = await look_up(sessions.owner_of, token) if token else 0
    return way_back.remember(see_other(places.sign_in_page(path)), path, owner or way_back.parted(request))


def let_out(*, patient: bool = False, owner: int = 0) -> Response:
    """To the sign-in page without the session's cookie, and without what the browser has kept of pages.

    ``owner`` is the account that has signed out: nobody else is led to where that person was.
    """
    answer = forget(see_other(routes.PORTAL_SIGN_IN if patient else routes.STAFF_SIGN_IN), cookies.session_name())
    answer.headers["clear-site-data"] = CLEARED
    return way_back.part(answer, owner) if owner else forget(answer, cookies.way_back_name())


def first_page(request: Request, done: SignedIn) -> str:
    """Where somebody goes who has just signed in: what has to be done first, or where they wanted to go or were."""
    actor, start = done.actor, places.start(done.actor)
    if actor.held_back:
        return start
    back_to = "" if actor.patient_id is not None else routes.staff_page(done.back_to)
    return way_back.page_for(request, actor) or back_to or start


def failure_status(error: ClinicError) -> tuple[int, dict[str, str]]:
    """Status and headers of a form that comes back with ``error`` in it."""
    if isinstance(error, TooManyAttempts | Unavailable):
        status = 429 if isinstance(error, TooManyAttempts) else 503
        return status, {"retry-after": str(error.retry_after)}
    return 400, {}


async def back(path: str, **note: Any) -> Response:
    """To the form again, with a note only the server can read."""
    token = await asyncio.to_thread(lambda: flash.put_note(**note))
    return keep(see_other(path), cookies.flash_name(), token, max_age=60)
