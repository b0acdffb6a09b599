"""What patients are found by, made anew from the records: the index, the parts of names and the counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text
from sqlmodel import Session

from clinic_app.core import db
from clinic_app.models import search_index
from clinic_app.models.patients import PATIENTS
from clinic_app.services.patients import name_parts, register_counts
from clinic_app.services.patients.duplicates import index
from clinic_app.services.patients.search_index import asked_for

_CACHE = "PRAGMA cache_size = -400000"  # KiB: a large index is made much quicker in memory

#: So many patients from all over the register tell whether the index is whole.
_LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How many patients and how many parts of names there are."""

    patients: int
    parts: int


def take_away(session: Session) -> None:
    """Building block: the index goes, and what keeps it and the counts, until ``make``."""
    connection = db.connection(session)
    for statement in search_index.drop(connection.dialect.name):
        connection.execute(text(statement))


def make(session: Session) -> Rebuilt:
    """Building block: the index, the parts of names, the counts, and the keys that doubles are found by, of the records
    that are there."""
    connection = db.connection(session)
    if connection.dialect.name == "sqlite":
        connection.execute(text(_CACHE))
    parts = name_parts.rebuild(session)
    index.rebuild(session)
    for statement in search_index.create(connection.dialect.name):
        connection.execute(text(statement))
    return Rebuilt(connection.execute(select(func.count()).select_from(PATIENTS)).scalar_one(), parts)


def rebuild_search() -> Rebuilt:
    """Make it all anew. For whoever runs the program, on its machine; nobody can register meanwhile."""
    with db.transaction() as session:
        take_away(session)
        return make(session)


def wrong() -> list[str]:
    """What does not agree with the records, in words; empty where all does. Reads the whole register."""
    found = []
    with db.reading() as session:
        connection = db.connection(session)
        counts = connection.execute(
            select(func.count(), func.count().filter(PATIENTS.c.portal_enabled)).where(PATIENTS.c.is_active)
        ).one()
        if tuple(counts) != register_counts.counts(session):
            found.append("the counts of patients")
        if name_parts.counted(session) != name_parts.kept(session):
            found.append("the parts of names")
        if not _index_agrees(connection.dialect.name, session):
            found.append("the index of names and numbers")
    return found


def _index_agrees(dialect: str, session: Session) -> bool:
    connection = db.connection(session)
    if dialect == "postgresql":  # which keeps it itself: it is there, or it is not
        made = select(func.to_regclass(search_index.WORDS))
        return connection.execute(made).scalar_one() is not None
    triggers = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'patients'"
    if connection.execute(text(triggers)).scalar_one() < search_index.TRIGGERS:
        return False
    return all(_is_found(session, row) for row in _some(session))


def _some(session: Session) -> list[Any]:
    """Patients from all over the register."""
    connection = db.connection(session)
    last = connection.execute(select(func.max(PATIENTS.c.id))).scalar_one() or 0
    columns = (PATIENTS.c.id, PATIENTS.c.search_names)
    after = [last * place // _LOOKED_AT for place in range(_LOOKED_AT)]
    rows = [
        connection.execute(select(*columns).where(PATIENTS.c.id > one).order_by(PATIENTS.c.id).limit(1)).first()
        for one in dict.fromkeys(after)
    ]
    return [row for row in rows if row is not None]


def _is_found(session: Session, row: Any) -> bool:
    """Whether the index of SQLite knows of this row what is in it."""
    given = {"wanted": asked_for(row.search_names.split()), "id": row.id}
    return bool(db.connection(session).execute(text(search_index.FOUND), given).scalar_one())
