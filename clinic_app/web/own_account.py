"""What the account pages' forms and scripts post to: the second step, confirming, one's password, drafts."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse

from clinic_app.core import cookies, crypto, routes
from clinic_app.core.errors import AuthenticationRequired, ClinicError, ErrorKind, ReauthenticationRequired
from clinic_app.services.accounts import drafts, own_sessions, passphrase, passwords
from clinic_app.services.accounts.errors import CodeRefused, SignInOver, WrongPassword
from clinic_app.services.accounts.reauthentication import reauthenticate
from clinic_app.services.accounts.signing_in import finish_sign_in
from clinic_app.web.signing_in import (
    FORBIDDEN,
    back,
    first_page,
    from_our_pages,
    let_in,
    let_out,
    posted_fields,
    posted_json,
    token_hash,
    who_asks,
)

router = APIRouter(include_in_schema=False)
_DRAFT_STATUS = {ErrorKind.UNAUTHENTICATED: 401, ErrorKind.FORBIDDEN: 403}


@router.post(routes.SEND_CODE)
async def send_code(request: Request) -> Response:
    """*Continue* at ``/login/code``: the second step. For whoever holds the cookie of the first one."""
    if not from_our_pages(request):
        return PlainTextResponse(FORBIDDEN, 403)
    token = request.cookies.get(cookies.step_name(), "")
    code = (await posted_fields(request)).get("code", "")
    try:
        done = await asyncio.to_thread(finish_sign_in, crypto.digest(token), code[:64])
    except SignInOver as error:
        answer = await back(routes.STAFF_SIGN_IN, message=error.detail)
        answer.delete_cookie(cookies.step_name(), **cookies.options())
        return answer
    except ClinicError as error:
        return await back(routes.SIGN_IN_CODE, message=error.detail)
    return let_in(RedirectResponse(first_page(done), 303), done)


@router.post(routes.REAUTHENTICATE)
async def confirm_it_is_you(request: Request) -> Response:
    """*Continue* at ``/account/confirm``: the password, and the code, once more; then on to ``next``."""
    if not from_our_pages(request):
        return PlainTextResponse(FORBIDDEN, 403)
    actor, form = await who_asks(request, touch=True), await posted_fields(request)
    after = routes.after_confirming(form.get("next", ""))
    password, code, kept = form.get("password", "")[:1024], form.get("code", "")[:64], token_hash(request)
    try:
        done = await asyncio.to_thread(reauthenticate, actor, password, code, session_token_hash=kept)
    except ClinicError as error:
        if isinstance(error, AuthenticationRequired) and not isinstance(error, CodeRefused):
            return let_out(RedirectResponse(routes.STAFF_SIGN_IN, 303))
        field = {WrongPassword: "password", CodeRefused: "code"}.get(type(error), "")
        return await back(routes.confirm(after), errors={field: error.detail} if field else {}, message=error.detail)
    return let_in(RedirectResponse(after, 303), done)


@router.post(routes.CHANGE_PASSWORD)
async def change_password(request: Request) -> Response:
    """*Save password* at ``/account``: for whoever knows the one they have."""
    if not from_our_pages(request):
        return PlainTextResponse(FORBIDDEN, 403)
    actor, form = await who_asks(request, touch=True), await posted_fields(request)
    typed = [form.get(name, "")[:1024] for name in ("current_password", "new_password", "confirm_password")]
    try:
        done = await asyncio.to_thread(passwords.change_password, actor, *typed, session_token_hash=token_hash(request))
    except ReauthenticationRequired:
        return RedirectResponse(routes.confirm(routes.ACCOUNT), 303)
    except ClinicError as error:
        if error.kind == ErrorKind.UNAUTHENTICATED:
            return let_out(RedirectResponse(routes.STAFF_SIGN_IN, 303))
        return await back(routes.ACCOUNT, errors=error.fields, message="" if error.fields else error.detail)
    answer = await back(routes.ACCOUNT, notice="Your password is changed. All other sessions are signed out.")
    answer.set_cookie(cookies.session_name(), done.token, **cookies.options())
    return answer


@router.post(routes.SIGN_OUT_EVERYWHERE)
async def leave_everywhere(request: Request) -> Response:
    """*Sign out everywhere*: all sessions of whoever asks end, this one too."""
    if not from_our_pages(request):
        return PlainTextResponse(FORBIDDEN, 403)
    actor = await who_asks(request)
    if actor.kind == "account":
        await asyncio.to_thread(own_sessions.sign_out_everywhere, actor)
    was_patient = actor.patient_id is not None
    return let_out(RedirectResponse(routes.PORTAL_SIGN_IN if was_patient else routes.STAFF_SIGN_IN, 303))


@router.post(routes.PASSPHRASE)
async def offer_passphrase(request: Request) -> Response:
    """*Suggest a passphrase*: made now, kept nowhere."""
    if not from_our_pages(request):
        return PlainTextResponse(FORBIDDEN, 403)
    try:
        made = await asyncio.to_thread(passphrase.suggest_passphrase, await who_asks(request))
    except ClinicError as error:
        return JSONResponse({"detail": error.detail}, 401)
    return JSONResponse({"passphrase": made})


@router.put(routes.DRAFT)
async def keep_draft(request: Request, form: str) -> Response:
    """What is typed into a form so far; ``idle.js`` sends it a moment after the last key."""
    if not from_our_pages(request):
        return PlainTextResponse(FORBIDDEN, 403)
    actor, typed = await who_asks(request), await posted_json(request)
    try:
        await asyncio.to_thread(drafts.save_draft, actor, form, typed)
    except ClinicError as error:
        return JSONResponse({"detail": error.detail}, _DRAFT_STATUS.get(error.kind, 400))
    return Response(status_code=204)
