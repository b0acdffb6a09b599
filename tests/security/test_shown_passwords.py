"""A temporary password is on one screen and in no store: not while it is shown, and nothing of it afterwards."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import rxconfig
from clinic_app.core import routes
from tests import factories
from tests.browser.serving import Server, bound
from tests.browser.sockets import HYDRATE, Tab, session
from tests.security import attack, stores
from tests.security.attack import DIALOG, REGISTER, visitor

pytestmark = pytest.mark.slow

KEPT = 4  # seconds that state of a closed tab is kept here, in place of the minute
MARK = "zqxshownq"


@pytest.fixture(scope="module", params=["memory", "redis"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[stores.Store]:
    """A clinic and where it keeps page state."""
    client = stores.redis_or_skip() if request.param == "redis" else None
    more = {"CLINIC_REDIS_URL": stores.REDIS} if client else {}
    folder = tmp_path_factory.mktemp("shown")
    server = Server(
        folder, "tests.security.looking_in:create", REFLEX_REDIS_TOKEN_EXPIRATION=str(KEPT), SHOWN_MINUTES="0.2", **more
    )
    with attack.target(server) as made:
        yield stores.Store(made, client)


async def until(what: Callable[[], Any], patience: float) -> float:
    """Wait for it; returns how long."""
    begun = time.monotonic()
    while not await asyncio.to_thread(what):
        assert time.monotonic() - begun < patience, "it is still there"
        await asyncio.sleep(0.1)
    return time.monotonic() - begun


def password_of(tab: Tab) -> str:
    """What the page was sent to show last."""
    for message in reversed(tab.messages):
        for state, values in (json.loads(message).get("delta") or {}).items():
            if state == DIALOG:
                for name, value in values.items():
                    if name.startswith("password") and value:
                        return value
    return ""


class Shown:
    """A tab with credentials on it."""

    def __init__(self, store: stores.Store, tab: Tab, token: str) -> None:
        self.store, self.tab, self.token = store, tab, token
        self.password, self.sealed = "", set[bytes]()

    async def show(self) -> None:
        """Create an account; the password is shown, and readable nowhere else."""
        with bound(self.store.clinic.server):
            desk = factories.make_staff("RECEPTIONIST")
            done = factories.make_patient(desk, first_name=f"Who{MARK}")
        await self.tab.send(HYDRATE)
        await self.tab.settled()
        before = stores.sealed_in(*self.store.all())
        await self.tab.send(f"{DIALOG}.ask_for", {"patient_id": done.patient.patient_id})
        email = f"{MARK}{time.monotonic_ns()}@example.org"
        await self.tab.send(f"{DIALOG}.submit", {"patient_id": done.patient.patient_id, "form": {"email": email}})
        await self.tab.settled()
        self.password = password_of(self.tab)
        assert len(self.password) == 12
        kept = self.store.all()
        assert any(MARK.encode() in one for one in kept), "this is where it would be"
        assert not stores.found(self.password, *kept)
        self.sealed = stores.sealed_in(*kept) - before
        assert len(self.sealed) == 1, "it is kept for its own session only"

    def gone(self) -> bool:
        """Whether nothing is left of it, not even sealed."""
        kept = self.store.all()
        assert not stores.found(self.password, *kept)
        return not any(one in blob for one in self.sealed for blob in kept)

    def empty(self) -> bool:
        """Whether nothing is left of the patient either."""
        return not any(MARK.encode() in one for one in self.store.all())


@pytest.fixture
async def shown(store: stores.Store) -> AsyncIterator[Shown]:
    """Credentials on the screen of somebody who works there."""
    token = store.clinic.sign_in("receptionist")
    async with Tab(store.clinic.server.url, cookie=session(token)) as tab:
        made = Shown(store, tab, token)
        await made.show()
        yield made
    await until(made.empty, KEPT * 3 + 10)  # nothing for the next one to find


def test_a_closed_tabs_state_is_kept_a_minute():
    assert rxconfig.config.redis_token_expiration == 60


async def test_gone_on_close(shown):
    await shown.tab.send(f"{DIALOG}.close", {"turn": turn_of(shown.tab)})
    await shown.tab.settled()
    assert shown.gone()


def turn_of(tab: Tab) -> int:
    found = 0
    for message in tab.messages:
        for state, values in (json.loads(message).get("delta") or {}).items():
            if state == DIALOG:
                found = next((value for name, value in values.items() if name.startswith("turn")), found)
    return found


async def test_gone_on_leaving_the_page(shown):
    await shown.tab.send(f"{DIALOG}.forget", path="/patients")
    await shown.tab.settled()
    assert shown.gone()


@pytest.mark.asvs("7.4.1")
async def test_gone_on_signing_out_with_all_that_the_page_held(shown):
    with visitor(shown.store.clinic.server) as browser:
        answer = browser.post(routes.SIGN_OUT, headers={"Cookie": session(shown.token)})
    assert answer.status_code == 303, answer.text
    waited = await until(lambda: shown.gone() and shown.empty(), KEPT)
    assert waited < KEPT - 0.5, "at once, not when its time is over"


@pytest.mark.slow
async def test_gone_soon_after_the_tab_is_closed(shown):
    await shown.tab.__aexit__()
    assert not shown.gone(), "a lost line changes nothing yet"
    await until(lambda: shown.gone() and shown.empty(), KEPT + 5)


@pytest.mark.slow
async def test_there_again_for_who_comes_back_and_for_nobody_else(shown):
    await shown.tab.__aexit__()
    url = shown.store.clinic.server.url
    async with Tab(url, shown.tab.token, session(shown.token)) as again:
        await again.send(HYDRATE)
        await again.settled()
        assert shown.password in again.text()
        assert not shown.gone()
    async with Tab(url, shown.tab.token, session(shown.store.clinic.sign_in("receptionist"))) as other:
        await other.send(HYDRATE)
        await other.settled()
        assert shown.password not in other.text()
    assert await asyncio.to_thread(shown.gone)


@pytest.mark.slow
async def test_gone_when_its_time_is_over_and_an_open_tab_keeps_its_state_meanwhile(shown):
    waited = await until(shown.gone, 30)
    assert waited > KEPT * 1.5, "a connected tab is not a closed one, however quiet"
    await shown.tab.settled()
    assert "Who" in shown.tab.text()


@pytest.mark.slow
async def test_whoever_ends_the_timer_does_not_keep_the_password(shown):
    for _ in range(5):
        await shown.tab.send(f"{DIALOG}.expire")
    await until(shown.gone, 30)


@pytest.mark.slow
@pytest.mark.parametrize("store", ["redis"], indirect=True)  # memory goes with its process
async def test_gone_soon_after_the_server_is(store):
    server = store.clinic.server
    token = store.clinic.sign_in("receptionist")
    tab = Tab(server.url, cookie=session(token))
    await tab.__aenter__()
    made = Shown(store, tab, token)
    await made.show()
    await asyncio.to_thread(server.kill)
    try:
        await until(lambda: made.gone() and made.empty(), KEPT + 5)
    finally:
        await asyncio.to_thread(server.start)
        await tab.__aexit__()


async def test_a_registration_leaves_nothing_behind_either(store):
    token = store.clinic.sign_in("receptionist")
    async with Tab(store.clinic.server.url, cookie=session(token)) as tab:
        await tab.send(HYDRATE)
        form = {
            "first_name": f"Reg{MARK}", "last_name": "Canary", "portal_email": f"reg{MARK}@example.org",
            "create_portal_account": True,
        }  # fmt: skip
        await tab.send(f"{REGISTER}.submit", {"form": form}, path="/patients/new")
        await tab.settled()
        password = password_of(tab)
        assert len(password) == 12
        assert not stores.found(password, *await asyncio.to_thread(store.all))
    await until(lambda: not any(MARK.encode() in one for one in store.all()), KEPT + 10)
