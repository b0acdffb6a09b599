"""Whether a row matches a term, and how well, as conditions of the database: what decides, whatever index is used."""

from __future__ import annotations

import dataclasses
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, bindparam, case, literal, or_

from clinic_app.core.sql_text import holds
from clinic_app.models.patients import PATIENTS
from clinic_app.services.patients import birth_search
from clinic_app.services.patients.search_terms import Kind, Piece, Term

#: What a piece counts by where it was found; the worst decides, since each is more than eight of the one before.
EXACT, BEGINNING, INSIDE, _ELSEWHERE, _SIMILAR = 1, 10, 100, 1_000, 10_000
_NAMES, _KEYS = PATIENTS.c.search_names, PATIENTS.c.search_keys


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
        return case((_own(f"own{i}"), BEGINNING), else_=_ELSEWHERE)
    named = [
        (_has(_NAMES, f"is{i}"), EXACT),
        (_has(_NAMES, f"at{i}"), BEGINNING),
        (_has(_NAMES, f"in{i}"), INSIDE),
    ]
    if kind in (Kind.WORD, Kind.LETTER):
        return case(*named, (_own(f"own{i}"), INSIDE), (_has(_KEYS, f"at{i}"), _ELSEWHERE), else_=_SIMILAR)
    begins = [] if kind is Kind.SHORT else [(_own(f"{part}{i}"), BEGINNING) for part in ("ownend", "own")]
    return case((_own(f"ownid{i}"), EXACT), named[0], *begins, *named[1:], else_=_ELSEWHERE)


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """What decides how a statement reads; the values are bound to it."""

    pieces: tuple[tuple[Kind, bool], ...] = ()  # kind, and whether a birth date may be meant
    whole: tuple[Kind, bool] | None = None
    phone: bool = False
    exact: bool = False
    nothing: bool = False


def shape_of(term: Term) -> Shape:
    """How the statement for ``term`` reads."""
    whole = (term.whole.kind, term.whole.born is not None) if term.whole else None
    pieces = tuple((piece.kind, piece.born is not None) for piece in term.pieces)
    return Shape(pieces, whole, bool(term.phone), bool(term.run), term.nothing)


def _piece(shape: tuple[Kind, bool], i: str) -> ColumnElement[bool]:
    kind, born = shape
    return or_(_found(kind, i), birth_search.born_then(i)) if born else _found(kind, i)


def matching(shape: Shape) -> list[ColumnElement[bool]]:
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


def rank_of(shape: Shape) -> ColumnElement[int]:
    """Exact, beginning of a name, inside, similar: the smaller the better."""
    ways: list[Any] = []
    if shape.exact:
        ways.append((_own("run"), 0))
    if shape.phone:
        ways.append((_own("ownphone"), 0))
    if shape.whole:
        rank = BEGINNING if shape.whole[1] else _rank(shape.whole[0], "w")
        ways.append((_piece(shape.whole, "w"), rank))
    pieces = [_rank(kind, str(i)) for i, (kind, _) in enumerate(shape.pieces)]
    worst = sum(pieces[1:], pieces[0]) if pieces else literal(_ELSEWHERE)
    return case(*ways, else_=worst) if ways else worst


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


def values_of(term: Term) -> dict[str, Any]:
    """What is bound to that statement."""
    values: dict[str, Any] = {"run": f"% {_plain(term.run)} %|%"}
    for i, piece in enumerate(term.pieces):
        values |= _bound(piece, str(i))
    if term.whole:
        values |= _bound(term.whole, "w")
    if term.phone:
        values |= {"phone": f" {term.phone} ", "ownphone": f"% {term.phone} %|%"}
    return values
