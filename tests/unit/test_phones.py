"""Telephone numbers: one number, read without guessing, or refused in words."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic_app.services.patients import phones, wording

FEW = settings(max_examples=150, deadline=None)
LETTERS = "^Next of kin phone must not contain letters, for example 0712 123456.$"
EXTENSION = "^Next of kin phone must be without an extension, for example 0712 123456.$"
TWO = "^Next of kin phone must be one number, not two.$"
NO_NUMBER = "^Next of kin phone must be a valid phone number, for example 0712 123456.$"


@pytest.mark.parametrize(
    ("typed", "kept", "shown"),
    [
        ("0712 445 901", "+254712445901", "0712 445901"),
        ("0712445901", "+254712445901", "0712 445901"),
        ("(0712) 445-901", "+254712445901", "0712 445901"),
        ("0712.445.901", "+254712445901", "0712 445901"),
        ("0712/445901", "+254712445901", "0712 445901"),
        ("0712–445‑901", "+254712445901", "0712 445901"),
        ("+254 712 445 901", "+254712445901", "0712 445901"),
        ("+254 (0) 712 445 901", "+254712445901", "0712 445901"),
        ("+254 (0)712 345601", "+254712345601", "0712 345601"),
        ("(+254) 712 345601", "+254712345601", "0712 345601"),
        ("00254712345603", "+254712345603", "0712 345603"),
        ("00 254 712 345 603", "+254712345603", "0712 345603"),
        ("254712445901", "+254712445901", "0712 445901"),
        ("tel:+254712345601", "+254712345601", "0712 345601"),
        ("TEL: 0712-345-601", "+254712345601", "0712 345601"),
        ("0110 123 456", "+254110123456", "0110 123456"),
        ("020 712 3456", "+254207123456", "020 7123456"),
        ("+44 20 7946 0958", "+442079460958", "+44 20 7946 0958"),
        ("+44 (0)20 7946 0958", "+442079460958", "+44 20 7946 0958"),
        ("0044 20 7946 0958", "+442079460958", "+44 20 7946 0958"),
        ("+39 (0)6 6988 1111", "+390669881111", "+39 06 6988 1111"),
        ("+256 772 123 456", "+256772123456", "+256 772 123456"),
        ("٠٧١٢٤٤٥٩٠١", "+254712445901", "0712 445901"),
        ("०७१२४४५९०१", "+254712445901", "0712 445901"),
        ("＋２５４７１２４４５９０１", "+254712445901", "0712 445901"),
        ("\u202a+254 712 445 901\u202c", "+254712445901", "0712 445901"),
        ("\u200e0712\u00a0445\u2009901\ufeff", "+254712445901", "0712 445901"),
        ("\u20660712 445901\u2069", "+254712445901", "0712 445901"),
        ("0712\u00ad445901\t", "+254712445901", "0712 445901"),
    ],
)
def test_a_phone_is_kept_as_e164_and_shown_as_the_region_writes_it(typed, kept, shown):
    assert phones.phone(typed) == kept
    assert wording.phone_words(kept) == shown
    assert phones.phone(shown) == kept
    assert phones.phone(phones.read_back(typed)) == kept


@pytest.mark.parametrize("nothing", [None, "", "  ", "\u00a0\u200e", "tel:"])
def test_a_phone_may_be_missing(nothing):
    assert phones.phone(nothing) is None


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("0712 OOO 616", LETTERS),
        ("07l2 445901", LETTERS),
        ("0712-CLINIC", LETTERS),
        ("phone", LETTERS),
        ("07x2445901", LETTERS),
        ("0712 445901 home", LETTERS),
        ("０７１２ＯＯＯ６１６", LETTERS),
        ("0712345601 ext 5", EXTENSION),
        ("0712345601 Ext. 12", EXTENSION),
        ("0712345601x5", EXTENSION),
        ("0712345601#12", EXTENSION),
        ("0712345601,5", EXTENSION),
        ("0712-345601;ext=5", EXTENSION),
        ("0712345632;0722345632", TWO),
        ("0712345632,0722345632", TWO),
        ("0712345632/0722345632", TWO),
        ("0712345632 / 0722 345 632", TWO),
        ("0712345632 or 0722345632", TWO),
        ("0712345632 0722345632", TWO),
        ("0712345632 & 0722345632", TWO),
        ("+254712345632 +254722345632", TWO),
        ("12", NO_NUMBER),
        ("0712 445", NO_NUMBER),
        ("+999 123 456 789", NO_NUMBER),
        ("0712445901234", NO_NUMBER),
        ("+", NO_NUMBER),
        ("++254712345601", NO_NUMBER),
        ("+00254712345601", NO_NUMBER),
        ("0712+345601", NO_NUMBER),
        ("0712*345601", NO_NUMBER),
        ("0712_345601", NO_NUMBER),
        ("071244590²", NO_NUMBER),
        ("071244590①", NO_NUMBER),
        ("0712\x00445901", NO_NUMBER),
    ],
)
def test_what_is_not_one_number_is_refused_in_words_and_never_made_one(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        phones.phone(wrong, "Next of kin phone")
    assert phones.read_back(wrong) == ""


def test_a_phone_is_text_of_at_most_40_characters():
    for wrong in (712445901, True, ["0712445901"]):
        with pytest.raises(ValueError, match="^Phone must be text.$"):
            phones.phone(wrong)
    for wrong in ("0712 445901" + " ." * 20, "0" * 100_000, "-" * 41):
        with pytest.raises(ValueError, match="^Phone must be "):
            phones.phone(wrong)
    assert phones.phone("0712 445901" + " " * 60) == "+254712445901"


def test_the_region_of_phones_is_a_setting(_region_us):
    assert phones.phone("(202) 456-1111") == "+12024561111"
    assert phones.phone("00254712445901") == "+254712445901"
    assert wording.phone_words("+12024561111") == "(202) 456-1111"
    assert wording.phone_words("+254712445901") == "+254 712 445901"
    assert phones.dialled("+12024561111") == ("12024561111", "2024561111")


@pytest.fixture
def _region_us(settings):
    settings.setenv("CLINIC_REGION", "US")


def test_a_phone_is_read_back_with_its_country():
    assert phones.read_back("0712 345601") == "+254 712 345601"
    assert phones.read_back("+44 20 7946 0958") == "+44 20 7946 0958"
    assert phones.read_back("") == ""


def test_a_number_is_dialled_with_and_without_its_country():
    assert phones.dialled("+254712445901") == ("254712445901", "0712445901")
    assert phones.dialled("+442079460958") == ("442079460958", "02079460958")
    assert phones.dialled(None) == ()


WORDS = st.sampled_from([712, 722, 110, 20]).flatmap(
    lambda lead: st.integers(0, 10**6 - 1).map(lambda rest: f"{lead}{rest:0{9 - len(str(lead))}d}")
)


@given(WORDS, st.lists(st.sampled_from([" ", "-", ".", "/", "(", ")", "\u00a0", "\u200e"]), max_size=4), st.data())
@FEW
def test_what_stands_between_the_digits_does_not_count(number, between, data):
    number = "0" + number
    plain = phonenumbers.parse(number, "KE")
    typed = list(number)
    for sign in between:
        typed.insert(data.draw(st.integers(3, len(typed))), sign)
    text = "".join(typed)
    if not phonenumbers.is_valid_number(plain):
        with pytest.raises(ValueError, match="^Phone must be "):
            phones.phone(text)
    elif sum(part.isdigit() for part in text) and "/" not in text:
        assert phones.phone(text) == phonenumbers.format_number(plain, phonenumbers.PhoneNumberFormat.E164)


@given(st.text(max_size=50) | st.text("0123456789+ ()-./;,xe\u202a", max_size=40))
@FEW
def test_any_text_is_a_phone_of_its_own_digits_or_is_refused_with_a_sentence(text):
    try:
        found = phones.phone(text)
    except ValueError as error:
        assert str(error).startswith("Phone must ")
        assert str(error).endswith(".")
        return
    if found is not None:
        typed = "".join(str(int(c)) for c in text if c.isdecimal())
        assert typed.endswith(found[-6:])  # nothing is made up, nothing is left out at the end
        assert phones.phone(found) == found
