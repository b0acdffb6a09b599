"""PROVISIONAL: the matcher's interface, until the matcher itself is there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from sqlalchemy import or_, select
from sqlmodel import Session

from clinic_app.models.patients import PATIENTS
from clinic_app.services.patients import national_ids


class Grade(StrEnum):
    """How sure."""

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"

    @property
    def strong(self) -> bool:
        """Whether it holds a registration."""
        return self is not Grade.POSSIBLE


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record that may be the same person."""

    id: int
    score: float
    grade: Grade
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparable:
    """What is compared."""

    row: Any

    @classmethod
    def of_patient(cls, row: Any) -> Self:
        """From a row."""
        return cls(row)


def likely_matches(
    session: Session, details: Any, *, leave_out: Collection[int] = (), limit: int = 5
) -> list[Candidate]:
    """The records most likely to be the same person, best first."""
    row = getattr(details, "row", details)
    ways = [PATIENTS.c.name_key == row.name_key]
    if row.phone:
        ways.append(PATIENTS.c.phone == row.phone)
    found = session.execute(
        select(PATIENTS).where(PATIENTS.c.is_active, PATIENTS.c.id.not_in(list(leave_out)), or_(*ways)).limit(limit)
    )
    candidates = []
    for other in found:
        same = {
            "Name": other.name_key == row.name_key,
            "Phone": bool(row.phone) and other.phone == row.phone,
            "Date of birth": bool(row.date_of_birth) and other.date_of_birth == row.date_of_birth,
            "National ID": bool(row.national_id) and national_ids.key(row.national_id) == other.national_id_key,
        }
        reasons = tuple(name for name, so in same.items() if so)
        grade = Grade.CERTAIN if len(reasons) > 2 else Grade.LIKELY if len(reasons) == 2 else Grade.POSSIBLE
        candidates.append(Candidate(other.id, len(reasons) / 4, grade, reasons))
    return sorted(candidates, key=lambda one: -one.score)
