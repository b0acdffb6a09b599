"""Form pieces: label above, hint under the label, error between hint and input.

Native inputs with our class: an outline of 3:1 (Radix's is 1.6:1), no script, and ``id``, ``name``
and ``aria-*`` go straight to the element that needs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import reflex as rx

from clinic_app.ui.kit.base import Child, Flag, Text, cx, each, given, icon, when
from clinic_app.ui.view_models import Problem


def plain_form(*children: Child, action: str, **props: Any) -> rx.Component:
    """A form that the browser itself posts. Without ``on_submit=None`` Reflex swallows it."""
    return rx.el.form(*children, action=action, method="post", on_submit=None, **props)


def _described(ident: str, hint: Child | None, error: Text | None) -> str | None:
    parts = [f"{ident}-hint"] if hint is not None else []
    if error is not None:
        parts.append(f"{ident}-error")
    return " ".join(parts) or None


def aria(ident: str, hint: Child | None, error: Text | None, required: bool) -> dict[str, Any]:
    """What an input tells assistive technology: its hint and its error, and whether it must be filled."""
    invalid = when(error, "true", "false") if error is not None else None
    return given(
        aria_describedby=_described(ident, hint, error),
        aria_invalid=invalid,
        aria_required="true" if required else None,
    )


def error_text(ident: str, error: Text) -> rx.Component:
    """The message at a field. Always in the page, so that filling it is announced."""
    return rx.el.p(
        when(error, rx.fragment(icon("circle-alert"), rx.el.span(error))),
        id=f"{ident}-error",
        class_name="error",
        role="alert",
    )


def frame(
    label: str,
    ident: str,
    box: rx.Component,
    *,
    hint: Child | None,
    error: Text | None,
    optional: bool = False,
    after: rx.Component | None = None,
    full: bool = False,
) -> rx.Component:
    """Label, hint, error and ``box``, the control itself."""
    beside = [rx.el.span("optional", class_name="optional", aria_hidden="true")] if optional else []
    return rx.el.div(
        rx.el.div(rx.el.label(label, html_for=ident, class_name="label"), *beside, class_name="label-row"),
        *([rx.el.p(hint, id=f"{ident}-hint", class_name="hint")] if hint is not None else []),
        *([error_text(ident, error)] if error is not None else []),
        box,
        *([after] if after is not None else []),
        class_name=cx("field", "full" if full else ""),
    )


def field(
    label: str,
    ident: str,
    *,
    hint: Child | None = None,
    error: Text | None = None,
    required: bool = True,
    marked: bool = True,
    after: rx.Component | None = None,
    full: bool = False,
    name: str = "",
    lines: int = 1,
    **props: Any,
) -> rx.Component:
    """One labelled input. ``error=None`` means this field can have none.

    The label holds the exact words of the specification and nothing else; ``optional`` stands
    beside it, and assistive technology hears ``required`` at the few fields that are.
    ``marked=False`` is for the labels that say "(optional)" themselves. ``lines`` over one makes
    it a text area. Other props go to the input.
    """
    common = {"id": ident, "name": name or ident, "class_name": "input", **aria(ident, hint, error, required)}
    box = rx.el.textarea(rows=str(lines), **common, **props) if lines > 1 else rx.el.input(**common, **props)
    optional = marked and not required
    return frame(label, ident, box, hint=hint, error=error, optional=optional, after=after, full=full)


def select_field(
    label: str,
    ident: str,
    options: Sequence[tuple[str, str]],
    *,
    hint: Child | None = None,
    error: Text | None = None,
    full: bool = False,
    name: str = "",
    more: Sequence[rx.Component] = (),
    **props: Any,
) -> rx.Component:
    """A native select: the phone shows its own wheel, the keyboard finds by letter. ``more`` are further options."""
    box = rx.el.select(
        *[rx.el.option(text, value=key) for key, text in options],
        *more,
        id=ident,
        name=name or ident,
        class_name="input",
        **aria(ident, hint, error, False),
        **props,
    )
    return frame(label, ident, box, hint=hint, error=error, full=full)


def check_field(
    label: str, ident: str, hint: str, *, revealed: rx.Component | None = None, **props: Any
) -> rx.Component:
    """A checkbox as a whole clickable row of 44 px or more, and what it reveals below it.

    The label is stretched over the row by CSS; the hint stays out of it, so that the name is exact.
    ``revealed`` is in the page all the time and shown by CSS: what was typed there is never lost,
    and while it is hidden nobody can tab into it.
    """
    box = rx.el.div(
        rx.el.input(type="checkbox", id=ident, name=ident, aria_describedby=f"{ident}-hint", **props),
        rx.el.label(label, html_for=ident, class_name="label"),
        rx.el.span(hint, id=f"{ident}-hint", class_name="hint"),
        class_name="check",
    )
    return rx.fragment(box, rx.el.div(revealed, class_name="reveal")) if revealed is not None else box


def error_summary(problems: list[Problem]) -> rx.Component:
    """All mistakes at the top, each a link to its field; not there while there are none.

    It is announced; the focus goes to the first wrong field, by whoever handles the submit.
    """
    box = rx.el.div(
        rx.el.h2("There is a problem"),
        rx.el.ul(each(problems, lambda problem: rx.el.li(rx.el.a(problem.text, href="#" + problem.ident)))),
        id="error-summary",
        class_name="summary",
        role="alert",
    )
    some = problems.length() > 0 if isinstance(problems, rx.Var) else bool(problems)
    return when(some, box)


def search_field(*, popup: rx.Component | None = None, **props: Any) -> rx.Component:
    """The search box. Its label is for assistive technology, the placeholder says what it takes.

    With ``popup`` (``suggestions(…)``) it is a combobox, moved by ``combobox.js``. Give
    ``default_value`` and ``on_change``, not ``value``: what is typed must never wait for a server.
    """
    combobox = {
        "role": "combobox",
        "aria_expanded": "false",
        "aria_controls": "search-options",
        "aria_autocomplete": "list",
    }
    box = rx.el.input(
        id="search",
        type="search",
        placeholder="Name, phone or ID number",
        auto_complete="off",
        spell_check=False,
        max_length=100,
        class_name="input",
        custom_attrs={"data-shortcut": "/"},
        **(combobox if popup is not None else {}),
        **props,
    )
    return rx.el.div(
        rx.el.label("Search patients", html_for="search", class_name="sr"),
        icon("search", 18),
        box,
        rx.el.span("/", class_name="key", aria_hidden="true"),
        *([popup] if popup is not None else []),
        class_name="search",
        role="search",
    )


def busy_words(text: str, busy_text: str, busy: Flag) -> Child:
    """The words of a button: other ones while it works, in the room of the first, so that nothing moves."""
    return when(busy, rx.el.span(busy_text, class_name="swap", custom_attrs={"data-keeps": text}), text)


def submit_button(
    text: str, busy_text: str, busy: Flag, *, name: str = "", size: str = "3", **props: Any
) -> rx.Component:
    """The button of a form: while it works, a spinner and other words, and a second press does nothing."""
    mark = [when(busy, rx.spinner(size="2"), icon(name))] if name else []
    return rx.button(*mark, busy_words(text, busy_text, busy), type="submit", size=size, disabled=busy, **props)
