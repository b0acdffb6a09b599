"""Lists read together: each request gets its own answer, and none before it is on record."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from clinic_app.api import patients as door
from clinic_app.core import db, group_commit
from clinic_app.models.accounts import Role
from clinic_app.services.audit import together
from clinic_app.services.audit.chain import verify
from clinic_app.services.patients import listing
from tests import factories
from tests.api.conftest import BASE, bearer
from tests.db.tools import raw

pytestmark = pytest.mark.races
P = "/api/v1/patients/"
LISTED = "SELECT actor_id, request_id FROM audit_events WHERE action = 'PATIENT_LISTED'"


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many were begun together, each time, however long they took, on both databases."""
    monkeypatch.setattr(db, "in_process", lambda: True)
    monkeypatch.setattr(group_commit, "LONG", 60)
    found, real = list[int](), group_commit._all

    def all_of(jobs: list[Any]) -> list[Any]:
        found.append(len(jobs))
        return real(jobs)

    monkeypatch.setattr(group_commit, "_all", all_of)
    return found


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], None]], None]:
    """What happens while lists of so many a page are read."""

    def put(size: int, happens: Callable[[], None]) -> None:
        real = listing.page_of

        def page_of(session: Any, query: Any, order: str) -> Any:
            if query.page_size == size:
                happens()
            return real(session, query, order)

        monkeypatch.setattr(listing, "page_of", page_of)

    return put


async def test_each_gets_their_own_answer_and_what_is_shown_is_on_record(client, desk, sizes):
    for letter in "ABCDEF":
        factories.make_patient(desk, first_name=f"Own{letter}", last_name="Listed")
    person = factories.people().patient
    mine, theirs, nobody = bearer(desk), bearer(person), dict[str, str]()
    asked = [
        (mine, {"page_size": 2, "page": 2}, 200),
        (mine, {"page_size": 3}, 200),
        (nobody, {}, 401),
        (theirs, {}, 403),
        (mine, {"page": 9}, 404),
        (mine, {"page_size": 0}, 400),
        (mine, {"unheard": "of"}, 400),
        (mine, {"ordering": "-patient_id", "page_size": 1}, 200),
    ] * 4
    answers = await asyncio.gather(*[client.get(P, params=params, headers=headers) for headers, params, _ in asked])
    assert max(sizes) > 1
    assert [answer.status_code for answer in answers] == [code for _, _, code in asked]
    shown = [answer for answer in answers if answer.status_code == 200]
    assert [len(answer.json()["results"]) for answer in shown] == [2, 3, 1] * 4
    assert len({answer.text for answer in shown}) == 3
    # a page too far is read and recorded before it is known to be one
    read = [answer for answer in answers if answer.status_code in {200, 404}]
    wanted = [(desk.account_id, answer.headers["x-request-id"]) for answer in read]
    assert sorted(map(tuple, raw(LISTED))) == sorted(wanted)
    assert verify().ok


async def test_what_could_not_be_recorded_is_not_shown(client, desk, own_database, sizes):
    factories.make_patient(desk, first_name="Unseen")
    headers, before = bearer(desk), raw("SELECT count(*) FROM audit_events")

    def full(_: sa.Connection) -> None:
        raise OSError("disk full")

    event.listen(own_database, "commit", full)
    try:
        answers = await asyncio.gather(*[client.get(P, headers=headers) for _ in range(5)])
    finally:
        event.remove(own_database, "commit", full)
    assert {answer.status_code for answer in answers} == {500}
    assert not any("Unseen" in answer.text for answer in answers)
    assert raw("SELECT count(*) FROM audit_events") == before
    assert (await client.get(P, headers=headers)).json()["count"] == 1


