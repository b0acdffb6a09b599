"""How values are written for people."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine

from clinic_app.core import clock
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


@pytest.mark.parametrize(
    ("instant", "words"),
    [
        ("2026-06-16 13:40", ("today", "16:40")),
        ("2026-06-16 21:00", ("tomorrow", "00:00")),
        ("2026-06-15 20:59", ("yesterday", "23:59")),
        ("2026-06-18 13:40", ("Thu 18 Jun", "16:40")),
        ("2026-06-09 13:40", ("9 Jun", "16:40")),
        ("2025-06-09 13:40", ("9 Jun 2025", "16:40")),
        ("2027-01-02 13:40", ("2 Jan 2027", "16:40")),
    ],
)
def test_a_day_is_said_as_people_say_it(instant, words):
    with time_machine.travel("2026-06-16 08:10:00+00:00", tick=False):
        assert wording.day_and_time(dt.datetime.fromisoformat(instant + "+00:00")) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-59, "now"),
        (59, "now"),
        (-60, "1 min"),
        (-59 * 60, "59 min"),
        (61 * 60, "in 1 h"),
        (-47 * 3600, "47 h"),
        (-48 * 3600, "2 days"),
        (23 * 86400, "in 23 days"),
    ],
)
def test_a_time_since_or_until_is_rounded_down(seconds, words):
    with time_machine.travel("2026-06-16 08:10:00+00:00", tick=False):
        assert wording.span_words(clock.now() + dt.timedelta(seconds=seconds)) == words
