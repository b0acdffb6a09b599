"""*Patients*: search, table, paging, and what is shown instead of rows."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.frame.page import staff_page
from clinic_app.ui.frame.state import TRY, ShellState
from clinic_app.ui.kit.base import apart, link_button, page_head, pick, stack, when
from clinic_app.ui.kit.feedback import empty, error_note
from clinic_app.ui.kit.forms import search_field
from clinic_app.ui.kit.pager import pager
from clinic_app.ui.kit.patient_table import patient_table, table_skeleton
from clinic_app.ui.kit.shell import register_link
from clinic_app.ui.patients.state import PAGE_SIZE
from clinic_app.ui.patients.state import PatientListState as State
from clinic_app.ui.portal_dialog.page import portal_action, portal_dialog


def _search() -> rx.Component:
    box = search_field(default_value=State.typed, key=State.box, on_change=State.search)
    return rx.el.div(box, class_name="search-line", custom_attrs={"data-begins": "search"})


def _loading() -> rx.Component:
    said = rx.el.p("Loading patients", role="status", class_name="sr")
    return rx.el.div(table_skeleton(PAGE_SIZE), said, aria_busy="true")


def _nobody() -> rx.Component:
    return empty(
        "users",
        "No patients yet",
        "The first patient you register appears here.",
        when(ShellState.who.may_register, register_link()),
    )


def _no_match() -> rx.Component:
    register_term = link_button(
        rx.el.span("Register “", apart(State.term), "”"),
        href=routes.REGISTRATION,
        name="user-plus",
        on_click=State.carry_over,
    )
    return empty(
        "search-x",
        rx.fragment("No patient matches “", apart(State.term), "”"),
        TRY,
        rx.button("Clear search", type="button", variant="outline", size="2", on_click=State.clear),
        when(ShellState.who.may_register, register_term),
    )


def _table() -> rx.Component:
    return rx.el.div(
        patient_table(
            State.rows, action=portal_action, sort=State.sort, descending=State.descending, on_sort=State.sort_by
        ),
        pager(State.summary, State.page, State.pages, State.turn),
    )


def patients() -> rx.Component:
    """The page."""
    # One link of this name on the page: with no patients at all it stands in the middle.
    register = when(ShellState.who.may_register, pick(State.mode, {"empty": rx.fragment()}, register_link()))
    shown = pick(State.mode, {"loading": _loading(), "empty": _nobody(), "none": _no_match()}, _table())
    return staff_page(
        error_note(State.failure),
        page_head("Patients", register),
        stack(
            _search(),
            rx.el.section(
                shown, class_name="card table", aria_label="Patients", custom_attrs={"data-answers": State.answers}
            ),
            gap=4,
        ),
        portal_dialog(),
        current="Patients",
        search=False,
        register=False,
    )
