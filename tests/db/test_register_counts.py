"""How many patients are listed, and how many have portal access: kept whoever writes, and added up by anybody."""

from __future__ import annotations

import threading

import pytest

from clinic_app.core import db
from clinic_app.services.patients import register_counts
from clinic_app.services.portal.provisioning import turn_off_portal
from tests import factories
from tests.db import tools


def _counts() -> tuple[int, int]:
    with db.reading() as session:
        return register_counts.counts(session)


def test_every_change_counts_at_once_and_after_it_is_added_up(desk):
    assert _counts() == (0, 0)
    factories.make_patient(desk)
    other = factories.make_patient(desk, portal_email="one@example.com").patient
    for expected, change in (
        ((2, 1), lambda: None),
        ((2, 0), lambda: turn_off_portal(desk, other.id)),
        ((1, 0), lambda: tools.write("UPDATE patients SET is_active = false WHERE id = :id", id=other.id)),
        ((1, 0), lambda: tools.write("UPDATE patients SET portal_enabled = true WHERE id = :id", id=other.id)),
        ((2, 1), lambda: tools.write("UPDATE patients SET is_active = true WHERE id = :id", id=other.id)),
    ):
        change()
        assert _counts() == expected
        register_counts.add_up()
        assert tools.number("SELECT count(*) FROM patient_count_changes") == 0
        assert _counts() == expected


@pytest.mark.races
def test_two_who_add_up_at_the_same_time_count_nothing_twice(own_database):
    desk = factories.make_staff()
    for _ in range(5):
        factories.make_patient(desk)
    threads = [threading.Thread(target=register_counts.add_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _counts() == (5, 0)
    assert tools.number("SELECT count(*) FROM patient_count_changes") == 0
