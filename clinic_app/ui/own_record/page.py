"""``/patient-portal``: My record."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.frame.page import title
from clinic_app.ui.own_record.state import OwnRecordState
from clinic_app.ui.own_record.view import own_record
from clinic_app.ui.own_sessions.state import OwnSessionsState


def add(app: rx.App) -> None:
    """Register the page."""
    app.add_page(
        own_record,
        route=routes.PORTAL,
        title=title("My record"),
        on_load=[OwnSessionsState.load, OwnRecordState.load, OwnSessionsState.watch],
    )
