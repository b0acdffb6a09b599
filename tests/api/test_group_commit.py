"""Records looked at together: each request gets its own answer, and none before its look is safe."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa

from clinic_app.core import group_commit
from clinic_app.services.audit.chain import verify
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
