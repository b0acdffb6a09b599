"""Patient profile: who it is, facts that turn into forms where they stand, access and activity."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.services.patients.forms import Section
from clinic_app.ui.frame.state import ShellState
from clinic_app.ui.kit import feedback, forms
from clinic_app.ui.kit.base import card, icon, link, link_button, stack, when
from clinic_app.ui.kit.data import facts_list, patient_banner, timeline
from clinic_app.ui.kit.feedback import note
from clinic_app.ui.patient_form import restored_note, section_inputs
from clinic_app.ui.portal_dialog.page import portal_button
from clinic_app.ui.profile.access import access_panel
from clinic_app.ui.profile.state import ProfileState as State
from clinic_app.ui.session.form_state import WORKING
from clinic_app.ui.view_models import Fact


def profile_body() -> rx.Component:
    """The record, a skeleton of words before it, or that there is none."""
    missing = feedback.empty(
        "search-x",
        "No patient has this number",
        "The address may be mistyped. Search by name, phone or ID number instead.",
        link_button("Find a patient", href=routes.PATIENTS, name="search"),
        heading=rx.el.h1,
    )
    waiting = rx.el.div(rx.el.h1("Patient profile", class_name="sr"), rx.el.p("Loading the record", role="status"))
    return rx.fragment(rx.match(State.mode, ("shown", _record()), ("missing", missing), waiting))


def _record() -> rx.Component:
    """Banner, then facts at the left, access and history at the right."""
    left = stack(
        _section(Section.DETAILS, "Patient Details", State.details),
        _section(Section.CONTACT, "Contact Information", State.contact),
        gap=5,
    )
    right = stack(
        card(_access(), title="Portal Access", ident="access"),
        card(timeline(State.activity), title="Activity", ident="activity"),
        gap=5,
    )
    return rx.fragment(
        link(icon("arrow-left", 14), "Patients", href=routes.PATIENTS, class_name="crumb"),
        stack(
            when(State.notice, note("good", rx.el.p(State.notice), role="status")),
            patient_banner(State.person),
            rx.el.div(left, right, class_name="cols halves"),
            gap=5,
        ),
    )


def _access() -> rx.Component:
    failed = note("bad", rx.el.p(State.failure_detail), role="alert")
    return stack(
        when((State.editing == "") & (State.failure != ""), failed),
        access_panel(State.access, create=portal_button(State.row), may_change=ShellState.who.may_register),
    )


def _section(section: Section, title: str, facts: rx.Var[list[Fact]]) -> rx.Component:
    """One section: its facts, or its form in their place."""
    here = State.editing == section.value
    edit = rx.button(
        icon("pencil"),
        "Edit",
        rx.el.span(f" {title.lower()}", class_name="sr"),
        variant="outline",
        size="2",
        type="button",
        on_click=State.edit(section.value),
    )
    head = when(ShellState.who.may_register, when(here, rx.fragment(), edit))
    return card(rx.el.div(when(here, _form(section), facts_list(facts))), title=title, head=head, ident=section.value)


def _form(section: Section) -> rx.Component:
    """What somebody else changed meanwhile is shown above; what was typed stays in the inputs."""
    busy = State.step == WORKING
    meanwhile = note(
        "warn",
        rx.el.p(State.stale_note, class_name="strong"),
        facts_list(State.stale),
        rx.el.p("Save again to keep your changes; everything else stays as it is now."),
        role="alert",
        tab_index=-1,
        custom_attrs={"data-takes-focus": State.attempt},
    )
    return rx.el.form(
        forms.error_summary(State.problems),
        restored_note(State, State.clear),
        when(State.stale_note, meanwhile),
        when(State.failure, note("bad", rx.el.p(State.failure_detail), role="alert")),
        section_inputs(State, State.check, section),
        rx.el.div(
            forms.submit_button("Save changes", "Saving...", busy),
            rx.button("Cancel", type="button", variant="outline", size="3", disabled=busy, on_click=State.cancel),
            class_name="actions fill",
        ),
        class_name="stack g4",
        no_validate=True,
        aria_busy=when(busy, "true", "false"),
        custom_attrs={"data-draft": f"profile-{State.person.patient_id}-{section.value}"},
        key=State.form_number,
        on_submit=State.save,
    )
