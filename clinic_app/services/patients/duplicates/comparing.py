"""How well two people agree, field by field: a level for each."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from rapidfuzz.distance import OSA, JaroWinkler

from clinic_app.models.patients import BirthPrecision
from clinic_app.services.patients.birth_dates import BirthDate
from clinic_app.services.patients.duplicates.comparable import Comparable
from clinic_app.services.patients.duplicates.sounds import sound

#: Jaro-Winkler similarities from which two names are close, or alike.
CLOSE_FROM, ALIKE_FROM = 0.93, 0.85
#: Shorter parts are not called alike for one letter.
_SHORT = 4
#: An estimated year may be out by so many years (people round ages to five).
_ESTIMATE_OUT = 3


class Name(StrEnum):
    """How two names, or parts of them, agree."""

    SAME = "same"
    SLIP = "slip"  # one letter off
    CLOSE = "close"  # nearly the same, or the same by sound
    ALIKE = "alike"
    PART = "part"  # one has what the other has, and more; or an initial
    OTHER = "other"
    MISSING = "missing"


class Order(StrEnum):
    """Which of the names were compared with which."""

    STRAIGHT = "straight"
    SWAPPED = "swapped"
    SHIFTED = "shifted"  # the same parts, put into the two fields in another way


class Birth(StrEnum):
    """How two birth dates agree."""

    SAME = "same"
    SWAPPED = "swapped"  # day and month
    EDIT = "edit"  # one digit, or two neighbours changed over
    TWO_OF_THREE = "two of three"  # of year, month and day
    WITHIN = "within"  # what is known of one contains the other: a month, a year
    ABOUT = "about"  # an estimate that may be it
    YEAR = "year"
    OTHER = "other"
    MISSING = "missing"


class Value(StrEnum):
    """How two values that are equal or not agree."""

    SAME = "same"
    EDIT = "edit"
    OTHER = "other"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Agreement:
    """How two people agree. ``first`` and ``last`` are the names of the first, wherever they found their like."""

    first: Name
    last: Name
    order: Order
    born: Birth
    sex: Value
    phone: Value
    email: Value
    national_id: Value


@lru_cache(maxsize=65536)
def _part(one: str, other: str) -> Name:
    if one == other:
        return Name.SAME
    if len(one) == 1 or len(other) == 1:
        return Name.PART if one[0] == other[0] else Name.OTHER
    shorter = min(len(one), len(other))
    likeness = JaroWinkler.similarity(one, other)
    edits = OSA.distance(one, other)
    if edits == 1 and shorter >= _SHORT:
        return Name.SLIP
    if likeness >= CLOSE_FROM and shorter >= _SHORT:
        return Name.CLOSE
    if sound(one) == sound(other) and likeness >= ALIKE_FROM - 0.1:
        return Name.CLOSE
    if likeness >= ALIKE_FROM or edits == 1 or (edits == 2 and shorter >= _SHORT + 2):
        return Name.ALIKE
    if shorter >= _SHORT - 1 and (one.startswith(other) or other.startswith(one)):
        return Name.PART
    return Name.OTHER


_RANK = {name: rank for rank, name in enumerate(Name)}


@lru_cache(maxsize=32768)
def names(one: tuple[str, ...], other: tuple[str, ...]) -> Name:
    """How two first, or two last names agree, each in its parts."""
    if not one or not other:
        return Name.MISSING
    if one == other:
        return Name.SAME
    whole = _part("".join(one), "".join(other))
    if len(one) == 1 == len(other) or whole in (Name.SAME, Name.SLIP, Name.CLOSE):
        return whole
    if set(one) <= set(other) or set(other) <= set(one):
        return Name.PART if len(one) != len(other) else Name.SAME
    best = min((_part(a, b) for a in one for b in other), key=_RANK.__getitem__)
    if best in (Name.SAME, Name.SLIP, Name.CLOSE, Name.ALIKE):
        return Name.PART
    return whole


_Pair = tuple[Name, Name, Order]
_NEARLY = (Name.SAME, Name.SLIP, Name.CLOSE)


def orders(one: Comparable, other: Comparable) -> list[_Pair]:
    """How the names of two people agree, first and last: as they stand and, where that may be better, otherwise."""
    straight = (names(one.first, other.first), names(one.last, other.last), Order.STRAIGHT)
    if straight[0] in _NEARLY and straight[1] in _NEARLY:
        return [straight]
    if len(one.first) + len(one.last) == len(other.first) + len(other.last) and sorted(
        (*one.first, *one.last)
    ) == sorted((*other.first, *other.last)):
        swapped = one.first == other.last
        return [(Name.SAME, Name.SAME, Order.SWAPPED if swapped else Order.SHIFTED)]
    swapped = (names(one.first, other.last), names(one.last, other.first), Order.SWAPPED)
    return [straight, swapped]


def _digits(day: dt.date) -> str:
    return day.isoformat().replace("-", "")


def births(one: BirthDate | None, other: BirthDate | None) -> Birth:
    """How two birth dates agree, each as exact as it is known."""
    if one is None or other is None:
        return Birth.MISSING
    if one.precision is other.precision is BirthPrecision.DAY:
        return _days(one.day, other.day)
    if one.first <= other.last and other.first <= one.last:
        return Birth.WITHIN
    if one.estimated or other.estimated:
        apart = max(one.first, other.first) - min(one.last, other.last)
        return Birth.ABOUT if apart.days <= _ESTIMATE_OUT * 366 else Birth.OTHER
    return Birth.YEAR if one.day.year == other.day.year else Birth.OTHER


@lru_cache(maxsize=65536)
def _days(one: dt.date, other: dt.date) -> Birth:
    if one == other:
        return Birth.SAME
    same = (one.year == other.year) + (one.month == other.month) + (one.day == other.day)
    if not same:
        return Birth.OTHER  # an edit leaves one of the three as it is, at least
    if one.year == other.year and (one.month, one.day) == (other.day, other.month):
        return Birth.SWAPPED
    if OSA.distance(_digits(one), _digits(other), score_cutoff=1) == 1:
        return Birth.EDIT
    if same == 2:
        return Birth.TWO_OF_THREE
    return Birth.YEAR if one.year == other.year else Birth.OTHER


def value(one: str | None, other: str | None, *, edit: bool = False) -> Value:
    """How two values agree; ``edit``: one digit off is told apart."""
    if not one or not other:
        return Value.MISSING
    if one == other:
        return Value.SAME
    if edit and min(len(one), len(other)) >= 6 and OSA.distance(one, other, score_cutoff=1) == 1:
        return Value.EDIT
    return Value.OTHER


def agreements(one: Comparable, other: Comparable) -> list[Agreement]:
    """How two people agree: with the names as they stand and, where that may be better, the other way round."""
    rest = (
        births(one.born, other.born),
        value(one.sex, other.sex),
        value(one.phone, other.phone, edit=True),
        value(one.email_key, other.email_key),
        value(one.national_id_key, other.national_id_key, edit=True),
    )
    return [Agreement(first, last, order, *rest) for first, last, order in orders(one, other)]
