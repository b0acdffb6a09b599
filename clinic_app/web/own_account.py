"""What the account pages' forms and scripts post to: confirming, one's password, drafts."""

from __future__ import annotations

import asyncio

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from clinic_app.core import cookies, routes
from clinic_app.core.budget import Budgets
from clinic_app.core.errors import AuthenticationRequired, ClinicError, ErrorKind, ReauthenticationRequired
from clinic_app.services.accounts import drafts, own_sessions, passphrase, passwords
from clinic_app.services.accounts.errors import CodeRefused, PasskeyNotConfirmed, WrongPassword
from clinic_app.services.accounts.passkey_confirmation import confirm_with_passkey
from clinic_app.services.accounts.reauthentication import reauthenticate
from clinic_app.web import requests
from clinic_app.web.answers import back, keep, let_in, let_out, see_other
from clinic_app.web.requests import Acting, Asking, Form, Json, leaves_portal, token_hash

router = requests.router()
#: Of an account: ``drafts.js`` saves a second after the last key.
DRAFTS_PER_SECOND = 4
_draft_budgets = Budgets(lambda: DRAFTS_PER_SECOND)
_DRAFT_STATUS = {ErrorKind.UNAUTHENTICATED: 401, ErrorKind.FORBIDDEN: 403}


@router.post(routes.REAUTHENTICATE)
async def confirm_it_is_you(request: Request, actor: Acting, form: Form) -> Response:
    """*Continue* at ``/account/confirm``: the password, and the code, once more, or a passkey; then on to ``next``.

    For patients the page that asked them, which then asks for no password.
    """
    after = routes.after_confirming(form.get("next", ""))
    password, code, kept = form.get("password", "")[:1024], form.get("code", "")[:64], token_hash(request)
    try:
        if "passkey" in form:
            done = await asyncio.to_thread(confirm_with_passkey, actor, form["passkey"], session_token_hash=kept)
        else:
            done = await asyncio.to_thread(reauthenticate, actor, password, code, session_token_hash=kept)
    except ClinicError as error:
        if isinstance(error, AuthenticationRequired) and not isinstance(error, CodeRefused | PasskeyNotConfirmed):
            return see_other(after)  # sent twice: the session that came of it leads on there, else one has to sign in
        if not actor.is_staff:
            return await back(after, message=error.detail)
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
            return see_other(routes.STAFF_SIGN_IN)  # sent twice: there it is said that the password was changed
        return await back(routes.ACCOUNT, errors=error.fields, message="" if error.fields else error.detail)
    answer = await back(
        routes.ACCOUNT, notice="Your password has been changed. All your other sessions have been signed out."
    )
    return keep(answer, cookies.session_name(), done.token)


@router.post(routes.SIGN_OUT_EVERYWHERE)
async def leave_everywhere(request: Request, actor: Asking) -> Response:
    """*Sign out everywhere*: all sessions of whoever asks end, this one too."""
    if actor.kind == "account":
        await asyncio.to_thread(own_sessions.sign_out_everywhere, actor)
    return let_out(patient=leaves_portal(request, actor), owner=actor.account_id or 0)


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
    """What is typed into one form so far: ``{instance, fields, left}``, which ``drafts.js`` sends."""
    if not _draft_budgets.of(actor.account_id or 0).take():
        return JSONResponse({"detail": "Too much at once."}, 429, {"Retry-After": "5"})
    instance, fields, left = typed.get("instance"), typed.get("fields"), typed.get("left") is True
    if not isinstance(instance, str) or not isinstance(fields, dict):
        return JSONResponse({"detail": "instance and fields are needed."}, 400)
    try:
        await asyncio.to_thread(drafts.save_draft, actor, form, instance, fields, left=left)
    except ClinicError as error:
        return JSONResponse({"detail": error.detail}, _DRAFT_STATUS.get(error.kind, 400))
    return Response(status_code=204)
