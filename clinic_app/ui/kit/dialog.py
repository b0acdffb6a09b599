"""Dialogs: their title, and the question before something that is hard to take back."""

from __future__ import annotations

from typing import Any

import reflex as rx

from clinic_app.ui.kit.base import row


def dialog_title(text: Any, description: Any, mark: rx.Component | None = None, **props: Any) -> rx.Component:
    """Title and description: they name the dialog."""
    words = rx.el.div(
        rx.dialog.title(text, custom_attrs={"as": "h2"}),  # the page keeps its one h1
        rx.dialog.description(description, class_name="muted"),
        class_name="grow",
    )
    return row(*([mark] if mark is not None else []), words, cls="top", **props)


def question_dialog(
    *,
    title: str,
    question: Any,
    yes: str,
    open: Any,
    on_open_change: Any,
    on_yes: Any,
    on_no: Any,
) -> rx.Component:
    """Asks before something that is hard to take back. The answer that does nothing comes first."""
    return rx.dialog.root(
        rx.dialog.content(
            dialog_title(title, question),
            rx.el.div(
                rx.button("Cancel", type="button", variant="outline", size="3", on_click=on_no),
                rx.button(yes, type="button", variant="outline", size="3", class_name="danger", on_click=on_yes),
                class_name="dialog-foot",
            ),
            class_name="portal-dialog",
        ),
        open=open,
        on_open_change=on_open_change,
    )
