"""What hangs below the search box while one types: the patients that match, best first."""

from __future__ import annotations

import reflex as rx

from clinic_app.ui.kit.base import Flag, Text, each, link, when
from clinic_app.ui.kit.data import avatar
from clinic_app.ui.kit.feedback import portal_status
from clinic_app.ui.view_models import PatientRow

HELP = "↑ ↓ to choose, Enter to open, Esc to close"


def _option(patient: PatientRow) -> rx.Component:
    details = rx.el.span(
        patient.patient_id,
        when(patient.born, rx.fragment(" · born ", patient.born, " (", patient.age, ")")),
        when(patient.phone, rx.fragment(" · ", patient.phone)),
        class_name="muted small num cut",
    )
    name = rx.el.span(patient.before, rx.el.mark(patient.hit), patient.after, class_name="strong cut")
    return link(
        avatar(patient.initials),
        rx.el.span(name, details, class_name="stack grow"),
        portal_status(patient.portal),
        href=patient.href,
        role="option",
        tab_index=-1,
        aria_selected="false",
        id="search-" + patient.patient_id,
        class_name="opt",
        key=patient.patient_id,
    )


def suggestions(rows: list[PatientRow], *, shown: Flag, count: Text) -> rx.Component:
    """The popup of ``search_field(popup=…)``: rows, each a link to the patient.

    ``shown`` is false until there is something to say; ``count`` says how many there are (``3
    patients``) and is announced. Which row the arrow keys have reached is known to
    ``combobox.js`` alone: no key stroke waits for the server.
    """
    listbox = rx.el.div(
        each(rows, _option),
        role="listbox",
        custom_attrs={"id": "search-options"},
        aria_label="Matching patients",
    )
    foot = rx.el.div(rx.el.span(count, role="status"), rx.el.span(HELP, class_name="keys"), class_name="pop-foot")
    return rx.el.div(listbox, foot, class_name=when(shown, "pop", "pop off"), custom_attrs={"data-pop": "search"})
