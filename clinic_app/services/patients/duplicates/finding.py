"""Who may be the same as a person: candidates by keys, compared one by one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Integer, String, bindparam, cast, func, literal_column, select, union_all
from sqlmodel import Session

from clinic_app.core.prepared import Prepared
from clinic_app.models.match_keys import MATCH_KEYS
from clinic_app.models.patients import COUNTERS, PATIENTS
from clinic_app.services.patients import name_parts
from clinic_app.services.patients.duplicates.comparable import Comparable
from clinic_app.services.patients.duplicates.index import COLUMNS
from clinic_app.services.patients.duplicates.keys import keys_to_ask
from clinic_app.services.patients.duplicates.scoring import LEAST, Candidate, Register, best_of

__all__ = ["LEAST", "compared", "find", "likely_matches", "register_of"]

#: Under one key so many are looked at: more have a name so common, or a date so usual, that it says nothing alone.
_OF_ONE_KEY = 100
#: So many are compared, those first who share most.
_COMPARED = 48
#: A national ID is one person's.
_SAME_NUMBER = 100
_FIELDS = [PATIENTS.c[name] for name in COLUMNS]
_PEOPLE = select(*_FIELDS).where(PATIENTS.c.is_active)
_GIVEN = Prepared(select(COUNTERS.c.value).where(COUNTERS.c.name == "patient_id"))


def _asking(count: int) -> Prepared:
    """The statement that looks under ``count`` keys, at so many of each, and reads those who share most."""
    under = [
        select(
            select(MATCH_KEYS.c.patient_id, cast(bindparam(f"w{i}"), Integer).label("worth"))
            .where(MATCH_KEYS.c.key == cast(bindparam(f"k{i}"), Integer))
            .order_by(MATCH_KEYS.c.patient_id.desc())
            .limit(_OF_ONE_KEY)
            .subquery()
        )
        for i in range(count)
    ]
    number = select(PATIENTS.c.id.label("patient_id"), literal_column(str(_SAME_NUMBER)).label("worth")).where(
        PATIENTS.c.national_id_key == bindparam("national_id", type_=String)
    )
    found = union_all(*under, number).subquery()
    shared = func.sum(found.c.worth)
    most = select(found.c.patient_id).group_by(found.c.patient_id).order_by(shared.desc()).limit(_COMPARED).subquery()
    return Prepared(select(*_FIELDS).join(most, most.c.patient_id == PATIENTS.c.id).where(PATIENTS.c.is_active))


_STEP = 8  # statements for 8, 16, 24 … keys are kept
_ASKING: dict[int, Prepared] = {}


def _candidates(session: Session, person: Comparable, register: Register) -> list[Any]:
    """The rows of those who share most with ``person``."""
    common = [part for part, count in (register.parts or {}).items() if count > _OF_ONE_KEY]
    asked = list(keys_to_ask(person, common).items())
    count = -(-max(1, len(asked)) // _STEP) * _STEP
    statement = _ASKING.get(count)
    if statement is None:
        statement = _ASKING[count] = _asking(count)
    values: dict[str, Any] = {"national_id": person.national_id_key or None}
    for i in range(count):
        values[f"k{i}"], values[f"w{i}"] = asked[i] if i < len(asked) else (_NOBODY, 0)
    return statement.all(session, **values)


#: The keys that are asked for nothing: nobody stands under this one but by chance.
_NOBODY = 0


def register_of(session: Session, person: Comparable) -> Register:
    """Building block: how many patients there are, and how common the names of ``person`` are among them.

    Read before candidates are: whoever has a higher number than that has not been looked at.
    """
    given = _GIVEN.one_or_none(session)
    return Register(given.value if given else 0, name_parts.frequencies(session, person.parts))


def compared(session: Session, person: Comparable, register: Register, which: Any) -> list[Candidate]:
    """Building block: the active patients for whom the condition ``which`` is true, best first, nobody unlikely."""
    rows = session.connection().execute(_PEOPLE.where(which)).all()
    return best_of(((row.id, Comparable.of(row)) for row in rows), person, register)


def find(
    session: Session, person: Comparable, register: Register, *, leave_out: Collection[int] = (), limit: int = 5
) -> list[Candidate]:
    """Building block: ``likely_matches``, with what is known of the register."""
    rows = [row for row in _candidates(session, person, register) if row.id not in leave_out]
    return best_of(((row.id, Comparable.of(row)) for row in rows), person, register, limit)


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
