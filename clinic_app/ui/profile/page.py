"""``/patients/[patient_id]``: Patient profile."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.desk import add_desk_page
from clinic_app.ui.frame.page import staff_page
from clinic_app.ui.frame.state import ShellState
from clinic_app.ui.kit import feedback
from clinic_app.ui.kit.base import link_button, stack
from clinic_app.ui.portal_dialog import view as portal
from clinic_app.ui.portal_dialog.page import portal_button, portal_dialog
from clinic_app.ui.profile.state import SECTIONS, ProfileState
from clinic_app.ui.profile.view import edit_form, profile_body


def _form(section: str) -> rx.Component:
    here = ProfileState
    return edit_form(
        section,
        values=here.values,
        errors=here.errors,
        problems=here.problems,
        stale=here.stale,
        stale_note=here.stale_note,
        failure=here.failure,
        attempt=here.attempt,
        born_date=here.born_date,
        born_age=here.born_age,
        busy=here.busy,
        on_submit=here.save,
        on_cancel=here.cancel,
        on_blur={name: here.check(name) for name in SECTIONS[section] if name != "gender"},
        key=here.form_number,
        draft=f"profile-{here.person.patient_id}-{section}",
        restored=here.restored,
        on_clear=here.clear,
    )


def _access() -> rx.Component:
    here = ProfileState
    return stack(
        rx.cond(
            (here.editing == "") & (here.failure != ""),
            feedback.note("bad", rx.el.p(here.failure), role="alert"),
            rx.fragment(),
        ),
        portal.access_panel(
            here.access,
            create=portal_button(here.row),
            may_change=ShellState.who.may_register,
            on_reset=here.reset_password,
            on_turn_off=here.ask_turn_off(True),
            on_turn_on=here.turn_on,
            busy=here.busy,
        ),
    )


def _turn_off_dialog() -> rx.Component:
    here = ProfileState
    return portal.question_dialog(
        title="Turn off portal access",
        question=rx.fragment(
            here.person.name, " will be signed out and cannot sign in any more. The account and its history are kept."
        ),
        yes="Turn off portal access",
        open=here.asking_off,
        on_open_change=here.ask_turn_off,
        on_yes=here.turn_off,
        on_no=here.ask_turn_off(False),
    )


def profile() -> rx.Component:
    """Banner, facts, access, activity; edited in place."""
    here = ProfileState
    body = profile_body(
        person=here.person,
        details=here.details,
        contact=here.contact,
        access=_access(),
        activity=here.activity,
        notice=here.notice,
        editing=here.editing,
        details_form=_form("details"),
        contact_form=_form("contact"),
        may_edit=ShellState.who.may_register,
        on_edit_details=here.edit("details"),
        on_edit_contact=here.edit("contact"),
    )
    missing = feedback.empty(
        "search-x",
        "No patient has this number",
        "The address may have a typing error. Search by name, phone or ID number instead.",
        link_button("Find a patient", href=routes.PATIENTS, name="search"),
        heading=rx.el.h1,
    )
    waiting = rx.el.div(rx.el.h1("Patient profile", class_name="sr"), rx.el.p("Loading the record", role="status"))
    shown = rx.match(here.mode, ("shown", body), ("missing", missing), waiting)
    return staff_page(shown, portal_dialog(), _turn_off_dialog(), current="Patients")


def add(app: rx.App) -> None:
    """Register the page."""
    add_desk_page(app, profile, ProfileState.load, ProfileState.watch, route=routes.PROFILE, name="Patient profile")
