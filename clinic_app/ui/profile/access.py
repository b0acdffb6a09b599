"""The *Portal Access* card of a profile, and the question before access is turned off."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.services.portal.wording import TURN_OFF_REASONS
from clinic_app.ui.frame.presses import lost_note
from clinic_app.ui.kit.address import named_in_address
from clinic_app.ui.kit.base import apart, pick, row, stack, when
from clinic_app.ui.kit.dialog import dialog_title
from clinic_app.ui.kit.feedback import badge, note, portal_badge
from clinic_app.ui.kit.forms import cancel_button, error_text, field, press_button, press_form, submit_button
from clinic_app.ui.portal_dialog.page import resend_button, reset_button, unlock_button, username_button
from clinic_app.ui.profile.state import ProfileState as State
from clinic_app.ui.session.form_state import WORKING
from clinic_app.ui.view_models import Access


def is_addressed() -> rx.Var[bool]:
    """Whether the record in the state is the one that the browser's address names."""
    return State.key == named_in_address("patient_id")


def page_of_record() -> rx.Var[str]:
    """The path of the record in the state: ``connection.js`` hides what says it when another one is shown."""
    return rx.Var.create(f"{routes.PATIENTS}/") + State.key


def access_panel(
    access: Access | rx.Var[Access], *, create: rx.Component, may_change: bool | rx.Var[bool] = True
) -> rx.Component:
    """The *Portal Access* card's contents: one sentence, the facts that matter, the next step.

    ``create`` is the button for a patient without an account.
    """
    busy, patient_id = State.step == WORKING, State.person.patient_id
    enabled = rx.el.p("Portal access is enabled for this patient")
    username = rx.fragment(
        rx.el.p("Username ", apart(access.username, class_name="strong break")),
        when(access.emails_to, rx.el.p("Emails go to ", apart(access.emails_to, class_name="strong break"))),
    )
    reset, rename = reset_button(patient_id), username_button(patient_id)
    unlock = when(access.portal == "locked", unlock_button(patient_id, access.stamp))
    turn_off = rx.button(
        "Turn off portal access",
        variant="outline",
        size="2",
        type="button",
        class_name="danger",
        disabled=busy,
        custom_attrs={"data-reopens": "off-" + patient_id},
        on_click=State.ask_turn_off(patient_id, access.stamp, True),
    )
    turn_on = press_button(
        "Turn on portal access",
        size="2",
        type="button",
        disabled=busy,
        called="on-" + patient_id,
        on_press=lambda press: State.turn_on(patient_id, access.stamp, press),
    )
    resend = when(access.temporary & (access.kept_back == ""), resend_button(patient_id, access.stamp))
    change = when(may_change, rx.el.div(unlock, reset, resend, rename, turn_off, class_name="actions"))

    def marks(*more: rx.Component) -> rx.Component:
        return row(portal_badge(), *more, cls="wrap", gap=2)

    last = when(
        access.last_sign_in,
        rx.el.p("Last signed in ", apart(access.last_sign_in), class_name="muted"),
        rx.el.p("Has not signed in yet", class_name="muted"),
    )
    locked = rx.el.p(
        "Locked after too many wrong passwords",
        when(access.locked_until, rx.fragment(", until ", rx.el.b(apart(access.locked_until), class_name="num"))),
        ". Where the patient has signed in before, they still can.",
        when(may_change, " Resetting the password also unlocks it."),
    )
    expires = rx.el.p(
        "The temporary password expires in ",
        rx.el.b(apart(access.expires_in)),
        ", on ",
        rx.el.b(apart(access.expires_at), class_name="num"),
        ".",
    )
    by_time = rx.fragment(
        "The temporary password expired on ",
        rx.el.b(apart(access.expires_at), class_name="num"),
        " without being used. ",
    )
    by_link = rx.fragment(
        "The link that was sent still works, until ",
        rx.el.b(apart(access.link_until), class_name="num"),
        ": the patient can choose a password with it.",
    )
    expired = rx.el.p(
        when(access.worn_out, "After too many wrong tries the temporary password opens nothing any more. ", by_time),
        when(access.link_until, by_link, "The patient cannot sign in until you reset it."),
    )
    gone = rx.el.p(
        "Its username was given up when records were merged, and belongs to somebody else now. "
        "Another username turns access on again."
    )
    cases = {
        "active": stack(marks(), enabled, username, last, change),
        "temporary": stack(
            marks(badge("Waiting for first sign-in", "warn", "clock")),
            enabled,
            username,
            note("warn", expires),
            change,
        ),
        "expired": stack(
            marks(badge("Password expired", "bad", "clock-alert")),
            enabled,
            username,
            note("bad", expired),
            change,
        ),
        "locked": stack(marks(badge("Locked", "bad", "lock")), enabled, username, note("bad", locked), change),
        "off": stack(
            row(badge("Disabled", "idle"), cls="wrap", gap=2),
            rx.el.p("Portal access is turned off"),
            when(access.username, username, gone),
            rx.el.p(
                "Turned off on ",
                apart(access.turned_off),
                ". The account and its history are kept.",
                class_name="muted",
            ),
            when(access.turned_off_reason, rx.el.p("Reason: ", apart(access.turned_off_reason), class_name="break")),
            when(may_change, rx.el.div(when(access.username, turn_on, rename), class_name="actions")),
        ),
    }
    none = stack(
        rx.el.p("No portal account yet"),
        rx.el.p(
            "With an account, patients can see their own record and who has looked at it.",
            class_name="muted",
        ),
        when(may_change, rx.el.div(create, class_name="actions", custom_attrs={"data-shortcut": "p"})),
    )
    panel = pick(access.portal, cases, none)
    return rx.el.div(panel, tab_index=-1, class_name="home", custom_attrs={"data-focus-home": ""})


def _reasons() -> rx.Component:
    """Why access is turned off: one of them."""
    choices = [
        rx.el.label(
            rx.el.input(type="radio", name="reason", value=code, custom_attrs={"aria-describedby": "reason-error"}),
            rx.el.span(words),
            class_name="choice",
        )
        for code, words in TURN_OFF_REASONS.items()
    ]
    return rx.el.fieldset(
        rx.el.legend("Why is it turned off?", class_name="label"),
        error_text("reason", State.asked_again),
        *choices,
        class_name="choices",
    )


def turn_off_dialog() -> rx.Component:
    """Asks before access is turned off, and why. The answer that does nothing comes first."""
    close = State.ask_turn_off(State.person.patient_id, State.asked, False)
    question = rx.fragment(
        apart(State.person.name),
        " will be signed out and can no longer sign in. The account and its history are kept.",
    )
    words = field(
        "In words",
        "turn-off-words",
        name="words",
        hint="Stands on the profile. Nothing medical.",
        required=False,
        max_length=150,
        auto_complete="off",
    )
    return rx.dialog.root(
        rx.dialog.content(
            lost_note(),
            press_form(
                "off-" + State.person.patient_id,
                dialog_title("Turn off portal access", question),
                stack(_reasons(), words, gap=4, cls="under-title"),
                rx.el.div(
                    cancel_button(on_click=close),
                    submit_button(
                        "Turn off portal access", "Turning off...", False, variant="outline", class_name="danger"
                    ),
                    class_name="dialog-foot",
                ),
                no_validate=True,
                on_submit=State.turn_off(State.person.patient_id, State.asked),
            ),
            class_name="portal-dialog",
            custom_attrs={"data-under": page_of_record()},
        ),
        open=is_addressed() & (State.asked != ""),
        on_open_change=State.ask_turn_off(State.person.patient_id, State.asked),
    )
