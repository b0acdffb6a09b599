"""``/account``: Your account."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.account.state import AccountState
from clinic_app.ui.account.view import account
from clinic_app.ui.desk import add_desk_page
from clinic_app.ui.own_sessions.state import OwnSessionsState


def add(app: rx.App) -> None:
    """Register the page."""
    add_desk_page(
        app,
        account,
        OwnSessionsState.load,
        AccountState.load,
        OwnSessionsState.watch,
        route=routes.ACCOUNT,
        name="Your account",
    )
