"""The records somebody opened last."""

from __future__ import annotations

import pytest

from clinic_app.services.audit.actions import Action
from clinic_app.services.patients import opened_last as module
from clinic_app.services.patients.opened_last import opened_last
from clinic_app.services.patients.profile import view_patient
from tests import factories
from tests.db import tools


@pytest.fixture
def twelve(desk) -> list[int]:
    """Twelve patients nobody has opened yet."""
    return [factories.make_patient(desk).patient.id for _ in range(12)]


def _ids(actor) -> list[int]:
    return [one.id for one in opened_last(actor)]


def test_the_last_ten_come_latest_first_each_once(desk, twelve):
    for one in [*twelve, twelve[3], twelve[5], twelve[3]]:
        view_patient(desk, one)
    assert _ids(desk) == [twelve[place] for place in (3, 5, 11, 10, 9, 8, 7, 6, 4, 2)]


def test_everybody_has_their_own(desk, twelve):
    other = factories.make_staff("CLINICIAN")
    view_patient(desk, twelve[0])
    view_patient(other, twelve[1])
    assert (_ids(desk), _ids(other)) == ([twelve[0]], [twelve[1]])


def test_patients_who_were_deactivated_are_not_among_them_and_leave_their_place_to_others(desk, twelve):
    for one in twelve:
        view_patient(desk, one)
    tools.write("UPDATE patients SET is_active = false WHERE id = :id", id=twelve[11])
    assert _ids(desk) == twelve[1:11][::-1]


def test_being_shown_them_leaves_one_row_with_kind_page_and_count_and_none_without_any(desk, twelve):
    before = tools.last_seq()
    assert _ids(desk) == []
    assert tools.trail(after=before) == []
    for one in twelve[:2]:
        view_patient(desk, one)
    before = tools.last_seq()
    assert len(_ids(desk)) == 2
    (row,) = tools.trail(after=before)
    assert (row["action"], row["actor_id"]) == (Action.PATIENT_LISTED, desk.account_id)
    assert row["metadata"] == {"kind": "opened_last", "page": 1, "count": 2}


def test_only_the_latest_events_of_the_person_are_looked_through(desk, twelve, monkeypatch):
    monkeypatch.setattr(module, "EVENTS", 3)
    for one in twelve[:5]:
        view_patient(desk, one)
    assert _ids(desk) == twelve[2:5][::-1]


def test_editing_and_a_refused_look_open_nothing(desk, twelve):
    clinician = factories.make_staff("CLINICIAN")
    assert _ids(clinician) == []
    factories.make_patient(desk, portal_email="newly@example.org")
    assert _ids(desk) == []
