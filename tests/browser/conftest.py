"""One server and one Chromium a worker for all browser tests; a page's console errors fail its test."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Error, Page, Request, expect, sync_playwright

from clinic_app.core import clock, db
from clinic_app.models.accounts import Account
from clinic_app.models.notifications import LinkPurpose
from clinic_app.services.access import Actor
from clinic_app.services.accounts import sessions
from clinic_app.services.notifications import links
from clinic_app.services.patients.views import Registered
from tests import factories
from tests.browser.checkers import Checkers
from tests.browser.looking import Looks
from tests.browser.serving import DEMO_PASSWORD, Server, bound
from tests.counterparts import Mailbox, mail_server

FLAGS = (
    "--no-sandbox --disable-gpu --disable-dev-shm-usage --disable-background-networking --disable-component-update "
    "--disable-sync --no-first-run --mute-audio --process-per-site"  # see Profiles
).split()
PATIENCE_MS = 20_000
#: For what is promised within a second: other work on this machine may make it late, but what a page asks by itself
#: every 30 seconds would come later still.
SOON_MS = 8_000
expect.set_options(timeout=PATIENCE_MS)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``make pictures``, and the checkers that are asked by hand."""
    parser.addoption("--pictures", action="store_true", help="draw every page and state into .artefacts/screens")
    parser.addoption(
        "--checkers", type=Path, help="node_modules with html_codesniffer and accessibility-checker-engine"
    )


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


@dataclass(frozen=True)
class Posting:
    """A clinic that sends messages, and what its mail server has taken."""

    server: Server
    post: Mailbox

    def patient(self, **changes: Any) -> Registered:
        """A new patient; nothing was sent to them."""
        with bound(self.server):
            return factories.make_patient(Clinic(self.server).desk, **changes)


@pytest.fixture(scope="package")
def posting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Posting]:
    """A demo clinic with a mail server of the tests' own, and an SMS gateway that does not answer."""
    with mail_server() as post:
        post.refuse = lambda address: "550 No such address" if address.endswith("@refused.example") else None
        folder = tmp_path_factory.mktemp("posting")
        made = Server(folder, **post.settings, CLINIC_SMS_URL="json://127.0.0.1:9/{phone}")
        made.prepare()
        made.start()
        yield Posting(made, post)
        made.stop()


#: The browser reports every document that is answered with an error. A refused form is one of ours, in words.
REFUSED_FORM = re.compile(
    r"error: Failed to load resource: .* status of (400|409|410|429|503) .*"
    r"/(login|login/code|login/recovery-code|choose-password|patient-portal/"
    r"(login|change-password|contact|contact/confirm|password|download|activate|forgot)"
    r"|(auth|patient-portal)/passkeys/(add|\d+/remove))\)"
)

#: And how a page learns that its session is over: the line is closed and refused, and it asks why. Then it leaves,
#: perhaps with another line on its way.
SESSION_OVER = re.compile(
    r"error: (Failed to load resource: .* status of 401 .*/auth/session\)"
    r"|WebSocket connection to .* response code: 403.*)"
    r"|warning: WebSocket connection to .* WebSocket is closed before the connection is established.*"
)

#: Counts what the server has sent to the page, before any script of the page runs.
COUNTING = """
window.heardOf = 0;
window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", (event) => { if (String(event.data).startsWith("42")) window.heardOf += 1; });
  }
};
"""
DRAWN = "!document.querySelector('clinic-shell') && (!window.__reactRouterContext || window.heardOf > 0)"


_WITHOUT_SCRIPTS: list[Page] = []


def drawn(page: Page) -> None:
    """Wait until the page stands in place of its shell and the server has told it what to show: then it can be used."""
    if page in _WITHOUT_SCRIPTS:
        return  # nothing is drawn there; only plain pages can be used
    until = time.monotonic() + 3 * PATIENCE_MS / 1000
    while time.monotonic() < until:  # not wait_for_function: it evaluates text in the page, which the policy forbids
        with contextlib.suppress(Error):  # on the way to another page
            if page.evaluate(DRAWN):
                return
        page.wait_for_timeout(10)
    raise AssertionError(f"{page.url} was not drawn")


