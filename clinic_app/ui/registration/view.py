"""Patient registration: the form, and after it who was registered."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.services.patients.forms import Section
from clinic_app.ui.frame.presses import told_note
from clinic_app.ui.kit import forms
from clinic_app.ui.kit.address import when_entered
from clinic_app.ui.kit.base import apart, card, each, icon, link, link_button, page_head, row, stack, when
from clinic_app.ui.kit.data import avatar
from clinic_app.ui.kit.feedback import badge, disc, failure_note, note
from clinic_app.ui.patient_form import labelled_input, offers_note, section_inputs, slip_asked
from clinic_app.ui.portal_dialog.view import GENERATED, PHONE_HINT, USERNAME_HINT
from clinic_app.ui.registration.state import DESPITE, DRAFT, PANEL
from clinic_app.ui.registration.state import RegistrationState as State
from clinic_app.ui.session.form_state import DONE, WORKING
from clinic_app.ui.view_models import Chip, MatchRow

_BUSY = State.step == WORKING
#: The id of the form, by which the button beside it sends it.
FORM = "registration"


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
        rx.el.input(type="hidden", name=DESPITE, default_value=""),
        told_note(),
        forms.error_summary(State.problems),
        offers_note(State, State.go_on, State.start_empty, what="Unfinished registration of", aside="Start empty"),
        when(State.failure, failure_note(State.failure, State.failure_detail, State.attempt)),
        rx.el.div(
            _section("Patient details", _inputs(Section.DETAILS)),
            _section("Contact", _inputs(Section.CONTACT)),
            _section("Portal", _portal()),
            rx.el.div(
                forms.submit_button(
                    "Register patient",
                    "Registering...",
                    _BUSY,
                    name="user-plus",
                    variant=when(State.held, "outline", "solid"),
                ),
                link_button(
                    "Cancel", href=routes.PATIENTS, size="3", variant="outline", on_click=State.cancel(forms.instance())
                ),
                class_name="actions section-foot fill",
            ),
            class_name="card",
        ),
        class_name="stack g4",
        id=FORM,
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
            rx.el.div(
                when((State.step != DONE) & (State.relative.patient_id != ""), _household()),
                _duplicates(),
                class_name="stack g4",
            ),
            class_name="cols form-aside",
        ),
    )


def _inputs(section: Section) -> rx.Component:
    return section_inputs(State, State.check, State.answer_slip, section, typing=State.typing)


def _duplicates() -> rx.Component:
    """Beside the form: who may be registered already. Where that holds the registration it is a question."""
    return rx.cond(State.matches.length() > 0, when(State.held, _held(), _listed()), _nobody())


def _nobody() -> rx.Component:
    nothing = "People who may already be registered appear here while you type."
    failed = "Who may already be registered could not be looked up. It is looked up again when you register."
    return rx.el.section(
        rx.el.h2("Possible duplicates"),
        rx.el.p(when(State.unknown, failed, nothing), class_name="muted under-h2", role="status"),
        class_name="sheet stick",
        aria_label="Possible duplicates",
    )


def _matches(lead: str) -> list[rx.Component]:
    head = rx.el.div(rx.el.h2("Possible duplicates"), rx.el.p(lead, class_name="muted"), class_name="matches-head")
    return [head, rx.el.ul(each(State.matches, _match), class_name="matches")]


def _listed() -> rx.Component:
    return rx.el.section(
        *_matches("Is it one of these people?"),
        class_name="card stick",
        aria_label="Possible duplicates",
        role="region",
        aria_live="polite",
    )


def _held() -> rx.Component:
    anyway = rx.button(
        "Register anyway",
        type="button",
        variant="outline",
        size="2",
        disabled=_BUSY,
        custom_attrs={"data-sends": FORM, "data-says": State.held},
    )
    return rx.el.section(
        *_matches("Ask the patient before you go on. Is this the same person?"),
        rx.el.div(
            link_button("Open existing record", href=State.matches[0].href, size="2"),
            anyway,
            class_name="actions section-foot fill",
        ),
        id=PANEL,
        class_name="card hold stick",
        aria_label="Possible duplicates",
        role="alert",
        tab_index=-1,
    )


def _chip(chip: Chip) -> rx.Component:
    mark = when(chip.near, icon("equal-approximately", 12), icon("check", 12))
    return rx.el.li(mark, apart(chip.words), class_name=when(chip.near, "chip near", "chip"))


def _match(match: MatchRow) -> rx.Component:
    person = row(
        avatar(match.initials),
        rx.el.span(
            link(
                apart(match.name),
                rx.el.span(" (opens in a new tab)", class_name="sr"),
                href=match.href,
                target="_blank",
                rel="noopener",
                class_name="strong break",
            ),
            rx.el.span(
                apart(match.patient_id),
                when(match.born, rx.fragment(", born ", apart(match.born))),
                class_name="muted small num",
            ),
            class_name="stack grow",
        ),
    )
    grade = when(match.strong, badge("Strong match", "warn"), badge("Possible", "idle"))
    return rx.el.li(
        person,
        rx.el.ul(
            rx.el.li(grade), each(match.chips, _chip), class_name="chips", aria_label="Why it may be the same person"
        ),
        class_name="match",
        key=match.patient_id,
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
