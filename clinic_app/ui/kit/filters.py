"""The row of filters above a list, each with how many it leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import reflex as rx

from clinic_app.ui.kit.base import Event, Text, apart, each, when
from clinic_app.ui.view_models import Filter


def filters(items: Sequence[Filter], choose: Callable[[Text], Event], *, label: str) -> rx.Component:
    """One of ``items`` is chosen; pressing another asks for it by its key (``choose``). ``label`` says of what."""

    def pill(one: Filter) -> rx.Component:
        return rx.el.button(
            apart(one.words),
            " ",
            apart(one.count, class_name="pill-n num"),
            type="button",
            class_name="pill",
            aria_pressed=when(one.chosen, "true", "false"),
            on_click=choose(one.key),
        )

    return rx.el.div(each(items, pill), class_name="filters", role="group", aria_label=label)
