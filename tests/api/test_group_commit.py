"""Records looked at together: each request gets its own answer, and none before its look is safe."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest
import sqlalchemy as sa

from clinic_app.core import db, group_commit
from clinic_app.models.accounts import Role
from clinic_app.services.audit.chain import verify
from clinic_app.services.patients import registration
from tests import factories
from tests.api.conftest import bearer
from tests.db.tools import raw

pytestmark = pytest.mark.races
P = "/api/v1/patients/"


async def test_forty_at_once_get_their_own_answers(client, desk):
    patients = [factories.make_patient(desk, first_name=f"Own{letter}").patient for letter in "ABCDEFGH"]
    known, nobody = bearer(desk), {}
    wanted = [(patients[i % 8].id if i % 5 else 9_000 + i, known if i % 7 else nobody) for i in range(40)]
    answers = await asyncio.gather(*[client.get(f"{P}{ident}/", headers=headers) for ident, headers in wanted])
    seen = []
    for (ident, headers), answer in zip(wanted, answers, strict=True):
        if not headers:
            assert answer.status_code == 401
        elif ident >= 9_000:
            assert answer.status_code == 404
        else:
            assert answer.json()["id"] == ident
            seen.append((ident, answer.headers["x-request-id"]))
    trail = raw("SELECT resource_id, request_id FROM audit_events WHERE action = 'PATIENT_VIEWED'")
    assert sorted(map(tuple, trail)) == sorted(seen)
    assert verify().ok


async def test_what_could_not_be_recorded_is_not_shown(client, desk, own_database):
    patient, headers = factories.make_patient(desk, first_name="Unseen").patient, bearer(desk)
    before = raw("SELECT count(*) FROM audit_events")

    def full(_: sa.Connection) -> None:
        raise OSError("disk full")

    sa.event.listen(own_database, "commit", full)
    try:
        answers = await asyncio.gather(*[client.get(f"{P}{patient.id}/", headers=headers) for _ in range(5)])
    finally:
        sa.event.remove(own_database, "commit", full)
    assert {answer.status_code for answer in answers} == {500}
    assert not any("Unseen" in answer.text for answer in answers)
    assert raw("SELECT count(*) FROM audit_events") == before
    assert (await client.get(f"{P}{patient.id}/", headers=headers)).json()["first_name"] == "Unseen"


async def test_one_that_fails_or_has_gone_keeps_nobody_waiting(own_database):
    def fails(_: None) -> None:
        raise ValueError("mine")

    gone = asyncio.create_task(group_commit.RECORDS.run(lambda: None, lambda _: "gone"))
    await asyncio.sleep(0)
    gone.cancel()
    first, second, third = await asyncio.gather(
        group_commit.RECORDS.run(lambda: None, fails),
        group_commit.RECORDS.run(lambda: "a", str.upper),
        group_commit.RECORDS.run(lambda: fails(None), str),
        return_exceptions=True,
    )
    assert isinstance(first, ValueError)
    assert second == "A"
    assert isinstance(third, ValueError)
    assert await group_commit.RECORDS.run(lambda: 1, lambda one: one + 1) == 2


def _person(place: int, **more: object) -> dict[str, object]:
    return {"first_name": f"Together{'ABCDEFGHIJKLMNOP'[place]}", "last_name": f"Okemwa{place}", **more}


async def test_a_group_waits_for_those_of_the_one_before_and_nobody_waits_long(own_database, monkeypatch):
    sizes: list[int] = []
    work = group_commit._all
    monkeypatch.setattr(group_commit, "_all", lambda jobs: (sizes.append(len(jobs)), work(jobs))[1])
    monkeypatch.setattr(group_commit, "GATHER", 0.3)

    async def desk(presses: int) -> float:
        begun = time.monotonic()
        for _ in range(presses):
            await group_commit.RECORDS.run(lambda: None, lambda _: None)
        return time.monotonic() - begun

    await asyncio.gather(*(desk(5) for _ in range(4)))
    assert sizes == [4] * 5
    assert 0.2 < await desk(1) < 2, "the other three might have come"
    assert await desk(10) < 0.2, "who is alone waits for nobody"
    assert sizes == [4] * 5 + [1] * 11
    await asyncio.gather(desk(1), desk(1))
    await asyncio.sleep(0.4)
    assert await desk(1) < 0.2, "they have not come back for a while"


async def test_registered_at_once_each_gets_their_own_number_and_event(client, desk):
    headers = bearer(desk)
    bodies = [_person(place, phone=f"07123{place:05d}") for place in range(12)]
    bodies += [{"first_name": ""}, _person(3, gender="CAT"), _person(14, create_portal_account=True)]
    answers = await asyncio.gather(*[client.post(P, json=body, headers=headers) for body in bodies])
    assert [answer.status_code for answer in answers] == [201] * 12 + [400] * 3
    made = [answer.json()["patient"] for answer in answers[:12]]
    assert [one["first_name"] for one in made] == [body["first_name"] for body in bodies[:12]]
    assert len({one["patient_id"] for one in made}) == 12
    trail = raw("SELECT resource_id, request_id FROM audit_events WHERE action = 'PATIENT_CREATED'")
    wanted = [(one["id"], answer.headers["x-request-id"]) for one, answer in zip(made, answers, strict=False)]
    assert sorted(map(tuple, trail)) == sorted(wanted)
    assert verify().ok


async def test_of_one_person_registered_eight_times_at_once_one_is_kept(client, desk):
    headers, body = bearer(desk), _person(1, date_of_birth="1975-04-03", phone="0712345678")
    answers = await asyncio.gather(
        *[client.post(P, json=body, headers=headers) for _ in range(8)],
        *[client.post(P, json=_person(place, phone=f"07223{place:05d}"), headers=headers) for place in range(3, 7)],
    )
    assert sorted(answer.status_code for answer in answers[:8]) == [201] + [409] * 7
    assert all(answer.json()["candidates"] for answer in answers[:8] if answer.status_code == 409)
    assert [answer.status_code for answer in answers[8:]] == [201] * 4
    assert raw("SELECT count(*) FROM patients")[0][0] == 5
    held = "SELECT count(*) FROM audit_events WHERE action = 'PATIENT_CREATE_FAILED'"
    assert raw(held)[0][0] == 7
    assert verify().ok


async def test_of_one_national_id_sent_eight_times_at_once_one_is_kept(client, desk):
    headers = bearer(desk)
    bodies = [_person(place, national_id="27 84 00 09", allow_duplicate=True) for place in range(8)]
    answers = await asyncio.gather(*[client.post(P, json=body, headers=headers) for body in bodies])
    assert sorted(answer.status_code for answer in answers) == [201] + [400] * 7
    assert all("national ID" in answer.text for answer in answers if answer.status_code == 400)
    assert raw("SELECT value FROM counters WHERE name = 'patient_id'")[0][0] == 1
    assert verify().ok


async def test_where_the_common_commit_fails_nobody_is_registered_and_each_is_told(client, desk, own_database):
    headers = bearer(desk)
    before = raw("SELECT count(*) FROM patients")[0][0]
    failing = [True]

    def full(_: sa.Connection) -> None:
        if failing:
            failing.clear()
            raise OSError("disk full")

    sa.event.listen(own_database, "commit", full)
    try:
        answers = await asyncio.gather(*[client.post(P, json=_person(n), headers=headers) for n in range(4)])
    finally:
        sa.event.remove(own_database, "commit", full)
    failed = [answer for answer in answers if answer.status_code == 500]
    assert failed
    assert all(answer.json()["error"] == "Failed to create patient" for answer in failed)
    assert raw("SELECT count(*) FROM patients")[0][0] == before + 4 - len(failed)
    noted = "SELECT count(*) FROM audit_events WHERE action = 'PATIENT_CREATE_FAILED'"
    assert raw(noted)[0][0] == len(failed)


async def test_whose_session_has_ended_meanwhile_registers_nobody(client, desk, monkeypatch):
    headers = bearer(desk)
    real = registration.Begun.at_once

    def ended(self: registration.Begun) -> object:
        with db.transaction() as session:
            session.execute(sa.text("UPDATE login_sessions SET ended_at = created_at"))
        return real(self)

    monkeypatch.setattr(registration.Begun, "at_once", ended)
    answer = await client.post(P, json=_person(2), headers=headers)
    assert answer.status_code == 401
    assert raw("SELECT count(*) FROM patients")[0][0] == 0
    refused = "SELECT count(*) FROM audit_events WHERE action = 'ACCESS_DENIED'"
    assert raw(refused)[0][0] == 1


async def test_of_looks_made_at_once_hers_is_refused_whose_session_has_ended(client, desk, monkeypatch):
    patient, other = factories.make_patient(desk, first_name="Shown").patient, factories.make_staff(Role.ADMIN)
    mine, hers = bearer(desk), bearer(other)
    real, over, sizes = db.grouped, [other.account_id], list[int]()

    @contextlib.contextmanager
    def grouped():
        if over:  # after all were let in, before anything is recorded
            with db.transaction() as session:
                ended = sa.text("UPDATE login_sessions SET ended_at = created_at WHERE account_id = :who")
                session.execute(ended, {"who": over.pop()})
        with real():
            yield

    def all_of(jobs, _all=group_commit._all):
        sizes.append(len(jobs))
        return _all(jobs)

    monkeypatch.setattr(db, "grouped", grouped)
    monkeypatch.setattr(group_commit, "_all", all_of)
    wanted = [mine, hers, mine, mine, hers, mine]
    answers = await asyncio.gather(*[client.get(f"{P}{patient.id}/", headers=headers) for headers in wanted])
    assert max(sizes) > 1
    assert [answer.status_code for answer in answers] == [200, 401, 200, 200, 401, 200]
    viewed = "SELECT actor_id, count(*) FROM audit_events WHERE action = 'PATIENT_VIEWED' GROUP BY actor_id"
    assert list(map(tuple, raw(viewed))) == [(desk.account_id, 4)]
    assert verify().ok


@contextlib.contextmanager
def _sent(engine):
    """The statements that the block sends."""
    seen = list[str]()

    def note(_connection, _cursor, statement, *_):
        seen.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


async def test_who_asks_is_looked_up_once_for_all_and_each_is_answered_as_themselves(client, desk, own_database):
    patient, other, over = factories.make_patient(desk).patient, factories.make_staff(), factories.make_staff()
    mine, hers, his = bearer(desk), bearer(other), bearer(over)
    with db.transaction() as session:
        ended = sa.text("UPDATE login_sessions SET ended_at = created_at WHERE account_id = :who")
        session.execute(ended, {"who": over.account_id})
    wanted = [mine, hers, his, {"authorization": "Bearer forged"}, {}, hers]
    with _sent(own_database) as seen:
        answers = await asyncio.gather(*[client.get(f"{P}{patient.id}/", headers=headers) for headers in wanted])
    assert [answer.status_code for answer in answers] == [200, 200, 401, 401, 401, 200]
    trail = raw("SELECT actor_id, request_id FROM audit_events WHERE action = 'PATIENT_VIEWED'")
    whose = [desk.account_id, other.account_id, None, None, None, other.account_id]
    told = zip(whose, answers, strict=True)
    assert sorted(map(tuple, trail)) == sorted((who, answer.headers["x-request-id"]) for who, answer in told if who)
    assert sum("login_sessions.proved_at" in statement for statement in seen) <= 2


async def test_registered_at_once_takes_few_statements_and_each_is_compared_with_the_others(client, desk, own_database):
    headers = bearer(desk)
    bodies = [_person(place, allow_duplicate=True) for place in (1, 2, 3, 1, 4, 5)]
    bodies[3]["date_of_birth"] = bodies[0]["date_of_birth"] = "1975-04-03"
    with _sent(own_database) as seen:
        answers = await asyncio.gather(*[client.post(P, json=body, headers=headers) for body in bodies])
    assert [answer.status_code for answer in answers] == [201] * 6
    numbers = [answer.json()["patient"]["patient_id"] for answer in answers]
    assert sorted(numbers) == [f"LMC{place:06d}" for place in range(1, 7)]
    details = "SELECT metadata FROM audit_events WHERE action = 'PATIENT_CREATED' AND resource_id = :who"
    told = [str(raw(details, who=answer.json()["patient"]["id"])[0][0]) for answer in answers]
    assert [number in one for one, number in zip(told, [numbers[0]] * 6, strict=True)].count(True) == 2
    assert raw("SELECT value FROM counters WHERE name = 'patient_id'")[0][0] == 6
    if own_database.dialect.name == "postgresql":
        assert sum("INSERT INTO patients" in statement for statement in seen) <= 3
    assert verify().ok


async def test_a_number_that_is_taken_keeps_nobody_else_apart(client, desk, own_database, monkeypatch):
    factories.make_patient(desk, national_id="27840009", external_id="OLD-1")
    alone, headers = list[object](), bearer(desk)
    real = registration._saved

    def saved(*given, **more):
        alone.append(given)
        return real(*given, **more)

    monkeypatch.setattr(registration, "_saved", saved)
    bodies = [_person(place, allow_duplicate=True) for place in range(7)]
    bodies[1]["national_id"], bodies[2]["external_id"] = "27 84 00 09", "OLD-1"
    bodies[3]["external_id"] = bodies[4]["external_id"] = "NEW-1"
    answers = await asyncio.gather(*[client.post(P, json=body, headers=headers) for body in bodies])
    codes = [answer.status_code for answer in answers]
    assert codes[:3] == [201, 400, 400]
    assert sorted(codes[3:5]) == [201, 400]
    assert codes[5:] == [201, 201]
    assert len(alone) == 3  # those who are refused are tried by themselves, and told why
    assert raw("SELECT value FROM counters WHERE name = 'patient_id'")[0][0] == 5
    assert verify().ok


async def test_what_cannot_be_done_together_is_done_one_after_the_other(client, desk, monkeypatch):
    headers, tried = bearer(desk), list[int]()

    def fails(_session, rows, _last):
        tried.append(len(rows))
        raise ValueError("a fault")

    monkeypatch.setattr(registration, "_put_all_in", fails)
    answers = await asyncio.gather(*[client.post(P, json=_person(n), headers=headers) for n in range(4)])
    assert tried
    assert [answer.status_code for answer in answers] == [201] * 4
    numbers = sorted(answer.json()["patient"]["patient_id"] for answer in answers)
    assert numbers == [f"LMC{place:06d}" for place in range(1, 5)]
    assert raw("SELECT count(*) FROM audit_events WHERE action = 'PATIENT_CREATED'")[0][0] == 4
    assert verify().ok


async def test_what_is_made_and_cannot_be_recorded_is_made_anew(client, desk, monkeypatch):
    headers, failing = bearer(desk), [True]
    real = registration._record

    def record(*given):
        if failing:
            failing.clear()
            raise ValueError("a fault")
        real(*given)

    monkeypatch.setattr(registration, "_record", record)
    answers = await asyncio.gather(*[client.post(P, json=_person(n), headers=headers) for n in range(4)])
    assert [answer.status_code for answer in answers] == [201] * 4
    assert raw("SELECT count(*), max(value) FROM patients, counters WHERE name = 'patient_id'")[0] == (4, 4)
    assert verify().ok


async def test_records_looked_at_together_are_read_once_and_whose_number_is_nobodys_is_told(client, desk, own_database):
    patients = [factories.make_patient(desk, first_name=f"Own{letter}").patient for letter in "ABCD"]
    keys = [*[one.id for one in patients], 9_999, patients[0].patient_id, patients[1].id, 2**40]
    headers = bearer(desk)
    with _sent(own_database) as seen:
        answers = await asyncio.gather(*[client.get(f"{P}{key}/", headers=headers) for key in keys])
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 404, 200, 200, 404]
    shown = [answer.json()["id"] for answer in answers if answer.status_code == 200]
    assert shown == [*[one.id for one in patients], patients[0].id, patients[1].id]
    trail = [ident for (ident,) in raw("SELECT resource_id FROM audit_events WHERE action = 'PATIENT_VIEWED'")]
    assert sorted(trail) == sorted(shown)
    # all at once, and by themselves the one that is not there and the one asked for by its patient ID
    assert sum("patients.national_id_key" in statement for statement in seen) <= 4
