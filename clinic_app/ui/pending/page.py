"""``/patients/pending``: people who registered themselves, and what the desk decides about each."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.desk import add_desk_page
from clinic_app.ui.pending.state import PendingState
from clinic_app.ui.pending.view import pending


def add(app: rx.App) -> None:
    """Register the page."""
    add_desk_page(
        app, pending, PendingState.load, PendingState.watch, route=routes.PENDING, name="Pending verification"
    )
