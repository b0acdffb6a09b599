"""Patient registration: the form, and after it who was registered."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.services.patients.forms import Section
from clinic_app.ui.frame.presses import told_note
from clinic_app.ui.kit import forms
from clinic_app.ui.kit.address import when_entered
from clinic_app.ui.kit.base import apart, card, icon, link, link_button, page_head, row, stack, when
from clinic_app.ui.kit.data import avatar
from clinic_app.ui.kit.feedback import disc, failure_note, note
from clinic_app.ui.patient_form import labelled_input, offers_note, section_inputs, slip_asked
from clinic_app.ui.portal_dialog.view import GENERATED, PHONE_HINT, USERNAME_HINT
from clinic_app.ui.registration.state import DRAFT
from clinic_app.ui.registration.state import RegistrationState as State
from clinic_app.ui.session.form_state import DONE, WORKING

_BUSY = State.step == WORKING


def registration_body() -> rx.Component:
    """The form; after it, who was registered."""
    before = when_entered(rx.cond(State.step == DONE, State.visit, ""))  # somebody of the visit before
    return rx.cond((State.step == DONE) & (State.visit != before), _registered(), _form())


def _section(title: str, *inputs: rx.Component) -> rx.Component:
    named = rx.el.legend(title, class_name="sr")
    return rx.el.div(rx.el.h2(title), rx.el.fieldset(named, *inputs, disabled=_BUSY), class_name="section")


def _form() -> rx.Component:
    """Three sections, one action. A new ``form_number`` starts it anew; else what was typed is kept."""
    form = forms.press_form(
        "registration",
        told_note(),
        forms.error_summary(State.problems),
        offers_note(State, State.go_on, State.start_empty, what="Unfinished registration of", aside="Start empty"),
        when(State.failure, failure_note(State.failure, State.failure_detail, State.attempt)),
        rx.el.div(
            _section("Patient details", section_inputs(State, State.check, State.answer_slip, Section.DETAILS)),
            _section("Contact", section_inputs(State, State.check, State.answer_slip, Section.CONTACT)),
            _section("Portal", _portal()),
            rx.el.div(
                forms.submit_button("Register patient", "Registering...", _BUSY, name="user-plus"),
                link_button(
                    "Cancel", href=routes.PATIENTS, size="3", variant="outline", on_click=State.cancel(forms.instance())
                ),
                class_name="actions section-foot fill",
            ),
            class_name="card",
        ),
        class_name="stack g4",
        no_validate=True,
        aria_busy=when(_BUSY, "true", "false"),
        custom_attrs={
            "data-draft": DRAFT,
            "data-continues": State.continues,
            "data-number": State.form_number,
            "data-begins": "first_name",
        },
        key=State.form_number,
        on_submit=State.submit,
    )
    return rx.fragment(
        page_head("Patient registration", lead="Everything except the names can be added later."),
        rx.el.div(
            form,
            when((State.step != DONE) & (State.relative.patient_id != ""), _household()),
            class_name="cols form-aside",
        ),
    )


def _household() -> rx.Component:
    """Beside the form: whose household it is, and what was taken over from that record."""
    relative = State.relative
    person = row(
        avatar(relative.initials),
        rx.el.span(
            link(apart(relative.name), href=relative.href, class_name="break"),
            rx.el.span(
                apart(relative.patient_id),
                when(relative.born, rx.fragment(", born ", apart(relative.born))),
                class_name="muted small num",
            ),
            class_name="stack grow",
        ),
    )
    chip = lambda label: rx.el.li(icon("check", 14), apart(label), class_name="chip")  # noqa: E731
    taken = rx.fragment(
        rx.el.p("Taken over into the form, where you can change it:"),
        rx.el.ul(rx.foreach(State.shared, chip), class_name="chips"),
    )
    nothing = rx.el.p("The record has no phone, address or next of kin to take over.")
    said = rx.el.p("Same household as ", rx.el.b(apart(relative.name), class_name="strong break"), ".")
    return rx.el.div(
        card(
            stack(said, person, when(State.shared.length() > 0, taken, nothing)),
            title="Same household",
            ident="household",
        )
    )


def _portal() -> rx.Component:
    """The box, and what it reveals."""
    email = labelled_input(
        State,
        State.check,
        "Portal email",
        "portal_email",
        hint=USERNAME_HINT,
        type="email",
        max_length=254,
        after=slip_asked(State, State.answer_slip, "portal_email"),
        custom_attrs={"data-follows": "email"},
    )
    phone = labelled_input(
        State,
        State.check,
        "Portal phone (optional)",
        "portal_phone",
        hint=forms.read_back(State.phones["portal_phone"], hint=PHONE_HINT),
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
        rx.el.div(rx.el.h1(apart(State.message)), class_name="grow"),
        tab_index=-1,
        custom_attrs={"data-takes-focus": "1", "data-quiet": ""},
    )
    person = row(
        avatar(State.patient.initials),
        rx.el.span(
            apart(State.patient.name, class_name="strong break"),
            apart(State.patient.patient_id, class_name="muted small num"),
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
        custom_attrs={"data-shortcut": "n"},
    )
    onward = rx.el.div(
        another, link_button("Open patient profile", href=State.patient.href, size="3"), class_name="actions fill"
    )
    said = when(State.said, note("info", rx.el.p(apart(State.said)), role="status"))
    return rx.el.div(
        stack(head, said, person, onward, gap=5),
        class_name="sheet narrow",
        custom_attrs={"data-form-done": ""},  # whoever opens the page anew begins with a form (idle.js)
    )
