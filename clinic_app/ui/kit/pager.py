"""The line below a table that turns its pages."""

from __future__ import annotations

from collections.abc import Callable

import reflex as rx

from clinic_app.ui.kit.base import Event, Text, apart, icon


def _counted(number: rx.Var[int]) -> rx.Var[str]:
    """A number as people read it: 40,003."""
    expression = f"({number!s}).toLocaleString('en-GB')"
    return rx.Var(_js_expr=expression, _var_type=str, _var_data=number._get_all_var_data()).to(str)


def pager(summary: Text, page: rx.Var[int], pages: rx.Var[int], turn: Callable[[int], Event]) -> rx.Component:
    """How many there are, which page this is, one back (``turn(-1)``), one on (``turn(1)``)."""
    back = rx.button(
        icon("chevron-left"),
        "Previous",
        variant="outline",
        size="2",
        disabled=page <= 1,
        on_click=turn(-1),
    )
    on = rx.button("Next", icon("chevron-right"), variant="outline", size="2", disabled=page >= pages, on_click=turn(1))
    return rx.el.div(
        rx.el.p(apart(summary), class_name="muted num", role="status"),
        rx.el.nav(
            back,
            apart("Page ", _counted(page), " of ", _counted(pages), class_name="num"),
            on,
            class_name="pager",
            aria_label="Pages",
        ),
        class_name="table-foot",
    )
