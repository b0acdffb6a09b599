"""The inputs of a patient's fields, made from the list of fields: each by its kind, in the section it names.

What stands here by a field's name or kind is layout; a field that is named nowhere appears too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import reflex as rx

from clinic_app.core.settings import get_settings
from clinic_app.services.patients import phones
from clinic_app.services.patients.duplicates.typed import COMPARED
from clinic_app.services.patients.forms import PATIENT_FIELDS, SECTIONS, Kind, PatientDetails, Section
from clinic_app.ui.kit import forms
from clinic_app.ui.kit.base import Event, apart, each, given, when
from clinic_app.ui.kit.feedback import badge, note
from clinic_app.ui.session.form_state import FormState
from clinic_app.ui.view_models import Offer

BORN_EXAMPLE = "For example 31 3 1980, 1960 or 35 years"
#: So long nobody types before it is looked at who it may be.
PAUSE_MS = 500
#: An input takes more than a value may have: too long is said, never cut off.
_ROOM = 100
_BY_KIND: dict[Kind, dict[str, Any]] = {
    Kind.LINES: {"full": True, "lines": 3},
    Kind.PHONE: {"type": "tel"},
    Kind.EMAIL: {"type": "email"},
}
_HINTS = {
    "email": "One address",
    "gender": "As the patient describes it",
    "external_id": "Its number in the system this record came from",
}


def section_inputs(
    state: type[FormState],
    check: rx.EventHandler,
    answer_slip: rx.EventHandler,
    section: Section,
    *,
    under_email: rx.Component | None = None,
    typing: rx.EventHandler | None = None,
) -> rx.Component:
    """The inputs of one section.

    ``check`` is the state's handler for a field that was left, ``answer_slip`` the one for *Did you mean …?*;
    ``under_email`` stands below the email. ``typing`` is told what stands in an input that tells who somebody is, when
    nothing was typed for a moment.
    """
    inputs = [name for name in SECTIONS[section] if not PATIENT_FIELDS[name].under]
    below: dict[str, list[rx.Component]] = {}
    for name in inputs:
        ticks = [_tick(state, check, tick) for tick, field in PATIENT_FIELDS.items() if field.under == name]
        below[name] = ticks
        if PATIENT_FIELDS[name].kind is Kind.EMAIL:
            more = [under_email] if under_email is not None else []
            below[name] = [slip_asked(state, answer_slip, name), *ticks, *more]
    told = typing.debounce(PAUSE_MS) if typing is not None else None
    return rx.el.div(*[_input(state, check, name, below[name], told) for name in inputs], class_name="pair")


def slip_asked(state: type[FormState], answer_slip: rx.EventHandler, name: str) -> rx.Component:
    """*Did you mean …?* under the email ``name``."""
    return forms.slip_question(name, state.slips[name], lambda changed: answer_slip(name, changed))


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


def _input(
    state: type[FormState],
    check: rx.EventHandler,
    name: str,
    below: Sequence[rx.Component],
    typing: rx.EventHandler | None,
) -> rx.Component:
    field, info = PATIENT_FIELDS[name], PatientDetails.model_fields[name]
    told = given(on_change=typing(name) if typing is not None and name in COMPARED else None)
    if field.kind is Kind.TICK:
        return _tick(state, check, name)
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
            **told,
        )
    return labelled_input(
        state,
        check,
        field.label,
        name,
        required=info.is_required(),
        max_length=field.longest + _ROOM,
        **given(hint=_hint(state, name, field.kind), after=rx.fragment(*below) if below else None),
        **told,
        **_BY_KIND.get(field.kind, {}),
        **({"disabled": state.values["single_name"] == "on"} if name == "last_name" else {}),
    )


def _tick(state: type[FormState], check: rx.EventHandler, name: str) -> rx.Component:
    """A tick below an input. ``ticks.js`` switches the input off where the tick says so."""
    return forms.tick(
        PATIENT_FIELDS[name].label,
        name,
        default_checked=state.values[name] == "on",
        on_change=lambda _: check(name, ""),
        **({"custom_attrs": {"data-switches-off": "last_name"}} if name == "single_name" else {}),
    )


def _hint(state: type[FormState], name: str, kind: Kind) -> Any:
    if kind is Kind.PHONE:
        return forms.read_back(state.phones[name], example=f"For example {phones.example(get_settings().region)}")
    return _born(state) if name == "date_of_birth" else _HINTS.get(name)


def _born(state: type[FormState]) -> rx.Component:
    """An example, until something was understood: that is shown, to be read back to the patient."""
    understood = apart(rx.el.b(state.born_date), when(state.born_age, rx.fragment(", ", state.born_age)))
    return rx.el.span(when(state.born_date, understood, BORN_EXAMPLE), role="status")


ELSEWHERE = "Being typed in another window"


def offers_note(
    state: type[FormState],
    go_on: Callable[[rx.Var[str]], Event],
    put_aside: Event,
    *,
    what: str,
    aside: str,
) -> rx.Component:
    """Half-filled forms, each offered by name: ``what`` (``Unfinished registration of``), and the button ``aside``."""

    def one(offer: Offer) -> rx.Component:
        words = rx.el.p(
            what,
            " ",
            rx.el.bdi(offer.name, class_name="strong break"),
            ", ",
            apart(offer.when, class_name="num"),
            when(
                offer.open,
                rx.el.span(badge(ELSEWHERE, "warn", "app-window"), class_name="elsewhere"),
            ),
            class_name="note-words",
        )
        button = rx.button(
            "Continue",
            type="button",
            variant="outline",
            size="2",
            on_click=go_on(offer.instance),
            aria_label=rx.Var.create("Continue: ") + offer.name + ", " + offer.when,
        )
        return rx.el.li(words, button, key=offer.instance, custom_attrs={"data-offer": offer.instance})

    offered = note(
        "info",
        rx.el.ul(each(state.offers, one), class_name="offers"),
        rx.el.div(
            rx.button(aside, type="button", variant="outline", size="2", on_click=put_aside),
            rx.el.span("Unfinished forms are kept for 24 hours.", class_name="small"),
            class_name="actions",
        ),
        name="file-pen-line",
        role="region",
        aria_label="Unfinished forms",
        id="unfinished",
    )
    return when(state.offers.length() > 0, offered)
