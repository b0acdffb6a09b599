"""Who may be the same as a person: candidates by keys, compared one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import bindparam, select, union_all
from sqlmodel import Session

from clinic_app.core.prepared import Prepared
from clinic_app.models.match_keys import MATCH_KEYS
from clinic_app.models.patients import COUNTERS, PATIENTS
from clinic_app.services.patients import name_parts
from clinic_app.services.patients.duplicates.comparable import Comparable
from clinic_app.services.patients.duplicates.keys import keys_to_ask
from clinic_app.services.patients.duplicates.scoring import LEAST, Candidate, Register, compare

#: Under one key so many are looked at: more have a name so common, or a date so usual, that it says nothing alone.
_OF_ONE_KEY = 120
#: So many are compared, those first who share most.
_COMPARED = 60
_COMPARED_FIELDS = (
    "id", "first_name", "last_name", "date_of_birth", "date_of_birth_precision", "gender", "phone", "email", "national_id",
)  # fmt: skip
_PEOPLE = select(*[PATIENTS.c[name] for name in _COMPARED_FIELDS]).where(PATIENTS.c.is_active)
_BY_NATIONAL_ID = Prepared(select(PATIENTS.c.id).where(PATIENTS.c.national_id_key == bindparam("national_id")))
_GIVEN = Prepared(select(COUNTERS.c.value).where(COUNTERS.c.name == "patient_id"))


def _asking(count: int) -> Prepared:
    """The statement that looks under ``count`` keys, at so many of each."""
    each = [
        select(
            select(MATCH_KEYS.c.key, MATCH_KEYS.c.patient_id)
            .where(MATCH_KEYS.c.key == bindparam(f"k{i}"))
            .order_by(MATCH_KEYS.c.patient_id.desc())
            .limit(_OF_ONE_KEY)
            .subquery()
        )
        for i in range(count)
    ]
    return Prepared(union_all(*each))


_STEP = 8  # statements for 8, 16, 24 … keys are kept
_ASKING: dict[int, Prepared] = {}


def _under(session: Session, keys: Sequence[int]) -> list[Any]:
    """Key and patient of those under ``keys``."""
    count = -(-len(keys) // _STEP) * _STEP
    statement = _ASKING.get(count)
    if statement is None:
        statement = _ASKING[count] = _asking(count)
    padded = [*keys, *[keys[0]] * (count - len(keys))]
    return statement.all(session, **{f"k{i}": key for i, key in enumerate(padded)})


def _candidates(session: Session, person: Comparable, leave_out: Collection[int]) -> list[int]:
    """The ids of those who share most with ``person``."""
    asked = keys_to_ask(person)
    if not asked:
        return []
    shared: Counter[int] = Counter()
    for key, patient_id in set(map(tuple, _under(session, list(asked)))):
        shared[patient_id] += asked[key]
    if person.national_id_key:
        found = _BY_NATIONAL_ID.one_or_none(session, national_id=person.national_id_key)
        if found:
            shared[found.id] += 100
    for patient_id in leave_out:
        shared.pop(patient_id, None)
    return [patient_id for patient_id, _ in shared.most_common(_COMPARED)]


def register_of(session: Session, person: Comparable) -> Register:
    """Building block: how many patients there are, and how common the names of ``person`` are among them.

    Read before candidates are: whoever has a higher number than that has not been looked at.
    """
    given = _GIVEN.one_or_none(session)
    return Register(given.value if given else 0, name_parts.frequencies(session, person.parts))


def compared(session: Session, person: Comparable, register: Register, which: Any) -> list[Candidate]:
    """Building block: the active patients for whom the condition ``which`` is true, best first, nobody unlikely."""
    rows = session.connection().execute(_PEOPLE.where(which)).all()
    found = [compare(row.id, person, Comparable.of(row), register) for row in rows]
    found = [one for one in found if one.score >= LEAST or one.grade.strong]
    return sorted(found, key=lambda one: (not one.grade.strong, -one.score, one.id))


def find(
    session: Session, person: Comparable, register: Register, *, leave_out: Collection[int] = (), limit: int = 5
) -> list[Candidate]:
    """Building block: ``likely_matches``, with what is known of the register."""
    ids = _candidates(session, person, leave_out)
    return compared(session, person, register, PATIENTS.c.id.in_(ids))[:limit] if ids else []


def likely_matches(
    session: Session, details: Any, *, leave_out: Collection[int] = (), limit: int = 5
) -> list[Candidate]:
    """Building block: the patients who may be the same as ``details``, best first, ``limit`` at most.

    ``details``: a ``Comparable``, a patient's row, ``PatientDetails`` or a registration. ``leave_out`` are ids who are
    not asked about, as the patient's own. Nobody inactive is among them. No event is left: whoever shows an answer to
    somebody records that. Reads by indexes alone, in five statements at most.
    """
    person = Comparable.of(details)
    return find(session, person, register_of(session, person), leave_out=leave_out, limit=limit)
