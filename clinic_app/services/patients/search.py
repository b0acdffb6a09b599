"""Finding patients, best first. What is kept for it: ``search_keys``; what a typed term means: ``search_terms``."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, bindparam, case, func, literal, or_, select, text

from clinic_app.core import crypto, db, folding
from clinic_app.core.paging import Page, window
from clinic_app.core.prepared import Prepared
from clinic_app.core.sql_text import holds
from clinic_app.models.patients import PATIENTS
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.together import record_alone
from clinic_app.services.patients import birth_search, looks, repository, search_keys, search_terms, typed_searches
from clinic_app.services.patients.forms import BEST, PatientQuery
from clinic_app.services.patients.search_terms import LONGEST_TERM, Kind, Piece, Term
from clinic_app.services.patients.slips import one_slip
from clinic_app.services.patients.views import FoundBy, PatientSummary
from clinic_app.services.patients.wording import phone_words
from clinic_app.services.rates import LISTS, rates

__all__ = ["LONGEST_TERM", "ORDERS", "list_patients", "marked"]

ORDERS: dict[str, Any] = {
    "name": PATIENTS.c.name_key,
    "patient_id": PATIENTS.c.id,  # given out in this order
    "date_of_birth": PATIENTS.c.date_of_birth,
    "created_at": PATIENTS.c.created_at,
}
#: Names with a slip are looked for where fewer than this are found without; so many are looked at, and so many shown.
FEW = 10
_SLIPS_READ, _SLIPS_SHOWN = 3000, 40
#: Who asks for more rows of a search than this reads the register; pages of the desk show what fits the screen.
A_LOOK = 20
#: What a piece counts by where it was found; the worst decides, since each is more than eight of the one before.
_EXACT, _BEGINNING, _INSIDE, _ELSEWHERE, _SIMILAR = 1, 10, 100, 1_000, 10_000
#: Among equals.
NEWEST = (PATIENTS.c.created_at.desc(), PATIENTS.c.id.desc())
_NAMES, _KEYS = PATIENTS.c.search_names, PATIENTS.c.search_keys


# --- the statement ------------------------------------------------------------------------------


def _has(column: Any, name: str) -> ColumnElement[bool]:
    """Whether a column has the text bound to ``name`` in it."""
    return holds(column, bindparam(name, type_=Text))


def _own(name: str) -> ColumnElement[bool]:
    """Whether it stands among the keys before those of the next of kin. For rows that have it: this is slower."""
    return _KEYS.like(bindparam(name), escape="/")


def _found(kind: Kind, i: str) -> ColumnElement[bool]:
    """Whether a row has the piece ``i`` of this kind."""
    if kind is Kind.LETTER:
        return _has(_NAMES, f"in{i}")
    if kind is Kind.EMAIL:
        return _has(_KEYS, f"at{i}")
    if kind is Kind.WORD:
        return or_(_has(_NAMES, f"in{i}"), _has(_KEYS, f"at{i}"))
    if kind is Kind.SHORT:
        return or_(_has(_NAMES, f"is{i}"), _has(_KEYS, f"id{i}"))
    part = "in" if kind is Kind.NUMBER else "at"
    return or_(_has(_NAMES, f"{part}{i}"), *[_has(_KEYS, f"{one}{i}") for one in ("at", "end", "id")])


def _rank(kind: Kind, i: str) -> ColumnElement[int]:
    """How well a row has the piece ``i``."""
    if kind is Kind.EMAIL:
        return case((_own(f"own{i}"), _BEGINNING), else_=_ELSEWHERE)
    named = [
        (_has(_NAMES, f"is{i}"), _EXACT),
        (_has(_NAMES, f"at{i}"), _BEGINNING),
        (_has(_NAMES, f"in{i}"), _INSIDE),
    ]
    if kind in (Kind.WORD, Kind.LETTER):
        return case(*named, (_own(f"own{i}"), _INSIDE), (_has(_KEYS, f"at{i}"), _ELSEWHERE), else_=_SIMILAR)
    begins = [] if kind is Kind.SHORT else [(_own(f"{part}{i}"), _BEGINNING) for part in ("ownend", "own")]
    return case((_own(f"ownid{i}"), _EXACT), named[0], *begins, *named[1:], else_=_ELSEWHERE)


def _slipped(i: int) -> ColumnElement[bool]:
    """Whether a row may have a name one slip from the piece ``i``: one half of it is as it should be."""
    return or_(*[_has(_NAMES, f"{part}{i}") for part in ("half", "rest", "turned")])


@dataclasses.dataclass(frozen=True, slots=True)
class _Shape:
    """What decides how a statement reads; the values are bound to it."""

    pieces: tuple[tuple[Kind, bool], ...] = ()  # kind, and whether a birth date may be meant
    whole: tuple[Kind, bool] | None = None
    phone: bool = False
    exact: bool = False
    nothing: bool = False


def _shape(term: Term) -> _Shape:
    whole = (term.whole.kind, term.whole.born is not None) if term.whole else None
    pieces = tuple((piece.kind, piece.born is not None) for piece in term.pieces)
    return _Shape(pieces, whole, bool(term.phone), bool(term.run), term.nothing)


def _piece(shape: tuple[Kind, bool], i: str) -> ColumnElement[bool]:
    kind, born = shape
    return or_(_found(kind, i), birth_search.born_then(i)) if born else _found(kind, i)


def _matching(shape: _Shape) -> list[ColumnElement[bool]]:
    """What the rows of a term have in common; nothing for no term."""
    ways: list[ColumnElement[bool]] = []
    if shape.pieces:
        ways.append(and_(*[_piece(one, str(i)) for i, one in enumerate(shape.pieces)]))
    if shape.whole:
        ways.append(_piece(shape.whole, "w"))
    if shape.phone:
        ways.append(_has(_KEYS, "phone"))
    if shape.nothing:
        ways.append(literal(False))
    return [or_(*ways)] if ways else []


def _rank_of(shape: _Shape) -> ColumnElement[int]:
    """Exact, beginning of a name, inside, similar: the smaller the better."""
    ways: list[Any] = []
    if shape.exact:
        ways.append((_own("run"), 0))
    if shape.phone:
        ways.append((_own("ownphone"), 0))
    if shape.whole:
        rank = _BEGINNING if shape.whole[1] else _rank(shape.whole[0], "w")
        ways.append((_piece(shape.whole, "w"), rank))
    pieces = [_rank(kind, str(i)) for i, (kind, _) in enumerate(shape.pieces)]
    worst = sum(pieces[1:], pieces[0]) if pieces else literal(_ELSEWHERE)
    return case(*ways, else_=worst) if ways else worst


def _order(order: str) -> list[Any]:
    column = ORDERS[order.removeprefix("-") or "name"]
    if column is PATIENTS.c.id:
        return [PATIENTS.c.id.desc() if order.startswith("-") else PATIENTS.c.id]
    # an unknown birth date comes last, both ways, on both databases
    empty_last = [column.is_(None)] if column is PATIENTS.c.date_of_birth else []
    if order.startswith("-"):
        return [*empty_last, column.desc(), PATIENTS.c.id.desc()]
    return [*empty_last, column, PATIENTS.c.id]


def _rows() -> Any:
    """What a found patient is shown with, and by what it was found."""
    return repository.summaries().add_columns(_NAMES, _KEYS, PATIENTS.c.next_of_kin_name, PATIENTS.c.next_of_kin_phone)


@lru_cache(maxsize=16)
def _everybody(order: str) -> tuple[Prepared, Prepared]:
    """Counting all, and one page. Counted are those left out, by a partial index."""
    inactive = select(func.count()).select_from(PATIENTS).where(~PATIENTS.c.is_active).scalar_subquery()
    everybody = select(func.count()).select_from(PATIENTS).scalar_subquery()
    page = repository.summaries().where(PATIENTS.c.is_active).order_by(*_order(order))
    return Prepared(select((everybody - inactive).label("total"))), Prepared(_cut(page))


def _cut(statement: Any) -> Any:
    return statement.limit(bindparam("size")).offset(bindparam("skip"))


@lru_cache(maxsize=256)
def _statements(shape: _Shape, order: str, slips: int = 0) -> tuple[Prepared, Prepared]:
    """Counting those who match, and one page with their number. Kept: putting them together takes longer than running.

    The register is read once: what a page shows is fetched for its few rows alone.
    """
    matching = _matching(shape)
    if slips:
        matching = [or_(*matching, PATIENTS.c.id.in_([bindparam(f"slip{i}") for i in range(slips)]))]
    where = [PATIENTS.c.is_active, *matching]
    rank = _rank_of(shape) if order == BEST else literal(0)
    matched = select(PATIENTS.c.id.label("found"), rank.label("rank"), func.count().over().label("total")).where(*where)
    columns = NEWEST if order == BEST else _order(order)
    page = _cut(matched.order_by(*([text("rank")] if order == BEST else []), *columns)).subquery()
    shown = _rows().join(page, page.c.found == PATIENTS.c.id).add_columns(page.c.total)
    shown = shown.order_by(page.c.rank, *columns)
    return Prepared(select(func.count().label("total")).select_from(PATIENTS).where(*where)), Prepared(shown)


@lru_cache(maxsize=128)
def _slips(shape: _Shape, may_slip: tuple[bool, ...]) -> Prepared:
    """Those whose names may be a slip away, newest first."""
    where = [
        or_(_piece(one, str(i)), _slipped(i)) if slips else _piece(one, str(i))
        for i, (one, slips) in enumerate(zip(shape.pieces, may_slip, strict=True))
    ]
    statement = select(PATIENTS.c.id, _NAMES, _KEYS).where(PATIENTS.c.is_active, *where)
    return Prepared(statement.order_by(PATIENTS.c.id.desc()).limit(_SLIPS_READ))


# --- what is bound to it ------------------------------------------------------------------------


def _plain(part: str) -> str:
    """``part`` in a LIKE pattern, as it stands."""
    return part.replace("/", "//").replace("%", "/%").replace("_", "/_")


def _bound(piece: Piece, i: str) -> dict[str, Any]:
    plain = _plain(piece.text)
    values: dict[str, Any] = {
        f"in{i}": piece.text,
        f"at{i}": f" {piece.text}",
        f"is{i}": f" {piece.text} ",
        f"own{i}": f"% {plain}%|%",
    }
    if piece.kind in (Kind.NUMBER, Kind.END, Kind.SHORT):
        identity = piece.alias or piece.text
        values |= {
            f"id{i}": f" {identity} ",
            f"ownid{i}": f"% {_plain(identity)} %|%",
            f"end{i}": f"{piece.text} ",
            f"ownend{i}": f"%{plain} %|%",
        }
    if piece.born:
        values |= birth_search.parameters(piece.born, i)
    return values


def _values(term: Term) -> dict[str, Any]:
    values: dict[str, Any] = {"run": f"% {_plain(term.run)} %|%"}
    for i, piece in enumerate(term.pieces):
        values |= _bound(piece, str(i))
    if term.whole:
        values |= _bound(term.whole, "w")
    if term.phone:
        values |= {"phone": f" {term.phone} ", "ownphone": f"% {term.phone} %|%"}
    return values


def _halves(term: Term) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for i, piece in enumerate(term.pieces):
        if piece.may_slip:
            word, middle = piece.text, len(piece.text) // 2
            turned = word[: middle - 1] + word[middle] + word[middle - 1] + word[middle + 1 :]
            values |= {f"half{i}": f" {word[:middle]}", f"rest{i}": f"{word[middle:]} ", f"turned{i}": f" {turned} "}
    return values


# --- a page -------------------------------------------------------------------------------------


def _slip_in(piece: Piece, names: str) -> str:
    """The part of a name that is one slip from ``piece``; empty where there is none."""
    return next((word for word in names.split() if one_slip(piece.text, word)), "")


def _as_it_stands(piece: Piece, row: Any) -> bool:
    """Whether a row has a ``WORD`` without a slip, as the statement sees it."""
    return piece.text in row.search_names or f" {piece.text}" in row.search_keys


def _similar(session: Any, term: Term, values: dict[str, Any]) -> list[int]:
    """The ids of those who are found by names with one slip each."""
    may_slip = tuple(piece.may_slip for piece in term.pieces)
    if not any(may_slip):
        return []
    found = []
    for row in _slips(_shape(term), may_slip).all(session, **values, **_halves(term)):
        missed = [piece for piece in term.pieces if piece.may_slip and not _as_it_stands(piece, row)]
        if missed and all(_slip_in(piece, row.search_names) for piece in missed):
            found.append(row.id)
            if len(found) == _SLIPS_SHOWN:
                break
    return found


def _page(query: PatientQuery, term: Term) -> Page[PatientSummary]:
    order = query.order if query.order.removeprefix("-") in ORDERS else BEST
    with db.reading() as session:
        return _all(session, query, order) if term.empty else _matches(session, query, order, term)


def _all(session: Any, query: PatientQuery, order: str) -> Page[PatientSummary]:
    counting, page = _everybody(order)
    rows = window(query.page, query.page_size, counting.one_or_none(session).total)
    return rows.page(repository.summaries_of(session, page.all(session, size=rows.size, skip=rows.skip)))


def _matches(session: Any, query: PatientQuery, order: str, term: Term) -> Page[PatientSummary]:
    values = _values(term)
    first = window(query.page, query.page_size, 10**9)  # as if there were so many
    statements = _statements(_shape(term), order)
    found = statements[1].all(session, **values, size=first.size, skip=first.skip)
    total = found[0].total if found else _count(session, statements, values, first.skip)
    slips = _similar(session, term, values) if total < FEW else []
    if slips:
        statements = _statements(_shape(term), order, _SLIPS_SHOWN)
        values |= {f"slip{i}": slips[i] if i < len(slips) else 0 for i in range(_SLIPS_SHOWN)}
        total = statements[0].one_or_none(session, **values).total
    rows = window(query.page, query.page_size, total)
    if slips or rows.skip != first.skip:
        found = statements[1].all(session, **values, size=rows.size, skip=rows.skip)
    views = repository.summaries_of(session, found)
    return rows.page(_view(term, row, view) for row, view in zip(found, views, strict=True))


def _count(session: Any, statements: tuple[Prepared, Prepared], values: dict[str, Any], skip: int) -> int:
    """How many there are, where a page has none of them: it may be one too far."""
    return statements[0].one_or_none(session, **values).total if skip else 0


def _view(term: Term, row: Any, view: PatientSummary) -> PatientSummary:
    return dataclasses.replace(view, found_by=_found_by(term, row, view.name))


def _among(piece: Piece, keys: str) -> bool:
    """Whether a part of the keys has ``piece``, as the statement sees it."""
    if f" {piece.alias or piece.text} " in keys:
        return True
    if piece.kind in (Kind.SHORT, Kind.LETTER):
        return False
    return f" {piece.text}" in keys or (piece.kind in (Kind.NUMBER, Kind.END) and f"{piece.text} " in keys)


def _found_by(term: Term, row: Any, name: str) -> FoundBy | None:
    """By what a row was found, where that is neither its name nor another thing that is its own."""
    own, portal, kin = search_keys.parts_of(row.search_keys)
    phone = f" {term.phone} " if term.phone else ""
    if phone and phone in own:
        return None
    if term.whole and (term.whole.text in row.search_names or _among(term.whole, own)):
        return None
    pieces = term.pieces or ((term.whole,) if term.whole else ())
    hidden = [
        piece
        for piece in pieces
        if piece.text not in row.search_names
        and not _among(piece, own)
        and not (piece.born and birth_search.covers(piece.born, row.date_of_birth, row.date_of_birth_precision))
    ]
    if not hidden:
        return None
    if (phone and phone in kin) or all(_among(piece, kin) for piece in hidden):
        number = any(char.isdigit() for piece in hidden for char in piece.text)
        told = [row.next_of_kin_name or "", phone_words(row.next_of_kin_phone) if number else ""]
        return FoundBy("Next of kin", ", ".join(one for one in told if one))
    if row.username and all(_among(piece, portal) for piece in hidden):
        return FoundBy("Portal username", row.username)
    slips = [_slip_in(piece, row.search_names) for piece in hidden if piece.may_slip]
    return FoundBy("Similar", " ".join(_as_read(slip, name) for slip in slips)) if slips and all(slips) else None


def _as_read(word: str, name: str) -> str:
    """The folded ``word`` of a name, as it is written there."""
    place = folding.place_of(word, name)
    return name[place[0] : place[1]] if place else word


def marked(words: str, term: str) -> tuple[str, str, str]:
    """``words`` around what was looked for: before, the hit and after; ``(words, "", "")`` where it is not in them."""
    found = search_terms.parse(term)
    wanted = [found.run, *[piece.text for piece in found.pieces], *([found.whole.text] if found.whole else [])]
    for part in wanted:
        place = folding.place_of(part, words)
        if place:
            return words[: place[0]], words[place[0] : place[1]], words[place[1] :]
    return words, "", ""


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
