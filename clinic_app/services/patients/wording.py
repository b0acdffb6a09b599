"""How values of a record are written for people."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping

import phonenumbers

from clinic_app.core import clock
from clinic_app.core.calendar_words import SHORT_MONTHS, SHORT_WEEKDAYS
from clinic_app.core.counts import plural
from clinic_app.core.settings import get_settings
from clinic_app.models.patients import BirthPrecision
from clinic_app.services.accounts.views import OwnSession
from clinic_app.services.patients.birth_dates import BirthDate

#: In the order they are offered.
GENDER_WORDS = {"UNKNOWN": "Unknown", "FEMALE": "Female", "MALE": "Male", "OTHER": "Other"}


def date_words(day: dt.date | None) -> str:
    """``14 Mar 1988``; empty where there is none. The month is always letters."""
    return f"{day.day} {SHORT_MONTHS[day.month - 1]} {day.year}" if day else ""


def birth_words(born: BirthDate | None) -> str:
    """``14 Mar 1988``, ``Mar 1960``, ``1960``, ``about 1991``: as much as is known. Empty where nothing is."""
    if born is None:
        return ""
    known = date_words(born.day)
    if born.unit == BirthPrecision.MONTH:
        known = known.split(" ", 1)[1]
    elif born.unit == BirthPrecision.YEAR:
        known = str(born.day.year)
    return f"about {known}" if born.estimated else known


def _months(born: dt.date, today: dt.date) -> int:
    """Completed months since ``born``."""
    return (today.year - born.year) * 12 + today.month - born.month - (today.day < born.day)


def _age(born: dt.date) -> tuple[int, str]:
    """Age as a number and its unit: days under two months, months under two years, then years."""
    today = clock.today()
    months = _months(born, today)
    if months < 2:
        return (today - born).days, "day"
    return (months, "month") if months < 24 else (months // 12, "year")


def age_short(born: BirthDate | None) -> str:
    """``38 y``, ``7 months``, ``9 days``; of an estimate by the calendar alone.

    Empty where the date of birth is not known, or known too little for one number.
    """
    if born is None or born.precision in (BirthPrecision.MONTH, BirthPrecision.YEAR):
        return ""
    today = clock.today()
    if born.unit == BirthPrecision.YEAR:
        years = today.year - born.day.year
        return f"{years} y" if years > 0 else "under 1 y"
    if born.estimated:
        months = _months(born.first, today)
        count, unit = (months, "month") if months < 24 else (months // 12, "year")
        if months < 1:
            return "under 1 month"
    else:
        count, unit = _age(born.day)
    return f"{count} y" if unit == "year" else plural(count, unit)


def _age_between(born: BirthDate) -> str:
    """The age of somebody whose day of birth is not known: the youngest and the oldest they may be."""
    today = clock.today()
    youngest, oldest = _months(min(born.last, today), today), _months(born.first, today)
    if oldest < 1:
        return "under 1 month old"
    unit = "year" if oldest >= 24 else "month"
    if unit == "year":
        youngest, oldest = youngest // 12, oldest // 12
    if youngest == oldest:
        return f"{plural(oldest, unit)} old"
    return f"{youngest} {'or' if oldest - youngest == 1 else 'to'} {plural(oldest, unit)} old"


def birth_and_age(born: BirthDate | None) -> str:
    """``14 Mar 1988 (38 y)``, ``Mar 1960``, ``about 1991 (35 y)``; empty where nothing is known."""
    age = age_short(born)
    return f"{birth_words(born)} ({age})" if age else birth_words(born)


def read_back(born: BirthDate | None) -> tuple[str, str]:
    """``("15 Jan 1990", "36 years old")``: what was understood, to be read back to the patient.

    ``("1960", "65 or 66 years old")`` where the day is not known, ``("about 1991 (35 y)", "")`` where it is estimated.
    """
    if born is None:
        return "", ""
    if born.estimated:
        return birth_and_age(born), ""
    if born.precision != BirthPrecision.DAY:
        return birth_words(born), _age_between(born)
    return birth_words(born), f"{plural(*_age(born.day))} old"


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


def day_words(day: dt.date) -> str:
    """``Today``, ``Yesterday``, else ``2 Jun 2026``."""
    return {0: "Today", 1: "Yesterday"}.get((clock.today() - day).days) or date_words(day)


def moment_words(instant: dt.datetime | None) -> str:
    """``Today, 09:14``, ``Yesterday, 19:42``, else ``2 Jun 2026, 11:28``; at the clinic, 24 hours."""
    if instant is None:
        return ""
    there = clock.local(instant)
    return f"{day_words(there.date())}, {there:%H:%M}"


def session_words(one: OwnSession) -> str:
    """``Signed in today at 09:40, last active today at 09:52, from 203.0.113.7``."""
    place = f", from {one.address}" if one.address else ""
    return f"Signed in {mid_sentence(one.opened_at)}, last active {mid_sentence(one.last_seen_at)}{place}"


def earlier_words(instant: dt.datetime) -> str:
    """``10:32``, ``yesterday, 16:05``, else as ``moment_words``: inside a sentence, of what is a day old at most."""
    return moment_words(instant).removeprefix("Today, ").replace("Yesterday", "yesterday")


def mid_sentence(instant: dt.datetime | None) -> str:
    """``today at 07:12``, ``2 Jun 2026 at 11:28``."""
    words = moment_words(instant).replace(", ", " at ")
    return words[0].lower() + words[1:] if words.startswith(("Today", "Yesterday")) else words


def day_and_time(instant: dt.datetime) -> tuple[str, str]:
    """``("today", "16:40")``: the day inside a sentence, and the time of it.

    The day before is ``yesterday``, the next one ``tomorrow``, one that is to come ``Thu 18 Jun``, another one
    ``9 Jun``, in another year ``9 Jun 2025``.
    """
    there, today = clock.local(instant), clock.today()
    ahead = (there.date() - today).days
    day = f"{there.day} {SHORT_MONTHS[there.month - 1]}"
    if there.year != today.year:
        day = date_words(there.date())
    elif ahead > 0:
        day = f"{SHORT_WEEKDAYS[there.weekday()]} {day}"
    return {-1: "yesterday", 0: "today", 1: "tomorrow"}.get(ahead, day), f"{there:%H:%M}"


def span_words(instant: dt.datetime) -> str:
    """How long ago, or how long until then, rounded down: ``now``, ``20 min``, ``3 h``, ``4 days``, ``in 5 h``."""
    left = instant - clock.now()
    minutes = int(abs(left).total_seconds() // 60)
    if not minutes:
        return "now"
    if minutes < 60:
        words = f"{minutes} min"
    else:
        words = f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"
    return f"in {words}" if left > dt.timedelta(0) else words


NO_NAME = "(no name yet)"
_LONGEST_NAME = 80


def typed_name(fields: Mapping[str, str]) -> str:
    """Who a half-filled form is about: the name as typed, else what else tells it, cut to 80 characters."""
    names = " ".join(" ".join(fields.get(name, "") for name in ("first_name", "last_name")).split())
    others = (" ".join(fields.get(name, "").split()) for name in ("phone", "email", "national_id"))
    told = names or next(filter(None, others), NO_NAME)
    return told if len(told) <= _LONGEST_NAME else told[:_LONGEST_NAME].rstrip() + "…"


def deadline_words(instant: dt.datetime) -> tuple[str, str]:
    """``("31 hours", "Thu 18 Jun, 16:40")``: how long from now, rounded down, and when."""
    minutes = max(0, int((instant - clock.now()).total_seconds() // 60))
    if minutes < 120:
        left = plural(minutes, "minute")
    else:
        left = f"{minutes // 60} hours"
    there = clock.local(instant)
    return left, f"{SHORT_WEEKDAYS[there.weekday()]} {there.day} {SHORT_MONTHS[there.month - 1]}, {there:%H:%M}"


def deadline_changes(instant: dt.datetime) -> dt.datetime:
    """When what ``deadline_words`` and ``due_words`` say about ``instant`` becomes another word, by time alone."""
    left = instant - clock.now()
    step = dt.timedelta(minutes=1) if left < dt.timedelta(hours=2) else dt.timedelta(hours=1)
    return instant - step * (left // step)


#: What the desk should see to about a patient's portal access, in a word for lists.
_DUE = {"locked": "locked", "failed": "message failed", "expired": "password expired", "never": "never signed in"}


def due_words(due: str, expires_at: dt.datetime | None) -> str:
    """``locked``, ``message failed``, ``password expired``, ``expires in 5 h``, ``never signed in``.

    Empty where nothing is due.
    """
    if due != "soon" or expires_at is None:
        return _DUE.get(due, "")
    minutes = max(0, int((expires_at - clock.now()).total_seconds() // 60))
    return f"expires in {minutes // 60} h" if minutes >= 60 else f"expires in {minutes} min"


_SPELLING = re.compile(r"[\W_]*+([A-Za-z]{0,8}+)[\W_]*+0*+([0-9]{1,12}+)[\W_]*+", re.ASCII)  # never goes back


def patient_id_spelled(key: str) -> str:
    """The patient ID that ``key`` spells in another way, such as ``lmc9`` or ``9``; else ``key`` as it is."""
    prefix, found = get_settings().patient_id_prefix, _SPELLING.fullmatch(key[:60])
    if found is None or found[1].upper() not in ("", prefix) or not int(found[2]):
        return key
    return f"{prefix}{int(found[2]):06d}"


def full_name(first: str, last: str) -> str:
    """The whole name, as written: wherever a name is shown, kept or compared. Nothing stands for a missing last one."""
    return f"{first} {last}" if last else first


def initials(first: str, last: str) -> str:
    """Two letters for the avatar."""
    return (first[:1] + last[:1]).upper()
