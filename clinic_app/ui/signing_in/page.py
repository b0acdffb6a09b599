"""``/login``, ``/patient-portal/login`` and ``/patient-portal/change-password``."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.core.settings import get_settings
from clinic_app.services.accounts.passwords import SHORTEST
from clinic_app.ui.frame.page import clinic, title
from clinic_app.ui.kit import shell
from clinic_app.ui.own_record.view import choose_password_body, expired_body, patient_sign_in_body
from clinic_app.ui.portal_dialog.state import PortalDialogState
from clinic_app.ui.signing_in.state import ChoosePasswordState, SignInState
from clinic_app.ui.signing_in.view import staff_sign_in_body


def staff_sign_in() -> rx.Component:
    """*Staff sign in*."""
    return shell.gate_shell(
        staff_sign_in_body(error=SignInState.message, username=SignInState.username, key=SignInState.username),
        clinic=clinic(),
    )


def patient_sign_in() -> rx.Component:
    """*Patient portal sign in*, or what to do when the temporary password has expired."""
    form = patient_sign_in_body(error=SignInState.message, email=SignInState.username, key=SignInState.username)
    expired = expired_body(clinic=clinic(), hours=get_settings().temporary_password_hours, on_back=SignInState.again)
    return shell.portal_shell(rx.cond(SignInState.expired, expired, form), clinic=clinic(), signed_in=False)


def choose_password() -> rx.Component:
    """*Choose your password*."""
    return shell.portal_shell(
        choose_password_body(
            minimum=SHORTEST,
            error=ChoosePasswordState.new_error,
            confirm_error=ChoosePasswordState.confirm_error,
            failure=ChoosePasswordState.failure,
            username=ChoosePasswordState.username,
        ),
        clinic=clinic(),
    )


def add(app: rx.App) -> None:
    """Register the pages."""
    load = [PortalDialogState.forget, SignInState.load]
    app.add_page(staff_sign_in, route=routes.STAFF_SIGN_IN, title=title("Staff sign in"), on_load=load)
    app.add_page(patient_sign_in, route=routes.PORTAL_SIGN_IN, title=title("Patient portal sign in"), on_load=load)
    app.add_page(
        choose_password,
        route=routes.PORTAL_PASSWORD,
        title=title("Choose your password"),
        on_load=ChoosePasswordState.load,
    )
