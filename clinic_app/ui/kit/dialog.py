"""Dialogs: their title, and the question before something that is hard to take back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import reflex as rx

from clinic_app.ui.kit.base import Text, row
from clinic_app.ui.kit.forms import cancel_button, press_button


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
    said: rx.Component,
    under: Text = "",
    yes: str,
    open: Any,
    on_open_change: Any,
    called: Text,
    on_yes: Callable[[rx.Var[str]], Any],
    on_no: Any,
) -> rx.Component:
    """Asks before something that is hard to take back. The answer that does nothing comes first.

    ``said`` stands above: what became of a press. ``called`` and ``on_yes`` as a ``press_button`` takes them. ``under``
    is the path of the one page it may be seen on.
    """
    return rx.dialog.root(
        rx.dialog.content(
            said,
            dialog_title(title, question),
            rx.el.div(
                cancel_button(on_click=on_no),
                press_button(yes, called=called, on_press=on_yes, variant="outline", size="3", class_name="danger"),
                class_name="dialog-foot",
            ),
            class_name="portal-dialog",
            custom_attrs={"data-under": under},
        ),
        open=open,
        on_open_change=on_open_change,
    )
