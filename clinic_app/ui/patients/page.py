"""``/patients``: the list."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.frame.page import staff_page, title
from clinic_app.ui.frame.state import ShellState
from clinic_app.ui.kit import feedback, forms
from clinic_app.ui.patients.state import PatientListState
from clinic_app.ui.portal_dialog.page import portal_action, portal_dialog
from clinic_app.ui.portal_dialog.state import PortalDialogState
from clinic_app.ui.reception.view import patients_body


def patients() -> rx.Component:
    """Search, table, paging, and what is shown instead of rows."""
    here = PatientListState
    search = forms.search_field(default_value=here.typed, key=here.box, on_change=here.search.debounce(120))
    body = patients_body(
        mode=here.mode,
        search=search,
        rows=here.rows,
        action=portal_action,
        sort=here.sort,
        descending=here.descending,
        summary=here.summary,
        page=here.page,
        pages=here.pages,
        at_start=here.page <= 1,
        at_end=here.page >= here.pages,
        may_register=ShellState.who.may_register,
        term=here.term,
        on_sort=here.sort_by,
        on_previous=here.turn(-1),
        on_next=here.turn(1),
        on_clear=here.clear,
        on_register_term=here.carry_over,
    )
    failed = rx.cond(here.failure, feedback.note("bad", rx.el.p(here.failure), role="alert"), rx.fragment())
    return staff_page(failed, body, portal_dialog(), current="Patients", search=False, register=False)


def add(app: rx.App) -> None:
    """Register the page."""
    app.add_page(
        patients,
        route=routes.PATIENTS,
        title=title("Patients"),
        on_load=[ShellState.enter, PortalDialogState.forget, PatientListState.load, PatientListState.watch],
    )
