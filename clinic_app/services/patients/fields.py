"""The rules of single fields, one function each: text in, value out, or ``ValueError`` with a sentence.

Pages, API and imports all come through here, with the label that names the field and the longest it may be.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from functools import lru_cache

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from clinic_app.core import clock
from clinic_app.core.calendar_words import MONTHS
from clinic_app.core.settings import get_settings
from clinic_app.core.text_rules import line
from clinic_app.models.patients import Gender

EARLIEST_BIRTH = dt.date(1900, 1, 1)


# --- date of birth ------------------------------------------------------------------------------


def _month(word: str) -> int | None:
    word = word.lower().rstrip(".")
    for number, month in enumerate(MONTHS, 1):
        if word in (month.lower(), month[:3].lower(), "sept" if number == 9 else ""):
            return number
    return None


def _read_date(text: str) -> dt.date | None:
    """``text`` in any usual notation, day before month; None if it is not a date."""
    text = unicodedata.normalize("NFKC", text).strip().replace(",", " ")
    candidates: list[tuple[int, int, int]] = []  # year, month, day
    if match := re.fullmatch(r"(\d{4})[-/. ]+(\d{1,2})[-/. ]+(\d{1,2})", text):
        candidates = [(int(match[1]), int(match[2]), int(match[3]))]
    elif match := re.fullmatch(r"(\d{1,2})[-/. ]+(\d{1,2})[-/. ]+(\d{4})", text):
        candidates = [(int(match[3]), int(match[2]), int(match[1]))]
    elif match := re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th)?[-/. ]*([A-Za-z]{3,9}\.?)[-/. ]*(\d{4})", text):
        candidates = [(int(match[3]), _month(match[2]) or 0, int(match[1]))]
    elif match := re.fullmatch(r"([A-Za-z]{3,9}\.?)[-/. ]*(\d{1,2})(?:st|nd|rd|th)?[-/. ]+(\d{4})", text):
        candidates = [(int(match[3]), _month(match[1]) or 0, int(match[2]))]
    elif match := re.fullmatch(r"(\d{4})[-/. ]+([A-Za-z]{3,9}\.?)[-/. ]+(\d{1,2})", text):
        candidates = [(int(match[1]), _month(match[2]) or 0, int(match[3]))]
    elif re.fullmatch(r"\d{8}", text):  # 15011990, or 19900115: only one of them is ever between 1900 and today
        candidates = [
            (int(text[4:]), int(text[2:4]), int(text[:2])),
            (int(text[:4]), int(text[4:6]), int(text[6:])),
        ]
    for year, month, day in candidates:
        try:
            found = dt.date(year, month, day)
        except ValueError:
            continue
        if len(candidates) == 1 or found >= EARLIEST_BIRTH:
            return found
    return None


def date_of_birth(value: object, label: str = "Date of birth", longest: int = 40) -> dt.date | None:
    """Optional; a real date, not in the future, not before 1900-01-01, day before month."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, dt.datetime):
        raise ValueError(f"{label} must be a date, for example 31 3 1980.")
    found = (
        value
        if isinstance(value, dt.date)
        else _read_date(value)
        if isinstance(value, str) and len(value) <= longest
        else None
    )
    if found is None:
        if isinstance(value, str) and re.search(r"(?<!\d)\d{1,2}[-/. ]\d{1,2}[-/. ]\d{2}$", value.strip()):
            raise ValueError(f"{label} must have a four-digit year, for example 31 3 1980.")
        raise ValueError(f"{label} must be a real date, for example 31 3 1980.")
    if found > clock.today():
        raise ValueError(f"{label} must not be in the future.")
    if found < EARLIEST_BIRTH:
        raise ValueError(f"{label} must not be before 1 Jan 1900.")
    return found


# --- the rest -----------------------------------------------------------------------------------


def gender(value: object, label: str = "Gender", _longest: int = 0) -> Gender:
    """One of the four; nothing said means ``UNKNOWN``."""
    if value is None or value == "":
        return Gender.UNKNOWN
    try:
        return Gender(str(value).strip().upper())
    except ValueError:
        raise ValueError(f"{label} must be MALE, FEMALE, OTHER or UNKNOWN.") from None


@lru_cache(maxsize=4)
def phone_example(region: str) -> str:
    """A number of ``region`` as people there write it."""
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    return (
        phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.NATIONAL) if example else "+254 712 123456"
    )


def phone(value: object, label: str = "Phone", longest: int = 40) -> str | None:
    """Optional; a valid number, of the clinic's region unless it begins with ``+``; returned as E.164."""
    found = line(value, label, longest)
    if found is None:
        return None
    region = get_settings().region
    try:
        number = phonenumbers.parse(found, region)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_valid_number(number):
        raise ValueError(f"{label} must be a valid phone number, for example {phone_example(region)}.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def email(value: object, label: str = "Email", longest: int = 254) -> str | None:
    """Optional; checked for syntax, without looking the domain up."""
    found = line(value, label, longest)
    if found is None:
        return None
    try:
        return validate_email(found, check_deliverability=False, allow_smtputf8=False, strict=True).normalized
    except EmailNotValidError:
        raise ValueError(f"{label} must be an email address, for example name@example.com.") from None


def national_id(value: object, label: str = "National ID", longest: int = 50) -> str | None:
    """Optional; up to ``longest`` characters with at least one letter or digit, kept as typed."""
    found = line(value, label, longest)
    if found is not None and not national_id_key(found):
        raise ValueError(f"{label} must contain letters or digits.")
    return found


def national_id_key(value: str | None) -> str | None:
    """``value`` as it is compared: without spaces (invisible ones too), dashes and case."""
    if value is None:
        return None
    plain = unicodedata.normalize("NFKC", value).casefold()
    kept = "".join(c for c in plain if not (c.isspace() or c == "\u2212" or unicodedata.category(c) in {"Pd", "Cf"}))
    return kept[:50] if any(c.isalnum() for c in kept) else None


def folded(text: str) -> str:
    """``text`` for finding: lower case, without accents, single spaces."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).split())
