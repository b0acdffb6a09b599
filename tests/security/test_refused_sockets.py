"""Without a session that may be used there is no socket, whatever is said to open one, and an open one ends with it."""

from __future__ import annotations

import asyncio
import time

import pytest
from socketio.exceptions import ConnectionError as Refused

from clinic_app.core import crypto
from tests.browser.serving import Server
from tests.browser.sockets import HYDRATE, Tab, session
from tests.security.attack import ALPHA, BRAVO, STAFF, marks_in
from tests.security.handlers import registry

ENDS = {
    "ended": "ended_at = created_at",
    "idle": "last_seen_at = '2020-01-01 00:00:00'",
    "absolute": "expires_at = '2020-01-01 00:00:00'",
}


async def refused(url: str, cookie: str, token: str = "") -> Tab:
    """Try to connect, and fire everything there is at what does not open."""
    tab = Tab(url, token, cookie)
    with pytest.raises(Refused):
        await tab.__aenter__()
    for handler in registry().ours:
        with pytest.raises(Exception, match="not a connected namespace"):
            await tab.send(handler.name)
    assert tab.messages == []
    assert tab.new_token == ""
    return tab


def _of_strangers(server: Server) -> dict[str, list[tuple[object, ...]]]:
    """All that is kept, without how often sessions were refused something: that is written some time after it was."""
    kept = server.dump()
    kept["refusal_counts"] = [row for row in kept["refusal_counts"] if not str(row[0]).startswith("session ")]
    return kept


@pytest.mark.asvs("4.4.3", "8.2.1")
@pytest.mark.parametrize(
    "cookie",
    ["", "clinic_session=", "clinic_session=guess", "clinic_session='; --", "clinic_session=" + "x" * 4000,
     "clinic_address=127.0.0.1", "clinic_way_back=x; clinic_again=1"],
)  # fmt: skip
async def test_nobody_connects(attacked, cookie):
    before, seen = _of_strangers(attacked.server), len(attacked.server.log_text())
    await refused(attacked.server.url, cookie)
    assert _of_strangers(attacked.server) == before, "a stranger's request writes nothing"
    assert marks_in(attacked.server.log_text()[seen:], ALPHA, BRAVO, STAFF) == set()


async def test_nor_does_anybody_with_another_ones_tab(attacked):
    async with Tab(attacked.server.url, cookie=session(attacked.sign_in("second"))) as tab:
        await tab.send(HYDRATE)
        await tab.settled()
        await refused(attacked.server.url, "", tab.token)


@pytest.mark.asvs("7.4.1", "7.2.2")
@pytest.mark.parametrize("how", [*ENDS, "its hash", "a temporary password"])
async def test_nor_does_whoever_has_no_session_to_use(attacked, how):
    token = attacked.sign_in("newcomer@example.org" if how == "a temporary password" else "second")
    if how in ENDS:
        attacked.server.sql(f"UPDATE login_sessions SET {ENDS[how]} WHERE token_hash = ?", crypto.digest(token))
    await refused(attacked.server.url, session(crypto.digest(token) if how == "its hash" else token))


@pytest.mark.asvs("7.4.1")
@pytest.mark.parametrize("how", ENDS)
async def test_an_open_socket_ends_within_a_second_of_its_session(attacked, how):
    token, other = attacked.sign_in("second"), attacked.sign_in("second")
    url = attacked.server.url
    async with Tab(url, cookie=session(token)) as tab, Tab(url, cookie=session(other)) as stays:
        await tab.send(HYDRATE)
        await tab.settled()
        attacked.server.sql(f"UPDATE login_sessions SET {ENDS[how]} WHERE token_hash = ?", crypto.digest(token))
        begun = time.monotonic()
        while tab.connected() and time.monotonic() - begun < 8:
            await asyncio.sleep(0.02)
        assert time.monotonic() - begun < 5  # one, and what a busy machine adds
        await stays.send(HYDRATE)
        await stays.settled()


async def test_while_sessions_cannot_be_looked_up_nobody_connects_and_no_tab_is_emptied(attacked):
    token = attacked.sign_in("second")
    async with Tab(attacked.server.url, cookie=session(token)) as tab:
        await tab.send(HYDRATE)
        await tab.settled()
        attacked.server.sql("ALTER TABLE login_sessions RENAME TO login_sessions_away")
        try:
            await tab.send(HYDRATE)
            begun = time.monotonic()
            while tab.connected() and time.monotonic() - begun < 20:
                await asyncio.sleep(0.02)
            assert not tab.connected(), "it has to ask again"
            await refused(attacked.server.url, session(token), tab.token)
        finally:
            attacked.server.sql("ALTER TABLE login_sessions_away RENAME TO login_sessions")
    async with Tab(attacked.server.url, tab.token, session(token)) as again:
        await again.send(HYDRATE)
        await again.settled()
