"""National IDs: shown as typed, compared by letters and digits, and none where there is none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic_app.services.patients import national_ids
from clinic_app.services.patients.national_ids import key, national_id

FEW = settings(max_examples=60, deadline=None)


@pytest.mark.parametrize(
    "spelling",
    ["AB 12-34", "ab1234", "AB–1234", "ＡＢ１２３４", "A B 1 2 3 4", "ab\u00a01234", "ab‑12\u221234",
     "AB\u200b12\u00ad34", "AB/12/34", "AB.12.34", "AB'1234", "AB١٢٣٤", "(AB) 1234", "#AB:12,34", "\u202aAB1234\u202c"],
)  # fmt: skip
def test_national_ids_are_compared_by_letters_and_digits_alone(spelling):
    assert key(spelling) == "ab1234"


def test_the_same_person_is_one_person():
    assert key("123456/78/1") == key("123456781") == key("12.345.678-1") == "123456781"


def test_another_letter_or_digit_is_another_person():
    assert key("AB1234") != key("AB1235")
    assert key("A1234") != key("B1234")
    assert key("01234") != key("1234")


def test_a_national_id_is_kept_as_typed():
    assert national_id("  AB  12-34 ") == "AB 12-34"
    assert national_id("") is None
    assert national_id(None) is None
    assert key(None) is None
    assert national_id("\u202a123\u202c") == "123"


@pytest.mark.parametrize(
    "none",
    ["N/A", "n / a", "n.a.", "NA", "None", "none.", "unknown", "UNKNOWN", "-", "--", "- - /", "/", ".", "?", "0", "000",
     "0-0", "x", "XXX", "nil", "Nil", "null", "no", "not known", "Not available",
     "not applicable", "n/k", "no ID", "Hakuna",
     "sina", "aucun", "Néant", "tbd", "pending", "Ｎ／Ａ",
     "none given", "No ID card", "has no ID", "doesn't have one", "not yet issued",
     "I don't know", "lost", "minor", "y"],
)  # fmt: skip
def test_what_means_none_is_refused(none):
    with pytest.raises(ValueError, match="^Leave National ID empty if there is none.$"):
        national_id(none)
    assert key(none) is None


@pytest.mark.parametrize("number", ["Nairobi1", "X1", "10", "A0", "NIL1", "王1", "Ｎ1", "nabc"])
def test_what_only_looks_like_it_is_a_number(number):
    assert national_id(number)


def test_a_national_id_has_at_most_50_characters():
    assert national_id("1" * 50) == "1" * 50
    with pytest.raises(ValueError, match="^National ID must be at most 50 characters.$"):
        national_id("1" * 51)
    assert len(key("\ufdfa" * 50) or "") == national_ids.LONGEST_KEY


@given(st.text(max_size=50))
@FEW
def test_a_key_is_its_own_key_and_case_and_signs_do_not_count(text):
    found = key(text)
    assert key(found) == found
    if text.isascii():
        assert key(text.upper()) == found
        assert key(" ".join(text)) == found
        assert key("/".join(text)) == found
