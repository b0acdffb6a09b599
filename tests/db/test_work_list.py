"""The portal work list: everybody who cannot get in, each once, under what is most urgent; counted, paged, recorded."""

from __future__ import annotations

import datetime as dt

import pytest
from sqlalchemy import update

from clinic_app.core import clock as clinic_clock
from clinic_app.core import db
from clinic_app.core.errors import PermissionDenied
from clinic_app.models.accounts import ACCOUNTS, Role
from clinic_app.services.accounts.errors import InvalidCredentials, TemporaryPasswordExpired
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from clinic_app.services.accounts.staff import change_role
from clinic_app.services.audit.actor_check import RoleChanged
from clinic_app.services.patients.forms import PatientQuery
from clinic_app.services.patients.portal_standing import URGENCY
from clinic_app.services.patients.search import list_patients
from clinic_app.services.portal import work_list
from clinic_app.services.portal.forms import AddressCorrection
from clinic_app.services.portal.invitations import correct_address
from clinic_app.services.portal.provisioning import reset_portal_password, turn_off_portal, unlock_portal
from clinic_app.services.portal.work_list import count_stuck, list_stuck
from tests import factories
from tests.db import tools
from tests.stuck import expires_in, in_group, message


def groups_of(desk, wanted: str = "") -> list[tuple[str, int]]:
    return [(one.group, one.patient.id) for one in list_stuck(desk, wanted).items]


def test_each_person_stands_once_under_what_is_most_urgent_in_the_order_of_urgency(clock, desk):
    people = {group: in_group(desk, group) for group in reversed(URGENCY)}
    worse = in_group(desk, "failed")
    expires_in(worse, -2)
    factories.lock(worse.credentials.username)
    fine = factories.make_patient(desk, portal_email="fine@example.org")
    factories.own_password(fine)
    without = factories.make_patient(desk)
    found = groups_of(desk)
    assert [group for group, _ in found] == ["locked", *URGENCY]
    assert {ident for group, ident in found if group == "locked"} == {worse.patient.id, people["locked"].patient.id}
    assert {(group, people[group].patient.id) for group in URGENCY} <= set(found)
    assert not {fine.patient.id, without.patient.id} & {ident for _, ident in found}
    assert dict(count_stuck(desk).groups) == {"locked": 2, "failed": 1, "expired": 1, "soon": 1, "never": 1}
    assert count_stuck(desk).total == 6
    # the list of patients says the same about each
    said = {row.id: row.access.due for row in list_patients(desk, PatientQuery()).items if row.access.due}
    assert said == {ident: group for group, ident in found}
    assert {one.patient.id: one.patient.access.due for one in list_stuck(desk).items} == said
    for group in URGENCY:
        assert groups_of(desk, group) == [pair for pair in found if pair[0] == group]
    assert groups_of(desk, "no such group; DROP TABLE") == found


def test_who_cannot_be_helped_here_is_not_here(clock, desk):
    off = in_group(desk, "expired")
    turn_off_portal(desk, off.patient.id)
    gone = in_group(desk, "failed")
    tools.write("UPDATE patients SET is_active = false WHERE id = :id", id=gone.patient.id)
    colleague = factories.make_staff()
    tools.write(
        "UPDATE accounts SET password_temporary = true, last_sign_in_at = NULL WHERE id = :id", id=colleague.account_id
    )
    work_list.forget_numbers()
    assert groups_of(desk) == []
    assert count_stuck(desk).total == 0


# --- messages that failed ---------------------------------------------------------------------------


def test_a_message_that_let_nobody_in_is_said_until_something_else_does(clock, desk):
    done = in_group(desk, "failed")
    (one,) = list_stuck(desk).items
    assert (one.group, one.failed.channel, one.failed.reason) == ("failed", "email", "ADDRESS_REFUSED")
    clock.shift(dt.timedelta(minutes=1))
    message(done, "QUEUED")
    assert groups_of(desk) == [("never", done.patient.id)]
    tools.write("UPDATE outbox_messages SET state = 'FAILED' WHERE state = 'QUEUED'")
    work_list.forget_numbers()
    assert groups_of(desk) == [("failed", done.patient.id)]
    message(done, "SENT", channel="sms")
    assert groups_of(desk) == [("failed", done.patient.id)], "another way: the email is still wrong"
    message(done, "SENT")
    assert groups_of(desk) == [("never", done.patient.id)]


def test_another_password_or_the_owners_sign_in_ends_it(clock, desk):
    other, done = in_group(desk, "failed"), in_group(desk, "failed")
    clock.shift(dt.timedelta(minutes=1))
    reset_portal_password(desk, other.patient.id)
    assert groups_of(desk) == [("failed", done.patient.id), ("never", other.patient.id)]
    turn_off_portal(desk, other.patient.id)
    factories.own_password(done)
    assert groups_of(desk) == []


