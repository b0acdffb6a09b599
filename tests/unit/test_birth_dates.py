"""Birth dates: what is read from what people type, and how as much as is known is written."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic_app.models.patients import BirthPrecision
from clinic_app.services.patients import birth_dates, wording
from clinic_app.services.patients.birth_dates import BirthDate, Stated

NOON = "2026-06-16 09:00:00+00:00"  # at the clinic
FEW = settings(max_examples=100, deadline=None)
DAY, MONTH, YEAR, ESTIMATED = BirthPrecision
TODAY = dt.date(2026, 6, 16)
UNREADABLE = "Date of birth must be a date, a year or an age, for example 31 3 1980, 1960 or 35 years."
UNREAL = "Date of birth must be a real date, for example 31 3 1980."


@pytest.fixture(autouse=True)
def _a_fixed_day():
    with time_machine.travel(NOON, tick=False):
        yield


def _problem(typed: object) -> str:
    with pytest.raises(ValueError, match="^Date of birth must ") as caught:
        birth_dates.read(typed)
    return str(caught.value)


# --- whole dates --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    [
        *("1990-01-15", "15/1/1990", "15/01/1990", "15 Jan 1990", "15 January 1990", "15 jan. 1990"),
        *("15th January, 1990", "15th of January 1990", "the 15th of Jan 1990", "15.01.1990", "15-1-1990", "15 1 1990"),
        *("15011990", "19900115", "1990/1/15", "Jan 15, 1990", "January 15th 1990", "15-JAN-1990", "1990 Jan 15"),
        *("15Jan1990", " 15 / 1 / 1990 ", "１５／１／１９９０", "١٥/١/١٩٩٠", "१५-१-१९९०", "Monday, 15 January 1990"),
        *("150190", "15/1/90", "15.01.90", "15 1 90", "15 Jan 90", "15/1/'90", "15/1/’90", "15jan90"),
        *(f"15{dash}01{dash}1990" for dash in "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\uff0d"),
        *("1990 – 01 – 15", "15\u200b/1/\u202a1990\u202c", "15\u00a0Jan\u00a01990", "15\u060c1\u060c1990"),
        dt.date(1990, 1, 15),
        BirthDate(dt.date(1990, 1, 15)),
    ],
)
def test_a_whole_date_is_read_in_any_usual_notation_day_before_month(typed):
    assert birth_dates.read(typed) == BirthDate(dt.date(1990, 1, 15))


@pytest.mark.parametrize(
    ("typed", "day"),
    [
        ("3/4/1985", dt.date(1985, 4, 3)),
        ("03041985", dt.date(1985, 4, 3)),
        ("10122011", dt.date(2011, 12, 10)),
        ("3/4/88", dt.date(1988, 4, 3)),
        ("010203", dt.date(2003, 2, 1)),
        ("15 Sept. 1990", dt.date(1990, 9, 15)),
    ],
)
def test_the_day_comes_first_where_both_could(typed, day):
    assert birth_dates.read(typed) == BirthDate(day)


@pytest.mark.parametrize(
    ("typed", "day"),
    [
        ("16/6/26", dt.date(2026, 6, 16)),
        ("17/6/26", dt.date(1926, 6, 17)),
        ("1/1/27", dt.date(1927, 1, 1)),
        ("1-1-01", dt.date(2001, 1, 1)),
        ("31/12/99", dt.date(1999, 12, 31)),
        ("29/2/00", dt.date(2000, 2, 29)),
        ("29/2/24", dt.date(2024, 2, 29)),
        ("29/2/28", dt.date(1928, 2, 29)),
    ],
)
def test_a_year_of_two_digits_is_the_latest_past_one(typed, day):
    assert birth_dates.read(typed) == BirthDate(day)


@pytest.mark.parametrize(
    "typed",
    [
        "31/2/1990",
        "29 Feb 1991",
        "29/2/01",
        "0/1/1990",
        "1/13/1990",
        "32011990",
        "310290",
        "13/1990",
        "1990-13",
        "0000",
    ],
)
def test_what_no_calendar_has_is_refused(typed):
    assert _problem(typed) == UNREAL


# --- less than a whole date ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "born", "iso", "words"),
    [
        ("1960", BirthDate(dt.date(1960, 1, 1), YEAR), "1960", "1960"),
        ("१९६०", BirthDate(dt.date(1960, 1, 1), YEAR), "1960", "1960"),
        ("Mar 1960", BirthDate(dt.date(1960, 3, 1), MONTH), "1960-03", "Mar 1960"),
        ("March, 1960", BirthDate(dt.date(1960, 3, 1), MONTH), "1960-03", "Mar 1960"),
        ("1960 march", BirthDate(dt.date(1960, 3, 1), MONTH), "1960-03", "Mar 1960"),
        ("1960-03", BirthDate(dt.date(1960, 3, 1), MONTH), "1960-03", "Mar 1960"),
        ("3/1960", BirthDate(dt.date(1960, 3, 1), MONTH), "1960-03", "Mar 1960"),
        ("Mar 60", BirthDate(dt.date(1960, 3, 1), MONTH), "1960-03", "Mar 1960"),
        ("Mar '15", BirthDate(dt.date(2015, 3, 1), MONTH), "2015-03", "Mar 2015"),
        ("Feb 2024", BirthDate(dt.date(2024, 2, 1), MONTH), "2024-02", "Feb 2024"),
        ("about 1960", BirthDate(dt.date(1960, 1, 1), ESTIMATED), "1960", "about 1960"),
        ("About Mar 1960", BirthDate(dt.date(1960, 3, 15), ESTIMATED), "1960-03", "about Mar 1960"),
    ],
)
def test_what_is_known_is_kept_and_never_more(typed, born, iso, words):
    assert birth_dates.read(typed) == born
    assert (born.iso, wording.birth_words(born)) == (iso, words)
    assert birth_dates.read(words) == born
    if not born.estimated:
        assert birth_dates.read(iso) == born


@pytest.mark.parametrize(
    "typed",
    [
        *("about 1960", "ABOUT 1960", "abt 1960", "approx. 1960", "around 1960", "circa 1960", "ca. 1960", "c. 1960"),
        *("c1960", "~1960", "~ 1960", "est. 1960", "1960?", "approximately 1960", "roughly 1960"),
    ],
)
def test_an_estimate_is_said_in_many_ways(typed):
    assert birth_dates.read(typed) == BirthDate.of_year(1960, about=True)


@pytest.mark.parametrize(
    ("typed", "born"),
    [
        *((age, BirthDate.of_year(1991, about=True)) for age in ("35 years", "35 year", "35 yrs old", "35y", "35 y/o")),
        *(
            (age, BirthDate.of_year(1991, about=True))
            for age in ("age 35", "Aged: 35", "age 35 years", "about 35 years")
        ),
        *((age, BirthDate.of_year(1991, about=True)) for age in ("35-year-old", "٣٥ years", "35\u00a0years")),
        ("126 years", BirthDate.of_year(1900, about=True)),
        ("0 years", BirthDate.of_year(2026, about=True)),
        *(
            (age, BirthDate.of_month(2025, 10, about=True))
            for age in ("8 months", "8 month", "8 mo", "8m", "8 mths old")
        ),
        ("18 months", BirthDate.of_month(2024, 12, about=True)),
        ("6 months", BirthDate.of_month(2025, 12, about=True)),
        ("5 months", BirthDate.of_month(2026, 1, about=True)),
        ("2 years 3 months", BirthDate.of_month(2024, 3, about=True)),
        ("2y3m", BirthDate.of_month(2024, 3, about=True)),
        ("1 year and 6 months", BirthDate.of_month(2024, 12, about=True)),
        ("6 weeks", BirthDate.of_month(2026, 5, about=True)),
        ("10 days", BirthDate.of_month(2026, 6, about=True)),
    ],
)
def test_an_age_is_a_birth_date_about_then(typed, born):
    assert birth_dates.read(typed) == born


def test_ages_are_counted_from_the_day_at_the_clinic():
    with time_machine.travel("2025-12-31 21:30:00+00:00", tick=False):  # half past midnight in Nairobi
        assert birth_dates.read("35 years") == BirthDate.of_year(1991, about=True)
        assert birth_dates.read("1 month") == BirthDate.of_month(2025, 12, about=True)
        assert birth_dates.read("1/1/26") == BirthDate(dt.date(2026, 1, 1))
    with time_machine.travel("2024-02-29 09:00:00+00:00", tick=False):
        assert birth_dates.read("12 months") == BirthDate.of_month(2023, 2, about=True)
        assert birth_dates.read("1 year") == BirthDate.of_year(2023, about=True)


# --- what cannot be read ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("35", "Date of birth must be a year or an age: type 1935 or 35 years."),
        ("1", "Date of birth must be a year or an age: type 2001 or 1 year."),
        ("5", "Date of birth must be a year or an age: type 2005 or 5 years."),
        ("about 88", "Date of birth must be a year or an age: type 1988 or 88 years."),
        ("15/1", "Date of birth must have a year, for example 31 3 1980."),
        ("15 March", "Date of birth must have a year, for example 31 3 1980."),
        ("March 15th", "Date of birth must have a year, for example 31 3 1980."),
        ("about 15 Jan 1990", "Date of birth must be a year, or a month and year, where it is an estimate."),
        ("200 years", "Date of birth must not be before 1 Jan 1900."),
    ],
)
def test_a_refusal_says_what_to_type(typed, sentence):
    assert _problem(typed) == sentence


@pytest.mark.parametrize(
    "typed",
    [
        *(
            "yesterday",
            "15 Foo 1990",
            "Foo 1990",
            "January",
            "1990s",
            "15/1/1990 10:00",
            "1" * 41,
            "1/2/3/4",
            "-",
            "age",
        ),
        *("15\x00/1/1990", "2 1/2 years", "years", "about", "1990-01-15T00:00:00Z", "1234567", "123", "13/13", "?"),
        *(19900115, True, 35, 1990.0, ["15/1/1990"], {}, dt.datetime(1990, 1, 15, tzinfo=dt.UTC)),
    ],
)
def test_what_is_no_birth_date_at_all_is_refused(typed):
    assert _problem(typed) == UNREADABLE


@pytest.mark.parametrize("nothing", [None, "", "   ", Stated(None, False), Stated("", True)])
def test_a_birth_date_may_be_unknown(nothing):
    assert birth_dates.read(nothing) is None


def test_it_is_not_in_the_future_as_the_clinic_counts_days():
    for typed in ("17/6/2026", "Jul 2026", "2027", "about Jul 2026", "about 2027"):
        assert _problem(typed) == "Date of birth must not be in the future."
    for typed in ("16/6/2026", "Jun 2026", "2026", "about Jun 2026", "about 2026"):
        assert birth_dates.read(typed) is not None
    with time_machine.travel("2026-06-16 21:30:00+00:00", tick=False):  # half past midnight in Nairobi
        assert birth_dates.read("17/6/2026") == BirthDate(dt.date(2026, 6, 17))


def test_it_is_not_before_1900():
    assert birth_dates.read("1/1/1900") == BirthDate(dt.date(1900, 1, 1))
    assert birth_dates.read("1900") == BirthDate.of_year(1900)
    for typed in ("31/12/1899", "1899-12-31", dt.date(1899, 12, 31), "1899", "Dec 1899", "about 1899"):
        assert _problem(typed) == "Date of birth must not be before 1 Jan 1900."


def test_programs_say_separately_that_it_is_an_estimate():
    assert birth_dates.read(Stated("1960", True)) == BirthDate.of_year(1960, about=True)
    assert birth_dates.read(Stated("1960-03", True)) == BirthDate.of_month(1960, 3, about=True)
    assert birth_dates.read(Stated("1960", False)) == BirthDate.of_year(1960)
    assert birth_dates.read(Stated("35 years", True)) == BirthDate.of_year(1991, about=True)
    assert _problem(Stated("1960-03-01", True)) == (
        "Date of birth must be a year, or a month and year, where it is an estimate."
    )
    assert _problem(Stated("about 1960", False)) == (
        "Date of birth must be no estimate where date_of_birth_estimated is false."
    )


def test_a_search_term_is_a_birth_date_only_where_it_can_be_nothing_else_by_itself():
    assert birth_dates.understood("Mar 1960") == BirthDate.of_month(1960, 3)
    assert [birth_dates.understood(term) for term in ("35", "wanjiku", "", "0712445901", "5901")] == [None] * 5


# --- periods, words and ages --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("born", "first", "last"),
    [
        (BirthDate(dt.date(1990, 1, 15)), dt.date(1990, 1, 15), dt.date(1990, 1, 15)),
        (BirthDate.of_month(2024, 2), dt.date(2024, 2, 1), dt.date(2024, 2, 29)),
        (BirthDate.of_month(2023, 12), dt.date(2023, 12, 1), dt.date(2023, 12, 31)),
        (BirthDate.of_year(1960), dt.date(1960, 1, 1), dt.date(1960, 12, 31)),
        (BirthDate.of_month(2023, 12, about=True), dt.date(2023, 12, 1), dt.date(2023, 12, 31)),
        (BirthDate.of_year(1960, about=True), dt.date(1960, 1, 1), dt.date(1960, 12, 31)),
    ],
)
def test_what_is_known_begins_and_ends(born, first, last):
    assert (born.first, born.last) == (first, last)


@pytest.mark.parametrize(
    ("typed", "back", "listed"),
    [
        ("15 Jan 1990", "15 Jan 1990, 36 years old", "15 Jan 1990 (36 y)"),
        ("16/6/2026", "16 Jun 2026, 0 days old", "16 Jun 2026 (0 days)"),
        ("15/6/2026", "15 Jun 2026, 1 day old", "15 Jun 2026 (1 day)"),
        ("17/4/2026", "17 Apr 2026, 60 days old", "17 Apr 2026 (60 days)"),
        ("16/4/2026", "16 Apr 2026, 2 months old", "16 Apr 2026 (2 months)"),
        ("17/6/2024", "17 Jun 2024, 23 months old", "17 Jun 2024 (23 months)"),
        ("16/6/2024", "16 Jun 2024, 2 years old", "16 Jun 2024 (2 y)"),
        ("17/6/1988", "17 Jun 1988, 37 years old", "17 Jun 1988 (37 y)"),
        ("16/6/1988", "16 Jun 1988, 38 years old", "16 Jun 1988 (38 y)"),
        ("1/1/1900", "1 Jan 1900, 126 years old", "1 Jan 1900 (126 y)"),
        # of a month or year only what is sure
        ("Mar 1960", "Mar 1960, 66 years old", "Mar 1960"),
        ("Jun 1960", "Jun 1960, 65 or 66 years old", "Jun 1960"),
        ("Jul 1960", "Jul 1960, 65 years old", "Jul 1960"),
        ("1960", "1960, 65 or 66 years old", "1960"),
        ("2025", "2025, 5 to 17 months old", "2025"),
        ("2024", "2024, 1 or 2 years old", "2024"),
        ("2026", "2026, 0 to 5 months old", "2026"),
        ("Jun 2026", "Jun 2026, under 1 month old", "Jun 2026"),
        ("Oct 2025", "Oct 2025, 7 or 8 months old", "Oct 2025"),
        # an estimate with the age it stands for
        ("35 years", "about 1991 (35 y)", "about 1991 (35 y)"),
        ("about 1960", "about 1960 (66 y)", "about 1960 (66 y)"),
        ("8 months", "about Oct 2025 (8 months)", "about Oct 2025 (8 months)"),
        ("1 month", "about May 2026 (1 month)", "about May 2026 (1 month)"),
        ("30 months", "about Dec 2023 (2 y)", "about Dec 2023 (2 y)"),
        ("1 year", "about 2025 (1 y)", "about 2025 (1 y)"),
        ("0 years", "about 2026 (under 1 y)", "about 2026 (under 1 y)"),
        ("2 weeks", "about Jun 2026 (under 1 month)", "about Jun 2026 (under 1 month)"),
    ],
)
def test_it_is_read_back_and_listed(typed, back, listed):
    born = birth_dates.read(typed)
    assert ", ".join(part for part in wording.read_back(born) if part) == back
    assert wording.birth_and_age(born) == listed
    for shown in (back, back.replace(",", ""), listed, f" {listed.upper()} "):  # what is copied from the screen
        assert birth_dates.read(shown) == born


@pytest.mark.parametrize(
    "typed", ["15 Jan (36 y)", "15/1/90, 36 years old", "1990 (36)", "15 Jan 1990 36", "(36 y)", "1990 or 36 years old"]
)
def test_an_age_is_dropped_only_behind_a_whole_year(typed):
    assert _problem(typed)


def test_an_unknown_one_has_no_words_and_no_age():
    assert wording.read_back(None) == ("", "")
    assert (wording.birth_words(None), wording.age_short(None), wording.birth_and_age(None)) == ("", "", "")


def test_somebody_born_on_the_29th_of_february_is_a_year_older_on_the_first_of_march():
    leap = BirthDate(dt.date(2000, 2, 29))
    with time_machine.travel("2026-02-28 12:00:00+00:00"):
        assert wording.age_short(leap) == "25 y"
        assert wording.read_back(BirthDate.of_month(2000, 2)) == ("Feb 2000", "25 or 26 years old")
    with time_machine.travel("2026-03-01 12:00:00+00:00"):
        assert wording.age_short(leap) == "26 y"
        assert wording.read_back(BirthDate.of_month(2000, 2)) == ("Feb 2000", "26 years old")


# --- anything -----------------------------------------------------------------------------------


@given(
    st.dates(dt.date(1900, 1, 1), TODAY),
    st.sampled_from(["%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y", "%d%m%Y", "%Y%m%d", "%d %b %Y", "%dth of %B %Y", "%B %d, %Y"]),
)
@FEW
def test_every_date_is_read_as_it_was_written_and_as_it_is_read_back(day, notation):
    assert birth_dates.read(day.strftime(notation)) == BirthDate(day)
    assert birth_dates.read(wording.birth_words(BirthDate(day))) == BirthDate(day)


@given(st.dates(dt.date(1927, 1, 1), TODAY), st.sampled_from(["%d/%m/%y", "%d%m%y", "%d.%m.%y", "%d %b %y"]))
@FEW
def test_a_short_year_is_never_in_the_future_and_never_a_hundred_years_ago(day, notation):
    found = birth_dates.read(day.strftime(notation))
    assert found is not None
    assert found.day <= TODAY
    assert (found.day - day).days in (0, 36524, 36525)
    assert found.day.year + 100 > TODAY.year or found.day == day


@given(st.integers(1900, 2026), st.integers(1, 12), st.booleans(), st.booleans())
@FEW
def test_less_than_a_date_is_read_as_it_is_shown_and_as_programs_get_it(year, month, whole_year, about):
    made = BirthDate.of_year(year, about=about) if whole_year else BirthDate.of_month(year, month, about=about)
    if made.first > TODAY:
        return
    assert birth_dates.read(wording.birth_words(made)) == made
    assert birth_dates.read(Stated(made.iso, made.estimated)) == made
    assert made.first <= made.day <= made.last


@given(st.text(max_size=45) | st.text(alphabet="0123456789 -/.~?abcdeghjlmnoprstuvy'", max_size=20))
@FEW
def test_any_text_is_a_birth_date_or_is_refused_with_a_sentence(text):
    try:
        found = birth_dates.read(text)
    except ValueError as error:
        assert str(error).startswith("Date of birth must ")
        return
    assert found is None or (found.first <= TODAY and found.first >= birth_dates.EARLIEST)
    if found is not None:
        assert birth_dates.read(wording.birth_words(found)) == found
