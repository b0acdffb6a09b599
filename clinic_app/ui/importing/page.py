"""``/admin/import``: Import and export."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.desk import add_desk_page
from clinic_app.ui.importing.state import ImportPageState
from clinic_app.ui.importing.view import import_and_export


def add(app: rx.App) -> None:
    """Register the page."""
    loaders = ImportPageState.load, ImportPageState.watch
    add_desk_page(app, import_and_export, *loaders, route=routes.IMPORT, name="Import and export")
