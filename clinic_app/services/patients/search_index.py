"""Who may match a term, by the index: newest first, and never more than a page or the longest count needs.

SQLite's index finds one after the other, newest first, and so may be asked for few of very many. PostgreSQL's finds
all at once: where very many match, as a look at some of the register tells, the newest are read one after the other
instead. ``search_match`` decides in every case.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Text, bindparam, column, func, literal_column, or_, select, table, union_all
from sqlmodel import Session

from clinic_app.core import db
from clinic_app.core.prepared import Prepared
from clinic_app.core.settings import get_settings
from clinic_app.core.sql_text import holds, like
from clinic_app.models import search_index
from clinic_app.models.patients import PATIENTS
from clinic_app.services.patients import birth_search, name_parts, search_tiers
from clinic_app.services.patients.search_keys import backwards
from clinic_app.services.patients.search_match import Shape, matching, shape_of
from clinic_app.services.patients.search_terms import Kind, Term
from clinic_app.services.patients.search_tiers import KEYS, LEVELS, NAMES, Clause, Needle, Way, trigrams

#: A register of so many is read where the index does not help.
SMALL = 5000
#: So many of the register tell how many match: the newest, and as many from its middle.
SAMPLE = 1000
#: Where one of so many matches, reading on finds a page soon.
_DENSE = 50
#: Where by those so many times the longest count match, very many do.
_SURELY = 3
#: What PostgreSQL is asked for whole words by, and how much of a number it is asked for.
_WHOLE, _ENOUGH = ("search_words",), 7
#: Of so many whom a number finds, one at least has it as their own.
_OWN_OF = 4
#: Numbers of so few digits may be the beginning of very many.
_SHORT_NUMBER = 5
#: So are so few letters of a name, with the blank before it.
_SHORT_BEGINNING = 3
#: So many parts of names stand for one or two letters in them, and so many are looked for at once.
_PARTS, _PARTS_AT_ONCE = 1000, 100
_COLUMN = {NAMES: PATIENTS.c.search_names, KEYS: PATIENTS.c.search_keys}
_NEWEST = PATIENTS.c.id.desc()
_MOST = bindparam("most")


@dataclass(frozen=True, slots=True)
class Found:
    """The ids of those who match, and whether there are more than was counted."""

    ids: list[int]
    more: bool = False


# --- statements ---------------------------------------------------------------------------------


def _in_postgres(clause: tuple[str, ...], place: int) -> ColumnElement[bool]:
    if clause == _WHOLE:
        wanted = func.string_to_array(bindparam(f"like{place}", type_=Text), literal_column("' '"))
        return func.string_to_array(PATIENTS.c.search_words, literal_column("' '")).bool_op("&&")(wanted)
    return or_(*[_COLUMN[name].like(bindparam(f"like{place}_{n}"), escape="/") for n, name in enumerate(clause)])


def _holds(clause: tuple[str, ...], place: int) -> ColumnElement[bool]:
    return or_(*[holds(_COLUMN[name], bindparam(f"has{place}_{n}", type_=Text)) for n, name in enumerate(clause)])


@lru_cache(maxsize=512)
def _by_sqlite(shape: Shape, index: str) -> Prepared:
    asked = table(index, column("rowid"), column(index))
    found = select(PATIENTS.c.id, PATIENTS.c.search_names, PATIENTS.c.search_keys).select_from(
        asked.join(PATIENTS, PATIENTS.c.id == asked.c.rowid)
    )
    wanted = asked.c[index].op("MATCH")(bindparam("wanted", type_=Text))
    found = found.where(wanted, PATIENTS.c.is_active, *matching(shape))
    return Prepared(found.order_by(asked.c.rowid.desc()).limit(_MOST))


@lru_cache(maxsize=512)
def _by_postgres(shape: Shape, way: tuple[tuple[str, ...], ...]) -> Prepared:
    """Those whom the index finds are all taken first: else the planner may walk the register in order instead."""
    wanted = [_in_postgres(clause, place) for place, clause in enumerate(way)]
    rows = select(PATIENTS.c.id, PATIENTS.c.search_names, PATIENTS.c.search_keys)
    found = rows.where(*wanted, PATIENTS.c.is_active, *matching(shape)).cte("found").prefix_with("MATERIALIZED")
    return Prepared(select(found).order_by(found.c.id.desc()).limit(_MOST))


@lru_cache(maxsize=512)
def _by_reading(shape: Shape, way: tuple[tuple[str, ...], ...]) -> Prepared:
    """The register one after the other, newest first, between two ids."""
    wanted = [_holds(clause, place) for place, clause in enumerate(way)]
    between = PATIENTS.c.id.between(bindparam("low"), bindparam("high"))
    found = select(PATIENTS.c.id).where(PATIENTS.c.is_active, between, *wanted, *matching(shape))
    return Prepared(found.order_by(_NEWEST).limit(_MOST))


@lru_cache(maxsize=256)
def _by_birth(shape: Shape, mark: str) -> Prepared:
    """Those born then: by the index of birth dates, and by that of the few of which less than the day is known."""
    listed = select(PATIENTS.c.id).where(PATIENTS.c.is_active)
    if len(shape.pieces) > 1:
        listed = listed.where(*matching(shape))
    known, less = birth_search.born_then_by_index(mark)
    found = union_all(listed.where(known), listed.where(less)).cte("found").prefix_with("MATERIALIZED")
    return Prepared(select(found.c.id).distinct().order_by(found.c.id.desc()).limit(_MOST))


_LAST = Prepared(select(func.max(PATIENTS.c.id).label("id")))


# --- what is bound to them ----------------------------------------------------------------------


def _columns(way: Way) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(needle.column for needle in clause) for clause in way)


def _texts(way: Way) -> Iterable[tuple[str, str]]:
    for place, clause in enumerate(way):
        for n, needle in enumerate(clause):
            yield f"{place}_{n}", needle.text


def _wanted(way: Way) -> str:
    """What SQLite's index is asked."""
    return " AND ".join(f"({' OR '.join(map(_threes, clause))})" for clause in way)


