"""The *Portal Access* card of a profile, and the question before access is turned off."""

from __future__ import annotations

import reflex as rx

from clinic_app.ui.kit.base import icon, pick, row, stack, when
from clinic_app.ui.kit.dialog import question_dialog
from clinic_app.ui.kit.feedback import badge, note, portal_badge
from clinic_app.ui.profile.state import ProfileState as State
from clinic_app.ui.session.form_state import WORKING
from clinic_app.ui.view_models import Access


def access_panel(
    access: Access | rx.Var[Access], *, create: rx.Component, may_change: bool | rx.Var[bool] = True
) -> rx.Component:
    """The *Portal Access* card's contents: one sentence, the facts that matter, the next step.

    ``create`` is the button for a patient without an account.
    """
    busy = State.step == WORKING
    enabled = rx.el.p("Portal access is enabled for this patient")
    username = rx.el.p("Username ", rx.el.span(access.username, class_name="strong break"))
    reset = rx.button(
        icon("key-round"),
        "Reset temporary password",
        variant="outline",
        size="2",
        type="button",
        disabled=busy,
        on_click=State.reset_password,
    )
    turn_off = rx.button(
        "Turn off portal access",
        variant="outline",
        size="2",
        type="button",
        class_name="danger",
        disabled=busy,
        on_click=State.ask_turn_off(True),
    )
    turn_on = rx.button("Turn on portal access", size="2", type="button", disabled=busy, on_click=State.turn_on)
    change = when(may_change, rx.el.div(reset, turn_off, class_name="actions"))

    def marks(*more: rx.Component) -> rx.Component:
        return row(portal_badge(), *more, cls="wrap", gap=2)

    last = when(
        access.last_sign_in,
        rx.el.p("Last signed in ", access.last_sign_in, class_name="muted"),
        rx.el.p("Has not signed in yet", class_name="muted"),
    )
    locked = rx.el.p(
        "Locked after too many wrong passwords, until ",
        rx.el.b(access.locked_until, class_name="num"),
        ".",
        when(may_change, " Resetting the password also unlocks it."),
    )
    expires = rx.el.p(
        "The temporary password expires in ",
        rx.el.b(access.expires_in),
        ", on ",
        rx.el.b(access.expires_at, class_name="num"),
        ".",
    )
    expired = rx.el.p(
        "The temporary password expired on ",
        rx.el.b(access.expires_at, class_name="num"),
        " without being used. The patient cannot sign in until you reset it.",
    )
    cases = {
        "active": stack(marks(), enabled, username, last, change),
        "temporary": stack(
            marks(badge("Waiting for first sign-in", "warn", "clock")),
            enabled,
            username,
            note("warn", expires),
            change,
        ),
        "expired": stack(
            marks(badge("Password expired", "bad", "clock-alert")),
            enabled,
            username,
            note("bad", expired),
            change,
        ),
        "locked": stack(marks(badge("Locked", "bad", "lock")), enabled, username, note("bad", locked), change),
        "off": stack(
            row(badge("Disabled", "idle"), cls="wrap", gap=2),
            rx.el.p("Portal access is turned off"),
            username,
            rx.el.p("Turned off on ", access.turned_off, ". The account and its history are kept.", class_name="muted"),
            when(may_change, rx.el.div(turn_on, class_name="actions")),
        ),
    }
    none = stack(
        rx.el.p("No portal account yet"),
        rx.el.p(
            "With an account, patients can see their own record and correct their contact details.",
            class_name="muted",
        ),
        when(may_change, rx.el.div(create, class_name="actions")),
    )
    panel = pick(access.portal, cases, none)
    return rx.el.div(panel, tab_index=-1, class_name="home", custom_attrs={"data-focus-home": ""})


def turn_off_dialog() -> rx.Component:
    """Asks before access is turned off."""
    return question_dialog(
        title="Turn off portal access",
        question=rx.fragment(
            State.person.name, " will be signed out and can no longer sign in. The account and its history are kept."
        ),
        yes="Turn off portal access",
        open=State.asking_off,
        on_open_change=State.ask_turn_off,
        on_yes=State.turn_off,
        on_no=State.ask_turn_off(False),
    )
