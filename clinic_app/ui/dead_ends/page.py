"""Where an address leads that is none of ours."""

from __future__ import annotations

import reflex as rx

from clinic_app.ui.dead_ends.view import not_found
from clinic_app.ui.frame.page import title


def add(app: rx.App) -> None:
    """Register the page."""
    app.add_page(not_found, route="404", title=title("Page not found"))
