"""*My record*: what the clinic holds about the signed-in patient, and who looked."""

from __future__ import annotations

import reflex as rx

from clinic_app.ui.frame.page import clinic
from clinic_app.ui.frame.presses import press_region, told_note
from clinic_app.ui.kit.base import Child, apart, icon, stack, title_and_lead, when
from clinic_app.ui.kit.data import facts_list
from clinic_app.ui.kit.feedback import note
from clinic_app.ui.kit.shell import portal_shell
from clinic_app.ui.own_record.state import OwnRecordState as State
from clinic_app.ui.own_sessions import view as sessions
from clinic_app.ui.view_models import Happening

NOT_YOU = "If that was not you, call the reception."
WRONG = "Is something wrong? Tell the reception, and they will correct it."


def _sheet(title: str, *body: Child, ident: str, lead: Child | None = None) -> rx.Component:
    under = [rx.el.p(lead, class_name="muted under-h2")] if lead is not None else []
    return rx.el.section(
        rx.el.h2(title, id=ident),
        *under,
        rx.el.div(*body, class_name="sheet-body"),
        class_name="sheet",
        aria_labelledby=ident,
    )


def _viewer(happening: Happening) -> rx.Component:
    return rx.el.li(
        rx.el.span(icon("eye", 16), class_name="pin"),
        rx.el.div(rx.el.p(apart(happening.what)), rx.el.p(apart(happening.when), class_name="muted small num")),
        class_name="viewer",
    )


def _record() -> rx.Component:
    return stack(
        title_and_lead(
            "My record",
            rx.fragment("Hello, ", apart(State.first_name), ". This is what the clinic has on record about you."),
        ),
        _sheet(
            "Your details",
            facts_list(State.details),
            rx.el.p(WRONG, class_name="muted small under-h2"),
            ident="own-details",
        ),
        _sheet("Contact details", facts_list(State.contact), ident="own-contact"),
        _sheet(
            "Who has viewed your record",
            rx.el.ul(rx.foreach(State.viewers, _viewer)),
            lead=rx.fragment("Everybody who opens your record is listed here. ", apart(State.viewed)),
            ident="viewers",
        ),
        _sheet(sessions.TITLE, sessions.own_sessions(size="4", wide=True), ident="own-sessions"),
        gap=4,
    )


def own_record() -> rx.Component:
    """The page."""
    failed = note("bad", rx.el.p(apart(State.failure)), role="alert")
    words = rx.el.p("Loading your record", role="status", class_name="muted")
    waiting = rx.el.div(rx.el.h1("My record"), words, class_name="as-long")
    tries = when(State.tries, note("warn", rx.el.p(apart(State.tries)), rx.el.p(NOT_YOU)))
    shown = stack(tries, _record(), gap=4)
    told = stack(press_region(), told_note(), gap=4)
    return portal_shell(told, rx.cond(State.failure, failed, rx.cond(State.loaded, shown, waiting)), clinic=clinic())
