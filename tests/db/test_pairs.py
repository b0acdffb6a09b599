"""Pairs of records that may be one person: found by themselves, set aside, and looked at anew."""

from __future__ import annotations

import pytest

from clinic_app.services.access import Actor
from clinic_app.services.patients import merging, pair_finding, pairs
from clinic_app.services.patients.errors import NotAPair, PairChanged, PatientMerged, SameRecord
from clinic_app.services.patients.forms import PatientUpdate
from clinic_app.services.patients.merge_forms import MergeRequest
from clinic_app.services.patients.profile import update_patient
from clinic_app.services.patients.views import PatientProfile
from tests import factories
from tests.db import tools


def twice(desk: Actor, **changes) -> tuple[PatientProfile, PatientProfile]:
    """One person on file twice."""
    same = {"first_name": "Zacharia", "last_name": "Okemwa", "date_of_birth": "3/4/1975", "phone": "0712 777 888"}
    first = factories.make_patient(desk, **{**same, **changes}).patient
    return first, factories.make_patient(desk, **{**same, **changes}).patient


def listed(desk: Actor, grade: str = "") -> list[tuple[str, str]]:
    """The patient IDs of the pairs in the list."""
    pair_finding.compare_all()
    page, _ = pairs.list_pairs(desk, grade)
    return [(pair.first.patient_id, pair.second.patient_id) for pair in page.items]


def test_a_record_that_is_there_twice_is_found_by_itself(desk):
    first, second = twice(desk)
    factories.make_patient(desk, first_name="Wanjiku", last_name="Kamau", phone="0733 999 000")
    waiting = "SELECT patient_id FROM waiting_comparisons"
    assert [row.patient_id for row in tools.raw(waiting)] == [second.id]  # the others are like nobody
    assert listed(desk) == [(first.patient_id, second.patient_id)]
    assert tools.number("SELECT count(*) FROM waiting_comparisons") == 0
    page, numbers = pairs.list_pairs(desk)
    assert page.items[0].likeness.reasons
    assert numbers.total == 1
    assert numbers.waiting == 0
    grade = page.items[0].likeness.grade
    assert listed(desk, grade) == [(first.patient_id, second.patient_id)]
    others = [one for one in pairs.GRADES if one != grade]
    assert [listed(desk, one) for one in others] == [[], []]


def test_an_edit_brings_a_pair_and_another_one_takes_it_away(desk):
    first, second = twice(desk)
    somebody_else = {"first_name": "Mercy", "last_name": "Akinyi", "phone": "0701 000 111", "date_of_birth": "1999"}
    update_patient(desk, second.id, PatientUpdate.parse(somebody_else))
    assert listed(desk) == []
    the_same = {"first_name": "Zacharia", "last_name": "Okemwa", "phone": "0712 777 888", "date_of_birth": "3/4/1975"}
    update_patient(desk, second.id, PatientUpdate.parse(the_same))
    assert listed(desk) == [(first.patient_id, second.patient_id)]


def test_not_a_duplicate_is_remembered_until_either_record_changes(desk):
    first, second = twice(desk)
    assert listed(desk) != []
    pairs.say_not_duplicate(desk, second.patient_id, first.patient_id)
    assert listed(desk) == []
    assert listed(desk, pairs.SET_ASIDE) == [(first.patient_id, second.patient_id)]
    assert pair_finding.compare_everybody(desk) == 2
    assert listed(desk) == []
    assert pairs.duplicates_of(desk, first.id) == ()
    update_patient(desk, first.id, PatientUpdate.parse({"address": "Another street"}))
    assert [one.patient.id for one in pairs.duplicates_of(desk, first.id)] == [second.id]
    assert listed(desk) == [(first.patient_id, second.patient_id)]
    assert listed(desk, pairs.SET_ASIDE) == []


def test_not_a_duplicate_can_be_taken_back(desk):
    first, second = twice(desk)
    assert listed(desk) != []
    with pytest.raises(NotAPair):
        pairs.take_back_not_duplicate(desk, first.id, second.id)
    pairs.say_not_duplicate(desk, first.id, second.id)
    pairs.say_not_duplicate(desk, first.id, second.id)
    pairs.take_back_not_duplicate(desk, second.id, first.id)
    assert listed(desk) == [(first.patient_id, second.patient_id)]
    said = [(row["action"], row["resource_id"]) for row in tools.trail() if row["action"].startswith("NOT_A_DUP")]
    assert said == [
        ("NOT_A_DUPLICATE", first.id),
        ("NOT_A_DUPLICATE", second.id),
        ("NOT_A_DUPLICATE_UNDONE", first.id),
        ("NOT_A_DUPLICATE_UNDONE", second.id),
    ]


