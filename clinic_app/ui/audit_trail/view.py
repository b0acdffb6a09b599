"""*Audit trail*: filters, events, paging, what is shown instead of events, and one event whole."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.core import routes
from clinic_app.services.audit import wording
from clinic_app.services.audit.forms import FILTERS
from clinic_app.ui.audit_trail.state import AuditTrailState as State
from clinic_app.ui.audit_trail.state import TrailRow
from clinic_app.ui.frame.page import staff_page
from clinic_app.ui.kit import forms
from clinic_app.ui.kit.base import apart, card, icon, link, page_head, pick, row, stack, when
from clinic_app.ui.kit.data import avatar, facts_list
from clinic_app.ui.kit.feedback import badge, bone, empty, error_note
from clinic_app.ui.kit.pager import pager

_COLUMNS = (
    ("Time", "w-dob"),
    ("What", ""),
    ("Done by", "w-dob"),
    ("About", "w-phone"),
    ("Outcome", "w-status"),
    ("Details", "w-id"),
)


def _filters() -> rx.Component:
    def common(name: str) -> dict[str, Any]:
        return {"default_value": State.asked[name], "error": State.errors[name]}

    typed: dict[str, Any] = {"required": False, "marked": False, "auto_complete": "off", "spell_check": False}
    day: dict[str, Any] = {"type": "date", "required": False, "marked": False, "min": "2000-01-01", "max": "2999-12-31"}
    actions = [("", "All actions"), *wording.actions()]
    outcomes = [("", "All outcomes"), *wording.OUTCOMES.items()]
    return rx.el.form(
        forms.error_summary(State.problems),
        rx.el.fieldset(
            rx.el.legend("Which events", class_name="sr"),
            rx.el.div(
                forms.field("From", "since", **day, **common("since")),
                forms.field("To", "until", **day, **common("until")),
                forms.field("Username", "actor", max_length=254, auto_capitalize="none", **typed, **common("actor")),
                forms.field("Patient ID", "patient", max_length=20, **typed, **common("patient")),
                forms.select_field("Action", "action", actions, **common("action")),
                forms.select_field("Outcome", "outcome", outcomes, **common("outcome")),
                class_name="pair",
            ),
            disabled=State.busy,
        ),
        rx.el.div(
            forms.submit_button("Show events", "Searching...", State.busy, name="search", size="2", variant="outline"),
            rx.button("Clear filters", type="button", variant="outline", size="2", on_click=State.clear),
            class_name="actions",
        ),
        class_name="stack g4",
        no_validate=True,
        aria_label="Filter events",
        custom_attrs={"id": "audit-filters"},
        on_submit=State.apply,
        key=State.form_number,
    )


def _export() -> rx.Component:
    """*Export as CSV*: posted by the browser itself, with the filters in force, and answered by a file.

    The address stands at the button: ``idle.js`` takes a form with one for a form that leaves the page.
    """
    attrs = {"formAction": routes.AUDIT_EXPORT, "formMethod": "post"}
    return rx.el.form(
        *[rx.el.input(type="hidden", name=name, value=State.asked[name]) for name in FILTERS],
        rx.button(icon("download"), "Export as CSV", type="submit", variant="outline", size="2", custom_attrs=attrs),
        aria_label="Export events",
        on_submit=None,
    )


def _widths() -> rx.Component:
    return rx.el.colgroup(*[rx.el.col(class_name=name) for _, name in _COLUMNS])


def _head() -> rx.Component:
    cells = [rx.el.th(text, scope="col", role="columnheader") for text, _ in _COLUMNS[:-1]]
    last = rx.el.th(_COLUMNS[-1][0], scope="col", role="columnheader", class_name="act")
    return rx.el.thead(rx.el.tr(*cells, last, role="row"), role="rowgroup")


def _event(event: TrailRow) -> rx.Component:
    about = when(event.href, link(apart(event.about), href=event.href), apart(event.about))
    words = [
        apart(event.who),
        when(event.username, apart(event.username, class_name="small")),
        when(event.role, apart(event.role, class_name="muted small")),
    ]
    number, group = event.seq.to_string(), event.times > 1
    several = "Show the " + event.times.to_string() + " events up to event " + number
    button = rx.button(
        when(group, "Show each", "Details"),
        type="button",
        variant="outline",
        size="2",
        aria_label=when(group, several, "Details of event " + number),
        on_click=State.open(event.seq),
    )
    return rx.el.tr(
        rx.el.td(apart(event.when), class_name="c-id", role="cell"),
        rx.el.th(
            row(avatar(event.initials), apart(event.what)), scope="row", class_name="c-name strong", role="rowheader"
        ),
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


def _table() -> rx.Component:
    caption = rx.el.caption("Audit trail", class_name="sr")
    body = rx.el.tbody(rx.foreach(State.rows, _event), role="rowgroup")
    return rx.el.div(
        rx.el.table(caption, _widths(), _head(), body, class_name="grid", role="table"),
        pager(State.summary, State.page, State.pages, State.turn),
    )


def _events() -> rx.Component:
    loading = rx.el.div(_skeleton(), rx.el.p("Loading events", role="status", class_name="sr"), aria_busy="true")
    nothing = empty("scroll-text", "No events yet", "Everything that happens is recorded and appears here.")
    no_match = empty(
        "search-x",
        "No event matches",
        "Try a longer period or fewer filters.",
        rx.button("Show all events", type="button", variant="outline", size="2", on_click=State.clear),
    )
    failed = empty(
        "scroll-text",
        "The events cannot be shown right now",
        "Nothing is lost. Try again in a moment.",
        rx.button("Try again", type="button", variant="outline", size="2", on_click=State.turn(0)),
    )
    instead = {"loading": loading, "empty": nothing, "none": no_match, "failed": failed}
    return rx.el.section(pick(State.mode, instead, _table()), class_name="card table", aria_label="Events")


def _one_event() -> rx.Component:
    """The dialog that shows one event whole."""
    event = State.opened
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(apart(event.what), custom_attrs={"as": "h2"}),  # the page keeps its one h1
            rx.dialog.description(apart(event.when), " · ", apart(event.who), class_name="muted"),
            rx.el.div(facts_list(event.facts), class_name="under-title"),
            row(rx.button("Close", type="button", size="3", on_click=State.close(False)), cls="dialog-foot"),
        ),
        open=State.is_open,
        on_open_change=State.close,
    )


def audit_trail() -> rx.Component:
    """The page."""
    return staff_page(
        page_head(
            "Audit trail",
            _export(),
            lead="Who did what, newest first. Nobody can change it, and viewing it is recorded too.",
        ),
        stack(
            card(_filters(), title="Filter", cls="no-print"),
            error_note(State.failure),
            _events(),
            gap=4,
        ),
        _one_event(),
        current="Audit trail",
    )
