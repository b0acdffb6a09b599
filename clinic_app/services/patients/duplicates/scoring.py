"""Whether two people are the same: how likely, which grade that is, and why, in words."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from clinic_app.services.patients.duplicates import weights
from clinic_app.services.patients.duplicates.comparable import Comparable
from clinic_app.services.patients.duplicates.comparing import (
    Agreement,
    Birth,
    Name,
    Order,
    Value,
    agreements,
    births,
    orders,
    value,
)

#: From these probabilities on somebody is likely, or certainly, the same. A question too many costs a sentence at the
#: desk, one too few a second record: so the first of them is below one half.
LIKELY_FROM, CERTAIN_FROM = 0.3, 0.99
#: From this on somebody is shown to people; programs are told of those from the lower one on.
SHOWN_FROM, LEAST = 0.02, 1e-5


class Grade(StrEnum):
    """How sure the matcher is (the match-grade of FHIR R4, whose *probable* is *likely* here)."""

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"

    @property
    def strong(self) -> bool:
        """Whether it holds a registration."""
        return self is not Grade.POSSIBLE


@dataclass(frozen=True, slots=True)
class Candidate:
    """A patient who may be the person asked about. ``score`` is a probability, 0 to 1; ``reasons`` are for people."""

    id: int
    score: float
    grade: Grade
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Register:
    """What is known of all patients: how many there are, and how many have each part of a name."""

    patients: int = 0
    parts: Mapping[str, int] | None = None

    def rarity(self, words: tuple[str, ...]) -> float:
        """How many bits more than usual it says that two people have these parts of a name; less, where negative."""
        if not self.parts or not words:
            return 0.0
        among = max(self.patients, weights.TOWN)
        found = 0.0
        for word in words:
            share = (self.parts.get(word, 0) + 1) / among
            found += math.log2(weights.USUAL_NAME / share)
        return max(-weights.COMMON_AT_MOST, min(weights.RARE_AT_MOST, found))


def _names(found: Agreement, one: Comparable, register: Register) -> float:
    """What the names say. That a common one agrees says less; that it is alike, half of that."""
    total = weights.FIRST[found.first] + weights.LAST[found.last] + weights.ORDER[found.order]
    for level, words in ((found.first, one.first), (found.last, one.last)):
        if level is Name.SAME:
            total += register.rarity(words)
        elif level in (Name.SLIP, Name.CLOSE):
            total += register.rarity(words) / 2
    return total


def bits(found: Agreement, one: Comparable, register: Register) -> float:
    """What all of it says together."""
    return (
        _names(found, one, register)
        + weights.BORN[found.born]
        + weights.SEX.get(found.sex, 0.0)
        + weights.PHONE.get(found.phone, 0.0)
        + weights.EMAIL.get(found.email, 0.0)
        + weights.NATIONAL_ID.get(found.national_id, 0.0)
    )


def _likely(total: float, register: Register) -> float:
    """The probability behind ``total`` bits, where one of all patients may be the same."""
    total += math.log2(weights.DOUBLES / max(register.patients, weights.TOWN))
    return 1 / (1 + 2 ** -max(-60.0, min(60.0, total)))


_ALIKE = (Name.SAME, Name.SLIP, Name.CLOSE, Name.ALIKE, Name.PART)
_BORN_ALIKE = (Birth.SAME, Birth.SWAPPED, Birth.EDIT, Birth.TWO_OF_THREE, Birth.WITHIN)


def _grade(score: float, found: Agreement) -> Grade:
    """Whatever the figures say: names and birth date alone are never certain, and names alone never likely.

    Twins share birth date, surname, address and phone: whose first name differs is possible at most, unless the
    national ID is the same. Two national IDs are two people, unless names and birth date are the same, or nearly.
    """
    same_id = found.national_id is Value.SAME
    contact = Value.SAME in (found.phone, found.email)
    if score < LIKELY_FROM:
        return Grade.POSSIBLE
    if same_id:
        return Grade.CERTAIN if score >= CERTAIN_FROM else Grade.LIKELY
    if found.first not in _ALIKE or not (contact or found.born in _BORN_ALIKE):
        return Grade.POSSIBLE
    if found.national_id is Value.OTHER and not (
        found.born is Birth.SAME and {found.first, found.last} <= {Name.SAME, Name.SLIP, Name.CLOSE}
    ):
        return Grade.POSSIBLE
    if score >= CERTAIN_FROM and contact and found.born in _BORN_ALIKE and found.last in _ALIKE:
        return Grade.CERTAIN
    return Grade.LIKELY


_BORN_WORDS = {
    Birth.SAME: "Date of birth",
    Birth.SWAPPED: "Date of birth, day and month swapped",
    Birth.EDIT: "Date of birth, one digit off",
    Birth.TWO_OF_THREE: "Date of birth, one part off",
    Birth.WITHIN: "Date of birth, as far as known",
    Birth.ABOUT: "Date of birth, estimated",
    Birth.YEAR: "Year of birth",
}
_NAME_WORDS = {
    Name.SAME: "",
    Name.SLIP: ", one letter off",
    Name.CLOSE: ", nearly the same",
    Name.ALIKE: ", similar",
    Name.PART: ", in part",
}


def _name_words(found: Agreement) -> list[str]:
    if found.first is found.last is Name.SAME:
        return ["Name" if found.order is Order.STRAIGHT else "Names, in another order"]
    words = [
        f"{which} name{_NAME_WORDS[level]}"
        for level, which in ((found.first, "First"), (found.last, "Last"))
        if level in _NAME_WORDS
    ]
    if found.order is Order.SWAPPED and words:
        words.append("Names, first and last swapped")
    return words


def _reasons(found: Agreement) -> tuple[str, ...]:
    """Why, in words: what is the same by its name alone; what is nearly the same with how, after a comma."""
    words = _name_words(found)
    words.append(_BORN_WORDS.get(found.born, ""))
    words += [
        {Value.SAME: what, Value.EDIT: f"{what}, one digit off"}.get(level, "")
        for level, what in ((found.national_id, "National ID"), (found.phone, "Phone"), (found.email, "Email"))
    ]
    return tuple(word for word in words if word)


def compare(key: int, one: Comparable, other: Comparable, register: Register) -> Candidate:
    """How likely ``other``, the patient with the id ``key``, is the same person as ``one``."""
    score, grade, found = _compared(one, other, register)
    return Candidate(key, round(score, 6), grade, _reasons(found))


def _compared(one: Comparable, other: Comparable, register: Register) -> tuple[float, Grade, Agreement]:
    found, total = max(((it, bits(it, one, register)) for it in agreements(one, other)), key=lambda it: it[1])
    score = _likely(total, register)
    return score, _grade(score, found), found


#: What is summed up in another order may differ by so many bits.
_CLOSE_ENOUGH = 1e-6
_NEARLY = (Name.SLIP, Name.CLOSE)


class _Asked:
    """Somebody who is asked about: what others may say at most, worked out with less than comparing them takes."""

    def __init__(self, one: Comparable, register: Register, limit: int) -> None:
        self.one, self._limit = one, limit
        before = math.log2(weights.DOUBLES / max(register.patients, weights.TOWN))
        #: Who says less is nobody; and from the second on, who says more is strong perhaps.
        self.least, self._strong = (
            math.log2(share / (1 - share)) - before - _CLOSE_ENOUGH for share in (LEAST, LIKELY_FROM)
        )
        self._first = self._worth(weights.FIRST, register.rarity(one.first))
        self._last = self._worth(weights.LAST, register.rarity(one.last))
        self._best: list[float] = []

    @staticmethod
    def _worth(usual: Mapping[Name, float], rarity: float) -> dict[Name, float]:
        more = {Name.SAME: rarity, **dict.fromkeys(_NEARLY, rarity / 2)}
        return {level: worth + more.get(level, 0.0) for level, worth in usual.items()}

    def may_count(self, other: Comparable) -> bool:
        """Whether ``other`` may be among those that are answered."""
        total = weights.BORN[births(self.one.born, other.born)]
        total += weights.SEX.get(value(self.one.sex, other.sex), 0.0)
        total += weights.PHONE.get(value(self.one.phone, other.phone, edit=True), 0.0)
        if self.one.email and other.email:
            total += weights.EMAIL.get(value(self.one.email_key, other.email_key), 0.0)
        if self.one.national_id and other.national_id:
            level = value(self.one.national_id_key, other.national_id_key, edit=True)
            total += weights.NATIONAL_ID.get(level, 0.0)
        total += max(
            self._first[first] + self._last[last] + weights.ORDER[order]
            for first, last, order in orders(self.one, other)
        )
        if total < self.least:
            return False
        bisect.insort(self._best, total)
        del self._best[: -self._limit]
        if len(self._best) == self._limit:  # only the likeliest are answered, and before them whoever is strong
            self.least = max(self.least, min(self._strong, self._best[0] - _CLOSE_ENOUGH))
        return True


def best_of(
    people: Iterable[tuple[int, Comparable]], one: Comparable, register: Register, limit: int = 5
) -> list[Candidate]:
    """Of these patients, by id, those who may be ``one``: the strong first, then the likeliest. Nobody unlikely."""
    people = list(people)
    if not people:
        return []
    asked = _Asked(one, register, limit)
    found = [(key, *_compared(one, other, register)) for key, other in people if asked.may_count(other)]
    kept = [it for it in found if it[1] >= LEAST or it[2].strong]
    kept.sort(key=lambda it: (not it[2].strong, -it[1], it[0]))
    return [Candidate(key, round(score, 6), grade, _reasons(how)) for key, score, grade, how in kept[:limit]]
