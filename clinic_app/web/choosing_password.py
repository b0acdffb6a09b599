"""*Choose your password*, for patients and staff with a temporary one: the page, what it posts, its meter."""

from __future__ import annotations

import asyncio

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from clinic_app.core import addresses, cookies, routes
from clinic_app.core.errors import ClinicError, ErrorKind
from clinic_app.core.settings import get_settings
from clinic_app.services.access import Actor
from clinic_app.services.accounts import flash, passphrase, passwords, places
from clinic_app.web import pages, requests
from clinic_app.web.answers import failure_status, first_page, keep, let_in, see_other
from clinic_app.web.requests import Acting, Asking, Form, Json, ask, token_hash

router = requests.router()
#: Said once to patients, on the page that this one leads to.
OFFERED = (
    "Your password has been saved. You can also sign in without it, with your fingerprint, your face or the number "
    "that unlocks your phone: see Passkeys below, under Your sign-in."
)
_TEMPLATES = {
    routes.STAFF_PASSWORD: "signing_in/choose_password_staff.html",
    routes.PORTAL_PASSWORD: "signing_in/choose_password_portal.html",
}


def _page(
    path: str,
    actor: Actor,
    status: int = 200,
    *,
    errors: dict[str, str] | None = None,
    refused: str = "",
    offered: str = "",
) -> Response:
    """The form. What was typed is not in it; ``offered`` is a passphrase of ours."""
    return pages.render(
        _TEMPLATES[path],
        status,
        username=actor.username,
        shortest=passwords.SHORTEST,
        errors=errors or {},
        refused=refused,
        offered=offered,
    )


def _elsewhere(path: str, actor: Actor) -> Response | None:
    """Where somebody goes who has no password to choose on this page."""
    if actor.kind != "account":
        return see_other(places.sign_in_page(path))
    start = places.start(actor)
    return see_other(start) if start != path else None


async def _save(path: str, request: Request, actor: Actor, form: dict[str, str]) -> Response:
    if (elsewhere := _elsewhere(path, actor)) is not None:
        return elsewhere
    new, again = form.get("new_password", "")[:1024], form.get("confirm_password", "")[:1024]
    try:
        if form.get("do") == "suggest":
            return _page(path, actor, offered=await ask(passphrase.suggest_passphrase, actor))
        done = await ask(passwords.choose_password, actor, new, again, session_token_hash=token_hash(request))
    except ClinicError as error:
        if error.kind == ErrorKind.UNAUTHENTICATED:
            return see_other(places.sign_in_page(path))  # sent twice: from there the new session leads on
        status, headers = failure_status(error)
        page = _page(path, actor, status, errors=error.fields, refused="" if error.fields else error.detail)
        page.headers.update(headers)
        return page
    answer = let_in(first_page(request, done), done)
    if path != routes.PORTAL_PASSWORD or not addresses.passkey_site(get_settings()):
        return answer
    token = await asyncio.to_thread(lambda: flash.put_note(notice=OFFERED))
    return keep(answer, cookies.flash_name(), token, max_age=60)


@router.get(routes.STAFF_PASSWORD)
async def staff_page(actor: Asking) -> Response:
    """*Choose your password*, for staff whose password is temporary."""
    return _elsewhere(routes.STAFF_PASSWORD, actor) or _page(routes.STAFF_PASSWORD, actor)


@router.post(routes.STAFF_PASSWORD)
async def staff_save(request: Request, actor: Acting, form: Form) -> Response:
    """*Save password*, or *Suggest a passphrase* without scripts."""
    return await _save(routes.STAFF_PASSWORD, request, actor, form)


@router.get(routes.PORTAL_PASSWORD)
async def portal_page(actor: Asking) -> Response:
    """*Choose your password*, for patients whose password is temporary."""
    return _elsewhere(routes.PORTAL_PASSWORD, actor) or _page(routes.PORTAL_PASSWORD, actor)


@router.post(routes.PORTAL_PASSWORD)
async def portal_save(request: Request, actor: Acting, form: Form) -> Response:
    """*Save password*, or *Suggest a passphrase* without scripts."""
    return await _save(routes.PORTAL_PASSWORD, request, actor, form)


@router.post(routes.PASSWORD_STRENGTH)
async def password_strength(actor: Asking, sent: Json) -> Response:
    """How good a password would be, for the meter beside the field. Kept nowhere."""
    password = sent.get("password")
    if not isinstance(password, str):
        return JSONResponse({"detail": "password must be text."}, 400)
    try:
        found = await asyncio.to_thread(passwords.assess_password, actor, password)
    except ClinicError as error:
        status, headers = failure_status(error)
        return JSONResponse(
            {"detail": error.detail}, 401 if error.kind == ErrorKind.UNAUTHENTICATED else status, headers
        )
    return JSONResponse({"score": found.score, "word": found.word, "why": found.why})
