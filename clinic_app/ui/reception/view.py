"""*Reception*: what today looks like, and who came last."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.frame.page import staff_page
from clinic_app.ui.frame.state import ShellState
from clinic_app.ui.kit.base import apart, card, link, page_head, stack, when
from clinic_app.ui.kit.data import bar_chart, people, stat, stats
from clinic_app.ui.kit.feedback import error_note, meter, note
from clinic_app.ui.kit.shell import register_link
from clinic_app.ui.reception.state import ReceptionState as State


def _failed_tries() -> rx.Component:
    told = note(
        "warn",
        rx.el.p(apart(ShellState.tries)),
        rx.el.p("If that was not you, ", link("change your password", href=routes.ACCOUNT), "."),
    )
    return when(ShellState.tries, rx.el.div(told, class_name="said"))


def _little_room() -> rx.Component:
    rest = "When it is full, nothing can be saved any more. Tell whoever looks after the server."
    told = note("warn", rx.el.p(apart(State.little_room)), rx.el.p(rest))
    return when(State.little_room, rx.el.div(told, class_name="said"))


def _figures() -> rx.Component:
    waiting = link(State.waiting_note, href=routes.PENDING)  # for whoever may verify them
    return stats(
        stat("Registered today", State.registered_today, State.registered_note),
        stat(
            "Portal uptake",
            State.uptake,
            link(State.uptake_note, href=routes.PATIENTS),
            meter(State.uptake_width, State.uptake),
        ),
        stat("Waiting for verification", State.waiting, when(ShellState.pending, waiting, State.waiting_note)),
    )


def _chart() -> rx.Component:
    return card(
        bar_chart(State.days, State.days_label),
        title="Registrations per day",
        cls="tall",
        head=apart(State.days_range, class_name="muted num"),
    )


def _latest() -> rx.Component:
    nobody = rx.el.p("Nobody yet. The first patient you register appears here.", class_name="muted list-empty")
    return card(
        when(State.loaded, when(State.latest.length() > 0, people(State.latest), nobody)),
        title="Latest patients",
        head=link("All patients", href=routes.PATIENTS),
        flush=True,
    )


def reception() -> rx.Component:
    """The page."""
    return staff_page(
        _failed_tries(),
        _little_room(),
        error_note(State.failure),
        page_head("Reception", when(ShellState.who.may_register, register_link("3")), lead=State.today),
        stack(_figures(), rx.el.div(_chart(), _latest(), class_name="cols two-one"), gap=5),
        current="Reception",
        register=False,
    )
