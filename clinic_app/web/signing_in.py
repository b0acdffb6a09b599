"""What the pages' own forms and scripts post to: signing in and out, choosing a password, staying signed in.

Plain HTML forms, answered by 303 and a cookie: no password ever passes through page state.
"""

from __future__ import annotations

import asyncio

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from clinic_app.core import cookies, routes
from clinic_app.core.errors import ClinicError, ErrorKind
from clinic_app.services.accounts import passwords, sessions
from clinic_app.services.accounts.errors import SecondFactorRequired, TemporaryPasswordExpired
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, SECOND_STEP, STAFF_DOOR, sign_in
from clinic_app.web import requests
from clinic_app.web.answers import back, first_page, keep, let_in, let_out, see_other
from clinic_app.web.requests import Acting, Asking, Form, Json, token_hash

router = requests.router()


async def _sign_in(request: Request, door: str, name: str, password: str, page: str) -> Response:
    try:
        done = await asyncio.to_thread(sign_in, door, name, password[:1024], replaces=token_hash(request))
    except SecondFactorRequired as needed:
        life = int(SECOND_STEP.total_seconds())
        return keep(see_other(routes.SIGN_IN_CODE), cookies.step_name(), needed.token, max_age=life)
    except TemporaryPasswordExpired as error:
        return await back(page, message=error.detail, expired=True)
    except ClinicError as error:
        return await back(page, message=error.detail, username=name[:254])
    return let_in(first_page(done), done)


@router.post(routes.SIGN_IN_STAFF)
async def staff_sign_in(request: Request, form: Form) -> Response:
    """*Sign in* at ``/login``. Anybody may try."""
    name, password = form.get("username", ""), form.get("password", "")
    return await _sign_in(request, STAFF_DOOR, name, password, routes.STAFF_SIGN_IN)


@router.post(routes.SIGN_IN_PATIENT)
async def patient_sign_in(request: Request, form: Form) -> Response:
    """*Sign in* at ``/patient-portal/login``. Anybody may try."""
    name, password = form.get("email", ""), form.get("password", "")
    return await _sign_in(request, PATIENT_DOOR, name, password, routes.PORTAL_SIGN_IN)


@router.post(routes.SIGN_OUT)
async def leave(request: Request) -> Response:
    """*Sign out*: the session ends, on the server first."""
    actor = await asyncio.to_thread(sessions.sign_out, token_hash(request))
    return let_out(patient=actor.patient_id is not None)


@router.post(routes.CHOOSE_PASSWORD)
async def choose_password(request: Request, actor: Acting, form: Form) -> Response:
    """*Save password*: for the account whose temporary password opened this session."""
    new, again = form.get("new_password", "")[:1024], form.get("confirm_password", "")[:1024]
    try:
        done = await asyncio.to_thread(
            passwords.choose_password, actor, new, again, session_token_hash=token_hash(request)
        )
    except ClinicError as error:
        if error.kind == ErrorKind.UNAUTHENTICATED:
            return let_out(patient=not actor.is_staff)
        page = routes.ACCOUNT if actor.is_staff else routes.PORTAL_PASSWORD
        return await back(page, errors=error.fields, message="" if error.fields else error.detail)
    return let_in(first_page(done), done)


@router.post(routes.PASSWORD_STRENGTH)
async def password_strength(actor: Asking, sent: Json) -> Response:
    """How good a password would be, for the meter beside the field. Kept nowhere."""
    password = sent.get("password")
    if not isinstance(password, str):
        return JSONResponse({"detail": "password must be text."}, 400)
    try:
        found = await asyncio.to_thread(passwords.assess_password, actor, password)
    except ClinicError as error:
        return JSONResponse({"detail": error.detail}, 401)
    return JSONResponse({"score": found.score, "word": found.word, "why": found.why})


@router.get(routes.SESSION_ALIVE)
async def session_alive(actor: Asking) -> Response:
    """401 once the session is over."""
    return JSONResponse({}, 200 if actor.kind == "account" else 401)


@router.post(routes.SESSION_TOUCH)
async def session_touch(request: Request, actor: Acting, sent: Json) -> Response:
    """The person did something the server did not see, such as typing into a form; and on which page they are."""
    if actor.kind != "account":
        return Response(status_code=401)
    path = routes.staff_page(str(sent.get("path", "")))
    if path and actor.is_staff:
        await asyncio.to_thread(sessions.remember_path, token_hash(request), path)
    return Response(status_code=204)
