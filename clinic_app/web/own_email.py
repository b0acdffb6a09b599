"""Another email of a patient's own record: the link sent again or taken back, and confirmed by whoever has the code."""

from __future__ import annotations

import asyncio

from fastapi import Request, Response

from clinic_app.core import routes, waiting_room
from clinic_app.core.errors import ClinicError, ErrorKind
from clinic_app.services.access import Actor
from clinic_app.services.intents import AlreadyDone
from clinic_app.services.portal.errors import EmailLinkOver, EmailNotSendable, NoEmailWaits
from clinic_app.services.portal.own_email import confirm_email, keep_old_email, send_again
from clinic_app.web import pages, requests
from clinic_app.web.answers import failure_status, see_other
from clinic_app.web.patient_side import answered, noted, told
from clinic_app.web.requests import Acting, Asking, Form, ask, counted

router = requests.router()
_LONGEST_CODE = 300  # a whole link, copied from the message
_SENT = "We sent the link again. The one before does not work any more."
_KEPT = "Your old email stays."
_CONFIRMED = "Your email is confirmed. The clinic writes to it from now on."


def _decide(actor: Actor, form: dict[str, str]) -> Response:
    home = see_other(routes.PORTAL)
    if form.get("do") == "drop":
        keep_old_email(actor)
        return noted(home, notice=_KEPT)
    if form.get("do") != "again":
        return home
    try:
        counted(actor, form, send_again)
    except AlreadyDone:
        return noted(home, notice=_SENT)
    except NoEmailWaits:
        return home
    except ClinicError as error:
        if isinstance(error, EmailNotSendable) or error.kind == ErrorKind.THROTTLED:
            return noted(home, message=error.detail)
        raise
    return noted(home, notice=_SENT)


@router.post(routes.PORTAL_EMAIL)
async def decide(request: Request, actor: Acting, form: Form) -> Response:
    """*Send it again* or *Keep the old email*, on *My record*."""
    return await answered(request, actor, lambda: _decide(actor, form), refuses=True)


# --- by whoever has the code --------------------------------------------------------------------------


def _page(
    status: int = 200,
    *,
    code: str = "",
    errors: dict[str, str] | None = None,
    refused: str = "",
    elsewhere: tuple[str, str] | None = None,
) -> Response:
    values = {"code": code[:_LONGEST_CODE], "errors": errors or {}, "refused": refused, "elsewhere": elsewhere}
    return pages.render("own_record/confirm_email.html", status, **values)


@router.get(routes.CONFIRM_EMAIL)
async def confirm_page(request: Request, _: Asking) -> Response:
    """*Confirm your email*: the form, or what became of it. For anybody; opening it uses nothing up."""
    note = await asyncio.to_thread(told, request)
    if note.get("confirmed") is True:
        return pages.render("own_record/email_end.html", title="Your email is confirmed", done=True, words=_CONFIRMED)
    return _page()


@router.post(routes.CONFIRM_EMAIL)
async def confirm(actor: Asking, form: Form) -> Response:
    """*Confirm this email*. Whoever is signed in as its owner sees it on *My record*."""
    code = form.get("code", "")[:1024]
    try:
        owner = await waiting_room.patiently(lambda waited: ask(confirm_email, code, waited=waited))
    except EmailLinkOver as over:
        return pages.render("own_record/email_end.html", 410, title=over.title, done=False, words=over.detail)
    except ClinicError as error:
        status, headers = failure_status(error)
        refused = "" if error.fields else error.detail
        page = _page(status, code=code, errors=error.fields, refused=refused, elsewhere=pages.elsewhere(error, code))
        page.headers.update(headers)
        return page
    if actor.account_id == owner:
        return await asyncio.to_thread(noted, see_other(routes.PORTAL), notice=_CONFIRMED)
    return await asyncio.to_thread(noted, see_other(routes.CONFIRM_EMAIL), confirmed=True)
