"""Who may be the same as a person: candidates by keys, compared one by one."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Integer, String, bindparam, cast, func, literal_column, or_, select, true, union_all
from sqlmodel import Session

from clinic_app.core import db
from clinic_app.core.prepared import Prepared, json_rows
from clinic_app.models.match_keys import MATCH_KEYS
from clinic_app.models.patients import COUNTERS, PATIENTS
from clinic_app.services.patients import name_parts
from clinic_app.services.patients.duplicates import former
from clinic_app.services.patients.duplicates.comparable import Comparable
from clinic_app.services.patients.duplicates.index import COLUMNS
from clinic_app.services.patients.duplicates.keys import keys_to_ask
from clinic_app.services.patients.duplicates.scoring import LEAST, Candidate, Register, best_of

__all__ = ["LEAST", "find", "find_all", "having", "likely_matches", "register_of"]

#: Under one key so many are looked at: more have a name so common, or a date so usual, that it says nothing alone.
_OF_ONE_KEY = 100
#: So many are compared, those first who share most.
_COMPARED = 48
#: A national ID is one person's.
_SAME_NUMBER = 100
#: What a match is called that is one by the details of a record merged into the one that is named, or by details that
#: gave way then.
BY_MERGED = "In a merged record"
_FIELDS = [*[PATIENTS.c[name] for name in COLUMNS], PATIENTS.c.merged_into_id]
#: A merged record speaks for the one it was merged into: whoever comes with its details is that person.
STANDS = or_(PATIENTS.c.is_active, PATIENTS.c.merged_into_id.is_not(None))
PEOPLE = select(*_FIELDS).where(PATIENTS.c.is_active)
_STEP_ON = select(PATIENTS.c.id, PATIENTS.c.merged_into_id, PATIENTS.c.is_active)
_GIVEN = Prepared(select(COUNTERS.c.value).where(COUNTERS.c.name == "patient_id"))


def _asking(count: int) -> Prepared:
    """SQLite's statement that looks under ``count`` keys, at so many of each, and reads those who share most."""
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
    return Prepared(select(*_FIELDS, former.TOOK_IN).join(most, most.c.patient_id == PATIENTS.c.id).where(STANDS))


_STEP = 8  # statements for 8, 16, 24 … keys are kept
_ASKING: dict[int, Prepared] = {}


def _asked(person: Comparable, register: Register) -> dict[int, int]:
    known = register.parts or {}
    return keys_to_ask(person, [part for part in person.parts if known.get(part, 0) > _OF_ONE_KEY])


def _candidates(session: Session, people: Sequence[Comparable], register: Register) -> list[list[Any]]:
    """For each of ``people`` the rows of those who share most with them."""
    if db.connection(session).dialect.name == "postgresql":
        return _candidates_of_all(session, people, register)
    return [_candidates_of_one(session, person, register) for person in people]


