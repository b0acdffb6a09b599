"""The patient's side inside the portal shell: sign in, expired, choose a password, my record."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.kit import forms
from clinic_app.ui.kit.base import each, given, icon, link_button, stack, when
from clinic_app.ui.kit.data import facts_list
from clinic_app.ui.kit.feedback import note, strength, suggest_passphrase
from clinic_app.ui.kit.shell import Clinic
from clinic_app.ui.own_sessions import view as own_sessions

EXPIRED = "This temporary password has expired. Please ask the reception for a new one."


def _head(title: str, lead: Any) -> rx.Component:
    return rx.el.div(rx.el.h1(title), rx.el.p(lead, class_name="muted under-h1"))


def _sheet(title: str, *body: Any, lead: Any = "", ident: str = "") -> rx.Component:
    under = [rx.el.p(lead, class_name="muted under-h2")] if lead != "" else []
    return rx.el.section(
        rx.el.h2(title, id=ident),
        *under,
        rx.el.div(*body, class_name="sheet-body"),
        class_name="sheet",
        aria_labelledby=ident,
    )


def patient_sign_in_body(*, error: Any = "", email: Any = "", key: Any = None) -> rx.Component:
    """Posts ``email`` and ``password``. ``key`` changes with ``email``: a default counts only once."""
    return stack(
        _head("Patient portal sign in", "Use the email and password from your slip, or the password you chose."),
        forms.plain_form(
            when(error, note("bad", rx.el.p(error), role="alert")),
            forms.field(
                "Email",
                "email",
                type="email",
                auto_complete="username",
                auto_capitalize="none",
                spell_check=False,
                max_length=254,
                default_value=email,
            ),
            forms.password_field("Password", "password", takes_focus=when(error, "1", "")),
            rx.button("Sign in", size="4", class_name="wide", type="submit"),
            action=routes.SIGN_IN_PATIENT,
            class_name="sheet stack g4",
            no_validate=True,
            custom_attrs={"id": "sign-in"},
            **given(key=key),
        ),
        gap=5,
    )


def expired_body(*, clinic: Clinic, hours: int = 48, on_back: Any = None) -> rx.Component:
    """The right password, too late: what happened and what to do, without blame."""
    steps = rx.el.ol(
        rx.el.li("Call the reception, or come by. It takes a minute."),
        rx.el.li("Say your name and your date of birth."),
        rx.el.li(f"You get a new password. Use it within {hours} hours."),
        class_name="steps stack g2",
    )
    call = rx.el.div(
        link_button(
            icon("phone", 18),
            f"Call {clinic.telephone}",
            href=clinic.telephone_uri,
            size="4",
            cls="wide",
            leaves=True,
        ),
        rx.el.p(f"Open {clinic.hours}", class_name="muted small"),
        class_name="stack g2 call",
    )
    return stack(
        rx.el.h1("Your temporary password has expired"),
        note("warn", rx.el.p(EXPIRED), role="alert"),
        rx.el.div(rx.el.h2("What to do"), steps, call, class_name="sheet"),
        rx.el.p(rx.el.a("Back to sign in", href=routes.PORTAL_SIGN_IN, **given(on_click=on_back))),
        gap=4,
    )


def _tip(text: str, kind: str, done: bool) -> rx.Component:
    return rx.el.li(
        icon("check", 16, "yes"),
        icon("circle", 16, "no"),
        rx.el.span(text),
        class_name="done" if done else "",
        custom_attrs={"data-tip": kind},
    )


def choose_password_body(
    *,
    minimum: int,
    error: Any = "",
    confirm_error: Any = "",
    failure: Any = "",
    username: Any = "",
    drawn: tuple[int, str, str, str] = (0, "", "", ""),
) -> rx.Component:
    """Length and luck, no rules about symbols. Posts ``new_password`` and ``confirm_password``.

    ``username`` goes to the password manager only. ``drawn`` is for pictures: score, word, why, typed.
    """
    score, word, why, typed = drawn
    tips = rx.el.ul(
        _tip(f"At least {minimum} characters", "length", len(typed) >= minimum),
        _tip("Not a common or leaked password", "common", score > 2),
        _tip("Not your name, birthday or the clinic's name", "personal", score > 2),
        class_name="tips",
    )
    manager = rx.el.input(
        type="text",
        name="username",
        auto_complete="username",
        value=username,
        read_only=True,
        hidden=True,
    )
    return stack(
        _head(
            "Choose your password",
            "The temporary password has done its job. From now on, only you know your password.",
        ),
        forms.plain_form(
            when(failure, note("bad", rx.el.p(failure), role="alert")),
            manager,
            forms.password_field(
                "New password",
                "new_password",
                error=error,
                auto_complete="new-password",
                shown=bool(typed),
                default_value=typed,
                strength="strength",
                hint=f"{minimum} characters or more. Three or four words are easiest to remember.",
                takes_focus=when(error, "1", ""),
                min_length=minimum,
                after=rx.el.div(
                    strength("strength", score=score, word=word, why=why),
                    suggest_passphrase(),
                    class_name="stack g3 after",
                ),
            ),
            forms.password_field(
                "Confirm new password",
                "confirm_password",
                error=confirm_error,
                auto_complete="new-password",
                takes_focus=when(confirm_error, "1", ""),
            ),
            tips,
            rx.button("Save password", size="4", class_name="wide", type="submit"),
            action=routes.CHOOSE_PASSWORD,
            class_name="sheet stack g4",
            no_validate=True,
        ),
        gap=5,
    )


def _viewer(happening: Any) -> rx.Component:
    return rx.el.li(
        rx.el.span(icon("eye", 16), class_name="pin"),
        rx.el.div(rx.el.p(happening.what), rx.el.p(happening.when, class_name="muted small num")),
        class_name="viewer",
    )


def my_record_body(
    *,
    first_name: Any,
    details: Any,
    contact: Any,
    viewers: Any,
    sessions: Any,
    viewed: Any = "",
    on_correct: Any = None,
) -> rx.Component:
    """What the clinic holds, and who looked. ``details``, ``contact``: ``Fact``; ``viewers``: ``Happening``.

    ``sessions`` is a ``sessions_list``; ``viewed`` says where there are older viewings than these.
    """
    correct = rx.button(
        icon("pencil"),
        "Correct my contact details",
        variant="outline",
        size="4",
        class_name="wide",
        type="button",
        **given(on_click=on_correct),
    )
    wrong = "Something wrong here? Tell the reception, they can change it."
    return stack(
        _head("My record", rx.fragment("Hello, ", first_name, ". This is what the clinic has about you.")),
        _sheet(
            "Your details",
            facts_list(details),
            rx.el.p(wrong, class_name="muted small under-h2"),
            ident="own-details",
        ),
        _sheet(
            "Contact details",
            facts_list(contact),
            *([rx.el.div(correct, class_name="sheet-body")] if on_correct is not None else []),
            ident="own-contact",
        ),
        _sheet(
            "Who has viewed your record",
            rx.el.ul(each(viewers, _viewer)),
            lead=rx.fragment("Everybody who opens your record leaves a line here. ", viewed),
            ident="viewers",
        ),
        _sheet(own_sessions.TITLE, sessions, ident="own-sessions"),
        gap=4,
    )
