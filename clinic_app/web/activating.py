"""*Set your password*, for whoever has the code of a one-time link: the page, what it posts, its meter, and its ends.

The code is in the link's fragment, which browsers keep to themselves: a small script, or the reader, puts it into the
form. Opening a page uses nothing up.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from clinic_app.core import clock, cookies, routes, waiting_room
from clinic_app.core.calendar_words import SHORT_MONTHS
from clinic_app.core.errors import ClinicError
from clinic_app.services.accounts import passphrase, passwords
from clinic_app.services.accounts.activation import activate
from clinic_app.services.accounts.errors import LinkOver
from clinic_app.services.portal import forgotten
from clinic_app.web import pages, requests
from clinic_app.web.answers import failure_status, first_page, let_in, see_other
from clinic_app.web.requests import Form, Json, ask, token_hash

router = requests.router()
_LONGEST_CODE = 300  # a whole link, copied from the message


def _page(
    status: int = 200,
    *,
    code: str = "",
    errors: dict[str, str] | None = None,
    refused: str = "",
    offered: str = "",
    elsewhere: tuple[str, str] | None = None,
) -> HTMLResponse:
    """The form. The code comes back as it was typed, a password never; ``offered`` is a passphrase of ours.

    ``elsewhere`` is the page where the code belongs, if that is another one: its title and the way there.
    """
    return pages.render(
        "links/activate.html",
        status,
        code=code[:_LONGEST_CODE],
        shortest=passwords.SHORTEST,
        errors=errors or {},
        refused=refused,
        offered=offered,
        elsewhere=elsewhere,
    )


def _when(instant: dt.datetime | None) -> str:
    """``16 Jun 2026 at 10:04``, by the clinic's clock."""
    there = clock.local(instant or clock.now())
    return f"{there.day} {SHORT_MONTHS[there.month - 1]} {there.year} at {there:%H:%M}"


@dataclass(frozen=True, slots=True)
class _End:
    """What a page says of a link that is over, and where it leads besides to a new message."""

    title: str
    tone: str
    what: str
    steps: tuple[str, ...]
    ways: tuple[tuple[str, str], ...] = ()
    foot: str = ""


_COME = ("Call the reception or come to the desk. It takes a minute.", "Say your name and your date of birth.")
_SIGN_IN = (("Sign in", routes.PORTAL_SIGN_IN),)


def _used(at: str, by_email: bool) -> _End:
    return _End(
        "This code was used already",
        "info",
        f"A password was set with it on {at}. A code works once.",
        (
            "Sign in with your email and the password you chose.",
            f"Forgot it? {'Ask for a new message' if by_email else 'Ask the reception'}.",
            "If that was not you, call the reception at once.",
        ),
        _SIGN_IN,
        "Opening a link or a message never uses a code up. Only saving a password does.",
    )


def _superseded(at: str, by_email: bool) -> _End:
    return _End(
        "There is a newer code",
        "warn",
        f"We sent you another message on {at}. Only the code in that one works.",
        ("Look for our newest message. Look among unwanted mail too.", "Open its link, or type its code."),
        (("Type the newer code", routes.ACTIVATE),),
        "Asking again makes the codes before it useless. One message is enough." if by_email else "",
    )


def _replaced(at: str, by_email: bool) -> _End:
    return _End(
        "This code does not work any more",
        "warn",
        f"It was replaced on {at}, by a newer message or by a new password.",
        (
            "Sign in with your email and your newest password.",
            f"You have none? {'Ask for a new message' if by_email else 'Ask the reception'}.",
        ),
        _SIGN_IN,
    )


def _expired(at: str, by_email: bool) -> _End:
    hours = int(forgotten.LIFE.total_seconds() // 3600)
    mailed = ("Ask for a new message.", f"Open its link within {hours} hours.", "Choose your password.")
    return _End(
        "This code has expired",
        "warn",
        f"It worked until {at.replace(' at ', ', ')}. Nothing is lost: you get a new one in a minute.",
        mailed if by_email else _COME,
        foot="No email? The reception can give you a password on the phone or at the desk." if by_email else "",
    )


def _turned_off(_: str, __: bool) -> _End:
    return _End(
        "Your sign-in is turned off",
        "warn",
        "The code is right, but it opens nothing now. Please ask the reception.",
        _COME,
    )


_ENDS = {
    "used": _used,
    "superseded": _superseded,
    "replaced": _replaced,
    "expired": _expired,
    "off": _turned_off,
}


def ended(over: LinkOver) -> HTMLResponse:
    """410: what became of the link, what to do now, and where that is done."""
    by_email = forgotten.links_can_be_sent() and over.why != "off"
    end = _ENDS[over.why](_when(over.at), by_email)
    ways = (*end.ways, ("Ask for a new message", routes.FORGOT)) if by_email else end.ways
    return pages.render("links/over.html", 410, title=end.title, end=end, ways=ways, call=not end.ways)


@router.get(routes.ACTIVATE)
async def page() -> Response:
    """*Set your password*. For anybody: it says nothing of anybody, and uses nothing up."""
    return _page()


@router.get(routes.SHORT_ACTIVATE)
async def short() -> Response:
    """On to that page: a text message has room for this address only. Browsers take the fragment along."""
    return see_other(routes.ACTIVATE)


@router.post(routes.ACTIVATE)
async def save(request: Request, form: Form) -> Response:
    """*Save password*, or *Suggest a passphrase*. For anybody with the code of a link."""
    code = form.get("code", "")[:1000]
    if form.get("do") == "suggest":
        return _page(code=code, offered=passphrase.new_passphrase())
    new, again = form.get("new_password", "")[:1024], form.get("confirm_password", "")[:1024]
    known = {
        "replaces": token_hash(request),
        "device": cookies.sent(request.scope).get(cookies.device_name(), ""),
    }
    try:
        done = await waiting_room.patiently(lambda waited: ask(activate, code, new, again, **known, waited=waited))
    except LinkOver as over:
        return ended(over)
    except ClinicError as error:
        status, headers = failure_status(error)
        refused = "" if error.fields else error.detail
        answer = _page(status, code=code, errors=error.fields, refused=refused, elsewhere=pages.elsewhere(error, code))
        answer.headers.update(headers)
        return answer
    return let_in(first_page(request, done), done)


@router.post(routes.LINK_STRENGTH)
async def strength(sent: Json) -> Response:
    """How good a password would be, for the meter on that page. For anybody; kept nowhere."""
    code, password = sent.get("code"), sent.get("password")
    if not isinstance(code, str) or not isinstance(password, str):
        return JSONResponse({"detail": "code and password must be text."}, 400)
    try:
        found = await asyncio.to_thread(passwords.assess_for_link, code, password)
    except ClinicError as error:
        status, headers = failure_status(error)
        return JSONResponse({"detail": error.detail}, status, headers)
    return JSONResponse({"score": found.score, "word": found.word, "why": found.why})
