"""*Portal work list*: filters, groups, one click at the right, and what is shown instead of rows."""

from __future__ import annotations

import reflex as rx

from clinic_app.ui.frame.page import staff_page
from clinic_app.ui.kit.base import apart, each, link, page_head, pick, stack, when
from clinic_app.ui.kit.data import avatar
from clinic_app.ui.kit.feedback import bone, empty, error_note
from clinic_app.ui.kit.filters import filters
from clinic_app.ui.kit.pager import pager
from clinic_app.ui.portal_dialog.page import correct_button, portal_dialog, reset_button, unlock_button
from clinic_app.ui.view_models import WorkGroup, WorkRow
from clinic_app.ui.work_list.state import WorkListState as State

LEAD = "People who cannot get into the portal, or soon will not. Each once, under what is most urgent."


def _row(one: WorkRow) -> rx.Component:
    ident = "name-" + one.patient_id
    number = apart(one.patient_id, class_name="num")
    who = rx.el.span(
        link(apart(one.name), href=one.href, id=ident, custom_attrs={"data-focus-home": ""}),
        rx.el.span(
            number, rx.el.span(" · ", class_name="sep"), apart(one.phone, class_name="num"), class_name="muted small"
        ),
        class_name="grow",
    )
    return rx.el.li(
        rx.el.div(avatar(one.initials), who, class_name="person"),
        rx.el.p(
            apart(one.why),
            when(one.what, apart(one.what, class_name=when(one.channel, "break", "strong num"))),
            apart(one.then),
            class_name="why",
        ),
        rx.el.p(apart(one.age), class_name="age muted num"),
        rx.el.div(
            when(one.locked, unlock_button(one.patient_id, one.stamp, about=ident)),
            when(one.channel, correct_button(one.patient_id, one.channel, about=ident)),
            reset_button(one.patient_id, "Reissue", about=ident),
            class_name="actions",
        ),
        key=one.patient_id,
    )


def _group(one: WorkGroup) -> rx.Component:
    ident = "group-" + one.key
    heading = rx.el.h2(apart(one.title), " ", apart(one.count, class_name="group-count"), id=ident)
    rows = rx.el.ul(rx.foreach(one.rows, _row), class_name="work card-flush")
    head = rx.el.div(heading, class_name="card-head")
    return rx.el.section(head, rows, class_name="card work-box", aria_labelledby=ident, key=one.key)


def _rows() -> rx.Component:
    foot = rx.el.div(pager(State.summary, State.page, State.pages, State.turn), class_name="card table")
    return stack(rx.el.div(each(State.groups, _group), class_name="work-groups"), when(State.pages > 1, foot), gap=5)


def _bone_row(width: str) -> rx.Component:
    who = rx.el.div(bone("", "round"), bone(width), class_name="person")
    return rx.el.li(who, bone("200px"), bone("40px"), bone("96px"))


def _loading() -> rx.Component:
    rows = rx.el.ul(*[_bone_row(width) for width in ("130px", "150px", "110px", "140px")], class_name="work card-flush")
    said = rx.el.p("Loading the work list", role="status", class_name="sr")
    box = rx.el.div(rx.el.div(rows, class_name="card work-box"), class_name="late", aria_hidden="true")
    return rx.el.div(box, said, aria_busy="true")


def _nobody(title: rx.Var[str] | str, words: str) -> rx.Component:
    return rx.el.div(empty("circle-check", title, words), class_name="card")


def work_list() -> rx.Component:
    """The page."""
    stuck = _nobody(
        "Nobody is stuck", "Everyone with a portal account can sign in. Whoever cannot appears here at once."
    )
    none = _nobody(
        rx.fragment("Nobody under “", apart(State.title), "”"), "Others are stuck for other reasons: choose All."
    )
    shown = pick(
        State.mode,
        {"loading": _loading(), "failed": rx.fragment(), "empty": stuck, "none": none},
        _rows(),
    )
    filtered = (State.mode == "rows") | (State.mode == "none")
    return staff_page(
        error_note(State.failure),
        page_head("Portal work list", lead=LEAD),
        when(filtered, filters(State.reasons, State.choose, label="Reason")),
        shown,
        portal_dialog(),
        current="Portal work list",
    )
