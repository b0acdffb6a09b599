"""Giving portal access: the button, the form, and the credentials that are shown once."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.ui.frame.page import clinic
from clinic_app.ui.kit.base import given, icon, row, stack, when
from clinic_app.ui.kit.dialog import dialog_title
from clinic_app.ui.kit.feedback import disc, failure_note, note, portal_badge
from clinic_app.ui.kit.forms import busy_words, field, submit_button
from clinic_app.ui.kit.slip import slip
from clinic_app.ui.portal_dialog.state import PortalDialogState as State
from clinic_app.ui.session.form_state import WORKING

SIZES = {"sm": "2", "md": "3", "lg": "4"}
VARIANTS = {"primary": "solid", "secondary": "soft", "outline": "outline"}
CREATE = "Create Portal Account"
CREATING = "Creating..."
USERNAME_HINT = "Will be used as portal login username"
PHONE_HINT = "For SMS notifications (optional)"
GENERATED = "A temporary password will be generated."


def portal_account_button(
    *,
    has_access: Any,
    variant: str = "outline",
    size: str = "md",
    busy: Any = False,
    about: Any = None,
    on_click: Any = None,
) -> rx.Component:
    """``Create Portal Account``, or the badge where access exists.

    The name stays the exact words; ``about`` is the id of the patient's name on the page, so that
    ten buttons in a list are ten different ones to assistive technology.
    """
    button = rx.button(
        when(busy, rx.spinner(size="1"), icon("user-plus")),
        busy_words(CREATE, CREATING, busy),
        variant=VARIANTS[variant],
        size=SIZES[size],
        type="button",
        disabled=busy,
        **given(aria_describedby=about, on_click=on_click),
    )
    return when(has_access, portal_badge(), button)


def input_step() -> rx.Component:
    """Ask for the email. While it works everything is off; an error keeps what was typed."""
    busy = State.step == WORKING
    return rx.el.form(
        dialog_title(CREATE, "Create patient portal login for " + State.name),
        stack(
            when(State.failure, failure_note(State.failure, State.failure_detail, State.attempt)),
            field(
                "Email",
                "portal-email",
                name="email",
                hint=USERNAME_HINT,
                error=State.errors["email"],
                type="email",
                default_value=State.values["email"],
                auto_complete="off",
                max_length=254,
                disabled=busy,
                on_blur=State.check_email,
            ),
            field(
                "Phone Number (Optional)",
                "portal-phone",
                name="phone",
                hint=PHONE_HINT,
                required=False,
                marked=False,
                type="tel",
                default_value=State.values["phone"],
                auto_complete="off",
                max_length=40,
                disabled=busy,
                error=State.errors["phone"],
                on_blur=State.check_phone,
            ),
            note("info", rx.el.p("Portal Access", class_name="strong"), rx.el.p(GENERATED)),
            gap=4,
            cls="under-title",
        ),
        rx.el.div(
            rx.button(
                "Cancel", type="button", variant="outline", size="3", disabled=busy, on_click=State.change_open(False)
            ),
            submit_button(CREATE, CREATING, busy, name="user-plus"),
            class_name="dialog-foot",
        ),
        no_validate=True,
        aria_busy=when(busy, "true", "false"),
        key=State.form_number,
        on_submit=State.submit,
    )


def success_step() -> rx.Component:
    """The only moment the password can be read: copy, print, and only Close closes. Takes the focus."""
    whose = when(State.for_staff, "Sign-in credentials for ", "Portal login credentials for ")
    return rx.el.div(
        dialog_title(
            State.title,
            whose + State.name,
            disc("good", "check"),
            tab_index=-1,
            custom_attrs={"id": "portal-done", "data-takes-focus": "1", "data-quiet": ""},
        ),
        stack(
            rx.el.div(
                _copy_field("Username", "cred-username", State.username, "Copy username"),
                _copy_field(
                    "Temporary Password", "cred-password", State.password, "Copy temporary password", secret=True
                ),
                class_name="creds",
            ),
            note(
                "warn",
                rx.el.p("Important", class_name="strong"),
                rx.el.p(
                    when(
                        State.for_staff,
                        "Send these credentials securely. At the first sign-in they must choose their own password.",
                        "Send these credentials securely. Patient must change password on first login.",
                    )
                ),
            ),
            when(State.sent, row(icon("mail", 16), rx.el.p(State.sent), cls="muted top", gap=2)),
            _slip(),
            gap=4,
            cls="under-title",
        ),
        _buttons(),
    )


def _copy_field(label: str, ident: str, value: rx.Var[str], spoken: str, secret: bool = False) -> rx.Component:
    """Read-only, with Copy. The secret is set larger."""
    box = rx.el.input(
        value=value,
        read_only=True,
        auto_complete="off",
        spell_check=False,
        class_name="input secret" if secret else "input",
        custom_attrs={"id": ident},
    )
    button = rx.el.button(
        icon("copy"),
        "Copy",
        type="button",
        class_name="in-btn",
        aria_label=spoken,
        custom_attrs={"data-copy-target": f"#{ident}"},
    )
    return rx.el.div(
        rx.el.div(rx.el.label(label, html_for=ident, class_name="label"), class_name="label-row"),
        rx.el.div(box, button, class_name="with-btn"),
        class_name="field",
    )


def _slip() -> rx.Component:
    """What only paper shows."""
    paper = slip(
        clinic=clinic(),
        name=State.name,
        username=State.username,
        password=State.password,
        until=State.until,
        address=State.address,
        qr=State.qr,
        for_staff=State.for_staff,
    )
    return rx.el.div(paper, class_name="for-print", custom_attrs={"id": "credential-slip"})


def _buttons() -> rx.Component:
    """*Copy Both*, *Print*, *Close*."""
    return rx.el.div(
        # React never touches the words of this line: the script's stay.
        rx.el.p(role="status", class_name="copy-status", custom_attrs={"data-copy-status": ""}),
        rx.button(
            icon("copy"),
            "Copy Both",
            type="button",
            variant="outline",
            size="3",
            custom_attrs={"data-copy-target": "#cred-username,#cred-password"},
        ),
        rx.button(
            icon("printer"),
            "Print",
            type="button",
            variant="outline",
            size="3",
            custom_attrs={"data-print": "#credential-slip"},
            on_click=State.printed,
        ),
        rx.button("Close", type="button", size="3", on_click=State.close),
        class_name="dialog-foot in-order",
    )
