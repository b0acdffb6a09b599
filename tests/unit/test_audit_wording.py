"""Events in words: every action has some, whatever is recorded can be read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic_app.services.audit import wording
from clinic_app.services.audit.actions import Action, Outcome

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.mark.parametrize("action", Action)
def test_every_action_is_a_few_words_in_sentence_case(action):
    words = wording.action_words(action)
    assert words[0].isupper()
    assert "_" not in words
    assert len(words) <= 40


def test_no_two_actions_read_the_same():
    words = [text for _, text in wording.actions()]
    assert len(set(words)) == len(words) == len(Action)
    assert words == sorted(words)


def test_outcomes_have_words():
    assert set(wording.OUTCOMES) == set(Outcome)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "None"),
        (True, "Yes"),
        (False, "No"),
        (12345, "12,345"),
        ("staff", "staff"),
        (["first_name", "phone"], "first_name, phone"),
        ([], "None"),
        ({"action": "SIGNED_IN", "actor_id": None}, "Action: SIGNED_IN; Account: None"),
        ({"since": "2026-06-17T21:00:00+00:00"}, "From: 18 Jun 2026, 00:00"),
        ("2026-06-17T21:00:00.5+00:00", "18 Jun 2026, 00:00"),
        ("2026-06-17T21:00:00", "2026-06-17T21:00:00"),
        ("2026-06-17T99:00:00+00:00", "2026-06-17T99:00:00+00:00"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),
        ({}, "None"),
    ],
)
def test_metadata_is_read_out(value, words):
    assert wording.fact_words(value) == words


@given(JSON)
def test_whatever_is_recorded_can_be_read(value):
    assert isinstance(wording.fact_words(json.loads(json.dumps(value))), str)
