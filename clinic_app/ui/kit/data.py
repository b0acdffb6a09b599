"""What is known about patients: avatar, short list, facts, banner, timeline, chart, figures."""

from __future__ import annotations

import reflex as rx

from clinic_app.ui.kit.base import Child, Number, Text, cx, icon, link, pick, when
from clinic_app.ui.kit.feedback import badge, portal_status
from clinic_app.ui.view_models import DayBar, Fact, Happening, PatientRow, Person

#: The icons of *Activity*. Every one costs bytes on every page that shows it.
HAPPENINGS = ("eye", "pencil", "user-plus", "key-round", "log-in", "printer")


def avatar(initials: Text, large: bool = False) -> rx.Component:
    """Initials in a circle: a landmark for the eye, nothing to read out."""
    return rx.el.span(initials, class_name=cx("avatar", "lg" if large else ""), aria_hidden="true")


def born(patient: PatientRow) -> rx.Component:
    """Date of birth with the age: ``14 Mar 1988 (38 y)``. The month is always letters."""
    known = rx.el.span(patient.born, rx.el.span(" (", patient.age, ")", class_name="muted"), class_name="num")
    return when(patient.born, known, rx.el.span("Not known", class_name="muted"))


def _person(patient: PatientRow) -> rx.Component:
    return rx.el.li(
        link(
            avatar(patient.initials),
            rx.el.span(
                rx.el.span(patient.name, class_name="strong cut"),
                rx.el.span(patient.line, class_name="muted small num cut"),
                class_name="stack grow",
            ),
            portal_status(patient.portal),
            href=patient.href,
            class_name="item",
        ),
        key=patient.patient_id,
    )


def people(rows: list[PatientRow]) -> rx.Component:
    """A short list of patients with their portal status."""
    return rx.el.ul(rx.foreach(rows, _person), class_name="list")


def _fact(fact: Fact) -> rx.Component:
    shown = when(fact.tone, badge(fact.value, fact.tone, fact.mark), fact.value)
    unknown = rx.el.span("Not recorded", class_name="muted")
    return rx.el.div(rx.el.dt(fact.label), rx.el.dd(when(fact.value, shown, unknown)))


def facts_list(items: list[Fact]) -> rx.Component:
    """Label and value, one a line, or a badge where a tone is given. What is not known says so."""
    return rx.el.dl(rx.foreach(items, _fact), class_name="facts")


def patient_banner(person: Person) -> rx.Component:
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
        class_name="card banner",
        aria_label="Patient",
    )


def _happening(happening: Happening) -> rx.Component:
    cases = {name: icon(name, 14) for name in HAPPENINGS}
    return rx.el.li(
        rx.el.span(pick(happening.icon, cases, icon("circle", 14)), class_name="pin"),
        rx.el.div(rx.el.p(happening.what), rx.el.p(happening.when, class_name="muted small num"), class_name="what"),
    )


def timeline(items: list[Happening]) -> rx.Component:
    """What happened, newest first: icon, what, who and when."""
    return rx.el.ol(rx.foreach(items, _happening), class_name="timeline")


def _bar(day: DayBar) -> rx.Component:
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


def bar_chart(days: list[DayBar], label: Text) -> rx.Component:
    """Bars made of a list: 0 kB of script, readable without eyes, right in print and dark."""
    return rx.el.ol(rx.foreach(days, _bar), class_name="bars", aria_label=label)


def stat(label: str, value: Text | Number, note: Child, extra: rx.Component | None = None) -> rx.Component:
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
