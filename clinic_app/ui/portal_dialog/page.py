"""What other screens take: the dialog, and the buttons that open it."""

from __future__ import annotations

import reflex as rx

from clinic_app.ui.frame.state import ShellState
from clinic_app.ui.kit.base import pick, when
from clinic_app.ui.kit.feedback import portal_badge
from clinic_app.ui.portal_dialog import view
from clinic_app.ui.portal_dialog.state import PortalDialogState as State
from clinic_app.ui.session.form_state import CLOSED, DONE, WORKING
from clinic_app.ui.view_models import PatientRow


def portal_dialog() -> rx.Component:
    """The one dialog: a form, or the credentials. One of it on a page.

    While credentials are shown neither Escape nor a click outside closes it.
    """
    held = rx.cond(State.step == DONE, rx.prevent_default, rx.noop())
    return rx.dialog.root(
        rx.dialog.content(
            rx.cond(State.step == DONE, view.success_step(), view.input_step()),
            class_name="portal-dialog",
            on_escape_key_down=held,
            on_interact_outside=held,
        ),
        open=State.step != CLOSED,
        on_open_change=State.change_open,
    )


def _busy(patient: rx.Var[PatientRow]) -> rx.Var[bool]:
    return (State.step == WORKING) & (State.for_patient == patient.patient_id)


def portal_button(patient: rx.Var[PatientRow]) -> rx.Component:
    """The portal button of the profile, for a patient without an account."""
    return view.portal_account_button(
        has_access=False, variant="primary", busy=_busy(patient), on_click=State.ask_for(patient.patient_id)
    )


def portal_action(patient: rx.Var[PatientRow]) -> rx.Component:
    """The last column of the list for a ``PatientRow``: the button, the badge, or nothing to do there.

    An account that is turned off is turned on again on the profile, where one sees since when.
    """
    button = view.portal_account_button(
        has_access=False,
        size="sm",
        busy=_busy(patient),
        about="name-" + patient.patient_id,
        on_click=State.ask_for(patient.patient_id),
    )
    cases = {
        "none": when(ShellState.who.may_register, button),
        "off": rx.el.span("Turned off", class_name="muted small"),
    }
    return pick(patient.portal, cases, portal_badge())