async def test_one_that_fails_fails_alone(client, desk, sizes, slowly):
    factories.make_patient(desk)
    headers = bearer(desk)

    def fault() -> None:
        raise ValueError("a fault")

    slowly(7, fault)
    asked = [20, 7, 20, 7, 20, 20]
    answers = await asyncio.gather(*[client.get(P, params={"page_size": size}, headers=headers) for size in asked])
    assert max(sizes) > 1
    assert [answer.status_code for answer in answers] == [500 if size == 7 else 200 for size in asked]
    recorded = [answer.headers["x-request-id"] for answer in answers if answer.status_code == 200]
    assert sorted(ident for _, ident in raw(LISTED)) == sorted(recorded)


async def test_hers_is_refused_whose_session_has_ended_meanwhile(client, desk, sizes, slowly):
    factories.make_patient(desk)
    other = factories.make_staff(Role.ADMIN)
    mine, hers, over = bearer(desk), bearer(other), [other.account_id]

    def ended() -> None:
        if over:  # after all were let in and before anything is recorded
            with db.transaction() as session:
                words = sa.text("UPDATE login_sessions SET ended_at = created_at WHERE account_id = :who")
                session.execute(words, {"who": over.pop()})

    slowly(7, ended)
    asked = [(mine, 20), (hers, 20), (mine, 20), (hers, 7), (mine, 20)]
    answers = await asyncio.gather(*[client.get(P, params={"page_size": n}, headers=who) for who, n in asked])
    assert max(sizes) > 1
    assert [answer.status_code for answer in answers] == [200, 401, 200, 401, 200]
    assert not any("results" in answer.text for answer in answers if answer.status_code == 401)
    assert [who for who, _ in raw(LISTED)] == [desk.account_id] * 3
    refused = "SELECT actor_id FROM audit_events WHERE action = 'ACCESS_DENIED'"
    assert [who for (who,) in raw(refused)] == [other.account_id] * 2
    assert verify().ok


async def test_whoever_has_gone_and_a_list_that_takes_long_hold_no_record_up(client, desk, sizes, slowly):
    patient, headers = factories.make_patient(desk).patient, bearer(desk)
    begun, go_on = threading.Event(), threading.Event()

    def long() -> None:
        begun.set()
        assert go_on.wait(20)

    slowly(7, long)
    asked = [
        asyncio.create_task(client.get(P, params={"page_size": size}, headers=headers)) for size in (20, 7, 20, 20)
    ]
    while not begun.is_set():
        await asyncio.sleep(0.01)
    record = await asyncio.wait_for(client.get(f"{P}{patient.id}/", headers=headers), 10)
    found = await asyncio.wait_for(client.get(P, params={"search": "a"}, headers=headers), 10)
    assert (record.status_code, found.status_code) == (200, 200)
    asked[2].cancel()
    go_on.set()
    done = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 20)
    assert isinstance(done[2], asyncio.CancelledError)
    assert [one.status_code for one in done if isinstance(one, httpx.Response)] == [200] * 3


async def test_who_is_behind_one_that_takes_long_comes_into_the_next_group(own_database, sizes, monkeypatch):
    monkeypatch.setattr(group_commit, "LONG", 0.1)
    queue, order = group_commit.Queue(), list[int]()

    async def one(number: int) -> int:
        done = await queue.run(lambda: time.sleep(0.2 if number == 3 else 0) or number, lambda given: given)
        order.append(done)
        return done

    assert await asyncio.gather(*map(one, range(8))) == list(range(8))
    assert sizes == [8, 4]
    assert order == list(range(8))


@pytest.mark.parametrize(
    ("took", "error", "asked"),
    [
        (0.2, OperationalError("", {}, sqlite3.OperationalError("unable to open database file")), 1),
        (0.0, OperationalError("", {}, sqlite3.OperationalError("unable to open database file")), 5),
        (0.2, ValueError("mine"), 5),
    ],
    ids=["away and slow to say so", "away", "a fault of one"],
)
async def test_a_database_that_is_away_is_not_waited_for_once_for_each(own_database, monkeypatch, took, error, asked):
    monkeypatch.setattr(group_commit, "AWAY", 0.1)
    monkeypatch.setattr(group_commit, "LONG", 60)
    queue, tries = group_commit.Queue(), list[int]()

    def read() -> None:
        tries.append(1)
        time.sleep(took if len(tries) == 1 else 0)
        raise error

    found = await asyncio.gather(*[queue.run(read, str) for _ in range(5)], return_exceptions=True)
    assert found == [error] * 5
    assert len(tries) == asked


