"""Giving portal access: the button, the dialog in its four states, the credentials, the card."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.ui.kit.base import given, icon, pick, row, stack, when
from clinic_app.ui.kit.feedback import badge, disc, note
from clinic_app.ui.kit.forms import busy_words, field, submit_button
from clinic_app.ui.kit.shell import Clinic
from clinic_app.ui.kit.slip import slip

SIZES = {"sm": "2", "md": "3", "lg": "4"}
VARIANTS = {"primary": "solid", "secondary": "soft", "outline": "outline"}
CREATE = "Create Portal Account"
CREATING = "Creating..."
USERNAME_HINT = "Will be used as portal login username"
PHONE_HINT = "For SMS notifications (optional)"
GENERATED = "A temporary password will be generated."


def portal_badge() -> rx.Component:
    """What stands where the button was, once access exists."""
    return rx.el.span("✓ Portal Active", class_name="badge good")


def portal_account_button(
    *,
    has_access: Any,
    variant: str = "outline",
    size: str = "md",
    busy: Any = False,
    about: Any = "",
    on_click: Any = None,
    ident: Any = "",
) -> rx.Component:
    """``Create Portal Account``, or the badge where access exists.

    The name stays the exact words; ``about`` is the id of the patient's name on the page, so that
    ten buttons in a list are ten different ones to assistive technology.
    """
    described = about if isinstance(about, rx.Var) else about or None
    button = rx.button(
        when(busy, rx.spinner(size="1"), icon("user-plus")),
        busy_words(CREATE, CREATING, busy),
        variant=VARIANTS[variant],
        size=SIZES[size],
        type="button",
        disabled=busy,
        **given(
            aria_describedby=described,
            on_click=on_click,
            id=ident if isinstance(ident, rx.Var) else ident or None,
        ),
    )
    return when(has_access, portal_badge(), button)


def portal_action(
    patient: Any, *, may_create: Any, on_click: Any = None, busy: Any = False, size: str = "sm"
) -> rx.Component:
    """The last column of the list for a ``PatientRow``: the button, the badge, or nothing to do there.

    An account that is turned off is turned on again on the profile, where one sees since when.
    """
    button = portal_account_button(
        has_access=False, size=size, busy=busy, about="name-" + patient.patient_id, on_click=on_click
    )
    cases = {
        "none": when(may_create, button),
        "off": rx.el.span("Turned off", class_name="muted small"),
    }
    return pick(patient.portal, cases, portal_badge())


def _copy_field(label: str, ident: str, value: Any, spoken: str, secret: bool = False) -> rx.Component:
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


def credentials_box(username: Any, password: Any) -> rx.Component:
    """Username and temporary password, read-only, each with Copy. The secret is set larger."""
    return rx.el.div(
        _copy_field("Username", "cred-username", username, "Copy username"),
        _copy_field("Temporary Password", "cred-password", password, "Copy temporary password", secret=True),
        class_name="creds",
    )


def credentials(
    *,
    clinic: Clinic,
    name: Any,
    username: Any,
    password: Any,
    until: Any,
    sent: Any,
    address: Any,
    qr: Any = "",
    for_staff: Any = False,
) -> rx.Component:
    """All that is shown with the credentials, and the slip that only paper shows.

    ``sent`` says what went where, or that the credentials must be handed over in person.
    """
    return stack(
        credentials_box(username, password),
        note(
            "warn",
            rx.el.p("Important", class_name="strong"),
            rx.el.p(
                when(
                    for_staff,
                    "Send these credentials securely. The first sign-in asks for a password of one's own.",
                    "Send these credentials securely. Patient must change password on first login.",
                )
            ),
        ),
        when(sent, row(icon("mail", 16), rx.el.p(sent), cls="muted top", gap=2)),
        rx.el.div(
            slip(
                clinic=clinic,
                name=name,
                username=username,
                password=password,
                until=until,
                address=address,
                qr=qr,
                for_staff=for_staff,
            ),
            class_name="for-print",
            custom_attrs={"id": "credential-slip"},
        ),
        gap=4,
        cls="under-title",
    )


def credentials_buttons(*last: rx.Component, on_print: Any = None) -> rx.Component:
    """*Copy Both*, *Print*, and what comes last."""
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
            **given(on_click=on_print),
        ),
        *last,
        class_name="dialog-foot in-order",
    )


def _title(text: Any, description: Any, mark: rx.Component | None = None, **props: Any) -> rx.Component:
    """Title and description: they name the dialog."""
    words = rx.el.div(
        rx.dialog.title(text, custom_attrs={"as": "h2"}),  # the page keeps its one h1
        rx.dialog.description(description, class_name="muted"),
        class_name="grow",
    )
    return row(*([mark] if mark is not None else []), words, cls="top", **props)


def failure_note(title: Any, detail: Any, attempt: Any = "1") -> rx.Component:
    """A mistake that belongs to no field: what happened, then what to do. Takes the focus."""
    return note(
        "bad",
        rx.el.p(title, class_name="strong"),
        rx.el.p(detail),
        role="alert",
        tab_index=-1,
        custom_attrs={"data-takes-focus": attempt},
    )


def input_step(
    *,
    name: Any,
    email: Any = "",
    phone: Any = "",
    error: Any = "",
    phone_error: Any = "",
    failure: Any = "",
    failure_detail: Any = "",
    busy: Any = False,
    attempt: Any = "1",
    on_submit: Any = None,
    on_cancel: Any = None,
    on_email_blur: Any = None,
    on_phone_blur: Any = None,
    key: Any = None,
) -> rx.Component:
    """Ask for the email. While busy everything is off; an error keeps what was typed.

    Field names of the submitted form: ``email`` and ``phone``. ``error`` belongs to the email,
    ``failure`` and ``failure_detail`` to no field. ``attempt`` changes with every failed submit: a
    failure of no field takes the focus; for a wrong field the state sets it. ``key`` changes with the
    patient, so that new defaults count.
    """
    form = {"on_submit": on_submit} if on_submit is not None else {}
    return rx.el.form(
        _title(CREATE, _sentence("Create patient portal login for ", name)),
        stack(
            when(failure, failure_note(failure, failure_detail, attempt)),
            field(
                "Email",
                "portal-email",
                name="email",
                hint=USERNAME_HINT,
                error=error,
                type="email",
                default_value=email,
                auto_complete="off",
                max_length=254,
                disabled=busy,
                **given(on_blur=on_email_blur),
            ),
            field(
                "Phone Number (Optional)",
                "portal-phone",
                name="phone",
                hint=PHONE_HINT,
                required=False,
                marked=False,
                type="tel",
                default_value=phone,
                auto_complete="off",
                max_length=40,
                disabled=busy,
                error=phone_error,
                **given(on_blur=on_phone_blur),
            ),
            note("info", rx.el.p("Portal Access", class_name="strong"), rx.el.p(GENERATED)),
            gap=4,
            cls="under-title",
        ),
        rx.el.div(
            rx.button("Cancel", type="button", variant="outline", size="3", disabled=busy, **given(on_click=on_cancel)),
            submit_button(CREATE, CREATING, busy, name="user-plus"),
            class_name="dialog-foot",
        ),
        no_validate=True,
        aria_busy=when(busy, "true", "false"),
        **given(key=key),
        **form,
    )


def _sentence(start: str, name: Any) -> Any:
    """``start`` and a name as one text: a title in two pieces is read in two."""
    return start + name


def success_step(
    *,
    clinic: Clinic,
    name: Any,
    username: Any,
    password: Any,
    until: Any,
    sent: Any,
    address: Any,
    qr: Any = "",
    title: Any = "Portal Account Created!",
    on_print: Any = None,
    on_close: Any = None,
    for_staff: Any = False,
) -> rx.Component:
    """The only moment the password can be read: copy, print, and only Close closes. Takes the focus."""
    return rx.el.div(
        _title(
            title,
            when(
                for_staff, _sentence("Sign-in credentials for ", name), _sentence("Portal login credentials for ", name)
            ),
            disc("good", "check"),
            tab_index=-1,
            custom_attrs={"id": "portal-done", "data-takes-focus": "1", "data-quiet": ""},
        ),
        credentials(
            clinic=clinic,
            name=name,
            username=username,
            password=password,
            until=until,
            sent=sent,
            address=address,
            qr=qr,
            for_staff=for_staff,
        ),
        credentials_buttons(rx.button("Close", type="button", size="3", **given(on_click=on_close)), on_print=on_print),
    )


def portal_dialog(
    *content: Any,
    open: Any,
    stays: Any = False,
    on_open_change: Any = None,
) -> rx.Component:
    """The one dialog. While ``stays`` is true neither Escape nor a click outside closes it."""
    held = when(stays, rx.prevent_default, rx.noop())
    return rx.dialog.root(
        rx.dialog.content(*content, class_name="portal-dialog", on_escape_key_down=held, on_interact_outside=held),
        open=open,
        **given(on_open_change=on_open_change),
    )


def question_dialog(
    *,
    title: str,
    question: Any,
    yes: str,
    open: Any,
    on_open_change: Any,
    on_yes: Any,
    on_no: Any,
) -> rx.Component:
    """Asks before something that is hard to take back. The answer that does nothing comes first."""
    return rx.dialog.root(
        rx.dialog.content(
            _title(title, question),
            rx.el.div(
                rx.button("Cancel", type="button", variant="outline", size="3", on_click=on_no),
                rx.button(yes, type="button", variant="outline", size="3", class_name="danger", on_click=on_yes),
                class_name="dialog-foot",
            ),
            class_name="portal-dialog",
        ),
        open=open,
        on_open_change=on_open_change,
    )


def access_panel(
    access: Any,
    *,
    create: rx.Component,
    may_change: Any = True,
    on_reset: Any = None,
    on_turn_off: Any = None,
    on_turn_on: Any = None,
    busy: Any = False,
) -> rx.Component:
    """The *Portal Access* card's contents: one sentence, the facts that matter, the next step.

    ``access`` is an ``Access``; ``create`` is the button for a patient without an account.
    """
    enabled = rx.el.p("Portal access is enabled for this patient")
    username = rx.el.p("Username ", rx.el.span(access.username, class_name="strong break"))
    reset = rx.button(
        icon("key-round"),
        "Reset temporary password",
        variant="outline",
        size="2",
        type="button",
        disabled=busy,
        **given(on_click=on_reset),
    )
    turn_off = rx.button(
        "Turn off portal access",
        variant="outline",
        size="2",
        type="button",
        class_name="danger",
        disabled=busy,
        **given(on_click=on_turn_off),
    )
    turn_on = rx.button("Turn on portal access", size="2", type="button", disabled=busy, **given(on_click=on_turn_on))
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
        ". A reset also unlocks it.",
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
            "With an account the patient sees their own record and corrects their contact details.",
            class_name="muted",
        ),
        when(may_change, rx.el.div(create, class_name="actions")),
    )
    panel = pick(access.portal, cases, none)
    return rx.el.div(panel, tab_index=-1, class_name="home", custom_attrs={"data-focus-home": ""})
