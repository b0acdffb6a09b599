"""Where somebody cannot go on: what it means and what to do, in the words and the look of the side they are on."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastapi.responses import HTMLResponse

from clinic_app.core import context, routes
from clinic_app.services.accounts.places import sign_in_page
from clinic_app.web import pages

#: Seconds after which to try again while the database is away.
LATER = 10
_COOKIE_STEPS = (
    "Open your browser's settings, then privacy or cookies.",
    "Allow cookies for this address.",
    "Come back and try again.",
)


class Way(NamedTuple):
    """A link out."""

    words: str
    href: str
    picture: str = ""


def _page(path: str, status: int, title: str, paragraphs: tuple[str, ...], *ways: Way, **more: Any) -> HTMLResponse:
    portal = routes.for_patients(path)
    values = {"heading": title, "sign": "", "steps": (), "foot": "", **more}
    home = routes.PORTAL if portal else routes.RECEPTION
    template = "dead_ends/portal.html" if portal else "dead_ends/staff.html"
    return pages.render(template, status, title=title, home=home, paragraphs=paragraphs, ways=ways, **values)


def _again(path: str) -> str:
    """``path`` as a link to try again: a page of ours that can be asked for, never another site."""
    asked_for = path.startswith("/") and not path.startswith(("//", "/auth/")) and "\\" not in path
    if asked_for:
        return path
    return routes.PORTAL if routes.for_patients(path) else routes.RECEPTION


def not_found(path: str) -> HTMLResponse:
    """404: ``path`` is none of ours. It is not repeated: it may hold anything."""
    if routes.for_patients(path):
        ways = (Way("Go to my record", routes.PORTAL),)
    else:
        ways = (Way("Go to Reception", routes.RECEPTION), Way("Find a patient", routes.PATIENTS, "search"))
    words = "The address may be mistyped, or the page has moved. Nothing has been lost."
    return _page(path, 404, "Page not found", (words,), *ways)


def no_rights(path: str) -> HTMLResponse:
    """403: signed in, and the page is for others."""
    if routes.for_patients(path):
        words = ("This page is not for your account. Nothing has been changed.",)
        return _page(path, 403, "You cannot open this page", words, Way("Go to my record", routes.PORTAL))
    words = ("Your role does not allow it.", "If you need it for your work, ask an administrator to change your role.")
    return _page(path, 403, "You cannot open this page", words, Way("Go to Reception", routes.RECEPTION))


def unavailable(path: str) -> HTMLResponse:
    """503: the database is away, so nobody knows who is asking. Nobody is sent to sign in for that."""
    reference = context.current().request_id
    shown = f"Reference: {reference}" if reference else ""
    if routes.for_patients(path):
        title = "We cannot open your record just now"
        words = (
            "It is our fault, not your phone's. Your record is safe, and nothing is lost.",
            "Try again in a minute. If it is urgent, call us.",
        )
    else:
        title = "The register cannot be reached"
        words = (
            "Saving and searching do not work just now. What was saved is safe.",
            "It comes back by itself, often within a minute. Until then, write down name, phone and date of birth "
            "on paper.",
        )
        shown = f"Tell an administrator if it lasts longer than 5 minutes. {shown}".strip()
    page = _page(path, 503, title, words, Way("Try again", _again(path), "again"), sign="unplugged", foot=shown)
    return pages.again_later(page, LATER)


def refused(path: str, status: int, title: str, words: str) -> HTMLResponse:
    """What the edge refuses before it is known who asks, such as a form that never arrived whole."""
    return _page(path, status, title, (words,), Way("Try again", _again(path), "again"))


def too_many_tabs(path: str) -> HTMLResponse:
    """429: this person has as many pages open as one may."""
    words = ("You have very many pages open in this and other windows.", "Close some of them, then try again here.")
    page = _page(path, 429, "Too many open pages", words, Way("Try again", _again(path), "again"))
    return pages.again_later(page, LATER)


def no_cookies(path: str) -> HTMLResponse:
    """400: the browser did not send back the cookie that the sign-in page had given it."""
    words = (
        "Signing in needs one cookie, and this browser keeps none. It holds a random number and ends when you "
        "sign out. It does not follow you.",
    )
    way = Way("Try again", sign_in_page(path), "again")
    return _page(path, 400, "Cookies are off", words, way, sign="cookie", steps=_COOKIE_STEPS)
