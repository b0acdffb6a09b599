"""*Print slips*: fresh temporary passwords on a plain page of their own, so that they are in no page state."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from fastapi import Response

from clinic_app.core import qr, routes
from clinic_app.core.errors import ClinicError, ErrorKind
from clinic_app.core.paging import clamp
from clinic_app.core.settings import get_settings
from clinic_app.services.access import Actor
from clinic_app.services.accounts.views import SHOWN_MINUTES
from clinic_app.services.intents import AlreadyDone
from clinic_app.services.patients import wording
from clinic_app.services.portal.slips import Slip, make_slips
from clinic_app.web import pages, requests
from clinic_app.web.answers import failure_status, let_out
from clinic_app.web.requests import Acting, Form, counted

router = requests.router()
_STATUS = {ErrorKind.FORBIDDEN: 403, ErrorKind.NOT_FOUND: 404}
_SHOWN = "These slips were made before, and are shown once. Whose slip was lost gets a new password from the profile."


def _slip(slip: Slip) -> dict[str, object]:
    credentials, origin = slip.credentials, get_settings().origin
    password = credentials.temporary_password
    left, at = wording.deadline_words(credentials.expires_at)
    return {
        "name": slip.name,
        "username": credentials.username,
        "groups": (password[:4], password[4:8], password[8:]),
        "until": f"{at} (in {left})",
        "address": urlsplit(origin).netloc + credentials.login_url,
        "picture": qr.picture(origin + credentials.login_url),
        "long": len(slip.name + credentials.username) > 120,
    }


def _sheet(actor: Actor, form: dict[str, str]) -> Response:
    run_id = clamp(form.get("run_id"), 0, 2**31 - 1, 0)
    undelivered = form.get("which") != "all"
    made = counted(actor, form, lambda who: make_slips(who, run_id, undelivered=undelivered))
    return pages.render("slips/sheet.html", slips=[_slip(one) for one in made], minutes=SHOWN_MINUTES)


@router.post(routes.PORTAL_SLIPS)
async def print_slips(actor: Acting, form: Form) -> Response:
    """*Print slips* of the report of a run: one sheet, shown once. For administrators.

    Sent again, it says so and makes none.
    """
    try:
        return await asyncio.to_thread(_sheet, actor, form)
    except AlreadyDone:
        return pages.render("slips/problem.html", 409, detail=_SHOWN)
    except ClinicError as error:
        if error.kind == ErrorKind.UNAUTHENTICATED:
            return let_out()
        status, headers = failure_status(error)
        answer = pages.render("slips/problem.html", _STATUS.get(error.kind, status), detail=error.detail)
        answer.headers.update(headers)
        return answer
