"""Finding patients, by whatever they can tell: part of a name, phone, patient ID, national ID, email."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from sqlalchemy import bindparam, func, select

from clinic_app.core import clock, crypto, db
from clinic_app.core.paging import Page, window
from clinic_app.core.prepared import Prepared
from clinic_app.models.patients import PATIENTS
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.recording import record
from clinic_app.services.patients import fields, repository
from clinic_app.services.patients.forms import PatientQuery
from clinic_app.services.patients.views import PatientSummary

LONGEST_TERM = 100
ORDERS: dict[str, Any] = {
    "name": PATIENTS.c.name_key,
    "patient_id": PATIENTS.c.id,  # given out in this order
    "date_of_birth": PATIENTS.c.date_of_birth,
    "created_at": PATIENTS.c.created_at,
}


def tokens(term: str) -> list[str]:
    """The pieces of ``term`` that must all be found, in any order. Numbers are joined across spaces and dashes."""
    plain = fields.folded("".join(c if c.isprintable() else " " for c in term[:LONGEST_TERM]))
    if re.fullmatch(r"[+(]?\d[\d\s()/.\u2010-\u2015-]*", plain):
        return ["".join(c for c in plain if c.isdigit())]
    return [_piece(word) for word in plain.split()][:8]


def _piece(word: str) -> str:
    """``word`` as it is kept: dashes go from numbers with letters (``AB-12-34``), not from names and emails."""
    if not any(c.isdigit() for c in word) or "@" in word:
        return word
    return fields.national_id_key(word) or word


def _anywhere(token: str) -> str:
    """``token`` as a LIKE pattern that finds it anywhere, as it stands."""
    return "%" + token.replace("/", "//").replace("%", "/%").replace("_", "/_") + "%"


def _order(order: str) -> list[Any]:
    column = ORDERS[order.removeprefix("-")]
    if column is PATIENTS.c.id:
        return [PATIENTS.c.id.desc() if order.startswith("-") else PATIENTS.c.id]
    # an unknown birth date comes last, both ways, on both databases
    empty_last = [column.is_(None)] if column is PATIENTS.c.date_of_birth else []
    if order.startswith("-"):
        return [*empty_last, column.desc(), PATIENTS.c.id.desc()]
    return [*empty_last, column, PATIENTS.c.id]


@lru_cache(maxsize=128)
def _statements(pieces: int, order: str) -> tuple[Prepared, Prepared]:
    """Counting, and one page. Kept, since putting them together takes longer than running them."""
    where = [
        PATIENTS.c.is_active,
        *[PATIENTS.c.search_text.like(bindparam(f"piece{i}"), escape="/") for i in range(pieces)],
    ]
    page = (
        repository.summaries().where(*where).order_by(*_order(order)).limit(bindparam("size")).offset(bindparam("skip"))
    )
    if not pieces:  # all but those left out, by a partial index
        inactive = select(func.count()).select_from(PATIENTS).where(~PATIENTS.c.is_active).scalar_subquery()
        everybody = select(func.count()).select_from(PATIENTS).scalar_subquery()
        return Prepared(select((everybody - inactive).label("total"))), Prepared(page)
    return Prepared(select(func.count().label("total")).select_from(PATIENTS).where(*where)), Prepared(page)


def _page(query: PatientQuery) -> Page[PatientSummary]:
    now, pieces = clock.now(), tokens(query.term)
    order = query.order if query.order.removeprefix("-") in ORDERS else "name"
    counting, page = _statements(len(pieces), order)
    wanted: dict[str, Any] = {f"piece{i}": _anywhere(token) for i, token in enumerate(pieces)}
    with db.reading() as session:
        total = counting.one_or_none(session, **wanted).total
        rows = window(query.page, query.page_size, total)
        found = page.all(session, **wanted, size=rows.size, skip=rows.skip)
        return rows.page(repository.summary(row, now) for row in found)


def list_patients(actor: Actor, query: PatientQuery, *, again: bool = False) -> Page[PatientSummary]:
    """One page of active patients, those matching ``query.term`` if there is one. Beyond the end it is the last page.

    For staff. A search is recorded by a keyed digest of its term, never the term; ``again=True`` is for showing
    the same page again after somebody's change, which is not a new search. Raises ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_SEE)
    page = _page(query)
    searched = " ".join(tokens(query.term))
    if searched and not again:
        with db.transaction() as session:
            details = {"term": crypto.keyed_digest(searched, "search"), "found": page.total}
            record(session, actor, Action.PATIENT_SEARCHED, resource_type="patient", details=details)
    return page
