"""How values of a record are written for people."""

from __future__ import annotations

import datetime as dt

import phonenumbers

from clinic_app.core import clock
from clinic_app.core.calendar_words import SHORT_MONTHS, SHORT_WEEKDAYS
from clinic_app.core.settings import get_settings

#: In the order they are offered.
GENDER_WORDS = {"UNKNOWN": "Unknown", "FEMALE": "Female", "MALE": "Male", "OTHER": "Other"}


def date_words(day: dt.date | None) -> str:
    """``14 Mar 1988``; empty where there is none. The month is always letters."""
    return f"{day.day} {SHORT_MONTHS[day.month - 1]} {day.year}" if day else ""


def _age(born: dt.date) -> tuple[int, str]:
    """Age as a number and its unit: days under two months, months under two years, then years."""
    today = clock.today()
    months = (today.year - born.year) * 12 + today.month - born.month - (today.day < born.day)
    if months < 2:
        return (today - born).days, "day"
    return (months, "month") if months < 24 else (months // 12, "year")


def age_short(born: dt.date | None) -> str:
    """``38 y``, ``7 months``, ``9 days``; empty where the date of birth is not known."""
    if born is None:
        return ""
    count, unit = _age(born)
    return f"{count} y" if unit == "year" else f"{count} {unit}{'' if count == 1 else 's'}"


def read_back(born: dt.date | None) -> tuple[str, str]:
    """``("15 Jan 1990", "36 years old")``: what was understood, to be read back to the patient."""
    if born is None:
        return "", ""
    count, unit = _age(born)
    return date_words(born), f"{count} {unit}{'' if count == 1 else 's'} old"


def phone_words(number: str | None) -> str:
    """An E.164 number as the region writes it: national for its own, international for others."""
    if not number:
        return ""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    own = phonenumbers.country_code_for_region(get_settings().region) == parsed.country_code
    style = phonenumbers.PhoneNumberFormat.NATIONAL if own else phonenumbers.PhoneNumberFormat.INTERNATIONAL
    return phonenumbers.format_number(parsed, style)


def moment_words(instant: dt.datetime | None) -> str:
    """``Today, 09:14``, ``Yesterday, 19:42``, else ``2 Jun 2026, 11:28``; at the clinic, 24 hours."""
    if instant is None:
        return ""
    there = clock.local(instant)
    gap = (clock.today() - there.date()).days
    day = {0: "Today", 1: "Yesterday"}.get(gap) or date_words(there.date())
    return f"{day}, {there:%H:%M}"


def deadline_words(instant: dt.datetime) -> tuple[str, str]:
    """``("31 hours", "Thu 18 Jun, 16:40")``: how long from now, rounded down, and when."""
    minutes = max(0, int((instant - clock.now()).total_seconds() // 60))
    if minutes < 120:
        left = f"{minutes} minute{'' if minutes == 1 else 's'}"
    else:
        left = f"{minutes // 60} hours"
    there = clock.local(instant)
    return left, f"{SHORT_WEEKDAYS[there.weekday()]} {there.day} {SHORT_MONTHS[there.month - 1]}, {there:%H:%M}"


def full_name(first: str, last: str) -> str:
    """The whole name, as written: wherever a name is shown, kept or compared."""
    return f"{first} {last}"


def initials(first: str, last: str) -> str:
    """Two letters for the avatar."""
    return (first[:1] + last[:1]).upper()
