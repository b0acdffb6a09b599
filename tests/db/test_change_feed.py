"""What lists show has changed: the number that says so grows, and whoever sleeps on it wakes at once."""

from __future__ import annotations

import asyncio

import pytest

from clinic_app.core import db
from clinic_app.core.change_feed import ChangeWatch
from clinic_app.services.audit import reading
from clinic_app.services.audit.authorization import note_refusal
from clinic_app.services.patients.errors import NationalIdTaken
from clinic_app.services.patients.verification import verify_patient
from tests import factories
from tests.db import tools

NEVER = 3600.0  # seconds: a watcher that looks by itself once an hour wakes only when it is told
SOON = 20.0  # seconds, on the busiest of machines


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each time that the watchers of this process were told to look."""
    seen: list[str] = []
    monkeypatch.setattr(db, "_after_change", [lambda: seen.append("look")])
    return seen


def test_verifying_a_patient_wakes_open_lists_once(desk, told):
    patient = factories.make_patient(desk).patient
    tools.write("UPDATE patients SET verification_status = 'PENDING' WHERE id = :id", id=patient.id)
    seen = reading.change_number()
    told.clear()
    verify_patient(desk, patient.id)
    assert reading.change_number() == seen + 1
    assert told == ["look"]
    verify_patient(desk, patient.id)  # nothing to see
    assert reading.change_number() == seen + 1
    assert told == ["look"]


def test_watchers_are_told_of_what_was_committed_and_lists_show_and_of_nothing_else(desk, told):
    factories.make_patient(desk, national_id="TWICE 1")
    assert told == ["look"]
    note_refusal(desk, "something")
    with pytest.raises(NationalIdTaken):
        factories.make_patient(desk, national_id="TWICE 1")
    assert told == ["look"]


@pytest.mark.parametrize("several", [False, True], ids=["a transaction of its own", "several committed together"])
async def test_a_sleeper_wakes_after_the_commit_and_need_not_wait_for_the_next_look(own_database, monkeypatch, several):
    monkeypatch.setattr(db, "_after_change", [])
    desk = factories.make_staff()

    def change() -> None:
        if several:
            with db.grouped():
                factories.make_patient(desk)
                factories.make_patient(desk)
        else:
            factories.make_patient(desk)

    watch = ChangeWatch(reading.change_number, every=NEVER)
    async with watch.run():
        seen = watch.number
        sleeper = asyncio.create_task(watch.beyond(seen))
        await asyncio.to_thread(change)
        async with asyncio.timeout(SOON):
            assert await sleeper > seen


async def test_a_look_that_fails_does_not_end_the_watch(own_database, monkeypatch):
    monkeypatch.setattr(db, "_after_change", [])
    desk, looks = factories.make_staff(), []

    def read() -> int:
        looks.append("look")
        if len(looks) == 2:
            raise OSError("busy")
        return reading.change_number()

    watch = ChangeWatch(read, every=NEVER)
    async with watch.run():
        seen = watch.number
        watch.hint()
        async with asyncio.timeout(SOON):
            while len(looks) < 2:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(factories.make_patient, desk)
            assert await watch.beyond(seen) > seen
