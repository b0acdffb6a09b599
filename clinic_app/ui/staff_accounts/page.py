"""``/admin/staff``: Staff accounts."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.desk import add_desk_page
from clinic_app.ui.staff_accounts.state import StaffAccountsState
from clinic_app.ui.staff_accounts.view import staff_accounts


def add(app: rx.App) -> None:
    """Register the page."""
    add_desk_page(
        app,
        staff_accounts,
        StaffAccountsState.load,
        StaffAccountsState.watch,
        route=routes.STAFF_ACCOUNTS,
        name="Staff accounts",
    )
