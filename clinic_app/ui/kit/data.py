"""What is known about patients: avatar, short list, facts, banner, timeline, chart, figures."""

from __future__ import annotations

import reflex as rx

from clinic_app.ui.kit.base import Child, Text, apart, cx, icon, link, pick, when
from clinic_app.ui.kit.feedback import badge, portal_status
from clinic_app.ui.view_models import DayBar, Fact, Happening, PatientRow, Person

#: The icons of *Activity*. Every one costs bytes on every page that shows it.
HAPPENINGS = ("eye", "pencil", "user-plus", "key-round", "log-in", "printer", "send")


def avatar(initials: Text, large: bool = False) -> rx.Component:
    """Initials in a circle: a landmark for the eye, nothing to read out."""
    return rx.el.span(initials, class_name=cx("avatar", "lg" if large else ""), aria_hidden="true")


def born(patient: PatientRow) -> rx.Component:
    """Date of birth with the age, if that is known: ``14 Mar 1988 (38 y)``. The month is always letters."""
    age = when(patient.age, rx.el.span(" (", patient.age, ")", class_name="muted"))
    known = apart(rx.el.span(patient.born), age, class_name="num")
    return when(patient.born, known, rx.el.span("Not known", class_name="muted"))


def found_by(patient: PatientRow, cls: str) -> rx.Component:
    """By what a patient was found, where a list shows it nowhere else: ``Next of kin: Jane Otieno``."""
    words = apart(patient.via_before, rx.el.mark(patient.via_hit), patient.via_after)
    return when(patient.via, rx.el.span(apart(patient.via), ": ", words, class_name=cls))


def _person(patient: PatientRow) -> rx.Component:
    return rx.el.li(
        link(
            avatar(patient.initials),
            rx.el.span(
                apart(patient.name, class_name="strong cut"),
                apart(patient.line, class_name="muted small figures"),
                class_name="stack grow",
            ),
            portal_status(patient),
            href=patient.href,
            class_name="item",
        ),
        key=patient.patient_id,
    )


def people(rows: list[PatientRow]) -> rx.Component:
    """A short list of patients with their portal status."""
    return rx.el.ul(rx.foreach(rows, _person), class_name="list")


def _fact(fact: Fact) -> rx.Component:
    shown = when(fact.tone, badge(fact.value, fact.tone, fact.mark), apart(fact.value))
    unknown = rx.el.span("Not recorded", class_name="muted")
    return rx.el.div(rx.el.dt(apart(fact.label)), rx.el.dd(when(fact.value, shown, unknown)))


def facts_list(items: list[Fact]) -> rx.Component:
    """Label and value, one a line, or a badge where a tone is given. What is not known says so."""
    return rx.el.dl(rx.foreach(items, _fact), class_name="facts")


def _copied(value: Child, ident: str, spoken: str) -> rx.Component:
    """A value with a button that copies it."""
    button = rx.el.button(
        icon("copy", 14),
        type="button",
        class_name="icon-btn copy",
        aria_label=spoken,
        title=spoken,
        custom_attrs={"data-copy-target": f"#{ident}"},
    )
    return rx.fragment(apart(value, custom_attrs={"id": ident}), button)


def patient_banner(person: Person, *actions: rx.Component) -> rx.Component:
    """Who this is, on every page about a patient: name, ID, born (age), gender, phone; and what one does here."""
    phone = _copied(rx.el.a(person.phone, href=person.phone_uri), "banner-phone", "Copy phone")
    items = (
        ("Patient ID", _copied(person.patient_id, "banner-patient-id", "Copy patient ID")),
        ("Born", apart(person.born)),
        ("Gender", apart(person.gender)),
        ("Phone", when(person.phone_uri, phone, apart(person.phone))),
    )
    lines = [rx.el.div(rx.el.dt(label), rx.el.dd(value, class_name="num")) for label, value in items]
    # React never touches the words of this line: the script's stay.
    said = rx.el.p(role="status", class_name="copy-status", custom_attrs={"data-copy-status": ""})
    return rx.el.section(
        avatar(person.initials, large=True),
        rx.el.div(
            rx.el.h1(apart(person.name), class_name="break"),
            rx.el.dl(*lines, class_name="id-line"),
            said,
            class_name="grow banner-words",
        ),
        *([rx.el.div(*actions, class_name="actions")] if actions else []),
        class_name="card banner",
        aria_label="Patient",
    )


def _each_time(happening: Happening) -> rx.Component:
    """When each of a run of the same was, behind how often it was."""
    times = rx.el.ul(rx.foreach(happening.times, lambda time: rx.el.li(apart(time), class_name="num")))
    return rx.el.details(rx.el.summary(apart(happening.often)), times, class_name="more")


def _happening(happening: Happening) -> rx.Component:
    cases = {name: icon(name, 14) for name in HAPPENINGS}
    return rx.el.li(
        rx.el.span(pick(happening.icon, cases, icon("circle", 14)), class_name="pin"),
        rx.el.div(
            rx.el.p(apart(happening.what)),
            rx.el.p(apart(happening.when), class_name="muted small num"),
            when(happening.often, _each_time(happening)),
            class_name="what",
        ),
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
            rx.el.span("on ", apart(day.spoken), class_name="sr"),
            class_name="d",
        ),
        class_name=when(day.today, "today", ""),
    )


def bar_chart(days: list[DayBar], label: Text) -> rx.Component:
    """Bars made of a list: 0 kB of script, readable without eyes, right in print and dark."""
    return rx.el.ol(rx.foreach(days, _bar), class_name="bars", aria_label=label)


def stat(label: str, value: Child, note: Child, extra: rx.Component | None = None) -> rx.Component:
    """One figure of Reception: what it counts, the number, one line about it."""
    return rx.el.div(
        rx.el.dt(label),
        rx.el.dd(apart(value), class_name="big"),
        rx.el.dd(*([extra] if extra is not None else []), apart(note), class_name="sub"),
        class_name="stat",
    )


def stats(*figures: rx.Component) -> rx.Component:
    """Figures side by side."""
    return rx.el.dl(*figures, class_name="stats")
