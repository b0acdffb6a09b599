"""``/admin/staff``: Staff accounts."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.account.view import staff_body, staff_question
from clinic_app.ui.frame.page import staff_page, title
from clinic_app.ui.frame.state import ShellState
from clinic_app.ui.kit.dialog import question_dialog
from clinic_app.ui.portal_dialog.page import portal_dialog
from clinic_app.ui.portal_dialog.state import PortalDialogState
from clinic_app.ui.reception.state import SearchState
from clinic_app.ui.staff_accounts.state import StaffAccountsState


def staff_accounts() -> rx.Component:
    """The list, the form for a new account, the panel of one."""
    here = StaffAccountsState
    body = staff_body(
        rows=here.rows,
        loaded=here.loaded,
        creating=here.creating,
        busy=here.busy,
        errors=here.errors,
        problems=here.problems,
        failure=here.failure,
        notice=here.notice,
        open_id=here.open_id,
        form_number=here.form_number,
        on_begin=here.begin,
        on_create=here.create,
        on_cancel=here.cancel,
        handlers={
            "open": lambda ident: here.open(ident),
            "ask": lambda what: here.ask(what),
            "change_role": here.change_role,
            "enable": here.enable,
            "unlock": here.unlock,
        },
    )
    heading, question, yes = staff_question(here.asking, here.asking_name)
    dialog = question_dialog(
        title=heading,
        question=question,
        yes=yes,
        open=here.asking != "",
        on_open_change=here.close,
        on_yes=here.answer,
        on_no=here.close(False),
    )
    return staff_page(body, portal_dialog(), dialog, current="Staff accounts", register=False)


def add(app: rx.App) -> None:
    """Register the page."""
    app.add_page(
        staff_accounts,
        route=routes.STAFF_ACCOUNTS,
        title=title("Staff accounts"),
        on_load=[
            ShellState.enter,
            PortalDialogState.forget,
            SearchState.leave,
            StaffAccountsState.load,
            StaffAccountsState.watch,
        ],
    )
