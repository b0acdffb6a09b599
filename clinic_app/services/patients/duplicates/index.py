"""The keys of patients, kept in the transaction that writes a patient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select, text
from sqlmodel import Session

from clinic_app.core import db
from clinic_app.core.prepared import Adding
from clinic_app.models.match_keys import MATCH_KEYS
from clinic_app.models.patients import PATIENTS
from clinic_app.services.patients.duplicates import former
from clinic_app.services.patients.duplicates.comparable import Comparable
from clinic_app.services.patients.duplicates.keys import keys_of

_AT_ONCE = 5000
_ADD = Adding(MATCH_KEYS, ("key", "patient_id"))
#: What is read of a patient to make keys of, and to compare.
COLUMNS = (
    "id",
    "first_name",
    "last_name",
    "date_of_birth",
    "date_of_birth_precision",
    "gender",
    "phone",
    "email",
    "national_id",
)


def add(session: Session, patient: Any) -> None:
    """Building block: the keys of a patient who is new. One statement, of a group one at its end: who is like somebody
    is looked up before anybody of it is added.
    """
    add_under(session, patient.id, keys_of(Comparable.of(patient)))


def add_under(session: Session, patient_id: int, keys: Iterable[int]) -> None:
    """Building block: ``add`` of somebody whose ``keys`` are known."""
    rows = [{"key": key, "patient_id": patient_id} for key in sorted(keys)]
    if not db.at_the_end(session, _add_all, rows):
        _ADD.many(session, rows)


def _add_all(session: Session, people: Iterable[list[dict[str, int]]]) -> None:
    _ADD.many(session, [row for rows in people for row in rows])


def add_many(session: Session, rows: Sequence[dict[str, int]]) -> None:
    """Building block: the keys of many who are new, each a row as of ``rows_of``."""
    _ADD.many(session, rows)


def rows_of(patient: Any) -> list[dict[str, int]]:
    """The rows a patient, anything with the fields of one, stands under."""
    return [{"key": key, "patient_id": patient.id} for key in sorted(keys_of(Comparable.of(patient)))]


def change(session: Session, before: Comparable, patient: Any) -> None:
    """Building block: details have changed from ``before``. Three statements at most, none if no key did."""
    old, new = set(keys_of(before)), set(keys_of(Comparable.of(patient)))
    if old != new:
        stays = _by_former(session, patient.id)
        _put(session, patient.id, gone=old - new - stays, fresh=new - old - stays)


def keep_former(session: Session, patient: Any, was: Comparable) -> None:
    """Building block: what ``patient`` says now, ``was``, gives way in a merge; it is found by it still. Before that
    merge is there, and before other values are put: whoever changes the keys after it leaves these.
    """
    there = set(keys_of(Comparable.of(patient))) | _by_former(session, patient.id)
    _put(session, patient.id, gone=set(), fresh=former.keys(was) - there)


def forget_former(session: Session, patient: Any, was: Comparable) -> None:
    """Building block: undoes ``keep_former``, of a merge that does not stand any more, before the values come back."""
    there = set(keys_of(Comparable.of(patient))) | _by_former(session, patient.id)
    _put(session, patient.id, gone=former.keys(was) - there, fresh=set())


def _by_former(session: Session, patient_id: int) -> set[int]:
    return {key for one in former.of(session, [patient_id]) for key in former.keys(one.who)}


def _put(session: Session, patient_id: int, *, gone: set[int], fresh: set[int]) -> None:
    run = db.connection(session).execute
    if gone:
        run(delete(MATCH_KEYS).where(MATCH_KEYS.c.patient_id == patient_id, MATCH_KEYS.c.key.in_(sorted(gone))))
    if fresh:
        run(insert(MATCH_KEYS), [{"key": key, "patient_id": patient_id} for key in sorted(fresh)])


def _put_unsorted(connection: Connection, rows: list[tuple[int, int]]) -> None:
    """By the driver itself: there are many."""
    cursor: Any = connection.connection.cursor()
    if connection.dialect.name == "postgresql":
        with cursor.copy("COPY match_keys_unsorted FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    else:
        cursor.executemany("INSERT INTO match_keys_unsorted VALUES (?, ?)", rows)
    cursor.close()


def rebuild(session: Session) -> int:
    """Building block: make all keys anew; returns of how many patients. Nobody may register meanwhile.

    A million patients take some minutes: keys are put into their order first, which writes each page once.
    """
    run = db.connection(session).execute
    run(text("DROP TABLE IF EXISTS match_keys_unsorted"))
    run(text("CREATE TEMPORARY TABLE match_keys_unsorted (key INTEGER, patient_id INTEGER)"))
    done, last = 0, 0
    while True:
        some = select(*[PATIENTS.c[name] for name in COLUMNS]).where(PATIENTS.c.id > last)
        patients = run(some.order_by(PATIENTS.c.id).limit(_AT_ONCE)).all()
        if not patients:
            break
        stands = {one.id: set(keys_of(Comparable.of(one))) for one in patients}
        for one in former.between(session, patients[0].id, patients[-1].id):
            stands[one.survivor_id] |= former.keys(one.who)
        _put_unsorted(db.connection(session), [(key, one) for one, found in stands.items() for key in found])
        done, last = done + len(patients), patients[-1].id
    run(delete(MATCH_KEYS))
    run(text("INSERT INTO match_keys SELECT key, patient_id FROM match_keys_unsorted ORDER BY key, patient_id"))
    run(text("DROP TABLE match_keys_unsorted"))
    return done
