"""What a page decided on is held against the database: access, or a staff account, that has changed is left alone."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
import time_machine

from clinic_app.services.access import Actor
from clinic_app.services.accounts import staff
from clinic_app.services.accounts.errors import AccountChanged
from clinic_app.services.audit import chain
from clinic_app.services.patients.profile import reread_patient
from clinic_app.services.patients.wording import patient_id_spelled
from clinic_app.services.portal.errors import NoPortalAccount, PortalAccessChanged, PortalTurnedOff
from clinic_app.services.portal.forms import PortalAccountRequest
from clinic_app.services.portal.provisioning import (
    create_portal_account,
    reset_portal_password,
    turn_off_portal,
    turn_on_portal,
)
from clinic_app.services.portal.views import PortalCreated, PortalPatient
from tests import factories
from tests.db import tools

CHANGED = "Portal access changed meanwhile. Nothing was changed."
ACTIONS = (reset_portal_password, turn_off_portal, turn_on_portal)


def _stamp(actor: Actor, key: str) -> str:
    return reread_patient(actor, key).access.stamp


# --- portal access ----------------------------------------------------------------------------------


@pytest.mark.both_databases
def test_what_was_drawn_for_other_access_changes_nothing(database):
    desk = factories.make_staff(username="grace")
    ids = {
        f"{standing}{number}": factories.make_patient_with_access(desk, standing).patient.patient_id
        for standing in factories.STANDINGS
        for number in (1, 2)
    }
    stamps = {name: _stamp(desk, key) for name, key in ids.items()}
    with_account = [stamp for name, stamp in stamps.items() if not name.startswith("none")]
    assert len(set(with_account)) == len(with_account)
    before, seq = tools.dump(without=tools.TRAIL), tools.last_seq()
    refusals = 0
    for (name, key), (other, stamp) in itertools.product(ids.items(), stamps.items()):
        if stamps[name] == stamp:
            continue
        for action in ACTIONS:
            with pytest.raises(PortalAccessChanged) as refused:
                action(desk, key, stamp)
            assert refused.value.detail == CHANGED, (name, other, action)
            refusals += 1
    assert tools.dump(without=tools.TRAIL) == before
    told = [(row["action"], row["outcome"], row["metadata"]["reason"]) for row in tools.trail(after=seq)]
    assert told == [("PORTAL_CHANGE_FAILED", "failure", "portal_access_changed")] * refusals


@pytest.mark.both_databases
def test_what_was_drawn_for_access_as_it_is_is_done(database):
    desk = factories.make_staff(username="grace")
    for standing in factories.STANDINGS:
        key = factories.make_patient_with_access(desk, standing).patient.patient_id
        if standing == "none":
            for action in ACTIONS:
                with pytest.raises(NoPortalAccount):
                    action(desk, key, _stamp(desk, key))
        elif standing == "off":
            with pytest.raises(PortalTurnedOff):
                reset_portal_password(desk, key, _stamp(desk, key))
            assert turn_on_portal(desk, key, _stamp(desk, key)).portal_enabled is True
        else:
            assert reset_portal_password(desk, key, _stamp(desk, key)).credentials.temporary_password
            assert turn_off_portal(desk, key, _stamp(desk, key)).portal_enabled is False


def test_every_change_of_access_makes_another_stamp(database):
    desk = factories.make_staff(username="grace")
    key, stamps = factories.make_patient(desk).patient.patient_id, []

    def note() -> None:
        stamps.append(_stamp(desk, key))

    note()
    create_portal_account(desk, key, PortalAccountRequest("stamped@example.org"))
    note()
    for _ in range(2):  # temporary before and after: another password all the same
        reset_portal_password(desk, key)
        note()
    turn_off_portal(desk, key)
    note()
    assert len(set(stamps)) == len(stamps) == 5
    assert not any("stamped" in stamp for stamp in stamps)


def test_what_time_alone_or_a_stranger_changes_leaves_what_was_drawn_meant(database):
    """A lock that begins by wrong tries and ends by itself, a temporary password whose time is over."""
    desk = factories.make_staff(username="grace")
    with time_machine.travel("2026-06-15 09:00:00+00:00", tick=False) as clock:
        done = factories.make_patient_with_access(desk, "temporary")
        key, stamps = done.patient.patient_id, []
        stamps.append(_stamp(desk, key))
        factories.lock(done.credentials.username)
        stamps.append(_stamp(desk, key))
        clock.shift(dt.timedelta(minutes=16))
        stamps.append(_stamp(desk, key))
        clock.shift(dt.timedelta(hours=48))
        stamps.append(_stamp(desk, key))
        assert len(set(stamps)) == 1
        assert reread_patient(desk, key).access.status == "expired"
        assert reset_portal_password(desk, key, stamps[0]).credentials.username


def test_whoever_looks_at_no_page_needs_no_stamp(database):
    desk = factories.make_staff(username="grace")
    key = factories.make_patient_with_access(desk, "active").patient.patient_id
    assert turn_off_portal(desk, key).portal_enabled is False
    assert turn_on_portal(desk, key).portal_enabled is True
    assert reset_portal_password(desk, key).credentials.username


@pytest.mark.races
def test_of_eight_who_decide_from_one_look_one_wins(own_database):
    """Four reset, four turn off; whoever comes second is told, and did not do what they cannot have meant any more."""
    desk = factories.make_staff(username="grace")
    for round_ in range(3):
        key = factories.make_patient_with_access(desk, "active").patient.patient_id
        stamp, seen = _stamp(desk, key), tools.last_seq()
        jobs = [
            lambda act=act, key=key, stamp=stamp: act(desk, key, stamp)
            for act in (reset_portal_password, turn_off_portal) * 4
        ]
        results = tools.at_once(*jobs)
        won = [one for one in results if isinstance(one, PortalCreated | PortalPatient)]
        assert len(won) == 1, results
        assert {type(one) for one in results if one not in won} == {PortalAccessChanged}, results
        standing = reread_patient(desk, key).access.status
        assert standing == ("temporary" if isinstance(won[0], PortalCreated) else "off"), round_
        told = [row["outcome"] for row in tools.trail(after=seen) if row["action"].startswith("PORTAL")]
        assert sorted(told) == ["failure"] * 7 + ["success"]
    assert chain.verify().ok


# --- staff accounts ---------------------------------------------------------------------------------


def _of(admin: Actor, account_id: int) -> str:
    return next(one.stamp for one in staff.list_staff(admin) if one.id == account_id)


@pytest.mark.both_databases
def test_a_staff_account_that_changed_meanwhile_is_left_alone(database):
    admin = factories.make_staff("ADMIN", name="Daniel Otieno")
    other = factories.make_staff("CLINICIAN").account_id or 0
    drawn = _of(admin, other)
    actions = {
        "role": lambda: staff.change_role(admin, other, "ADMIN", drawn),
        "off": lambda: staff.disable_staff(admin, other, drawn),
        "on": lambda: staff.enable_staff(admin, other, drawn),
        "reset": lambda: staff.reset_staff_password(admin, other, drawn),
        "second factor": lambda: staff.reset_two_factor(admin, other, drawn),
        "unlock": lambda: staff.unlock_account(admin, other, drawn),
    }
    for change in (
        lambda: staff.change_role(admin, other, "RECEPTIONIST"),
        lambda: staff.reset_staff_password(admin, other),
        lambda: staff.disable_staff(admin, other),
    ):
        change()
        before = tools.dump()
        for action in actions.values():
            with pytest.raises(AccountChanged) as refused:
                action()
            assert refused.value.detail == "This account changed meanwhile. Nothing was changed."
        assert tools.dump() == before
        drawn = _of(admin, other)
    actions["on"]()
    assert next(one.is_active for one in staff.list_staff(admin) if one.id == other)


@pytest.mark.races
def test_of_eight_administrators_who_decide_from_one_look_one_wins(own_database):
    admins = [factories.make_staff("ADMIN") for _ in range(8)]
    other = factories.make_staff("CLINICIAN").account_id or 0
    drawn = _of(admins[0], other)
    jobs = [
        lambda one=one, act=act: act(one, other, drawn=drawn)
        for one, act in zip(admins, (staff.reset_staff_password, staff.disable_staff) * 4, strict=True)
    ]
    results = tools.at_once(*jobs)
    assert sum(not isinstance(one, AccountChanged) for one in results) == 1, results
    assert not [one for one in results if isinstance(one, BaseException) and not isinstance(one, AccountChanged)]


# --- spellings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("LMC000009", "LMC000009"),
        ("lmc000009", "LMC000009"),
        ("lmc9", "LMC000009"),
        ("9", "LMC000009"),
        ("000009", "LMC000009"),
        ("Lmc-9", "LMC000009"),
        ("LMC 9", "LMC000009"),
        ("#LMC000009.", "LMC000009"),
        ("(LMC000009)", "LMC000009"),
        ("LMC0000000009", "LMC000009"),
        ("1234567", "LMC1234567"),
        ("nonsense", "nonsense"),
        ("ABC9", "ABC9"),  # another clinic's
        ("0", "0"),
        ("", ""),
        ("9/..", "LMC000009"),
        ("9x", "9x"),
        ("LMC" + "9" * 40, "LMC" + "9" * 40),
    ],
)
def test_a_patient_id_has_one_spelling(typed, meant):
    assert patient_id_spelled(typed) == meant
    assert patient_id_spelled(meant) == meant
