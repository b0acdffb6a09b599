"""A patient's own password, and where they are signed in."""

from __future__ import annotations

from fastapi import Request, Response

from clinic_app.core import cookies, routes
from clinic_app.core.errors import ClinicError, ErrorKind, NotFound
from clinic_app.services.access import Actor
from clinic_app.services.accounts import own_sessions, passphrase, passwords
from clinic_app.services.patients import wording
from clinic_app.web import pages, requests
from clinic_app.web.answers import failure_status, keep, see_other
from clinic_app.web.patient_side import answered, noted, told
from clinic_app.web.requests import Acting, Form, token_hash

router = requests.router()
CHANGED = "Your password has been changed. All your other devices have been signed out."


def _password_page(
    actor: Actor, status: int = 200, *, errors: dict[str, str] | None = None, refused: str = "", offered: str = ""
) -> Response:
    """The form. What was typed is not in it; ``offered`` is a passphrase of ours."""
    return pages.render(
        "own_record/password.html",
        status,
        username=actor.username,
        shortest=passwords.SHORTEST,
        errors=errors or {},
        refused=refused,
        offered=offered,
    )


def _save_password(actor: Actor, form: dict[str, str], token: str) -> Response:
    typed = [form.get(name, "")[:1024] for name in ("current_password", "new_password", "confirm_password")]
    try:
        if form.get("do") == "suggest":
            return _password_page(actor, offered=passphrase.suggest_passphrase(actor))
        done = passwords.change_password(actor, *typed, session_token_hash=token)
    except ClinicError as error:
        if error.kind in (ErrorKind.UNAUTHENTICATED, ErrorKind.FORBIDDEN):
            raise
        status, headers = failure_status(error)
        page = _password_page(actor, status, errors=error.fields, refused="" if error.fields else error.detail)
        page.headers.update(headers)
        return page
    return keep(noted(see_other(routes.PORTAL), notice=CHANGED), cookies.session_name(), done.token)


@router.get(routes.PORTAL_OWN_PASSWORD)
async def password_page(request: Request, actor: Acting) -> Response:
    """*Change password*, for patients."""
    return await answered(request, actor, lambda: _password_page(actor))


@router.post(routes.PORTAL_OWN_PASSWORD)
async def save_password(request: Request, actor: Acting, form: Form) -> Response:
    """*Save password*, or *Suggest a passphrase* without scripts."""
    token = token_hash(request)
    return await answered(request, actor, lambda: _save_password(actor, form, token))


# --- where one is signed in ---------------------------------------------------------------------------


@router.get(routes.PORTAL_SESSIONS)
async def sessions_page(request: Request, actor: Acting) -> Response:
    """*Where you are signed in*, for patients."""

    def show() -> Response:
        listed, note = own_sessions.list_own_sessions(actor), told(request)
        rows = [(one.id, one.device, wording.session_words(one), one.this_one) for one in listed]
        said, failed = (str(note.get(name, ""))[:200] for name in ("notice", "message"))
        return pages.render("own_record/sessions.html", sessions=rows, said=said, failed=failed)

    return await answered(request, actor, show)


def _end(actor: Actor, given: str) -> Response:
    wanted = int(given) if given.isascii() and given.isdigit() and len(given) <= 9 else 0
    device = next((one.device for one in own_sessions.list_own_sessions(actor) if one.id == wanted), "")
    try:
        own_sessions.end_own_session(actor, wanted)
    except NotFound as over:
        return noted(see_other(routes.PORTAL_SESSIONS), message=over.detail)
    return noted(see_other(routes.PORTAL_SESSIONS), notice=f"{device or 'That device'} is signed out.")


@router.post(routes.PORTAL_SESSION_END)
async def end_session(request: Request, actor: Acting, form: Form) -> Response:
    """*Sign out* beside one of one's own sessions."""
    return await answered(request, actor, lambda: _end(actor, form.get("session", "")))