#: What the browser says when a page was already on its way elsewhere: a person would simply press once more.
ON_ITS_WAY = re.compile(r"Not attached to an active page|interrupted by another navigation|net::ERR_ABORTED")


def _leaves(dialog: Dialog) -> None:
    """Leave when the browser asks. Playwright itself may answer when the page is gone, which ends its driver."""
    with contextlib.suppress(Error):
        dialog.accept()


def _waits(page: Page) -> None:
    """Whoever opens or reloads ``page`` goes on when it can be used; ``until=False`` goes on at once."""
    for name in ("goto", "reload"):
        load = getattr(page, name)

        def loaded(*given: Any, until: bool = True, load: Callable[..., Any] = load, **options: Any) -> Any:
            deadline = time.monotonic() + PATIENCE_MS / 1000
            while True:
                try:
                    answer = load(*given, **options)
                    break
                except Error as error:
                    if not until or not ON_ITS_WAY.search(str(error)) or time.monotonic() > deadline:
                        raise
                page.wait_for_load_state()
                page.wait_for_timeout(100)
            if until:
                drawn(page)
            return answer

        setattr(page, name, loaded)


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
        left = [text for text in self.complaints if not (REFUSED_FORM.fullmatch(text) or SESSION_OVER.match(text))]
        return [text for text in left if not any(part in text for part in self._expected)]


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

    def link_to_confirm(self, username: str, email: str) -> str:
        """A link that shows that ``email`` is the patient's, as a message would bring it: its code."""
        (ident,) = self.sql("SELECT id FROM accounts WHERE username = ?", username)[0]
        with db.transaction() as session:
            expires = clock.now() + dt.timedelta(hours=2)
            link = links.new_link(session, ident, LinkPurpose.EMAIL, expires, email=email)
        (seed,) = self.sql("SELECT seed FROM one_time_links WHERE id = ?", link)[0]
        links.make_findable(link, seed)
        return links.code_of(seed)


@pytest.fixture
def clinic(server: Server) -> Iterator[Clinic]:
    """The demo clinic from behind."""
    with bound(server):
        yield Clinic(server)


#: How large a page is unless a test says otherwise.
SIZE = (1280, 860)


