"""Form pieces: label above, hint under the label, error between hint and input.

Native inputs with our class: an outline of 3:1 (Radix's is 1.6:1), no script, and ``id``, ``name``
and ``aria-*`` go straight to the element that needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import reflex as rx

from clinic_app.ui.kit.base import Child, Event, Flag, Text, apart, cx, each, given, icon, when
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
        when(error, rx.fragment(icon("circle-alert"), rx.el.span(apart(error)))),
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
    common = {
        "id": ident,
        "name": name or ident,
        "class_name": "input",
        "dir": "auto",
        **aria(ident, hint, error, required),
    }
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


def tick(label: str, ident: str, **props: Any) -> rx.Component:
    """A small checkbox below the input it is about."""
    return rx.el.div(
        rx.el.input(type="checkbox", id=ident, name=ident, **props),
        rx.el.label(label, html_for=ident),
        class_name="tick",
    )


def error_summary(problems: list[Problem]) -> rx.Component:
    """All mistakes at the top, each a link to its field; not there while there are none.

    It is announced; the focus goes to the first wrong field, by whoever handles the submit.
    """
    box = rx.el.div(
        rx.el.h2("There is a problem"),
        rx.el.ul(each(problems, lambda problem: rx.el.li(rx.el.a(apart(problem.text), href="#" + problem.ident)))),
        id="error-summary",
        class_name="summary",
        role="alert",
    )
    some = problems.length() > 0 if isinstance(problems, rx.Var) else bool(problems)
    return when(some, box)


def slip_question(ident: str, domain: Text, on_answer: Callable[[bool], Event]) -> rx.Component:
    """*Did you mean gmail.com?*, under the input ``ident``; not there while ``domain`` is empty. It refuses nothing.

    ``emails.js`` changes the input; ``on_answer`` gets whether it was changed.
    """
    change = rx.el.button(
        "Change it",
        type="button",
        class_name="btn",
        aria_label=rx.Var.create("Change it to ") + domain,
        custom_attrs={"data-changes": ident, "data-domain": domain},
        on_click=on_answer(True),
    )
    keep = rx.el.button(
        "Keep it",
        type="button",
        class_name="btn",
        custom_attrs={"data-keeps-it": ident},
        on_click=on_answer(False),
    )
    words = rx.el.p("Did you mean ", rx.el.b(apart(domain)), "?", class_name="grow")
    asked = rx.el.div(icon("circle-help"), words, change, keep, class_name="ask warn")
    return rx.el.div(when(domain, asked), role="status")


def read_back(understood: Text, *, hint: str = "", example: str = "") -> rx.Component:
    """What was understood of an input, to be read back in its hint: behind the words of ``hint``, or for ``example``.

    It has its place from the beginning: its coming moves nothing.
    """
    words = apart(understood, class_name="strong num")
    if hint:
        return rx.el.span(hint, when(understood, rx.fragment(" · ", words)), role="status")
    return rx.el.span(when(understood, words, example), role="status")


def search_field(*, popup: rx.Component | None = None, **props: Any) -> rx.Component:
    """The search box. Its label is for assistive technology, the placeholder says what it takes.

    With ``popup`` (``suggestions(…)``) it is a combobox, moved by ``combobox.js``: an input of type ``search`` may not
    be one (ARIA in HTML), so that one is of type ``text``. Give ``default_value`` and ``on_change``, not ``value``:
    what is typed must never wait for a server.
    """
    combobox = {
        "role": "combobox",
        "aria_expanded": "false",
        "aria_controls": "search-options",
        "aria_autocomplete": "list",
    }
    box = rx.el.input(
        id="search",
        type="search" if popup is None else "text",
        input_mode="search",
        enter_key_hint="search",
        placeholder="Name, phone or ID number",
        auto_complete="off",
        spell_check=False,
        max_length=100,
        class_name="input",
        dir="auto",
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


WAITS = "Waits for the line. It happens once, or you are told that it did not."


def press_form(name: Text, *children: Child, on_submit: Any, **props: Any) -> rx.Component:
    """A form that changes something, called ``name``: its press counts once (``press.js``).

    ``on_submit`` is a handler made with ``changes=True``: it gets the press as the field ``intent``. Have a
    ``submit_button`` in it.
    """
    custom = {"data-press": name, **props.pop("custom_attrs", {})}
    hidden = rx.el.input(type="hidden", name="intent", default_value="")
    return rx.el.form(hidden, *children, on_submit=on_submit, custom_attrs=custom, **props)


def instance() -> rx.Var[str]:
    """Which half-filled form is on the screen: only the browser knows (``drafts.js``). For a handler's argument."""
    return rx.Var('(globalThis.clinicDrafts?.instance() ?? "")', _var_type=str).to(str)


def press_button(*children: Child, called: Text, on_press: Callable[[rx.Var[str]], Any], **props: Any) -> rx.Component:
    """A button that changes something: its press counts once (``press.js``).

    ``called`` is one name for each thing it changes; ``on_press`` makes of the press, which only the browser knows, the
    event of a handler made with ``changes=True``.
    """
    press = rx.Var('(globalThis.clinicPress?.() ?? "")', _var_type=str)
    custom = {"data-press": called, **props.pop("custom_attrs", {})}
    button = rx.button(*children, **{"type": "button", **props}, custom_attrs=custom, on_click=on_press(press.to(str)))
    return rx.fragment(button, waits())


def submit_button(
    text: Text, busy_text: str, busy: Flag, *, name: str = "", size: str = "3", **props: Any
) -> rx.Component:
    """The button of a form: while it works, a spinner and other words, and a second press does nothing.

    Both are in the page, so that the browser shows the second at once. Beside it, what is said while the line is away.
    """
    mark: list[rx.Component] = []
    if name:
        mark = [rx.el.span(icon(name), class_name="at-rest"), rx.el.span(rx.spinner(size="2"), class_name="at-work")]
    button = rx.button(
        *mark,
        rx.el.span(apart(text) if isinstance(text, rx.Var) else text, class_name="at-rest"),
        rx.el.span(busy_text, class_name="swap at-work", custom_attrs={"data-keeps": text}),
        type="submit",
        size=size,
        disabled=busy,
        custom_attrs={"data-busy": when(busy, "yes", "")},
        **props,
    )
    return rx.fragment(button, waits())


def cancel_button(*, on_click: Any, takes_focus: bool = False, **props: Any) -> rx.Component:
    """*Cancel*, beside the button of a form or question. Once that is pressed it is too late: then it does nothing."""
    marks = {"data-cancels": "", **({"data-takes-focus": "1"} if takes_focus else {})}
    look: dict[str, Any] = {"type": "button", "variant": "outline", "size": "3"}
    return rx.button("Cancel", on_click=on_click, custom_attrs=marks, **look, **props)


def waits() -> rx.Component:
    """What is said beside a pressed button while the line is away."""
    return rx.el.p(WAITS, class_name="press-waits muted", role="status")
