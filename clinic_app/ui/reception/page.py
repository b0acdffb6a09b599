"""``/``: Reception."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.frame.page import staff_page, title
from clinic_app.ui.frame.state import ShellState
from clinic_app.ui.kit import data, feedback
from clinic_app.ui.kit.base import link
from clinic_app.ui.portal_dialog.state import PortalDialogState
from clinic_app.ui.reception.state import ReceptionState, SearchState
from clinic_app.ui.reception.view import reception_body


def reception() -> rx.Component:
    """What today looks like, what waits, who came last."""
    here = ReceptionState
    figures = (
        data.stat("Registered today", here.registered_today, here.registered_note),
        data.stat("Portal uptake", here.uptake, here.uptake_note, feedback.meter(here.uptake_width, here.uptake)),
        data.stat("Waiting for verification", here.waiting, here.waiting_note),
    )
    body = reception_body(
        today=here.today,
        figures=figures,
        days=here.days,
        days_label=here.days_label,
        days_range=here.days_range,
        latest=here.latest,
        may_register=ShellState.who.may_register,
    )
    failed = rx.cond(here.failure, feedback.note("bad", rx.el.p(here.failure), role="alert"), rx.fragment())
    told = feedback.note(
        "warn",
        rx.el.p(ShellState.tries),
        rx.el.p("If that was not you, ", link("change your password", href=routes.ACCOUNT), "."),
    )
    tries = rx.cond(ShellState.tries, rx.el.div(told, class_name="said"), rx.fragment())
    return staff_page(tries, failed, body, current="Reception", register=False)


def add(app: rx.App) -> None:
    """Register the page."""
    app.add_page(
        reception,
        route=routes.RECEPTION,
        title=title("Reception"),
        on_load=[
            ShellState.enter,
            PortalDialogState.forget,
            SearchState.leave,
            ReceptionState.load,
            ReceptionState.watch,
        ],
    )
