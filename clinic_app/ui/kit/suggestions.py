"""What hangs below the search box: the records opened last, and while one types the patients that match."""

from __future__ import annotations

import reflex as rx

from clinic_app.ui.kit.base import Child, Event, Flag, Text, apart, each, icon, link, when
from clinic_app.ui.kit.data import avatar, found_by
from clinic_app.ui.kit.feedback import portal_status
from clinic_app.ui.view_models import PatientRow

OPENED_LAST = "Opened last"
HELP = "↑ ↓ to choose, Enter to open, Esc to close"


def _option(patient: PatientRow) -> rx.Component:
    details = rx.el.span(
        apart(patient.patient_id),
        when(patient.born, rx.fragment(" · born ", apart(patient.born))),
        when(patient.age, rx.fragment(" ", apart("(", patient.age, ")", class_name="num"))),
        when(patient.phone, rx.fragment(" · ", apart(patient.phone))),
        class_name="muted small num cut",
    )
    name = apart(patient.before, rx.el.mark(patient.hit), patient.after, class_name="strong cut")
    return link(
        avatar(patient.initials),
        rx.el.span(name, details, found_by(patient, "via cut"), class_name="stack grow"),
        portal_status(patient),
        href=patient.href,
        role="option",
        tab_index=-1,
        aria_selected="false",
        id="search-" + patient.patient_id,
        class_name="opt",
        key=patient.patient_id,
    )


def way_on(name: str, *words: Child, href: str, ident: str, on_click: Event) -> rx.Component:
    """Below the patients: something else to go on with. The arrow keys reach it; Enter alone never means it."""
    return link(
        icon(name),
        rx.el.span(*words, class_name="grow break"),
        href=href,
        role="option",
        tab_index=-1,
        aria_selected="false",
        id=ident,
        class_name="opt do",
        custom_attrs={"data-beside": ""},
        on_click=on_click,
    )


def suggestions(
    rows: list[PatientRow],
    *,
    shown: Flag,
    count: Text,
    answers: Text,
    advice: Text = "",
    ways_on: tuple[rx.Component, ...] = (),
) -> rx.Component:
    """The popup of ``search_field(popup=…)``: rows, each a link to the patient.

    ``shown`` is false until there is something to say; ``count`` says how many there are (``3 patients``) and is
    announced. ``answers`` is the term that the rows belong to; if it is empty they are the records opened last. While
    another term is in the box the rows wait. Which row the arrow keys have reached is known to ``combobox.js`` alone:
    no key stroke waits for the server. ``advice`` says what else to try where nobody was found; ``ways_on`` stand last.
    """
    listbox = rx.el.div(
        each(rows, _option),
        *ways_on,
        role="listbox",
        custom_attrs={"id": "search-options"},
        aria_label=when(answers, "Matching patients", OPENED_LAST),
    )
    title = when(answers, rx.fragment(), rx.el.p(OPENED_LAST, class_name="pop-title", aria_hidden="true"))
    found = rx.el.span(apart(count), role="status")
    foot = rx.el.div(found, rx.el.span(HELP, class_name="keys"), class_name="pop-foot")
    tried = when(advice, rx.el.p(apart(advice), class_name="advice"))
    return rx.el.div(
        title,
        tried,
        listbox,
        foot,
        class_name=when(shown, "pop", "pop off"),
        custom_attrs={"data-pop": "search", "data-answers": answers},
    )
