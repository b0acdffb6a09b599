"""What the edge and the scripts know of pages by hand is what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clinic_app.core import routes
from clinic_app.web import shell

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "clinic_app" / "ui").glob("*/page.py"))


class _App:
    """Only remembers which pages it was given."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}

    def add_page(self, _page, *, route: str, title: str, **_more) -> None:
        self.pages[route] = title.partition(" · ")[0]


def _pages() -> dict[str, str]:
    import importlib

    app = _App()
    for file in PAGES:
        module = importlib.import_module(f"clinic_app.ui.{file.parent.name}.page")
        if hasattr(module, "add"):
            module.add(app)
    app.pages.pop("404", None)
    return app.pages


def test_the_edge_knows_every_page_by_its_heading():
    assert {route: document.heading for route, document in shell.DOCUMENTS.items()} == _pages()


def test_each_page_is_drawn_in_the_frame_of_its_side():
    for route, document in shell.DOCUMENTS.items():
        assert (document.frame == "portal") == routes.on_portal(route), route


def _expression(name: str) -> re.Pattern[str]:
    script = (ROOT / "assets" / "connection.js").read_text(encoding="utf-8")
    found = re.search(rf"const {name} = /(.+)/;", script)
    assert found is not None
    return re.compile(found[1].replace(r"\/", "/"))


@pytest.mark.parametrize("route", sorted(shell.DOCUMENTS))
def test_pages_of_reflex_are_reached_by_its_router(route):
    path = route.replace("[patient_id]", "LMC000001")
    assert not _expression("SIGNING_IN").match(path)
    assert not _expression("PLAIN").match(path)


SIGNING_IN = (
    routes.STAFF_SIGN_IN, routes.SIGN_IN_CODE, routes.SIGN_IN_RECOVERY, routes.STAFF_PASSWORD, routes.PORTAL_SIGN_IN,
    routes.PORTAL_PASSWORD,
)  # fmt: skip


@pytest.mark.parametrize("path", SIGNING_IN)
def test_pages_of_signing_in_are_loaded(path):
    assert _expression("SIGNING_IN").match(path)


def test_other_plain_pages_are_loaded_too():
    assert _expression("PLAIN").match(routes.TWO_FACTOR)
