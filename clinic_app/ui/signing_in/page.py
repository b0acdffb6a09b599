"""``/login``, ``/login/code``, ``/patient-portal/login`` and ``/patient-portal/change-password``."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.frame.page import title
from clinic_app.ui.portal_dialog.state import PortalDialogState
from clinic_app.ui.signing_in import view
from clinic_app.ui.signing_in.state import ChoosePasswordState, CodeState, SignInState


def add(app: rx.App) -> None:
    """Register the pages."""
    load = [PortalDialogState.forget, SignInState.load]
    app.add_page(view.staff_sign_in, route=routes.STAFF_SIGN_IN, title=title("Staff sign in"), on_load=load)
    app.add_page(view.code, route=routes.SIGN_IN_CODE, title=title("Authentication code"), on_load=CodeState.load)
    app.add_page(view.patient_sign_in, route=routes.PORTAL_SIGN_IN, title=title("Patient portal sign in"), on_load=load)
    app.add_page(
        view.choose_own_password,
        route=routes.PORTAL_PASSWORD,
        title=title("Choose your password"),
        on_load=ChoosePasswordState.load,
    )
