"""The sign-in pages, the second step, what to do with an expired password, and *Choose your password*."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.core.settings import get_settings
from clinic_app.services.accounts.passwords import SHORTEST
from clinic_app.ui.frame.page import clinic
from clinic_app.ui.kit.base import icon, link_button, stack, title_and_lead, when
from clinic_app.ui.kit.feedback import error_note, note
from clinic_app.ui.kit.forms import field, plain_form
from clinic_app.ui.kit.passwords import choose_password, code_field, password_field
from clinic_app.ui.kit.shell import gate_shell, portal_shell
from clinic_app.ui.signing_in.state import ChoosePasswordState, CodeState, SignInState

EXPIRED = "This temporary password has expired. Please ask the reception for a new one."


def staff_sign_in() -> rx.Component:
    """One card, two fields, one button. Posts ``username`` and ``password``."""
    form = plain_form(
        error_note(SignInState.message),
        field(
            "Username",
            "username",
            auto_complete="username",
            auto_capitalize="none",
            spell_check=False,
            max_length=254,
            default_value=SignInState.username,
        ),
        password_field("Password", "password", takes_focus=when(SignInState.message, "1", "")),
        rx.button("Sign in", size="3", class_name="wide", type="submit"),
        action=routes.SIGN_IN_STAFF,
        class_name="stack g4 gate-form",
        no_validate=True,
        custom_attrs={"id": "sign-in"},
        key=SignInState.username,  # a default counts only once
    )
    return gate_shell(
        rx.el.div(rx.el.h1("Staff sign in"), form, class_name="card"),
        rx.el.p(
            "Are you a patient? ",
            rx.el.a("Go to the patient portal", href=routes.PORTAL_SIGN_IN),
            class_name="muted",
        ),
        clinic=clinic(),
    )


def code() -> rx.Component:
    """*Authentication code*: the second step. Posts ``code``."""
    wrong = CodeState.message
    form = plain_form(
        code_field(
            wrong,
            hint="Six digits from your app, or one of your recovery codes",
            takes_focus=when(wrong, "2", "1"),
        ),
        rx.button("Continue", size="3", class_name="wide", type="submit"),
        action=routes.SEND_CODE,
        class_name="stack g4 gate-form",
        no_validate=True,
    )
    return gate_shell(
        rx.el.div(rx.el.h1("Authentication code"), form, class_name="card"),
        rx.el.p(
            "Lost your phone and have no recovery code? Ask an administrator to reset your two-factor sign-in. ",
            rx.el.a("Back to sign in", href=routes.STAFF_SIGN_IN),
            class_name="muted",
        ),
        clinic=clinic(),
    )


def _patient_form() -> rx.Component:
    """Posts ``email`` and ``password``."""
    return stack(
        title_and_lead(
            "Patient portal sign in", "Use the email and password from your slip, or the password you chose."
        ),
        plain_form(
            error_note(SignInState.message),
            field(
                "Email",
                "email",
                type="email",
                auto_complete="username",
                auto_capitalize="none",
                spell_check=False,
                max_length=254,
                default_value=SignInState.username,
            ),
            password_field("Password", "password", takes_focus=when(SignInState.message, "1", "")),
            rx.button("Sign in", size="4", class_name="wide", type="submit"),
            action=routes.SIGN_IN_PATIENT,
            class_name="sheet stack g4",
            no_validate=True,
            custom_attrs={"id": "sign-in"},
            key=SignInState.username,  # a default counts only once
        ),
        gap=5,
    )


def _expired() -> rx.Component:
    """The right password, too late: what happened and what to do, without blame."""
    here = clinic()
    steps = rx.el.ol(
        rx.el.li("Call the reception or come to the desk. It takes a minute."),
        rx.el.li("Say your name and your date of birth."),
        rx.el.li(f"You will get a new password. Use it within {get_settings().temporary_password_hours} hours."),
        class_name="steps stack g2",
    )
    call = rx.el.div(
        link_button(
            icon("phone", 18), f"Call {here.telephone}", href=here.telephone_uri, size="4", cls="wide", leaves=True
        ),
        rx.el.p(f"Open {here.hours}", class_name="muted small"),
        class_name="stack g2 call",
    )
    return stack(
        rx.el.h1("Your temporary password has expired"),
        note("warn", rx.el.p(EXPIRED), role="alert"),
        rx.el.div(rx.el.h2("What to do"), steps, call, class_name="sheet"),
        rx.el.p(rx.el.a("Back to sign in", href=routes.PORTAL_SIGN_IN, on_click=SignInState.again)),
        gap=4,
    )


def patient_sign_in() -> rx.Component:
    """*Patient portal sign in*, or what to do when the temporary password has expired."""
    return portal_shell(rx.cond(SignInState.expired, _expired(), _patient_form()), clinic=clinic(), signed_in=False)


def choose_own_password() -> rx.Component:
    """*Choose your password*, for patients."""
    state = ChoosePasswordState
    form = choose_password(
        SHORTEST,
        error=state.new_error,
        confirm_error=state.confirm_error,
        failure=state.failure,
        username=state.username,
    )
    return portal_shell(form, clinic=clinic())