def _candidates_of_one(session: Session, person: Comparable, register: Register) -> list[Any]:
    asked = list(_asked(person, register).items())
    count = -(-max(1, len(asked)) // _STEP) * _STEP
    statement = _ASKING.get(count)
    if statement is None:
        statement = _ASKING[count] = _asking(count)
    values: dict[str, Any] = {"national_id": person.national_id_key or None}
    for i in range(count):
        values[f"k{i}"], values[f"w{i}"] = asked[i] if i < len(asked) else (_NOBODY, 0)
    return statement.all(session, **values)


def _asking_for_all() -> Prepared:
    """The same for any number of people, each by their place. PostgreSQL's: each step goes by an index, since it is
    asked for some rows of each, and one plan does for all.
    """
    wanted = json_rows("keys", person=Integer, key=Integer, worth=Integer)
    under = (
        select(MATCH_KEYS.c.patient_id)
        .where(MATCH_KEYS.c.key == wanted.c.key)
        .order_by(MATCH_KEYS.c.patient_id.desc())
        .limit(literal_column(str(_OF_ONE_KEY)))
        .lateral()
    )
    having = json_rows("numbers", person=Integer, national_id=String)
    number = (
        select(PATIENTS.c.id)
        .where(PATIENTS.c.national_id_key == having.c.national_id)
        .limit(literal_column("1"))
        .lateral()
    )
    found = union_all(
        select(wanted.c.person, under.c.patient_id, wanted.c.worth).select_from(wanted.join(under, true())),
        select(having.c.person, number.c.id, literal_column(str(_SAME_NUMBER))).select_from(
            having.join(number, true())
        ),
    ).subquery()
    place = func.row_number().over(partition_by=found.c.person, order_by=func.sum(found.c.worth).desc())
    most = (
        select(found.c.person, found.c.patient_id, place.label("place"))
        .group_by(found.c.person, found.c.patient_id)
        .subquery()
    )
    whom = (
        select(*_FIELDS, former.TOOK_IN)
        .where(PATIENTS.c.id == most.c.patient_id, STANDS)
        .limit(literal_column("1"))
        .lateral()
    )
    return Prepared(
        select(most.c.person, whom)
        .select_from(most.join(whom, true()))
        .where(most.c.place <= literal_column(str(_COMPARED)))
    )


_ASKING_FOR_ALL = _asking_for_all()


def _candidates_of_all(session: Session, people: Sequence[Comparable], register: Register) -> list[list[Any]]:
    keys = [
        {"person": place, "key": key, "worth": worth}
        for place, person in enumerate(people)
        for key, worth in _asked(person, register).items()
    ]
    numbers = [
        {"person": place, "national_id": person.national_id_key}
        for place, person in enumerate(people)
        if person.national_id_key
    ]
    found: list[list[Any]] = [[] for _ in people]
    for row in _ASKING_FOR_ALL.all(session, keys=json.dumps(keys), numbers=json.dumps(numbers)):
        found[row.person].append(row)
    return found


#: The keys that are asked for nothing: nobody stands under this one but by chance.
_NOBODY = 0


def register_of(session: Session, *people: Comparable) -> Register:
    """Building block: how many patients there are, and how common the names of ``people`` are among them.

    Read before candidates are: whoever has a higher number than that has not been looked at.
    """
    given = _GIVEN.one_or_none(session)
    parts = dict.fromkeys(part for person in people for part in person.parts)
    return Register(given.value if given else 0, name_parts.frequencies(session, parts))


@lru_cache(maxsize=4)
def _having(count: int) -> Prepared:
    wanted = [bindparam(f"n{place}", type_=String) for place in range(count)]
    return Prepared(PEOPLE.where(PATIENTS.c.patient_id.in_(wanted)))


def having(session: Session, numbers: Sequence[str]) -> list[tuple[int, Comparable]]:
    """Building block: the active patients with these patient IDs, by their id. One statement, the same for few."""
    if not numbers:
        return []
    count = -(-len(numbers) // _STEP) * _STEP
    padded = [*numbers, *[None] * (count - len(numbers))]
    rows = _having(count).all(session, **{f"n{place}": number for place, number in enumerate(padded)})
    return [(row.id, Comparable.of(row)) for row in rows]


def find(
    session: Session, person: Comparable, register: Register, *, leave_out: Collection[int] = (), limit: int = 5
) -> list[Candidate]:
    """Building block: ``likely_matches``, with what is known of the register."""
    (rows,) = _candidates(session, [person], register)
    return _best(session, person, register, rows, leave_out, limit)


def find_all(session: Session, people: Sequence[Comparable], register: Register) -> list[list[Candidate]]:
    """Building block: ``find`` for each of ``people``, whose names ``register`` knows: PostgreSQL is asked once."""
    found = zip(people, _candidates(session, people, register), strict=True)
    return [_best(session, person, register, rows, (), 5) for person, rows in found]


def _best(
    session: Session,
    person: Comparable,
    register: Register,
    rows: Sequence[Any],
    leave_out: Collection[int],
    limit: int,
) -> list[Candidate]:
    leads = survivors(session, rows)
    was = former.of(session, former.took_in(rows))
    leads |= {-one.merge_id: leads.get(one.survivor_id, 0) for one in was}  # no id of a row
    everybody = chain(((row.id, Comparable.of(row)) for row in rows), ((-one.merge_id, one.who) for one in was))
    people = ((key, who) for key, who in everybody if leads.get(key, 0) not in (0, *leave_out))
    if not was and not any(row.merged_into_id for row in rows):
        return best_of(people, person, register, limit)
    return _once_each(best_of(people, person, register, len(rows) + len(was)), leads)[:limit]


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
    what that was merged into, and one who is like what a record said before a merge by that record. No event is left:
    whoever shows an answer to somebody records that. Reads by indexes alone, in five statements at most, and where
    somebody was merged in one for each step of merges and one for what gave way.
    """
    person = Comparable.of(details)
    return find(session, person, register_of(session, person), leave_out=leave_out, limit=limit)
