"""The doors: both sign-in pages and the second step, each a form that posts to its own address.

A success is answered by 303 and a cookie, a refusal by the page again, with what was typed but the password.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from clinic_app.core import addresses, cookies, crypto, routes, waiting_room
from clinic_app.core.counts import plural
from clinic_app.core.errors import ClinicError
from clinic_app.core.settings import get_settings
from clinic_app.services.accounts import places, sessions
from clinic_app.services.accounts.errors import (
    CodeRefused,
    PasskeysUnavailable,
    SecondFactorRequired,
    SignInOver,
    TemporaryPasswordExpired,
)
from clinic_app.services.accounts.passkey_sign_in import begin_passkey_sign_in, finish_passkey_sign_in
from clinic_app.services.accounts.signing_in import (
    PATIENT_DOOR,
    SECOND_STEP,
    STAFF_DOOR,
    finish_sign_in,
    second_step_open,
    sign_in,
)
from clinic_app.services.portal.forgotten import links_can_be_sent
from clinic_app.web import dead_ends, kept_forms, pages, requests
from clinic_app.web.answers import failure_status, first_page, forget, keep, let_in, see_other
from clinic_app.web.requests import Asking, Form, ask, look_up, shows_pages, token_hash

router = requests.router()
_KEPT = "What you typed is kept: sign in to go on."
_PROBE_LIFE = 400 * 24 * 3600  # seconds; the longest that browsers keep any: a form may have been open for days


@dataclass(frozen=True, slots=True)
class Door:
    """A sign-in page: its address, and what its fields are called."""

    name: str
    path: str
    template: str
    field: str
    label: str

    def page(
        self,
        status: int = 200,
        *,
        username: str = "",
        refused: str = "",
        errors: dict[str, str] | None = None,
        ended: str = "",
        kept: str = "",
    ) -> HTMLResponse:
        """The form, with what was typed as a username and what was wrong. ``kept`` is another form, sealed."""
        values = {"username": username[:254], "refused": refused, "errors": errors or {}, "ended": ended, "kept": kept}
        values["passkey_site"] = addresses.passkey_site(get_settings())
        return pages.render(self.template, status, must_wait=status == 429, **values)

    def missing(self, form: dict[str, str]) -> dict[str, str]:
        """What was left empty, in words by field."""
        labels = {self.field: self.label, "password": "Password"}
        return {name: f"{label} is required." for name, label in labels.items() if not form.get(name, "").strip()}


_STAFF = Door(STAFF_DOOR, routes.STAFF_SIGN_IN, "signing_in/staff.html", "username", "Username")
PATIENT = Door(PATIENT_DOOR, routes.PORTAL_SIGN_IN, "signing_in/portal.html", "email", "Email")


def _why_over(door: Door, over: sessions.Over | None) -> str:
    """What the page says to somebody whose session has ended by itself, or by a new password; else nothing."""
    if over is None or over.is_patient != (door is PATIENT):
        return ""
    if over.changed:
        return "Your password was changed. Sign in with the new one."
    if over.hours:
        hours = plural(over.hours, "hour")
        return f"Signing in lasts {hours}. Sign in again to go on."
    why = f"Nothing was done for {plural(over.minutes, 'minute')}."
    if over.is_patient:
        return f"{why} So nobody else who takes your phone can read your record."
    return f"{why} Sign in to go on where you were; what you typed is kept."


async def sign_in_and_go_on(request: Request, kept: str) -> Response:
    """*Patient portal sign in*, after a form of somebody's whose session is over: ``kept`` has what was typed."""
    over = await look_up(sessions.why_over, token_hash(request))
    why = f"{_why_over(PATIENT, over)} {_KEPT}".strip()
    return _probing(request, PATIENT.page(ended=why, kept=kept))


async def _show(request: Request, door: Door, actor_start: str) -> Response:
    if actor_start:
        return see_other(actor_start)
    over = await look_up(sessions.why_over, token_hash(request))
    return _probing(request, door.page(ended=_why_over(door, over)))


def _probing(request: Request, page: Response) -> Response:
    """Give the browser a cookie to send back with the form, unless it has shown that it keeps them."""
    return page if cookies.sent(request.scope) else keep(page, cookies.probe_name(), "1", _PROBE_LIFE)


def _keeps_no_cookies(request: Request) -> bool:
    """Whether a browser sent the form without the cookie that came with it."""
    return not cookies.sent(request.scope) and shows_pages(request)


def _device(request: Request) -> str:
    """What the browser is known by, if anybody has signed in with it before."""
    return cookies.sent(request.scope).get(cookies.device_name(), "")


async def _sign_in_with_passkey(request: Request, door: Door, answer: str, kept: str) -> Response:
    known = {"replaces": token_hash(request), "device": _device(request)}
    try:
        done = await ask(finish_passkey_sign_in, door.name, answer, **known)
    except PasskeysUnavailable:
        return dead_ends.not_found(door.path)
    except ClinicError as error:
        return _refused(door, error, kept=kept)
    return kept_forms.goes_on(let_in(first_page(request, done), done), done.actor, kept)


def _refused(door: Door, error: ClinicError, username: str = "", kept: str = "") -> Response:
    status, headers = failure_status(error)
    page = door.page(status, username=username, refused=error.detail, kept=kept)
    page.headers.update(headers)
    return page


