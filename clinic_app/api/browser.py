"""What the pages' own forms and scripts post to: signing in and out, choosing a password, staying signed in.

Plain HTML forms, answered by 303 and a cookie: no password ever passes through page state.
"""

from __future__ import annotations

import asyncio
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
from clinic_app.services.accounts.errors import TemporaryPasswordExpired
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, STAFF_DOOR, sign_in
from clinic_app.services.accounts.views import SignedIn

router = APIRouter(include_in_schema=False)
FORBIDDEN = "This request did not come from a page of ours."


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


def _token_hash(request: Request) -> str:
    token = request.cookies.get(cookies.session_name(), "")
    return crypto.digest(token) if token else ""


async def who_asks(request: Request, *, touch: bool = False) -> Actor:
    """Who is behind the request's cookie now."""
    return await asyncio.to_thread(sessions.resolve, _token_hash(request), touch=touch)


def _open(answer: Response, signed_in: SignedIn) -> Response:
    answer.set_cookie(cookies.session_name(), signed_in.token, **cookies.options())  # type: ignore[arg-type]
    answer.delete_cookie(cookies.FLASH, **cookies.options())  # type: ignore[arg-type]
    return answer


def _close(answer: Response) -> Response:
    answer.delete_cookie(cookies.session_name(), **cookies.options())  # type: ignore[arg-type]
    return answer


async def _back(path: str, **note: Any) -> Response:
    """To the form again, with a note only the server can read."""
    answer = RedirectResponse(path, 303)
    token = await asyncio.to_thread(lambda: flash.put_note(**note))
    answer.set_cookie(cookies.FLASH, token, max_age=60, **cookies.options())  # type: ignore[arg-type]
    return answer


async def _sign_in(request: Request, door: str, name_field: str, page: str) -> Response:
    if not from_our_pages(request):
        return PlainTextResponse(FORBIDDEN, 403)
    form = await posted_fields(request)
    name, password = form.get(name_field, ""), form.get("password", "")
    try:
        done = await asyncio.to_thread(sign_in, door, name, password[:1024], replaces=_token_hash(request))
    except TemporaryPasswordExpired as error:
        return await _back(page, message=error.detail, expired=True)
    except ClinicError as error:
        return await _back(page, message=error.detail, username=name[:254])
    if door == STAFF_DOOR:
        return _open(RedirectResponse(routes.RECEPTION, 303), done)
    first = done.actor.must_choose_password
    return _open(RedirectResponse(routes.PORTAL_PASSWORD if first else routes.PORTAL, 303), done)


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
    actor = await asyncio.to_thread(sessions.sign_out, _token_hash(request))
    was_patient = actor.patient_id is not None
    return _close(RedirectResponse(routes.PORTAL_SIGN_IN if was_patient else routes.STAFF_SIGN_IN, 303))


@router.post(routes.CHOOSE_PASSWORD)
async def choose_password(request: Request) -> Response:
    """*Save password*: for the account whose temporary password opened this session."""
    if not from_our_pages(request):
        return PlainTextResponse(FORBIDDEN, 403)
    actor, form = await who_asks(request, touch=True), await posted_fields(request)
    new, again = form.get("new_password", "")[:1024], form.get("confirm_password", "")[:1024]
    try:
        done = await asyncio.to_thread(
            passwords.choose_password, actor, new, again, session_token_hash=_token_hash(request)
        )
    except ClinicError as error:
        if error.kind == ErrorKind.UNAUTHENTICATED:
            return _close(RedirectResponse(routes.PORTAL_SIGN_IN, 303))
        return await _back(routes.PORTAL_PASSWORD, errors=error.fields, message="" if error.fields else error.detail)
    return _open(RedirectResponse(routes.PORTAL, 303), done)


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
    """The person did something the server did not see, such as typing into a form."""
    if not from_our_pages(request):
        return PlainTextResponse(FORBIDDEN, 403)
    actor = await who_asks(request, touch=True)
    return Response(status_code=204 if actor.kind == "account" else 401)
