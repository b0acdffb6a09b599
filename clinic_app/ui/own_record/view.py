"""*My record*: what the clinic holds about the signed-in patient, and who looked."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.frame.page import clinic
from clinic_app.ui.frame.presses import press_region, told_note
from clinic_app.ui.kit.base import Child, apart, icon, leaving_link, link_button, stack, title_and_lead, when
from clinic_app.ui.kit.data import avatar, facts_list
from clinic_app.ui.kit.feedback import error_note, note, success_note
from clinic_app.ui.kit.forms import plain_form
from clinic_app.ui.kit.shell import portal_shell
from clinic_app.ui.own_record.state import OwnRecordState as State
from clinic_app.ui.own_sessions import view as sessions
from clinic_app.ui.view_models import Look

NOT_YOU = "If that was not you, call the reception."
WRONG = "Something wrong here? Tell the reception, they can change it."


def _sheet(title: str, *body: Child, ident: str, lead: Child | None = None) -> rx.Component:
    under = [rx.el.p(lead, class_name="muted under-h2")] if lead is not None else []
    return rx.el.section(
        rx.el.h2(title, id=ident),
        *under,
        rx.el.div(*body, class_name="sheet-body"),
        class_name="sheet",
        aria_labelledby=ident,
    )


def _viewer(look: Look) -> rx.Component:
    nobody = rx.el.span(icon("eye", 16), class_name="pin")
    words = rx.el.p(rx.el.b(apart(look.who)), " ", apart(look.what))
    return rx.el.li(
        rx.cond(look.initials, avatar(look.initials), nobody),
        rx.el.div(words, rx.el.p(apart(look.when), class_name="muted small num")),
        class_name="viewer",
    )


def _way(words: str, href: str, picture: str) -> rx.Component:
    """A wide button to a page of ours that is not Reflex's."""
    return link_button(words, href=href, name=picture, size="4", variant="outline", cls="wide", leaves=True)


def _email_waits() -> rx.Component:
    """Another email, until its owner has opened the link that was sent there."""
    address, until = apart(State.email_waits, class_name="break"), apart(State.email_waits_until, class_name="num")
    waits = note(
        "warn",
        rx.el.p(rx.el.b("Confirm your new email")),
        rx.el.p("We sent a link to ", address, ". Open it before ", until, ". Until then the old email stays."),
        plain_form(
            rx.el.input(type="hidden", name="intent"),
            rx.el.button("Send it again", type="submit", name="do", value="again", class_name="in-btn bare"),
            rx.el.button("Keep the old email", type="submit", name="do", value="drop", class_name="in-btn bare"),
            action=routes.PORTAL_EMAIL,
            class_name="row wrap g4",
        ),
        role="status",
        name="mail",
    )
    return when(State.email_waits, rx.el.div(waits, class_name="sheet-body"))


def _go(picture: str, words: str, about: rx.Var[str], href: str) -> rx.Component:
    """A line that leads to a page of ours that is not Reflex's."""
    said = rx.el.span(
        rx.el.span(words, class_name="strong"), rx.el.br(), rx.el.span(apart(about), class_name="muted small break")
    )
    return leaving_link(icon(picture, 20), said, icon("chevron-right", 20), href=href, class_name="go")


def _sign_in() -> rx.Component:
    change = _go("key-round", "Change password", State.password_since, routes.PORTAL_OWN_PASSWORD)
    passkeys = when(
        State.passkeys, rx.el.li(_go("fingerprint-pattern", "Passkeys", State.passkeys, routes.PORTAL_PASSKEYS))
    )
    lead = rx.fragment("You sign in with ", apart(State.username, class_name="break"), ".")
    return _sheet("Your sign-in", rx.el.ul(rx.el.li(change), passkeys), lead=lead, ident="sign-in-sheet")


def _record() -> rx.Component:
    return stack(
        title_and_lead(
            "My record",
            rx.fragment("Hello, ", apart(State.first_name), ". This is what the clinic has about you."),
        ),
        success_note(State.notice),
        error_note(State.refused),
        _sheet(
            "Your details",
            facts_list(State.details),
            rx.el.p(WRONG, class_name="muted small under-h2"),
            ident="own-details",
        ),
        _sheet(
            "Contact details",
            facts_list(State.contact),
            _email_waits(),
            rx.el.div(_way("Correct my contact details", routes.PORTAL_CONTACT, "pencil"), class_name="sheet-body"),
            ident="own-contact",
        ),
        _sheet(
            "Who has viewed your record",
            rx.el.ul(rx.foreach(State.viewers, _viewer)),
            rx.el.p(
                leaving_link(
                    when(State.viewed, rx.fragment("See all ", apart(State.viewed)), "See all"),
                    href=routes.PORTAL_VIEWS,
                ),
                class_name="under-h2",
            ),
            lead="Everybody who opens your record leaves a line here.",
            ident="viewers",
        ),
        _sign_in(),
        _sheet(
            sessions.TITLE,
            sessions.own_sessions(size="4", wide=True),
            rx.el.p(leaving_link("See all devices", href=routes.PORTAL_SESSIONS), class_name="under-h2"),
            ident="own-sessions",
        ),
        _sheet(
            "Download my record",
            _way("Download my record", routes.PORTAL_DOWNLOAD, "download"),
            lead="All of this page in one file, to keep or to take to another clinic.",
            ident="download",
        ),
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
