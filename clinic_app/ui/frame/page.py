"""What all pages share: the clinic's words, titles, and the frame bound to who is signed in."""

from __future__ import annotations

from functools import lru_cache

import reflex as rx

from clinic_app.core import routes
from clinic_app.core.settings import get_settings
from clinic_app.ui.frame.presses import press_region, told_note
from clinic_app.ui.frame.state import SearchState, ShellState
from clinic_app.ui.kit import forms, shell
from clinic_app.ui.kit.base import Child, apart, link_button, stack, when
from clinic_app.ui.kit.feedback import error_note
from clinic_app.ui.kit.shell import Clinic, Place
from clinic_app.ui.kit.suggestions import suggestions, way_on
from clinic_app.ui.session.drawn import Misdirected
from clinic_app.ui.session.guard import Refusal

PLACES = (
    Place("Reception", routes.RECEPTION, "house"),
    Place("Patients", routes.PATIENTS, "users"),
    Place("Pending verification", routes.PENDING, "user-check", ShellState.pending, for_desk=True),
    Place("Duplicates", routes.DUPLICATES, "copy", ShellState.doubles, for_desk=True),
    Place("Portal work list", routes.PORTAL_WORK_LIST, "key-round", ShellState.stuck, for_desk=True),
)
ADMIN = (
    Place("Staff accounts", routes.STAFF_ACCOUNTS, "key-round"),
    Place("Audit trail", routes.AUDIT_TRAIL, "scroll-text"),
    Place("Portal accounts in bulk", routes.PORTAL_BULK, "layers"),
    Place("Import and export", routes.IMPORT, "upload"),
)


@lru_cache(maxsize=1)
def clinic() -> Clinic:
    """The clinic's words, compiled into the pages."""
    settings = get_settings()
    return Clinic(
        name=settings.name,
        telephone=settings.telephone,
        telephone_uri=settings.telephone_uri,
        hours=settings.opening_hours,
        demo=settings.mode == "demo",
    )


def title(page: str) -> str:
    """``<Page> · <Clinic name>``; never a patient's name."""
    return f"{page} · {clinic().name}"


def bar_search() -> rx.Component:
    """The search box of the bar, with the patients that match below it."""
    register = way_on(
        "user-plus",
        "Register “",
        apart(SearchState.answers),
        "”",
        href=routes.REGISTRATION,
        ident="search-register",
        on_click=SearchState.register_term,
    )
    everybody = way_on(
        "users", apart(SearchState.more), href=routes.PATIENTS, ident="search-all", on_click=SearchState.list_all
    )
    return forms.search_field(
        popup=suggestions(
            SearchState.rows,
            shown=SearchState.shown,
            count=SearchState.count,
            answers=SearchState.answers,
            advice=SearchState.advice,
            ways_on=(
                when(SearchState.more, everybody),
                when(SearchState.advice & ShellState.who.may_register, register),
            ),
        ),
        on_focus=SearchState.enter_box,
        on_change=SearchState.search,
    )


def no_rights() -> rx.Component:
    """403 inside the frame: one stays at one's desk, and reads whose the page is."""
    who = ShellState.who
    return rx.el.div(
        stack(
            rx.el.h1("You cannot open this page"),
            rx.el.p(apart(Refusal.words), " You are signed in as ", apart(who.name), ", ", apart(who.role), "."),
            rx.el.p("If you need it for your work, ask an administrator to change your role.", class_name="muted"),
            rx.el.div(link_button("Go to Reception", href=routes.RECEPTION), class_name="actions"),
            gap=4,
        ),
        class_name="sheet narrow",
    )


def staff_page(
    *children: Child, current: str, search: bool = True, register: bool = True, told: bool = True
) -> rx.Component:
    """The desk's frame. Somebody whose role does not allow the page sees whose it is instead.

    ``told=False``: the page itself has a place for what became of a press.
    """
    above = [
        press_region(),
        error_note(ShellState.failure),
        error_note(Misdirected.words),
        *([told_note()] if told else []),
    ]
    body = rx.cond(Refusal.words, no_rights(), stack(*above, rx.el.div(*children), gap=4))
    return shell.staff_shell(
        body,
        clinic=clinic(),
        places=PLACES,
        admin=ADMIN,
        who=ShellState.who,
        current=current,
        search=bar_search() if search else None,
        register=register,
    )


def signed_in_gate(*children: Child) -> rx.Component:
    """The clinic's name and one card, for somebody who is signed in and has something to do first."""
    return shell.gate_shell(
        *children, shell.sign_out_form(routes.STAFF_SIGN_IN), clinic=clinic(), home=routes.RECEPTION
    )
