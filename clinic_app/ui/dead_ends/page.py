"""Where an address leads that is none of ours."""

from __future__ import annotations

import reflex as rx

from clinic_app.ui.frame.page import clinic, title
from clinic_app.ui.kit import shell
from clinic_app.ui.signing_in.view import not_found_body


def not_found() -> rx.Component:
    """404."""
    return shell.gate_shell(not_found_body(), clinic=clinic())


def add(app: rx.App) -> None:
    """Register the page."""
    app.add_page(not_found, route="404", title=title("Page not found"))
