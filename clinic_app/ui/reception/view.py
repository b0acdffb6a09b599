"""What Reception and Patients show inside the staff shell. Values or Vars in, no state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.kit.base import card, given, link, link_button, page_head, pick, stack, when
from clinic_app.ui.kit.data import bar_chart, pager, patient_table, people, stats, table_skeleton
from clinic_app.ui.kit.feedback import empty
from clinic_app.ui.kit.shell import register_link


def reception_body(
    *,
    today: Any,
    figures: Sequence[rx.Component],
    days: Any,
    days_label: Any,
    days_range: Any,
    latest: Any,
    may_register: Any,
    aside: Sequence[rx.Component] = (),
) -> rx.Component:
    """What today looks like, who came last, and ``aside``: what waits.

    ``figures`` are ``stat(…)``; ``days`` holds ``DayBar``, ``latest`` ``PatientRow``.
    """
    chart = card(
        bar_chart(days, days_label),
        title="Registrations per day",
        cls="tall",
        head=rx.el.span(days_range, class_name="muted num"),
    )
    nobody = rx.el.p("Nobody yet. The first patient you register appears here.", class_name="muted list-empty")
    some = latest.length() > 0 if isinstance(latest, rx.Var) else bool(latest)
    last = card(
        when(some, people(latest), nobody),
        title="Latest patients",
        head=link("All patients", href=routes.PATIENTS),
        flush=True,
    )
    below = [stack(chart, last, gap=5), stack(*aside, gap=5)] if aside else [chart, last]
    return rx.fragment(
        page_head("Reception", when(may_register, register_link("3")), lead=today),
        stack(stats(*figures), rx.el.div(*below, class_name="cols two-one"), gap=5),
    )


def patients_body(
    *,
    mode: Any,
    search: rx.Component,
    rows: Any,
    action: Callable[[Any], rx.Component],
    sort: Any,
    descending: Any,
    summary: Any,
    page: Any,
    pages: Any,
    at_start: Any,
    at_end: Any,
    may_register: Any,
    term: Any = "",
    on_sort: Callable[[str], Any] | None = None,
    on_previous: Any = None,
    on_next: Any = None,
    on_clear: Any = None,
    on_register_term: Any = None,
) -> rx.Component:
    """Search, table, paging, and what is shown instead of rows.

    ``mode`` is ``rows``, ``loading``, ``empty`` (no patient at all) or ``none`` (nothing matches
    ``term``). ``summary`` says ``1–20 of 4,903 patients``. ``on_register_term`` may carry the term over.
    """
    loading = rx.el.div(
        table_skeleton(10), rx.el.p("Loading patients", role="status", class_name="sr"), aria_busy="true"
    )
    nobody = empty(
        "users",
        "No patients yet",
        "The first patient you register appears here.",
        when(may_register, register_link()),
    )
    register_term = link_button(
        "Register “", term, "”", href=routes.REGISTRATION, name="user-plus", **given(on_click=on_register_term)
    )
    no_match = empty(
        "search-x",
        rx.fragment("No patient matches “", term, "”"),
        "Try part of the name, the last digits of the phone number, the patient ID or the national ID.",
        rx.button("Clear search", type="button", variant="outline", size="2", **given(on_click=on_clear)),
        when(may_register, register_term),
    )
    table = rx.el.div(
        patient_table(rows, action=action, sort=sort, descending=descending, on_sort=on_sort),
        pager(
            summary,
            page,
            pages,
            on_previous=on_previous,
            on_next=on_next,
            at_start=at_start,
            at_end=at_end,
        ),
    )
    # One link of this name on the page: with no patients at all it stands in the middle.
    head = when(may_register, pick(mode, {"empty": rx.fragment()}, register_link()))
    return rx.fragment(
        page_head("Patients", head),
        stack(
            rx.el.div(search, class_name="search-line"),
            rx.el.section(
                pick(mode, {"loading": loading, "empty": nobody, "none": no_match}, table),
                class_name="card table",
                aria_label="Patients",
            ),
            gap=4,
        ),
    )
