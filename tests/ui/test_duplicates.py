"""Possible duplicates and comparing, in a tab without a browser."""

from __future__ import annotations

import pytest

from clinic_app.services.patients import pair_finding
from clinic_app.services.patients.forms import PatientUpdate
from clinic_app.services.patients.merge_forms import MergeRequest
from clinic_app.services.patients.merging import merge_patients
from clinic_app.services.patients.profile import update_patient
from clinic_app.ui.duplicates.compare_state import CompareState
from clinic_app.ui.duplicates.state import PairsState
from clinic_app.ui.frame.state import ShellState
from clinic_app.ui.profile.state import ProfileState
from tests import factories
from tests.db import tools
from tests.ui.conftest import events

PRESS = f"{'a' * 32}-1"


@pytest.fixture
def two(people):
    """One person on file twice, and found."""
    same = {"first_name": "Zacharia", "last_name": "Okemwa", "phone": "0712 777 888", "date_of_birth": "3/4/1975"}
    found = [factories.make_patient(people.receptionist, **same, address=None).patient]
    found.append(factories.make_patient(people.receptionist, **same, next_of_kin_name="").patient)
    pair_finding.compare_all()
    return found


def _key(two) -> str:
    return f"{two[0].patient_id}-{two[1].patient_id}"


async def _compare(tab, pair: str) -> None:
    tab.at(f"/patients/duplicates/{pair}")
    object.__setattr__(tab.state(CompareState), "_address", lambda: pair)
    await tab.fire(CompareState.load)


def _open(tab, patient) -> None:
    tab.at(f"/patients/{patient.patient_id}")
    object.__setattr__(tab.state(ProfileState), "_key", lambda: patient.patient_id)


async def test_pairs_say_why_and_who_and_are_counted_in_the_menu(tab, two):
    tab.at("/patients/duplicates")
    await tab.fire(ShellState.enter)
    await tab.fire(PairsState.load)
    state = tab.state(PairsState)
    (card,) = state.cards
    assert (card.key, card.said, state.mode) == (_key(two), False, "rows")
    assert card.grade in ("Certain", "Likely")
    assert card.chips
    assert [word.differs for word in card.first.words] == [False, False]
    assert tab.state(ShellState).doubles == "1"
    await tab.fire(PairsState.choose, "possible")
    assert (state.mode, state.cards) == ("none", [])


async def test_not_a_duplicate_leaves_a_note_in_its_place_that_takes_it_back(tab, two):
    tab.at("/patients/duplicates")
    await tab.fire(PairsState.load)
    state = tab.state(PairsState)
    await tab.fire(PairsState.not_a_duplicate, _key(two), PRESS)
    assert [(card.key, card.said) for card in state.cards] == [(_key(two), True)]
    assert state.reasons[0].count == "0"
    await tab.fire(PairsState.choose, "set aside")
    assert [(card.key, card.said) for card in state.cards] == [(_key(two), True)]
    await tab.fire(PairsState.choose, "")
    assert state.mode == "none"
    await tab.fire(PairsState.choose, "set aside")
    await tab.fire(PairsState.take_back, _key(two), f"{'b' * 32}-1")
    await tab.fire(PairsState.choose, "")
    assert [(card.key, card.said) for card in state.cards] == [(_key(two), False)]


async def test_what_was_refused_stays_said_while_other_desks_work(tab, two, people, news):
    tab.at("/patients/duplicates")
    await tab.fire(PairsState.load)
    state = tab.state(PairsState)
    merge_patients(people.admin, two[1].id, MergeRequest(two[0].patient_id))
    await tab.fire(PairsState.not_a_duplicate, _key(two), PRESS)
    said = f"{two[1].patient_id} was merged into {two[0].patient_id}. Open that record instead."
    assert (state.failure, state.cards, state.mode) == (said, [], "empty")
    await tab.fire(PairsState.watch)
    assert state.failure == said
    await tab.fire(PairsState.load)
    assert state.failure == ""


async def test_a_pair_that_is_not_on_the_screen_is_not_decided_about(tab, two):
    tab.at("/patients/duplicates")
    await tab.fire(PairsState.not_a_duplicate, _key(two), PRESS)
    assert tools.trail("NOT_A_DUPLICATE") == []


async def test_comparing_proposes_what_is_known_and_merging_leads_to_the_record_that_stays(tab, two):
    first, second = two
    await _compare(tab, _key(two))
    state = tab.state(CompareState)
    rows = {row.name: (row.first, row.second, row.second_first) for row in state.rows}
    assert rows["address"] == ("Not recorded", "12 Lake Road, Kisumu", True)
    assert rows["next_of_kin_name"] == ("Peter Odhiambo", "Not recorded", False)
    assert (state.stays, state.login) == (first.patient_id, "")
    await tab.fire(CompareState.keep, _key(two), second.patient_id)
    assert [one.lead for one in state.outcomes][:2] == [second.patient_id, first.patient_id]
    form = {"stays": second.patient_id, "national_id": first.patient_id, "intent": PRESS}
    given = await tab.fire(CompareState.merge, _key(two), state.stamp, form)
    assert events(given)[-1].endswith(f"/patients/{second.patient_id}")
    _open(tab, first)
    assert events(await tab.fire(ProfileState.load))[-1].endswith(f"/patients/{second.patient_id}")
    _open(tab, second)
    await tab.fire(ProfileState.load)
    profile = tab.state(ProfileState)
    assert [(one.patient_id, one.undo) for one in profile.merged] == [(first.patient_id, True)]
    assert [one.what for one in profile.activity if "merged" in one.what] == [
        f"{first.patient_id} merged into this record by {profile.activity[0].what.rpartition(' by ')[2]}"
    ]
    await tab.fire(ProfileState.undo_merge, second.patient_id, first.patient_id, f"{'c' * 32}-1")
    assert profile.notice == f"Merge undone. {first.patient_id} is a record of its own again."
    assert profile.merged == []


async def test_what_has_changed_since_it_was_looked_at_is_not_merged_and_is_shown_anew(tab, two, people):
    first, second = two
    await _compare(tab, _key(two))
    state = tab.state(CompareState)
    update_patient(people.receptionist, second.id, PatientUpdate.parse({"address": "Elsewhere"}))
    await tab.fire(CompareState.merge, _key(two), state.stamp, {"stays": first.patient_id, "intent": PRESS})
    assert state.failure == "One of these records has changed meanwhile. Nothing was merged. Look at both again."
    assert next(row.second for row in state.rows if row.name == "address") == "Elsewhere"
    assert not state.working


@pytest.mark.parametrize("pair", ["", "x", "LMC000001", "LMC999998-LMC999999", "LMC000001-LMC000001"])
async def test_there_may_be_nothing_to_compare(tab, two, pair):
    await _compare(tab, pair)
    assert tab.state(CompareState).mode == "missing"
    assert tab.state(CompareState).missing
    assert tab.state(CompareState).instead == ""


async def test_a_pair_that_was_merged_elsewhere_leads_to_the_record_that_stays(tab, two, people):
    first, second = two
    merge_patients(people.admin, second.id, MergeRequest(first.patient_id))
    await _compare(tab, _key(two))
    state = tab.state(CompareState)
    assert state.missing == f"{second.patient_id} was merged into {first.patient_id}. Open that record instead."
    assert (state.mode, state.instead, state.instead_href) == (
        "missing",
        first.patient_id,
        f"/patients/{first.patient_id}",
    )
    await _compare(tab, "LMC999998-LMC999999")
    assert (state.instead, state.instead_href) == ("", "")
