"""Events that no page sends. None changes anything, leaves anything behind, or costs more than an event does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.browser.serving import Server
from tests.browser.sockets import HYDRATE, ROOT_STATE, Tab, session
from tests.security import attack
from tests.security.attack import BAR, BRAVO, DIALOG, LIST, RECORDS, ROOM, Target, marks_in

APART = (*RECORDS, "login_sessions")
DEEP: Any = 1
for _ in range(150):
    DEEP = {"a": [DEEP]}
#: Instead of a number, a text, a form: what JSON can hold, and what only some readers take for JSON.
ODD = (None, True, -1, 2**63, 10**400, 1.5, -0.0, "", "x" * 20_000, "\ud800", "\x00", [], {}, [[]], DEEP)
WORDS = ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" * 4000)
INTERNAL = f"{ROOT_STATE}.reflex___state____"
#: What leads into Reflex itself.
NAMES = (
    f"{ROOT_STATE}.hydrate_and_load", f"{ROOT_STATE}.set_is_hydrated", f"{ROOT_STATE}.setvar", f"{ROOT_STATE}.reset",
    f"{ROOT_STATE}.router_data", f"{INTERNAL}on_load_internal_state.on_load_internal",
    f"{INTERNAL}on_load_internal_state.set_is_hydrated", f"{INTERNAL}update_vars_internal_state.update_vars_internal",
    f"{INTERNAL}frontend_event_exception_state.handle_frontend_exception", f"{INTERNAL}shared_state.link", "_upload",
    f"{DIALOG}.set_password", f"{DIALOG}.password", f"{DIALOG}.set__sealed", f"{DIALOG}._succeed",
    f"{DIALOG}.get_delta",
    f"{DIALOG}.set_username", f"{LIST}.__class__", f"{LIST}.", ".", "..", "_call_function", "_redirect", "x" * 60_000,
)  # fmt: skip


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A clinic with room for all of it, and a window into what the server runs and keeps."""
    server = Server(tmp_path_factory.mktemp("hostile"), "tests.security.looking_in:create", **ROOM)
    with attack.target(server) as made:
        yield made


@pytest.fixture
async def tab(clinic: Target) -> AsyncIterator[Tab]:
    """A receptionist's tab, which works before and after, while nothing in the database changes."""
    before, seen = clinic.server.dump(APART), len(clinic.server.log_text())
    async with Tab(clinic.server.url, cookie=session(clinic.sign_in("receptionist"))) as made:
        await made.send(HYDRATE)
        await made.settled()
        yield made
        made.messages.clear()
        await made.send(f"{BAR}.search", {"term": BRAVO})
        await made.settled()
        assert marks_in(made.text(), BRAVO)
    assert clinic.server.dump(APART) == before
    log = clinic.server.log_text()[seen:]
    assert "Traceback" not in log
    assert [line for line in log.splitlines() if not line.startswith("{")] == []


def kept_of(clinic: Target, tab: Tab) -> int:
    """Bytes of the tab's state."""
    return len(clinic.look("kept")[tab.token])


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.rpartition(".")[2][:20] or "dots")
async def test_names_that_lead_into_reflex(clinic, tab, name):
    await tab.send(name, {})
    await tab.settled()
    before = kept_of(clinic, tab)  # with the page that some of them load
    forged = {f"{DIALOG}.step": "done", f"{DIALOG}.username": "evil"}
    payloads = ({"vars": forged}, {"name": "step", "value": "x"}, {"value": "evil"}, {"info": "evil" * 1000})
    for payload in payloads:
        await tab.send(name, payload)
    await tab.settled()
    assert '"step": "done"' not in tab.text()
    assert "evil" not in tab.text()
    assert b"evil" not in clinic.look("kept")[tab.token]
    assert kept_of(clinic, tab) < before + 2_000


@pytest.mark.parametrize(
    "handler",
    [
        f"{BAR}.search",
        pytest.param(f"{DIALOG}.change_open", marks=pytest.mark.slow),
        pytest.param(f"{LIST}.turn", marks=pytest.mark.slow),
        pytest.param(f"{DIALOG}.submit", marks=pytest.mark.slow),
    ],
)
async def test_payloads_of_all_kinds(clinic, tab, handler):
    for odd in ODD:
        for payload in (
            odd,
            {"term": odd},
            {"turn": odd, "wanted": odd},
            {"patient_id": odd, "form": odd},
            {"by": odd},
        ):
            await tab.send_raw({"name": handler, "payload": payload, "router_data": {"pathname": "/"}})
    for number in WORDS:
        text = (
            f'{{"name": {json.dumps(handler)}, "payload": {{"turn": {number}, "term": {number}}}, "router_data": {{}}}}'
        )
        await tab.send_text(f'42/_event,["event",{text}]')
    await tab.settled(30)


async def test_where_a_page_says_it_is_may_be_anything(clinic, tab):
    for odd in ODD:
        claims = ({key: odd} for key in ("pathname", "asPath", "query", "headers", "client_token", "session_id", "ip"))
        for at in (odd, {"query": {"patient_id": odd}}, *claims):
            await tab.send_raw({"name": f"{BAR}.search", "payload": {"term": "x"}, "router_data": at})
    await tab.settled(30)


async def test_what_a_page_says_of_itself_does_not_pile_up(clinic, tab):
    before = kept_of(clinic, tab)
    for number in range(60):
        at = {"pathname": "/", "asPath": "/", "query": {f"q{number}": "x" * 25_000}, f"k{number}": "x" * 25_000}
        await tab.send_raw({"name": f"{BAR}.search", "payload": {"term": "x"}, "router_data": at})
        if number % 10 == 9:  # a megabyte that has not been looked at yet is taken for one message without end
            await tab.settled()
    assert kept_of(clinic, tab) < before + 10_000


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_names_there_are_not_leave_nothing(clinic, tab, count):
    await tab.settled()
    before = clinic.look("futures")
    for number in range(count):
        await tab.send(f"{ROOT_STATE}.none{number}.at_all", {"x": number})
        if number % 500 == 499:  # a megabyte that has not been looked at yet is taken for one message without end
            await tab.settled()
    assert clinic.look("futures") <= before + 5


@pytest.mark.slow
async def test_a_thousand_whole_pages_are_not_sent(clinic, tab):
    tab.messages.clear()
    for _ in range(1_000):
        await tab.send(HYDRATE)
    await tab.settled(60)
    assert sum(len(message) for message in tab.messages) < 1_500_000
    await asyncio.sleep(1.5)
    tab.messages.clear()
    await tab.send(HYDRATE)
    await tab.settled()
    assert len(tab.text()) > 10_000, "a page that comes back gets what it asks for"
