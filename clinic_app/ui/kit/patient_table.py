"""The list of patients as a table, and its skeleton."""

from __future__ import annotations

from collections.abc import Callable

import reflex as rx

from clinic_app.ui.kit.base import Event, Flag, Text, apart, each, given, icon, link, row, when
from clinic_app.ui.kit.data import avatar, born, found_by
from clinic_app.ui.kit.feedback import bone, portal_status
from clinic_app.ui.view_models import PatientRow

#: What a list can be sorted by: (key, words, class of the column). An empty key: not sortable.
COLUMNS = (
    ("patient_id", "Patient ID", "w-id"),
    ("name", "Name", ""),
    ("date_of_birth", "Date of birth", "w-dob"),
    ("", "Phone", "w-phone"),
    ("", "Portal Status", "w-status"),
)


def _widths() -> rx.Component:
    """Fixed widths for all columns but the name: rows arriving move nothing."""
    names = [*[name for _, _, name in COLUMNS], "w-act"]
    return rx.el.colgroup(*[rx.el.col(class_name=name) for name in names])


def _heading(key: str, text: str, sort: Text, descending: Flag, on_sort: Callable[[str], Event] | None) -> rx.Component:
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


def _table_row(patient: PatientRow, action: Callable[[PatientRow], rx.Component]) -> rx.Component:
    name = link(
        apart(patient.name),
        href=patient.href,
        id="name-" + patient.patient_id,
        class_name="name break",
        custom_attrs={"data-focus-home": ""},
    )
    return rx.el.tr(
        rx.el.td(apart(patient.patient_id), class_name="num c-id", role="cell"),
        rx.el.th(
            row(avatar(patient.initials), rx.el.span(name, found_by(patient, "via muted small"), class_name="stack")),
            scope="row",
            class_name="c-name",
            role="rowheader",
        ),
        rx.el.td(born(patient), class_name="c-dob", role="cell"),
        rx.el.td(
            when(patient.phone, apart(patient.phone), rx.el.span("–", class_name="muted")),
            class_name="num c-phone",
            role="cell",
        ),
        rx.el.td(portal_status(patient), class_name="c-status", role="cell"),
        rx.el.td(action(patient), class_name="act", role="cell"),
        role="row",
        key=patient.patient_id,
    )


def patient_table(
    rows: list[PatientRow],
    *,
    action: Callable[[PatientRow], rx.Component],
    sort: Text = "name",
    descending: Flag = False,
    on_sort: Callable[[str], Event] | None = None,
) -> rx.Component:
    """The list of patients. On a phone each row becomes a small card; the roles stay a table's.

    ``action`` builds what stands in the last column for a row; ``on_sort`` gets the key of a column
    (``patient_id``, ``name``, ``date_of_birth``).
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
    return rx.el.table(
        rx.el.caption("Patients", class_name="sr"), _widths(), head, body, class_name="grid", role="table"
    )


def _skeleton_row(widths: tuple[str, str, str]) -> rx.Component:
    return rx.el.tr(
        rx.el.td(bone("78px"), class_name="c-id"),
        rx.el.td(row(bone("", "round"), bone(widths[0])), class_name="c-name"),
        rx.el.td(bone(widths[1]), class_name="c-dob"),
        rx.el.td(bone(widths[2]), class_name="c-phone"),
        rx.el.td(bone("64px"), class_name="c-status"),
        rx.el.td(bone("150px"), class_name="act"),
    )


def table_skeleton(rows: int) -> rx.Component:
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
