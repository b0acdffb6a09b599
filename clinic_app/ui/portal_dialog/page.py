"""The dialogs that several pages share, bound to their states."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.ui.frame.page import clinic
from clinic_app.ui.frame.state import ShellState
from clinic_app.ui.portal_dialog import view as portal
from clinic_app.ui.portal_dialog.state import PortalDialogState as State


def portal_dialog() -> rx.Component:
    """*Create Portal Account* in its four states: one of it on a page."""
    form = portal.input_step(
        name=State.name,
        email=State.email,
        phone=State.phone,
        error=State.error,
        phone_error=State.phone_error,
        failure=State.failure,
        failure_detail=State.failure_detail,
        busy=State.busy,
        attempt=State.attempt,
        on_submit=State.submit,
        on_cancel=State.change_open(False),
        on_email_blur=State.check_email,
        on_phone_blur=State.check_phone,
        key=State.form_number,
    )
    success = portal.success_step(
        clinic=clinic(),
        title=State.title,
        name=State.name,
        username=State.username,
        password=State.password,
        until=State.until,
        sent=State.sent,
        address=State.address,
        qr=State.qr,
        for_staff=State.for_staff,
        on_print=State.printed,
        on_close=State.close,
    )
    return portal.portal_dialog(
        rx.cond(State.done, success, form), open=State.open, stays=State.done, on_open_change=State.change_open
    )


def portal_button(patient: Any) -> rx.Component:
    """The portal button of the profile, for a patient without an account."""
    return portal.portal_account_button(
        has_access=False,
        variant="primary",
        busy=State.busy_id == patient.patient_id,
        on_click=State.ask_for(patient.patient_id),
    )


def portal_action(patient: Any) -> rx.Component:
    """The last column of the list: the same button, the badge, or nothing to do here."""
    return portal.portal_action(
        patient,
        may_create=ShellState.who.may_register,
        busy=State.busy_id == patient.patient_id,
        on_click=State.ask_for(patient.patient_id),
    )