def test_what_was_not_looked_at_is_not_set_aside(desk):
    first, second = twice(desk)
    update_patient(desk, first.id, PatientUpdate.parse({"address": "Another street"}))
    with pytest.raises(PairChanged):
        pairs.say_not_duplicate(desk, first.id, second.id, "1-1")
    pairs.say_not_duplicate(desk, first.id, second.id, "2-1")
    with pytest.raises(SameRecord):
        pairs.say_not_duplicate(desk, first.id, first.id)


def test_merged_records_leave_the_list_and_come_back_with_undoing(desk):
    first, second = twice(desk)
    assert listed(desk) != []
    merging.merge_patients(desk, second.id, MergeRequest(first.id))
    assert listed(desk) == []
    assert tools.number("SELECT count(*) FROM duplicate_pairs") == 0
    with pytest.raises(PatientMerged):
        pairs.say_not_duplicate(desk, first.id, second.id)
    merging.undo_merge(desk, second.id)
    assert listed(desk) == [(first.patient_id, second.patient_id)]


def test_a_third_record_like_the_merged_one_makes_a_pair_with_the_one_that_stays(desk):
    first, second = twice(desk)
    stays = factories.make_patient(desk, first_name="Wanjiku", last_name="Kamau", phone="0733 999 000").patient
    assert listed(desk) == [(first.patient_id, second.patient_id)]
    merging.merge_patients(desk, second.id, MergeRequest(stays.patient_id, take=frozenset()))
    assert listed(desk) == [(first.patient_id, stays.patient_id)]
    page, _ = pairs.list_pairs(desk)
    assert page.items[0].likeness.reasons[-1] == "In a merged record"
    assert [one.patient.id for one in pairs.duplicates_of(desk, stays.id)] == [first.id]
    pairs.say_not_duplicate(desk, first.id, stays.id)
    assert listed(desk) == []
    merging.undo_merge(desk, second.id)
    assert listed(desk) == [(first.patient_id, second.patient_id)]


def test_who_is_in_the_list_leaves_a_row_once(desk):
    first, second = twice(desk)
    listed(desk)
    before = len(tools.trail("PATIENT_LISTED"))
    pairs.list_pairs(desk, again=[first.id, second.id])
    assert len(tools.trail("PATIENT_LISTED")) == before
    pairs.list_pairs(desk, again=[first.id])
    assert tools.trail("PATIENT_LISTED")[-1]["metadata"] == {"kind": "possible duplicates", "page": 1, "count": 2}


def test_the_list_has_pages(desk):
    for number in range(pairs.PAGE_SIZE + 1):
        letters = chr(ord("a") + number) * 4
        twice(desk, last_name=f"Okemwa {letters}", phone=f"0712 700 {number:03d}", date_of_birth=f"{number + 1}/4/1975")
    pair_finding.compare_all()
    page, numbers = pairs.list_pairs(desk, page=99)
    assert numbers.total >= pairs.PAGE_SIZE + 1
    assert page.number == page.pages


def test_open_lists_are_woken_by_what_is_found_and_the_trail_stays_as_it_was(desk):
    twice(desk)
    before, seq = tools.number("SELECT changes FROM audit_head"), tools.last_seq()
    assert pair_finding.compare_waiting() == 1  # the first of them is like nobody who was there
    assert tools.number("SELECT changes FROM audit_head") == before + 1
    assert tools.last_seq() == seq
    assert pair_finding.compare_waiting() == 0


def test_two_processes_that_come_to_the_same_pair_both_note_it(own_database):
    desk = factories.make_staff()
    for number in range(6):
        first, second = twice(desk, last_name=f"Okemwa {chr(ord('a') + number) * 4}", phone=f"0712 700 {number:03d}")
        assert first.id < second.id
        found = tools.at_once(*[pair_finding.compare_waiting] * 4)
        assert [one for one in found if isinstance(one, Exception)] == []
    assert len(listed(desk)) >= 6
