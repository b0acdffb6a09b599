"""Parts of the *Portal Access* card: how far messages have come, and how the credentials were handed over."""

from __future__ import annotations

import reflex as rx

from clinic_app.ui.kit.base import apart, icon, pick, row, when
from clinic_app.ui.kit.feedback import badge
from clinic_app.ui.portal_dialog.page import correct_button, hand_over_buttons, resend_button
from clinic_app.ui.profile.state import ProfileState as State
from clinic_app.ui.view_models import Message


def _message(one: rx.Var[Message], place: rx.Var[int]) -> rx.Component:
    """One address: what went there last, when, and how it ended; what to do where it failed."""
    patient_id, access = State.person.patient_id, State.access
    ident = "message-" + place.to_string()
    resend = when(access.temporary & (access.kept_back == ""), resend_button(patient_id, access.stamp, "Send again"))
    repair = rx.el.div(correct_button(patient_id, one.channel, about=ident), resend, class_name="actions")
    more = rx.el.div(
        when(one.reason, rx.el.p(apart(one.reason))),
        when(one.correct, repair),
        class_name="wide stack g3",
    )
    return rx.el.li(
        pick(one.channel, {"sms": icon("message-square")}, when(one.lost, icon("mail-x"), icon("mail"))),
        rx.el.div(
            rx.el.p(apart(one.what), " to ", apart(one.address, class_name="break"), id=ident),
            rx.el.p(apart(one.when), class_name="muted small num"),
        ),
        badge(one.state, one.tone, one.mark),
        when((one.reason != "") | one.correct, more),
    )


def messages_part() -> rx.Component:
    """*Messages*: one line for each address; why none is sent, where that is so."""
    access = State.access
    none = rx.el.p("None so far.", class_name="muted")
    kept = rx.el.p(apart(access.kept_back), class_name="muted")
    return rx.el.div(
        rx.el.h3("Messages"),
        when(State.messages.length() > 0, rx.el.ul(rx.foreach(State.messages, _message), class_name="sent")),
        when(access.temporary & (access.kept_back != ""), kept, when(State.messages.length() == 0, none)),
        class_name="card-part",
    )


def handed_over_part() -> rx.Component:
    """*Handed over*: three buttons, one press; then the sentence, which may be put right."""
    access = State.access
    buttons = hand_over_buttons(State.person.patient_id, access.stamp)
    again = rx.el.details(rx.el.summary("Change"), buttons, class_name="more", key=access.stamp)
    lives = (access.portal == "temporary") | ((access.portal == "locked") & access.temporary)
    said = rx.el.div(rx.el.p(apart(access.handed_over)), when(lives, again))
    asked = row(rx.el.span("Not recorded yet.", class_name="muted"), buttons, cls="wrap")
    return when(
        (access.handed_over != "") | lives,
        rx.el.div(rx.el.h3("Handed over"), when(access.handed_over, said, asked), class_name="card-part"),
    )


def portal_parts() -> rx.Component:
    """What only those see who may give access, for a patient who has an account."""
    return pick(State.access.portal, {"none": rx.fragment()}, rx.fragment(messages_part(), handed_over_part()))
