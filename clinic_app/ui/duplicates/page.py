"""``/patients/duplicates``: pairs of records that may be one person; below it, two of them side by side."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.desk import add_desk_page
from clinic_app.ui.duplicates.compare_state import CompareState
from clinic_app.ui.duplicates.compare_view import compare
from clinic_app.ui.duplicates.state import PairsState
from clinic_app.ui.duplicates.view import pairs


def add(app: rx.App) -> None:
    """Register both pages."""
    loaders = PairsState.load, PairsState.watch
    add_desk_page(app, pairs, *loaders, route=routes.DUPLICATES, name="Possible duplicates")
    add_desk_page(app, compare, CompareState.load, route=routes.COMPARE, name="Compare and merge")
