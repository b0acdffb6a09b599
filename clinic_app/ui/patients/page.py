"""``/patients``: the list."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.desk import add_desk_page
from clinic_app.ui.patients.state import PatientListState
from clinic_app.ui.patients.view import patients


def add(app: rx.App) -> None:
    """Register the page."""
    add_desk_page(app, patients, PatientListState.load, PatientListState.watch, route=routes.PATIENTS, name="Patients")
