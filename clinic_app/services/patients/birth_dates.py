"""Birth dates: what is known of one and how exactly, and reading whatever people type.

Who knows a month, a year or an age only is recorded with that and nothing more.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from dataclasses import dataclass
from typing import Any, NamedTuple

from clinic_app.core import clock
from clinic_app.core.calendar_words import MONTHS, WEEKDAYS
from clinic_app.core.counts import plural
from clinic_app.core.text_rules import normalised
from clinic_app.models.patients import BirthPrecision

EARLIEST = dt.date(1900, 1, 1)
#: An estimate of a month is kept as the middle of it, one of a year as its first day: that tells which of them it is.
_MIDDLE = 15


def _first_of(year: int, month: int) -> dt.date:
    """The first day of a month, counted on from January: month 0 is last December, month 13 next January."""
    return dt.date(year + (month - 1) // 12, (month - 1) % 12 + 1, 1)


@dataclass(frozen=True, slots=True)
class BirthDate:
    """A birth date as it is kept: ``day`` is the first day of what is known, and ``precision`` how exact that is.

    ``ESTIMATED`` is a year, or a month, give or take: ``day`` is then 1 January, or the 15th of the month.
    """

    day: dt.date
    precision: BirthPrecision = BirthPrecision.DAY

    @classmethod
    def of_month(cls, year: int, month: int, *, about: bool = False) -> BirthDate:
        """A month; ``about`` it, where it is estimated. Raises ``ValueError`` where there is no such month."""
        if about:
            return cls(dt.date(year, month, _MIDDLE), BirthPrecision.ESTIMATED)
        return cls(dt.date(year, month, 1), BirthPrecision.MONTH)

    @classmethod
    def of_year(cls, year: int, *, about: bool = False) -> BirthDate:
        """A year; ``about`` it, where it is estimated. Raises ``ValueError`` where there is no such year."""
        return cls(dt.date(year, 1, 1), BirthPrecision.ESTIMATED if about else BirthPrecision.YEAR)

    @property
    def estimated(self) -> bool:
        """Whether it is a guess, or comes from an age."""
        return self.precision == BirthPrecision.ESTIMATED

    @property
    def unit(self) -> BirthPrecision:
        """What is known, or estimated: ``DAY``, ``MONTH`` or ``YEAR``."""
        if not self.estimated:
            return self.precision
        return BirthPrecision.MONTH if self.day.day == _MIDDLE else BirthPrecision.YEAR

    @property
    def first(self) -> dt.date:
        """The earliest day it may be."""
        return self.day.replace(day=1) if self.unit == BirthPrecision.MONTH else self.day

    @property
    def last(self) -> dt.date:
        """The latest day it may be, by the calendar alone."""
        if self.unit == BirthPrecision.DAY:
            return self.day
        months = 1 if self.unit == BirthPrecision.MONTH else 12
        return _first_of(self.day.year, self.day.month + months) - dt.timedelta(days=1)

    @property
    def iso(self) -> str:
        """``1990-01-15``, ``1990-01`` or ``1990`` (ISO 8601): as much as is known."""
        if self.precision == BirthPrecision.DAY:
            return self.day.isoformat()
        return self.day.isoformat()[: 7 if self.unit == BirthPrecision.MONTH else 4]


class Stated(NamedTuple):
    """A birth date together with whether it is an estimate, said separately (as programs do)."""

    value: Any
    estimated: bool


# --- reading what people type -------------------------------------------------------------------

# Patterns are put together by "+": what a group is called stands in angle brackets, which no f-string may hold.
_DAY = r"(?P<day>\d{1,2})"
_ORDINAL = _DAY + "(?:st|nd|rd|th)?"
_MONTH = r"(?P<month>\d{1,2})"
_NAME = r"(?P<name>[a-z]{3,9})\.?"
_YEAR = r"(?P<year>\d{4})"
_ANY_YEAR = "(?:" + _YEAR + r"|'?(?P<short>\d\d))"
_GAP, _MAYBE = "[-/. ]+", "[-/. ]*"


def _patterns(*patterns: str) -> list[re.Pattern[str]]:
    return [re.compile(pattern) for pattern in patterns]


_DATES = _patterns(
    _YEAR + _GAP + _MONTH + _GAP + _DAY,
    _DAY + _GAP + _MONTH + _GAP + _ANY_YEAR,
    _ORDINAL + _MAYBE + "(?:of )?" + _NAME + _MAYBE + _ANY_YEAR,
    _NAME + _MAYBE + _ORDINAL + _GAP + _ANY_YEAR,
    _YEAR + _MAYBE + _NAME + _MAYBE + _DAY,
    r"(?P<day>\d\d)(?P<month>\d\d)(?P<short>\d\d)",
)
#: Years, and months of one. Two digits after a month are a year only where they cannot be a day.
_PARTS = _patterns(
    _YEAR,
    _YEAR + _GAP + _MONTH,
    _MONTH + _GAP + _YEAR,
    _NAME + _MAYBE + "(?:" + _YEAR + r"|(?P<short>'\d\d|3[2-9]|[4-9]\d))",
    _YEAR + _MAYBE + _NAME,
)
#: A day and a month: the year is missing.
_NO_YEAR = _patterns(_DAY + _GAP + _MONTH, _ORDINAL + _MAYBE + "(?:of )?" + _NAME, _NAME + _MAYBE + _ORDINAL)
_EIGHT = re.compile(r"\d{8}")
_ABOUT = re.compile(
    r"(?:(?:about|abt|approx|approximately|around|circa|ca|c|est|estimated|roughly)\b\.?|c(?=\d)|[~≈]) *"
)
_AGED = re.compile(r"aged? *:? *(?=\d)")
#: What may stand before a date and says nothing of it.
_BEFORE = re.compile(
    "(?:(?:" + "|".join(day[:3] + "(?:" + day[3:] + ")?" for day in WEEKDAYS) + r")\.? +)?(?:the +)?", re.I
)
#: Behind a date that has a year: the age, as records and lists show it.
_SHOWN_AGE = re.compile(
    r"(?P<date>.*\d{4}) (?:\((?:under )?\d{1,3} (?:y|months?|days?)\)"
    r"|(?:under )?\d{1,3}(?: (?:or|to) \d{1,3})? (?:years?|months?|days?) old)"
)
_IN_MONTHS = r"[- ]*(?:months?|mths?|mos?|m)\.?"
_AGE = re.compile(
    r"(?:(?P<years>\d{1,3})[- ]*(?:years?|yrs?|y/o|yo|y)\.?(?: *(?:and|&)? *(?P<months>\d{1,3})" + _IN_MONTHS + ")?"
    r"|(?P<only>\d{1,3})" + _IN_MONTHS + "|"
    r"(?P<weeks>\d{1,3})[- ]*(?:weeks?|wks?|w)\.?|(?P<days>\d{1,3})[- ]*(?:days?|d)\.?)(?:[- ]*old)?"
)


def _plain(text: str) -> str:
    """``text`` in small letters and plain digits, every dash the same, without invisible signs."""
    kept = []
    for char in normalised(text, 40, "NFKC"):
        kind = unicodedata.category(char)
        if kind == "Cf":
            continue
        if char.isdecimal():
            kept.append(str(unicodedata.decimal(char)))
        elif kind == "Pd" or char == "\u2212":
            kept.append("-")
        elif char in "\u2018\u2019\u02bc`":
            kept.append("'")
        else:
            kept.append(" " if char in ",\u060c\u3001" or char.isspace() else char)
    return " ".join("".join(kept).lower().split())


def _without_age(plain: str) -> str:
    """``15 jan 1990`` of ``15 jan 1990 (36 y)``: copied from a record, the age follows from the date."""
    shown = _SHOWN_AGE.fullmatch(plain)
    return shown["date"] if shown else plain


def _month(found: dict[str, str | None]) -> int:
    """The month that a match names; 0 where there is none of that name."""
    if (number := found.get("month")) is not None:
        return int(number)
    name = found.get("name") or ""
    for month, word in enumerate(MONTHS, 1):
        if name in (word.lower(), word[:3].lower()) or (month == 9 and name == "sept"):
            return month
    return 0


def _latest(short: str) -> int:
    """The latest year, this one included, that ends in these two digits."""
    today = clock.today()
    return today.year - (today.year - int(short)) % 100


def _date(year: int, month: int, day: int) -> dt.date | None:
    try:
        return dt.date(year, month, day)
    except ValueError:
        return None


def _whole(text: str) -> dt.date | None:
    """A whole date in any usual notation, day before month. Raises ``LookupError`` where it is none at all."""
    if _EIGHT.fullmatch(text):  # 15011990, or 19900115: only one of them is ever between 1900 and today
        day_first = _date(int(text[4:]), int(text[2:4]), int(text[:2]))
        year_first = _date(int(text[:4]), int(text[4:6]), int(text[6:]))
        return next((day for day in (day_first, year_first) if day is not None and day >= EARLIEST), None)
    for pattern in _DATES:
        if (match := pattern.fullmatch(text)) is None:
            continue
        found = match.groupdict()
        month, day = _month(found), int(found["day"] or 0)
        if found.get("name") and not month:
            continue
        if found.get("year"):
            return _date(int(found["year"] or 0), month, day)
        year = _latest(found["short"] or "")
        born = _date(year, month, day)
        return _date(year - 100, month, day) if born is None or born > clock.today() else born
    raise LookupError


def _part(text: str, *, about: bool) -> BirthDate | None:
    """A year, or a month of one; None where there is no such month. Raises ``LookupError`` where it is neither."""
    for pattern in _PARTS:
        if (match := pattern.fullmatch(text)) is None:
            continue
        found = match.groupdict()
        month = _month(found)
        if found.get("name") and not month:
            continue
        year = int(found["year"] or 0) if found.get("year") else _latest((found["short"] or "").lstrip("'"))
        if "month" not in found and "name" not in found:
            return BirthDate.of_year(year, about=about) if year else None
        return BirthDate.of_month(year, month, about=about) if year and 1 <= month <= 12 else None
    raise LookupError


def _from_age(text: str, *, aged: bool) -> BirthDate:
    """The birth date behind an age, which is an estimate. Raises ``LookupError`` where it is no age."""
    today = clock.today()
    if aged and re.fullmatch("\\d{1,3}", text):
        return BirthDate.of_year(today.year - int(text), about=True)
    match = _AGE.fullmatch(text)
    if match is None:
        raise LookupError
    found = {unit: int(count) for unit, count in match.groupdict().items() if count is not None}
    if set(found) == {"years"}:
        return BirthDate.of_year(today.year - found["years"], about=True)
    if {"weeks", "days"} & set(found):
        born = today - dt.timedelta(weeks=found.get("weeks", 0), days=found.get("days", 0))
        return BirthDate.of_month(born.year, born.month, about=True)
    months = found.get("years", 0) * 12 + found.get("months", found.get("only", 0))
    first = _first_of(today.year, today.month - months)
    return BirthDate.of_month(first.year, first.month, about=True)


def _read(text: str, label: str) -> BirthDate:
    """``text`` understood. Raises ``ValueError`` with a sentence where it is not."""
    unreal = ValueError(f"{label} must be a real date, for example 31 3 1980.")
    plain = _without_age(_plain(text))
    rest = _ABOUT.sub("", plain, count=1) if _ABOUT.match(plain) else plain
    about = rest != plain or plain.endswith("?")
    rest = rest.removesuffix("?").strip()
    aged = _AGED.match(rest) is not None
    rest = _AGED.sub("", rest, count=1) if aged else rest
    try:
        return _from_age(rest, aged=aged)
    except LookupError:
        pass
    if not aged:
        rest = _BEFORE.sub("", rest, count=1)
        try:
            found = _part(rest, about=about)
        except LookupError:
            pass
        else:
            if found is None:
                raise unreal
            return found
        try:
            day = _whole(rest)
        except LookupError:
            pass
        else:
            if day is None:
                raise unreal
            if about:
                raise ValueError(f"{label} must be a year, or a month and year, where it is an estimate.")
            return BirthDate(day)
        if re.fullmatch("\\d{1,2}", rest):
            raise ValueError(f"{label} must be a year or an age: type {_latest(rest)} or {plural(int(rest), 'year')}.")
        if any((match := one.fullmatch(rest)) and 1 <= _month(match.groupdict()) <= 12 for one in _NO_YEAR):
            raise ValueError(f"{label} must have a year, for example 31 3 1980.")
    raise ValueError(f"{label} must be a date, a year or an age, for example 31 3 1980, 1960 or 35 years.")


def read(value: Any, label: str = "Date of birth", longest: int = 40) -> BirthDate | None:
    """Optional; a date, a month, a year or an age, in any usual notation; ``about`` before it means an estimate.

    Day comes before month, and a year of two digits is the latest past one. Not in the future, not before
    1900-01-01, both at the clinic. Raises ``ValueError`` with a sentence.
    """
    stated = value.estimated if isinstance(value, Stated) else None
    value = value.value if isinstance(value, Stated) else value
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, BirthDate):
        found = value
    elif isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        found = BirthDate(value)
    else:
        found = _read(value if isinstance(value, str) and len(value) <= longest else "", label)
    if stated and not found.estimated:
        if found.unit == BirthPrecision.DAY:
            raise ValueError(f"{label} must be a year, or a month and year, where it is an estimate.")
        month, year = found.unit == BirthPrecision.MONTH, found.day.year
        found = BirthDate.of_month(year, found.day.month, about=True) if month else BirthDate.of_year(year, about=True)
    if stated is False and found.estimated:
        raise ValueError(f"{label} must be no estimate where date_of_birth_estimated is false.")
    if found.first > clock.today():
        raise ValueError(f"{label} must not be in the future.")
    if found.first < EARLIEST:
        raise ValueError(f"{label} must not be before 1 Jan 1900.")
    return found


def understood(text: str) -> BirthDate | None:
    """The birth date that ``text`` is; None where it is none, or could be something else."""
    if not any(char.isdecimal() for char in text):  # as most searches
        return None
    try:
        return read(text)
    except ValueError:
        return None
