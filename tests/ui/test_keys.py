"""A row that holds something to press is known by what it is about: its buttons move with it, and the focus on them."""

from __future__ import annotations

import pytest
import reflex as rx

from tests.ui.test_directions import PAGES, parts

#: Lists in which a place means the same always, or that change by a press of one's own only.
FIXED = ("problems", "reasons", "filters", "numbers", "preview")


def pressed(row: rx.Component) -> bool:
    """Whether something in it can be pressed."""
    return any(part.event_triggers or type(part).__name__ == "ReactRouterLink" for part, _ in parts(row))


def by_place(component: rx.Component) -> list[str]:
    """The lists whose rows hold something to press and are known by their place."""
    found = []
    for one, _ in parts(component):
        if type(one).__name__ == "Foreach":
            row = one._render().render_component()
            if str(row.key).startswith("index_") and pressed(row):
                found.append(str(one.iterable))
    return [name for name in found if not any(f"{fixed}_rx_state_" in name for fixed in FIXED)]


@pytest.mark.parametrize("route", PAGES)
def test_what_can_be_pressed_in_a_list_moves_with_its_row(route):
    page = PAGES[route]
    assert by_place(page() if callable(page) else page) == []


class _Told(rx.State):
    names: list[str] = []


def test_what_stays_in_its_place_is_found():
    def row(name, **props):
        return rx.el.li(rx.el.a(name, href="/" + name), **props)

    assert len(by_place(rx.foreach(_Told.names, lambda one: row(one)))) == 1
    assert len(by_place(rx.foreach(_Told.names, lambda one: rx.cond(one, row(one, key=one), rx.fragment())))) == 1
    assert by_place(rx.foreach(_Told.names, lambda one: row(one, key=one))) == []
    assert by_place(rx.foreach(_Told.names, rx.el.li)) == []