async def _sign_in(request: Request, door: Door, form: dict[str, str]) -> Response:
    if _keeps_no_cookies(request):
        return dead_ends.no_cookies(door.path)
    name, password = form.get(door.field, ""), form.get("password", "")
    kept = form.get(kept_forms.FIELD, "") if door is PATIENT else ""
    if "passkey" in form:
        return await _sign_in_with_passkey(request, door, form["passkey"], kept)
    if missing := door.missing(form):
        return door.page(400, username=name, errors=missing, kept=kept)
    try:
        known = {"replaces": token_hash(request), "device": _device(request)}
        done = await waiting_room.patiently(
            lambda waited: ask(sign_in, door.name, name, password[:1024], **known, waited=waited)
        )
    except SecondFactorRequired as needed:
        life = int(SECOND_STEP.total_seconds())
        return keep(see_other(routes.SIGN_IN_CODE), cookies.step_name(), needed.token, max_age=life)
    except TemporaryPasswordExpired as error:
        if door is PATIENT:
            hours = get_settings().temporary_password_hours
            by_email = links_can_be_sent()
            return pages.render("signing_in/expired.html", 410, detail=error.detail, hours=hours, by_email=by_email)
        return door.page(410, username=name, refused=error.detail)
    except ClinicError as error:
        return _refused(door, error, name, kept)
    return kept_forms.goes_on(let_in(first_page(request, done), done), done.actor, kept)


@router.get(routes.STAFF_SIGN_IN)
async def staff_page(request: Request, actor: Asking) -> Response:
    """*Staff sign in*. Somebody signed in is sent to where they belong."""
    return await _show(request, _STAFF, places.start(actor) if actor.kind == "account" else "")


@router.post(routes.STAFF_SIGN_IN)
async def staff_sign_in(request: Request, form: Form) -> Response:
    """*Sign in* at ``/login``. Anybody may try."""
    return await _sign_in(request, _STAFF, form)


@router.get(routes.PORTAL_SIGN_IN)
async def patient_page(request: Request, actor: Asking) -> Response:
    """*Patient portal sign in*. Somebody signed in is sent to where they belong."""
    return await _show(request, PATIENT, places.start(actor) if actor.kind == "account" else "")


@router.post(routes.PORTAL_SIGN_IN)
async def patient_sign_in(request: Request, form: Form) -> Response:
    """*Sign in* at ``/patient-portal/login``. Anybody may try."""
    return await _sign_in(request, PATIENT, form)


@router.post(routes.PASSKEY_CHALLENGE)
async def ask_for_a_passkey(request: Request, _: Asking) -> Response:
    """*Sign in with a passkey*, on both pages: what the browser is to ask for, as JSON. Anybody may try, whoever asks.

    The answer is posted to the page itself.
    """
    device = _device(request)
    try:
        options = await waiting_room.patiently(lambda waited: ask(begin_passkey_sign_in, device=device, waited=waited))
    except PasskeysUnavailable as error:
        return JSONResponse({"detail": error.detail}, 404)
    except ClinicError as error:
        status, headers = failure_status(error)
        return JSONResponse({"detail": error.detail}, status, headers)
    return Response(options, media_type="application/json")


# --- the second step ------------------------------------------------------------------------------


def _step_hash(request: Request) -> str:
    token = cookies.sent(request.scope).get(cookies.step_name(), "")
    return crypto.digest(token) if token else ""


def _code_page(
    status: int = 200, *, recovery: bool, code: str = "", refused: str = "", errors: dict[str, str] | None = None
) -> HTMLResponse:
    """The form. Six digits come back as typed; a recovery code, like a password, does not."""
    kept = code if all(c in "0123456789 " for c in code) else ""
    return pages.render(
        "signing_in/code.html", status, recovery=recovery, code=kept[:32], refused=refused, errors=errors or {}
    )


async def _show_code(request: Request, actor_start: str, *, recovery: bool) -> Response:
    if actor_start:
        return see_other(actor_start)
    if not await look_up(second_step_open, _step_hash(request)):
        return see_other(routes.STAFF_SIGN_IN)
    return _code_page(recovery=recovery)


async def _send_code(request: Request, form: dict[str, str], *, recovery: bool) -> Response:
    code = form.get("code", "")[:64]
    if not code.strip():
        errors = {"code": f"{'Recovery code' if recovery else 'Authentication code'} is required."}
        return _code_page(400, recovery=recovery, errors=errors)
    try:
        done = await ask(finish_sign_in, _step_hash(request), code, device=_device(request))
    except SignInOver as error:
        return forget(_STAFF.page(400, refused=error.detail), cookies.step_name())
    except CodeRefused as error:
        return _code_page(400, recovery=recovery, code=code, errors={"code": error.detail})
    except ClinicError as error:
        status, headers = failure_status(error)
        page = _code_page(status, recovery=recovery, code=code, refused=error.detail)
        page.headers.update(headers)
        return page
    return let_in(first_page(request, done), done)


@router.get(routes.SIGN_IN_CODE)
async def code_page(request: Request, actor: Asking) -> Response:
    """*Authentication code*, after the right password."""
    return await _show_code(request, places.start(actor) if actor.kind == "account" else "", recovery=False)


@router.post(routes.SIGN_IN_CODE)
async def send_code(request: Request, form: Form) -> Response:
    """*Continue*: the second step. For whoever holds the cookie of the first one."""
    return await _send_code(request, form, recovery=False)


@router.get(routes.SIGN_IN_RECOVERY)
async def recovery_page(request: Request, actor: Asking) -> Response:
    """*Recovery code*, for whoever has lost the phone."""
    return await _show_code(request, places.start(actor) if actor.kind == "account" else "", recovery=True)


@router.post(routes.SIGN_IN_RECOVERY)
async def send_recovery_code(request: Request, form: Form) -> Response:
    """*Continue*: the same step, with a code that was kept."""
    return await _send_code(request, form, recovery=True)
