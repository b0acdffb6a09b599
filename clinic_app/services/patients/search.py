"""Finding patients, by whatever they can tell: part of a name, phone, patient ID, national ID, email."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select

from clinic_app.core import clock, crypto, db
from clinic_app.core.paging import PAGE_SIZE_AT_MOST, Page, clamp
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.recording import record
from clinic_app.services.audit.refusals import demand
from clinic_app.services.patients import fields, rows
from clinic_app.services.patients.forms import PatientQuery
from clinic_app.services.patients.rows import PATIENTS
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


def _matching(term: str) -> ColumnElement[bool]:
    pieces = [PATIENTS.c.search_text.contains(token, autoescape=True) for token in tokens(term)]
    return and_(PATIENTS.c.is_active, *pieces)


def _order(order: str) -> list[Any]:
    column = ORDERS.get(order.removeprefix("-"), ORDERS["name"])
    if column is PATIENTS.c.id:
        return [PATIENTS.c.id.desc() if order.startswith("-") else PATIENTS.c.id]
    # an unknown birth date comes last, both ways, on both databases
    empty_last = [column.is_(None)] if column is PATIENTS.c.date_of_birth else []
    if order.startswith("-"):
        return [*empty_last, column.desc(), PATIENTS.c.id.desc()]
    return [*empty_last, column, PATIENTS.c.id]


def _page(query: PatientQuery) -> Page[PatientSummary]:
    size = clamp(query.page_size, 1, PAGE_SIZE_AT_MOST, 20)
    now, where = clock.now(), _matching(query.term)
    with db.reading() as session:
        total = session.execute(select(func.count()).select_from(PATIENTS).where(where)).scalar_one()
        number = clamp(query.page, 1, max(1, -(-total // size)), 1)
        found = session.execute(
            rows.summaries().where(where).order_by(*_order(query.order)).limit(size).offset((number - 1) * size)
        ).mappings()
        return Page(tuple(rows.summary(row, now) for row in found), number, size, total)


def list_patients(actor: Actor, query: PatientQuery, *, again: bool = False) -> Page[PatientSummary]:
    """One page of active patients, those matching ``query.term`` if there is one. A page too far is the last one.

    For staff. A search is recorded by a keyed digest of its term, never the term; ``again=True`` is for showing
    the same page anew after somebody's change, which is no new search. Raises ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_SEE)
    page = _page(query)
    searched = " ".join(tokens(query.term))
    if searched and not again:
        with db.transaction() as session:
            details = {"term": crypto.keyed_digest(searched, "search"), "found": page.total}
            record(session, actor, Action.PATIENT_SEARCHED, resource_type="patient", details=details)
    return page
