"""``/patients/new``: Patient registration."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.frame.page import staff_page, title
from clinic_app.ui.frame.state import ShellState
from clinic_app.ui.portal_dialog.page import portal_dialog
from clinic_app.ui.portal_dialog.state import PortalDialogState
from clinic_app.ui.reception.state import SearchState
from clinic_app.ui.registration.state import RegistrationState
from clinic_app.ui.registration.view import registration_body


def registration() -> rx.Component:
    """The form; after it, who was registered, with the credentials on top."""
    return staff_page(registration_body(), portal_dialog(), current="Patients", register=False)


def add(app: rx.App) -> None:
    """Register the page."""
    app.add_page(
        registration,
        route=routes.REGISTRATION,
        title=title("Patient registration"),
        on_load=[ShellState.enter, PortalDialogState.forget, SearchState.leave, RegistrationState.load],
    )
