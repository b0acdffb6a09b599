"""Records looked at together: each request gets its own answer, and none before its look is safe."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa

from clinic_app.core import db, group_commit
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

    gone = asyncio.create_task(group_commit.run(lambda: None, lambda _: "gone"))
    await asyncio.sleep(0)
    gone.cancel()
    first, second, third = await asyncio.gather(
        group_commit.run(lambda: None, fails),
        group_commit.run(lambda: "a", str.upper),
        group_commit.run(lambda: fails(None), str),
        return_exceptions=True,
    )
    assert isinstance(first, ValueError)
    assert second == "A"
    assert isinstance(third, ValueError)
    assert await group_commit.run(lambda: 1, lambda one: one + 1) == 2


def _person(place: int, **more: object) -> dict[str, object]:
    return {"first_name": f"Together{'ABCDEFGHIJKLMNOP'[place]}", "last_name": f"Okemwa{place}", **more}


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
    if not db.groups():
        pytest.skip("PostgreSQL shares commits by itself")
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
