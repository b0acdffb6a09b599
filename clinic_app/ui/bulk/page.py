"""``/admin/portal``: Portal accounts in bulk."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.bulk.state import BulkState
from clinic_app.ui.bulk.view import bulk
from clinic_app.ui.desk import add_desk_page


def add(app: rx.App) -> None:
    """Register the page."""
    loaders = BulkState.load, BulkState.watch
    add_desk_page(app, bulk, *loaders, route=routes.PORTAL_BULK, name="Portal accounts in bulk")
