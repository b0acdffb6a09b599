"""Fields that prove who somebody is, and choosing a password. Posted by the browser itself: states never see them."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.ui.kit.base import Child, Text, given, icon, row, when
from clinic_app.ui.kit.forms import aria, field, frame


def username_for_manager(username: Text) -> rx.Component:
    """The username, for the browser's password manager only."""
    return rx.el.input(
        type="text", name="username", auto_complete="username", value=username, read_only=True, hidden=True
    )


def password_field(
    label: str,
    ident: str,
    *,
    hint: Child | None = None,
    error: Text | None = None,
    after: rx.Component | None = None,
    strength: str = "",
    takes_focus: Text | None = None,
    **props: Any,
) -> rx.Component:
    """A password with Show/Hide: typing blind is the commonest cause of a wrong password.

    ``show.js`` presses the button; ``strength`` is the id of the meter it fills.
    """
    attrs = given(**{"data-strength": strength or None, "data-takes-focus": takes_focus})
    box = rx.el.input(
        id=ident,
        name=ident,
        type="password",
        max_length=128,
        auto_complete=props.pop("auto_complete", "current-password"),
        auto_capitalize="none",
        spell_check=False,
        class_name="input",
        custom_attrs=attrs,
        **aria(ident, hint, error, True),
        **props,
    )
    button = rx.el.button(
        icon("eye", 16, "to-show"),
        icon("eye-off", 16, "to-hide"),
        rx.el.span("Show", custom_attrs={"data-words": ""}),
        type="button",
        class_name="in-btn",
        aria_label="Show typed characters",
        aria_pressed="false",
        custom_attrs={"data-shows": ident},
    )
    control = rx.el.div(box, button, class_name="with-btn")
    return frame(label, ident, control, hint=hint, error=error, after=after)


def code_field(error: Text, *, hint: str, takes_focus: Text) -> rx.Component:
    """The second factor: six digits of the app, or a recovery code."""
    return field(
        "Authentication code",
        "code",
        hint=hint,
        error=error,
        auto_complete="one-time-code",
        input_mode="text",
        auto_capitalize="characters",
        spell_check=False,
        max_length=32,
        custom_attrs={"data-takes-focus": takes_focus},
    )


def strength(ident: str) -> rx.Component:
    """Password strength: four bars, a word, and what would be better, announced when it changes.

    ``password.js`` fills it for the field that has ``data-strength`` = ``ident``; nothing in it may
    depend on state, or React would take the script's words away.
    """
    bars = rx.el.div(
        *[rx.el.span() for _ in range(4)],
        class_name="strength s0",
        aria_hidden="true",
        custom_attrs={"data-strength-bars": ""},
    )
    return rx.el.div(
        row(
            rx.el.span("Strength", class_name="muted"),
            rx.el.span("", class_name="strong", custom_attrs={"data-strength-word": ""}),
            cls="between",
        ),
        bars,
        rx.el.p("", class_name="muted small", custom_attrs={"data-strength-why": ""}),
        role="status",
        class_name="stack g2",
        custom_attrs={"id": ident},
    )


def suggest_passphrase() -> rx.Component:
    """*Suggest a passphrase*: ``password.js`` asks the server for one, fills it into both fields and shows it."""
    targets = "new_password,confirm_password"
    return rx.el.div(
        rx.el.button(
            "Suggest a passphrase", type="button", class_name="in-btn bare", custom_attrs={"data-suggest": targets}
        ),
        rx.el.p(role="status", class_name="muted small", custom_attrs={"data-suggest-status": ""}),
    )


def new_password_fields(minimum: int, *, error: Text, confirm_error: Text) -> tuple[rx.Component, rx.Component]:
    """The new password with its meter and an offer of a passphrase; and the same again."""
    new = password_field(
        "New password",
        "new_password",
        error=error,
        auto_complete="new-password",
        strength="strength",
        hint=f"{minimum} characters or more. Three or four words are easiest to remember.",
        takes_focus=when(error, "1", ""),
        min_length=minimum,
        after=rx.el.div(strength("strength"), suggest_passphrase(), class_name="stack g3 after"),
    )
    again = password_field(
        "Confirm new password",
        "confirm_password",
        error=confirm_error,
        auto_complete="new-password",
        takes_focus=when(confirm_error, "1", ""),
    )
    return new, again
