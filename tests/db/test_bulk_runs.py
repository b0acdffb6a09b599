"""Runs of portal accounts: previewed, each made once, stopped, gone on with, ended when their starter may no longer."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re

import pytest
import time_machine

from clinic_app.core import crypto
from clinic_app.core.errors import InvalidInput, PermissionDenied, Unavailable
from clinic_app.models.accounts import Role
from clinic_app.services.access import SYSTEM
from clinic_app.services.accounts.staff import change_role, disable_staff
from clinic_app.services.portal import bulk_export, bulk_runs, provisioning
from clinic_app.services.portal.bulk_choice import Chosen, preview_run
from clinic_app.services.portal.bulk_export import export_run
from clinic_app.services.portal.bulk_runs import (
    continue_run,
    report_run,
    start_run,
    stop_run,
    work_on,
)
from clinic_app.services.portal.errors import NobodyEligible, NoSuchRun, PreviewChanged, RunUnderWay
from clinic_app.services.portal.forms import PortalAccountRequest
from tests import factories
from tests.db import tools

EVERYBODY = Chosen()


@pytest.fixture
def alone(monkeypatch):
    """One account at a time: the tests that roll back have one connection."""
    monkeypatch.setattr(crypto, "HASH_THREADS", 1)


@pytest.fixture
def admin(database, alone):
    return factories.make_staff(Role.ADMIN, name="Daniel Otieno")


def _patients(actor, number: int, **changes) -> list[str]:
    return [
        factories.make_patient(actor, email=f"bulk{n}@example.org", **changes).patient.patient_id for n in range(number)
    ]


def _accounts() -> list[str]:
    return [row[0] for row in tools.raw("SELECT username FROM accounts WHERE role = 'PATIENT' ORDER BY username")]


def test_the_preview_counts_who_is_eligible_and_why_others_are_not(admin):
    _patients(admin, 3)
    factories.make_patient(admin)
    factories.make_patient(admin, portal_email="has@example.org")
    factories.make_patient(admin, email="HAS@example.org")
    factories.make_patient(admin, email="quiet@example.org", email_allowed="")
    gone = factories.make_patient(admin, email="gone@example.org")
    tools.write("UPDATE patients SET email_allowed = false WHERE email = 'quiet@example.org'")
    tools.write("UPDATE patients SET is_active = false WHERE id = :id", id=gone.patient.id)
    seen = preview_run(admin, EVERYBODY)
    assert (seen.chosen, seen.eligible) == (7, 3)
    assert dict(seen.why_not) == {
        "portal_account_exists": 1,
        "portal_email_required": 1,
        "email_in_use": 1,
        "no_messages": 1,
    }
    run = start_run(admin, EVERYBODY)
    assert work_on(run)
    done = report_run(admin, run)
    assert (done.state, done.total, done.created, done.refused, done.waiting) == ("DONE", 3, 3, 0, 0)
    assert _accounts() == ["bulk0@example.org", "bulk1@example.org", "bulk2@example.org", "has@example.org"]
    assert preview_run(admin, EVERYBODY).eligible == 0
    with pytest.raises(NobodyEligible):
        start_run(admin, EVERYBODY)


def test_the_chosen_are_named_with_the_reason_the_newest_first_and_that_is_on_record(admin):
    with_login = factories.make_patient(admin, portal_email="has@example.org").patient.patient_id
    sharing = factories.make_patient(admin, email="HAS@example.org").patient.patient_id
    first, second = _patients(admin, 2)
    seen = preview_run(admin, EVERYBODY, 1)
    assert [(one.patient_id, one.why_not, one.since is None) for one in seen.rows] == [
        (second, "", True),
        (first, "", True),
        (sharing, "email_in_use", True),
        (with_login, "portal_account_exists", False),
    ]
    assert tools.trail("PATIENT_LISTED")[-1]["metadata"] == {"kind": "bulk preview", "page": 1, "count": 4}
    after = tools.last_seq()
    assert preview_run(admin, EVERYBODY, 99).page == 1
    assert preview_run(admin, EVERYBODY).rows == ()
    assert preview_run(admin, Chosen(language="fr"), 1).rows == ()
    assert len(tools.trail("PATIENT_LISTED", after=after)) == 1


def test_the_report_as_a_file_says_what_became_of_each_and_no_password(admin, settings, monkeypatch):
    settings.setenv("CLINIC_SMTP_HOST", "mail.example.org")
    monkeypatch.setattr(bulk_export, "_CHUNK", 2)
    keys = _patients(admin, 3, first_name="=Amina")
    run = start_run(admin, EVERYBODY)
    tools.write("UPDATE patients SET email = NULL WHERE patient_id = :one", one=keys[1])
    work_on(run, done=lambda n: stop_run(admin, run) if report_run(admin, run).waiting == 1 else None)
    made = export_run(admin, run)
    rows = list(csv.reader(io.StringIO("".join(made.pieces))))
    assert re.fullmatch(r"portal-accounts-\d{4}-\d\d-\d\d-\d{4}\.csv", made.filename)
    assert tuple(rows[0]) == bulk_export.HEADER
    assert [(row[0], row[2], row[3], row[4], row[5]) for row in rows[1:]] == [
        (keys[0], "created", "", "bulk0@example.org", "waiting"),
        (keys[1], "not created", "No email any more", "", ""),
        (keys[2], "waiting", "", "", ""),
    ]
    assert all(row[1].startswith("'=") for row in rows[1:])
    assert tools.trail("PORTAL_BULK_REPORT_EXPORTED")[-1]["metadata"] == {"run": run, "count": 3}
    with pytest.raises(NoSuchRun):
        export_run(admin, run + 1)


def test_the_filter_chooses_by_day_age_and_language(admin):
    with time_machine.travel("2026-06-14 20:59:59+00:00", tick=False):  # before midnight in Nairobi
        factories.make_patient(admin, email="a@example.org", date_of_birth="15/6/2008", preferred_language="en")
    with time_machine.travel("2026-06-14 21:00:00+00:00", tick=False):
        factories.make_patient(admin, email="b@example.org", date_of_birth="16/6/2008", preferred_language="sw")
        factories.make_patient(admin, email="c@example.org", date_of_birth="", preferred_language="sw")
    with time_machine.travel("2026-06-15 09:00:00+00:00", tick=False):
        for data, number in (
            ({}, 3),
            ({"registered_from": "2026-06-15"}, 2),
            ({"registered_until": "2026-06-14"}, 1),
            ({"registered_from": "2026-06-14", "registered_until": "2026-06-15"}, 3),
            ({"age": "adult"}, 1),
            ({"age": "CHILD"}, 1),
            ({"language": "sw"}, 2),
            ({"language": "sw", "age": "child"}, 1),
        ):
            assert preview_run(admin, Chosen.parse(data)).chosen == number, data
    for wrong in ({"registered_from": "15/6/2026"}, {"registered_until": "soon"}, {"age": "old"}):
        with pytest.raises(InvalidInput) as refused:
            Chosen.parse(wrong)
        assert list(refused.value.fields) == list(wrong)


def test_one_runs_at_a_time_and_what_was_stopped_goes_on_where_it_was(admin):
    _patients(admin, 3)
    run = start_run(admin, EVERYBODY)
    with pytest.raises(RunUnderWay):
        start_run(admin, EVERYBODY)
    done = []

    def stop(_: int) -> None:
        done.append(1)
        stop_run(admin, run)

    assert work_on(run, done=stop)
    assert (len(done), report_run(admin, run).state, report_run(admin).created) == (1, "STOPPED", 1)
    assert work_on() is False
    for late in (stop_run, lambda actor, ident: continue_run(actor, ident + 1)):
        with pytest.raises(NoSuchRun):
            late(admin, run)
    continue_run(admin, run)
    assert work_on()
    assert (report_run(admin, run).state, report_run(admin, run).created) == ("DONE", 3)
    with pytest.raises(NoSuchRun):
        continue_run(admin, run)
    assert len(_accounts()) == 3


def test_whoever_got_an_account_or_lost_the_email_meanwhile_is_told_with_the_reason(admin):
    first, second, third = _patients(admin, 3)
    run = start_run(admin, EVERYBODY)
    provisioning.create_portal_account(admin, first, PortalAccountRequest("other@example.org"))
    tools.write("UPDATE patients SET email = NULL WHERE patient_id = :one", one=second)
    work_on(run)
    done = report_run(admin, run)
    assert (done.created, done.refused) == (1, 2)
    told = {one.patient_id: one.reason for one in done.reasons}
    assert told == {first: "portal_account_exists", second: "portal_email_required"}
    assert third not in told
    assert tools.trail("PATIENT_LISTED")[-1]["metadata"] == {"kind": "bulk report", "page": 1, "count": 2}


def test_a_run_that_was_broken_off_goes_on_without_a_double_once_its_lease_is_over(admin, clock, monkeypatch):
    _patients(admin, 3)
    run = start_run(admin, EVERYBODY)
    real, made = provisioning.give_account, []

    def dies(*args, **kwargs):
        if made:
            raise KeyboardInterrupt
        made.append(real(*args, **kwargs))

    with monkeypatch.context() as patched:
        patched.setattr(bulk_runs, "give_account", dies)
        with pytest.raises(KeyboardInterrupt):
            work_on(run)
    assert report_run(admin, run).created == 1
    assert work_on(run) is False, "somebody has the lease"
    clock.shift(bulk_runs.LEASE + dt.timedelta(seconds=1))
    assert work_on(run)
    assert (report_run(admin, run).state, report_run(admin, run).created) == ("DONE", 3)
    assert len(tools.trail("PORTAL_ACCOUNT_CREATED")) == 3


def test_what_is_made_and_what_is_noted_are_one(admin, monkeypatch):
    _patients(admin, 1)
    run = start_run(admin, EVERYBODY)

    def broken(*_: object, **__: object) -> None:
        raise OSError("disk")

    with monkeypatch.context() as patched:
        patched.setattr("clinic_app.services.portal.provisioning.record", broken)
        work_on(run)
    assert _accounts() == []
    assert [one.reason for one in report_run(admin, run).reasons] == ["unexpected"]
    work_on(start_run(admin, EVERYBODY))
    assert _accounts() == ["bulk0@example.org"]


@pytest.mark.parametrize("change", ["role", "off"])
def test_it_ends_when_whoever_started_it_may_no_longer(admin, change):
    _patients(admin, 3)
    other = factories.make_staff(Role.ADMIN)
    run = start_run(admin, EVERYBODY)

    def lose(_: int) -> None:
        if change == "role":
            change_role(other, admin.account_id or 0, Role.RECEPTIONIST)
        else:
            disable_staff(other, admin.account_id or 0)

    work_on(run, done=lambda n: lose(n) if report_run(other, run).created == 1 else None)
    assert (report_run(other, run).state, report_run(other, run).created) == ("ENDED", 1)
    continue_run(other, run)
    work_on()
    assert (report_run(other, run).state, report_run(other, run).created) == ("DONE", 3)


def test_the_end_of_a_session_does_not_end_the_run(admin):
    _patients(admin, 2)
    run = start_run(admin, EVERYBODY)
    tools.write("UPDATE login_sessions SET ended_at = created_at, end_reason = 'idle'")
    work_on(run)
    assert report_run(admin, run).state == "DONE"


def test_a_run_begins_for_those_alone_who_were_previewed(admin):
    _patients(admin, 2)
    with pytest.raises(PreviewChanged):
        start_run(admin, EVERYBODY, 1)
    assert tools.number("SELECT count(*) FROM portal_runs") == 0
    assert start_run(admin, EVERYBODY, preview_run(admin, EVERYBODY).eligible)


def test_the_report_names_those_refused_a_page_at_a_time_and_leaves_an_event_for_each_look(admin, monkeypatch):
    monkeypatch.setattr(bulk_runs, "PAGE_SIZE", 2)
    keys = _patients(admin, 4, last_name="Atieno")
    run = start_run(admin, EVERYBODY)
    tools.write("UPDATE patients SET email = NULL WHERE patient_id <> :one", one=keys[0])
    work_on(run)
    first, second, beyond = (report_run(admin, page=page) for page in (1, 2, 99))
    assert (first.created, first.refused, first.started_by) == (1, 3, "Daniel Otieno")
    assert [one.patient_id for one in (*first.reasons, *second.reasons)] == keys[1:]
    assert {one.name.split()[-1] for one in first.reasons} == {"Atieno"}
    assert beyond == second
    seen = [event["metadata"] for event in tools.trail("PATIENT_LISTED")[-3:]]
    assert seen == [{"kind": "bulk report", "page": page, "count": count} for page, count in ((1, 2), (2, 1), (2, 1))]
    after = tools.last_seq()
    report_run(admin, page=1, again=[one.id for one in first.reasons])
    assert tools.trail("PATIENT_LISTED", after=after) == []
    report_run(admin, page=1, again=[first.reasons[0].id])
    assert len(tools.trail("PATIENT_LISTED", after=after)) == 1


def test_the_report_says_how_far_the_invitations_are_and_how_long_it_takes(admin, settings, clock):
    settings.setenv("CLINIC_SMTP_HOST", "mail.example.org")
    _patients(admin, 5)
    run = start_run(admin, EVERYBODY)
    assert report_run(admin, run).seconds_left is None

    def stop(_: int) -> None:
        clock.shift(dt.timedelta(seconds=10))
        if report_run(admin, run).created == 4:
            stop_run(admin, run)

    work_on(run, done=stop)
    sql = "UPDATE outbox_messages SET state = :state WHERE address = :to"
    tools.write(sql, state="SENT", to="bulk0@example.org")
    tools.write(sql, state="FAILED", to="bulk1@example.org")
    found = report_run(admin, run)
    assert (found.sent, found.queued, found.failed, found.seconds_left) == (1, 2, 1, None)
    continue_run(admin, run)
    assert report_run(admin, run).seconds_left == 10


def test_a_run_invites_as_a_desk_does(admin, settings):
    settings.setenv("CLINIC_SMTP_HOST", "mail.example.org")
    _patients(admin, 1)
    alone = factories.make_patient(admin, email="alone@example.org")
    provisioning.create_portal_account(admin, alone.patient.id, PortalAccountRequest("alone@example.org"))
    work_on(start_run(admin, EVERYBODY))
    sent = tools.raw(
        "SELECT account_id, kind, channel, address, state, purpose FROM outbox_messages"
        " JOIN one_time_links USING (account_id) ORDER BY account_id"
    )
    assert [tuple(row)[3] for row in sent] == ["alone@example.org", "bulk0@example.org"]
    first, second = ((*row[1:3], *row[4:]) for row in map(tuple, sent))
    assert first == second


def test_nobody_at_a_desk_waits_behind_the_hashes_of_a_run(admin, monkeypatch):
    _patients(admin, 1)
    desk = factories.make_patient(admin)
    rooms = []

    def seen(room):
        real = room.work
        monkeypatch.setattr(room, "work", lambda *args: rooms.append(room) or real(*args))

    seen(crypto._bulk)
    seen(crypto._known)
    work_on(start_run(admin, EVERYBODY))
    assert rooms == [crypto._bulk]
    provisioning.create_portal_account(admin, desk.patient.id, PortalAccountRequest("desk@example.org"))
    assert rooms[1:] == [crypto._known]


def test_what_gives_way_for_a_moment_is_tried_again(admin, monkeypatch):
    _patients(admin, 2)
    run = start_run(admin, EVERYBODY)
    monkeypatch.setattr(bulk_runs, "_PAUSE", 0)
    real, refused = provisioning.give_account, []

    def busy(*args, **kwargs):
        if len(refused) < 2:
            refused.append(1)
            raise Unavailable
        return real(*args, **kwargs)

    monkeypatch.setattr(bulk_runs, "give_account", busy)
    work_on(run)
    assert (len(refused), report_run(admin, run).created, report_run(admin, run).refused) == (2, 2, 0)


def test_only_administrators_and_nothing_of_a_password_is_kept(admin):
    desk = factories.make_staff()
    _patients(admin, 1)
    run = start_run(admin, Chosen.parse({"registered_from": "2020-02-29", "age": "adult"}))
    for use_case in (
        lambda: preview_run(desk, EVERYBODY),
        lambda: start_run(desk, EVERYBODY),
        lambda: stop_run(desk, run),
        lambda: continue_run(desk, run),
        lambda: report_run(desk),
    ):
        with pytest.raises(PermissionDenied):
            use_case()
    stop_run(admin, run)
    continue_run(admin, run)
    work_on()
    numbers = {"created": 0, "failed": 0, "left": 1}
    assert [event["metadata"] for event in tools.trail("PORTAL_BULK_RUN")] == [
        {"run": run, "chosen": 1, "filter": {"registered_from": "2020-02-29", "age": "ADULT"}},
        {"run": run, "state": "STOPPED", **numbers},
        {"run": run, "state": "RUNNING", **numbers},
        {"run": run, "state": "DONE", "created": 1, "failed": 0, "left": 0},
    ]
    (event,) = tools.trail("PORTAL_ACCOUNT_CREATED")
    assert (event["actor_id"], event["role"]) == (admin.account_id, "ADMIN")
    (row,) = tools.raw("SELECT * FROM portal_runs")
    assert "bulk0@example.org" not in str(tuple(row))


def test_of_several_servers_one_works_and_nobody_gets_two(own_database):
    admin = factories.make_staff(Role.ADMIN)
    _patients(admin, 8)
    run = start_run(admin, EVERYBODY)
    answers = tools.at_once(*[work_on] * 4)
    assert sorted(map(str, answers)) == ["False"] * 3 + ["True"], answers
    done = report_run(SYSTEM, run)
    assert (done.state, done.created, done.refused) == ("DONE", 8, 0)
    assert len(_accounts()) == 8


def test_of_several_who_start_at_once_one_does(own_database):
    admin = factories.make_staff(Role.ADMIN)
    _patients(admin, 3)
    answers = tools.at_once(*[lambda: start_run(admin, EVERYBODY)] * 4)
    assert sum(isinstance(one, int) for one in answers) == 1, answers
    assert sum(isinstance(one, RunUnderWay) for one in answers) == 3
    assert tools.number("SELECT count(*) FROM portal_run_items") == 3


async def test_a_server_goes_on_by_itself(own_database, monkeypatch):
    import asyncio

    admin = factories.make_staff(Role.ADMIN)
    _patients(admin, 2)
    run = start_run(admin, EVERYBODY)
    monkeypatch.setattr(bulk_runs, "EVERY", 0.01)
    async with bulk_runs.working(), asyncio.timeout(20):
        while report_run(admin, run).state != "DONE":
            await asyncio.sleep(0.05)
    assert len(_accounts()) == 2
