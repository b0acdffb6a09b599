"""Does a sign-in or a portal creation delay another desk's search? ``python bench/desk.py``

One server as in production (granian, one worker, bcrypt cost 12), a receptionist's tab on the event socket, 68
patients. Measured is a search event, from sending it to the rows' arrival: idle; while four people sign in one after
the other without pause; while portal accounts are created and sign-ins go on; and, for comparison, while as many
processes outside of the server as there are cores do nothing but compute at low priority, as the hashes do.
Prints milliseconds and ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import httpx
from bed import clinic
from sqlalchemy import select

from clinic_app.core import db, routes
from clinic_app.models.accounts import ACCOUNTS, Account
from tests.browser.serving import DEMO_PASSWORD, Server, bound
from tests.browser.sockets import ROOT_STATE, Tab, session

STATE = f"{ROOT_STATE}.clinic_app___ui___"
LIST = f"{STATE}patients___state____patient_list_state"
DIALOG = f"{STATE}portal_dialog___state____portal_dialog_state"
TERMS = ("wa", "am", "od", "ki", "071", "lmc0000", "es", "jo", "ha", "mw")


def quantile(values: list[float], share: float) -> float:
    """The value below which ``share`` of ``values`` lie."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


async def search(tab: Tab, term: str) -> float:
    """Milliseconds from sending one search to the end of its answer."""
    tab.messages.clear()
    tab._arrived.clear()
    begun = time.perf_counter()
    await tab.send(f"{LIST}.search", {"term": term}, path="/patients")
    while not any('"summary_rx_state_"' in message or '"mode_rx_state_"' in message or '"term_rx_state_"' in message
                  for message in tab.messages):  # fmt: skip
        await asyncio.wait_for(tab._arrived.wait(), 30)
        tab._arrived.clear()
    return (time.perf_counter() - begun) * 1000


async def series(tab: Tab, count: int) -> list[float]:
    """Searches at the pace of somebody typing fast."""
    taken = []
    for number in range(count):
        taken.append(await search(tab, TERMS[number % len(TERMS)]))
        await asyncio.sleep(0.03)
    return taken


async def while_(work: list[Callable[[], Awaitable[None]]], tab: Tab, count: int) -> tuple[list[float], float]:
    """The same while each of ``work`` goes on without pause; and how many of them were done a second."""
    done, over = 0, asyncio.Event()

    async def on_and_on(one: Callable[[], Awaitable[None]]) -> None:
        nonlocal done
        while not over.is_set():
            await one()
            done += 1

    running = [asyncio.create_task(on_and_on(one)) for one in work]
    await asyncio.sleep(1)
    begun, before = time.perf_counter(), done
    taken = await series(tab, count)
    rate = (done - before) / (time.perf_counter() - begun)
    over.set()
    await asyncio.gather(*running)
    return taken, rate


async def beside_busy_cores(tab: Tab, count: int) -> list[float]:
    """The same beside processes that only compute: what any load on this machine costs."""
    burn = "import os\nos.nice(10)\nwhile True: pass"
    burning = [subprocess.Popen([sys.executable, "-c", burn]) for _ in range(os.cpu_count() or 1)]
    try:
        await asyncio.sleep(1)
        return await series(tab, count)
    finally:
        for one in burning:
            one.kill()
            one.wait()


def signing_in(http: httpx.AsyncClient, username: str) -> Callable[[], Awaitable[None]]:
    """Sign in with the right password: one hash each."""

    async def once() -> None:
        form = {"username": username, "password": DEMO_PASSWORD}
        answer = await http.post(routes.STAFF_SIGN_IN, data=form)
        assert answer.headers["location"] == routes.RECEPTION, "the sign-in was refused"

    return once


def creating(tab: Tab, patients: list[str]) -> Callable[[], Awaitable[None]]:
    """Create a portal account through the dialog's events: one hash each."""

    async def once() -> None:
        if not patients:
            await asyncio.sleep(0.05)
            return
        number = patients.pop()
        tab.messages.clear()
        await tab.send(f"{DIALOG}.ask_for", {"patient_id": number})
        await tab.send(f"{DIALOG}.submit", {"form": {"email": f"{number.lower()}@bench.example.org"}})
        while "Portal Account Created!" not in tab.text():
            await asyncio.wait_for(tab._arrived.wait(), 30)
            tab._arrived.clear()

    return once


async def measure(server: Server, count: int) -> dict[str, dict[str, float]]:
    """All three, on one server."""
    with bound(server):
        desk, other = (session(server.open_session("receptionist")) for _ in range(2))
    people = ["admin", "clinician", "bench1", "bench2"]
    without = server.sql("SELECT patient_id FROM patients WHERE NOT portal_enabled AND id NOT IN"
                         " (SELECT patient_id FROM accounts WHERE patient_id IS NOT NULL)")  # fmt: skip
    patients = [number for (number,) in without]
    origin = {"Origin": server.url}
    async with Tab(server.url, cookie=desk) as tab, httpx.AsyncClient(base_url=server.url, headers=origin) as http:
        await series(tab, 30)  # warm up
        idle = await series(tab, count)
        burning = await beside_busy_cores(tab, count)
        signing, sign_rate = await while_([signing_in(http, name) for name in people], tab, count)
        async with Tab(server.url, cookie=other) as second:
            work = [creating(second, patients), *[signing_in(http, name) for name in people[:3]]]
            creation, create_rate = await while_(work, tab, count)
    rows = {
        "idle": (idle, 0.0),
        "cores busy elsewhere": (burning, 0.0),
        "4 sign-ins": (signing, sign_rate),
        "portal + 3 sign-ins": (creation, create_rate),
    }
    return {
        name: {
            "p50_ms": round(quantile(taken, 0.5), 2),
            "p95_ms": round(quantile(taken, 0.95), 2),
            "max_ms": round(max(taken), 2),
            "p95_ratio": round(quantile(taken, 0.95) / quantile(idle, 0.95), 2),
            "hashes_a_second": round(rate, 1),
        }
        for name, (taken, rate) in rows.items()
    }


def main() -> None:
    """Make a clinic, serve it, measure, print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=300, help="searches per series")
    options.add_argument("--json", action="store_true", help="answer as JSON")
    given = options.parse_args()
    with clinic(CLINIC_BCRYPT_COST="12") as server:
        with bound(server), db.transaction() as writing:  # two more people with the demo password
            known = writing.execute(select(Account).where(ACCOUNTS.c.username == "clinician")).scalar_one()
            for name in ("bench1", "bench2"):
                kept = known.model_dump(exclude={"id", "username"})
                writing.add(Account(**kept, username=name))
        server.start()
        found = asyncio.run(measure(server, given.count))
    if given.json:
        print(json.dumps(found))
        return
    print(f"{'':<22}{'p50 ms':>9}{'p95 ms':>9}{'max ms':>9}{'p95 ratio':>11}{'hashes/s':>10}")
    for name, row in found.items():
        cells = zip(row.values(), (9, 9, 9, 11, 10), strict=True)
        print(f"{name:<22}" + "".join(f"{value:>{width}}" for value, width in cells))


if __name__ == "__main__":
    main()
