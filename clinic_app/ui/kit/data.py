"""Patients on the screen: avatar, table, short list, facts, banner, timeline, chart, figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import reflex as rx

from clinic_app.ui.kit.base import cx, each, given, icon, link, pick, row, when
from clinic_app.ui.kit.feedback import badge, bone, portal_status

#: What a list can be sorted by: (key, words, class of the column). An empty key: not sortable.
COLUMNS = (
    ("patient_id", "Patient ID", "w-id"),
    ("name", "Name", ""),
    ("date_of_birth", "Date of birth", "w-dob"),
    ("", "Phone", "w-phone"),
    ("", "Portal Status", "w-status"),
)
#: The icons of *Activity*. Every one costs bytes on every page that shows it.
HAPPENINGS = ("eye", "pencil", "user-plus", "key-round", "log-in", "printer")


def avatar(initials: Any, large: bool = False) -> rx.Component:
    """Initials in a circle: a landmark for the eye, nothing to read out."""
    return rx.el.span(initials, class_name=cx("avatar", "lg" if large else ""), aria_hidden="true")


def born(patient: Any) -> rx.Component:
    """Date of birth with the age: ``14 Mar 1988 (38 y)``. The month is always letters."""
    known = rx.el.span(patient.born, rx.el.span(" (", patient.age, ")", class_name="muted"), class_name="num")
    return when(patient.born, known, rx.el.span("Not known", class_name="muted"))


def _widths() -> rx.Component:
    """Fixed widths for all columns but the name: rows arriving move nothing."""
    names = [*[name for _, _, name in COLUMNS], "w-act"]
    return rx.el.colgroup(*[rx.el.col(class_name=name) for name in names])


def _heading(key: str, text: str, sort: Any, descending: Any, on_sort: Callable[[str], Any] | None) -> rx.Component:
    if not key:
        return rx.el.th(text, scope="col", role="columnheader")
    order = when(sort == key, when(descending, "descending", "ascending"), "none")
    button = rx.el.button(
        text,
        icon("arrow-up", 13),
        type="button",
        class_name="sort",
        **given(on_click=on_sort(key) if on_sort else None),
    )
    return rx.el.th(button, scope="col", role="columnheader", aria_sort=order)


def _table_row(patient: Any, action: Callable[[Any], rx.Component]) -> rx.Component:
    name = link(
        patient.name,
        href=patient.href,
        id="name-" + patient.patient_id,
        class_name="name break",
        custom_attrs={"data-focus-home": ""},
    )
    return rx.el.tr(
        rx.el.td(patient.patient_id, class_name="num c-id", role="cell"),
        rx.el.th(row(avatar(patient.initials), name), scope="row", class_name="c-name", role="rowheader"),
        rx.el.td(born(patient), class_name="c-dob", role="cell"),
        rx.el.td(
            when(patient.phone, patient.phone, rx.el.span("–", class_name="muted")),
            class_name="num c-phone",
            role="cell",
        ),
        rx.el.td(portal_status(patient.portal), class_name="c-status", role="cell"),
        rx.el.td(action(patient), class_name="act", role="cell"),
        role="row",
        key=patient.patient_id,
    )


def patient_table(
    rows: Any,
    *,
    action: Callable[[Any], rx.Component],
    sort: Any = "name",
    descending: Any = False,
    on_sort: Callable[[str], Any] | None = None,
    caption: Any = "Patients",
) -> rx.Component:
    """The list of patients. On a phone each row becomes a small card; the roles stay a table's.

    ``rows`` holds ``PatientRow``; ``action`` builds what stands in the last column for a row;
    ``on_sort`` gets the key of a column (``patient_id``, ``name``, ``date_of_birth``).
    """
    head = rx.el.thead(
        rx.el.tr(
            *[_heading(key, text, sort, descending, on_sort) for key, text, _ in COLUMNS],
            rx.el.th("Actions", scope="col", class_name="act", role="columnheader"),
            role="row",
        ),
        role="rowgroup",
    )
    body = rx.el.tbody(each(rows, lambda patient: _table_row(patient, action)), role="rowgroup")
    return rx.el.table(rx.el.caption(caption, class_name="sr"), _widths(), head, body, class_name="grid", role="table")


def _skeleton_row(widths: tuple[str, str, str]) -> rx.Component:
    return rx.el.tr(
        rx.el.td(bone("78px"), class_name="c-id"),
        rx.el.td(row(bone("", "round"), bone(widths[0])), class_name="c-name"),
        rx.el.td(bone(widths[1]), class_name="c-dob"),
        rx.el.td(bone(widths[2]), class_name="c-phone"),
        rx.el.td(bone("64px"), class_name="c-status"),
        rx.el.td(bone("150px"), class_name="act"),
    )


def table_skeleton(rows: int = 10) -> rx.Component:
    """The table before its rows: same columns, same heights, so nothing jumps. Shown after 150 ms."""
    widths = (("130px", "118px", "104px"), ("168px", "118px", "104px"), ("104px", "96px", "104px"))
    head = rx.el.thead(
        rx.el.tr(
            *[rx.el.th(text, scope="col") for _, text, _ in COLUMNS],
            rx.el.th("Actions", scope="col", class_name="act"),
        )
    )
    body = rx.el.tbody(*[_skeleton_row(widths[number % 3]) for number in range(rows)])
    foot = rx.el.div(bone("150px"), bone("220px"), class_name="table-foot waits")
    return rx.el.div(rx.el.table(_widths(), head, body, class_name="grid"), foot, aria_hidden="true", class_name="late")


def pager(
    text: Any,
    page: Any,
    pages: Any,
    *,
    on_previous: Any = None,
    on_next: Any = None,
    at_start: Any = False,
    at_end: Any = False,
) -> rx.Component:
    """How many there are, which page this is, one back, one on."""
    back = rx.button(
        icon("chevron-left"),
        "Previous",
        variant="outline",
        size="2",
        disabled=at_start,
        **given(on_click=on_previous),
    )
    on = rx.button(
        "Next", icon("chevron-right"), variant="outline", size="2", disabled=at_end, **given(on_click=on_next)
    )
    return rx.el.div(
        rx.el.p(text, class_name="muted num", role="status"),
        rx.el.nav(
            back,
            rx.el.span("Page ", page, " of ", pages, class_name="num"),
            on,
            class_name="pager",
            aria_label="Pages",
        ),
        class_name="table-foot",
    )


def person_item(patient: Any, mark: rx.Component | None = None, *, line: Any = None) -> rx.Component:
    """One person in a short list: who, one line about them, one mark at the end."""
    return rx.el.li(
        link(
            avatar(patient.initials),
            rx.el.span(
                rx.el.span(patient.name, class_name="strong cut"),
                rx.el.span(patient.line if line is None else line, class_name="muted small num cut"),
                class_name="stack grow",
            ),
            icon("chevron-right", 16, "muted") if mark is None else mark,
            href=patient.href,
            class_name="item",
        ),
        key=patient.patient_id,
    )


def people(rows: Any) -> rx.Component:
    """A short list of patients with their portal status."""
    return rx.el.ul(each(rows, lambda patient: person_item(patient, portal_status(patient.portal))), class_name="list")


def _fact(label: Any, value: Any) -> rx.Component:
    return rx.el.div(rx.el.dt(label), rx.el.dd(value))


def _unknown() -> rx.Component:
    return rx.el.span("Not recorded", class_name="muted")


def facts(*pairs: tuple[str, Any]) -> rx.Component:
    """Label and value, one a line. What is not known says so."""
    return rx.el.dl(
        *[
            _fact(label, value if isinstance(value, rx.Component) else when(value, value, _unknown()))
            for label, value in pairs
        ],
        class_name="facts",
    )


def facts_list(items: Any) -> rx.Component:
    """The same from a list of ``Fact``: a value, or a badge where a tone is given."""

    def one(fact: Any) -> rx.Component:
        shown = when(fact.tone, badge(fact.value, fact.tone, fact.mark), fact.value)
        return _fact(fact.label, when(fact.value, shown, _unknown()))

    return rx.el.dl(each(items, one), class_name="facts")


def patient_banner(person: Any, *actions: Any) -> rx.Component:
    """Who this is, on every page about a patient: name, ID, born (age), gender, phone."""
    items = (
        ("Patient ID", person.patient_id),
        ("Born", person.born),
        ("Gender", person.gender),
        ("Phone", person.phone),
    )
    lines = [rx.el.div(rx.el.dt(label), rx.el.dd(value, class_name="num")) for label, value in items]
    return rx.el.section(
        avatar(person.initials, large=True),
        rx.el.div(
            rx.el.h1(person.name, class_name="break"),
            rx.el.dl(*lines, class_name="id-line"),
            class_name="grow banner-words",
        ),
        *([rx.el.div(*actions, class_name="actions")] if actions else []),
        class_name="card banner",
        aria_label="Patient",
    )


def timeline(items: Any) -> rx.Component:
    """What happened, newest first: icon, what, who and when. ``items`` holds ``Happening``."""

    def one(happening: Any) -> rx.Component:
        cases = {name: icon(name, 14) for name in HAPPENINGS}
        return rx.el.li(
            rx.el.span(pick(happening.icon, cases, icon("circle", 14)), class_name="pin"),
            rx.el.div(
                rx.el.p(happening.what),
                rx.el.p(happening.when, class_name="muted small num"),
                class_name="what",
            ),
        )

    return rx.el.ol(each(items, one), class_name="timeline")


def bar_chart(days: Any, label: Any) -> rx.Component:
    """Bars made of a list: 0 kB of script, readable without eyes, right in print and dark."""

    def one(day: Any) -> rx.Component:
        return rx.el.li(
            rx.el.span(day.count, class_name="v"),
            rx.el.span(rx.el.span(style={"height": day.height}), class_name="slot", aria_hidden="true"),
            rx.el.span(
                rx.el.span(day.day, aria_hidden="true"),
                rx.el.span("on ", day.spoken, class_name="sr"),
                class_name="d",
            ),
            class_name=when(day.today, "today", ""),
        )

    return rx.el.ol(each(days, one), class_name="bars", aria_label=label)


def stat(label: str, value: Any, note: Any, extra: rx.Component | None = None) -> rx.Component:
    """One figure of Reception: what it counts, the number, one line about it."""
    return rx.el.div(
        rx.el.dt(label),
        rx.el.dd(value, class_name="big"),
        rx.el.dd(*([extra] if extra is not None else []), note, class_name="sub"),
        class_name="stat",
    )


def stats(*figures: rx.Component) -> rx.Component:
    """Figures side by side."""
    return rx.el.dl(*figures, class_name="stats")
