"""What the pages' own forms and scripts post to: signing in and out, choosing a password, staying signed in.

Plain HTML forms, answered by 303 and a cookie: no password ever passes through page state.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse

from clinic_app.core import cookies, crypto, routes
from clinic_app.core.addresses import allowed_origins, normal_origin
from clinic_app.core.errors import ClinicError, ErrorKind
from clinic_app.core.settings import get_settings
from clinic_app.services.access import Actor
from clinic_app.services.accounts import flash, passwords, sessions
from clinic_app.services.accounts.errors import (
    SecondFactorRequired,
    TemporaryPasswordExpired,
)
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, SECOND_STEP, STAFF_DOOR, sign_in
from clinic_app.services.accounts.views import SignedIn

router = APIRouter(include_in_schema=False)
FORBIDDEN = "This request did not come from a page of ours."
#: Empties the browser's cache. Not its storage: that holds the choice of light or dark, and nothing about anybody.
CLEARED = '"cache"'
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


def token_hash(request: Request) -> str:
    """The hash of the request's session token; empty without one."""
    token = request.cookies.get(cookies.session_name(), "")
    return crypto.digest(token) if token else ""


async def who_asks(request: Request, *, touch: bool = False) -> Actor:
    """Who is behind the request's cookie now."""
    return await asyncio.to_thread(sessions.resolve, token_hash(request), touch=touch)


def let_in(answer: Response, signed_in: SignedIn) -> Response:
    """Give ``answer`` the cookie of a new session."""
    answer.set_cookie(cookies.session_name(), signed_in.token, **cookies.options())
    answer.delete_cookie(cookies.flash_name(), **cookies.options())
    answer.delete_cookie(cookies.step_name(), **cookies.options())
    return answer


def let_out(answer: Response) -> Response:
    """Take the session's cookie away, and what the browser has kept of pages."""
    answer.delete_cookie(cookies.session_name(), **cookies.options())
    answer.headers["clear-site-data"] = CLEARED
    return answer


def first_page(done: SignedIn) -> str:
    """Where somebody goes who has just signed in: what has to be done first, or back to where they were."""
    actor = done.actor
    if actor.patient_id is not None:
        return routes.PORTAL_PASSWORD if actor.must_choose_password else routes.PORTAL
    if actor.must_choose_password:
        return routes.ACCOUNT
    return routes.TWO_FACTOR if actor.must_set_up_second_factor else routes.staff_page(done.back_to) or routes.RECEPTION


async def back(path: str, **note: Any) -> Response:
    """To the form again, with a note only the server can read."""
    answer = RedirectResponse(path, 303)
    token = await asyncio.to_thread(lambda: flash.put_note(**note))
    answer.set_cookie(cookies.flash_name(), token, max_age=60, **cookies.options())
    return answer


async def _sign_in(request: Request, door: str, name_field: str, page: str) -> Response:
    if not from_our_pages(request):
        return PlainTextResponse(FORBIDDEN, 403)
    form = await posted_fields(request)
    name, password = form.get(name_field, ""), form.get("password", "")
    try:
        done = await asyncio.to_thread(sign_in, door, name, password[:1024], replaces=token_hash(request))
    except SecondFactorRequired as needed:
        answer = RedirectResponse(routes.SIGN_IN_CODE, 303)
        life = int(SECOND_STEP.total_seconds())
        answer.set_cookie(cookies.step_name(), needed.token, max_age=life, **cookies.options())
        return answer
    except TemporaryPasswordExpired as error:
        return await back(page, message=error.detail, expired=True)
    except ClinicError as error:
        return await back(page, message=error.detail, username=name[:254])
    return let_in(RedirectResponse(first_page(done), 303), done)


@router.post(routes.SIGN_IN_STAFF)
async def staff_sign_in(request: Request) -> Response:
    """*Sign in* at ``/login``. Anybody may try."""
    return await _sign_in(request, STAFF_DOOR, "username", routes.STAFF_SIGN_IN)


@router.post(routes.SIGN_IN_PATIENT)
async def patient_sign_in(request: Request) -> Response:
    """*Sign in* at ``/patient-portal/login``. Anybody may try."""
    return await _sign_in(request, PATIENT_DOOR, "email", routes.PORTAL_SIGN_IN)


@router.post(routes.SIGN_OUT)
async def leave(request: Request) -> Response:
    """*Sign out*: the session ends, on the server first."""
    if not from_our_pages(request):
        return PlainTextResponse(FORBIDDEN, 403)
    actor = await asyncio.to_thread(sessions.sign_out, token_hash(request))
    was_patient = actor.patient_id is not None
    return let_out(RedirectResponse(routes.PORTAL_SIGN_IN if was_patient else routes.STAFF_SIGN_IN, 303))


@router.post(routes.CHOOSE_PASSWORD)
async def choose_password(request: Request) -> Response:
    """*Save password*: for the account whose temporary password opened this session."""
    if not from_our_pages(request):
        return PlainTextResponse(FORBIDDEN, 403)
    actor, form = await who_asks(request, touch=True), await posted_fields(request)
    new, again = form.get("new_password", "")[:1024], form.get("confirm_password", "")[:1024]
    try:
        done = await asyncio.to_thread(
            passwords.choose_password, actor, new, again, session_token_hash=token_hash(request)
        )
    except ClinicError as error:
        if error.kind == ErrorKind.UNAUTHENTICATED:
            return let_out(RedirectResponse(routes.STAFF_SIGN_IN if actor.is_staff else routes.PORTAL_SIGN_IN, 303))
        page = routes.ACCOUNT if actor.is_staff else routes.PORTAL_PASSWORD
        return await back(page, errors=error.fields, message="" if error.fields else error.detail)
    return let_in(RedirectResponse(first_page(done), 303), done)


@router.post(routes.PASSWORD_STRENGTH)
async def password_strength(request: Request) -> Response:
    """How good a password would be, for the meter beside the field. Kept nowhere."""
    if not from_our_pages(request):
        return PlainTextResponse(FORBIDDEN, 403)
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        body = None
    password = body.get("password") if isinstance(body, dict) else None
    if not isinstance(password, str):
        return JSONResponse({"detail": "password must be text."}, 400)
    try:
        found = await asyncio.to_thread(passwords.assess_password, await who_asks(request), password)
    except ClinicError as error:
        return JSONResponse({"detail": error.detail}, 401)
    return JSONResponse({"score": found.score, "word": found.word, "why": found.why})


@router.get(routes.SESSION_ALIVE)
async def session_alive(request: Request) -> Response:
    """401 once the session is over. Asking is not activity."""
    actor = await who_asks(request)
    return JSONResponse({}, 200 if actor.kind == "account" else 401)


@router.post(routes.SESSION_TOUCH)
async def session_touch(request: Request) -> Response:
    """The person did something the server did not see, such as typing into a form; and on which page they are."""
    if not from_our_pages(request):
        return PlainTextResponse(FORBIDDEN, 403)
    actor = await who_asks(request, touch=True)
    if actor.kind != "account":
        return Response(status_code=401)
    path = routes.staff_page(str((await posted_json(request)).get("path", "")))
    if path and actor.is_staff:
        await asyncio.to_thread(sessions.remember_path, token_hash(request), path)
    return Response(status_code=204)
