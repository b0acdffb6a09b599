"""*Confirm it is you*: password, and a code where there is a second factor. Posts them and where it leads."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.confirm.state import ConfirmState as State
from clinic_app.ui.frame.page import signed_in_gate
from clinic_app.ui.kit.base import icon, when
from clinic_app.ui.kit.feedback import error_note
from clinic_app.ui.kit.forms import plain_form
from clinic_app.ui.kit.passwords import code_field, password_field, username_for_manager


def _form() -> rx.Component:
    code = code_field(
        State.code_error,
        hint="Six digits from your app, or a recovery code",
        takes_focus=when(State.code_error, "1", ""),
    )
    return plain_form(
        error_note(State.failure),
        username_for_manager(State.username),
        rx.el.input(type="hidden", name="next", value=State.next, read_only=True),
        password_field("Password", "password", error=State.password_error, takes_focus=when(State.code_error, "", "1")),
        when(State.asks_code, code),
        rx.button("Continue", size="3", class_name="wide", type="submit"),
        action=routes.REAUTHENTICATE,
        class_name="stack g4 gate-form",
        no_validate=True,
    )


def _passkey() -> rx.Component:
    """*Confirm with a passkey*: ``passkeys.js`` shows it where the browser can, and posts the answer."""
    to = {
        "data-passkey-confirm": routes.PASSKEY_CONFIRM,
        "data-sends-to": routes.REAUTHENTICATE,
        "data-next": State.next,
        "data-busy": "Confirming...",
    }
    words = rx.el.span("Confirm with a passkey")
    look: dict[str, Any] = {"type": "button", "size": "3", "class_name": "wide"}
    return rx.fragment(
        rx.el.div(
            rx.el.p(rx.el.span("or"), class_name="or"),
            rx.button(icon("fingerprint"), words, variant="outline", custom_attrs=to, **look),
            rx.el.p(class_name="error", role="alert", custom_attrs={"data-passkey-error": ""}),
            hidden=True,
            class_name="or-passkey",
            custom_attrs={"data-passkey": State.passkey_site},
        ),
        rx.el.script(src="/passkeys.js", custom_attrs={"async": True}),
    )


def confirm() -> rx.Component:
    """The page."""
    return signed_in_gate(
        rx.el.div(
            rx.el.h1("Confirm it is you"),
            rx.el.p(
                "The next step is sensitive, so please enter your password again. "
                "You will not be asked again for five minutes.",
                class_name="muted under-h1",
            ),
            _form(),
            when(State.passkey_site, _passkey()),
            class_name="card",
        ),
        rx.el.p(rx.el.a("Back to Reception", href=routes.RECEPTION)),
    )
