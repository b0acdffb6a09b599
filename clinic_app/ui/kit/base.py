"""The smallest pieces: layout boxes, icons, links, headings, cards; and what they are made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import reflex as rx
from reflex.event import EventType
from reflex_components_core.react_router import link as router_link

# A value is known when the page is built, or is a Var that the browser follows. What a list is drawn from is typed
# as its items: inside, each item is a Var with the same fields.
Text = str | rx.Var[str]
Flag = bool | rx.Var[bool]
Child = rx.Component | rx.Var | str
Event = EventType[()]  # what a press or a submit fires
Item = TypeVar("Item")


def cx(*names: str | None) -> str:
    """Join class names, leaving out the empty ones."""
    return " ".join(name for name in names if name)


def given(**props: Any) -> dict[str, Any]:
    """The props that have a value: Reflex takes ``None`` for a handler in few places only."""
    return {name: value for name, value in props.items() if value is not None}


def when(test: object, yes: Any, no: Any = None) -> Any:
    """``yes`` or ``no``: decided in the browser if ``test`` is a Var, else here and now."""
    if isinstance(test, rx.Var):
        return rx.cond(test, rx.fragment() if yes is None else yes, rx.fragment() if no is None else no)
    chosen = yes if test else no
    return rx.fragment() if chosen is None else chosen


def pick(value: Text, cases: Mapping[str, Any], default: Any) -> Any:
    """The case that ``value`` names: decided in the browser if ``value`` is a Var, else here and now."""
    if isinstance(value, rx.Var):
        return rx.match(value, *cases.items(), default)
    return cases.get(value, default)


def each(items: Sequence[Item], render: Callable[[Item], rx.Component]) -> rx.Component:
    """One component for every item of a list, or of a Var that holds one."""
    if isinstance(items, rx.Var):
        return rx.foreach(items, render)
    return rx.fragment(*[render(item) for item in items])


def at(values: Mapping[str, str], key: str) -> Text:
    """What the Var ``values`` holds under ``key``."""
    return values[key]


def apart(*words: Child, **props: Any) -> rx.Component:
    """A name, number or date as it is written, whatever the direction of the words around it.

    Without it ``0708 926503`` reads ``926503 0708`` in a line that runs from right to left.
    """
    return rx.el.bdi(*words, **props)


def sentence(*words: Child, **props: Any) -> rx.Component:
    """What we say, in the direction of our words, also where it begins with a name that runs from right to left."""
    return rx.el.bdi(*words, dir="ltr", **props)


def stack(*children: Child, gap: int = 3, cls: str = "", **props: Any) -> rx.Component:
    """Children below each other."""
    return rx.el.div(*children, class_name=cx("stack", f"g{gap}", cls), **props)


def row(*children: Child, gap: int = 3, cls: str = "", **props: Any) -> rx.Component:
    """Children beside each other, centred on the line."""
    return rx.el.div(*children, class_name=cx("row", f"g{gap}", cls), **props)


def icon(name: str, size: int = 16, cls: str = "") -> rx.Component:
    """A decorative Lucide icon: hidden from assistive technology, words stand beside it."""
    return rx.icon(name, size=size, aria_hidden="true", **({"class_name": cls} if cls else {}))


def link(*children: Child, href: Text, **props: Any) -> rx.Component:
    """A link to a page of ours: the browser shows it without loading everything again."""
    return router_link(*children, href=href, **props)


def leaving_link(*children: Child, href: Text, **props: Any) -> rx.Component:
    """A link to a page of ours that is not Reflex's: it loads afresh."""
    return router_link(*children, href=href, reload_document=True, **props)


def card(
    *body: Child, title: str = "", head: Child | None = None, flush: bool = False, ident: str = "", cls: str = ""
) -> rx.Component:
    """A panel with a heading. ``flush`` lets a table or list reach the edges."""
    props = {"aria_labelledby": ident} if ident else {}
    top = [rx.el.div(rx.el.h2(title, **given(id=ident or None)), *_maybe(head), class_name="card-head")]
    inner = rx.el.div(*body, class_name="card-flush" if flush else "card-body")
    return rx.el.section(*(top if title else []), inner, class_name=cx("card", cls), **props)


def page_head(title: str, *actions: Child, lead: Child | None = None) -> rx.Component:
    """The page's one ``h1``, a line under it, and what one does here, at the right."""
    under = [rx.el.p(apart(lead), class_name="muted")] if lead is not None else []
    words = rx.el.div(rx.el.h1(title), *under)
    doing = [rx.el.div(*actions, class_name="actions")] if actions else []
    return rx.el.div(words, *doing, class_name="page-head")


def title_and_lead(title: str, lead: Child) -> rx.Component:
    """The one ``h1`` of a page on the patient's side, and the line under it."""
    return rx.el.div(rx.el.h1(title), rx.el.p(apart(lead), class_name="muted under-h1"))


def link_button(
    *text: Child,
    href: Text,
    name: str = "",
    size: str = "2",
    variant: str = "solid",
    cls: str = "",
    leaves: bool = False,
    **props: Any,
) -> rx.Component:
    """A link that looks like a button. It goes somewhere, so it is a link.

    ``leaves`` makes it an ordinary one: to a telephone, or to a page that must load afresh.
    """
    marks = cx("rt-reset rt-BaseButton rt-Button", f"rt-r-size-{size} rt-variant-{variant}", cls)
    afresh = {"reload_document": True} if leaves else {}  # Reflex makes a router's link of a plain one too
    return router_link(*([icon(name)] if name else []), *text, href=href, class_name=marks, **afresh, **props)


def _maybe(child: Child | None) -> Sequence[Child]:
    return [] if child is None else [child]
