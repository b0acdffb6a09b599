"""Staff sign in, and the ends of a wrong way: they always say where to go next."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.kit import forms
from clinic_app.ui.kit.base import given, link_button, stack, when
from clinic_app.ui.kit.feedback import note


def staff_sign_in_body(*, error: Any = "", username: Any = "", key: Any = None) -> rx.Component:
    """One card, two fields, one button. Posts ``username`` and ``password``.

    ``key`` changes with ``username``: a default counts only once.
    """
    form = forms.plain_form(
        when(error, note("bad", rx.el.p(error), role="alert")),
        forms.field(
            "Username",
            "username",
            auto_complete="username",
            auto_capitalize="none",
            spell_check=False,
            max_length=254,
            default_value=username,
        ),
        forms.password_field("Password", "password", takes_focus=when(error, "1", "")),
        rx.button("Sign in", size="3", class_name="wide", type="submit"),
        action=routes.SIGN_IN_STAFF,
        class_name="stack g4 gate-form",
        no_validate=True,
        custom_attrs={"id": "sign-in"},
        **given(key=key),
    )
    return rx.fragment(
        rx.el.div(rx.el.h1("Staff sign in"), form, class_name="card"),
        rx.el.p(
            "Are you a patient? ",
            rx.el.a("Go to the patient portal", href=routes.PORTAL_SIGN_IN),
            class_name="muted",
        ),
    )


def not_found_body() -> rx.Component:
    """404, inside the gate: patients and staff alike may come here."""
    return rx.el.div(
        stack(
            rx.el.h1("Page not found"),
            rx.el.p("The address may have a typing error, or the page has moved. Nothing is lost."),
            rx.el.div(
                link_button("Go to Reception", href=routes.RECEPTION),
                link_button("Find a patient", href=routes.PATIENTS, name="search", variant="outline"),
                class_name="actions",
            ),
            gap=4,
        ),
        class_name="card",
    )


def no_rights_body(*, reason: Any, who: Any) -> rx.Component:
    """403 inside the staff shell: one stays at one's desk. ``reason`` says whose the page is."""
    return rx.el.div(
        stack(
            rx.el.h1("You cannot open this page"),
            rx.el.p(reason, " You are signed in as ", who.name, ", ", who.role, "."),
            rx.el.p("If you need it for your work, ask an administrator to change your role.", class_name="muted"),
            rx.el.div(link_button("Go to Reception", href=routes.RECEPTION), class_name="actions"),
            gap=4,
        ),
        class_name="sheet narrow",
    )
