"""Whatever the direction of the page: names, dates, numbers and sentences stand apart from the words around them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import reflex as rx
from reflex.vars import LiteralVar

from clinic_app.clinic_app import app
from clinic_app.ui.frame.presses import lost_note, told_note
from clinic_app.ui.kit.base import apart
from clinic_app.ui.kit.feedback import error_note, success_note
from clinic_app.ui.kit.slip import slip
from tests.conftest import ROOT
from tests.unit.test_components import CLINIC

TEMPLATES = ROOT / "clinic_app" / "web" / "templates"
PAGES = {route: page.component for route, page in app._unevaluated_pages.items()}
#: One of several fixed wordings, in the language of the page.
_FIXED = re.compile(r'\? "[^"]*" : "[^"]*"\)$|return \("')
#: One number or one or two letters: nothing in them can change places.
_SINGLE = re.compile(r'\["(initials|count|day)"\]$')


def parts(component: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Everything in the tree that a page compiles to, with what surrounds it."""
    yield component, above
    inner = list(getattr(component, "children", ()) or ())
    if type(component).__name__ == "Match":
        inner += [*[case[-1] for case in component.match_cases], component.default]
    for one in inner:
        yield from parts(one, (*above, component))


def _sets_direction(component: Any) -> bool:
    """Whether it has a direction of its own, as each option of a list has."""
    return type(component).__name__ in ("Bdi", "Option") or getattr(component, "dir", None) is not None


def not_apart(component: Any) -> list[str]:
    """What is drawn from a state, or from a value that is only known later, and takes the page's direction."""
    return [
        str(part.contents)
        for part, above in parts(component)
        if type(part).__name__ == "Bare"
        and isinstance(part.contents, rx.Var)
        and (part.contents._get_all_var_data() or not isinstance(part.contents, LiteralVar))
        and not any(_sets_direction(one) for one in above)
        and not _FIXED.search(str(part.contents))
        and not _SINGLE.search(str(part.contents))
    ]


@pytest.mark.parametrize("route", PAGES)
def test_what_a_page_is_told_stands_apart(route):
    page = PAGES[route]
    assert not_apart(page() if callable(page) else page) == []


class _Told(rx.State):
    name: str = ""
    names: list[str] = []


def test_what_does_not_is_found():
    sentence = rx.el.p("For ", _Told.name)
    assert len(not_apart(sentence)) == 1
    assert not_apart(rx.cond(_Told.name, rx.el.div(sentence)))
    assert not_apart(rx.match(_Told.name, ("a", sentence), rx.fragment()))
    assert not_apart(rx.match(_Told.name, ("a", rx.fragment()), sentence))
    assert not_apart(rx.foreach(_Told.names, rx.el.li))
    assert not_apart(rx.el.p("For ", apart(_Told.name))) == []
    assert not_apart(rx.el.p("For ", _Told.name, dir="auto")) == []


def test_a_sentence_that_begins_with_a_name_keeps_the_direction_of_its_words():
    for note in (success_note(_Told.name), error_note(_Told.name), told_note(), lost_note()):
        found = [part for part, _ in parts(note) if type(part).__name__ == "Bdi"]
        assert any("ltr" in str(getattr(part, "dir", "")) for part in found)


def test_a_slip_keeps_its_order_too():
    words = {"name": _Told.name, "username": _Told.name, "password": _Told.name, "until": _Told.name}
    assert not_apart(slip(clinic=CLINIC, address=_Told.name, **words)) == []


# --- plain pages --------------------------------------------------------------------------------------

_DATA = (
    r"clinic\.name|clinic\.telephone|clinic\.hours|username|name|patient_id|born|refused|ended|error|detail|lead|foot"
    r"|secret|offered"
)
#: What surrounds it opens with a tag whose words come before it.
_SHOWN = re.compile(r"<(\w[\w-]*)([^<>]*)>(?:[^<>{}]|\{%[^%]*%\})*\{\{ (?:" + _DATA + r") \}\}")


def taken_by_the_page(html: str) -> list[str]:
    """Where a template shows what it was given in the direction of the page."""
    found = [shown for shown in _SHOWN.finditer(html) if shown[1] not in ("bdi", "title")]
    return [shown[0] for shown in found if 'dir="auto"' not in shown[2]]


@pytest.mark.parametrize("template", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.stem)
def test_what_a_plain_page_is_told_stands_apart(template):
    assert taken_by_the_page(template.read_text()) == []


def test_what_a_template_shows_as_it_comes_is_found():
    assert len(taken_by_the_page("<p>Signed in as {{ username }}</p><b>{{ born }}</b>")) == 2
    assert taken_by_the_page('<p>At <bdi>{{ clinic.name }}</bdi></p><h2 dir="auto">{{ name }}</h2>') == []
