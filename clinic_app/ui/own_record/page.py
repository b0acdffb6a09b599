"""``/patient-portal``: My record."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.frame.page import clinic, title
from clinic_app.ui.kit import feedback, shell
from clinic_app.ui.kit.base import stack
from clinic_app.ui.own_record.state import OwnRecordState
from clinic_app.ui.own_record.view import my_record_body
from clinic_app.ui.own_sessions.page import own_sessions
from clinic_app.ui.own_sessions.state import OwnSessionsState

NOT_YOU = "If that was not you, call the reception."


def my_record() -> rx.Component:
    """The signed-in patient's own record."""
    here = OwnRecordState
    body = my_record_body(
        first_name=here.first_name,
        details=here.details,
        contact=here.contact,
        viewers=here.viewers,
        viewed=here.viewed,
        sessions=own_sessions(size="4", wide=True),
    )
    failed = feedback.note("bad", rx.el.p(here.failure), role="alert")
    waiting = rx.el.div(rx.el.h1("My record"), rx.el.p("Loading your record", role="status", class_name="muted"))
    tries = rx.cond(here.tries, feedback.note("warn", rx.el.p(here.tries), rx.el.p(NOT_YOU)), rx.fragment())
    shown = stack(tries, body, gap=4)
    return shell.portal_shell(rx.cond(here.failure, failed, rx.cond(here.loaded, shown, waiting)), clinic=clinic())


def add(app: rx.App) -> None:
    """Register the page."""
    app.add_page(
        my_record,
        route=routes.PORTAL,
        title=title("My record"),
        on_load=[OwnSessionsState.load, OwnRecordState.load, OwnSessionsState.watch],
    )