def asked_for(names: str) -> str:
    """Building block: what SQLite's index is asked for somebody with exactly these names, as the column has them."""
    return _threes(Needle(NAMES, names))


def _asked(way: Way) -> list[tuple[str, str]]:
    """Which index of SQLite is asked what: a number finds few, and whatever else is asked for is looked at there."""
    if search_tiers.by_words(way) and not _begins_shortly(way):
        return [(search_index.WORDS, " AND ".join(f"({' OR '.join(map(_token, clause))})" for clause in way))]
    number = search_tiers.number_clause(way)
    if number is None:
        return [_trigrams(way)]
    found = [(search_index.WORDS, " OR ".join(_token(needle) for needle in number if needle.numbered))]
    rest = tuple(needle for needle in number if not needle.numbered)
    if rest:
        words = [clause for clause in way if search_tiers.number_clause((clause,)) is None]
        found.append(_trigrams((rest, *words)))
    return found


def _trigrams(way: Way) -> tuple[str, str]:
    """The index of trigrams to be asked: the shorter one, where only names are asked for."""
    names = all(needle.column == NAMES for clause in way for needle in clause)
    if not names:
        return search_index.INDEX, _wanted(way)
    asked = (f"({' OR '.join(f'({_all_threes(needle.text)})' for needle in clause)})" for clause in way)
    return search_index.NAMES, " AND ".join(asked)


def _token(needle: Needle) -> str:
    """A number as the index of numbers has it: whole, from its beginning, or from its end."""
    word = needle.text.strip()
    if needle.text.startswith(" "):
        return _quoted(word) if needle.text.endswith(" ") else f"{_quoted(word)} *"
    return f"{_quoted(backwards(word))} *"


def _threes(needle: Needle) -> str:
    return f"{needle.column} : ({_all_threes(needle.text)})"


def _all_threes(text: str) -> str:
    return " AND ".join(map(_quoted, trigrams(text)))


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


# --- looking ------------------------------------------------------------------------------------


