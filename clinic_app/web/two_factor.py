"""Setting up two-factor sign-in: the secret, its QR code and the recovery codes pass through no page state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from html import escape

import segno
from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse

from clinic_app.core import routes
from clinic_app.core.errors import ClinicError, ErrorKind, ReauthenticationRequired
from clinic_app.services.access import Actor
from clinic_app.services.accounts import two_factor
from clinic_app.services.accounts.errors import CodeRefused, TwoFactorIsOff, TwoFactorIsOn
from clinic_app.services.accounts.views import Setup
from clinic_app.web import plain
from clinic_app.web.signing_in import FORBIDDEN, from_our_pages, let_out, posted_fields, who_asks

router = APIRouter(include_in_schema=False)
TITLE = "Two-factor sign-in"


def _elsewhere(error: ClinicError, back_to: str) -> Response:
    """What to do about an error that is none of the form's."""
    if error.kind == ErrorKind.UNAUTHENTICATED:
        return let_out(RedirectResponse(routes.STAFF_SIGN_IN, 303))
    if isinstance(error, ReauthenticationRequired):
        return RedirectResponse(routes.confirm(back_to), 303)
    if isinstance(error, TwoFactorIsOn | TwoFactorIsOff) or error.kind == ErrorKind.FORBIDDEN:
        return RedirectResponse(routes.ACCOUNT, 303)
    return plain.page(TITLE, plain.note("bad", error.detail), plain.link("Back", routes.ACCOUNT), status=409)


async def _do(request: Request, back_to: str, work: Callable[[Actor], Response]) -> Response:
    """``work`` for whoever asks, off the event loop; errors lead where they belong."""
    actor = await who_asks(request, touch=True)
    try:
        return await asyncio.to_thread(work, actor)
    except ClinicError as error:
        return _elsewhere(error, back_to)


def _setup_page(setup: Setup, error: str = "") -> Response:
    picture = segno.make(setup.address, error="m").svg_data_uri(border=2, dark="#111", light="#fff", scale=4)
    steps = (
        '<ol class="steps stack g2"><li>Install an authenticator app on your phone, if you have none.</li>'
        "<li>Scan this picture with it, or type the key.</li><li>Type the code that the app shows.</li></ol>"
    )
    key = (
        f'<img class="setup-qr" src="{escape(picture)}" alt="QR code for the app" width="220" height="220">'
        '<div class="field"><div class="label-row">'
        '<span class="label" id="key-label">Key, if you cannot scan</span></div>'
        f'<p class="setup-key" id="setup-key" aria-labelledby="key-label" role="group">{escape(setup.secret)}</p></div>'
    )
    typed = plain.form(routes.TWO_FACTOR_ON, plain.code_field(error), plain.button("Turn on"))
    leave = f'<p><a href="{routes.ACCOUNT}">Not now</a></p>'
    return plain.page(TITLE, steps, key, typed, leave)


def _begin_page() -> Response:
    return plain.page(
        TITLE,
        plain.text("Signing in then asks for a code from your phone too. A stolen password alone opens nothing."),
        plain.form(routes.TWO_FACTOR_BEGIN, plain.button("Set up two-factor sign-in")),
        f'<p><a href="{routes.ACCOUNT}">Not now</a></p>',
    )


def _codes_page(codes: tuple[str, ...], lead: str) -> Response:
    lines = "\n".join(escape(code) for code in codes)
    sheet = f'<div id="codes-sheet"><h2>Recovery codes</h2><pre id="recovery-codes" class="codes">{lines}</pre></div>'
    buttons = (
        '<section class="stack g3" aria-label="Keep the codes">'
        '<p role="status" class="copy-status" data-copy-status></p>'
        '<button type="button" class="rt-reset rt-BaseButton rt-Button rt-r-size-3 rt-variant-outline wide" '
        'data-copy-target="#recovery-codes">Copy the codes</button>'
        '<button type="button" class="rt-reset rt-BaseButton rt-Button rt-r-size-3 rt-variant-outline wide" '
        'data-print="#codes-sheet">Print the codes</button></section>'
    )
    return plain.page(
        TITLE,
        plain.note("good", lead),
        plain.text(
            "Each of these codes opens your account once, without your phone. Keep them where you keep what is "
            "important, not on this computer. They are not shown again."
        ),
        sheet,
        buttons,
        plain.link("I have kept them", routes.ACCOUNT),
    )


@router.get(routes.TWO_FACTOR)
async def two_factor_page(request: Request) -> Response:
    """The picture to scan and the key, once setting up has begun; before that, the button that begins."""

    def show(actor: Actor) -> Response:
        setup = two_factor.show_two_factor(actor)
        return _setup_page(setup) if setup is not None else _begin_page()

    return await _do(request, routes.TWO_FACTOR, show)


@router.post(routes.TWO_FACTOR_BEGIN)
async def begin(request: Request) -> Response:
    """*Set up two-factor sign-in*: makes a secret."""
    if not from_our_pages(request):
        return PlainTextResponse(FORBIDDEN, 403)

    def start(actor: Actor) -> Response:
        two_factor.begin_two_factor(actor)
        return RedirectResponse(routes.TWO_FACTOR, 303)

    return await _do(request, routes.TWO_FACTOR, start)


@router.post(routes.TWO_FACTOR_ON)
async def turn_on(request: Request) -> Response:
    """*Turn on*: the first code; answers with the recovery codes, the only time they are shown."""
    if not from_our_pages(request):
        return PlainTextResponse(FORBIDDEN, 403)
    code = (await posted_fields(request)).get("code", "")[:64]

    def confirm(actor: Actor) -> Response:
        try:
            codes = two_factor.confirm_two_factor(actor, code)
        except CodeRefused:
            setup = two_factor.show_two_factor(actor)
            wrong = "This code is not right. Check that the phone's clock is, and type the next one."
            return _setup_page(setup, wrong) if setup is not None else _begin_page()
        return _codes_page(codes, "Two-factor sign-in is on.")

    return await _do(request, routes.TWO_FACTOR, confirm)


@router.post(routes.TWO_FACTOR_CODES)
async def new_codes(request: Request) -> Response:
    """*New recovery codes*: answers with them, the only time they are shown."""
    if not from_our_pages(request):
        return PlainTextResponse(FORBIDDEN, 403)

    def renew(actor: Actor) -> Response:
        return _codes_page(two_factor.renew_recovery_codes(actor), "The codes you had open nothing any more.")

    return await _do(request, routes.ACCOUNT, renew)


@router.post(routes.TWO_FACTOR_OFF)
async def turn_off(request: Request) -> Response:
    """*Turn off* on the account page."""
    if not from_our_pages(request):
        return PlainTextResponse(FORBIDDEN, 403)

    def off(actor: Actor) -> Response:
        two_factor.turn_off_two_factor(actor)
        return RedirectResponse(routes.ACCOUNT, 303)

    return await _do(request, routes.ACCOUNT, off)
