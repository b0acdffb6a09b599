"""What the account pages' forms and scripts post to: the second step, confirming, one's password, drafts."""

from __future__ import annotations

import asyncio

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from clinic_app.core import cookies, crypto, routes
from clinic_app.core.errors import AuthenticationRequired, ClinicError, ErrorKind, ReauthenticationRequired
from clinic_app.services.accounts import drafts, own_sessions, passphrase, passwords
from clinic_app.services.accounts.errors import CodeRefused, SignInOver, WrongPassword
from clinic_app.services.accounts.reauthentication import reauthenticate
from clinic_app.services.accounts.signing_in import finish_sign_in
from clinic_app.web import requests
from clinic_app.web.answers import back, first_page, forget, keep, let_in, let_out, see_other
from clinic_app.web.requests import Acting, Asking, Form, Json, token_hash

router = requests.router()
_DRAFT_STATUS = {ErrorKind.UNAUTHENTICATED: 401, ErrorKind.FORBIDDEN: 403}


@router.post(routes.SEND_CODE)
async def send_code(request: Request, form: Form) -> Response:
    """*Continue* at ``/login/code``: the second step. For whoever holds the cookie of the first one."""
    token = request.cookies.get(cookies.step_name(), "")
    try:
        done = await asyncio.to_thread(finish_sign_in, crypto.digest(token), form.get("code", "")[:64])
    except SignInOver as error:
        return forget(await back(routes.STAFF_SIGN_IN, message=error.detail), cookies.step_name())
    except ClinicError as error:
        return await back(routes.SIGN_IN_CODE, message=error.detail)
    return let_in(first_page(done), done)


@router.post(routes.REAUTHENTICATE)
async def confirm_it_is_you(request: Request, actor: Acting, form: Form) -> Response:
    """*Continue* at ``/account/confirm``: the password, and the code, once more; then on to ``next``."""
    after = routes.after_confirming(form.get("next", ""))
    password, code, kept = form.get("password", "")[:1024], form.get("code", "")[:64], token_hash(request)
    try:
        done = await asyncio.to_thread(reauthenticate, actor, password, code, session_token_hash=kept)
    except ClinicError as error:
        if isinstance(error, AuthenticationRequired) and not isinstance(error, CodeRefused):
            return let_out()
        field = {WrongPassword: "password", CodeRefused: "code"}.get(type(error), "")
        return await back(routes.confirm(after), errors={field: error.detail} if field else {}, message=error.detail)
    return let_in(after, done)


@router.post(routes.CHANGE_PASSWORD)
async def change_password(request: Request, actor: Acting, form: Form) -> Response:
    """*Save password* at ``/account``: for whoever knows the one they have."""
    typed = [form.get(name, "")[:1024] for name in ("current_password", "new_password", "confirm_password")]
    try:
        done = await asyncio.to_thread(passwords.change_password, actor, *typed, session_token_hash=token_hash(request))
    except ReauthenticationRequired:
        return see_other(routes.confirm(routes.ACCOUNT))
    except ClinicError as error:
        if error.kind == ErrorKind.UNAUTHENTICATED:
            return let_out()
        return await back(routes.ACCOUNT, errors=error.fields, message="" if error.fields else error.detail)
    answer = await back(
        routes.ACCOUNT, notice="Your password has been changed. All your other sessions have been signed out."
    )
    return keep(answer, cookies.session_name(), done.token)


@router.post(routes.SIGN_OUT_EVERYWHERE)
async def leave_everywhere(actor: Asking) -> Response:
    """*Sign out everywhere*: all sessions of whoever asks end, this one too."""
    if actor.kind == "account":
        await asyncio.to_thread(own_sessions.sign_out_everywhere, actor)
    return let_out(patient=actor.patient_id is not None)


@router.post(routes.PASSPHRASE)
async def offer_passphrase(actor: Asking) -> Response:
    """*Suggest a passphrase*: made now, kept nowhere."""
    try:
        made = await asyncio.to_thread(passphrase.suggest_passphrase, actor)
    except ClinicError as error:
        return JSONResponse({"detail": error.detail}, 401)
    return JSONResponse({"passphrase": made})


@router.put(routes.DRAFT)
async def keep_draft(form: str, actor: Asking, typed: Json) -> Response:
    """What is typed into a form so far; ``idle.js`` sends it a moment after the last key."""
    try:
        await asyncio.to_thread(drafts.save_draft, actor, form, typed)
    except ClinicError as error:
        return JSONResponse({"detail": error.detail}, _DRAFT_STATUS.get(error.kind, 400))
    return Response(status_code=204)