@pytest.mark.parametrize(
    ("kind", "state"),
    [("PASSWORD_CHANGED", "FAILED"), ("CONFIRM_EMAIL", "FAILED"), ("INVITATION", "HELD"), ("REMINDER", "DROPPED")],
)
def test_what_lets_nobody_in_or_was_not_to_be_sent_counts_for_nothing(clock, desk, kind, state):
    done = factories.make_patient(desk, portal_email="a@example.org")
    message(done, state, kind)
    assert groups_of(desk) == [("never", done.patient.id)]


def test_a_failed_link_that_anybody_can_ask_for_makes_nobody_a_case(clock, desk):
    done = factories.make_patient(desk, portal_email="a@example.org")
    factories.own_password(done)
    assert groups_of(desk) == []
    clock.shift(dt.timedelta(minutes=1))
    message(done, kind="FORGOT_PASSWORD")
    assert groups_of(desk) == []
    message(done, kind="PASSWORD_RESET", address="a@example.org")
    assert groups_of(desk) == [("failed", done.patient.id)]
    assert count_stuck(desk).groups["failed"] == 1


@pytest.mark.parametrize(
    ("channel", "address", "right"),
    [("email", "a@example.org", {"email": "b@example.org"}), ("sms", "+254712445901", {"phone": "0733 100 200"})],
)
def test_a_right_address_ends_it_for_whoever_has_a_password_of_their_own(clock, desk, channel, address, right):
    """Nothing is sent to them, so nothing could show that the new address is better."""
    done = factories.make_patient(desk, portal_email="a@example.org", portal_phone="0712 445 901")
    factories.own_password(done)
    clock.shift(dt.timedelta(minutes=1))
    message(done, channel=channel, address=address)
    assert groups_of(desk) == [("failed", done.patient.id)]
    correct_address(desk, done.patient.id, AddressCorrection.parse(right))
    assert groups_of(desk) == []


# --- why ----------------------------------------------------------------------------------------------


def test_a_try_with_the_expired_password_is_told_until_there_is_another(clock, desk):
    done = in_group(desk, "expired")
    assert list_stuck(desk).items[0].tried_at is None
    clock.shift(dt.timedelta(hours=1))
    tried = clinic_clock.now()
    with pytest.raises(TemporaryPasswordExpired):
        sign_in(PATIENT_DOOR, done.credentials.username, done.credentials.temporary_password)
    with pytest.raises(InvalidCredentials):
        sign_in(PATIENT_DOOR, done.credentials.username, "wrong")
    assert list_stuck(desk).items[0].tried_at == tried
    clock.shift(dt.timedelta(hours=1))
    reset_portal_password(desk, done.patient.id)
    expires_in(done, -1)
    assert list_stuck(desk).items[0].tried_at is None


def test_how_it_was_handed_over_and_what_was_sent_are_told(clock, desk):
    done = in_group(desk, "never")
    at = clinic_clock.now()
    message(done, "SENT")
    with db.transaction() as session:
        session.execute(
            update(ACCOUNTS)
            .where(ACCOUNTS.c.patient_id == done.patient.id)
            .values(handed_over="phone", handed_over_at=at)
        )
    (one,) = list_stuck(desk).items
    assert (one.patient.access.handed_over, one.handed_over_at, one.invited_at) == ("phone", at, at)
    clock.shift(dt.timedelta(hours=1))
    reset_portal_password(desk, done.patient.id)
    (one,) = list_stuck(desk).items
    assert (one.patient.access.handed_over, one.handed_over_at, one.invited_at) == ("", None, None)


def test_unlocking_and_reissuing_move_somebody_on(clock, desk):
    done = in_group(desk, "locked")
    expires_in(done, -1)
    assert groups_of(desk) == [("locked", done.patient.id)]
    unlock_portal(desk, done.patient.id)
    assert groups_of(desk) == [("expired", done.patient.id)]
    reset_portal_password(desk, done.patient.id)
    assert groups_of(desk) == [("never", done.patient.id)]


def test_guesses_from_outside_lock_somebody_onto_the_list(clock, desk):
    done = factories.make_patient(desk, portal_email="guessed@example.org")
    factories.own_password(done)
    tools.write("DELETE FROM known_devices")
    for number in range(11):
        with tools.from_address(f"203.0.113.{number + 1}"), pytest.raises(Exception, match=r"\w"):
            sign_in(PATIENT_DOOR, "guessed@example.org", "wrong")
    assert groups_of(desk) == [("locked", done.patient.id)]
    assert count_stuck(desk).groups["locked"] == 1
    clock.shift(dt.timedelta(minutes=16))
    assert groups_of(desk) == []
    assert count_stuck(desk).total == 0


# --- pages ----------------------------------------------------------------------------------------------


