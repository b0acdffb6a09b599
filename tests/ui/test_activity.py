"""*Activity*: runs of the same look folded, what was done to the record before who only looked at it."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine

from clinic_app.services.audit.reading import RecordedEvent
from clinic_app.ui import presenters

NOW = dt.datetime(2026, 6, 16, 8, 0, tzinfo=dt.UTC)  # 11:00 in Nairobi


@pytest.fixture(autouse=True)
def now():
    """Tuesday 16 June 2026."""
    with time_machine.travel(NOW, tick=False):
        yield


def _event(minutes_ago: int, action: str = "PATIENT_VIEWED", who: str = "Grace Wanjiru", **changes) -> RecordedEvent:
    given = {"actor": "account", "role": "RECEPTIONIST", "outcome": "success", "details": {}, **changes}
    at = NOW - dt.timedelta(minutes=minutes_ago)
    return RecordedEvent(seq=10_000 - minutes_ago, at=at, actor_name=who, action=action, **given)


def _said(lines) -> list[tuple[str, str]]:
    return [(line.what, line.when) for line in lines]


def test_a_run_of_the_same_look_is_one_line_with_each_time_behind_it():
    (line,) = presenters.activity(tuple(_event(ago) for ago in (6, 8, 10, 17, 23, 28)))
    assert (line.what, line.when) == ("Profile opened 6 times by Grace Wanjiru", "Today, 10:32 to 10:54")
    assert (line.often, line.times) == ("6 times", ["10:54", "10:52", "10:50", "10:43", "10:37", "10:32"])


def test_within_one_minute_it_is_said_once():
    (line,) = presenters.activity((_event(6), _event(6)))
    assert (line.when, line.times) == ("Today, 10:54", ["10:54", "10:54"])


def test_over_midnight_each_time_says_its_day():
    (line,) = presenters.activity((_event(10), _event(1000)))
    assert line.when == "Yesterday, 18:20 to Today, 10:50"
    assert line.times == ["Today, 10:50", "Yesterday, 18:20"]


def test_another_person_another_page_or_a_change_ends_a_run_and_a_refusal_does_not():
    lines = presenters.activity(
        (
            _event(1),
            _event(2, action="PATIENT_UPDATED", outcome="failure"),
            _event(3),
            _event(4, who="Daniel Otieno"),
            _event(5, action="PATIENT_UPDATED", details={"fields": ["phone"]}),
            _event(6),
            _event(7, details={"page": "card"}),
            _event(8, action="OWN_RECORD_VIEWED", who="Amina"),
            _event(9, action="OWN_RECORD_VIEWED", who="Amina"),
        )
    )
    assert [line.what for line in lines] == [
        "Profile opened 2 times by Grace Wanjiru",
        "Profile opened by Daniel Otieno",
        "Phone changed by Grace Wanjiru",
        "Profile opened by Grace Wanjiru",
        "Patient card opened by Grace Wanjiru",
        "Own record viewed 2 times by the patient",
    ]


def test_two_changes_in_a_row_stay_two_lines():
    reset = [_event(ago, action="PORTAL_PASSWORD_RESET") for ago in (1, 2)]
    assert [line.what for line in presenters.activity(tuple(reset))] == [
        "Temporary password reset by Grace Wanjiru"
    ] * 2


def test_of_many_looks_three_are_shown_beside_the_changes_newest_first():
    looks = [_event(ago, who=f"Person {ago}") for ago in range(1, 20)]
    changes = [_event(ago, action="PORTAL_PASSWORD_RESET") for ago in range(30, 37)]
    lines = presenters.activity((*looks, *changes))
    assert [line.icon for line in lines] == ["eye"] * 3 + ["key-round"] * 5
    assert [line.what for line in lines[:3]] == [f"Profile opened by Person {ago}" for ago in (1, 2, 3)]
    assert len(presenters.all_activity((*looks, *changes))) == 26


def test_where_there_are_few_changes_looks_fill_the_room():
    looks = [_event(ago, who=f"Person {ago}") for ago in range(1, 20)]
    lines = presenters.activity((*looks, _event(30, action="PATIENT_CREATED")))
    assert [line.icon for line in lines] == ["eye"] * 7 + ["user-plus"]
