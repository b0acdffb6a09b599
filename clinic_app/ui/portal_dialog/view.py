"""Giving portal access: the button, the form, and the credentials that are shown once."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.ui.frame.page import clinic
from clinic_app.ui.kit.base import Text, apart, given, icon, pick, row, stack, when
from clinic_app.ui.kit.dialog import dialog_title
from clinic_app.ui.kit.feedback import disc, failure_note, note, portal_badge
from clinic_app.ui.kit.forms import (
    busy_words,
    cancel_button,
    field,
    press_button,
    press_form,
    read_back,
    slip_question,
    submit_button,
    tick,
)
from clinic_app.ui.kit.slip import slip
from clinic_app.ui.portal_dialog.state import PortalDialogState as State
from clinic_app.ui.session.form_state import WORKING
from clinic_app.ui.session.presses import PressState
from clinic_app.ui.view_models import Sent

SIZES = {"sm": "2", "md": "3", "lg": "4"}
VARIANTS = {"primary": "solid", "secondary": "soft", "outline": "outline"}
CREATE = "Create Portal Account"
CREATING = "Creating..."
RESET = "Reset temporary password"
RESETTING = "Resetting..."
RENAME = "Change username"
RENAMING = "Changing..."
CORRECT = "Correct address"
SEND_AGAIN = "Save and send again"
SENDING = "Saving..."
WAYS = {"in person": "In person", "phone": "By phone", "post": "By post"}
USERNAME_HINT = "Will be used as portal login username"
PHONE_HINT = "For SMS notifications (optional)"
BUTTON = "rt-reset rt-BaseButton rt-Button rt-r-size-3"
GENERATED = "A temporary password will be generated."


def portal_account_button(
    *,
    has_access: Any,
    variant: str = "outline",
    size: str = "md",
    busy: Any = False,
    about: Any = None,
    on_click: Any = None,
    called: Any = "",
) -> rx.Component:
    """``Create Portal Account``, or the badge where access exists.

    The name stays the exact words; ``about`` is the id of the patient's name on the page, so that
    ten buttons in a list are ten different ones to assistive technology. ``called`` is the form it opens.
    """
    button = rx.button(
        when(busy, rx.spinner(size="1"), icon("user-plus")),
        busy_words(CREATE, CREATING, busy),
        variant=VARIANTS[variant],
        size=SIZES[size],
        type="button",
        disabled=busy,
        custom_attrs={"data-reopens": called},
        **given(aria_describedby=about, on_click=on_click),
    )
    return when(has_access, portal_badge(), button)


def input_step() -> rx.Component:
    """Ask for the email. While it works everything is off; an error keeps what was typed."""
    busy = State.step == WORKING
    return press_form(
        "portal-" + State.for_patient,
        dialog_title(CREATE, rx.fragment("Create patient portal login for ", apart(State.name))),
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
                after=_slip_question(),
            ),
            field(
                "Phone Number (Optional)",
                "portal-phone",
                name="phone",
                hint=read_back(State.phones["phone"], hint=PHONE_HINT),
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
            _cancel(),
            submit_button(CREATE, CREATING, busy, name="user-plus"),
            class_name="dialog-foot",
        ),
        no_validate=True,
        aria_busy=when(busy, "true", "false"),
        key=State.form_number,
        on_submit=State.submit(State.for_patient),
    )


def _cancel(*, takes_focus: bool = False) -> rx.Component:
    closes = State.change_open(State.turn, False)
    return cancel_button(on_click=closes, takes_focus=takes_focus, disabled=State.step == WORKING)


def _slip_question() -> rx.Component:
    domain, answered = State.slips["email"], lambda changed: State.answer_slip("email", changed)
    return slip_question("portal-email", domain, answered)


def _whose() -> rx.Component:
    return rx.fragment("For ", apart(State.name), ", ", apart(State.for_patient))


def reset_step() -> rx.Component:
    """Asks before a password is replaced, naming the patient and what it replaces. The focus is on *Cancel*."""
    busy = State.step == WORKING
    return press_form(
        "reset-" + State.for_patient,
        dialog_title("Reset temporary password?", _whose()),
        stack(
            when(State.failure, failure_note(State.failure, State.failure_detail, State.attempt)),
            rx.el.ul(
                rx.foreach(State.replaced, lambda words: rx.el.li(icon("chevron-right"), rx.el.span(apart(words)))),
                class_name="outcome",
            ),
            gap=4,
            cls="under-title",
        ),
        rx.el.div(
            _cancel(takes_focus=True),
            submit_button(RESET, RESETTING, busy, variant="outline", class_name="danger"),
            class_name="dialog-foot",
        ),
        aria_busy=when(busy, "true", "false"),
        key=State.form_number,
        on_submit=State.reset_password(State.for_patient, State.stamp),
    )


def rename_step() -> rx.Component:
    """Ask for the new username, beside the present one."""
    busy = State.step == WORKING
    now = rx.el.div(rx.el.dt("Username now"), rx.el.dd(apart(State.username), class_name="break"))
    return press_form(
        "rename-" + State.for_patient,
        dialog_title(RENAME, _whose()),
        stack(
            when(State.failure, failure_note(State.failure, State.failure_detail, State.attempt)),
            rx.el.dl(now, class_name="facts"),
            field(
                "New username",
                "portal-email",
                name="email",
                hint="An email. " + USERNAME_HINT,
                error=State.errors["email"],
                type="email",
                default_value=State.values["email"],
                auto_complete="off",
                max_length=254,
                disabled=busy,
                on_blur=State.check_email,
                after=_slip_question(),
                custom_attrs={"data-takes-focus": "1"},
            ),
            note(
                "info",
                rx.el.p(
                    "The patient gets a new temporary password and is signed out everywhere.",
                    when(State.tells, " Both addresses are told."),
                    " The old one stays findable.",
                ),
            ),
            gap=4,
            cls="under-title",
        ),
        rx.el.div(_cancel(), submit_button(RENAME, RENAMING, busy, name="at-sign"), class_name="dialog-foot"),
        no_validate=True,
        aria_busy=when(busy, "true", "false"),
        key=State.form_number,
        on_submit=State.change_username(State.for_patient, State.stamp),
    )


def correct_step() -> rx.Component:
    """Ask for the address that messages are to go to: an email, which may become the username too, or a phone."""
    busy = State.step == WORKING
    common = {"auto_complete": "off", "disabled": busy, "custom_attrs": {"data-takes-focus": "1"}}
    email = stack(
        field(
            CORRECT,
            "portal-email",
            name="email",
            hint="Becomes the patient's email. Messages go there from now on.",
            error=State.errors["email"],
            type="email",
            default_value=State.values["email"],
            max_length=254,
            on_blur=State.check_email,
            after=_slip_question(),
            **common,
        ),
        tick("Change the portal username too", "change_username", default_checked=True, disabled=busy),
        rx.el.p(
            "With another username the patient gets a new temporary password and is signed out everywhere.",
            when(State.tells, " Both addresses are told."),
            class_name="muted small",
        ),
        gap=2,
    )
    phone = field(
        CORRECT,
        "portal-phone",
        name="phone",
        hint=read_back(State.phones["phone"], hint="Becomes the phone for messages."),
        error=State.errors["phone"],
        type="tel",
        default_value=State.values["phone"],
        max_length=40,
        on_blur=State.check_phone,
        **common,
    )
    return press_form(
        "correct-" + State.for_patient,
        dialog_title(CORRECT, _whose()),
        stack(
            when(State.failure, failure_note(State.failure, State.failure_detail, State.attempt)),
            when(State.channel == "sms", phone, email),
            gap=4,
            cls="under-title",
        ),
        rx.el.div(_cancel(), submit_button(SEND_AGAIN, SENDING, busy, name="send"), class_name="dialog-foot"),
        no_validate=True,
        aria_busy=when(busy, "true", "false"),
        key=State.form_number,
        on_submit=State.correct(State.for_patient, State.stamp, State.version),
    )


def hand_over_buttons(patient_id: Text, stamp: Text) -> rx.Component:
    """How credentials are handed over: one press."""

    def button(how: str, words: str) -> rx.Component:
        return press_button(
            words,
            variant="outline",
            size="2",
            called=f"handed-{how}-" + patient_id,
            on_press=lambda press: State.hand_over(patient_id, stamp, how, press),
        )

    buttons = [button(how, words) for how, words in WAYS.items()]
    return rx.el.div(*buttons, class_name="actions", role="group", aria_label="Handed over")


def access_button(text: str, mark: str, *, opens: Any, about: Any = None, **props: Any) -> rx.Component:
    """A button that opens a form about the access a patient has. ``about`` as for ``portal_account_button``."""
    return rx.button(
        icon(mark),
        text,
        variant="outline",
        size="2",
        type="button",
        custom_attrs={"data-reopens": opens},
        **given(aria_describedby=about),
        **props,
    )


def success_step() -> rx.Component:
    """The only moment the password can be read: copy, print, and only Close closes. *Copy Both* takes the focus."""
    whose = when(State.staff_id > 0, "Sign-in credentials for ", "Portal login credentials for ")
    return rx.el.div(
        dialog_title(
            apart(State.title),
            rx.fragment(whose, apart(State.name)),
            disc("good", "check"),
            custom_attrs={"id": "portal-done", "data-shown": State.shown, "data-mark": State.mark},
        ),
        rx.el.span(hidden=True, key=f"{State.turn}-{PressState.line}", on_mount=State.confirm(State.turn)),
        stack(
            when(State.late, row(icon("wifi", 16), rx.el.p(apart(State.late)), cls="muted top", gap=2)),
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
                        State.staff_id > 0,
                        "Send these credentials securely. At the first sign-in they must choose their own password.",
                        "Send these credentials securely. Patient must change password on first login.",
                    )
                ),
            ),
            rx.el.p(
                "Sign in at ",
                apart(
                    State.address,
                    class_name="strong break",
                    custom_attrs={"id": "cred-address", "data-copies": State.link, "data-label": "Sign in at"},
                ),
            ),
            rx.el.ul(rx.foreach(State.sent, _sent), class_name="outcome muted"),
            when(State.stamp, _handed_over()),
            _slip(),
            gap=4,
            cls="under-title",
        ),
        _buttons(),
        _leaving(),
    )


def _sent(one: rx.Var[Sent]) -> rx.Component:
    marks = {name: icon(name) for name in ("mail", "message-square")}
    return rx.el.li(pick(one.mark, marks, icon("hand")), rx.el.p(apart(one.words)))


def _handed_over() -> rx.Component:
    """Said before the slip is printed, so that one that goes by post says how long its password lives."""
    return stack(
        rx.el.h3("Handed over"),
        hand_over_buttons(State.for_patient, State.stamp),
        rx.el.p(
            when(State.handed, rx.fragment(apart(State.handed), " ")),
            "The password can be used until ",
            apart(State.until, class_name="num"),
            ".",
            role="status",
            class_name="muted",
        ),
        gap=2,
    )


def _leaving() -> rx.Component:
    """Asked by ``press.js`` before the page is left while a password is on it. A dialog of the browser's own."""
    title, words = "Leave this page?", "The password is shown only here. Copy or print it first."
    stay = rx.el.button("Stay", type="submit", value="", auto_focus=True, class_name=f"{BUTTON} rt-variant-solid")
    leave = rx.el.button("Leave", type="submit", value="leave", class_name=f"{BUTTON} rt-variant-outline danger")
    body = rx.el.form(
        rx.el.h2(title, id="leave-title"),
        rx.el.p(words, class_name="muted"),
        rx.el.div(leave, stay, class_name="dialog-foot"),
        method="dialog",
        on_submit=None,
    )
    return rx.el.dialog(body, id="leave-credentials", class_name="help-dialog", aria_labelledby="leave-title")


def _copy_field(label: str, ident: str, value: rx.Var[str], spoken: str, secret: bool = False) -> rx.Component:
    """Read-only, with Copy. The secret is set larger."""
    make = rx.el.input if secret else rx.el.textarea  # a long username wraps, a password stays whole
    box = make(
        value=value,
        read_only=True,
        **({} if secret else {"rows": "1"}),
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
        for_staff=State.staff_id > 0,
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
            custom_attrs={
                "data-copy-target": "#cred-username,#cred-password,#cred-address",
                "data-takes-focus": State.turn,
            },
        ),
        rx.button(
            icon("printer"),
            "Print",
            type="button",
            variant="outline",
            size="3",
            custom_attrs={"data-print": "#credential-slip"},
        ),
        # Pressed by the script whenever the slip goes to a printer, by the browser's own menu too.
        rx.el.button(
            type="button",
            hidden=True,
            aria_hidden="true",
            tab_index=-1,
            custom_attrs={"data-when-printed": ""},
            on_click=State.printed(State.turn),
        ),
        rx.button(
            "Close",
            type="button",
            size="3",
            custom_attrs={"data-shown-close": ""},
            on_click=State.close(State.turn),
        ),
        class_name="dialog-foot in-order",
    )
