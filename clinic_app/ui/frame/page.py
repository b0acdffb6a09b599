"""What all pages share: the clinic's words, titles, and the frame bound to who is signed in."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import reflex as rx

from clinic_app.core import routes
from clinic_app.core.settings import get_settings
from clinic_app.ui.frame.state import ShellState
from clinic_app.ui.kit import feedback, forms, shell
from clinic_app.ui.kit.base import stack
from clinic_app.ui.kit.shell import Clinic, Place
from clinic_app.ui.kit.suggestions import suggestions
from clinic_app.ui.reception.state import SearchState
from clinic_app.ui.session.guard import Refusal
from clinic_app.ui.signing_in.view import no_rights_body

PLACES = (Place("Reception", routes.RECEPTION, "house"), Place("Patients", routes.PATIENTS, "users"))
ADMIN = (
    Place("Staff accounts", routes.STAFF_ACCOUNTS, "key-round"),
    Place("Audit trail", routes.AUDIT_TRAIL, "scroll-text"),
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
    return forms.search_field(
        popup=suggestions(SearchState.rows, shown=SearchState.shown, count=SearchState.count),
        on_change=SearchState.search.debounce(120),
    )


def staff_page(*children: Any, current: str, search: bool = True, register: bool = True) -> rx.Component:
    """The desk's frame. Somebody whose role does not allow the page sees whose it is instead."""
    body = rx.cond(
        Refusal.words,
        no_rights_body(reason=Refusal.words, who=ShellState.who),
        stack(
            rx.cond(ShellState.failure, feedback.note("bad", rx.el.p(ShellState.failure), role="alert"), rx.fragment()),
            rx.el.div(*children),
            gap=4,
        ),
    )
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
