"""``/patients/new``: Patient registration."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.desk import add_desk_page
from clinic_app.ui.frame.page import staff_page
from clinic_app.ui.portal_dialog.page import portal_dialog
from clinic_app.ui.profile.view import registered_body, registration_body
from clinic_app.ui.registration.state import RegistrationState

CHECKED = (
    "first_name",
    "last_name",
    "date_of_birth",
    "national_id",
    "phone",
    "email",
    "address",
    "next_of_kin_name",
    "next_of_kin_phone",
    "portal_email",
    "portal_phone",
)


def registration() -> rx.Component:
    """The form; after it, who was registered, with the credentials on top."""
    here = RegistrationState
    form = registration_body(
        values=here.values,
        errors=here.errors,
        problems=here.problems,
        attempt=here.attempt,
        born_date=here.born_date,
        born_age=here.born_age,
        busy=here.busy,
        failure=here.failure,
        failure_detail=here.failure_detail,
        on_submit=here.submit,
        on_blur={name: here.check(name) for name in CHECKED},
        with_portal=here.values["create_portal_account"] == "on",
        key=here.form_number,
        restored=here.restored,
        on_clear=here.clear,
        on_cancel=here.cancel,
    )
    done = registered_body(patient=here.patient, message=here.message, on_another=here.another)
    return staff_page(rx.cond(here.done, done, form), portal_dialog(), current="Patients", register=False)


def add(app: rx.App) -> None:
    """Register the page."""
    add_desk_page(app, registration, RegistrationState.load, route=routes.REGISTRATION, name="Patient registration")
