"""By what else a patient is found: the numbers of records that were merged into theirs, and those that gave way."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from sqlalchemy import select
from sqlmodel import Session

from clinic_app.core.encryption import Unreadable
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.models.duplicates import PATIENT_MERGES
from clinic_app.models.patients import PATIENTS
from clinic_app.services.patients import search_keys
from clinic_app.services.patients.merge_kept import Kept
from clinic_app.services.patients.views import MergeNote

_NUMBERS = ("phone", "email", "national_id", "external_id")


@dataclass(frozen=True, slots=True)
class MergedKeys:
    """Ids of the records that were merged into one, over however many steps, and the words they are found by."""

    patient_ids: tuple[int, ...] = ()
    keys: tuple[str, ...] = ()


def merged_into(session: Session, patient_id: int) -> list[Any]:
    """The rows of all records that lead to this one."""
    found: list[Any] = []
    nearest = [patient_id]
    while nearest:
        rows = session.execute(
            select(PATIENTS).where(PATIENTS.c.merged_into_id.in_(nearest)).order_by(PATIENTS.c.id)
        ).all()
        found += rows
        nearest = [row.id for row in rows]
    return found


def _gave_way(session: Session, patient_ids: list[int]) -> list[str]:
    """The numbers that a merge has replaced in one of these records."""
    merges = PATIENT_MERGES.c
    standing = select(PATIENT_MERGES).where(merges.survivor_id.in_(patient_ids), merges.undone_at.is_(None))
    words: list[str] = []
    for row in session.execute(standing.order_by(merges.id)):
        try:
            kept = Kept.opened(row.kept, row.survivor_id, row.other_id)
        except Unreadable:
            continue  # made with another key: undoing it says so
        for values in (kept.before, kept.after, kept.other):
            numbers = {name: values.get(name) for name in _NUMBERS}
            words += search_keys.numbers_of(SimpleNamespace(patient_id="", **numbers))
    return words


def of(session: Session, patient: Any) -> MergedKeys:
    """Building block: what ``patient`` is found by besides its own row. One statement where nothing was merged."""
    rows = merged_into(session, patient.id)
    if not rows:
        return MergedKeys()
    ids = tuple(row.id for row in rows)
    words = [word for row in rows for word in search_keys.numbers_of(row)]
    return MergedKeys(ids, (*words, *_gave_way(session, [patient.id, *ids])))


def notes(session: Session, patient_id: int) -> tuple[MergeNote, ...]:
    """Building block: the records merged into this one, the latest first."""
    merges, by = PATIENT_MERGES.c, ACCOUNTS.c
    rows = session.execute(
        select(PATIENTS.c.patient_id, merges.merged_at, by.full_name)
        .join(PATIENTS, PATIENTS.c.id == merges.other_id)
        .join(ACCOUNTS, by.id == merges.merged_by_id, isouter=True)
        .where(merges.survivor_id == patient_id, merges.undone_at.is_(None))
        .order_by(merges.id.desc())
    )
    return tuple(MergeNote(row.patient_id, row.merged_at, row.full_name or "") for row in rows)
