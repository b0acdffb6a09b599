"""Which rows of a batch may be somebody strongly at all: few statements for all, where the matcher asks for each.

A strong match shares more than one of the matcher's keys. Whoever shares so much is compared here by the matcher's own
figures; only rows with a strong one among them are asked about one by one, and so get the same answer as at the desk.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from sqlalchemy import Text, bindparam, select
from sqlmodel import Session

from clinic_app.core.prepared import Prepared
from clinic_app.core.sql_text import among, numbers
from clinic_app.models.match_keys import MATCH_KEYS
from clinic_app.models.patients import COUNTERS, PATIENTS
from clinic_app.services.patients import name_parts
from clinic_app.services.patients.duplicates import Comparable, former
from clinic_app.services.patients.duplicates.finding import STANDS
from clinic_app.services.patients.duplicates.scoring import Register, compare
from clinic_app.services.patients.importing.rows import Person

#: Who shares less than this of what keys are worth is no strong match: one popular key, or two weak ones.
_LEAST = 5
#: A key that is worth less is not looked under: one part of a name, or a year.
_LEAST_KEY = 2
_AT_ONCE = 5000
_UNDER = Prepared(
    select(MATCH_KEYS.c.key, MATCH_KEYS.c.patient_id).where(among(MATCH_KEYS.c.key, bindparam("keys", type_=Text)))
)
_FIELDS = "id first_name last_name date_of_birth date_of_birth_precision gender phone email national_id".split()
_PEOPLE = Prepared(
    select(*[PATIENTS.c[name] for name in _FIELDS], former.TOOK_IN).where(
        among(PATIENTS.c.id, bindparam("ids", type_=Text)), STANDS
    )
)


_GIVEN = Prepared(select(COUNTERS.c.value).where(COUNTERS.c.name == "patient_id"))


def given(session: Session) -> int:
    """Building block: how many patient IDs have been given out."""
    found = _GIVEN.one_or_none(session)
    return found.value if found else 0


def register(session: Session, people: Sequence[Person | None]) -> Register:
    """Building block: how many patients there are, and how common the names of these people are among them."""
    parts = {part for person in people if person for part in person.who.parts}
    return Register(given(session), name_parts.frequencies(session, parts))


def perhaps_strong(session: Session, people: Sequence[Person | None], among: Register) -> list[bool]:
    """Building block: for each of ``people`` whether the matcher may find somebody strongly like them."""
    asked = [
        {key: worth for key, worth in person.asks.items() if worth >= _LEAST_KEY} if person else {} for person in people
    ]
    wanted = sorted({key for one in asked for key in one})
    under: dict[int, list[int]] = defaultdict(list)
    for start in range(0, len(wanted), _AT_ONCE):
        for key, patient_id in _UNDER.all(session, keys=numbers(wanted[start : start + _AT_ONCE])):
            under[key].append(patient_id)
    if not under:
        return [False] * len(people)
    shared = [_sharing(one, under) for one in asked]
    ids = sorted({patient_id for one in shared for patient_id in one})
    there: dict[int, list[Comparable]] = {}
    for start in range(0, len(ids), _AT_ONCE):
        rows = _PEOPLE.all(session, ids=numbers(ids[start : start + _AT_ONCE]))
        there |= {row.id: [Comparable.of(row)] for row in rows}
        for one in former.of(session, former.took_in(rows)):
            there[one.survivor_id].append(one.who)
    return [
        person is not None
        and any(compare(one, person.who, who, among).grade.strong for one in found for who in there.get(one, ()))
        for person, found in zip(people, shared, strict=True)
    ]


def _sharing(asked: dict[int, int], under: dict[int, list[int]]) -> list[int]:
    found: Counter[int] = Counter()
    for key, worth in asked.items():
        for patient_id in under.get(key, ()):
            found[patient_id] += worth
    return [patient_id for patient_id, worth in found.items() if worth >= _LEAST]
