"""``/``: Reception."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.desk import add_desk_page
from clinic_app.ui.reception.state import ReceptionState
from clinic_app.ui.reception.view import reception


def add(app: rx.App) -> None:
    """Register the page."""
    add_desk_page(app, reception, ReceptionState.load, ReceptionState.watch, route=routes.RECEPTION, name="Reception")
