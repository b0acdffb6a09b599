"""Slips of a run: fresh passwords once, for whom nobody has seen one, and nothing else of the account changed."""

from __future__ import annotations

import dataclasses

import pytest

from clinic_app.core import context, crypto
from clinic_app.core.errors import PermissionDenied
from clinic_app.models.accounts import Role
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from clinic_app.services.accounts.staff import change_role
from clinic_app.services.intents import AlreadyDone, once
from clinic_app.services.portal import slips
from clinic_app.services.portal.bulk_runs import Chosen, report_run, start_run, work_on
from clinic_app.services.portal.errors import NoSlips
from clinic_app.services.portal.forms import PortalAccountRequest
from clinic_app.services.portal.provisioning import create_portal_account, reset_portal_password, turn_off_portal
from clinic_app.services.portal.slips import make_slips
from tests import factories
from tests.db import tools


@pytest.fixture
def admin(database, settings, monkeypatch):
    settings.setenv("CLINIC_SMTP_HOST", "mail.example.org")
    monkeypatch.setattr(crypto, "HASH_THREADS", 1)
    return factories.make_staff(Role.ADMIN, name="Daniel Otieno")


def _run(admin, number: int) -> tuple[int, list[str]]:
    keys = [
        factories.make_patient(admin, email=f"slip{n}@example.org", last_name=f"Slip {n}").patient.patient_id
        for n in range(number)
    ]
    run = start_run(admin, Chosen())
    work_on(run)
    return run, keys


def test_a_slip_opens_the_account_and_the_link_that_was_sent_stays_good(admin):
    run, _ = _run(admin, 2)
    links = tools.raw("SELECT id, expires_at, ended_at FROM one_time_links ORDER BY id")
    messages = tools.number("SELECT count(*) FROM outbox_messages")
    made = make_slips(admin, run, undelivered=False)
    assert [(one.name.split()[-1], one.credentials.username) for one in made] == [
        ("0", "slip0@example.org"),
        ("1", "slip1@example.org"),
    ]
    assert tools.raw("SELECT id, expires_at, ended_at FROM one_time_links ORDER BY id") == links
    assert tools.number("SELECT count(*) FROM outbox_messages") == messages
    assert sign_in(PATIENT_DOOR, "slip0@example.org", made[0].credentials.temporary_password)
    for action in ("PORTAL_PASSWORD_RESET", "CREDENTIALS_PRINTED"):
        events = tools.trail(action)
        assert [event["actor_id"] for event in events] == [admin.account_id] * 2
        assert len({event["resource_id"] for event in events}) == 2
    assert made[0].credentials.temporary_password not in str(tools.raw("SELECT * FROM audit_events"))
    assert made[0].credentials.temporary_password not in repr(made)


def test_nobodys_password_that_somebody_has_seen_is_replaced(admin):
    run, (reset, off, chosen, plain) = _run(admin, 4)
    other = factories.make_patient(admin, email="other@example.org").patient.id
    create_portal_account(admin, other, PortalAccountRequest("other@example.org"))
    reset_portal_password(admin, reset)
    turn_off_portal(admin, off)
    tools.write(
        "UPDATE accounts SET password_temporary = false WHERE patient_id ="
        " (SELECT id FROM patients WHERE patient_id = :one)",
        one=chosen,
    )
    assert report_run(admin, run).unseen == 1
    (made,) = make_slips(admin, run, undelivered=False)
    assert made.name.endswith("Slip 3"), plain
    assert report_run(admin, run).unseen == 0
    with pytest.raises(NoSlips):
        make_slips(admin, run, undelivered=False)
    assert sign_in(PATIENT_DOOR, "slip3@example.org", made.credentials.temporary_password)


def test_those_whose_invitation_was_not_delivered(admin):
    run, _ = _run(admin, 3)
    tools.write("UPDATE outbox_messages SET state = 'FAILED' WHERE address = 'slip1@example.org'")
    found = report_run(admin, run)
    assert (found.unseen, found.undelivered) == (3, 1)
    (made,) = make_slips(admin, run, undelivered=True)
    assert made.credentials.username == "slip1@example.org"
    with pytest.raises(NoSlips):
        make_slips(admin, run, undelivered=True)


def test_so_many_at_once_and_the_next_ones_with_the_next_press(admin, monkeypatch):
    monkeypatch.setattr(slips, "AT_ONCE", 2)
    run, _ = _run(admin, 3)
    sheets = [[one.credentials.username for one in make_slips(admin, run, undelivered=False)] for _ in range(2)]
    assert sheets == [["slip0@example.org", "slip1@example.org"], ["slip2@example.org"]]


def test_a_press_sent_again_makes_none(admin):
    run, _ = _run(admin, 2)
    with context.use(dataclasses.replace(context.current(), intent="ab" * 16)):
        made = once(admin, lambda: make_slips(admin, run, undelivered=False))
        assert len(made) == 2
        with pytest.raises(AlreadyDone):
            once(admin, lambda: make_slips(admin, run, undelivered=False))
    assert len(tools.trail("CREDENTIALS_PRINTED")) == 2


def test_whoever_may_no_longer_gets_what_is_made_and_makes_no_more(admin, monkeypatch):
    run, _ = _run(admin, 3)
    other, real = factories.make_staff(Role.ADMIN), slips._fresh

    def then_less(*args):
        made = real(*args)
        change_role(other, admin.account_id or 0, Role.RECEPTIONIST)
        return made

    monkeypatch.setattr(slips, "_fresh", then_less)
    assert len(make_slips(admin, run, undelivered=False)) == 1
    assert len(tools.trail("PORTAL_PASSWORD_RESET")) == 1


def test_only_administrators(admin):
    run, _ = _run(admin, 1)
    with pytest.raises(PermissionDenied):
        make_slips(factories.make_staff(), run, undelivered=False)


def test_of_two_at_once_each_password_is_on_one_slip(own_database, monkeypatch):
    monkeypatch.setattr(crypto, "HASH_THREADS", 1)
    admin = factories.make_staff(Role.ADMIN)
    run, _ = _run(admin, 3)
    answers = tools.at_once(*[lambda: make_slips(admin, run, undelivered=False)] * 2)
    made = [one.credentials.username for answer in answers if isinstance(answer, tuple) for one in answer]
    assert sorted(made) == [f"slip{n}@example.org" for n in range(3)], answers
