"""``/account``, ``/account/confirm`` and ``/login/code``."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.services.accounts.passwords import SHORTEST
from clinic_app.ui.account.state import AccountState, CodeState, ConfirmState
from clinic_app.ui.account.view import (
    account_body,
    code_body,
    confirm_body,
    set_up_first_body,
    sign_out_button,
)
from clinic_app.ui.frame.page import clinic, staff_page, title
from clinic_app.ui.frame.state import ShellState
from clinic_app.ui.kit import shell
from clinic_app.ui.kit.base import stack
from clinic_app.ui.own_record.view import choose_password_body
from clinic_app.ui.own_sessions.page import own_sessions
from clinic_app.ui.own_sessions.state import OwnSessionsState
from clinic_app.ui.portal_dialog.state import PortalDialogState
from clinic_app.ui.reception.state import SearchState


def _gate(*children: rx.Component) -> rx.Component:
    """The gate, for somebody who is signed in."""
    return shell.gate_shell(
        *children, shell.sign_out_form(routes.STAFF_SIGN_IN), clinic=clinic(), home=routes.RECEPTION
    )


def account() -> rx.Component:
    """One's own account; first of all what has to be done before anything else."""
    here = AccountState
    body = account_body(
        username=here.username,
        errors=here.errors,
        failure=here.failure,
        notice=here.notice,
        minimum=SHORTEST,
        since=here.two_factor_since,
        codes_left=here.codes_left,
        required=here.required,
        sessions=own_sessions(),
    )
    choose = choose_password_body(
        minimum=SHORTEST,
        error=here.errors["new_password"],
        confirm_error=here.errors["confirm_password"],
        failure=here.failure,
        username=here.username,
    )
    waiting = rx.el.div(rx.el.h1("Your account"), rx.el.p("Loading", role="status", class_name="muted"))
    shown = rx.match(
        here.mode,
        ("choose", _gate(stack(choose, sign_out_button(), gap=4))),
        ("set_up", _gate(set_up_first_body())),
        ("shown", staff_page(body, current="", register=False)),
        staff_page(waiting, current="", register=False),
    )
    return rx.fragment(shown)


def confirm() -> rx.Component:
    """*Confirm it is you*."""
    here = ConfirmState
    return _gate(
        confirm_body(
            next_page=here.next,
            username=here.username,
            asks_code=here.asks_code,
            password_error=here.password_error,
            code_error=here.code_error,
            failure=here.failure,
        )
    )


def code() -> rx.Component:
    """*Authentication code*: the second step of signing in."""
    return shell.gate_shell(code_body(error=CodeState.message), clinic=clinic())


def add(app: rx.App) -> None:
    """Register the pages."""
    app.add_page(
        account,
        route=routes.ACCOUNT,
        title=title("Your account"),
        on_load=[
            ShellState.enter,
            PortalDialogState.forget,
            SearchState.leave,
            OwnSessionsState.load,
            AccountState.load,
            OwnSessionsState.watch,
        ],
    )
    app.add_page(confirm, route=routes.CONFIRM, title=title("Confirm it is you"), on_load=ConfirmState.load)
    app.add_page(code, route=routes.SIGN_IN_CODE, title=title("Authentication code"), on_load=CodeState.load)
