"""Setting up two-factor sign-in: the secret, its QR code and the recovery codes pass through no page state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fastapi import Response

from clinic_app.core import clock, qr, routes
from clinic_app.core.errors import ClinicError, ErrorKind, ReauthenticationRequired
from clinic_app.services.accounts import two_factor
from clinic_app.services.accounts.errors import CodeRefused, TwoFactorIsOff, TwoFactorIsOn
from clinic_app.services.accounts.views import Setup
from clinic_app.services.intents import AlreadyDone
from clinic_app.web import pages, requests
from clinic_app.web.answers import back, let_out, see_other
from clinic_app.web.requests import Acting, Form, counted

router = requests.router()


_ON = "Two-factor sign-in is on. Its recovery codes are shown once: make new ones if you have not kept them."
_MADE = "New recovery codes were made at {at}. They are shown once: make new ones if you have not kept them."


async def _elsewhere(error: ClinicError, back_to: str) -> Response:
    """What to do about an error that is none of the form's. What was done before is told, and not done again."""
    if error.kind == ErrorKind.UNAUTHENTICATED:
        return let_out()
    if isinstance(error, AlreadyDone):
        return await back(routes.ACCOUNT, notice=_MADE.format(at=f"{clock.local(error.done.done_at):%H:%M}"))
    if isinstance(error, TwoFactorIsOn):
        return await back(routes.ACCOUNT, notice=_ON)
    if isinstance(error, ReauthenticationRequired):
        return see_other(routes.confirm(back_to))
    if isinstance(error, TwoFactorIsOff) or error.kind == ErrorKind.FORBIDDEN:
        return see_other(routes.ACCOUNT)
    return pages.render("two_factor/problem.html", 409, detail=error.detail)


async def _do(work: Callable[[], Response], back_to: str) -> Response:
    """``work`` off the event loop; errors lead where they belong."""
    try:
        return await asyncio.to_thread(work)
    except ClinicError as error:
        return await _elsewhere(error, back_to)


def _setup_page(setup: Setup | None, error: str = "") -> Response:
    """The picture to scan and the key, or the button that begins."""
    if setup is None:
        return pages.render("two_factor/begin.html")
    picture = qr.picture(setup.address, border=2)
    return pages.render("two_factor/setup.html", picture=picture, secret=setup.secret, error=error)


def _codes_page(codes: tuple[str, ...], lead: str) -> Response:
    return pages.render("two_factor/codes.html", codes=codes, lead=lead)


@router.get(routes.TWO_FACTOR)
async def two_factor_page(actor: Acting) -> Response:
    """The picture to scan and the key, once setting up has begun; before that, the button that begins."""
    return await _do(lambda: _setup_page(two_factor.show_two_factor(actor)), routes.TWO_FACTOR)


@router.post(routes.TWO_FACTOR_BEGIN)
async def begin(actor: Acting) -> Response:
    """*Set up two-factor sign-in*: makes a secret."""

    def start() -> Response:
        two_factor.begin_two_factor(actor)
        return see_other(routes.TWO_FACTOR)

    return await _do(start, routes.TWO_FACTOR)


@router.post(routes.TWO_FACTOR_ON)
async def turn_on(actor: Acting, form: Form) -> Response:
    """*Turn on*: the first code; answers with the recovery codes, the only time they are shown."""

    def confirm() -> Response:
        try:
            codes = two_factor.confirm_two_factor(actor, form.get("code", "")[:64])
        except CodeRefused:
            wrong = "This code is wrong. Check that your phone's clock is right, and enter the next one."
            return _setup_page(two_factor.show_two_factor(actor), wrong)
        return _codes_page(codes, "Two-factor sign-in is on.")

    return await _do(confirm, routes.TWO_FACTOR)


@router.post(routes.TWO_FACTOR_CODES)
async def new_codes(actor: Acting, form: Form) -> Response:
    """*New recovery codes*: answers with them, the only time they are shown. Sent again, it says so and makes none."""

    def renew() -> Response:
        return _codes_page(counted(actor, form, two_factor.renew_recovery_codes), "Your old codes no longer work.")

    return await _do(renew, routes.ACCOUNT)


@router.post(routes.TWO_FACTOR_OFF)
async def turn_off(actor: Acting) -> Response:
    """*Turn off* on the account page."""

    def off() -> Response:
        two_factor.turn_off_two_factor(actor)
        return see_other(routes.ACCOUNT)

    return await _do(off, routes.ACCOUNT)
