"""Who may be the same as a person: candidates by keys, compared one by one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Integer, String, bindparam, cast, func, literal_column, or_, select, union_all
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
#: What a match is called that is one by the details of a record merged into the one that is named.
BY_MERGED = "In a merged record"
_FIELDS = [*[PATIENTS.c[name] for name in COLUMNS], PATIENTS.c.merged_into_id]
#: A merged record speaks for the one it was merged into: whoever comes with its details is that person.
STANDS = or_(PATIENTS.c.is_active, PATIENTS.c.merged_into_id.is_not(None))
PEOPLE = select(*_FIELDS).where(PATIENTS.c.is_active)
_STEP_ON = select(PATIENTS.c.id, PATIENTS.c.merged_into_id, PATIENTS.c.is_active)
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
    return Prepared(select(*_FIELDS).join(most, most.c.patient_id == PATIENTS.c.id).where(STANDS))


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
    rows = session.connection().execute(PEOPLE.where(which)).all()
    return best_of(((row.id, Comparable.of(row)) for row in rows), person, register)


def find(
    session: Session, person: Comparable, register: Register, *, leave_out: Collection[int] = (), limit: int = 5
) -> list[Candidate]:
    """Building block: ``likely_matches``, with what is known of the register."""
    rows = _candidates(session, person, register)
    leads = survivors(session, rows)
    people = ((row.id, Comparable.of(row)) for row in rows if leads.get(row.id, 0) not in (0, *leave_out))
    if not any(row.merged_into_id for row in rows):
        return best_of(people, person, register, limit)
    return _once_each(best_of(people, person, register, len(rows)), leads)[:limit]


def survivors(session: Session, rows: Iterable[Any]) -> dict[int, int]:
    """Building block: for each of these rows in use its own id, for a merged one that of the record it leads to.

    Without those that lead to a record not in use. One statement for each step of merges; none where nobody is merged.
    """
    leads = {row.id: row.merged_into_id or row.id for row in rows}
    asked = {row.merged_into_id for row in rows} - {None}
    steps: dict[int, int] = {}
    while asked:
        found = session.connection().execute(_STEP_ON.where(PATIENTS.c.id.in_(sorted(asked)))).all()
        steps |= {one.id: one.merged_into_id or (one.id if one.is_active else 0) for one in found}
        asked = {one.merged_into_id for one in found} - {None} - set(steps)
    for key, at in leads.items():
        while steps.get(at, at) != at:
            at = steps[at]
        leads[key] = at
    return leads


def _once_each(found: Iterable[Candidate], leads: Mapping[int, int]) -> list[Candidate]:
    """Candidates, best first, under the record that each leads to, and each record once."""
    kept: dict[int, Candidate] = {}
    for one in found:
        key = leads[one.id]
        by_merged = () if key == one.id else (BY_MERGED,)
        kept.setdefault(key, replace(one, id=key, reasons=(*one.reasons, *by_merged)))
    return list(kept.values())


def likely_matches(
    session: Session, details: Any, *, leave_out: Collection[int] = (), limit: int = 5
) -> list[Candidate]:
    """Building block: the patients who may be the same as ``details``, best first, ``limit`` at most.

    ``details``: a ``Comparable``, a patient's row, ``PatientDetails`` or a registration. ``leave_out`` are ids who are
    not asked about, as the patient's own. Nobody inactive is among them: one who is like a merged record is named by
    what that was merged into. No event is left: whoever shows an answer to somebody records that. Reads by indexes
    alone, in five statements at most, and one for each step of merges.
    """
    person = Comparable.of(details)
    return find(session, person, register_of(session, person), leave_out=leave_out, limit=limit)
