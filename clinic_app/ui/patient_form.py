"""The inputs of a patient's fields, made from the list of fields: each by its kind, in the section it names.

What stands here by a field's name or kind is layout; a field that is named nowhere appears too.
"""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.services.patients.forms import PATIENT_FIELDS, SECTIONS, Kind, PatientDetails, Section
from clinic_app.ui.kit import forms
from clinic_app.ui.kit.base import given, row, when
from clinic_app.ui.kit.feedback import note
from clinic_app.ui.session.form_state import FormState

BORN_EXAMPLE = "Day, month, year. For example 31 3 1980"
#: An input takes more than a value may have: too long is said, never cut off.
_ROOM = 100
_BY_KIND: dict[Kind, dict[str, Any]] = {
    Kind.LINES: {"full": True, "lines": 3},
    Kind.PHONE: {"type": "tel"},
    Kind.EMAIL: {"type": "email"},
}
_HINTS = {"gender": "As the patient describes it"}


def section_inputs(state: type[FormState], check: rx.EventHandler, section: Section) -> rx.Component:
    """The inputs of one section. ``check`` is the state's handler for a field that was left."""
    return rx.el.div(*[_input(state, check, name) for name in SECTIONS[section]], class_name="pair")


def labelled_input(state: type[FormState], check: rx.EventHandler, label: str, name: str, **props: Any) -> rx.Component:
    """One input, with what it begins with, its sentence, and a check on leaving it."""
    return forms.field(
        label,
        name,
        error=state.errors[name],
        default_value=state.values[name],
        auto_complete="off",
        on_blur=check(name),
        **props,
    )


def _input(state: type[FormState], check: rx.EventHandler, name: str) -> rx.Component:
    field, info = PATIENT_FIELDS[name], PatientDetails.model_fields[name]
    if field.kind is Kind.CHOICE:
        known = [*([("", "Not recorded")] if info.default is None else []), *field.choices().items()]
        other = state.unlisted[name]
        return forms.select_field(
            field.label,
            name,
            known,
            hint=_HINTS.get(name),
            error=state.errors[name],
            default_value=state.values[name],
            more=[when(other, rx.el.option(other.words, value=other.value))],
        )
    return labelled_input(
        state,
        check,
        field.label,
        name,
        required=info.is_required(),
        max_length=field.longest + _ROOM,
        **given(hint=_born(state) if name == "date_of_birth" else _HINTS.get(name)),
        **_BY_KIND.get(field.kind, {}),
    )


def _born(state: type[FormState]) -> rx.Component:
    """An example, until something was understood: that is shown, to be read back to the patient."""
    understood = rx.fragment(rx.el.b(state.born_date), ", ", state.born_age)
    return rx.el.span(when(state.born_date, understood, BORN_EXAMPLE), role="status")


def restored_note(state: type[FormState], clear: rx.EventHandler) -> rx.Component:
    """Says that what was typed is back, and offers to begin anew."""
    button = rx.button("Clear", type="button", variant="outline", size="2", on_click=clear)
    words = row(rx.el.p("Your unfinished form was restored."), button, cls="between wrap")
    return when(state.restored, note("info", words, role="status"))
