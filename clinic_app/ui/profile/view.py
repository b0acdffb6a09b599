"""Patient profile: who it is, facts that turn into forms where they stand, access and activity."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.services.patients.forms import Section
from clinic_app.ui.frame.state import ShellState
from clinic_app.ui.kit import feedback, forms
from clinic_app.ui.kit.base import apart, card, each, icon, link, link_button, pick, stack, when
from clinic_app.ui.kit.data import facts_list, patient_banner, timeline
from clinic_app.ui.kit.feedback import bone, note, success_note
from clinic_app.ui.kit.forms import press_button
from clinic_app.ui.patient_form import offers_note, section_inputs
from clinic_app.ui.portal_dialog.page import portal_button, username_button
from clinic_app.ui.profile.access import access_panel, is_addressed, page_of_record
from clinic_app.ui.profile.messages import portal_parts
from clinic_app.ui.profile.state import ProfileState as State
from clinic_app.ui.session.form_state import WORKING
from clinic_app.ui.view_models import Fact, MergedRecord


def profile_body() -> rx.Component:
    """The record, a skeleton of words before it, or that there is none."""
    missing = feedback.empty(
        "search-x",
        "No patient has this number",
        "The address may be mistyped. Search by name, phone or ID number instead.",
        link_button("Find a patient", href=routes.PATIENTS, name="search"),
        heading=rx.el.h1,
    )
    mode = rx.cond(is_addressed(), State.mode, "loading")  # another patient's record is none here
    return rx.fragment(pick(mode, {"shown": _record(), "missing": missing}, _waiting()))


def _waiting() -> rx.Component:
    """The shape of a record whose patient is not known yet."""
    line = rx.el.div(bone("96px"), bone("180px"), class_name="row g4")
    banner = rx.el.div(bone("", "round"), stack(bone("220px"), bone("320px")), class_name="card banner")
    cards = [rx.el.div(stack(bone("140px"), *[line] * lines), class_name="card card-body") for lines in (6, 4)]
    shape = stack(banner, rx.el.div(*cards, class_name="cols halves"), gap=5, cls="late", aria_hidden="true")
    return rx.el.div(
        rx.el.h1("Patient profile", class_name="sr"),
        rx.el.p("Loading the record", role="status", class_name="sr"),
        shape,
        aria_busy="true",
    )


def _record() -> rx.Component:
    """Banner, then facts at the left, access and history at the right."""
    left = stack(
        _section(Section.DETAILS, "Patient Details", State.details),
        _section(Section.CONTACT, "Contact Information", State.contact),
        gap=5,
    )
    right = stack(
        card(_access(), when(ShellState.who.may_register, portal_parts()), title="Portal Access", ident="access"),
        card(timeline(State.activity), title="Activity", head=_all_activity(), ident="activity"),
        gap=5,
    )
    return rx.fragment(
        link(icon("arrow-left", 14), "Patients", href=routes.PATIENTS, class_name="crumb"),
        stack(
            success_note(State.notice),
            each(State.merged, _merged),
            patient_banner(State.person, *_banner_actions()),
            rx.el.div(left, right, class_name="cols halves"),
            gap=5,
            custom_attrs={"data-under": page_of_record()},
        ),
    )


def _merged(one: MergedRecord) -> rx.Component:
    """A record that was merged into this one, and the way back."""
    words = rx.el.div(
        rx.el.p(apart(one.patient_id, class_name="num"), " was merged into this record.", class_name="strong"),
        rx.el.p("Its number opens this page now. ", apart(one.line)),
        class_name="note-words",
    )
    undo = press_button(
        icon("undo-2"),
        "Undo merge",
        variant="outline",
        size="2",
        type="button",
        called="undo-merge-" + one.patient_id,
        on_press=lambda press: State.undo_merge(State.person.patient_id, one.patient_id, press),
    )
    return note(
        "good",
        rx.el.div(words, when(ShellState.who.may_register & one.undo, rx.el.div(undo)), class_name="note-line"),
        key="merged-" + one.patient_id,
    )


def _banner_actions() -> tuple[rx.Component, ...]:
    """What one does with the record as a whole."""
    relative = rx.button(
        icon("user-plus"),
        "Register a relative",
        variant="outline",
        size="2",
        type="button",
        on_click=State.register_relative(State.person.patient_id),
    )
    printed = link_button(
        "Print patient card", href=State.person.card_href, name="printer", variant="outline", leaves=True
    )
    attrs = {"formAction": routes.PATIENT_EXPORT, "formMethod": "post"}
    whole = rx.el.form(
        rx.el.input(type="hidden", name="patient_id", value=State.person.patient_id),
        rx.button(
            icon("download"), "Download record (JSON)", type="submit", variant="outline", size="2", custom_attrs=attrs
        ),
        aria_label="Download record",
        on_submit=None,
    )
    return when(ShellState.who.may_register, relative), printed, when(ShellState.who.is_admin, whole)


def _all_activity() -> rx.Component:
    """*Show all*, where there is more."""
    button = rx.el.button(
        "Show all",
        rx.el.span(" activity", class_name="sr"),
        type="button",
        class_name="in-btn bare",
        on_click=State.show_all_activity(State.person.patient_id),
    )
    return when(State.activity_more, button)


def _access() -> rx.Component:
    failed = note("bad", rx.el.p(apart(State.failure_detail)), role="alert")
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
        custom_attrs={"data-reopens": "edit-" + State.person.patient_id + f"-{section.value}"},
        on_click=State.edit(State.person.patient_id, section.value),
    )
    head = when(ShellState.who.may_register, when(here, rx.fragment(), edit))
    return card(rx.el.div(when(here, _form(section), facts_list(facts))), title=title, head=head, ident=section.value)


def _username_stays() -> rx.Component:
    """Below the email in the form: the username is something else, and is changed elsewhere."""
    access = State.access
    username = rx.el.b(apart(access.username), class_name="break")
    words = rx.el.p("The portal username stays ", username, ".", class_name="muted small")
    line = stack(words, rx.el.div(username_button(State.person.patient_id)), gap=1)
    return pick(access.portal, {"none": rx.fragment(), "off": rx.fragment()}, line)


def _form(section: Section) -> rx.Component:
    """What somebody else changed meanwhile is shown above; what was typed stays in the inputs."""
    busy = State.step == WORKING
    meanwhile = note(
        "warn",
        rx.el.p(apart(State.stale_note), class_name="strong"),
        facts_list(State.stale),
        rx.el.p("Save again to keep your changes; everything else stays as it is now."),
        role="alert",
        tab_index=-1,
        custom_attrs={"data-takes-focus": State.attempt},
    )
    return forms.press_form(
        "edit-" + State.person.patient_id + f"-{section.value}",
        forms.error_summary(State.problems),
        offers_note(
            State,
            lambda instance: State.go_on(State.person.patient_id, section.value, instance),
            State.put_aside(State.person.patient_id),
            what="Unfinished changes to",
            aside="Not now",
        ),
        when(State.stale_note, meanwhile),
        when(State.failure, note("bad", rx.el.p(apart(State.failure_detail)), role="alert")),
        section_inputs(State, State.check, State.answer_slip, section, under_email=_username_stays()),
        rx.el.div(
            forms.submit_button("Save changes", "Saving...", busy),
            forms.cancel_button(on_click=State.cancel(State.person.patient_id, forms.instance()), disabled=busy),
            class_name="actions fill",
        ),
        class_name="stack g4",
        no_validate=True,
        aria_busy=when(busy, "true", "false"),
        custom_attrs={
            "data-draft": f"profile-{State.person.patient_id}-{section.value}",
            "data-continues": State.continues,
            "data-number": State.form_number,
        },
        key=State.form_number,
        on_submit=State.save(State.person.patient_id, section.value, State.version),
    )
