"""Whether somebody who is there already holds a registration, also where two desks register at the same time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlmodel import Session

from clinic_app.core.settings import get_settings
from clinic_app.models.patients import PATIENTS
from clinic_app.services.patients.duplicates import finding
from clinic_app.services.patients.duplicates.comparable import Comparable
from clinic_app.services.patients.duplicates.scoring import Candidate, Register, best_of

#: What the trail calls the list of those who hold a registration.
KIND = "possible_duplicates"
#: So many who were registered since the look are compared one by one; after more, the look is repeated.
NEWCOMERS_AT_MOST = 50


class Anybody(Collection[int]):
    """All ids there are: whoever it is, it is another person."""

    def __contains__(self, _: object) -> bool:
        return True

    def __iter__(self) -> Iterator[int]:
        return iter(())

    def __len__(self) -> int:
        return 0


#: Ids of patients of whom is said that they are other people.
Despite = Collection[int]
ANYBODY: Despite = Anybody()


class SomebodyNew(Exception):
    """The transaction itself has found somebody who is likely the same person: look again outside. Undoes it."""


@dataclass(frozen=True, slots=True)
class Looked:
    """Who may be the same, best first, and what was known of the register then."""

    candidates: tuple[Candidate, ...]
    register: Register

    def holds(self, despite: Despite) -> bool:
        """Whether one of them is likely the same and nobody has said that it is another person."""
        return bool(held(self.candidates, despite))


def held(candidates: Collection[Candidate], despite: Despite) -> list[Candidate]:
    """Those who are likely the same and of whom nobody has said that they are other people."""
    return [one for one in candidates if one.grade.strong and one.id not in despite]


def look(session: Session, details: Any) -> Looked:
    """Building block: who may be the same as ``details``."""
    return look_all(session, [Comparable.of(details)])[0]


def look_all(session: Session, people: Sequence[Comparable]) -> list[Looked]:
    """Building block: ``look`` for each of ``people``, with fewer statements. All know the same of the register."""
    register = finding.register_of(session, *people)
    return [Looked(tuple(found), register) for found in finding.find_all(session, people, register)]


def newcomers(session: Session, looked: Looked, last: int) -> list[tuple[int, Comparable]]:
    """Building block: the patients with the numbers given out since the look, up to ``last``, by their id."""
    prefix = get_settings().patient_id_prefix
    since = range(looked.register.patients + 1, last + 1)
    return finding.having(session, [f"{prefix}{one:06d}" for one in since])


@dataclass(frozen=True, slots=True)
class Decided:
    """Everybody who is like somebody new, at the moment of their registration; the patient IDs of the overruled."""

    found: list[Candidate]
    overruled: list[str]


def decided(session: Session, details: Any, looked: Looked, patient_id: str, despite: Despite) -> Decided:
    """Building block: who is like them and who is overruled, in the transaction that gave out ``patient_id``.

    Numbers are given out one after the other, so whoever was registered since the look is known by theirs and is
    compared here. Raises ``SomebodyNew`` where one of all those holds the registration.
    """
    last = int(patient_id.removeprefix(get_settings().patient_id_prefix)) - 1
    found = list(looked.candidates)
    if last - looked.register.patients > NEWCOMERS_AT_MOST:
        found = list(look(session, details).candidates)
    else:
        found += best_of(newcomers(session, looked, last), Comparable.of(details), looked.register)
    if held(found, despite):
        raise SomebodyNew
    return Decided(found, overruled(session, found))


def overruled(session: Session, found: Iterable[Candidate]) -> list[str]:
    """Building block: the patient IDs of those who are likely the same, in the order they were registered in."""
    ids = [one.id for one in found if one.grade.strong]
    if not ids:
        return []
    asked = select(PATIENTS.c.patient_id).where(PATIENTS.c.id.in_(ids)).order_by(PATIENTS.c.id)
    return list(session.execute(asked).scalars())
