"""The demo clinic's past: what the records say and what the trail says are one history."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter

import pytest

from clinic_app.cli import demo_data
from clinic_app.core import clock
from clinic_app.services import access
from clinic_app.services.audit import chain
from clinic_app.services.demo import seed_demo
from clinic_app.services.patients import pair_finding, pairs
from clinic_app.services.patients.forms import PatientQuery
from clinic_app.services.patients.profile import reread_patient
from clinic_app.services.patients.search import list_patients
from tests import factories
from tests.conftest import ROOT
from tests.db import tools

STAFF = (("demo.admin", "Daniel Otieno", "ADMIN"), ("demo.desk", "Grace Wanjiru", "RECEPTIONIST"))


@pytest.fixture
def seeded(database):
    """The demo clinic, and somebody who looks at it."""
    started = clock.now()
    seed_demo(access.SYSTEM, STAFF, factories.PASSWORD, demo_data.patients)
    desk = factories.make_staff("RECEPTIONIST", "looker")
    return started, desk, list_patients(desk, PatientQuery(page_size=100)).items


def test_a_record_was_registered_when_its_activity_says_so_by_whom_it_says(seeded):
    started, desk, rows = seeded
    days = set()
    for row in rows:
        patient = reread_patient(desk, row.id)
        first = patient.activity[-1]
        assert (first.action, first.at, first.actor_name) == (
            "PATIENT_CREATED",
            patient.created_at,
            patient.registered_by,
        )
        assert all(event.at >= patient.created_at for event in patient.activity)
        days.add((started - patient.created_at).days)
    assert max(days) > 200
    assert min(days) == 0


def test_the_trail_is_in_order_of_time_ends_before_the_demo_began_and_is_whole(seeded):
    started, _, rows = seeded
    times = [row["at"] for row in tools.trail()[:-2]]  # the last two made the looker, and listed the patients
    assert times == sorted(times)
    assert times[-1] <= started + dt.timedelta(seconds=1)
    assert min(times) < min(row.created_at for row in rows)
    assert chain.verify().ok


def test_every_state_is_there_and_its_access_has_a_history(seeded):
    _, desk, rows = seeded
    states = Counter()
    for row in rows:
        patient = reread_patient(desk, row.id)
        states[patient.access.status] += 1
        actions = {event.action for event in patient.activity}
        assert ("PORTAL_TURNED_OFF" in actions) == (patient.access.status == "off")
        if patient.access.status == "expired":
            assert patient.access.expires_at < clock.now()
    assert states == {"none": 37, "active": 18, "temporary": 5, "expired": 3, "off": 3, "locked": 2}


def test_the_doubles_of_a_crowd_come_into_the_work_list(own_database, change_setting):
    change_setting("CLINIC_MODE", "demo")
    demo_data.seed(crowd=60)
    assert pair_finding.how_many_wait() >= 60
    pair_finding.compare_all()
    assert pairs.count_pairs(access.SYSTEM).grades["certain"] > 0


def test_nothing_else_pretends_what_time_it_is():
    sources = {
        path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in (ROOT / "clinic_app").rglob("*.py")
    }
    assert [name for name, text in sources.items() if re.search(r"\bclock\.at\(", text)] == [
        "clinic_app/services/demo.py"
    ]
