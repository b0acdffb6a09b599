"""A page that is drawn again by itself shows whom it showed before. Whoever else comes on it leaves an event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clinic_app.models.accounts import Role
from tests import factories
from tests.browser.serving import Server, bound
from tests.browser.sockets import ROOT_STATE, Tab, session
from tests.security import attack
from tests.security.attack import LIST, Target

WORK = f"{ROOT_STATE}.clinic_app___ui___work_list___state____work_list_state"
RECEPTION = f"{ROOT_STATE}.clinic_app___ui___reception___state____reception_state"


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A served clinic."""
    with attack.target(Server(tmp_path_factory.mktemp("again"), **attack.ROOM)) as made:
        yield made


def _register(clinic: Target, name: str) -> None:
    """At another desk."""
    with bound(clinic.server):
        factories.make_patient(factories.make_staff(Role.RECEPTIONIST), first_name=name)


def _looks(clinic: Target, action: str, after: int, role: str = "CLINICIAN") -> list[dict[str, Any]]:
    """The metadata of these events of the one of this role, who alone looks at lists here."""
    sql = "SELECT metadata FROM audit_events WHERE action = ? AND role = ? AND seq > ? ORDER BY seq"
    return [json.loads(row[0]) for row in clinic.server.sql(sql, action, role, after)]


def _last(clinic: Target) -> int:
    return clinic.server.sql("SELECT max(seq) FROM audit_events")[0][0]


async def _arrives(tab: Tab, words: str) -> None:
    async with asyncio.timeout(30):
        while words not in tab.text():
            await asyncio.sleep(0.05)


async def _until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not await asyncio.to_thread(what):
            await asyncio.sleep(0.05)


def _tab(clinic: Target, who: str = "clinician") -> Tab:
    return Tab(clinic.server.url, cookie=session(clinic.sign_in(who)))


async def test_a_loop_that_was_asked_for_without_its_page_shows_nobody_unseen(clinic):
    after = _last(clinic)
    async with _tab(clinic) as tab:
        await tab.send(f"{RECEPTION}.watch")
        await _arrives(tab, "Newcomer")
    assert _looks(clinic, "PATIENT_LISTED", after) == [{"kind": "reception", "page": 1, "count": 4}]


async def test_whoever_comes_on_an_open_reception_page_is_seen_with_an_event(clinic):
    async with _tab(clinic) as tab:
        await tab.send(f"{RECEPTION}.load")
        await _arrives(tab, "Newcomer")
        await tab.settled()
        after = _last(clinic)
        await tab.send(f"{RECEPTION}.watch")
        await asyncio.to_thread(_register, clinic, "Zawadione")
        await _arrives(tab, "Zawadione")
        (event,) = _looks(clinic, "PATIENT_LISTED", after)
        assert event["kind"] == "reception"


async def test_whoever_comes_on_an_open_list_is_seen_with_an_event_and_a_change_of_others_leaves_none(clinic):
    async with _tab(clinic) as tab:
        await tab.send(f"{LIST}.load")
        await tab.send(f"{LIST}.sort_by", {"key": "created_at"})
        await tab.send(f"{LIST}.sort_by", {"key": "created_at"})
        await tab.settled()
        await tab.send(f"{LIST}.watch")
        after = _last(clinic)
        await asyncio.to_thread(_register, clinic, "Zawaditwo")
        await _arrives(tab, "Zawaditwo")
        (event,) = _looks(clinic, "PATIENT_LISTED", after)
        assert (event["kind"], event["page"]) == ("patients", 1)
        # the same rows, one of them in other words
        clinic.server.sql("UPDATE patients SET first_name = 'Renamedtwo' WHERE first_name = 'Zawaditwo'")
        clinic.server.sql("UPDATE audit_head SET changes = changes + 1")
        await _arrives(tab, "Renamedtwo")
        assert len(_looks(clinic, "PATIENT_LISTED", after)) == 1


async def test_whoever_comes_to_match_a_search_is_seen_with_an_event(clinic):
    async with _tab(clinic) as tab:
        after = _last(clinic)
        await tab.send(f"{LIST}.search", {"term": "zawadithree"})
        await tab.settled()
        await _until(lambda: len(_looks(clinic, "PATIENT_SEARCHED", after)) == 1)  # which found nobody
        await tab.send(f"{LIST}.watch")
        await asyncio.to_thread(_register, clinic, "Zawadithree")
        await _arrives(tab, "Zawadithree")
        first, then = _looks(clinic, "PATIENT_SEARCHED", after)
        assert (first["found"], then["found"]) == (0, 1)
        assert first["term"] == then["term"]


async def test_whoever_comes_on_an_open_work_list_is_seen_with_an_event(clinic):
    async with _tab(clinic, "receptionist") as tab:
        await tab.send(f"{WORK}.load")
        await tab.settled()
        await tab.send(f"{WORK}.watch")
        after = _last(clinic)

        def stuck() -> None:
            with bound(clinic.server):
                desk = factories.make_staff(Role.ADMIN)
                factories.make_patient(desk, first_name="Zawadifour", portal_email="zawadifour@example.org")

        await asyncio.to_thread(stuck)
        await _arrives(tab, "Zawadifour")
        (event,) = _looks(clinic, "PATIENT_LISTED", after, "RECEPTIONIST")
        assert (event["kind"], event["page"]) == ("portal work list", 1)
        clinic.server.sql("UPDATE patients SET first_name = 'Renamedfour' WHERE first_name = 'Zawadifour'")
        clinic.server.sql("UPDATE audit_head SET changes = changes + 1")
        await _arrives(tab, "Renamedfour")
        assert len(_looks(clinic, "PATIENT_LISTED", after, "RECEPTIONIST")) == 1
