"""Refusals in numbers are counted into one event per source and minute."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt

import pytest

from clinic_app.core import clock as clocks
from clinic_app.core import db
from clinic_app.core.errors import AuthenticationRequired, PermissionDenied
from clinic_app.services import access
from clinic_app.services.access import Permission
from clinic_app.services.audit import chain, refusals
from clinic_app.services.audit.authorization import demand
from tests import factories
from tests.db import tools


def _knock(address: str, times: int, permission: Permission = Permission.OWN_SECOND_FACTOR) -> None:
    with tools.from_address(address):
        for _ in range(times):
            with pytest.raises(AuthenticationRequired):
                demand(access.ANONYMOUS, permission)


def _denied() -> list:
    with db.reading() as session:
        from sqlalchemy import select

        from clinic_app.models.audit import AUDIT_EVENTS

        rows = select(AUDIT_EVENTS).where(AUDIT_EVENTS.c.action == "ACCESS_DENIED").order_by(AUDIT_EVENTS.c.seq)
        return list(session.execute(rows).mappings())


def test_anonymous_refusals_are_one_event_for_each_address_and_minute(clock, database):
    began = clocks.now()
    _knock("198.51.100.4", 700)
    _knock("198.51.100.5", 3, Permission.PATIENT_SEE)
    refusals.record_counts()
    _knock("198.51.100.4", 500)
    refusals.record_counts()
    assert _denied() == [], "the minute is not over"
    clock.shift(61)
    _knock("198.51.100.4", 2)
    refusals.record_counts()
    assert _denied() == [], "another worker may still have some"
    clock.shift(10)
    assert refusals.record_counts() == 2
    first, second = _denied()
    assert (first["actor"], first["role"], first["outcome"], first["address"]) == (
        "anonymous",
        "UNKNOWN",
        "denied",
        "198.51.100.4",
    )
    assert first["metadata"] == {"permission": "own:second-factor", "count": 1200, "minute": began.isoformat()}
    assert (second["address"], second["metadata"]["count"]) == ("198.51.100.5", 3)
    clock.shift(60)
    refusals.record_counts()
    assert [row["metadata"]["count"] for row in _denied()] == [1200, 3, 2]
    assert tools.number("SELECT count(*) FROM refusal_counts") == 0
    assert chain.verify().ok


def test_no_statement_is_sent_for_one_of_them(database):
    with tools.statements() as seen:
        _knock("198.51.100.4", 50)
    assert seen == []


def test_one_network_of_ipv6_is_one_source_and_a_thousand_are_not_a_thousand_events(clock, database):
    for last in range(40):
        _knock(f"2001:db8::{last:x}", 1)
    assert len(refusals._counts) == 1
    for third in range(300):
        _knock(f"10.1.{third // 250}.{third % 250}", 1)
    assert len(refusals._counts) == refusals.SOURCES + 1
    clock.shift(120)
    refusals.record_counts()
    assert sum(row["metadata"]["count"] for row in _denied()) == 340
    others = [row for row in _denied() if row["metadata"].get("from") == refusals.OTHERS]
    assert [row["metadata"]["count"] for row in others] == [340 - 40 - (refusals.SOURCES - 1)]


def test_somebody_signed_in_leaves_an_event_each_until_there_are_many(clock, people):
    actor = dataclasses.replace(people.clinician, session_id=4711)
    for _ in range(refusals.EACH + 50):
        with pytest.raises(PermissionDenied):
            demand(actor, Permission.PATIENT_REGISTER)
    assert len(_denied()) == refusals.EACH
    with pytest.raises(PermissionDenied):
        demand(actor, Permission.PORTAL_MANAGE)
    assert _denied()[-1]["metadata"] == {"permission": "portal:manage"}, "another refusal is an event of its own"
    clock.shift(120)
    refusals.record_counts()
    last = _denied()[-1]
    assert (last["actor_id"], last["role"], last["metadata"]["count"]) == (actor.account_id, "CLINICIAN", 50)
    with pytest.raises(PermissionDenied):
        demand(actor, Permission.PATIENT_REGISTER)
    assert len(_denied()) == refusals.EACH + 3, "in another minute they are events again"


def test_the_command_lines_own_refusals_are_never_counted(database):
    assert not refusals.counted(access.SYSTEM, "anything")


def test_counts_survive_a_database_that_cannot_be_reached(clock, database, monkeypatch):
    _knock("198.51.100.4", 5)

    def away(*_, **__):
        raise OSError("away")

    with monkeypatch.context() as broken:
        broken.setattr(db, "upsert", away)
        with pytest.raises(OSError, match="away"):
            refusals.record_counts()
    _knock("198.51.100.4", 2)
    clock.shift(120)
    refusals.record_counts()
    assert [row["metadata"]["count"] for row in _denied()] == [7]


async def test_what_a_server_counted_is_in_the_table_before_the_minute_is_over(own_database, monkeypatch):
    """So a crash loses what was counted since the last time, every five seconds, and no more."""
    assert refusals.EVERY == 5
    monkeypatch.setattr(refusals, "EVERY", 0.02)
    async with refusals.recording():
        await asyncio.to_thread(_knock, "198.51.100.4", 7)
        async with asyncio.timeout(30):
            while tools.raw("SELECT count FROM refusal_counts") != [(7,)]:
                await asyncio.sleep(0.02)
        assert refusals._counts == {}
    assert refusals.record_counts(everything=True) == 1, "another process, after the crash"
    assert [row["metadata"]["count"] for row in tools.trail("ACCESS_DENIED")] == [7]


@pytest.mark.races
def test_of_eight_workers_one_makes_the_event_and_nothing_is_lost(own_database):
    factories.make_staff()
    minute = clocks.now().replace(second=0, microsecond=0) - dt.timedelta(minutes=5)

    def worker() -> int:
        mine = {("198.51.100.4", minute): refusals._Count("patient:see", "198.51.100.4", None, "UNKNOWN", 25)}
        return refusals._hand_over(mine, clocks.now() - dt.timedelta(minutes=2))

    results = tools.at_once(*[worker] * 8)
    assert [one for one in results if isinstance(one, BaseException)] == []
    events = tools.trail("ACCESS_DENIED")
    assert sum(row["metadata"]["count"] for row in events) == 200
    assert len(events) == sum(results)
    assert tools.number("SELECT count(*) FROM refusal_counts") == 0
    assert chain.verify().ok


@pytest.mark.races
def test_eight_workers_add_to_one_minute(own_database):
    minute = clocks.now().replace(second=0, microsecond=0)

    def worker() -> int:
        mine = {
            (source, minute): refusals._Count("patient:see", source, None, "UNKNOWN", 25)
            for source in ("198.51.100.4", "198.51.100.5")
        }
        return refusals._hand_over(mine, minute - dt.timedelta(minutes=1))

    assert tools.at_once(*[worker] * 8) == [0] * 8
    assert [row[0] for row in tools.raw("SELECT count FROM refusal_counts ORDER BY source")] == [200, 200]
