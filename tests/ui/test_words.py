"""Sentences that pages make of figures and moments."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine

from clinic_app.core.paging import window
from clinic_app.services.accounts.views import FailedTries
from clinic_app.services.patients.forms import PatientQuery
from clinic_app.services.patients.search import list_patients
from clinic_app.ui import presenters
from tests import factories

NOW = dt.datetime(2026, 6, 16, 8, 0, tzinfo=dt.UTC)  # 11:00 in Nairobi


@pytest.mark.parametrize(
    ("number", "total", "words"),
    [
        (1, 0, "0 patients"),
        (1, 1, "1 patient"),
        (1, 2, "1–2 of 2 patients"),
        (1, 10, "1–10 of 10 patients"),
        (2, 11, "11 of 11 patients"),
        (2, 4903, "11–20 of 4,903 patients"),
    ],
)
def test_what_a_list_shows_of_how_many(number, total, words):
    rows = window(number, 10, total)
    assert presenters.shown_of(rows.page(range(min(10, total - rows.skip))), "patient") == words


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (dt.timedelta(hours=1), "last today at 10:00"),
        (dt.timedelta(hours=12), "last yesterday at 23:00"),
        (dt.timedelta(days=30), "last 17 May 2026 at 11:00"),
    ],
)
@time_machine.travel(NOW, tick=False)
def test_the_owner_is_told_how_often_and_when(ago, words):
    said = presenters.failed_tries(FailedTries(1200, NOW - ago))
    assert said == f"Somebody entered a wrong password for your account 1,200 times, {words}."


def test_a_moment_among_the_latest_patients_stays_together(people):
    with time_machine.travel(NOW - dt.timedelta(days=1), tick=False):
        done = factories.make_patient(people.receptionist)
    with time_machine.travel(NOW, tick=False):
        (row,) = list_patients(people.receptionist, PatientQuery(term=done.patient.patient_id)).items
        line = presenters.latest_row(row).line
    assert line == f"{done.patient.patient_id} · Yesterday,\N{NO-BREAK SPACE}11:00"
