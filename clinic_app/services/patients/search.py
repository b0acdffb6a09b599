"""Finding patients, best first. What is kept for it: ``search_keys``; what a typed term means: ``search_terms``.

Who may match is asked of an index (``search_index``), so that it takes no longer where a million are registered; what
matches, and how well, is said once (``search_match``). All of them are counted and ranked up to a setting; of more, the
best.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from functools import lru_cache
from typing import Any

from sqlalchemy import Text, bindparam, select, text
from sqlmodel import Session

from clinic_app.core import crypto, replica
from clinic_app.core.paging import Page, window
from clinic_app.core.prepared import Prepared
from clinic_app.core.settings import get_settings
from clinic_app.core.sql_text import among, numbers
from clinic_app.models.patients import PATIENTS
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.reading import changes_in
from clinic_app.services.audit.together import record_alone
from clinic_app.services.patients import (
    listing,
    looks,
    name_parts,
    repository,
    search_index,
    search_terms,
    search_tiers,
    typed_searches,
)
from clinic_app.services.patients.forms import BEST, PatientQuery
from clinic_app.services.patients.listing import ORDERS
from clinic_app.services.patients.search_hits import found_by, marked, slip_in
from clinic_app.services.patients.search_match import Shape, matching, rank_of, shape_of, values_of
from clinic_app.services.patients.search_terms import LONGEST_TERM, Piece, Term
from clinic_app.services.patients.search_tiers import NAMES, Needle
from clinic_app.services.patients.views import PatientSummary
from clinic_app.services.rates import LISTS, rates

__all__ = ["LONGEST_TERM", "ORDERS", "list_patients", "marked"]

#: Names with a slip are looked for where fewer than this are found without; so many are looked at, and so many shown.
FEW = 10
_SLIPS_READ, _SLIPS_SHOWN = (150, 3000), 40
#: So many parts of names, one slip away, are looked for at once.
_SLIPPED_PARTS = 24
#: Who asks for more rows of a search than this reads the register; pages of the desk show what fits the screen.
A_LOOK = 20
#: Among equals.
NEWEST = (PATIENTS.c.created_at.desc(), PATIENTS.c.id.desc())
_NAMES, _KEYS = PATIENTS.c.search_names, PATIENTS.c.search_keys


def _rows() -> Any:
    """What a found patient is shown with, and by what it was found."""
    return repository.summaries().add_columns(_NAMES, _KEYS, PATIENTS.c.next_of_kin_name, PATIENTS.c.next_of_kin_phone)


@lru_cache(maxsize=256)
def _ranked(shape: Shape, order: str) -> Prepared:
    """One page of those who were found. Kept: putting it together takes longer than running.

    What a page shows is fetched for its few rows alone.
    """
    rank = rank_of(shape) if order == BEST else text("0")
    found = among(PATIENTS.c.id, bindparam("found", type_=Text))
    columns = NEWEST if order == BEST else listing.columns_of(order)
    best_first = [rank] if order == BEST else []
    page = select(PATIENTS.c.id.label("found"), rank.label("rank") if best_first else text("0 AS rank")).where(found)
    page = page.order_by(*best_first, *columns).limit(bindparam("size")).offset(bindparam("skip")).subquery()
    shown = _rows().join(page, page.c.found == PATIENTS.c.id)
    return Prepared(shown.order_by(*([page.c.rank] if best_first else []), *columns))


@lru_cache(maxsize=256)
def _in_order(shape: Shape, order: str) -> Prepared:
    """One page of very many who match, in an order that the register has an index for."""
    page = select(PATIENTS.c.id.label("found")).where(PATIENTS.c.is_active, *matching(shape))
    columns = listing.columns_of(order)
    page = page.order_by(*columns).limit(bindparam("size")).offset(bindparam("skip")).subquery()
    return Prepared(_rows().join(page, page.c.found == PATIENTS.c.id).order_by(*columns))


# --- names with a slip --------------------------------------------------------------------------


def _as_it_stands(piece: Piece, row: Any) -> bool:
    """Whether a row has a ``WORD`` without a slip, as the statement sees it."""
    return piece.text in row.search_names or f" {piece.text}" in row.search_keys


def _similar(session: Any, term: Term) -> list[int]:
    """The ids of those who are found by names with one slip each, newest first."""
    may_slip = [piece for piece in term.pieces if piece.may_slip]
    if not may_slip:
        return []
    others = tuple(piece for piece in term.pieces if not piece.may_slip)
    rest = dataclasses.replace(term, pieces=others, whole=None, phone="", run="")
    way = [search_tiers.beside_slips(piece) for piece in others if not piece.born]
    for piece in may_slip:
        near = name_parts.one_slip_from(session, piece.text, _SLIPPED_PARTS)
        slipped = tuple(Needle(NAMES, f" {part} ") for part in near)
        stands = search_tiers.beside_slips(piece) if len(term.pieces) > 1 else ()
        if not stands and not slipped:
            return []
        way.append((*slipped, *stands))
    shape, values = shape_of(rest), values_of(rest)
    born = [piece for piece in others if piece.born]
    found: dict[int, None] = {}
    for mark in search_tiers.births(rest)[:1]:  # what may be a birth date may be a number, too
        rows = search_index.rows_of(session, shape, values, tuple(way), _SLIPS_READ[-1], born=mark)
        found |= dict.fromkeys(row.id for row in rows if _slipped(may_slip, row))
    way += [search_tiers.beside_slips(piece) for piece in born]
    for most in _SLIPS_READ:
        rows = search_index.rows_of(session, shape, values, tuple(way), most)
        found |= dict.fromkeys(row.id for row in rows if _slipped(may_slip, row))
        if len(found) >= _SLIPS_SHOWN or len(rows) < most:
            break
    return sorted(found, reverse=True)[:_SLIPS_SHOWN]


def _slipped(pieces: list[Piece], row: Any) -> bool:
    """Whether a row has each of ``pieces``, and at least one of them with a slip alone."""
    missed = [piece for piece in pieces if not _as_it_stands(piece, row)]
    return bool(missed) and all(slip_in(piece, row.search_names) for piece in missed)


# --- a page -------------------------------------------------------------------------------------


def _page(query: PatientQuery, term: Term) -> Page[PatientSummary]:
    order = query.order if query.order.removeprefix("-") in ORDERS else BEST

    def work(session: Session) -> Page[PatientSummary]:
        return listing.page_of(session, query, order) if term.empty else _matches(session, query, order, term)

    return replica.read(changes_in, work)


def _matches(session: Any, query: PatientQuery, order: str, term: Term) -> Page[PatientSummary]:
    values, limit = values_of(term), get_settings().search_count_at_most
    first = window(query.page, query.page_size, limit)  # as if there were so many
    found = search_index.find(session, term, values, needed=first.skip + first.size, limit=limit)
    ids = found.ids
    if not found.more and len(ids) < FEW:
        ids = list(dict.fromkeys([*ids, *_similar(session, term)]))
    rows = window(query.page, query.page_size, limit if found.more else len(ids))
    skip = rows.skip
    if found.ordered and order == BEST and len(ids) == len(found.ids):
        ids, skip = ids[skip : skip + rows.size], 0
    given = {"size": rows.size, "skip": skip, "found": numbers(ids)}
    in_order = found.more and order != BEST
    statement = (_in_order if in_order else _ranked)(shape_of(term), order)
    shown = statement.all(session, **values, **given)
    views = repository.summaries_of(session, shown)
    page = rows.page(_view(term, row, view) for row, view in zip(shown, views, strict=True))
    return dataclasses.replace(page, more=found.more)


def _view(term: Term, row: Any, view: PatientSummary) -> PatientSummary:
    return dataclasses.replace(view, found_by=found_by(term, row, view.name))


def list_patients(
    actor: Actor, query: PatientQuery, *, again: Collection[int] | None = None, box: str = ""
) -> Page[PatientSummary]:
    """One page of active patients, those matching ``query.term`` if there is one. Beyond the end it is the last page.

    For staff. Best first unless ``query.order`` says otherwise. A page is recorded before it is shown, a search by a
    keyed digest of its term, never the term. ``box`` names a search box that somebody types into: there a term is
    recorded once it was left standing. ``again`` has the ids of who is on the screen, where that is drawn again after
    somebody's change: it leaves nothing unless somebody else comes there. Raises ``TooManyLists``,
    ``TooManyRequests``, ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_SEE)
    term = search_terms.parse(query.term)
    on = again is not None or _reads_on(query, term, box)
    if again is None:
        rates().spend(actor, LISTS if on else "typing" if box else "search")
    page = _page(query, term)
    if not looks.anybody_new(page.items, again):
        return page
    mark = "" if term.empty else crypto.keyed_digest(term.mark, "search")
    shown = {"page": page.number, "count": len(page.items)}
    if term.empty:
        record_alone(actor, Action.PATIENT_LISTED, resource_type="patient", details={"kind": "patients", **shown})
    elif box and not on:
        typed_searches.note(actor, box, mark, page.total)
    else:
        details = {"term": mark, "found": page.total, **(shown if on else {})}
        record_alone(actor, Action.PATIENT_SEARCHED, resource_type="patient", details=details)
    return page


def _reads_on(query: PatientQuery, term: Term, box: str) -> bool:
    """Whether somebody reads the register, rather than looks for somebody in it."""
    return term.empty or query.page > 1 or (not box and query.page_size > A_LOOK)
