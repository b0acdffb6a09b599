"""The frames around the pages: staff, patient portal, and the bare sign-in gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.kit.base import Child, Text, apart, icon, link, link_button, stack, when
from clinic_app.ui.kit.data import avatar
from clinic_app.ui.kit.feedback import note
from clinic_app.ui.kit.forms import plain_form
from clinic_app.ui.view_models import Who

DEMO = "Demo clinic with invented patients. Do not enter real data."


@dataclass(frozen=True)
class Clinic:
    """What every page says about the clinic: words from the settings, known when pages are built."""

    name: str
    telephone: str  # as people write it
    telephone_uri: str  # tel:+254207123456
    hours: str
    demo: bool = False


class Place(NamedTuple):
    """A place of the desk in the navigation, with how many wait there, if anybody does.

    ``for_desk``: only for those who register patients.
    """

    text: str
    href: str
    icon: str
    waiting: Text = ""
    for_desk: bool = False


def brand(name: str, href: str) -> rx.Component:
    """The clinic's name with its mark: a cross drawn as two paths that meet."""
    mark = rx.el.svg(
        rx.el.path(d="M9 3.5v11M3.5 9h11", stroke="currentColor", stroke_width="3.2", stroke_linecap="round"),
        view_box="0 0 18 18",
        width="18",
        height="18",
        fill="none",
        aria_hidden="true",
    )
    return link(rx.el.span(mark, class_name="brand-mark"), rx.el.span(name), href=href, class_name="brand")


def _place(place: Place, current: str, who: Who) -> rx.Component:
    here = {"aria_current": "page"} if place.text == current else {}
    count = rx.el.span(apart(place.waiting), rx.el.span(" waiting", class_name="sr"), class_name="count")
    words = rx.el.span(place.text, class_name="cut")
    waiting = when(place.waiting, count) if place.for_desk else ""
    shown = link(icon(place.icon, 17), words, waiting, href=place.href, **here)
    return when(who.may_register, shown) if place.for_desk else shown


def _nav(places: Sequence[Place], admin: Sequence[Place], current: str, label: str, who: Who) -> rx.Component:
    links = [_place(place, current, who) for place in places]
    if admin:
        more = [_place(place, current, who) for place in admin]
        title = rx.el.p("Administration", class_name="nav-title")
        links.append(when(who.is_admin, rx.fragment(title, *more)))
    return rx.el.nav(*links, class_name="nav", aria_label=label)


def _help_button() -> rx.Component:
    return rx.el.button(
        icon("keyboard", 17),
        "Keyboard shortcuts",
        type="button",
        class_name="help",
        custom_attrs={"data-shortcuts-open": ""},
    )


def _who(who: Who) -> rx.Component:
    return rx.el.div(
        link(
            avatar(who.initials),
            rx.el.span(
                apart(who.name, class_name="cut strong"),
                apart(who.role, class_name="muted small"),
                rx.el.span(", your account", class_name="sr"),
                class_name="stack grow",
            ),
            href=routes.ACCOUNT,
            class_name="me",
        ),
        rx.el.button(
            rx.color_mode_cond(icon("moon", 17), icon("sun", 17)),
            type="button",
            class_name="icon-btn",
            aria_label="Switch between light and dark",
            on_click=rx.toggle_color_mode,
        ),
        rx.el.button(icon("log-out", 17), type="submit", form="sign-out", class_name="icon-btn", aria_label="Sign out"),
        class_name="who",
    )


def sign_out_form(sign_in: str) -> rx.Component:
    """The form behind every *Sign out* button of a page; ``idle.js`` watches where it is.

    ``sign_in`` is where a session that ended leads.
    """
    attrs = {"id": "sign-out", "data-sign-in": sign_in}
    return plain_form(action=routes.SIGN_OUT, hidden=True, custom_attrs=attrs)


def _shortcut(key: str, text: str) -> rx.Component:
    return rx.el.div(rx.el.dt(rx.el.kbd(key, class_name="key")), rx.el.dd(text))


