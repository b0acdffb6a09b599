"""The plain pages over ASGI, as a browser asks for them: cookies kept, forms sent from the page itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from clinic_app.core import context
from clinic_app.web.app import create_web
from tests import factories

BASE = "http://localhost:3000"
BROWSER = {"accept": "text/html,application/xhtml+xml", "sec-fetch-site": "same-origin"}


class Shown(HTMLParser):
    """What a browser makes of a page."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__()
        self.status, self.html = answer.status_code, answer.text
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words, self.title, self._in_title = "", "", False
        self.feed(answer.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self._in_title = tag == "title"

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
        else:
            self.words += data

    def the(self, ident: str) -> dict[str, str]:
        """The attributes of the one element with this id."""
        (found,) = [attrs for _, attrs in self.tags if attrs.get("id") == ident]
        return found

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of all elements of this kind."""
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def focused(self) -> dict[str, str]:
        """What has the focus once the page is there; empty where nothing asks for it."""
        return next((attrs for _, attrs in self.tags if "autofocus" in attrs), {})


def served() -> Any:
    """The routes for browsers, each request in a context of its own."""
    web = create_web()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with context.use(context.RequestContext("page", "203.0.113.7", "pytest")):
            await web(scope, receive, send)

    return app


@pytest.fixture
def new_browser() -> Callable[[], httpx.AsyncClient]:
    """Makes browser profiles without a past. Nothing is followed by itself."""
    transport = httpx.ASGITransport(app=served())
    return lambda: httpx.AsyncClient(transport=transport, base_url=BASE, headers=BROWSER)


@pytest.fixture
async def browser(database: Any, new_browser: Callable[[], httpx.AsyncClient]) -> AsyncIterator[httpx.AsyncClient]:
    """One of them, on a database of its own."""
    async with new_browser() as client:
        yield client


async def sign_in(browser: httpx.AsyncClient, username: str, password: str, path: str = "/login") -> httpx.Response:
    """By the form of that page, as people do."""
    assert (await browser.get(path)).status_code == 200
    field = "email" if path.startswith("/patient-portal") else "username"
    return await browser.post(path, data={field: username, "password": password})


async def patient_signed_in(browser: httpx.AsyncClient, desk: Any, email: str, **changes: Any) -> Any:
    """A patient with a password of their own, signed in in ``browser``: the registration."""
    made = factories.make_patient(desk, portal_email=email, **changes)
    factories.own_password(made)
    answer = await sign_in(browser, email, factories.OWN_PASSWORD, "/patient-portal/login")
    assert answer.headers["location"] == "/patient-portal"
    return made
