"""The keys of patients, kept in the transaction that writes a patient."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, insert, select
from sqlmodel import Session

from clinic_app.core import db
from clinic_app.models.match_keys import MATCH_KEYS
from clinic_app.models.patients import PATIENTS
from clinic_app.services.patients.duplicates.comparable import Comparable
from clinic_app.services.patients.duplicates.keys import keys_of

_AT_ONCE = 1000


def add(session: Session, patient: Any) -> None:
    """Building block: the keys of a patient who is new. One statement."""
    db.connection(session).execute(insert(MATCH_KEYS).values(rows_of(patient)))


def rows_of(patient: Any) -> list[dict[str, int]]:
    """The rows a patient, anything with the fields of one, stands under."""
    return [{"key": key, "patient_id": patient.id} for key in sorted(keys_of(Comparable.of(patient)))]


def change(session: Session, before: Comparable, patient: Any) -> None:
    """Building block: a patient's details have changed from ``before``. At most two statements; none if no key did."""
    old, new = set(keys_of(before)), set(keys_of(Comparable.of(patient)))
    run = db.connection(session).execute
    if gone := sorted(old - new):
        run(delete(MATCH_KEYS).where(MATCH_KEYS.c.patient_id == patient.id, MATCH_KEYS.c.key.in_(gone)))
    if fresh := sorted(new - old):
        run(insert(MATCH_KEYS).values([{"key": key, "patient_id": patient.id} for key in fresh]))


def rebuild(session: Session) -> int:
    """Building block: make all keys anew; returns of how many patients. Nobody may register meanwhile."""
    run = db.connection(session).execute
    run(delete(MATCH_KEYS))
    done, last = 0, 0
    while True:
        some = select(PATIENTS).where(PATIENTS.c.id > last).order_by(PATIENTS.c.id).limit(_AT_ONCE)
        patients = run(some).all()
        if not patients:
            return done
        run(insert(MATCH_KEYS), [row for patient in patients for row in rows_of(patient)])
        done, last = done + len(patients), patients[-1].id
