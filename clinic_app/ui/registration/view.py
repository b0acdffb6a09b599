"""Patient registration: the form, and after it who was registered."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.services.patients.forms import Section
from clinic_app.ui.kit import forms
from clinic_app.ui.kit.base import icon, link_button, page_head, row, stack, when
from clinic_app.ui.kit.data import avatar
from clinic_app.ui.kit.feedback import disc, failure_note
from clinic_app.ui.patient_form import labelled_input, restored_note, section_inputs
from clinic_app.ui.portal_dialog.view import GENERATED, PHONE_HINT, USERNAME_HINT
from clinic_app.ui.registration.state import DRAFT
from clinic_app.ui.registration.state import RegistrationState as State
from clinic_app.ui.session.form_state import DONE, WORKING

_BUSY = State.step == WORKING


def registration_body() -> rx.Component:
    """The form; after it, who was registered."""
    return rx.cond(State.step == DONE, _registered(), _form())


def _section(title: str, *inputs: rx.Component, legend: bool = True) -> rx.Component:
    named = [rx.el.legend(title, class_name="sr")] if legend else []
    return rx.el.div(rx.el.h2(title), rx.el.fieldset(*named, *inputs, disabled=_BUSY), class_name="section")


def _form() -> rx.Component:
    """Three sections, one action. A new ``form_number`` starts it anew; else what was typed is kept."""
    form = rx.el.form(
        forms.error_summary(State.problems),
        restored_note(State, State.clear),
        when(State.failure, failure_note(State.failure, State.failure_detail, State.attempt)),
        rx.el.div(
            _section("Patient details", section_inputs(State, State.check, Section.DETAILS)),
            _section("Contact", section_inputs(State, State.check, Section.CONTACT)),
            _section("Portal", _portal(), legend=False),
            rx.el.div(
                forms.submit_button("Register patient", "Registering...", _BUSY, name="user-plus"),
                link_button("Cancel", href=routes.PATIENTS, size="3", variant="outline", on_click=State.cancel),
                class_name="actions section-foot fill",
            ),
            class_name="card",
        ),
        class_name="stack g4",
        no_validate=True,
        aria_busy=when(_BUSY, "true", "false"),
        custom_attrs={"data-draft": DRAFT},
        key=State.form_number,
        on_submit=State.submit,
    )
    return rx.fragment(
        page_head("Patient registration", lead="Everything except the names can be added later."),
        rx.el.div(form, class_name="cols form-aside"),
    )


def _portal() -> rx.Component:
    """The box, and what it reveals."""
    email = labelled_input(
        State, State.check, "Portal email", "portal_email", hint=USERNAME_HINT, type="email", max_length=254
    )
    phone = labelled_input(
        State,
        State.check,
        "Portal phone (optional)",
        "portal_phone",
        hint=PHONE_HINT,
        required=False,
        marked=False,
        type="tel",
        max_length=40,
    )
    return forms.check_field(
        "Create Patient Portal Login",
        "create_portal_account",
        GENERATED,
        default_checked=State.values["create_portal_account"] == "on",
        revealed=rx.el.div(email, phone, class_name="pair"),
    )


def _registered() -> rx.Component:
    """What happened, who it is, and what comes next. Credentials are the dialog's."""
    head = row(
        disc("good", "check"),
        rx.el.div(rx.el.h1(State.message), class_name="grow"),
        tab_index=-1,
        custom_attrs={"data-takes-focus": "1", "data-quiet": ""},
    )
    person = row(
        avatar(State.patient.initials),
        rx.el.span(
            rx.el.span(State.patient.name, class_name="strong break"),
            rx.el.span(State.patient.patient_id, class_name="muted small num"),
            class_name="stack grow",
        ),
        cls="who-is-it",
    )
    another = rx.button(
        icon("user-plus"),
        "Register another patient",
        type="button",
        variant="outline",
        size="3",
        on_click=State.another,
    )
    onward = rx.el.div(
        link_button("Open patient profile", href=State.patient.href, size="3"), another, class_name="actions fill"
    )
    return rx.el.div(stack(head, person, onward, gap=5), class_name="sheet narrow")
