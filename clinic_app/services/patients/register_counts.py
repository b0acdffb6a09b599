"""How many patients are listed, and how many of them have portal access: kept by the database, added up now and then.

Triggers add a row for each change (``models.search_index``), so nobody who writes can forget it or waits for anybody.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, func, select, update
from sqlmodel import Session

from clinic_app.core import db
from clinic_app.core.prepared import Prepared
from clinic_app.models.patient_counts import PATIENT_COUNT_CHANGES, PATIENT_COUNTS

_AT_ONCE = 5000


def _sum(name: str) -> Any:
    kept = select(PATIENT_COUNTS.c.value).where(PATIENT_COUNTS.c.name == name).scalar_subquery()
    since = select(func.sum(PATIENT_COUNT_CHANGES.c.change)).where(PATIENT_COUNT_CHANGES.c.name == name)
    return (func.coalesce(kept, 0) + func.coalesce(since.scalar_subquery(), 0)).label(name)


_COUNTS = Prepared(select(_sum("active"), _sum("portal")))


def counts(session: Session) -> tuple[int, int]:
    """Building block: how many patients are listed, and how many of those have portal access."""
    row = _COUNTS.one_or_none(session)
    return int(row.active), int(row.portal)


def add_up() -> int:
    """Add changes up; returns how many there were. For the server itself, in several processes at the same time."""
    changes = PATIENT_COUNT_CHANGES.c
    with db.glance() as connection:
        if not connection.execute(select(changes.id).limit(1)).first():
            return 0
    some = select(changes.id).order_by(changes.id).limit(_AT_ONCE)
    with db.transaction() as session:
        run = db.connection(session).execute
        run(select(PATIENT_COUNTS.c.name).order_by(PATIENT_COUNTS.c.name).with_for_update())  # one after the other
        rows = run(
            delete(PATIENT_COUNT_CHANGES).where(changes.id.in_(some)).returning(changes.name, changes.change)
        ).all()
        for name in ("active", "portal"):
            by = sum(change for of, change in rows if of == name)
            if by:
                moved = update(PATIENT_COUNTS).where(PATIENT_COUNTS.c.name == name)
                run(moved.values(value=PATIENT_COUNTS.c.value + by))
    return len(rows)
