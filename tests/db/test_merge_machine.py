"""Registering, editing, portal access, merging and undoing it, in any order; and at the same moment."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from clinic_app.core.errors import ClinicError
from clinic_app.services.access import Actor
from clinic_app.services.audit import chain
from clinic_app.services.patients import merging, pair_finding, pairs
from clinic_app.services.patients.errors import LaterMergeFirst, NotMerged, PatientMerged, SameRecord
from clinic_app.services.patients.forms import PatientQuery, PatientUpdate
from clinic_app.services.patients.merge_forms import FIELDS, MergeRequest
from clinic_app.services.patients.profile import update_patient, view_patient
from clinic_app.services.patients.search import list_patients
from clinic_app.services.portal import provisioning
from clinic_app.services.portal.errors import EmailInUse, NoPortalAccount, PortalAccountExists, PortalTurnedOff
from clinic_app.services.portal.forms import PortalAccountRequest
from tests import factories
from tests.db import tools

_runs, _given = itertools.count(1), itertools.count(1)
#: Fields that edits change, each time to something new.
_EDITED = ("address", "last_name", "next_of_kin_name")
PICK = strategies.integers(0, 50)


class Desks(RuleBasedStateMachine):
    """What any number of desks may do to the records of a few people, and what must be so after every step."""

    desk: Actor

    def __init__(self) -> None:
        super().__init__()
        self.run = next(_runs)
        self.records: list[int] = []
        self.numbers: dict[int, set[str]] = {}  # every number ever given to a record
        self.into: dict[int, int] = {}
        self.open: list[dict[str, Any]] = []  # merges that stand: what both were, and what was edited since

    def _pick(self, number: int) -> int:
        return self.records[number % len(self.records)]

    def _root(self, record: int) -> int:
        while record in self.into:
            record = self.into[record]
        return record

    def _values(self, record: int) -> dict[str, Any]:
        found = view_patient(self.desk, record, activity=0, merged=True)
        return {name: getattr(found, name) for name in FIELDS}

    def _email(self, number: int) -> str:
        return f"run{self.run}.{number % 3}@example.org"

    @rule(portal=strategies.booleans(), number=PICK)
    @precondition(lambda self: len(self.records) < 5)
    def register(self, portal: bool, number: int) -> None:
        unique = next(_given)
        changes: dict[str, Any] = {"national_id": f"N{unique:06d}", "external_id": f"X{unique:06d}",
                                   "last_name": f"Name{unique}", "email": f"own{unique}@example.com"}  # fmt: skip
        if portal:
            changes["portal_email"] = self._email(number)
        try:
            done = factories.make_patient(self.desk, **changes).patient
        except ClinicError as refused:
            assert refused.code == "portal_email_taken", refused
            return
        self.records.append(done.id)
        self.numbers[done.id] = {done.patient_id, changes["national_id"], changes["external_id"]}
        if portal:
            self.numbers[done.id].add(changes["portal_email"])

    @rule(which=PICK, field=strategies.sampled_from(_EDITED))
    @precondition(lambda self: self.records)
    def edit(self, which: int, field: str) -> None:
        record, value = self._pick(which), f"Edit {next(_given)}"
        try:
            update_patient(self.desk, record, PatientUpdate.parse({field: value}))
        except PatientMerged:
            assert record in self.into
            return
        assert record not in self.into
        for merge in self.open:
            if merge["survivor"] == record:
                merge["edits"][field] = value

    @rule(which=PICK, number=PICK)
    @precondition(lambda self: self.records)
    def create_portal(self, which: int, number: int) -> None:
        record, email = self._pick(which), self._email(number)
        try:
            provisioning.create_portal_account(self.desk, record, PortalAccountRequest.parse({"email": email}))
        except (PatientMerged, PortalAccountExists, EmailInUse):
            return
        assert record not in self.into
        self.numbers[record].add(email)

    @rule(which=PICK, on=strategies.booleans())
    @precondition(lambda self: self.records)
    def switch(self, which: int, on: bool) -> None:
        record = self._pick(which)
        use_case = provisioning.turn_on_portal if on else provisioning.turn_off_portal
        try:
            use_case(self.desk, record)
        except (NoPortalAccount, PortalTurnedOff):
            return
        except PatientMerged:
            assert record in self.into
            return
        assert record not in self.into

    @rule(one=PICK, other=PICK, taken=strategies.sets(strategies.sampled_from(FIELDS)))
    @precondition(lambda self: len(self.records) > 1)
    def merge(self, one: int, other: int, taken: set[str]) -> None:
        goes, stays = self._pick(one), self._pick(other)
        before = {"other": goes, "survivor": stays, "goes": self._values(goes), "stays": self._values(stays)}
        try:
            merging.merge_patients(self.desk, goes, MergeRequest(stays, take=frozenset(taken)))
        except SameRecord:
            assert goes == stays
            return
        except PatientMerged:
            assert goes in self.into or stays in self.into
            return
        assert goes not in self.into
        assert stays not in self.into
        self.into[goes] = stays
        self.open.append({**before, "edits": {}})

    @rule(which=PICK)
    @precondition(lambda self: self.open)
    def undo(self, which: int) -> None:
        merge = self.open[which % len(self.open)]
        later = [one for one in self.open[self.open.index(merge) + 1 :] if one["survivor"] == merge["survivor"]]
        try:
            done = merging.undo_merge(self.desk, merge["other"])
        except LaterMergeFirst:
            assert later or merge["survivor"] in self.into
            return
        assert not later
        self.open.remove(merge)
        del self.into[merge["other"]]
        assert set(done.lost) <= {"portal_username"}, "nobody else was given these numbers"
        assert self._values(merge["other"]) == merge["goes"]
        assert self._values(merge["survivor"]) == {**merge["stays"], **merge["edits"]}
        if done.lost:  # it is somebody else's, and was nobody's number any more
            for record in (merge["other"], merge["survivor"]):
                self.numbers[record] = {one for one in self.numbers[record] if "@" not in one}

    @invariant()
    def one_login_at_most_for_a_person_and_none_on_a_merged_record(self) -> None:
        on = [row[0] for row in tools.raw("SELECT patient_id FROM accounts WHERE role = 'PATIENT' AND is_active")]
        here = [record for record in on if record in self.numbers]
        assert not [record for record in here if record in self.into]
        people = [self._root(record) for record in here]
        assert len(people) == len(set(people))
        flags = tools.raw("SELECT id FROM patients WHERE portal_enabled")
        assert sorted(row[0] for row in flags if row[0] in self.numbers) == sorted(here)
        assert tools.number("SELECT count(*) FROM accounts WHERE (role = 'PATIENT') <> (patient_id IS NOT NULL)") == 0

    @invariant()
    def every_number_ever_given_finds_the_record_that_stands(self) -> None:
        for record, numbers in self.numbers.items():
            (root,) = tools.raw("SELECT patient_id FROM patients WHERE id = :id", id=self._root(record))[0]
            for number in sorted(numbers):
                found = [one.patient_id for one in list_patients(self.desk, PatientQuery(number)).items]
                moved = "@" in number and found  # a login may have gone over to a record that is two again
                assert root in found or moved, (number, root, found)

    def teardown(self) -> None:
        report = chain.verify()
        assert report.ok, report


def _machine(desk: Actor) -> type[Desks]:
    return type("Desks", (Desks,), {"desk": desk, "TestCase": None})


def _run(examples: int, steps: int) -> None:
    machine = _machine(factories.make_staff(username="grace"))
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_whatever_desks_do_nothing_is_lost_and_nobody_has_two_logins(own_database):
    _run(6, 14)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_same_for_long(own_database):
    _run(80, 30)


# --- at the same moment ---------------------------------------------------------------------------


@pytest.fixture
def grace(own_database) -> Actor:
    """A receptionist in a database of its own."""
    return factories.make_staff(username="grace")


def _whole(*records: int) -> None:
    on = tools.raw("SELECT patient_id FROM accounts WHERE role = 'PATIENT' AND is_active ORDER BY patient_id")
    flags = tools.raw("SELECT id FROM patients WHERE portal_enabled ORDER BY id")
    assert on == flags
    merged = tools.raw("SELECT id FROM patients WHERE merged_into_id IS NOT NULL AND (is_active OR portal_enabled)")
    assert merged == []
    assert chain.verify().ok
    assert len(records) >= 2


def _both_ways(grace: Actor, _: int) -> None:
    one, other = (factories.make_patient(grace).patient for _ in range(2))
    results = tools.at_once(
        lambda: merging.merge_patients(grace, one.id, MergeRequest(other.id)),
        lambda: merging.merge_patients(grace, other.id, MergeRequest(one.id)),
        lambda: merging.merge_patients(grace, one.patient_id, MergeRequest(other.patient_id)),
    )
    kinds = sorted(type(result).__name__ for result in results)
    assert kinds == ["Merged", "PatientMerged", "PatientMerged"], results
    _whole(one.id, other.id)


@pytest.mark.races
def test_of_two_desks_that_merge_one_pair_both_ways_one_wins(grace):
    for turn in range(3):
        _both_ways(grace, turn)


def _all_at_once(grace: Actor, turn: int) -> None:
    one = factories.make_patient(grace, portal_email=f"first{turn}@example.org").patient
    other = factories.make_patient(grace, portal_email=f"second{turn}@example.org").patient
    third = factories.make_patient(grace).patient
    results = tools.at_once(
        lambda: merging.merge_patients(grace, other.id, MergeRequest(one.id)),
        lambda: update_patient(grace, other.id, PatientUpdate.parse({"address": "Raced"})),
        lambda: update_patient(grace, one.id, PatientUpdate.parse({"address": "Raced"})),
        lambda: provisioning.turn_off_portal(grace, other.id),
        lambda: provisioning.reset_portal_password(grace, one.id),
        lambda: pairs.say_not_duplicate(grace, one.id, other.id),
        lambda: merging.merge_patients(grace, one.id, MergeRequest(third.id)),
        lambda: pair_finding.compare_waiting(),
    )
    faults = [one for one in results if isinstance(one, BaseException) and not isinstance(one, ClinicError)]
    assert faults == [], faults
    unexpected = [one for one in results if isinstance(one, ClinicError) and one.code == "unexpected"]
    assert unexpected == [], unexpected
    _whole(one.id, other.id)


@pytest.mark.races
def test_a_merge_while_others_edit_give_access_turn_off_and_tell_apart(grace):
    for turn in range(3):
        _all_at_once(grace, turn)


@pytest.mark.races
def test_of_two_desks_that_undo_one_merge_one_wins(grace):
    one = factories.make_patient(grace, portal_email="first@example.org").patient
    other = factories.make_patient(grace, portal_email="second@example.org").patient
    merging.merge_patients(grace, other.id, MergeRequest(one.id, login="second@example.org"))
    results = tools.at_once(
        lambda: merging.undo_merge(grace, other.id),
        lambda: merging.undo_merge(grace, one.id),
        lambda: provisioning.turn_off_portal(grace, one.id),
    )
    assert sorted(type(result).__name__ for result in results[:2]) == ["NotMerged", "Unmerged"], results
    assert NotMerged.code == "not_merged"
    _whole(one.id, other.id)


def _taken_meanwhile(grace: Actor, turn: int) -> None:
    one = factories.make_patient(grace, portal_email=f"a{turn}@example.org").patient
    other = factories.make_patient(grace, portal_email=f"b{turn}@example.org").patient
    third = factories.make_patient(grace).patient
    merging.merge_patients(grace, other.id, MergeRequest(one.id, login=f"a{turn}@example.org"))
    form = PortalAccountRequest.parse({"email": f"b{turn}@example.org"})
    undone, made = tools.at_once(
        lambda: merging.undo_merge(grace, other.id),
        lambda: provisioning.create_portal_account(grace, third.id, form),
    )
    assert type(undone).__name__ == "Unmerged", undone
    assert (undone.lost == ("portal_username",)) == (type(made).__name__ == "PortalCreated"), (undone.lost, made)
    _whole(one.id, other.id)


@pytest.mark.races
def test_a_username_taken_at_the_moment_of_undoing_is_lost_and_said(grace):
    for turn in range(3):
        _taken_meanwhile(grace, turn)
