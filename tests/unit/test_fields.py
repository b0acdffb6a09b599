"""The rules of single fields, each with what it takes and what it refuses."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic_app.core import text_rules
from clinic_app.models.patients import Gender
from clinic_app.services.patients import fields, wording

TODAY = "2026-06-15 09:00:00+03:00"
FEW = settings(max_examples=60, deadline=None)
OVERRIDES = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.fixture(autouse=True)
def _a_fixed_day():
    with time_machine.travel(TODAY, tick=False):
        yield


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["Amina", "Nguyễn Thị Ánh", "王小明", "አማረች", "محمد", "Ольга", "O'Brien", "Anne-Marie", "김철수", "Ng", "D", "र्‍य"],
)
def test_a_name_may_be_in_any_script(name):
    assert text_rules.name(name, "First name") == name


def test_a_name_is_trimmed_and_inner_spaces_become_one():
    assert text_rules.name("  Mary \u00a0 Jane\u3000Wairimu ", "First name") == "Mary Jane Wairimu"


def test_a_name_is_kept_composed_however_it_was_typed():
    assert text_rules.name("Jose\u0301", "First name") == "Jos\u00e9"


@pytest.mark.parametrize("empty", [None, "", "   ", "\u00a0", "\u200b", "\u200d\u200c", "\u2060\ufeff"])
def test_a_name_with_nothing_to_see_is_missing(empty):
    with pytest.raises(ValueError, match="^First name is required.$"):
        text_rules.name(empty, "First name")


def test_a_name_has_at_most_100_characters_after_trimming():
    assert text_rules.name(" " + "é" * 100 + " ", "Last name") == "é" * 100
    with pytest.raises(ValueError, match="^Last name must be at most 100 characters.$"):
        text_rules.name("é" * 101, "Last name")


@pytest.mark.parametrize("bad", ["\x00", "\x1b", "\x7f", "\x85", "\t", "\n", "\ud800", *OVERRIDES])
def test_a_name_holds_no_control_character_no_half_of_a_pair_and_nothing_that_turns_text_round(bad):
    with pytest.raises(ValueError, match="^First name must not contain control characters.$"):
        text_rules.name(f"Ami{bad}na", "First name")


@pytest.mark.parametrize("wrong", [5, True, ["Amina"], {"a": 1}, b"Amina"])
def test_a_name_is_text(wrong):
    with pytest.raises(ValueError, match="^First name must be text.$"):
        text_rules.name(wrong, "First name")


@pytest.mark.asvs("2.2.1")
@given(st.text(max_size=130))
@FEW
def test_any_text_is_a_clean_name_or_is_refused_with_a_sentence(text):
    try:
        found = text_rules.name(text, "First name")
    except ValueError as error:
        assert str(error).startswith("First name ")
        assert str(error).endswith(".")
        return
    assert 1 <= len(found) <= 100
    assert found == found.strip()
    found.encode()  # no half of a surrogate pair
    assert text_rules.name(found, "First name") == found


def test_an_address_keeps_its_lines_and_other_text_has_one():
    assert text_rules.lines(" 12 Lake Road \r\n  Kisumu\r40100 ", "Address", 500) == "12 Lake Road\nKisumu\n40100"
    with pytest.raises(ValueError, match="control characters"):
        text_rules.line("Peter\nOdhiambo", "Next of kin", 200)
    assert text_rules.line("  ", "Next of kin", 200) is None
    assert text_rules.lines(None, "Address", 500) is None


# --- date of birth ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    [
        "1990-01-15",
        "15/1/1990",
        "15/01/1990",
        "15 Jan 1990",
        "15 January 1990",
        "15 jan. 1990",
        "15th January, 1990",
        "15.01.1990",
        "15-1-1990",
        "15 1 1990",
        "15011990",
        "19900115",
        "1990/1/15",
        "Jan 15, 1990",
        "January 15th 1990",
        "15-JAN-1990",
        "1990 Jan 15",
        "15Jan1990",
        " 15 / 1 / 1990 ",
        "１５／１／１９９０",
        dt.date(1990, 1, 15),
    ],
)
def test_a_date_of_birth_is_read_in_any_usual_notation_day_before_month(typed):
    assert fields.date_of_birth(typed) == dt.date(1990, 1, 15)


def test_the_day_comes_first_where_both_could():
    assert fields.date_of_birth("3/4/1985") == dt.date(1985, 4, 3)
    assert fields.date_of_birth("03041985") == dt.date(1985, 4, 3)
    assert fields.date_of_birth("10122011") == dt.date(2011, 12, 10)


@pytest.mark.parametrize("nothing", [None, "", "   "])
def test_a_date_of_birth_may_be_unknown(nothing):
    assert fields.date_of_birth(nothing) is None


@pytest.mark.parametrize(
    "typed",
    [
        "31/2/1990",
        "29 Feb 1991",
        "0/1/1990",
        "1/13/1990",
        "15 Foo 1990",
        "yesterday",
        "1990",
        "15/1",
        "32011990",
        "15/1/1990 10:00",
        "1" * 41,
        "15\x00/1/1990",
        19900115,
        True,
        ["15/1/1990"],
        {},
    ],
)
def test_what_is_no_real_date_is_refused(typed):
    with pytest.raises(ValueError, match="^Date of birth must be a real date, for example 31 3 1980.$"):
        fields.date_of_birth(typed)


@pytest.mark.parametrize("typed", ["15/1/90", "15.01.90", "1-1-01", "15 1 90"])
def test_a_year_of_two_digits_is_not_guessed(typed):
    with pytest.raises(ValueError, match="^Date of birth must have a four-digit year, for example 31 3 1980.$"):
        fields.date_of_birth(typed)


def test_a_date_of_birth_is_not_in_the_future_as_the_clinic_counts_days():
    assert fields.date_of_birth("15/6/2026") == dt.date(2026, 6, 15)
    with pytest.raises(ValueError, match="^Date of birth must not be in the future.$"):
        fields.date_of_birth("16/6/2026")
    with time_machine.travel("2026-06-15 21:30:00+00:00", tick=False):  # half past midnight in Nairobi
        assert fields.date_of_birth("16/6/2026") == dt.date(2026, 6, 16)


def test_a_date_of_birth_is_not_before_1900():
    assert fields.date_of_birth("1/1/1900") == dt.date(1900, 1, 1)
    for typed in ("31/12/1899", "1899-12-31", dt.date(1899, 12, 31)):
        with pytest.raises(ValueError, match="^Date of birth must not be before 1 Jan 1900.$"):
            fields.date_of_birth(typed)


def test_an_instant_is_no_date_of_birth():
    with pytest.raises(ValueError, match="^Date of birth must be a date, for example 31 3 1980.$"):
        fields.date_of_birth(dt.datetime(1990, 1, 15, tzinfo=dt.UTC))


@given(
    st.dates(dt.date(1900, 1, 1), dt.date(2026, 6, 15)),
    st.sampled_from(["%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y", "%d%m%Y", "%Y%m%d", "%d %b %Y", "%d %B %Y", "%B %d, %Y"]),
)
@FEW
def test_every_date_is_read_as_it_was_written_and_as_it_is_read_back(day, notation):
    assert fields.date_of_birth(day.strftime(notation)) == day
    assert fields.date_of_birth(wording.date_words(day)) == day


@given(st.text(max_size=45))
@FEW
def test_any_text_is_a_date_or_is_refused_with_a_sentence(text):
    try:
        found = fields.date_of_birth(text)
    except ValueError as error:
        assert str(error).startswith("Date of birth must ")
        return
    assert found is None or fields.EARLIEST_BIRTH <= found <= dt.date(2026, 6, 15)


# --- gender -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ("MALE", Gender.MALE),
        ("female", Gender.FEMALE),
        (" Other ", Gender.OTHER),
        ("UNKNOWN", Gender.UNKNOWN),
        (None, Gender.UNKNOWN),
        ("", Gender.UNKNOWN),
        (Gender.FEMALE, Gender.FEMALE),
    ],
)
def test_gender_is_one_of_four_and_unknown_where_nothing_was_said(given_, kept):
    assert fields.gender(given_) is kept


@pytest.mark.parametrize("wrong", ["M", "MALE FEMALE", 0, True, ["MALE"]])
def test_another_gender_is_refused(wrong):
    with pytest.raises(ValueError, match="^Gender must be MALE, FEMALE, OTHER or UNKNOWN.$"):
        fields.gender(wrong)


# --- phone --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "kept", "shown"),
    [
        ("0712 445 901", "+254712445901", "0712 445901"),
        ("0712445901", "+254712445901", "0712 445901"),
        ("(0712) 445-901", "+254712445901", "0712 445901"),
        ("+254 712 445 901", "+254712445901", "0712 445901"),
        ("+254 (0) 712 445 901", "+254712445901", "0712 445901"),
        ("254712445901", "+254712445901", "0712 445901"),
        ("0110 123 456", "+254110123456", "0110 123456"),
        ("020 712 3456", "+254207123456", "020 7123456"),
        ("+44 20 7946 0958", "+442079460958", "+44 20 7946 0958"),
        ("+256 772 123 456", "+256772123456", "+256 772 123456"),
        ("٠٧١٢٤٤٥٩٠١", "+254712445901", "0712 445901"),
    ],
)
def test_a_phone_is_kept_as_e164_and_shown_as_the_region_writes_it(typed, kept, shown):
    assert fields.phone(typed) == kept
    assert wording.phone_words(kept) == shown
    assert fields.phone(shown) == kept


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_a_phone_may_be_missing(nothing):
    assert fields.phone(nothing) is None


@pytest.mark.parametrize("wrong", ["12", "0712 445", "phone", "+999 123 456 789", "0712445901234", "+", "07x2445901"])
def test_what_is_no_phone_of_the_region_is_refused_with_an_example(wrong):
    with pytest.raises(ValueError, match="^Next of kin phone must be a valid phone number, for example 0712 123456.$"):
        fields.phone(wrong, "Next of kin phone")


def test_the_region_of_phones_is_a_setting(_region_us):
    assert fields.phone("(202) 456-1111") == "+12024561111"
    assert wording.phone_words("+12024561111") == "(202) 456-1111"
    assert wording.phone_words("+254712445901") == "+254 712 445901"


@pytest.fixture
def _region_us(settings):
    settings.setenv("CLINIC_REGION", "US")


# --- email --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("amina@example.com", "amina@example.com"),
        ("  Amina.Odhiambo+clinic@Example.ORG ", "Amina.Odhiambo+clinic@example.org"),
        ("a@b.co.ke", "a@b.co.ke"),
        ("o'brien@example.ie", "o'brien@example.ie"),
        ("mail@bücher.de", "mail@bücher.de"),
        (None, None),
        ("  ", None),
    ],
)
def test_an_email_is_checked_for_syntax_and_kept_with_a_lower_case_domain(typed, kept):
    assert fields.email(typed) == kept


@pytest.mark.parametrize(
    "wrong",
    [
        "amina",
        "amina@",
        "@example.com",
        "amina@example",
        "a b@example.com",
        "a@@example.com",
        "a..b@example.com",
        "Amina <amina@example.com>",
        "amina@example.com, b@example.com",
        "ämina@example.com",
        "amina@exa_mple.com",
        "amina@" + "x" * 64 + ".com",
        "a@[127.0.0.1]",
    ],
)
def test_what_is_no_email_is_refused(wrong):
    with pytest.raises(ValueError, match="^Email must be an email address, for example name@example.com.$"):
        fields.email(wrong)


def test_no_name_server_is_asked_about_an_email(monkeypatch):
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: pytest.fail("asked"))
    monkeypatch.setattr("email_validator.deliverability.validate_email_deliverability", lambda *_: pytest.fail("asked"))
    assert fields.email("someone@no-such-domain-anywhere.org") == "someone@no-such-domain-anywhere.org"


@given(st.text(max_size=80) | st.emails())
@FEW
def test_any_text_is_an_email_or_is_refused_with_a_sentence(text):
    try:
        found = fields.email(text)
    except ValueError as error:
        assert str(error).startswith("Email must ")
        return
    assert found is None or fields.email(found) == found


# --- national ID --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spelling",
    [
        "AB 12-34",
        "ab1234",
        "AB–1234",
        "ＡＢ１２３４",
        "A B 1 2 3 4",
        "ab\u00a01234",
        "ab‑12\u221234",
        "AB\u200b12\u00ad34",
    ],
)
def test_national_ids_are_compared_without_spaces_dashes_and_case(spelling):
    assert fields.national_id_key(spelling) == "ab1234"


def test_a_national_id_is_kept_as_typed():
    assert fields.national_id("  AB  12-34 ") == "AB 12-34"
    assert fields.national_id("") is None
    assert fields.national_id_key(None) is None


@pytest.mark.parametrize(("one", "other"), [("12/34", "1234"), ("AB1234", "AB1235"), ("12.34", "1234")])
def test_other_differences_between_national_ids_count(one, other):
    assert fields.national_id_key(one) != fields.national_id_key(other)


def test_a_national_id_holds_a_letter_or_digit_and_at_most_50_characters():
    with pytest.raises(ValueError, match="^National ID must contain letters or digits.$"):
        fields.national_id("- - /")
    assert fields.national_id("1" * 50) == "1" * 50
    with pytest.raises(ValueError, match="^National ID must be at most 50 characters.$"):
        fields.national_id("1" * 51)


@given(st.text(max_size=50))
@FEW
def test_a_national_id_compares_equal_to_itself_in_capitals_and_with_spaces(text):
    key = fields.national_id_key(text)
    if text.isascii():
        assert fields.national_id_key(text.upper()) == key
        assert fields.national_id_key(" ".join(text)) == key


# --- finding ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Ámina  WANJIRŨ", "amina wanjiru"),
        ("Jose\u0301", "jose"),
        ("Straße", "strasse"),
        ("ＡＭＩＮＡ", "amina"),
        ("𝐀mina", "amina"),
        ("№ 5", "no 5"),
        ("", ""),
    ],
)
def test_text_is_folded_for_finding(text, kept):
    assert fields.folded(text) == kept


@given(st.text(max_size=60))
@FEW
def test_folding_twice_is_folding_once_and_never_keeps_a_capital_ascii_letter(text):
    once = fields.folded(text)
    assert fields.folded(once) == once
    assert not any("A" <= c <= "Z" for c in once)
