"""*Reception*: what today looks like, and who came last."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.frame.page import staff_page
from clinic_app.ui.frame.state import ShellState
from clinic_app.ui.kit.base import Child, apart, card, link, page_head, stack, when
from clinic_app.ui.kit.data import bar_chart, people, stat, stats
from clinic_app.ui.kit.feedback import bone, error_note, meter, note
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


def _copy_late() -> rx.Component:
    rest = "If this server failed now, what is in no copy and no backup would be lost. Tell whoever looks after it."
    told = note("warn", rx.el.p(apart(State.copy_late)), rx.el.p(rest))
    return when(State.copy_late, rx.el.div(told, class_name="said"))


def _meanwhile(shown: rx.Component) -> rx.Component:
    """What stands there until the answer comes; nothing where none will."""
    return when(State.failure, rx.fragment(), shown)


def _once(shown: Child, width: str) -> rx.Component:
    """``shown`` when it is known, and a grey bar until then."""
    return when(State.loaded, shown, _meanwhile(rx.el.span(bone(width), class_name="late")))


def _figures() -> rx.Component:
    waiting = link(State.waiting_note, href=routes.PENDING)  # for whoever may verify them
    bar = when(State.loaded, meter(State.uptake_width, State.uptake), rx.el.div(class_name="meter", aria_hidden="true"))
    return stats(
        stat("Registered today", _once(State.registered_today, "48px"), _once(State.registered_note, "80px")),
        stat(
            "Portal uptake",
            _once(State.uptake, "72px"),
            _once(link(State.uptake_note, href=routes.PATIENTS), "80px"),
            bar,
        ),
        stat(
            "Waiting for verification",
            _once(State.waiting, "48px"),
            _once(when(ShellState.pending, waiting, State.waiting_note), "110px"),
        ),
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
    who = stack(bone("140px"), bone("100px"), gap=2, cls="grow")
    row = rx.el.li(rx.el.div(bone("", "round"), who, class_name="item"))
    rows = rx.el.ul(row, row, row, row, row, class_name="list late", aria_hidden="true")
    return card(
        when(State.loaded, when(State.latest.length() > 0, people(State.latest), nobody), _meanwhile(rows)),
        title="Latest patients",
        head=link("All patients", href=routes.PATIENTS),
        flush=True,
    )


def reception() -> rx.Component:
    """The page."""
    loading = rx.el.p("Loading the figures", role="status", class_name="sr")
    return staff_page(
        _failed_tries(),
        _little_room(),
        _copy_late(),
        error_note(State.failure),
        when(State.loaded, rx.fragment(), _meanwhile(loading)),
        page_head("Reception", when(ShellState.who.may_register, register_link("3")), lead=_once(State.today, "180px")),
        stack(_figures(), rx.el.div(_chart(), _latest(), class_name="cols two-one"), gap=5),
        current="Reception",
        register=False,
    )
