"""Two workers on PostgreSQL and Redis: whatever ends, limits or shows something does so on both."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from clinic_app.core import crypto
from clinic_app.services.access import Actor
from clinic_app.services.accounts import sessions
from clinic_app.services.rates import LISTS
from tests import factories
from tests.browser.serving import Server
from tests.browser.sockets import HYDRATE, ROOT_STATE, Tab, session
from tests.security import stores
from tests.security.attack import BAR, DIALOG, LIST
from tests.security.test_shown_passwords import password_of

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("own_database", ["postgres"], indirect=True)]
RECEPTION = f"{ROOT_STATE}.clinic_app___ui___reception___state____reception_state"
WITHIN = 1.5  # seconds: one, and what a busy machine adds
BADGE = '"portal": "temporary"'  # as a row of a list holds it
AN_HOUR = 20  # pages of the list to one person


def forget_lists(actor: Actor) -> None:
    """Forget how many pages were opened by the account of this number: it was another database's."""
    client = stores.redis_or_skip()
    for key in client.scan_iter(f"*{LISTS}:{actor.account_id}/*"):
        client.delete(key)


@pytest.fixture
def server(own_database: sa.Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers."""
    stores.redis_or_skip()
    made = Server(
        tmp_path_factory.mktemp("workers"),
        "tests.security.looking_in:create",
        CLINIC_DATABASE_URL=own_database.url.render_as_string(hide_password=False),
        CLINIC_REDIS_URL=stores.REDIS,
        CLINIC_WORKERS="2",
        CLINIC_API_RATE_FACTOR="1",
        CLINIC_LIST_PAGES_PER_HOUR=str(AN_HOUR),
    )
    made.build()
    forget_lists(factories.make_staff("RECEPTIONIST", "reception"))
    made.start()
    yield made
    made.stop()


def where(server: Server, patience: float = 20.0) -> dict[str, int]:
    """Tab → the process that has it, told by both processes."""
    told: dict[int, set[str]] = {}
    begun = time.monotonic()
    while len(told) < 2:
        assert time.monotonic() - begun < patience, "one worker never answers"
        pid, tabs = pickle.loads(httpx.get(f"{server.url}/looking-in/tabs", timeout=10).content)
        told[pid] = tabs
    return {tab: pid for pid, tabs in told.items() for tab in tabs}


@contextlib.asynccontextmanager
async def on_both(server: Server, cookie: str) -> AsyncIterator[list[Tab]]:
    """Tabs of one session, some on each worker."""
    async with contextlib.AsyncExitStack() as stack:
        tabs: list[Tab] = []
        while len({*(await asyncio.to_thread(where, server)).values()}) < 2:
            assert len(tabs) < 16, "all go to one worker"
            tabs += [await stack.enter_async_context(Tab(server.url, cookie=cookie)) for _ in range(2)]
        for tab in tabs:
            await tab.send(HYDRATE)
            await tab.settled(20)
        yield tabs


async def until(what: Callable[[], Any], patience: float) -> None:
    begun = time.monotonic()
    while not what():
        assert time.monotonic() - begun < patience
        await asyncio.sleep(0.02)


@pytest.mark.asvs("7.4.1")
async def test_signing_out_ends_the_sockets_of_both_within_a_second(server):
    token, other = server.open_session("reception"), server.open_session("reception")
    async with Tab(server.url, cookie=session(other)) as stays, on_both(server, session(token)) as tabs:
        answer = await asyncio.to_thread(
            httpx.post, f"{server.url}/auth/logout", headers={"Cookie": session(token), "Origin": server.url}
        )
        assert answer.status_code == 303
        await until(lambda: not any(tab.connected() for tab in tabs), WITHIN)
        assert stays.connected()


async def test_what_changes_is_shown_by_both(server):
    async with on_both(server, session(server.open_session("reception"))) as tabs:
        for tab in tabs:
            await tab.send(f"{RECEPTION}.watch")
            await tab.settled(20)
        await asyncio.to_thread(factories.make_patient, factories.make_staff("RECEPTIONIST"), first_name="Zqxlive")
        await until(lambda: all("Zqxlive" in tab.text() for tab in tabs), 10)


async def test_the_badge_of_portal_access_reaches_open_lists_of_both(server):
    """Given in a dialog on one worker; the lists, those on the other worker too, say so by themselves."""
    done = factories.make_patient(factories.make_staff("RECEPTIONIST"), first_name="Zqxbadge")
    async with on_both(server, session(server.open_session("reception"))) as tabs:
        for tab in tabs:
            await tab.send(f"{LIST}.load", path="/patients")
            await tab.send(f"{LIST}.watch", path="/patients")
            await tab.settled(20)
            assert "Zqxbadge" in tab.text()
            assert BADGE not in tab.text()
        form = {"email": "badge@example.org"}
        await tabs[0].send(f"{DIALOG}.ask_for", {"patient_id": done.patient.patient_id})
        await tabs[0].send(f"{DIALOG}.submit", {"patient_id": done.patient.patient_id, "form": form})
        await until(lambda: all(BADGE in tab.text() for tab in tabs), 10)


async def test_wrong_passwords_are_counted_together(server):
    def attempt() -> int:
        body = {"username": "reception", "password": "wrong passphrase here"}
        return httpx.post(f"{server.url}/api/v1/auth/login/", json=body, timeout=20).status_code

    answers = [await asyncio.to_thread(attempt) for _ in range(14)]  # each its own connection
    assert answers.count(401) <= 5
    assert answers.count(429) == 14 - answers.count(401)


async def test_whatever_is_in_redis_expires_by_itself(server):
    """Looked at again and again while two workers write there: state of pages, their locks, who has them, counts."""
    client, seen, over = stores.redis_or_skip(), dict[str, int](), threading.Event()

    def look() -> None:
        for key in client.scan_iter():
            left = client.pttl(key)
            if left != -2:  # it has gone
                name = key.decode()
                seen[name] = -1 if -1 in (left, seen.get(name)) else max(left, seen.get(name, 0))  # type: ignore[type-var]

    def look_on() -> None:
        while not over.wait(0.01):
            look()

    def call(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.get(f"{server.url}/api/v1/patients/", headers=headers, timeout=20).status_code

    login = {"username": "reception", "password": factories.PASSWORD}
    answer = await asyncio.to_thread(httpx.post, f"{server.url}/api/v1/auth/login/", json=login, timeout=20)
    looking = asyncio.create_task(asyncio.to_thread(look_on))
    try:
        async with on_both(server, session(server.open_session("reception"))) as tabs:
            for tab in tabs:
                await tab.send(f"{RECEPTION}.watch")
                await tab.send(f"{BAR}.search", {"term": "somebody"})
            assert [await asyncio.to_thread(call, answer.json()["access"]) for _ in range(8)] == [200] * 8
            for tab in tabs:
                await tab.settled(20)
            await asyncio.to_thread(look)
    finally:
        over.set()
        await looking
    await asyncio.to_thread(look)
    states = [name for name in seen for tab in tabs if name.startswith(f"{tab.token}_") and ROOT_STATE in name]
    owners = [name for name in seen for tab in tabs if name.endswith(tab.token)]
    assert states
    assert len(owners) == len(tabs)
    assert [name for name in seen if name.startswith("LIMITS")]
    assert [name for name, left in seen.items() if left < 0] == []
    assert max(seen[name] for name in states + owners) <= 60_000
    assert max(seen.values()) <= 2 * 3600 * 1000


async def test_pages_of_the_list_are_counted_together(server):
    reader = factories.make_staff("RECEPTIONIST", "reader")
    forget_lists(reader)
    body = {"username": "reader", "password": factories.PASSWORD}
    access = httpx.post(f"{server.url}/api/v1/auth/login/", json=body, timeout=20).json()["access"]

    def ask() -> httpx.Response:
        return httpx.get(f"{server.url}/api/v1/patients/", headers={"Authorization": f"Bearer {access}"}, timeout=20)

    answers = [await asyncio.to_thread(ask) for _ in range(AN_HOUR + 6)]  # each its own connection
    assert [answer.status_code for answer in answers] == [200] * AN_HOUR + [429] * 6
    assert all(1 <= int(answer.headers["retry-after"]) <= 3600 for answer in answers[AN_HOUR:])


async def test_a_shown_password_comes_back_on_the_other_worker_too(server):
    cookie = session(server.open_session("reception"))
    done = factories.make_patient(factories.make_staff("RECEPTIONIST"))
    async with Tab(server.url, cookie=cookie) as tab:
        await tab.send(HYDRATE)
        await tab.send(f"{DIALOG}.ask_for", {"patient_id": done.patient.patient_id})
        form = {"email": "two.workers@example.org"}
        await tab.send(f"{DIALOG}.submit", {"patient_id": done.patient.patient_id, "form": form})
        await tab.settled(20)
        password, first = password_of(tab), (await asyncio.to_thread(where, server))[tab.token]
    assert len(password) == 12
    for _ in range(16):
        async with Tab(server.url, tab.token, cookie) as again:
            assert again.new_token == ""
            await again.send(HYDRATE)
            await again.settled(20)
            assert password in again.text()
            if (await asyncio.to_thread(where, server))[tab.token] != first:
                return
    pytest.fail("it always came back to the same worker")


async def test_whoever_is_signed_out_leaves_nothing_in_redis(server):
    """On whichever worker the tab was: what its page held goes with the session, not a minute later."""
    client, token = stores.redis_or_skip(), server.open_session("reception")
    factories.make_patient(factories.make_staff("RECEPTIONIST"), first_name="Zqxkept")

    def held(tabs: list[Tab]) -> list[bool]:
        keys = [[*client.scan_iter(f"{tab.token}_*")] for tab in tabs]  # type: ignore[misc]
        return [any(b"Zqxkept" in (client.get(key) or b"") for key in one) for one in keys]  # type: ignore[operator]

    async with on_both(server, session(token)) as tabs:
        for tab in tabs:
            await tab.send(f"{BAR}.search", {"term": "Zqxkept"})
            await tab.settled(20)
        assert all(held(tabs))
        await asyncio.to_thread(sessions.sign_out, crypto.digest(token))
        await until(lambda: not any(tab.connected() for tab in tabs), WITHIN)
        await until(lambda: not any(held(tabs)), 20)