@pytest.mark.parametrize(
    ("params", "is_with_others"),
    [
        ({}, True),
        ({"page": "3", "page_size": "100", "ordering": "-name"}, True),
        ({"search": " "}, True),
        ({"search": "a"}, False),
        ({"page": "11", "page_size": "100"}, False),
        ({"ordering": "date_of_birth"}, False),
        ({"ordering": "-date_of_birth"}, False),
        ({"page": "x"}, False),
    ],
)
async def test_what_may_take_long_is_read_by_itself(client, desk, sizes, params, is_with_others):
    factories.make_patient(desk)
    answer = await client.get(P, params=params, headers=bearer(desk))
    assert answer.status_code == (400 if params.get("page") == "x" else 404 if "page" in params else 200)
    assert len(sizes) == is_with_others
    assert door._near(params) is is_with_others


async def test_a_server_reads_for_several_at_a_time(client, desk, own_database, monkeypatch):
    seen, real = list[int](), group_commit._all
    monkeypatch.setattr(group_commit, "_all", lambda jobs: (seen.append(len(jobs)), real(jobs))[1])
    answers = await asyncio.gather(*[client.get(P, headers=bearer(desk)) for _ in range(4)])
    assert [answer.status_code for answer in answers] == [200] * 4
    assert bool(seen) is (own_database.dialect.name == "sqlite")
    assert len(raw(LISTED)) == 4


def test_eight_threads_read_lists_records_and_searches(asgi, desk, sizes):
    ids = [factories.make_patient(desk, first_name=f"Raced{letter}").patient.id for letter in "ABCDEFGH"]
    headers, start, found = bearer(desk), threading.Barrier(8), list[tuple[str, httpx.Response]]()
    faults = list[BaseException]()

    async def several(place: int) -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=asgi), base_url=BASE) as one:
            for turn in range(5):
                paths = [P, f"{P}?page_size={place + 1}", f"{P}{ids[(place + turn) % 8]}/", f"{P}?search=raced", P]
                answers = await asyncio.gather(*[one.get(path, headers=headers) for path in paths])
                found.extend(zip(paths, answers, strict=True))

    def race(place: int) -> None:
        start.wait()
        try:
            asyncio.run(several(place))
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=race, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert not faults
    assert len(found) == 200
    assert {answer.status_code for _, answer in found} == {200}
    for path, answer in found:
        if "page_size" in path:
            assert len(answer.json()["results"]) == int(path.rpartition("=")[2])
    lists = [answer.headers["x-request-id"] for path, answer in found if path == P or "page_size" in path]
    assert sorted(ident for _, ident in raw(LISTED)) == sorted(lists)
    looks = raw("SELECT count(*) FROM audit_events WHERE action IN ('PATIENT_VIEWED', 'PATIENT_SEARCHED')")
    assert looks[0][0] == 80
    assert verify().ok


def test_what_is_left_is_recorded_by_whoever_was_given_it_alone(own_database):
    desk = factories.make_staff()
    shown = {"resource_type": "patient", "details": {"kind": "patients", "page": 1, "count": 0}}
    with together.leaving() as left:
        together.record_alone(desk, together.Action.PATIENT_LISTED, **shown)
        assert raw(LISTED) == []
    together.record_alone(desk, together.Action.PATIENT_LISTED, **shown)
    assert len(raw(LISTED)) == 1
    left.record()
    assert len(raw(LISTED)) == 2
