"""``/account/confirm``: Confirm it is you."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.confirm.state import ConfirmState
from clinic_app.ui.confirm.view import confirm
from clinic_app.ui.frame.page import title


def add(app: rx.App) -> None:
    """Register the page."""
    app.add_page(confirm, route=routes.CONFIRM, title=title("Confirm it is you"), on_load=ConfirmState.load)
