"""What hangs below the search box while one types: the patients that match, best first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import reflex as rx

from clinic_app.ui.kit.base import each, given, link, when
from clinic_app.ui.kit.data import avatar
from clinic_app.ui.kit.feedback import portal_status

HELP = "↑ ↓ to choose, Enter to open, Esc to close"


def _option(patient: Any, ident: str, on_choose: Callable[[Any], Any] | None) -> rx.Component:
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
        id=f"{ident}-" + patient.patient_id,
        class_name="opt",
        key=patient.patient_id,
        **given(on_click=on_choose(patient) if on_choose else None),
    )


def suggestions(
    rows: Any, *, shown: Any, count: Any, ident: str = "search", on_choose: Callable[[Any], Any] | None = None
) -> rx.Component:
    """The popup of ``search_field(popup=…)``: rows of ``PatientRow``, each a link to the patient.

    ``shown`` is false until there is something to say; ``count`` says how many there are (``3
    patients``) and is announced. Which row the arrow keys have reached is known to
    ``combobox.js`` alone: no key stroke waits for the server. ``on_choose`` may do more than go there.
    """
    listbox = rx.el.div(
        each(rows, lambda patient: _option(patient, ident, on_choose)),
        role="listbox",
        custom_attrs={"id": f"{ident}-options"},
        aria_label="Matching patients",
    )
    foot = rx.el.div(rx.el.span(count, role="status"), rx.el.span(HELP, class_name="keys"), class_name="pop-foot")
    return rx.el.div(listbox, foot, class_name=when(shown, "pop", "pop off"), custom_attrs={"data-pop": ident})