def shortcuts_help() -> rx.Component:
    """The help for ``shortcuts.js``, with the switch that single keys must have (WCAG 2.1.4)."""
    return rx.el.dialog(
        rx.el.h2("Keyboard shortcuts", custom_attrs={"id": "shortcuts-title"}),
        rx.el.dl(
            _shortcut("/", "Search patients"),
            _shortcut("n", "Register patient"),
            _shortcut("p", "Create Portal Account, on a profile"),
            _shortcut("?", "Show these shortcuts"),
            _shortcut("Esc", "Close a dialog or menu"),
            class_name="keys",
        ),
        rx.el.div(
            rx.el.input(
                type="checkbox",
                default_checked=True,
                aria_describedby="shortcuts-hint",
                custom_attrs={"id": "shortcuts-on", "data-shortcuts-switch": ""},
            ),
            rx.el.label("Use these keys", html_for="shortcuts-on", class_name="label"),
            rx.el.span(
                "Turn this off if single-key shortcuts get in your way. The choice is kept in this browser.",
                class_name="hint",
                custom_attrs={"id": "shortcuts-hint"},
            ),
            class_name="check",
        ),
        rx.el.div(
            rx.button("Close", size="3", type="button", custom_attrs={"data-shortcuts-close": ""}),
            class_name="dialog-foot",
        ),
        class_name="help-dialog",
        aria_labelledby="shortcuts-title",
        custom_attrs={"id": "shortcuts"},
    )


def _skip() -> rx.Component:
    return rx.el.a("Skip to content", href="#main", class_name="skip")


def _main(*children: Child, cls: str) -> rx.Component:
    return rx.el.main(*children, tab_index=-1, class_name=cls, custom_attrs={"id": "main"})


def _demo(clinic: Clinic) -> list[rx.Component]:
    return [rx.el.section(DEMO, class_name="demo", aria_label="Demo clinic")] if clinic.demo else []


def register_link(size: str = "2") -> rx.Component:
    """*Register patient*: one of it on a page, and ``n`` presses it."""
    return link_button(
        "Register patient",
        href=routes.REGISTRATION,
        name="user-plus",
        size=size,
        custom_attrs={"data-shortcut": "n"},
    )


def staff_shell(
    *children: Child,
    clinic: Clinic,
    places: Sequence[Place],
    who: Who,
    admin: Sequence[Place] = (),
    current: str = "",
    search: rx.Component | None = None,
    register: bool = True,
) -> rx.Component:
    """The desk. Place at the left, search and Register patient always at the top.

    ``search`` is the search field, ``None`` on pages that have one themselves: never two on one page;
    ``register=False`` likewise. ``current`` is the text of the place one is at.
    """
    items = [search] if search is not None else []
    if register:
        items.append(when(who.may_register, rx.el.div(register_link(), class_name="bar-end")))
    bar = [rx.el.div(*items, class_name="bar", role="region", aria_label="Tools")] if items else []
    small = rx.el.header(
        brand(clinic.name, routes.RECEPTION),
        rx.el.details(
            rx.el.summary(icon("menu"), "Menu"),
            rx.el.div(
                _nav(places, admin, current, "Main menu, small screen", who),
                _help_button(),
                _who(who),
                class_name="drawer",
            ),
        ),
        class_name="small-nav",
    )
    side = rx.el.aside(
        brand(clinic.name, routes.RECEPTION),
        _nav(places, admin, current, "Main menu", who),
        rx.el.div(_help_button(), _who(who), class_name="side-foot"),
        class_name="side",
        aria_label="Clinic",
    )
    return rx.el.div(
        _skip(),
        rx.el.div(
            side,
            rx.el.div(*_demo(clinic), small, *bar, _main(*children, cls="page")),
            class_name="shell",
        ),
        sign_out_form(routes.STAFF_SIGN_IN),
        shortcuts_help(),
        class_name="app",
    )


def portal_shell(*children: Child, clinic: Clinic, signed_in: bool = True) -> rx.Component:
    """The patient's side: one column, larger type, warm paper, one way out."""
    out = rx.el.button("Sign out", type="submit", form="sign-out", class_name="out")
    home = routes.PORTAL if signed_in else routes.PORTAL_SIGN_IN
    return rx.el.div(
        _skip(),
        *_demo(clinic),
        rx.el.header(rx.el.div(brand(clinic.name, home), *([out] if signed_in else [])), class_name="portal-head"),
        _main(*children, cls="portal-main"),
        rx.el.footer(
            "Need help? Call the reception on ",
            rx.el.a(rx.el.span(clinic.telephone, class_name="num"), href=clinic.telephone_uri),
            class_name="portal-foot",
        ),
        *([sign_out_form(routes.PORTAL_SIGN_IN)] if signed_in else []),
        class_name="app portal",
    )


def gate_shell(*children: Child, clinic: Clinic, home: str = routes.STAFF_SIGN_IN) -> rx.Component:
    """Nothing but the clinic's name and one card: sign-in and dead ends."""
    demo = [note("warn", rx.el.p(DEMO))] if clinic.demo else []
    return rx.el.div(
        _skip(),
        _main(stack(brand(clinic.name, home), *demo, *children, gap=4, cls="gate-card"), cls="gate"),
        class_name="app",
    )
