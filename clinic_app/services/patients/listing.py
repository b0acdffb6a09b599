"""The register in order, a page of it at any depth: from whichever end is nearer, or on from the row before."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import bindparam, func, select, tuple_
from sqlmodel import Session

from clinic_app.core.paging import Page, Window, window
from clinic_app.core.prepared import Prepared
from clinic_app.models.patients import PATIENTS
from clinic_app.services.patients import register_counts, repository
from clinic_app.services.patients.forms import PatientQuery
from clinic_app.services.patients.views import PatientSummary

ORDERS: dict[str, Any] = {
    "name": PATIENTS.c.name_key,
    "patient_id": PATIENTS.c.id,  # given out in this order
    "date_of_birth": PATIENTS.c.date_of_birth,
    "created_at": PATIENTS.c.created_at,
}


def columns_of(order: str) -> list[Any]:
    """What rows are sorted by. An unknown birth date comes last, both ways, on both databases."""
    column = ORDERS[order.removeprefix("-") or "name"]
    if column is PATIENTS.c.id:
        return [PATIENTS.c.id.desc() if order.startswith("-") else PATIENTS.c.id]
    empty_last = [column.is_(None)] if column is PATIENTS.c.date_of_birth else []
    if order.startswith("-"):
        return [*empty_last, column.desc(), PATIENTS.c.id.desc()]
    return [*empty_last, column, PATIENTS.c.id]


def _of(order: str) -> Any:
    return ORDERS[order.removeprefix("-") or "name"]


@lru_cache(maxsize=64)
def _ids(order: str, backwards: bool, known: bool | None) -> Prepared:
    """Ids in an order, or from its end; ``known`` tells those with a birth date from those without."""
    column = _of(order)
    down = order.startswith("-") != backwards
    keys = [PATIENTS.c.id] if column is PATIENTS.c.id or known is False else [column, PATIENTS.c.id]
    found = select(PATIENTS.c.id).where(PATIENTS.c.is_active)
    if known is not None:
        found = found.where(column.is_not(None) if known else column.is_(None))
    found = found.order_by(*[key.desc() if down else key for key in keys])
    return Prepared(found.limit(bindparam("size")).offset(bindparam("skip")))


_UNBORN = Prepared(
    select(func.count().label("total"))
    .select_from(PATIENTS)
    .where(PATIENTS.c.is_active, PATIENTS.c.date_of_birth.is_(None))
)


def _some(session: Session, order: str, known: bool | None, skip: int, size: int, total: int) -> list[int]:
    """The ids after the first ``skip``, of ``total``."""
    size = min(size, total - skip)
    if size <= 0:
        return []
    backwards = skip > total // 2
    after = total - skip - size if backwards else skip
    ids = [row.id for row in _ids(order, backwards, known).all(session, size=size, skip=after)]
    return ids[::-1] if backwards else ids


def _page_ids(session: Session, order: str, rows: Window) -> list[int]:
    if _of(order) is not PATIENTS.c.date_of_birth:
        return _some(session, order, None, rows.skip, rows.size, rows.total)
    unknown = _UNBORN.one_or_none(session).total
    known = rows.total - unknown
    first = _some(session, order, True, rows.skip, rows.size, known)
    skip = max(0, rows.skip - known)
    return first + _some(session, order, False, skip, rows.size - len(first), unknown)


@lru_cache(maxsize=64)
def _behind(order: str, known: bool | None) -> Prepared:
    """Ids behind one row in an order."""
    column, down = _of(order), order.startswith("-")
    found = select(PATIENTS.c.id).where(PATIENTS.c.is_active)
    by_id = column is PATIENTS.c.id or known is False
    if known is not None:
        found = found.where(column.is_not(None) if known else column.is_(None))
    keys = [PATIENTS.c.id] if by_id else [column, PATIENTS.c.id]
    last = [bindparam("last", type_=PATIENTS.c.id.type)]
    row = tuple_(*keys), tuple_(*(last if by_id else [bindparam("key", type_=column.type), *last]))
    found = found.where(row[0] < row[1] if down else row[0] > row[1])
    return Prepared(found.order_by(*[key.desc() if down else key for key in keys]).limit(bindparam("size")))


def _ids_after(session: Session, order: str, after: int, size: int) -> list[int] | None:
    """The ids behind the row ``after``, wherever that stands now; None where it is gone."""
    row = session.execute(select(PATIENTS.c.id, _of(order).label("key")).where(PATIENTS.c.id == after)).one_or_none()
    if row is None:
        return None
    if _of(order) is not PATIENTS.c.date_of_birth:
        given = {} if _of(order) is PATIENTS.c.id else {"key": row.key}
        return [one.id for one in _behind(order, None).all(session, last=after, size=size, **given)]
    found = []
    if row.key is not None:
        found = [one.id for one in _behind(order, True).all(session, last=after, key=row.key, size=size)]
    if len(found) < size:  # on to those without a birth date: behind this one, or all of them
        last = after if row.key is None else (2**31 - 1 if order.startswith("-") else 0)
        rest = _behind(order, False).all(session, last=last, size=size - len(found))
        found += [one.id for one in rest]
    return found


def page_of(session: Session, query: PatientQuery, order: str) -> Page[PatientSummary]:
    """Building block: one page of all patients that are listed."""
    active, _ = register_counts.counts(session)
    rows = window(query.page, query.page_size, active)
    ids = _ids_after(session, order, query.after, rows.size) if query.after and rows.number > 1 else None
    if ids is None:
        ids = _page_ids(session, order, rows)
    return rows.page(repository.summaries_by_ids(session, ids))
