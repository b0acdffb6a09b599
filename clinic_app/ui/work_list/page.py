"""``/patients/portal``: who cannot get into the portal."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.desk import add_desk_page
from clinic_app.ui.work_list.state import WorkListState
from clinic_app.ui.work_list.view import work_list


def add(app: rx.App) -> None:
    """Register the page."""
    loaders = WorkListState.load, WorkListState.watch
    add_desk_page(app, work_list, *loaders, route=routes.PORTAL_WORK_LIST, name="Portal work list")
