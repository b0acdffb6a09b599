"""What records said before a merge, where other values took their place: the person is found by that still."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from types import SimpleNamespace
from typing import Any, NamedTuple

from sqlalchemy import Text, bindparam, select
from sqlmodel import Session

from clinic_app.core import db
from clinic_app.core.encryption import Unreadable
from clinic_app.core.sql_text import among, numbers
from clinic_app.models.duplicates import PATIENT_MERGES
from clinic_app.models.patients import PATIENTS
from clinic_app.services.patients.duplicates.comparable import Comparable
from clinic_app.services.patients.duplicates.keys import keys_of, number_key
from clinic_app.services.patients.merge_kept import Kept

_MERGES = PATIENT_MERGES.c
_KEPT = select(_MERGES.id, _MERGES.survivor_id, _MERGES.other_id, _MERGES.kept).where(_MERGES.undone_at.is_(None))
_OF = _KEPT.where(among(_MERGES.survivor_id, bindparam("ids", type_=Text)))
#: Of a patient's row: whether somebody was merged into it.
TOOK_IN = (
    select(_MERGES.id)
    .where(_MERGES.survivor_id == PATIENTS.c.id, _MERGES.undone_at.is_(None))
    .limit(1)
    .scalar_subquery()
    .label("took_in")
)


class Former(NamedTuple):
    """The person of the record ``survivor_id`` as it was before the merge ``merge_id``."""

    merge_id: int
    survivor_id: int
    who: Comparable


def of(session: Session, ids: Collection[int]) -> list[Former]:
    """Building block: what these records said before others were merged into them. One statement; none for none."""
    return _opened(db.connection(session).execute(_OF, {"ids": numbers(ids)})) if ids else []


def between(session: Session, first: int, last: int) -> list[Former]:
    """Building block: ``of`` all records with these ids and those between them."""
    return _opened(db.connection(session).execute(_KEPT.where(_MERGES.survivor_id.between(first, last))))


def took_in(rows: Iterable[Any]) -> list[int]:
    """The ids of those rows, read with ``TOOK_IN``, that others were merged into."""
    return sorted({row.id for row in rows if row.took_in})


def who(kept: Kept) -> Comparable | None:
    """Who the record that stays was before this merge; None where nothing gave way that is compared."""
    return Comparable.of(SimpleNamespace(**kept.was)) if kept.was else None


def keys(was: Comparable) -> set[int]:
    """The keys that somebody stands under by what their record said once."""
    return {*keys_of(was), *number_key(was)}


def _opened(rows: Iterable[Any]) -> list[Former]:
    found = []
    for row in rows:
        try:
            was = who(Kept.opened(row.kept, row.survivor_id, row.other_id))
        except Unreadable:
            continue  # made with another key: undoing it says so
        if was:
            found.append(Former(row.id, row.survivor_id, was))
    return found
