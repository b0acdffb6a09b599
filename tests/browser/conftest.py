"""One server and one Chromium a worker for all browser tests; a page's console errors fail its test."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Request, expect, sync_playwright

from clinic_app.core import db
from clinic_app.models.accounts import Account
from clinic_app.services.access import Actor
from clinic_app.services.accounts import sessions
from clinic_app.services.patients.views import Registered
from tests import factories
from tests.browser.serving import DEMO_PASSWORD, ROOT, Server, bound

FLAGS = (
    "--no-sandbox --disable-gpu --disable-dev-shm-usage --disable-background-networking --disable-component-update "
    "--disable-sync --no-first-run --mute-audio"
).split()
ARTEFACTS = ROOT / ".artefacts"
PATIENCE_MS = 10_000
expect.set_options(timeout=PATIENCE_MS)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``make pictures``."""
    parser.addoption("--pictures", action="store_true", help="draw every page and state into .artefacts/screens")


def _chromium() -> str | None:
    asked = os.environ.get("CLINIC_TEST_CHROMIUM")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    return asked or next((found for name in names if (found := shutil.which(name))), None)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The browser: the system's Chromium, else the one Playwright installed."""
    with sync_playwright() as playwright:
        path = _chromium()
        if path is None and not Path(playwright.chromium.executable_path).exists():
            if os.environ.get("CI") == "true":
                pytest.fail("Chromium is needed in CI")
            pytest.skip("no Chromium found: these tests need it")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The demo clinic, with hashes that cost next to nothing."""
    made = Server(tmp_path_factory.mktemp("clinic"))
    made.prepare()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="package")
def new_clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A clinic with one receptionist and no patient, and hashes as dear as in production."""
    made = Server(tmp_path_factory.mktemp("new"), CLINIC_BCRYPT_COST="12")
    made.prepare(people=False)
    with bound(made):
        factories.make_staff(username="receptionist")
    made.start()
    yield made
    made.stop()


class Watch:
    """What a page complained about."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self._expected: list[str] = []

    def expect(self, part: str) -> None:
        """This test causes complaints that hold ``part``."""
        self._expected.append(part)

    def page(self, page: Page) -> None:
        """Listen to ``page``."""
        page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        page.on("console", self._console)

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    @property
    def unexpected(self) -> list[str]:
        """Complaints nobody expected."""
        return [text for text in self.complaints if not any(part in text for part in self._expected)]


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Fails the test for what the consoles of its pages said."""
    made = Watch()
    yield made
    assert made.unexpected == []


class Clinic:
    """What tests do behind the pages' back: through the use cases, on the server's own database."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.sql, self.audit = server.sql, server.audit

    @property
    def desk(self) -> Actor:
        """The demo clinic's receptionist."""
        return self.actor("receptionist")

    def actor(self, username: str) -> Actor:
        """Somebody as they are while signed in."""
        with db.reading() as session:
            (ident,) = self.sql("SELECT id FROM accounts WHERE username = ?", username)[0]
            account = session.get(Account, ident)
            assert account is not None
            return sessions.actor_of(account, None)

    def patient(self, **changes: Any) -> Registered:
        """A new patient, by default Amina Odhiambo with some letters behind."""
        return factories.make_patient(self.desk, **changes)

    def with_own_password(self, email: str, **changes: Any) -> Registered:
        """A patient who has signed in and chosen ``factories.OWN_PASSWORD``."""
        done = self.patient(portal_email=email, **changes)
        factories.own_password(done)
        return done


@pytest.fixture
def clinic(server: Server) -> Iterator[Clinic]:
    """The demo clinic from behind."""
    with bound(server):
        yield Clinic(server)


