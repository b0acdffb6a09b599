"""How values are written for people."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine

from clinic_app.services.patients import wording

UTC = dt.UTC


@pytest.fixture(autouse=True)
def _half_past_nine_in_nairobi():
    with time_machine.travel("2026-06-15 06:30:00+00:00", tick=False):
        yield


def test_phones_are_written_as_the_region_does():
    assert wording.phone_words("+254712445901") == "0712 445901"
    assert wording.phone_words("+12024561111") == "+1 202-456-1111"
    assert wording.phone_words(None) == ""
    assert wording.phone_words("nothing") == "nothing"


@pytest.mark.parametrize(
    ("instant", "words"),
    [
        (dt.datetime(2026, 6, 15, 6, 14, tzinfo=UTC), "Today, 09:14"),
        (dt.datetime(2026, 6, 14, 21, 0, tzinfo=UTC), "Today, 00:00"),
        (dt.datetime(2026, 6, 14, 20, 59, tzinfo=UTC), "Yesterday, 23:59"),
        (dt.datetime(2026, 6, 2, 8, 28, tzinfo=UTC), "2 Jun 2026, 11:28"),
        (None, ""),
    ],
)
def test_instants_are_written_as_the_clinics_clock_shows_them(instant, words):
    assert wording.moment_words(instant) == words


def test_a_deadline_says_how_long_and_until_when():
    now = dt.datetime(2026, 6, 15, 6, 30, tzinfo=UTC)
    assert wording.deadline_words(now + dt.timedelta(hours=31, minutes=59)) == ("31 hours", "Tue 16 Jun, 17:29")
    assert wording.deadline_words(now + dt.timedelta(minutes=1))[0] == "1 minute"
    assert wording.deadline_words(now + dt.timedelta(minutes=119, seconds=59))[0] == "119 minutes"
    assert wording.deadline_words(now + dt.timedelta(hours=2))[0] == "2 hours"
    assert wording.deadline_words(now - dt.timedelta(hours=2))[0] == "0 minutes"


def test_nothing_stands_for_a_last_name_that_somebody_has_not():
    assert wording.full_name("Amina", "Odhiambo") == "Amina Odhiambo"
    assert wording.full_name("Suharto", "") == "Suharto"
    assert wording.initials("Suharto", "") == "S"


def test_initials_are_capitals():
    assert wording.initials("amina", "odhiambo") == "AO"
    assert wording.initials("", "Wu") == "W"


def test_genders_have_words():
    assert wording.GENDER_WORDS == {"MALE": "Male", "FEMALE": "Female", "OTHER": "Other", "UNKNOWN": "Unknown"}