class Profiles:
    """Browser profiles, used again by later tests: a fresh one would load and compile every script anew.

    Each keeps one empty page of the site, so that the process behind it lives on with what it has compiled: that halves
    what opening a page costs. Nothing else is carried over. Whoever takes one finds no cookie and no storage, and
    whoever gives one back has left no page of theirs and nothing still to be saved. Two that are open at the same time
    are never the same.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._free: dict[str, list[BrowserContext]] = defaultdict(list)
        self._sites: dict[BrowserContext, str] = {}
        self._keepers: dict[BrowserContext, Page] = {}

    def take(self, url: str, *, fresh: bool = False, **options: Any) -> BrowserContext:
        """A profile of nobody. One that is ``fresh``, as measurements need it, or has ``options`` is used once."""
        used_once = fresh or bool(options)
        if self._free[url] and not used_once:
            return self._free[url].pop()
        made = self._browser.new_context(
            base_url=url,
            viewport={"width": SIZE[0], "height": SIZE[1]},
            color_scheme="light",
            reduced_motion="reduce",
            **options,
        )
        made.set_default_timeout(PATIENCE_MS)
        made.add_init_script(COUNTING)
        if not used_once:
            self._sites[made] = url
            self._keepers[made] = made.new_page()
            self._keepers[made].goto("/healthz")
        return made

    def pages(self, context: BrowserContext) -> list[Page]:
        """The pages a test has opened in it."""
        return [page for page in context.pages if page is not self._keepers.get(context)]

    def give_back(self, context: BrowserContext) -> None:
        """Close its pages and forget whose it was."""
        if context not in self._sites:
            context.close()
            return
        for page in self.pages(context):
            page.close()
        context.set_offline(False)  # a test that failed in between took the line away from all after it
        context.clear_cookies()
        self._free[self._sites[context]].append(context)


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
        page.on("response", lambda one: self._under_way.discard(one.request))  # nobody reads what it says
        page.on("requestfailed", lambda one: self._under_way.discard(one))

    def end(self, page: Page) -> None:
        """Let ``page`` save nothing more, and wait for what it has begun to save."""
        with contextlib.suppress(Error):  # a page that has crashed or gone saves nothing either
            page.evaluate("for (const one of document.querySelectorAll('form[data-draft]')) delete one.dataset.draft")
        until = time.monotonic() + PATIENCE_MS / 1000
        while any(one.frame.page == page for one in self._under_way) and time.monotonic() < until:
            page.wait_for_timeout(10)


@pytest.fixture
def looks(pytestconfig: pytest.Config) -> Looks:
    """Says whether a page is accessible and fits."""
    folder = pytestconfig.getoption("checkers")
    return Looks(pytestconfig.getoption("pictures"), Checkers(folder) if folder else None)


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
        width: int = SIZE[0],
        height: int = SIZE[1],
        dark: bool = False,
        context: BrowserContext | None = None,
        at: Server = server,
        fresh: bool = False,
        **options: Any,
    ) -> Page:
        another_tab = context is not None
        if context is None:
            context = profiles.take(at.url, fresh=fresh, **options)
            contexts.append(context)
        if who:
            with bound(at):
                token = at.open_session(who)
            tokens.append((at, token))
            # nothing half typed by an earlier test
            at.sql("DELETE FROM drafts WHERE account_id IN (SELECT id FROM accounts WHERE username = ?)", who)
            name = "__Host-clinic_session" if at.url.startswith("https://") else "clinic_session"
            cookie = {"name": name, "value": token, "url": at.url, "httpOnly": True, "sameSite": "Strict"}
            context.add_cookies([cookie])  # type: ignore[list-item]
        page = context.new_page()
        if (width, height) != SIZE:
            page.set_viewport_size({"width": width, "height": height})
        if dark:
            page.emulate_media(color_scheme="dark")
        if not another_tab:
            cdp = context.new_cdp_session(page)
            cdp.send("Storage.clearDataForOrigin", {"origin": at.url, "storageTypes": "local_storage,indexeddb"})
            cdp.detach()
        if options.get("java_script_enabled") is False:
            _WITHOUT_SCRIPTS.append(page)
        _waits(page)
        page.on("dialog", _leaves)
        watch.page(page)
        drafts.page(page)
        if path:
            page.goto(path)
        return page

    yield opened
    _WITHOUT_SCRIPTS.clear()
    for page in [page for context in contexts for page in profiles.pages(context)]:
        drafts.end(page)
    for context in contexts:
        profiles.give_back(context)
    for at, token in tokens:
        at.end_session(token)


def until(true: Callable[[], Any]) -> None:
    """Wait for something in the database."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def begin_edit(page: Page, section: str) -> None:
    """*Edit*; the cursor comes with the form, and what is typed before would be written there."""
    page.get_by_role("button", name=f"Edit {section}").click()
    expect(page.locator("form[data-draft^='profile-'] :focus")).to_have_count(1)


def sign_in(page: Page, username: str = "receptionist", password: str = DEMO_PASSWORD) -> None:
    """By the form, as people do."""
    page.goto("/login")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in", exact=True).click()
    drawn(page)


def patient_sign_in(page: Page, email: str, password: str) -> None:
    """The patient's door."""
    page.goto("/patient-portal/login")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in", exact=True).click()
    drawn(page)


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
