"""How a page of the desk becomes one: its title, and what runs whenever somebody comes to it."""

from __future__ import annotations

from collections.abc import Callable

import reflex as rx

from clinic_app.ui.frame.page import title
from clinic_app.ui.frame.state import ShellState
from clinic_app.ui.kit.base import Event
from clinic_app.ui.portal_dialog.state import PortalDialogState


def add_desk_page(app: rx.App, page: Callable[[], rx.Component], *loaders: Event, route: str, name: str) -> None:
    """Register a page for staff, called ``name``.

    First it is found out who is here and what the page before held is wiped, a password on the screen above all;
    then the page's own ``loaders`` run in turn. What waits elsewhere is counted for as long as the page is open.
    """
    first = [ShellState.enter, PortalDialogState.forget]
    app.add_page(page, route=route, title=title(name), on_load=[*first, *loaders, ShellState.watch])
