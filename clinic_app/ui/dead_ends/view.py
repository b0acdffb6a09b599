"""*Page not found*: it says where to go next."""

from __future__ import annotations

import reflex as rx

from clinic_app.core import routes
from clinic_app.ui.frame.page import clinic
from clinic_app.ui.kit.base import link_button, stack
from clinic_app.ui.kit.shell import gate_shell


def not_found() -> rx.Component:
    """404, inside the gate: patients and staff alike may come here."""
    words = stack(
        rx.el.h1("Page not found"),
        rx.el.p("The address may be mistyped, or the page has moved. Nothing has been lost."),
        rx.el.div(
            link_button("Go to Reception", href=routes.RECEPTION),
            link_button("Find a patient", href=routes.PATIENTS, name="search", variant="outline"),
            class_name="actions",
        ),
        gap=4,
    )
    return gate_shell(rx.el.div(words, class_name="card"), clinic=clinic())