def test_pages_follow_each_other_without_a_gap_and_without_a_double(clock, desk, monkeypatch):
    for _ in range(3):
        for group in URGENCY:
            in_group(desk, group)  # in a group all are of the same instant: the account decides
    whole = groups_of(desk)
    assert len(whole) == 15
    for size in (1, 2, 4, 15):
        monkeypatch.setattr(work_list, "PAGE_SIZE", size)
        for wanted in ("", *URGENCY):
            found, behind = [], None
            for number in range(1, 20):
                page = list_stuck(desk, wanted, behind, page=number)
                found += [(one.group, one.patient.id) for one in page.items]
                assert len(page.items) <= size
                behind = page.then
                if behind is None:
                    break
            assert found == [pair for pair in whole if wanted in ("", pair[0])]


def test_in_its_group_the_latest_comes_first_and_what_ends_soonest(clock, desk):
    later, sooner = in_group(desk, "soon"), in_group(desk, "soon")
    expires_in(sooner, 2)
    older, newer = in_group(desk, "expired"), in_group(desk, "expired")
    expires_in(older, -50)
    first = in_group(desk, "never")
    clock.shift(dt.timedelta(minutes=5))
    second = in_group(desk, "never")
    assert [ident for _, ident in groups_of(desk)] == [
        one.patient.id for one in (newer, older, sooner, later, second, first)
    ]


def test_a_place_that_is_gone_or_of_another_group_breaks_nothing(clock, desk):
    one, two = in_group(desk, "expired"), in_group(desk, "expired")
    place = work_list.Place("expired", clinic_clock.now() + dt.timedelta(days=9), 10**9)
    assert {ident for _, ident in groups_of(desk)} == {one.patient.id, two.patient.id}
    assert len(list_stuck(desk, "", place).items) == 2
    assert list_stuck(desk, "soon", place).items == ()


# --- how many ----------------------------------------------------------------------------------------------


def test_the_number_is_counted_once_for_each_change_and_says_when_it_changes_by_itself(clock, desk):
    done = in_group(desk, "never")
    now = clinic_clock.now()
    assert count_stuck(desk).changes_at == now + dt.timedelta(hours=24)
    with tools.statements() as seen:
        assert count_stuck(desk).total == 1
    assert not [one for one in seen if "FROM accounts" in one and "count(" in one]
    clock.shift(dt.timedelta(hours=24, seconds=1))
    assert dict(count_stuck(desk).groups)["soon"] == 1
    assert count_stuck(desk).changes_at == now + dt.timedelta(hours=48)
    factories.lock(done.credentials.username)
    work_list.forget_numbers()
    assert count_stuck(desk).changes_at == clinic_clock.now() + dt.timedelta(minutes=5)


def test_while_changes_follow_each_other_the_menu_waits_a_second_and_the_list_does_not(clock, desk):
    in_group(desk, "never")
    counted = clinic_clock.now()
    assert count_stuck(desk).total == 1
    in_group(desk, "never")
    stale = count_stuck(desk)
    assert (stale.total, stale.changes_at) == (1, counted + dt.timedelta(seconds=1))
    assert list_stuck(desk).numbers.total == 2
    in_group(desk, "never")
    clock.shift(dt.timedelta(seconds=1))
    assert count_stuck(desk).total == 3


# --- who may, and what is recorded ------------------------------------------------------------------------


def test_only_the_desk_sees_it(people):
    for actor in (people.clinician, people.patient):
        for use_case in (list_stuck, count_stuck):
            with pytest.raises(PermissionDenied):
                use_case(actor)
    for actor in (people.admin, people.receptionist):
        list_stuck(actor)
        count_stuck(actor)


def test_a_page_is_recorded_before_it_is_shown_and_a_redrawn_one_only_for_who_comes_new(clock, desk):
    done = in_group(desk, "expired")
    after = tools.last_seq()
    list_stuck(desk, page=3)
    (event,) = tools.trail("PATIENT_LISTED", after=after)
    assert event["metadata"] == {"kind": "portal work list", "page": 3, "count": 1}
    after = tools.last_seq()
    list_stuck(desk, again=[done.patient.id])
    list_stuck(desk, "locked", again=[])
    list_stuck(desk, "locked")  # nobody is there: nobody was shown
    count_stuck(desk)
    assert tools.trail("PATIENT_LISTED", after=after) == []
    in_group(desk, "soon")
    after = tools.last_seq()
    list_stuck(desk, again=[done.patient.id])
    assert len(tools.trail("PATIENT_LISTED", after=after)) == 1


def test_who_may_not_any_more_is_shown_nobody(own_database):
    desk, admin = factories.make_staff(), factories.make_staff(Role.ADMIN)
    in_group(desk, "expired")
    change_role(admin, desk.account_id, Role.CLINICIAN)
    with pytest.raises(RoleChanged):
        list_stuck(desk)
