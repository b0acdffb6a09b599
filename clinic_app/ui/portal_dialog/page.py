"""What other screens take: the dialog, and the buttons that open it."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.ui.frame.presses import lost_note
from clinic_app.ui.frame.state import ShellState
from clinic_app.ui.kit.address import path_in_address
from clinic_app.ui.kit.base import Text, given, icon, pick, when
from clinic_app.ui.kit.feedback import portal_badge
from clinic_app.ui.kit.forms import press_button
from clinic_app.ui.portal_dialog import view
from clinic_app.ui.portal_dialog.state import CORRECTING, RENAMING, RESETTING
from clinic_app.ui.portal_dialog.state import PortalDialogState as State
from clinic_app.ui.session.form_state import CLOSED, DONE, WORKING
from clinic_app.ui.view_models import PatientRow


def portal_dialog() -> rx.Component:
    """The one dialog: a form, or the credentials. One of it on a page.

    While credentials are shown neither Escape nor a click outside closes it.
    """
    steps = {RESETTING: view.reset_step(), RENAMING: view.rename_step(), CORRECTING: view.correct_step()}
    asked = pick(State.kind, steps, view.input_step())
    held = rx.cond(State.step == DONE, rx.prevent_default, rx.noop())
    return rx.dialog.root(
        rx.dialog.content(
            lost_note(),
            rx.cond(State.step == DONE, view.success_step(), asked),
            class_name="portal-dialog",
            custom_attrs={"data-under": State.page},
            on_escape_key_down=held,
            on_interact_outside=held,
        ),
        open=(State.step != CLOSED) & (State.page == path_in_address()),
        on_open_change=State.change_open(State.turn),
    )


def _busy(patient: rx.Var[PatientRow]) -> rx.Var[bool]:
    return (State.step == WORKING) & (State.for_patient == patient.patient_id)


def portal_button(patient: rx.Var[PatientRow]) -> rx.Component:
    """The portal button of the profile, for a patient without an account."""
    return view.portal_account_button(
        has_access=False,
        variant="primary",
        busy=_busy(patient),
        on_click=State.ask_for(patient.patient_id),
        called="portal-" + patient.patient_id,
    )


def portal_action(patient: rx.Var[PatientRow]) -> rx.Component:
    """The last column of the list for a ``PatientRow``: the button, the badge, or nothing to do there.

    An account that is turned off is turned on again on the profile, where one sees since when.
    """
    name = "name-" + patient.patient_id
    button = view.portal_account_button(
        has_access=False,
        size="sm",
        busy=_busy(patient),
        about=name,
        on_click=State.ask_for(patient.patient_id),
        called="portal-" + patient.patient_id,
    )
    due = rx.el.div(
        when(patient.due == "locked", unlock_button(patient.patient_id, patient.stamp, about=name)),
        reset_button(patient.patient_id, "Reissue", about=name),
        class_name="actions",
    )
    cases = {
        "none": when(ShellState.who.may_register, button),
        "off": rx.el.span("Turned off", class_name="muted small"),
    }
    return pick(patient.portal, cases, when(patient.reissue & ShellState.who.may_register, due, portal_badge()))


def unlock_button(patient_id: rx.Var[str], stamp: Text, *, about: Any = None) -> rx.Component:
    """*Unlock*, for an account that is locked."""
    return press_button(
        icon("lock-open"),
        "Unlock",
        variant="outline",
        size="2",
        called="unlock-" + patient_id,
        on_press=lambda press: State.unlock(patient_id, stamp, press),
        **given(aria_describedby=about),
    )


def reset_button(patient_id: rx.Var[str], text: str = view.RESET, *, about: Any = None) -> rx.Component:
    """*Reset temporary password*, or *Reissue*: asks first."""
    opens = "reset-" + patient_id
    return view.access_button(text, "key-round", opens=opens, about=about, on_click=State.ask_reset(patient_id))


def username_button(patient_id: rx.Var[str]) -> rx.Component:
    """*Change username*."""
    opens = "rename-" + patient_id
    return view.access_button(view.RENAME, "at-sign", opens=opens, on_click=State.ask_username(patient_id))


def resend_button(patient_id: rx.Var[str], stamp: Text, text: str = "Resend invitation") -> rx.Component:
    """*Resend invitation*, or *Send again* beside a message that failed: another link, the same password."""
    return press_button(
        icon("send"),
        text,
        variant="outline",
        size="2",
        called="resend-" + patient_id + "-" + text,
        on_press=lambda press: State.resend(patient_id, stamp, press),
    )


def correct_button(patient_id: rx.Var[str], channel: Text, *, about: Any = None) -> rx.Component:
    """*Correct address*: of the emails, or of the text messages (``sms``), that did not get there."""
    opens, ask = "correct-" + patient_id, State.ask_correct(patient_id, channel)
    return view.access_button(view.CORRECT, "pencil", opens=opens, about=about, on_click=ask)


def hand_over_buttons(patient_id: rx.Var[str], stamp: Text) -> rx.Component:
    """*In person*, *By phone*, *By post*."""
    return view.hand_over_buttons(patient_id, stamp)