class _Look:
    """One search in one session: ``limit`` is the longest count, ``needed`` what the page shows and what is before."""

    def __init__(self, session: Session, term: Term, values: dict[str, Any], needed: int, limit: int) -> None:
        self.session, self.term, self.values, self.needed, self.limit = session, term, values, needed, limit
        self.shape = shape_of(term)
        self.postgres = db.connection(session).dialect.name == "postgresql"
        self.dense = False  # whether one of fifty or more is known to match
        self.last = _LAST.one_or_none(session).id or 0

    def find(self) -> Found:
        """Everybody, up to the limit; of more than that the best."""
        every = [way for way in search_tiers.ways(self.term, LEVELS) if way]
        if self.last > SMALL and (self._common_name() or (self._unsure(every) and self._very_many())):
            return self._best()
        ids: dict[int, None] = {}
        for way in every:
            ids.update(dict.fromkeys(self._way(way, self.limit + 1)))
        for mark in search_tiers.births(self.term):
            ids.update(dict.fromkeys(self._births(mark)))
        return self._best() if len(ids) > self.limit else Found(list(ids))

    def _common_name(self) -> bool:
        """Whether the term is the beginning of names that so many have that they need not be counted."""
        if len(self.term.pieces) != 1 or self.term.whole or self.term.pieces[0].kind not in (Kind.WORD, Kind.LETTER):
            return False
        return name_parts.beginning_with(self.session, self.term.pieces[0].text) >= _SURELY * self.limit

    def _unsure(self, every: list[Way]) -> bool:
        """Whether the index may have to find all of very many before it tells the first."""
        return self.postgres or any(not search_tiers.indexed(way) or _short_number(way) for way in every)

    def _best(self) -> Found:
        """Of very many, those whom the page needs: level by level."""
        ids: dict[int, None] = dict.fromkeys(self._numbers())
        for level in range(1, LEVELS + 1):
            for way in search_tiers.ways(self.term, level):
                if level > 1:
                    ids.update(dict.fromkeys(self._newest(way)))
                elif self._there(way):
                    ids.update(dict.fromkeys(self._whole(way)))
            if level == 1:
                for mark in search_tiers.births(self.term):
                    ids.update(dict.fromkeys(self._births(mark)))
            if len(ids) >= self.needed:
                break
        return Found(list(ids)[: self.limit], more=True)

    def _numbers(self) -> list[int]:
        """Whose own number the term is, by the indexes that make those unique."""
        whole = self.term.whole or (self.term.pieces[0] if len(self.term.pieces) == 1 else None)
        if whole is None or not whole.text.isascii() or not whole.text.isalnum():
            return []
        identity = whole.alias if whole.alias and not whole.alias.isdigit() else ""
        digits = whole.alias if whole.alias.isdigit() else ""
        wanted = {"identity": (identity or (_patient_id(digits) if digits else "")).upper(), "key": whole.text}
        return [row.id for row in _BY_NUMBER.all(self.session, **wanted)]

    def _there(self, way: Way) -> bool:
        """Whether anybody may match ``way``: not where a part of a name is asked for that nobody has."""
        names = [clause[0].text.strip() for clause in way if len(clause) == 1 and clause[0].column == NAMES]
        names = [name for name in names if not any(char.isdigit() for char in name)]
        return all(name_parts.frequencies(self.session, names).values())

    def _whole(self, way: Way) -> list[int]:
        """The newest of those of whom a whole word is asked for."""
        if _short_number(way):  # whose own that is, other indexes have told
            return [] if self.postgres else self._indexed(way, self.needed)
        return self._newest(way)

    def _newest(self, way: Way) -> list[int]:
        """The newest of very many, as many as the page needs; of numbers more, since those of next of kin are last."""
        most = self.needed
        if search_tiers.number_clause(way) is not None:
            most = min(self.limit, _OWN_OF * self.needed)
        if not self.postgres and search_tiers.indexed(way) and not (self.dense and _short_number(way)):
            return self._indexed(way, most)
        found = self._read(way, self.last - 20 * SAMPLE, self.last, most)
        return found if len(found) >= self.needed else self._way(way, most)

    def _very_many(self) -> bool:
        """Whether many more than the limit match, by the newest of the register and as many from its middle."""
        enough, very = _SURELY * self.limit * SAMPLE // self.last + 1, SAMPLE // _DENSE
        counts = [len(self._read((), high - SAMPLE, high, max(enough, very))) for high in (self.last, self.last // 2)]
        self.dense = min(counts) >= very
        return min(counts) >= enough

    def _read(self, way: Way, low: int, high: int, most: int) -> list[int]:
        has = {f"has{place}": text for place, text in _texts(way)}
        statement = _by_reading(self.shape, _columns(way))
        rows = statement.all(self.session, **self.values, **has, low=max(low, 0), high=high, most=most)
        return [row.id for row in rows]

    def _way(self, way: Way, most: int) -> list[int]:
        """The newest of those who match ``way``."""
        if search_tiers.indexed(way):
            return self._indexed(way, most)
        if self.last <= SMALL:
            return self._read((), 0, self.last, most)
        spelled = min((self._spelled(clause) for clause in way), key=len)
        if len(spelled) > _PARTS:  # many parts of names, and few who have them: there is no better way
            return self._read((), 0, self.last, most)
        found: dict[int, None] = {}
        for start in range(0, len(spelled), _PARTS_AT_ONCE):
            some = tuple(spelled[start : start + _PARTS_AT_ONCE])
            found.update(dict.fromkeys(self._indexed((some,), most)))
        return sorted(found, reverse=True)[:most]

    def _indexed(self, way: Way, most: int) -> list[int]:
        return [row.id for row in rows_of(self.session, self.shape, self.values, way, most)]

    def _spelled(self, clause: Clause) -> list[Needle]:
        """A clause that is too short for the index, by the whole words that there are."""
        found: list[Needle] = []
        for needle in clause:
            text = needle.text.strip()
            if needle.indexed:
                found.append(needle)
            elif needle.column == KEYS:
                found.append(Needle(KEYS, f" {text} "))
            else:
                begins = needle.text.startswith(" ")
                parts = name_parts.with_text(self.session, text, begins=begins, most=_PARTS + 1)
                found += [Needle(NAMES, f" {part} ") for part in parts]
        return found

    def _births(self, mark: str) -> list[int]:
        rows = _by_birth(self.shape, mark).all(self.session, **self.values, most=self.limit + 1)
        return [row.id for row in rows]


def rows_of(session: Session, shape: Shape, values: dict[str, Any], way: Way, most: int) -> list[Any]:
    """Building block: the newest of those whom the index finds for ``way``, with their names and keys.

    ``shape`` is what they must match besides; ``way`` has a clause that the index can find.
    """
    wanted = search_tiers.indexed(way)
    if db.connection(session).dialect.name == "sqlite":
        rows: dict[int, Any] = {}
        for index, asked in _asked(wanted):
            found = _by_sqlite(shape, index).all(session, **values, wanted=asked, most=most)
            rows.update({row.id: row for row in found})
        return sorted(rows.values(), key=lambda row: row.id, reverse=True)[:most]
    columns, texts = [], {}
    for place, clause in enumerate(wanted):
        if all(needle.worded and needle.text.endswith(" ") and needle.text.startswith(" ") for needle in clause):
            columns.append(_WHOLE)
            texts[f"like{place}"] = " ".join(needle.text.strip() for needle in clause)
        else:
            columns.append(tuple(needle.column for needle in clause))
            texts |= {f"like{place}_{n}": like(_enough(needle)) for n, needle in enumerate(clause)}
    return _by_postgres(shape, tuple(columns)).all(session, **values, **texts, most=most)


def _enough(needle: Needle) -> str:
    """Of a long number, as much as few others have: each letter more is another long list to be read."""
    text = needle.text
    if len(text) <= _ENOUGH or not any(char.isdigit() for char in text):
        return text
    return text[-_ENOUGH:] if text.endswith(" ") else text[:_ENOUGH]


def _begins_shortly(way: Way) -> bool:
    """Whether few letters of names are known: the index of words would put together very many first."""
    texts = [clause[0].text for clause in way if all(needle.column == NAMES for needle in clause)]
    return any(not text.endswith(" ") and len(text) <= _SHORT_BEGINNING for text in texts)


def _short_number(way: Way) -> bool:
    number = search_tiers.number_clause(way)
    return number is not None and max(len(needle.text.strip()) for needle in number) <= _SHORT_NUMBER


def _patient_id(digits: str) -> str:
    return f"{get_settings().patient_id_prefix}{int(digits):06d}"


_BY_NUMBER = Prepared(
    select(PATIENTS.c.id).where(
        PATIENTS.c.is_active,
        or_(PATIENTS.c.patient_id == bindparam("identity"), PATIENTS.c.national_id_key == bindparam("key")),
    )
)


def find(session: Session, term: Term, values: dict[str, Any], *, needed: int, limit: int) -> Found:
    """Building block: who matches ``term``; of more than ``limit`` the ``needed`` best, newest first among equals."""
    if term.nothing:
        return Found([])
    return _Look(session, term, values, needed, limit).find()
