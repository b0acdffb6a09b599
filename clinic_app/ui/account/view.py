"""*Your account*: own password, two-factor sign-in, passkeys, open sessions; first what has to be done before."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.core import routes
from clinic_app.services.accounts.passwords import SHORTEST
from clinic_app.ui.account.state import AccountState as State
from clinic_app.ui.frame.page import signed_in_gate, staff_page
from clinic_app.ui.kit.base import apart, card, link_button, page_head, row, stack, when
from clinic_app.ui.kit.feedback import badge, error_note, success_note
from clinic_app.ui.kit.forms import plain_form
from clinic_app.ui.kit.passwords import new_password_fields, password_field, username_for_manager
from clinic_app.ui.own_sessions import view as sessions


def _password() -> rx.Component:
    wrong = State.errors["current_password"]
    form = plain_form(
        username_for_manager(State.username),
        password_field("Current password", "current_password", error=wrong, takes_focus=when(wrong, "1", "")),
        *new_password_fields(
            SHORTEST, error=State.errors["new_password"], confirm_error=State.errors["confirm_password"]
        ),
        rx.el.p("All your other sessions will be signed out.", class_name="muted small"),
        rx.el.div(rx.button("Save password", type="submit", size="3"), class_name="actions fill"),
        action=routes.CHANGE_PASSWORD,
        class_name="stack g4",
        no_validate=True,
    )
    return card(form, title="Password", ident="password-card")


def _post_button(words: str, action: str, cls: str = "", *more: rx.Component, **props: Any) -> rx.Component:
    button = rx.button(words, type="submit", variant="outline", size="2", class_name=cls, **props)
    return plain_form(*more, button, action=action)


def _two_factor() -> rx.Component:
    since = rx.el.span("since ", apart(State.two_factor_since, class_name="num"))
    on = stack(
        row(badge("On", "good", "check"), since, cls="wrap", gap=2),
        rx.el.p("Recovery codes left: ", apart(State.codes_left, class_name="num strong")),
        rx.el.div(
            _post_button("New recovery codes", routes.TWO_FACTOR_CODES, "", rx.el.input(type="hidden", name="intent")),
            when(
                State.required,
                rx.el.p("Your clinic requires it for your role.", class_name="muted"),
                _post_button("Turn off", routes.TWO_FACTOR_OFF, "danger", aria_label="Turn off two-factor sign-in"),
            ),
            class_name="actions",
        ),
    )
    off = stack(
        row(badge("Off", "idle"), gap=2),
        rx.el.p("Signing in then also needs a code from your phone, so a stolen password alone is not enough."),
        rx.el.div(
            link_button("Set up two-factor sign-in", href=routes.TWO_FACTOR, variant="outline", leaves=True),
            class_name="actions",
        ),
    )
    return card(when(State.two_factor_since, on, off), title="Two-factor sign-in", ident="two-factor-card")


def _passkeys() -> rx.Component:
    about = (
        "A passkey signs you in with your fingerprint, your face or the number that unlocks your device. It needs no "
    )
    words = rx.el.p(about + "password and no code.")
    own = link_button("Passkeys", href=routes.PASSKEYS, variant="outline", leaves=True)
    kept = when(State.passkeys, rx.el.p(apart(State.passkeys)))
    return card(stack(words, kept, rx.el.div(own, class_name="actions")), title="Passkeys", ident="passkeys-card")


def _account() -> list[rx.Component]:
    username = apart(State.username, class_name="strong")
    factors = (_two_factor(), when(State.has_passkeys, _passkeys()))
    right = stack(*factors, card(sessions.own_sessions(), title=sessions.TITLE, ident="sessions-card"), gap=5)
    return [
        page_head("Your account", lead=rx.fragment("You sign in as ", username, ".")),
        stack(
            success_note(State.notice),
            error_note(State.failure),
            rx.el.div(_password(), right, class_name="cols halves"),
            gap=5,
        ),
    ]


def _sign_out() -> rx.Component:
    """*Sign out*, where no shell has it."""
    return rx.button("Sign out", type="submit", form="sign-out", variant="outline", size="3", class_name="wide")


def _set_up_first() -> rx.Component:
    """Before anything else: the clinic requires a second factor."""
    return rx.el.div(
        stack(
            rx.el.h1("Set up two-factor sign-in"),
            rx.el.p(
                "Your clinic requires it for your role. You need a phone with an authenticator app; it takes a minute."
            ),
            link_button("Set up two-factor sign-in", href=routes.TWO_FACTOR, size="3", cls="wide", leaves=True),
            _sign_out(),
            gap=4,
        ),
        class_name="card",
    )


def account() -> rx.Component:
    """The page; first of all what has to be done before anything else."""
    waiting = rx.el.div(rx.el.h1("Your account"), rx.el.p("Loading", role="status", class_name="muted"))
    shown = rx.match(
        State.mode,
        ("set_up", signed_in_gate(_set_up_first())),
        ("shown", staff_page(*_account(), current="", register=False)),
        staff_page(waiting, current="", register=False),
    )
    return rx.fragment(shown)