class Profiles:
    """Browser profiles, used again by later tests: a fresh one would load and compile every script anew.

    Nothing is carried over. Whoever takes one finds no cookie and no storage, and whoever gives one back has left no
    page open and nothing still to be saved. Two that are open at the same time are never the same.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._free: dict[tuple[Any, ...], list[BrowserContext]] = defaultdict(list)
        self._keys: dict[BrowserContext, tuple[Any, ...]] = {}

    def take(self, url: str, size: tuple[int, int], scheme: str, **options: Any) -> BrowserContext:
        """A profile of nobody. One with ``options`` of its own is used once."""
        key = (url, size, scheme)
        if self._free[key] and not options:
            return self._free[key].pop()
        made = self._browser.new_context(
            base_url=url,
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,  # type: ignore[arg-type]
            reduced_motion="reduce",
            **options,
        )
        made.set_default_timeout(PATIENCE_MS)
        if not options:
            self._keys[made] = key
        return made

    def give_back(self, context: BrowserContext) -> None:
        """Close its pages and forget whose it was."""
        for page in context.pages:
            page.close()
        if context not in self._keys:
            context.close()
            return
        context.clear_cookies()
        self._free[self._keys[context]].append(context)


@pytest.fixture(scope="package")
def profiles(chromium: Browser) -> Profiles:
    """The profiles of this worker."""
    return Profiles(chromium)


class Drafts:
    """What pages are saving of half-filled forms. One that closes saves once more, and the next test would find it."""

    def __init__(self) -> None:
        self._under_way: set[Request] = set()

    def page(self, page: Page) -> None:
        """Follow what ``page`` saves."""
        page.on("request", lambda one: self._under_way.add(one) if "/auth/draft/" in one.url else None)
        page.on("requestfinished", lambda one: self._under_way.discard(one))
        page.on("requestfailed", lambda one: self._under_way.discard(one))

    def end(self, page: Page) -> None:
        """Let ``page`` save nothing more, and wait for what it has begun to save."""
        with contextlib.suppress(Error):  # a page that has crashed or gone saves nothing either
            page.evaluate("for (const one of document.querySelectorAll('form[data-draft]')) delete one.dataset.draft")
        until = time.monotonic() + PATIENCE_MS / 1000
        while any(one.frame.page == page for one in self._under_way) and time.monotonic() < until:
            page.wait_for_timeout(10)


Opener = Callable[..., Page]


@pytest.fixture
def open_page(profiles: Profiles, server: Server, watch: Watch) -> Iterator[Opener]:
    """``open_page("receptionist", "/patients", width=320, dark=True)``: a page in a browser profile without a past.

    Whoever is named has just signed in; ``context=`` opens another tab of a profile instead.
    """
    contexts: list[BrowserContext] = []
    drafts, tokens = Drafts(), list[tuple[Server, str]]()

    def opened(
        who: str = "",
        path: str = "",
        *,
        width: int = 1280,
        height: int = 860,
        dark: bool = False,
        context: BrowserContext | None = None,
        at: Server = server,
        **options: Any,
    ) -> Page:
        fresh = context is None
        if context is None:
            context = profiles.take(at.url, (width, height), "dark" if dark else "light", **options)
            contexts.append(context)
        if who:
            with bound(at):
                token = at.open_session(who)
            tokens.append((at, token))
            # nothing half typed by an earlier test
            at.sql("DELETE FROM drafts WHERE account_id IN (SELECT id FROM accounts WHERE username = ?)", who)
            cookie = {"name": "clinic_session", "value": token, "url": at.url, "httpOnly": True, "sameSite": "Strict"}
            context.add_cookies([cookie])  # type: ignore[list-item]
        page = context.new_page()
        if fresh:
            cdp = context.new_cdp_session(page)
            cdp.send("Storage.clearDataForOrigin", {"origin": at.url, "storageTypes": "local_storage,indexeddb"})
            cdp.detach()
        watch.page(page)
        drafts.page(page)
        if path:
            page.goto(path)
        return page

    yield opened
    for page in [page for context in contexts for page in context.pages]:
        drafts.end(page)
    for context in contexts:
        profiles.give_back(context)
    for at, token in tokens:
        at.end_session(token)


def sign_in(page: Page, username: str = "receptionist", password: str = DEMO_PASSWORD) -> None:
    """By the form, as people do."""
    page.goto("/login")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def patient_sign_in(page: Page, email: str, password: str) -> None:
    """The patient's door."""
    page.goto("/patient-portal/login")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def focused(page: Page) -> str:
    """The id of what has the focus, else its text."""
    return page.evaluate("document.activeElement.id || document.activeElement.innerText")


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the control of this name or label has the focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.labels?.[0]?.innerText ?? document.activeElement.innerText") == name:
            return
    raise AssertionError(f"{name} cannot be reached by keyboard; the focus is on {focused(page)}")


def exactly(text: str) -> re.Pattern[str]:
    """``text`` and nothing else."""
    return re.compile(rf"^\s*{re.escape(text)}\s*$")
