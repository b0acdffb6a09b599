"""What the desk should see to: one word a person, the most urgent first, the same in lists and on the profile."""

from __future__ import annotations

import datetime as dt

import pytest

from clinic_app.services.accounts import sign_in_throttle
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from clinic_app.services.audit.reading import change_number
from clinic_app.services.patients import wording
from clinic_app.services.patients.forms import PatientQuery
from clinic_app.services.patients.opened_last import opened_last
from clinic_app.services.patients.overview import overview
from clinic_app.services.patients.profile import reread_patient, view_patient
from clinic_app.services.patients.search import list_patients
from clinic_app.services.portal.errors import NoPortalAccount, PortalAccessChanged
from clinic_app.services.portal.provisioning import reset_portal_password, turn_off_portal, unlock_portal
from tests import factories
from tests.db import tools

EMAIL = "amina@example.com"


@pytest.fixture
def amina(clock, desk):
    return factories.make_patient(desk, portal_email=EMAIL)


def _word(desk) -> tuple[str, bool]:
    """What the list says about the only patient, and whether *Reissue* is offered."""
    (row,) = list_patients(desk, PatientQuery()).items
    profile = reread_patient(desk, row.id).access
    assert (row.access.status, row.access.due, row.access.reissue, row.access.stamp) == (
        profile.status,
        profile.due,
        profile.reissue,
        profile.stamp,
    )
    assert row.portal == row.access.status
    return wording.due_words(row.access.due, row.access.expires_at), row.access.reissue


def test_a_password_that_nobody_has_used_goes_from_never_to_soon_to_expired(clock, desk, amina):
    assert _word(desk) == ("never signed in", False)
    clock.shift(dt.timedelta(hours=24))
    assert _word(desk) == ("never signed in", True)
    clock.shift(dt.timedelta(seconds=1))
    assert _word(desk) == ("expires in 23 h", True)
    clock.shift(dt.timedelta(hours=18, minutes=59))
    assert _word(desk) == ("expires in 5 h", True)
    clock.shift(dt.timedelta(hours=4, minutes=1))
    assert _word(desk) == ("expires in 59 min", True)
    clock.shift(dt.timedelta(hours=1))
    assert _word(desk) == ("password expired", True)
    reset_portal_password(desk, amina.patient.id)
    assert _word(desk) == ("never signed in", False)


def test_whoever_has_signed_in_needs_nothing_but_a_password_that_lasts(clock, desk, amina):
    factories.own_password(amina)
    assert _word(desk) == ("", False)
    reset_portal_password(desk, amina.patient.id)
    assert _word(desk) == ("", False)
    clock.shift(dt.timedelta(hours=43))
    assert _word(desk) == ("expires in 5 h", True)


def test_locked_comes_before_everything_and_ends_by_itself(clock, desk, amina):
    clock.shift(dt.timedelta(hours=49))
    factories.lock(EMAIL)
    assert _word(desk) == ("locked", True)
    clock.shift(dt.timedelta(minutes=16))
    assert _word(desk) == ("password expired", True)


def test_an_account_that_only_the_clinic_can_open_is_locked_without_an_end(clock, desk, amina):
    factories.own_password(amina)
    factories.lock(EMAIL)
    tools.write("UPDATE sign_in_limits SET consecutive = :most, blocked_until = NULL", most=sign_in_throttle.HARD_STOP)
    assert _word(desk) == ("locked", True)
    assert reread_patient(desk, amina.patient.id).access.locked_until is None
    unlock_portal(desk, amina.patient.id)
    assert _word(desk) == ("", False)


def test_access_that_is_off_or_was_never_given_says_nothing(clock, desk, amina):
    factories.lock(EMAIL)
    turn_off_portal(desk, amina.patient.id)
    assert _word(desk) == ("", False)
    tools.write("UPDATE patients SET is_active = :no", no=False)
    factories.make_patient(desk)
    assert _word(desk) == ("", False)


def test_every_list_says_the_same(clock, desk, amina):
    factories.lock(EMAIL)
    view_patient(desk, amina.patient.id)
    listed = [*opened_last(desk), *overview(desk).latest, *list_patients(desk, PatientQuery(term="amina")).items]
    assert [row.access.due for row in listed] == ["locked"] * len(listed)
    assert len(listed) >= 2


