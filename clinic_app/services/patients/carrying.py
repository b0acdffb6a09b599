"""What a search that found nobody says about the person, as fields of a registration."""

from __future__ import annotations

import itertools
import re

from clinic_app.core.settings import get_settings
from clinic_app.core.text_rules import visible
from clinic_app.services.patients import birth_dates
from clinic_app.services.patients.forms import PatientDetails
from clinic_app.services.patients.search_terms import runs_at_an_end

_LONGEST = 100
#: What programs put before an address that is copied.
_SCHEME = re.compile(r"(?:tel|mailto|sms):", re.IGNORECASE)
#: Between two phones.
_TWO = re.compile(r"[;,|&/]")
_AROUND = " ,;:#.()[]<>\"'“”"
_DIGITS_OF_A_NUMBER = 5  # fewer, without letters, may be anything
_DIGITS_OF_A_CODE = 3  # fewer, beside letters, are part of a name: "Baby-2"
_LETTERS_OF_A_CODE = 5  # more in a row are a name
#: Passports and foreigners' cards, with letters: at most two, before at least six digits.
_DOCUMENT = re.compile(r"[A-Za-z]{1,2}\W?(?:\W?\d){6,}")


def _digits(text: str) -> int:
    return sum(c.isdigit() for c in text)


def _is_phone(text: str) -> bool:
    return not any(c.isalpha() for c in text) and not PatientDetails.problem("phone", text)


def _is_date(text: str) -> bool:
    """Whether it is a whole date written as one, or a month or an age with words: digits alone may be any number."""
    born = birth_dates.understood(text)
    if born is None or text.isdigit():
        return False
    return len(born.iso) == len("1990-01-15") or any(c.isalpha() for c in text)


def _is_own(text: str) -> bool:
    """Whether it is a patient ID, which the system gives out."""
    return bool(re.fullmatch(rf"{re.escape(get_settings().patient_id_prefix)}\W*\d+", text, re.IGNORECASE))


def _number(text: str) -> dict[str, str]:
    """The field that a number belongs to; none for a patient ID, nor for a few digits.

    Digits alone are a national ID, and so is what looks like a passport. Of another number with letters, such as
    ``A-1234``, nobody can tell: it is likely that of an old card or file, which is asked for as External ID.
    """
    if _is_phone(text):
        return {"phone": text}
    if _is_date(text):
        return {"date_of_birth": text}
    if _is_own(text):
        return {}
    if sum(map(_is_phone, filter(None, _TWO.split(text)))) > 1:
        return {}  # which of them is the patient's own is asked
    document = not any(c.isalpha() for c in text) or _DOCUMENT.fullmatch(text)
    name = "national_id" if document else "external_id"
    few = _digits(text) < (_DIGITS_OF_A_NUMBER if document else _DIGITS_OF_A_CODE)
    return {} if few or PatientDetails.problem(name, text) else {name: text}


def _names(words: str) -> dict[str, str]:
    last, comma, first = words.partition(",")
    if comma and last.strip() and first.strip():
        return {"first_name": " ".join(first.split()), "last_name": " ".join(last.split())}
    parts = words.replace(",", " ").split()
    found = {"first_name": parts[0], "last_name": " ".join(parts[1:])} if parts else {}
    return {name: value for name, value in found.items() if value}


def _kind(word: str) -> str:
    if "@" in word:
        return "email"
    if any(c.isalpha() for c in word):
        letters = max(len(run) for run in re.findall(r"[^\W\d_]+", word) or [""])
        return "number" if _digits(word) >= _DIGITS_OF_A_CODE and letters <= _LETTERS_OF_A_CODE else "word"
    return "digits" if _digits(word) else "word"


def _dated(words: list[str]) -> tuple[str, str]:
    """Of these words those that are a birth date, at the end or at the beginning; and the rest."""
    for run in runs_at_an_end(len(words), fewest=1):
        date = " ".join(words[run]).strip(_AROUND.replace("(", "").replace(")", ""))
        if _is_date(date):
            return date, " ".join([*words[: run.start], *words[run.stop :]])
    return "", " ".join(words)


def fields_of_term(term: str) -> dict[str, str]:
    """The fields of a registration that the search term fills: all goes where it belongs, or nowhere.

    Words are names (``Surname, First`` too); a phone, an email, a birth date or an age, the number of a document or of
    an old file go to their own fields, also beside words.
    """
    term = _SCHEME.sub("", " ".join(visible(term[:_LONGEST]).split()))
    if _is_date(term):
        return {"date_of_birth": term}
    dated, term = _dated(term.split())
    if _is_own(term.strip(_AROUND)):
        return {}
    found = {"date_of_birth": dated} if dated else {}
    words: list[str] = []
    for kind, run in itertools.groupby(term.split(), _kind):
        if kind == "word":
            words += run
            continue
        for text in [" ".join(run)] if kind == "digits" else run:
            bare = text.strip(_AROUND.replace("(", "")) if kind == "digits" else text.strip(_AROUND)
            bare = bare.removeprefix("(") if ")" not in bare else bare
            for name, value in ({"email": bare} if kind == "email" else _number(bare)).items():
                found.setdefault(name, value)
    named = " ".join(words).strip(" ,;")
    return {**(_names(named) if any(c.isalpha() for c in named) else {}), **found}
