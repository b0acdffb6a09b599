"""*Forgot your password?*, for patients: the same answer for everybody, in words and in time."""

from __future__ import annotations

import asyncio

from fastapi import Response
from fastapi.responses import HTMLResponse

from clinic_app.core import routes
from clinic_app.core.errors import ClinicError, InvalidInput
from clinic_app.services.portal import forgotten
from clinic_app.web import pages, requests
from clinic_app.web.answers import failure_status
from clinic_app.web.requests import Form, ask

router = requests.router()
#: Seconds after which everybody is answered. A link takes longer to write than none, but never so long.
PACE = 1.0


def _page(
    status: int = 200, *, email: str = "", errors: dict[str, str] | None = None, refused: str = ""
) -> HTMLResponse:
    """The form; without it, where no email can be sent, what else to do."""
    by_email = forgotten.links_can_be_sent()
    values = {"email": email[:254], "errors": errors or {}, "refused": refused, "by_email": by_email}
    return pages.render("links/forgot.html", status, **values)


async def _at_pace(username: str) -> None:
    """Ask for the link, and come back ``PACE`` seconds after the beginning, whatever came of it."""
    loop = asyncio.get_running_loop()
    until = loop.time() + PACE
    try:
        await ask(forgotten.ask_for_link, username)
    finally:
        await asyncio.sleep(until - loop.time())


@router.get(routes.FORGOT)
async def page() -> Response:
    """*Forgot your password?* For anybody."""
    return _page()


@router.post(routes.FORGOT)
async def send_link(form: Form) -> Response:
    """*Send the link*. For anybody: nobody is told whether there is such an account."""
    if not forgotten.links_can_be_sent():
        return _page()
    typed = form.get("email", "")
    try:
        username = forgotten.username_of(typed)
        await _at_pace(username)
    except InvalidInput as error:
        return _page(400, email=typed, errors=error.fields)
    except ClinicError as error:
        status, headers = failure_status(error)
        answer = _page(status, email=typed, refused=error.detail)
        answer.headers.update(headers)
        return answer
    return pages.render("links/forgot_sent.html", email=username, hourly=forgotten.HOURLY)
