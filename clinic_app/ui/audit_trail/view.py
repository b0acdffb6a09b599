"""What *Audit trail* shows inside the staff shell. Values or Vars in, no state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.kit import forms
from clinic_app.ui.kit.base import at, card, each, given, icon, link, page_head, pick, row, stack, when
from clinic_app.ui.kit.data import avatar, facts_list, pager
from clinic_app.ui.kit.feedback import badge, bone, empty, note

_COLUMNS = (
    ("Time", "w-dob"),
    ("What", ""),
    ("Done by", "w-dob"),
    ("About", "w-phone"),
    ("Outcome", "w-status"),
    ("Details", "w-id"),
)
FILTERS = ("since", "until", "actor", "action", "patient", "outcome")


def _filters(
    *,
    values: Any,
    errors: Any,
    problems: Any,
    busy: Any,
    actions: Sequence[tuple[str, str]],
    outcomes: Sequence[tuple[str, str]],
    on_filter: Any,
    on_clear: Any,
    key: Any,
) -> rx.Component:
    def common(name: str) -> dict[str, Any]:
        return {"default_value": at(values, name), "error": at(errors, name)}

    typed: dict[str, Any] = {"required": False, "marked": False, "auto_complete": "off", "spell_check": False}
    day: dict[str, Any] = {"type": "date", "required": False, "marked": False, "min": "2000-01-01", "max": "2999-12-31"}
    return rx.el.form(
        forms.error_summary(problems),
        rx.el.fieldset(
            rx.el.legend("Which events", class_name="sr"),
            rx.el.div(
                forms.field("From", "since", **day, **common("since")),
                forms.field("To", "until", **day, **common("until")),
                forms.field("Username", "actor", max_length=254, auto_capitalize="none", **typed, **common("actor")),
                forms.field("Patient ID", "patient", max_length=20, **typed, **common("patient")),
                forms.select_field("Action", "action", [("", "All actions"), *actions], **common("action")),
                forms.select_field("Outcome", "outcome", [("", "All outcomes"), *outcomes], **common("outcome")),
                class_name="pair",
            ),
            disabled=busy,
        ),
        rx.el.div(
            forms.submit_button("Show events", "Looking...", busy, name="search", size="2", variant="outline"),
            rx.button("Clear filters", type="button", variant="outline", size="2", **given(on_click=on_clear)),
            class_name="actions",
        ),
        class_name="stack g4",
        no_validate=True,
        custom_attrs={"id": "audit-filters"},
        **given(on_submit=on_filter, key=key),
    )


def export_form(asked: Any) -> rx.Component:
    """*Export as CSV*: posted by the browser itself, with the filters in force, and answered by a file.

    The address stands at the button: ``idle.js`` takes a form with one for a form that leaves the page.
    """
    attrs = {"formAction": routes.AUDIT_EXPORT, "formMethod": "post"}
    return rx.el.form(
        *[rx.el.input(type="hidden", name=name, value=at(asked, name)) for name in FILTERS],
        rx.button(icon("download"), "Export as CSV", type="submit", variant="outline", size="2", custom_attrs=attrs),
        on_submit=None,
    )


def _widths() -> rx.Component:
    return rx.el.colgroup(*[rx.el.col(class_name=name) for _, name in _COLUMNS])


def _head() -> rx.Component:
    cells = [rx.el.th(text, scope="col", role="columnheader") for text, _ in _COLUMNS[:-1]]
    last = rx.el.th(_COLUMNS[-1][0], scope="col", role="columnheader", class_name="act")
    return rx.el.thead(rx.el.tr(*cells, last, role="row"), role="rowgroup")


def _event(event: Any, on_open: Callable[[Any], Any] | None) -> rx.Component:
    about = when(event.href, link(event.about, href=event.href), event.about)
    words = [event.who, when(event.role, rx.el.span(event.role, class_name="muted small"))]
    button = rx.button(
        "Details",
        type="button",
        variant="outline",
        size="2",
        aria_label="Details of event " + event.seq.to_string(),
        **given(on_click=on_open(event.seq) if on_open else None),
    )
    return rx.el.tr(
        rx.el.td(event.when, class_name="c-id", role="cell"),
        rx.el.th(row(avatar(event.initials), event.what), scope="row", class_name="c-name strong", role="rowheader"),
        rx.el.td(stack(*words, gap=1), class_name="c-dob break", role="cell"),
        rx.el.td(when(event.about, about, rx.el.span("–", class_name="muted")), class_name="num c-phone", role="cell"),
        rx.el.td(badge(event.outcome, event.tone), class_name="c-status", role="cell"),
        rx.el.td(button, class_name="act", role="cell"),
        role="row",
        key=event.seq.to_string(),
    )


def _skeleton() -> rx.Component:
    line = rx.el.tr(
        rx.el.td(bone("104px"), class_name="c-id"),
        rx.el.td(row(bone("", "round"), bone("130px")), class_name="c-name"),
        rx.el.td(bone("110px"), class_name="c-dob"),
        rx.el.td(bone("78px"), class_name="c-phone"),
        rx.el.td(bone("64px"), class_name="c-status"),
        rx.el.td(bone("74px"), class_name="act"),
    )
    head = rx.el.thead(rx.el.tr(*[rx.el.th(text, scope="col") for text, _ in _COLUMNS]))
    table = rx.el.table(_widths(), head, rx.el.tbody(*[line] * 10), class_name="grid")
    return rx.el.div(table, aria_hidden="true", class_name="late")


def audit_body(
    *,
    mode: Any,
    rows: Any,
    asked: Any,
    errors: Any,
    problems: Any,
    failure: Any,
    summary: Any,
    page: Any,
    pages: Any,
    at_start: Any,
    at_end: Any,
    busy: Any,
    actions: Sequence[tuple[str, str]],
    outcomes: Sequence[tuple[str, str]],
    on_filter: Any = None,
    on_clear: Any = None,
    on_previous: Any = None,
    on_next: Any = None,
    on_open: Callable[[Any], Any] | None = None,
    on_again: Any = None,
    key: Any = None,
) -> rx.Component:
    """Filters, events, paging, and what is shown instead of events.

    ``mode`` is ``rows``, ``loading``, ``empty`` (nothing yet), ``none`` (nothing matches) or ``failed``; ``rows``
    holds ``TrailRow``. ``asked`` are the filters in force by name, ``errors`` sentences by name.
    """
    loading = rx.el.div(_skeleton(), rx.el.p("Loading events", role="status", class_name="sr"), aria_busy="true")
    nothing = empty("scroll-text", "No events yet", "Everything that happens here is written down, and appears here.")
    no_match = empty(
        "search-x",
        "No event matches",
        "Try a longer time, or fewer filters.",
        rx.button("Show all events", type="button", variant="outline", size="2", **given(on_click=on_clear)),
    )
    failed = empty(
        "scroll-text",
        "The events cannot be shown just now",
        "Nothing is lost. Try again in a moment.",
        rx.button("Try again", type="button", variant="outline", size="2", **given(on_click=on_again)),
    )
    body = rx.el.tbody(each(rows, lambda event: _event(event, on_open)), role="rowgroup")
    table = rx.el.div(
        rx.el.table(
            rx.el.caption("Audit trail", class_name="sr"), _widths(), _head(), body, class_name="grid", role="table"
        ),
        pager(summary, page, pages, on_previous=on_previous, on_next=on_next, at_start=at_start, at_end=at_end),
    )
    filters = _filters(
        values=asked,
        errors=errors,
        problems=problems,
        busy=busy,
        actions=actions,
        outcomes=outcomes,
        on_filter=on_filter,
        on_clear=on_clear,
        key=key,
    )
    return rx.fragment(
        page_head(
            "Audit trail",
            export_form(asked),
            lead="Who did what, newest first. Nobody can change it, and looking at it is written down too.",
        ),
        stack(
            card(filters, title="Filter", cls="no-print"),
            when(failure, note("bad", rx.el.p(failure), role="alert")),
            rx.el.section(
                pick(mode, {"loading": loading, "empty": nothing, "none": no_match, "failed": failed}, table),
                class_name="card table",
                aria_label="Events",
            ),
            gap=4,
        ),
    )


def event_dialog(event: Any, *, open: Any, on_open_change: Any, on_close: Any) -> rx.Component:
    """One event whole."""
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(event.what, custom_attrs={"as": "h2"}),  # the page keeps its one h1
            rx.dialog.description(event.when, " · ", event.who, class_name="muted"),
            rx.el.div(facts_list(event.facts), class_name="under-title"),
            row(rx.button("Close", type="button", size="3", on_click=on_close), cls="dialog-foot"),
        ),
        open=open,
        on_open_change=on_open_change,
    )
