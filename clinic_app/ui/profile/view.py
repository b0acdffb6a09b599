"""What Patient registration and Patient profile show inside the staff shell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.kit import forms
from clinic_app.ui.kit.base import at, card, given, icon, link, link_button, page_head, row, stack, when
from clinic_app.ui.kit.data import avatar, facts_list, patient_banner, timeline
from clinic_app.ui.kit.feedback import disc, note
from clinic_app.ui.portal_dialog.view import GENERATED, PHONE_HINT, USERNAME_HINT, failure_note

GENDERS = (("UNKNOWN", "Unknown"), ("FEMALE", "Female"), ("MALE", "Male"), ("OTHER", "Other"))
BORN_EXAMPLE = "Day, month, year. For example 31 3 1980"


def _section(title: str, *fields: Any) -> rx.Component:
    return rx.el.div(rx.el.h2(title), *fields, class_name="section")


class _Inputs:
    """Builds the inputs of one form: each with what it begins with, its sentence, and a check on leaving it."""

    def __init__(self, values: Any, errors: Any, on_blur: Mapping[str, Any]) -> None:
        self.values, self.errors, self.on_blur = values, errors, on_blur

    def field(self, label: str, name: str, **props: Any) -> rx.Component:
        """One labelled input."""
        return forms.field(
            label,
            name,
            error=at(self.errors, name),
            default_value=at(self.values, name),
            auto_complete="off",
            **given(on_blur=self.on_blur.get(name)),
            **props,
        )


def details_fields(inputs: _Inputs, *, born_date: Any = "", born_age: Any = "") -> rx.Component:
    """Who somebody is. The hint of the birth date becomes the echo: what was understood, to be read back."""
    echo = rx.el.span(when(born_date, rx.fragment(rx.el.b(born_date), ", ", born_age), BORN_EXAMPLE), role="status")
    return rx.el.div(
        inputs.field("First name", "first_name", max_length=200),
        inputs.field("Last name", "last_name", max_length=200),
        inputs.field("Date of birth", "date_of_birth", hint=echo, required=False, max_length=40),
        forms.select_field(
            "Gender",
            "gender",
            GENDERS,
            hint="As the patient says it",
            error=at(inputs.errors, "gender"),
            default_value=at(inputs.values, "gender"),
        ),
        inputs.field("National ID", "national_id", required=False, max_length=64),
        class_name="pair",
    )


def contact_fields(inputs: _Inputs) -> rx.Component:
    """How to reach somebody, and their next of kin."""
    return rx.el.div(
        inputs.field("Phone", "phone", required=False, type="tel", max_length=40),
        inputs.field("Email", "email", required=False, type="email", max_length=254),
        inputs.field("Address", "address", required=False, full=True, lines=3, max_length=500),
        inputs.field("Next of kin", "next_of_kin_name", required=False, max_length=200),
        inputs.field("Next of kin phone", "next_of_kin_phone", required=False, type="tel", max_length=40),
        class_name="pair",
    )


def edit_form(
    section: str,
    *,
    values: Any,
    errors: Any,
    problems: Any,
    stale: Any = (),
    stale_note: Any = "",
    failure: Any = "",
    attempt: Any = "1",
    born_date: Any = "",
    born_age: Any = "",
    busy: Any = False,
    on_submit: Any = None,
    on_cancel: Any = None,
    on_blur: Mapping[str, Any] | None = None,
    key: Any = None,
    draft: Any = "",
    restored: Any = False,
    on_clear: Any = None,
) -> rx.Component:
    """One section of a record as a form, where its facts stood. ``section`` is ``details`` or ``contact``.

    ``stale`` holds ``Fact``: what somebody else changed meanwhile; what was typed stays in the inputs.
    """
    inputs = _Inputs(values, errors, on_blur or {})
    details = section == "details"
    fields = details_fields(inputs, born_date=born_date, born_age=born_age) if details else contact_fields(inputs)
    meanwhile = note(
        "warn",
        rx.el.p(stale_note, class_name="strong"),
        facts_list(stale),
        rx.el.p("Save again to keep your changes; everything else stays as it is now."),
        role="alert",
        tab_index=-1,
        custom_attrs={"data-takes-focus": attempt},
    )
    return rx.el.form(
        forms.error_summary(problems),
        _restored(restored, on_clear),
        when(stale_note, meanwhile),
        when(failure, note("bad", rx.el.p(failure), role="alert")),
        fields,
        rx.el.div(
            forms.submit_button("Save changes", "Saving...", busy),
            rx.button("Cancel", type="button", variant="outline", size="3", disabled=busy, **given(on_click=on_cancel)),
            class_name="actions fill",
        ),
        class_name="stack g4",
        no_validate=True,
        aria_busy=when(busy, "true", "false"),
        custom_attrs={"data-draft": draft},
        **given(key=key, on_submit=on_submit),
    )


def _restored(restored: Any, on_clear: Any) -> Any:
    """Says that what was typed is back, and offers to begin anew."""
    clear = rx.button("Clear", type="button", variant="outline", size="2", **given(on_click=on_clear))
    words = row(rx.el.p("Your unfinished form was restored."), clear, cls="between wrap")
    return when(restored, note("info", words, role="status"))


def registration_body(
    *,
    values: Any,
    errors: Any,
    problems: Any,
    attempt: Any = "1",
    born_date: Any = "",
    born_age: Any = "",
    with_portal: Any = False,
    busy: Any = False,
    failure: Any = "",
    failure_detail: Any = "",
    on_submit: Any = None,
    on_blur: Mapping[str, Any] | None = None,
    aside: rx.Component | None = None,
    key: Any = None,
    restored: Any = False,
    on_clear: Any = None,
    on_cancel: Any = None,
) -> rx.Component:
    """The form: three sections, one action.

    ``values`` and ``errors`` are dicts (or Vars of such) by field name; the names are those of SPEC
    4, and ``create_portal_account``, ``portal_email``, ``portal_phone``. ``problems`` is the same as
    a list of ``Problem``. ``born_date`` and ``born_age`` (``14 Mar 1988``, ``38 years old``) are what
    was understood of the date of birth: they take the place of the hint. ``on_blur`` has handlers by
    field name. ``key`` changes when the form shall start anew; else what was typed is kept.
    """
    inputs = _Inputs(values, errors, on_blur or {})
    details = rx.el.fieldset(
        rx.el.legend("Patient details", class_name="sr"),
        details_fields(inputs, born_date=born_date, born_age=born_age),
        disabled=busy,
    )
    contact = rx.el.fieldset(rx.el.legend("Contact", class_name="sr"), contact_fields(inputs), disabled=busy)
    portal = forms.check_field(
        "Create Patient Portal Login",
        "create_portal_account",
        GENERATED,
        default_checked=with_portal,
        revealed=rx.el.div(
            inputs.field("Portal email", "portal_email", hint=USERNAME_HINT, type="email", max_length=254),
            inputs.field(
                "Portal phone (optional)",
                "portal_phone",
                hint=PHONE_HINT,
                required=False,
                marked=False,
                type="tel",
                max_length=40,
            ),
            class_name="pair",
        ),
    )
    form = rx.el.form(
        forms.error_summary(problems),
        _restored(restored, on_clear),
        when(failure, failure_note(failure, failure_detail, attempt)),
        rx.el.div(
            _section("Patient details", details),
            _section("Contact", contact),
            _section("Portal", rx.el.fieldset(portal, disabled=busy)),
            rx.el.div(
                forms.submit_button("Register patient", "Registering...", busy, name="user-plus"),
                link_button("Cancel", href=routes.PATIENTS, size="3", variant="outline", **given(on_click=on_cancel)),
                class_name="actions section-foot fill",
            ),
            class_name="card",
        ),
        class_name="stack g4",
        no_validate=True,
        aria_busy=when(busy, "true", "false"),
        custom_attrs={"data-draft": "registration"},
        **given(key=key, on_submit=on_submit),
    )
    beside = [rx.el.div(aside)] if aside is not None else []
    return rx.fragment(
        page_head("Patient registration", lead="Everything but the names can be added later."),
        rx.el.div(form, *beside, class_name="cols form-aside"),
    )


def registered_body(*, patient: Any, message: Any, on_another: Any = None) -> rx.Component:
    """After a registration: what happened, who it is, and what comes next. Credentials are the dialog's.

    ``patient`` is a ``PatientRow``.
    """
    head = row(
        disc("good", "check"),
        rx.el.div(rx.el.h1(message), class_name="grow"),
        tab_index=-1,
        custom_attrs={"data-takes-focus": "1", "data-quiet": ""},
    )
    person = row(
        avatar(patient.initials),
        rx.el.span(
            rx.el.span(patient.name, class_name="strong break"),
            rx.el.span(patient.patient_id, class_name="muted small num"),
            class_name="stack grow",
        ),
        cls="who-is-it",
    )
    onward = rx.el.div(
        link_button("Open patient profile", href=patient.href, size="3"),
        rx.button(
            icon("user-plus"),
            "Register another patient",
            type="button",
            variant="outline",
            size="3",
            **given(on_click=on_another),
        ),
        class_name="actions fill",
    )
    return rx.el.div(stack(head, person, onward, gap=5), class_name="sheet narrow")


def _edit(spoken: str, on_click: Any) -> rx.Component | None:
    if on_click is None:
        return None
    return rx.button(
        icon("pencil"),
        "Edit",
        rx.el.span(spoken, class_name="sr"),
        variant="outline",
        size="2",
        type="button",
        on_click=on_click,
    )


def profile_body(
    *,
    person: Any,
    details: Any,
    contact: Any,
    access: rx.Component,
    activity: Any,
    notice: Any = "",
    editing: Any = "",
    details_form: rx.Component | None = None,
    contact_form: rx.Component | None = None,
    may_edit: Any = True,
    on_edit_details: Any = None,
    on_edit_contact: Any = None,
) -> rx.Component:
    """Banner, then facts at the left, access and history at the right.

    ``person`` is a ``Person``; ``details`` and ``contact`` hold ``Fact``; ``access`` is ``access_panel(…)``;
    ``activity`` holds ``Happening``. ``editing`` names the section whose form stands in place of its facts.
    """

    def section(
        name: str, title: str, facts: Any, form: rx.Component | None, head: rx.Component | None
    ) -> rx.Component:
        here = editing == name
        shown = facts_list(facts)
        button = when(may_edit, when(here, rx.fragment(), head)) if head is not None else None
        body = when(here, form, shown) if form is not None else shown
        return card(rx.el.div(body), title=title, head=button, ident=name)

    left = stack(
        section("details", "Patient Details", details, details_form, _edit(" patient details", on_edit_details)),
        section(
            "contact", "Contact Information", contact, contact_form, _edit(" contact information", on_edit_contact)
        ),
        gap=5,
    )
    right = stack(
        card(access, title="Portal Access", ident="access"),
        card(timeline(activity), title="Activity", ident="activity"),
        gap=5,
    )
    return rx.fragment(
        link(icon("arrow-left", 14), "Patients", href=routes.PATIENTS, class_name="crumb"),
        stack(
            when(notice, note("good", rx.el.p(notice), role="status")),
            patient_banner(person),
            rx.el.div(left, right, class_name="cols halves"),
            gap=5,
        ),
    )
