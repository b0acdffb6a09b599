"""``/patients/[patient_id]``: Patient profile."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.desk import add_desk_page
from clinic_app.ui.frame.page import staff_page
from clinic_app.ui.portal_dialog.page import portal_dialog
from clinic_app.ui.profile.access import turn_off_dialog
from clinic_app.ui.profile.state import ProfileState
from clinic_app.ui.profile.view import profile_body


def profile() -> rx.Component:
    """Banner, facts, access, activity; edited in place."""
    return staff_page(profile_body(), portal_dialog(), turn_off_dialog(), current="Patients")


def add(app: rx.App) -> None:
    """Register the page."""
    add_desk_page(app, profile, ProfileState.load, ProfileState.watch, route=routes.PROFILE, name="Patient profile")
