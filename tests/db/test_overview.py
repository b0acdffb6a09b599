"""The numbers of Reception, by the clinic's days."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine

from clinic_app.services.patients.overview import overview
from tests import factories
from tests.db import tools


def _register(desk, at: str, **changes):
    with time_machine.travel(at, tick=False):
        return factories.make_patient(desk, **changes)


@pytest.fixture
def around_midnight(desk):
    """One patient before midnight in Nairobi (21:00 UTC), two after it, one long ago and one inactive."""
    _register(desk, "2026-05-01 09:00:00+00:00", first_name="Long Ago")
    _register(desk, "2026-06-14 20:59:59+00:00", first_name="Before")
    _register(desk, "2026-06-14 21:00:00+00:00", first_name="After", portal_email="after@example.com")
    _register(desk, "2026-06-14 21:00:01+00:00", first_name="Pending")
    _register(desk, "2026-06-14 21:00:02+00:00", first_name="Inactive")
    tools.write("UPDATE patients SET is_active = false WHERE first_name = 'Inactive'")
    tools.write("UPDATE patients SET verification_status = 'PENDING' WHERE first_name = 'Pending'")
    return desk


def test_a_day_begins_at_the_clinics_midnight(around_midnight):
    with time_machine.travel("2026-06-14 21:30:00+00:00", tick=False):
        seen = overview(around_midnight)
    assert (seen.registered_today, seen.registered_yesterday) == (2, 1)
    assert seen.days[-1] == (dt.date(2026, 6, 15), 2)
    assert seen.days[-2] == (dt.date(2026, 6, 14), 1)
    with time_machine.travel("2026-06-15 21:00:00+00:00", tick=False):
        seen = overview(around_midnight)
    assert (seen.registered_today, seen.registered_yesterday) == (0, 2)


def test_the_last_fourteen_days_are_shown_oldest_first(around_midnight):
    with time_machine.travel("2026-06-15 09:00:00+00:00", tick=False):
        seen = overview(around_midnight)
    assert len(seen.days) == 14
    assert seen.days[0] == (dt.date(2026, 6, 2), 0)
    assert [day for day, _ in seen.days] == sorted(day for day, _ in seen.days)
    assert sum(count for _, count in seen.days) == 3
    with time_machine.travel("2026-06-27 20:59:00+00:00", tick=False):
        assert overview(around_midnight).days[0] == (dt.date(2026, 6, 14), 1)


def test_active_patients_are_counted(around_midnight):
    seen = overview(around_midnight)
    assert (seen.patients, seen.with_portal, seen.waiting) == (4, 1, 1)
    assert seen.waiting_since == dt.datetime(2026, 6, 14, 21, 0, 1, tzinfo=dt.UTC)


def test_the_latest_patients_come_first(around_midnight):
    seen = overview(around_midnight)
    assert [row.first_name for row in seen.latest] == ["Pending", "After", "Before", "Long Ago"]
    for n in range(3):
        _register(around_midnight, f"2026-06-15 10:00:0{n}+00:00")
    assert len(overview(around_midnight).latest) == 5


def test_an_empty_clinic_has_an_overview(desk):
    seen = overview(desk)
    assert (seen.patients, seen.registered_today, seen.waiting, seen.waiting_since) == (0, 0, 0, None)
    assert seen.latest == ()
    assert {count for _, count in seen.days} == {0}


def test_another_clinic_has_other_days(change_setting, around_midnight):
    change_setting("CLINIC_TIMEZONE", "America/New_York")
    with time_machine.travel("2026-06-14 21:30:00+00:00", tick=False):
        seen = overview(around_midnight)
    assert seen.registered_today == 3
    assert seen.days[-1][0] == dt.date(2026, 6, 14)
