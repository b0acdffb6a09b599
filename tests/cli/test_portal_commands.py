"""``portal``: many accounts from the terminal, with numbers and exit codes, and never a password."""

from __future__ import annotations

import json

import pytest

from clinic_app.services.access import SYSTEM
from clinic_app.services.portal import bulk_runs
from clinic_app.services.portal.bulk_choice import Chosen
from tests import factories


@pytest.fixture
def with_patients(clinic):
    """A clinic where two of three patients could have an account."""
    assert clinic("migrate").exit_code == 0
    assert clinic("outbox", "status").exit_code == 0  # binds the database
    desk = factories.make_staff()
    for number in range(2):
        factories.make_patient(desk, email=f"cli{number}@example.org")
    factories.make_patient(desk)
    return clinic


def _report(clinic):
    return json.loads(clinic("portal", "report", "--json").stdout)


def test_a_dry_run_counts_and_makes_nothing(with_patients):
    done = with_patients("portal", "bulk", "--dry-run")
    assert done.stdout == "2 eligible of 3 chosen.\n1 have no email.\n"
    told = json.loads(with_patients("portal", "bulk", "--dry-run", "--json").stdout)
    assert (told["eligible"], told["why_not"]["portal_email_required"]) == (2, 1)
    assert with_patients("portal", "report").exit_code == 4


def test_a_run_creates_the_accounts_and_says_how_many(with_patients):
    done = with_patients("portal", "bulk")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == "Done: 2 created, 0 not, 0 left."
    told = _report(with_patients)
    assert (told["state"], told["created"], told["refused"], told["reasons"]) == ("DONE", 2, 0, {})
    again = with_patients("portal", "bulk")
    assert (again.exit_code, "None of the chosen patients" in again.stderr) == (5, True)
    assert with_patients("portal", "bulk", "--resume").exit_code == 5
    assert with_patients("portal", "stop").exit_code == 4


def test_a_run_that_was_broken_off_is_gone_on_with(with_patients):
    run = bulk_runs.start_run(SYSTEM, Chosen())
    other = with_patients("portal", "bulk")
    assert (other.exit_code, "Another run" in other.stderr) == (5, True)
    assert with_patients("portal", "stop").stdout == "Stopped.\n"
    assert _report(with_patients)["state"] == "STOPPED"
    done = with_patients("portal", "bulk", "--resume", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["id"], told["state"], told["created"]) == (run, "DONE", 2)


def test_somebody_who_could_not_be_given_one_is_named_and_the_exit_code_says_so(with_patients):
    bulk_runs.start_run(SYSTEM, Chosen())
    from tests.db import tools

    tools.write("UPDATE patients SET email = NULL WHERE email = 'cli0@example.org'")
    done = with_patients("portal", "bulk", "--resume")
    assert done.exit_code == 1
    assert done.stdout.splitlines()[-2:] == [
        "Done: 1 created, 1 not, 0 left.",
        "LMC000001: portal email required",
    ]


def test_the_running_server_keeps_what_it_works_on(with_patients):
    bulk_runs.start_run(SYSTEM, Chosen())
    assert bulk_runs._take(None) is not None
    done = with_patients("portal", "bulk", "--resume")
    assert (done.exit_code, "The running server works on it" in done.stderr) == (75, True)


@pytest.mark.parametrize("wrong", [("--registered-from", "15/6/2026"), ("--age", "old")])
def test_what_cannot_be_understood_is_said(with_patients, wrong):
    done = with_patients("portal", "bulk", "--dry-run", *wrong)
    assert done.exit_code == 2
    assert done.stderr.strip()
