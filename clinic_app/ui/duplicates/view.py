"""*Possible duplicates*: two records under each other, so that the eye compares downwards."""

from __future__ import annotations

import reflex as rx

from clinic_app.ui.duplicates.state import PairsState as State
from clinic_app.ui.frame.page import staff_page
from clinic_app.ui.kit.base import Child, apart, each, icon, link, link_button, page_head, pick, stack, when
from clinic_app.ui.kit.data import avatar
from clinic_app.ui.kit.feedback import badge, bone, empty, error_note, portal_status
from clinic_app.ui.kit.filters import filters
from clinic_app.ui.kit.forms import press_button
from clinic_app.ui.kit.pager import pager
from clinic_app.ui.view_models import Chip, PairCard, Twin, Word

LEAD = "Pairs that may be one person. Compare them, then merge, or say that they are two people."


def chip(one: Chip) -> rx.Component:
    """A reason: the same, or alike."""
    mark = when(one.near, icon("equal-approximately", 13), icon("check", 13))
    said = when(one.near, rx.el.span("Near: ", class_name="sr"), rx.el.span("Same: ", class_name="sr"))
    return rx.el.span(said, mark, apart(one.words), class_name=when(one.near, "chip near", "chip"))


def _word(one: Word) -> rx.Component:
    return rx.fragment(when(one.differs, rx.el.span(one.text, class_name="differs"), rx.el.span(one.text)), " ")


def _twin(one: Twin) -> rx.Component:
    row = one.row
    born = when(row.born, row.born, "Not known")
    age = when(row.age, rx.el.span(" (", row.age, ")", class_name="muted"))
    return rx.el.div(
        rx.el.span(rx.el.span("Patient ID ", class_name="sr"), apart(row.patient_id), class_name="num c-id"),
        rx.el.div(
            avatar(row.initials),
            link(apart(each(one.words, _word)), href=row.href),
            class_name="person",
        ),
        rx.el.span(
            apart(rx.el.span(born, class_name=when(one.born_differs, "differs", "")), age), class_name="num c-dob"
        ),
        rx.el.span(
            apart(one.phone_start, when(one.phone_rest, rx.el.span(one.phone_rest, class_name="differs"))),
            class_name="num c-tel",
        ),
        rx.el.span(portal_status(row), class_name="status"),
        class_name="twin",
    )


def _title(one: PairCard) -> rx.Component:
    names = apart(one.first.row.name), " and ", apart(one.second.row.name)
    return rx.el.h2(*names, class_name="sr", id="pair-" + one.key)


def _said(one: PairCard) -> rx.Component:
    undo = press_button(
        icon("undo-2"),
        "Undo",
        variant="outline",
        size="2",
        type="button",
        called="undo-" + one.key,
        aria_describedby="pair-" + one.key,
        on_press=lambda press: State.take_back(one.key, press),
    )
    words = rx.el.p(
        rx.el.b(apart(one.first.row.name), class_name="strong"),
        " and ",
        rx.el.b(apart(one.second.row.name), class_name="strong"),
        " are two people. The pair comes back if either record changes.",
    )
    return rx.el.li(
        _title(one),
        rx.el.div(words, undo, class_name="pair-said", role="status"),
        class_name="card pair-box",
        key=one.key,
    )


def _pair(one: PairCard) -> rx.Component:
    described = {"aria_describedby": "pair-" + one.key}
    apart_button = press_button(
        "Not a duplicate",
        variant="outline",
        size="2",
        type="button",
        called="apart-" + one.key,
        on_press=lambda press: State.not_a_duplicate(one.key, press),
        **described,
    )
    shown = rx.el.li(
        _title(one),
        rx.el.div(
            rx.el.div(badge(one.grade, one.tone), each(one.chips, chip), class_name="chips"), class_name="pair-head"
        ),
        _twin(one.first),
        _twin(one.second),
        rx.el.div(
            link_button("Compare", href=one.href, name="columns-2", variant="outline", **described),
            apart_button,
            class_name="actions pair-acts",
        ),
        class_name="card pair-box",
        key=one.key,
    )
    return rx.fragment(when(one.said, _said(one), shown), key=one.key)


def _rows() -> rx.Component:
    foot = rx.el.div(pager(State.summary, State.page, State.pages, State.turn), class_name="card table")
    return stack(rx.el.ol(rx.foreach(State.cards, _pair), class_name="pairs"), when(State.pages > 1, foot), gap=4)


def _bone_pair() -> rx.Component:
    line = rx.el.div(
        bone("80px"), rx.el.div(bone("", "round"), bone("140px"), class_name="person"), bone("110px"), bone("90px"),
        class_name="twin",
    )  # fmt: skip
    return rx.el.li(rx.el.div(bone("220px"), class_name="pair-head"), line, line, class_name="card pair-box")


def _loading() -> rx.Component:
    said = rx.el.p("Loading possible duplicates", role="status", class_name="sr")
    box = rx.el.div(rx.el.ol(_bone_pair(), _bone_pair(), class_name="pairs"), class_name="late", aria_hidden="true")
    return rx.el.div(box, said, aria_busy="true")


def _nobody(title: Child, words: str) -> rx.Component:
    return rx.el.div(empty("copy-check", title, words), class_name="card")


def pairs() -> rx.Component:
    """The page."""
    nothing = _nobody(
        when(State.waiting, "No possible duplicates yet", "No possible duplicates"),
        "Every new or changed record is compared with all others. Pairs that may be one person appear here by "
        "themselves.",
    )
    none = _nobody("No pair of this kind", "There are others: choose All.")
    waiting = rx.el.p(
        apart(State.waiting),
        when(State.waiting == "1", " record is", " records are"),
        " yet to be compared with the others.",
        class_name="muted small",
        role="status",
    )
    shown = pick(State.mode, {"loading": _loading(), "failed": rx.fragment(), "empty": nothing, "none": none}, _rows())
    filtered = (State.mode == "rows") | (State.mode == "none")
    return staff_page(
        error_note(State.failure),
        page_head("Possible duplicates", lead=LEAD),
        when(filtered, filters(State.reasons, State.choose, label="Grade")),
        stack(shown, when(State.waiting, waiting), gap=4),
        current="Duplicates",
    )
