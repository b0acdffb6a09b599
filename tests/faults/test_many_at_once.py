"""Thousands of sign-ins at once, and eight programs that register without a pause: it goes on, nothing is lost."""

from __future__ import annotations

import asyncio
import json
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from clinic_app.services.audit import chain
from tests import factories
from tests.browser.serving import Server, bound
from tests.faults.conftest import serving
from tests.faults.test_once import program_of

#: Sign-ins: at every run, and with the slow tests; so many are under way at any moment.
SMALL, FULL, UNDER_WAY, COST = 400, 2000, 200, 12
WRITERS, EACH = 8, 25
ME = {"X-Forwarded-For": "203.0.113.9"}


# --- hashes -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dear(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One worker on SQLite, with hashes as dear as in production, behind a proxy that says who asks."""
    made = serving(tmp_path_factory.mktemp("dear"), CLINIC_BCRYPT_COST=str(COST), CLINIC_TRUSTED_PROXY_HOPS="1")
    made.start()
    yield made
    made.stop()


async def guess(server: Server, number: int, statuses: Counter[str]) -> None:
    """One wrong sign-in from an address of its own, on a connection of its own."""
    body = json.dumps({"username": f"nobody{number}", "password": "wrong passphrase"}).encode()
    address = f"198.{51 + number % 50}.{number // 50 % 250}.7"
    head = (
        f"POST /api/v1/auth/login/ HTTP/1.1\r\nHost: localhost:{server.port}\r\nContent-Type: application/json\r\n"
        f"X-Forwarded-For: {address}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head.encode() + body)
        line = await reader.readline()
        statuses[line.split()[1].decode() if line else "no answer"] += 1
        await reader.read()
        writer.close()
    except OSError as error:
        statuses[type(error).__name__] += 1


def signs_in(server: Server, http: httpx.Client) -> httpx.Response:
    form = {"username": "reception", "password": factories.PASSWORD}
    page = {"Sec-Fetch-Site": "same-origin", "Origin": server.url, **ME}
    return http.post(f"{server.url}{'/login'}", data=form, headers=page, timeout=120)


@pytest.mark.parametrize("size", [SMALL, pytest.param(FULL, marks=pytest.mark.slow)])
@pytest.mark.timeout(900)
def test_sign_ins_without_end_keep_no_desk_from_working(dear: Server, counters: dict[str, Any], size: int) -> None:
    program = program_of(dear) | ME
    http = httpx.Client(timeout=120)
    assert signs_in(dear, http).status_code == 303  # from now on this browser is known
    statuses, over, seconds = Counter[str](), threading.Event(), dict[str, list[float]]()
    desk = Counter[str]()

    def work() -> None:
        while True:
            for what in ("registers", "looks", "signs in"):
                begun = time.monotonic()
                if what == "registers":
                    person = {"first_name": "Flood", "last_name": "Fault", "allow_duplicate": True}
                    answer = http.post(f"{dear.url}/api/v1/patients/", json=person, headers=program)
                    record = f"{dear.url}/api/v1/patients/{answer.json()['patient']['id']}/"
                elif what == "looks":
                    answer = http.get(record, headers=program)
                else:
                    answer = signs_in(dear, http)
                desk[f"{what} {answer.status_code}"] += 1
                seconds.setdefault(what, []).append(time.monotonic() - begun)
            if over.is_set():
                return

    async def flood() -> None:
        numbers = iter(range(size))

        async def stranger() -> None:
            for number in numbers:
                await guess(dear, number, statuses)

        await asyncio.gather(*(stranger() for _ in range(UNDER_WAY)))

    thread = threading.Thread(target=work)
    begun = time.monotonic()
    thread.start()
    asyncio.run(flood())
    took = time.monotonic() - begun
    over.set()
    thread.join(200)
    assert not thread.is_alive()
    counters.update(
        flood=dict(sorted(statuses.items())),
        seconds=round(took, 1),
        desk=dict(sorted(desk.items())),
        median={what: round(statistics.median(times), 2) for what, times in seconds.items()},
        slowest={what: round(max(times), 2) for what, times in seconds.items()},
    )
    assert set(statuses) <= {"401", "429", "503"}
    assert sum(statuses.values()) == size
    assert set(desk) == {"registers 201", "looks 200", "signs in 303"}
    assert max(max(times) for times in seconds.values()) < 30
    assert '"status": 500' not in dear.log_text()


# --- writers ------------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """One worker on SQLite; two on PostgreSQL."""
    if request.param == "postgres":
        yield request.getfixturevalue("workers")
        return
    made = serving(tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.mark.timeout(300)
def test_eight_that_register_without_a_pause(either: Server, counters: dict[str, Any]) -> None:
    program, statuses, told = program_of(either), Counter[str](), list[str]()

    def work(writer: int) -> None:
        with httpx.Client(base_url=either.url, timeout=60, headers=program) as http:
            for number in range(EACH):
                person = {"first_name": f"Eight{writer}n{number}", "last_name": "Fault", "allow_duplicate": True}
                answer = http.post("/api/v1/patients/", json=person)
                statuses[str(answer.status_code)] += 1
                told.append(answer.json()["patient"]["patient_id"])

    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(WRITERS)]
    begun = time.monotonic()
    for one in threads:
        one.start()
    for one in threads:
        one.join(200)
        assert not one.is_alive()
    took = time.monotonic() - begun
    kept = [name for (name,) in either.sql("SELECT patient_id FROM patients WHERE last_name = 'Fault'")]
    numbers = sorted(int(name.removeprefix("LMC")) for name in kept)
    counters.update(
        statuses,
        told=len(told),
        kept=len(kept),
        lost=len(set(told) - set(kept)),
        doubled=len(told) - len(set(told)),
        gaps=numbers[-1] - numbers[0] + 1 - len(numbers),
        **{"a second": round(len(told) / took)},
    )
    assert (counters["lost"], counters["doubled"], counters["gaps"]) == (0, 0, 0)
    assert statuses == {"201": WRITERS * EACH}
    with bound(either):
        assert chain.verify().ok
