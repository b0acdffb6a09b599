"""By what candidates are found: keys that two records of one person likely share, whatever went wrong in one of them.

A part of the name (as it sounds) with two of year, month and day; the whole birth date; two parts of the name, alone
and with the year; one part alone, which helps where it is rare; phone; email. Blocks are small by their making: at a
million patients with Kenyan names the popular ones hold some hundreds (bench/duplicates.py). Keys are checksums: that
two things have the same one costs a comparison, no more.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from zlib import crc32

from clinic_app.models.patients import BirthPrecision
from clinic_app.services.patients.birth_dates import BirthDate
from clinic_app.services.patients.duplicates.comparable import Comparable
from clinic_app.services.patients.duplicates.sounds import sound

#: What sharing a key of a kind says before anything is compared: who shares most is compared first.
WORTH = {"number": 100, "phone": 6, "email": 6, "born": 4, "pair year": 5, "pair": 3, "part days": 2, "part": 1}
#: So many parts of a name make keys.
_SOUNDS_AT_MOST = 4


def _key(*parts: str) -> int:
    """32 bits, signed, of these parts."""
    return crc32("\x1f".join(parts).encode()) - 2**31


def _of_date(sounds: tuple[str, ...], born: BirthDate) -> dict[int, int]:
    """The keys with a birth date, as much of which counts as is known."""
    iso, worth = born.iso, WORTH["part days"]
    if born.unit == BirthPrecision.YEAR:
        return {_key("y", one, iso): 1 for one in sounds}
    if born.unit == BirthPrecision.MONTH:
        return {_key("ym", one, iso): worth for one in sounds}
    year, month, day = iso[:4], iso[5:7], iso[8:]
    found = {_key("d", iso): WORTH["born"]}
    for one in sounds:
        found[_key("ym", one, iso[:7])] = worth
        found[_key("md", one, month, day)] = worth
        found[_key("yd", one, year, day)] = worth
    return found


def keys_of(person: Comparable) -> dict[int, int]:
    """The keys a person stands under, each with its worth."""
    sounds = person.sounds[:_SOUNDS_AT_MOST]
    found = {_key("n", one): WORTH["part"] for one in sounds}
    year = person.born.iso[:4] if person.born else ""
    for pair in itertools.combinations(sorted(sounds), 2):
        found[_key("p", *pair)] = WORTH["pair"]
        if year:
            found[_key("py", *pair, year)] = WORTH["pair year"]
    if person.born:
        found.update(_of_date(sounds, person.born))
    if person.phone:
        found[_key("t", person.phone)] = WORTH["phone"]
    if person.email_key:
        found[_key("e", person.email_key)] = WORTH["email"]
    return found


def number_key(person: Comparable) -> dict[int, int]:
    """The key of the national ID. A record's own is found beside it; this is for one that gave way in a merge."""
    number = person.national_id_key
    return {_key("i", number): WORTH["number"]} if number else {}


def _swapped(born: BirthDate) -> BirthDate | None:
    """The date with day and month the other way round; None where that is no other date."""
    if born.unit != BirthPrecision.DAY or born.day.day > 12 or born.day.day == born.day.month:
        return None
    return BirthDate(born.day.replace(month=born.day.day, day=born.day.month))


def keys_to_ask(person: Comparable, common: Collection[str] = ()) -> dict[int, int]:
    """The keys under which somebody who may be the same stands, each with its worth.

    ``common`` are parts of the name that so many have that one of them alone says nothing.
    """
    found = keys_of(person)
    for part in common:
        found.pop(_key("n", sound(part)), None)
    found.update(number_key(person))
    other = _swapped(person.born) if person.born else None
    if other:
        found[_key("d", other.iso)] = WORTH["born"]
    return found