def test_a_page_of_people_asks_for_their_locks_once_and_for_nobodys_not_at_all(clock, desk):
    factories.make_patient(desk)
    with tools.statements() as nobody:
        list_patients(desk, PatientQuery())
    for number in range(3):
        factories.make_patient(desk, portal_email=f"p{number}@example.com")
    with tools.statements() as three:
        list_patients(desk, PatientQuery())
    assert len([one for one in nobody if "sign_in_limits" in one]) == 0
    assert len([one for one in three if "sign_in_limits" in one]) == 1


# --- other desks' lists -------------------------------------------------------------------------------------


def _wrong(username: str, times: int) -> None:
    for number in range(times):
        with tools.from_address(f"203.0.113.{number + 1}"), pytest.raises(Exception, match=r"\w"):
            sign_in(PATIENT_DOOR, username, "wrong")


def test_a_lock_a_first_sign_in_and_a_password_killed_by_tries_wake_open_lists(clock, desk, amina):
    before = change_number()
    _wrong(EMAIL, 9)
    assert change_number() == before
    _wrong(EMAIL, 1)
    assert _word(desk) == ("password expired", True)  # ten wrong tries have killed it
    assert change_number() == before + 1
    _wrong(EMAIL, 1)
    assert _word(desk) == ("locked", True)
    assert change_number() == before + 2
    done = reset_portal_password(desk, amina.patient.id)
    before = change_number()
    sign_in(PATIENT_DOOR, EMAIL, done.credentials.temporary_password)
    assert change_number() == before + 1
    assert _word(desk) == ("", False)
    sign_in(PATIENT_DOOR, EMAIL, done.credentials.temporary_password)
    assert change_number() == before + 1


def test_a_lock_of_a_name_that_is_no_patients_wakes_nobody(clock, desk, amina):
    before = change_number()
    _wrong("nobody@example.com", 12)
    _wrong(desk.username, 12)
    assert change_number() == before


# --- unlocking ----------------------------------------------------------------------------------------------


def test_the_desk_unlocks_a_patients_account_and_its_password_stays(clock, desk, amina):
    factories.own_password(amina)
    factories.lock(EMAIL)
    before = change_number()
    shown = unlock_portal(desk, amina.patient.patient_id, reread_patient(desk, amina.patient.id).access.stamp)
    assert (shown.patient_id, shown.portal_enabled) == (amina.patient.patient_id, True)
    assert _word(desk) == ("", False)
    assert sign_in(PATIENT_DOOR, EMAIL, factories.OWN_PASSWORD).token
    assert change_number() > before
    (event,) = tools.trail("PORTAL_UNLOCKED")
    assert (event["resource_type"], event["resource_id"], event["actor_id"]) == (
        "patient",
        amina.patient.id,
        desk.account_id,
    )


def test_unlock_drawn_before_the_lock_ended_by_itself_does_what_it_says(clock, desk, amina):
    factories.own_password(amina)
    factories.lock(EMAIL)
    stamp = reread_patient(desk, amina.patient.id).access.stamp
    clock.shift(dt.timedelta(minutes=16))
    assert unlock_portal(desk, amina.patient.id, stamp).portal_enabled is True
    assert sign_in(PATIENT_DOOR, EMAIL, factories.OWN_PASSWORD).token


def test_unlock_drawn_before_somebody_changed_access_unlocks_nothing(clock, desk, amina):
    factories.lock(EMAIL)
    stamp = reread_patient(desk, amina.patient.id).access.stamp
    clock.shift(dt.timedelta(seconds=1))
    reset_portal_password(desk, amina.patient.id)
    factories.lock(EMAIL)
    before = tools.dump()
    with pytest.raises(PortalAccessChanged):
        unlock_portal(desk, amina.patient.id, stamp)
    with pytest.raises(NoPortalAccount):
        unlock_portal(desk, factories.make_patient(desk).patient.id)
    assert tools.dump()["sign_in_limits"] == before["sign_in_limits"]
    assert tools.trail("PORTAL_UNLOCKED") == []
