"""``/patients/new``: Patient registration."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.desk import add_desk_page
from clinic_app.ui.frame.page import staff_page
from clinic_app.ui.portal_dialog.page import portal_dialog
from clinic_app.ui.registration.state import RegistrationState
from clinic_app.ui.registration.view import registration_body


def registration() -> rx.Component:
    """The form; after it, who was registered, with the credentials on top."""
    return staff_page(registration_body(), portal_dialog(), current="Patients", register=False, told=False)


def add(app: rx.App) -> None:
    """Register the page."""
    add_desk_page(app, registration, RegistrationState.load, route=routes.REGISTRATION, name="Patient registration")
