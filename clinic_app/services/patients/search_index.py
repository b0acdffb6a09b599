"""Who may match a term, by the index of words: newest first, and never more than a page or the longest count needs.

SQLite's index finds one after the other, newest first, where it is asked for whole words; what words begin with it puts
together before it tells the first. So parts of names are asked for by the words that there are (``name_parts``).
PostgreSQL's finds all at once, and guesses before how many: of many words too many, and would rather read the whole
register, so it is kept from that. Where very many match, as the parts of names, the index or a look at some of the
register tell, the best are looked for level by level, and only as many as a page needs. ``search_match`` decides in
every case.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Text,
    bindparam,
    column,
    func,
    literal_column,
    or_,
    select,
    table,
    union_all,
)
from sqlmodel import Session

from clinic_app.core import db
from clinic_app.core.prepared import Prepared
from clinic_app.core.settings import get_settings
from clinic_app.core.sql_text import among, holds, numbers
from clinic_app.models import search_index
from clinic_app.models.patients import PATIENTS
from clinic_app.services.patients import birth_search, name_parts, search_tiers
from clinic_app.services.patients.search_match import Shape, matching, rank_of, shape_of
from clinic_app.services.patients.search_terms import Kind, Term
from clinic_app.services.patients.search_tiers import KEYS, LEVELS, NAMES, Clause, Needle, Step, Token, Way

#: A register of so many is read where the index does not help.
SMALL = 5000
#: So many of the register tell how many match: the newest, and as many from its middle.
SAMPLE = 300
#: Where one of so many matches, reading on finds a page soon.
_DENSE = 50
#: So many times that are read for those who match, newest first.
_READ = 20
#: Where, by those, so many times the longest count match, very many do; where the parts of names tell it, fewer times:
#: some people have two of them, and some are not listed. Where all but the latter are counted, a quarter more.
_SURELY, _TOLD_BY_PARTS, _COUNTED = 6, 3, 1.25
#: Of so many whom a number finds, one at least has it as their own.
_OWN_OF = 4
#: Numbers of so few digits may be the beginning of very many.
_SHORT_NUMBER = 5
#: At most so many parts of names stand for some letters. Where more than so many begin with them, and not more patients
#: than that have one, the index puts them together.
_PARTS, _PARTS_EACH, _TOGETHER = 1000, 150, 15_000
#: Where a page of the longest count would be so many times what is likely, it is not counted first.
_UNLIKELY = 4
#: Where so many are likely to match, a page of them is among the newest of the register.
_MANY = 5000
#: Where so few have one of several names, they are read, and the index is not asked for the others.
_RARE = 1000
#: So many who were born then PostgreSQL reads; of more, the index of words is asked beside that of birth dates.
_BORN_READ = 5000
#: Of more words at once PostgreSQL's guess is not to be trusted: it takes each it has not counted for half a percent.
#: They are many, and looked up one by one.
_GUESSED_WELL = 8
_COLUMN = {NAMES: PATIENTS.c.search_names, KEYS: PATIENTS.c.search_keys}
_NEWEST = PATIENTS.c.id.desc()
_MOST: Any = bindparam("most")


@dataclass(frozen=True, slots=True)
class Found:
    """The ids of those who match, and whether there are more than was counted. ``ordered``: the best come first."""

    ids: list[int]
    more: bool = False
    ordered: bool = False


#: Of how many groups PostgreSQL is asked for words, and whether one of them has many.
_Asked = tuple[int, bool]


@dataclass(frozen=True, slots=True)
class _Group:
    """Words of the index of which somebody has one, and how many patients have those of names, at most."""

    tokens: tuple[Token, ...]
    patients: int


# --- statements ---------------------------------------------------------------------------------


def _holds(clause: tuple[str, ...], place: int) -> ColumnElement[bool]:
    return or_(*[holds(_COLUMN[name], bindparam(f"has{place}_{n}", type_=Text)) for n, name in enumerate(clause)])


_INDEX = table(search_index.WORDS, column("rowid"), column(search_index.WORDS))
_IN_SQLITE: Any = _INDEX.c[search_index.WORDS].op("MATCH")(bindparam("wanted0", type_=Text))
_IDS = select(_INDEX.c.rowid).where(_IN_SQLITE)
_TOLD = (PATIENTS.c.search_names, PATIENTS.c.search_keys)


def _in_postgres(groups: int, many: bool) -> list[Any]:
    """A condition for each group: PostgreSQL weighs all words of one with each other, which takes their square.

    ``many``: of many words that is too much already. Each is looked up by itself, as one of an array; of two arrays,
    since beside another array each would be looked up with each of the other, but what has an OR is put together first.
    Who is in all groups is then known before anybody is read.
    """
    vector = literal_column(search_index.VECTOR)

    def has(kind: str, name: str) -> Any:  # of no type yet: a text would be made into an array for each row
        return bindparam(name).op("::")(literal_column(kind))

    if not many:
        return [vector.bool_op("@@")(has("tsquery", f"wanted{n}")) for n in range(groups)]
    halves = [[func.any(has("tsquery[]", f"wanted{n}_{half}")) for half in (0, 1)] for n in range(groups)]
    return [or_(*[vector.bool_op("@@")(half) for half in both]) for both in halves]


@lru_cache(maxsize=512)
def _by_sqlite(shape: Shape, rank: Shape | None) -> Prepared:
    told = _TOLD if rank is None else (rank_of(rank).label("rank"),)
    found = select(PATIENTS.c.id, *told).select_from(_INDEX.join(PATIENTS, PATIENTS.c.id == _INDEX.c.rowid))
    found = found.where(_IN_SQLITE, PATIENTS.c.is_active, *matching(shape))
    return Prepared(found.order_by(_INDEX.c.rowid.desc()).limit(_MOST))


@lru_cache(maxsize=512)
def _by_postgres(shape: Shape, rank: Shape | None, asked: _Asked, *, born: str = "", ordered: bool = True) -> Prepared:
    """Those whom the index finds are all taken first: else the planner may walk the register in order instead.

    So the best come first, where they have a rank. Not ``ordered``, no more are read than are wanted. ``born`` is the
    mark of a birth date that must be theirs; with OR, for which each index is read by itself.
    """
    told = _TOLD if rank is None else (rank_of(rank).label("rank"),)
    rows = select(PATIENTS.c.id, *told).where(*_in_postgres(*asked), PATIENTS.c.is_active, *matching(shape))
    if born:
        rows = rows.where(or_(*birth_search.born_then_by_index(born)))
    found = rows.cte("found").prefix_with("MATERIALIZED")
    best_first = () if rank is None else (found.c.rank,)
    statement = select(found).order_by(*best_first, found.c.id.desc()) if ordered else select(found)
    return Prepared(statement.limit(_MOST))


@lru_cache(maxsize=512)
def _by_reading(shape: Shape, way: tuple[tuple[str, ...], ...]) -> Prepared:
    """The register one after the other, newest first, between two ids."""
    wanted = [_holds(clause, place) for place, clause in enumerate(way)]
    between = PATIENTS.c.id.between(bindparam("low"), bindparam("high"))
    found = select(PATIENTS.c.id, rank_of(shape).label("rank"))
    found = found.where(PATIENTS.c.is_active, between, *wanted, *matching(shape))
    return Prepared(found.order_by(_NEWEST).limit(_MOST))


def _born(mark: str) -> list[Any]:
    """The ids of those born then: by the index of birth dates, and by that of the few of which less is known."""
    known, less = birth_search.born_then_by_index(mark)
    listed = select(PATIENTS.c.id)
    return [listed.where(PATIENTS.c.is_active, known), listed.where(less)]


@lru_cache(maxsize=64)
def _by_birth(mark: str) -> Prepared:
    """The newest of those born then, listed or not."""
    found = union_all(*_born(mark)).subquery()
    return Prepared(select(found.c.id).order_by(found.c.id.desc()).limit(_MOST))


@lru_cache(maxsize=64)
def _by_birth_and_words(mark: str) -> Prepared:
    """The newest of very many born then whom SQLite's index finds."""
    found = union_all(*_born(mark)).cte("found").prefix_with("MATERIALIZED")
    return Prepared(select(found.c.id).where(found.c.id.in_(_IDS)).order_by(found.c.id.desc()).limit(_MOST))


@lru_cache(maxsize=256)
def _by_ids(shape: Shape) -> Prepared:
    """Of these ids, those who match."""
    found = select(PATIENTS.c.id, rank_of(shape).label("rank")).where(PATIENTS.c.is_active, *matching(shape))
    return Prepared(found.where(among(PATIENTS.c.id, bindparam("found", type_=Text))).order_by(_NEWEST).limit(_MOST))


@lru_cache(maxsize=256)
def _told_by_ids(shape: Shape) -> Prepared:
    """Of these ids, the names and keys of those who match."""
    found = select(PATIENTS.c.id, *_TOLD).where(PATIENTS.c.is_active, *matching(shape))
    return Prepared(found.where(among(PATIENTS.c.id, bindparam("found", type_=Text))).order_by(_NEWEST).limit(_MOST))


_HOW_MANY = Prepared(select(func.count().label("count")).select_from(_IDS.limit(_MOST).subquery()))
_ANYBODY = Prepared(select(PATIENTS.c.id).where(*_in_postgres(1, many=False)).limit(1))
_LAST = Prepared(select(func.max(PATIENTS.c.id).label("id")))
#: To the end of the transaction. Workers beside it would be started for the same wrong guess. Comparing is told to be
#: dear: it takes many words in a row that was read for as cheap as one, and would leave the index for it.
_BY_INDEX_ALONE = Prepared(
    select(
        func.set_config("enable_seqscan", "off", True).label("reading"),
        func.set_config("max_parallel_workers_per_gather", "0", True).label("workers"),
        func.set_config("cpu_operator_cost", "0.1", True).label("comparing"),
    )
)
_BY_NUMBER = Prepared(
    select(PATIENTS.c.id).where(
        PATIENTS.c.is_active,
        or_(PATIENTS.c.patient_id == bindparam("identity"), PATIENTS.c.national_id_key == bindparam("key")),
    )
)


# --- what is bound to them ----------------------------------------------------------------------


def _columns(way: Way) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(needle.column for needle in clause) for clause in way)


def _texts(way: Way) -> Iterable[tuple[str, str]]:
    for place, clause in enumerate(way):
        for n, needle in enumerate(clause):
            yield f"{place}_{n}", needle.text


def _for_sqlite(token: Token) -> str:
    text = '"' + token.text.replace('"', '""') + '"'
    return f"{text} *" if token.begins else text


def _for_postgres(token: Token) -> str:
    text = "'" + token.text.replace("\\", "\\\\").replace("'", "''") + "'"
    return f"{text}:*" if token.begins else text


def _wanted_of_sqlite(groups: Sequence[_Group]) -> dict[str, str]:
    """What the index is asked for somebody who has one word of each group."""
    asked = [" OR ".join(dict.fromkeys(map(_for_sqlite, group.tokens))) for group in groups]
    return {"wanted0": " AND ".join(f"({words})" for words in asked)}


def _wanted_of_postgres(session: Session, groups: Sequence[_Group]) -> tuple[_Asked, dict[str, str]]:
    """The same, and how it is asked. PostgreSQL is told to ask its index, if need be: once in a transaction."""
    asked = [list(dict.fromkeys(map(_for_postgres, group.tokens))) for group in groups]
    if sum(map(len, asked)) > _GUESSED_WELL and not session.info.get("by_index_alone"):
        _BY_INDEX_ALONE.one_or_none(session)
        session.info["by_index_alone"] = True
    many = max(map(len, asked), default=0) > _GUESSED_WELL
    if not many:
        return (len(asked), many), {f"wanted{n}": " | ".join(words) for n, words in enumerate(asked)}
    wanted: dict[str, str] = {}
    for n, words in enumerate(asked):
        words.append(f"' {n}'")  # which nobody has: no array is empty, or the same as another
        wanted |= {f"wanted{n}_{half}": _array_of(words[-1 - half :: -2]) for half in (0, 1)}
    return (len(asked), many), wanted


def _array_of(words: Iterable[str]) -> str:
    """``words`` as PostgreSQL reads an array."""
    quoted = (word.replace("\\", "\\\\").replace('"', '\\"') for word in words)
    return "{" + ",".join(f'"{word}"' for word in quoted) + "}"


def _group_of(session: Session, clause: Clause, *, beside: bool = False) -> _Group | None:
    """What the index is asked for a clause; None where too many words stand for it.

    ``beside``: PostgreSQL is asked for it beside another, so that it leaves few to be read, however many have it.
    """
    tokens: list[Token] = []
    patients = 0
    for needle in clause:
        if needle.column == KEYS:
            tokens += search_tiers.tokens_of_key(needle)
            continue
        if needle.whole:
            tokens.append(search_tiers.token_of_name(needle.word))
            continue
        tokens.append(search_tiers.token_inside(needle))
        if any(map(str.isdigit, needle.word)):
            continue
        short = len(needle.word) < name_parts.SHORTEST_TRIGRAM
        if short and not beside and name_parts.beginning_with(session, needle.word) > _TOGETHER:
            return None  # of very many parts the sum is told sooner
        parts = name_parts.with_text(session, needle.word, begins=needle.begins, most=_PARTS + 1)
        patients += int(sum(part.patients for part in parts))
        if needle.begins and len(parts) > _PARTS_EACH and (beside or patients <= _TOGETHER):
            tokens.append(search_tiers.token_of_name(needle.word, begins=True))
        elif len(parts) > (_PARTS_EACH if needle.begins else _PARTS):
            return None
        else:
            tokens += [search_tiers.token_of_name(part.part) for part in parts]
    return _Group(tuple(tokens), patients)


def _beside(groups: list[_Group]) -> list[_Group]:
    """What is asked where there are several: of keys the first letters alone, which are found at once."""
    if len(groups) < 2:
        return groups
    return [_Group(tuple(map(search_tiers.first_letters, group.tokens)), group.patients) for group in groups]


# --- looking ------------------------------------------------------------------------------------

#: Id → rank.
Ranks = dict[int, int]


def _ranks(rows: Iterable[Any]) -> Ranks:
    return dict(rows)


class _Look:
    """One search in one session: ``limit`` is the longest count, ``needed`` what the page shows and what is before."""

    def __init__(self, session: Session, term: Term, values: dict[str, Any], needed: int, limit: int) -> None:
        self.session, self.term, self.values, self.needed, self.limit = session, term, values, needed, limit
        self.shape = shape_of(term)
        self.postgres = db.connection(session).dialect.name == "postgresql"
        self.dense = False  # whether one of fifty or more is known to match
        self.last = _LAST.one_or_none(session).id or 0
        self._groups: dict[Clause, _Group | None] = {}
        self._words: dict[str, int] | None = None
        self._without: dict[Clause, bool] = {}

    def find(self) -> Found:
        """Everybody, up to the limit; of more than that the best."""
        every = search_tiers.ways(self.term, LEVELS)
        steps = search_tiers.steps(self.term) if self.postgres else []
        if self.last > SMALL and (self._very_many(every) or self._many_born()):
            return self._by_steps(steps) if steps else self._best()
        ranks: Ranks = {}
        for way in every:
            ranks |= self._way(way, self.limit + 1, ordered=not steps)
        if steps and len(ranks) > self.limit:
            return self._by_steps(steps)
        births = search_tiers.births(self.term)
        for mark in births:
            ranks |= self._births(mark, self.limit + 1)
        more = len(ranks) > self.limit
        if more and ((births and not self.postgres) or not self._by_rank(every)):
            return self._best()
        return Found(sorted(ranks, key=lambda one: (ranks[one], -one))[: self.limit], more=more, ordered=True)

    # --- whether very many match

    def _very_many(self, every: list[Way]) -> bool:
        """Whether more than the limit match, as far as that is told without finding them."""
        if any(_short_number(way) for way in every):
            return self._sampled()
        if len(every) != 1 or search_tiers.number_of(every[0]):
            return False
        (way,) = every
        enough = int(_COUNTED * self.limit)
        if len(way) == 1:
            word = self.term.pieces[0].text if self.term.pieces[0].kind in (Kind.WORD, Kind.LETTER) else ""
            if word and name_parts.beginning_with(self.session, word) >= enough:
                return True
            group = self._group(way[0])
            return self._sampled() if group is None else group.patients >= _TOLD_BY_PARTS * self.limit
        if self.postgres and len(way) <= search_tiers.STEPPED:
            return self._likely(way) >= enough // _UNLIKELY and self._sampled()
        begun = [self._group(clause) for clause in search_tiers.ways(self.term, 2)[0]]
        groups = [group for group in begun if group is not None]
        both = [group.patients for group in groups if group.patients]
        if min(both, default=0) < enough or both[0] * both[-1] < self.last * enough // _UNLIKELY:
            return False  # as far as names go together at random: if more do, finding them tells
        if len(groups) < len(way) or self.postgres:
            return self._sampled()
        asked = _wanted_of_sqlite(groups)
        return _HOW_MANY.one_or_none(self.session, **asked, most=enough).count >= enough

    def _sampled(self) -> bool:
        """Whether many more than the limit match, by the newest of the register and as many from its middle."""
        enough, very = _SURELY * self.limit * SAMPLE // self.last + 1, SAMPLE // _DENSE
        counts = [len(self._read((), high - SAMPLE, high, max(enough, very))) for high in (self.last, self.last // 2)]
        self.dense = min(counts) >= very
        return min(counts) >= enough

    # --- of very many the best

    def _by_rank(self, every: list[Way]) -> bool:
        """Whether those found are the best already: PostgreSQL has all whom its index finds before the first."""
        return self.postgres and all(any(map(self._group, way)) for way in every)

    def _best(self) -> Found:
        """Of very many, those whom the page needs: level by level."""
        ids: dict[int, Any] = dict.fromkeys(self._numbers())
        for level in range(1, LEVELS + 1):
            for way in search_tiers.ways(self.term, level):
                if level > 1 or not _short_number(way):
                    ids |= self._newest(way, level) if level > 1 or self._there(way) else {}
                elif not self.postgres:  # whose own a short number is, other indexes have told
                    ids |= self._indexed(way, self.needed)
            if level == 1:
                for mark in search_tiers.births(self.term):
                    ids |= self._births(mark, self.needed)
            if len(ids) >= self.needed:
                break
        return Found(list(ids)[: self.limit], more=True)

    def _by_steps(self, steps: list[Step]) -> Found:
        """The same on PostgreSQL: exactly the best, since all whom a step finds anew are equals."""
        ranks: Ranks = {}
        for step in steps:
            for way in step.ways:
                if not any(map(self._nobody, way)):
                    ranks |= self._best_of(way, step.rank)
            if self._as_good(ranks, step.rank) >= self.needed:
                break
        return Found(sorted(ranks, key=lambda one: (ranks[one], -one))[: self.needed], more=True, ordered=True)

    def _best_of(self, way: Way, rank: int) -> Ranks:
        """Of those who match ``way`` as many as the page needs. Whoever ranks better than ``rank`` is found already."""
        if self._likely(way) >= _MANY:
            found = self._read(way, self.last - _READ * SAMPLE, self.last, 2 * self.needed)
            if self._as_good(found, rank) >= self.needed:
                return found
        return self._way(way, self.needed)

    @staticmethod
    def _as_good(ranks: Ranks, rank: int) -> int:
        return sum(found <= rank for found in ranks.values())

    def _likely(self, way: Way) -> float:
        """How many match ``way``, as far as names go together at random."""
        likely: float = self.last
        for clause in way:
            group = self._group(clause)
            patients = self._with_word(clause[0]) if clause[0].whole else group.patients if group else self.last
            likely *= min(1.0, patients / self.last)
        return likely

    def _with_word(self, needle: Needle) -> int:
        """How many have a word as a part of their name."""
        if self._words is None:
            self._words = name_parts.frequencies(self.session, [piece.text for piece in self.term.pieces])
        return self._words[needle.word]

    def _nobody(self, clause: Clause) -> bool:
        """Whether a whole word is asked for that nobody has, in their name or as a number without digits."""
        if not clause[0].whole or self._with_word(clause[0]):
            return False
        if clause not in self._without:
            wanted = _for_postgres(search_tiers.token_of_name(clause[0].word))
            self._without[clause] = _ANYBODY.one_or_none(self.session, wanted0=wanted) is None
        return self._without[clause]

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
        names = [clause[0].word for clause in way if len(clause) == 1 and clause[0].column == NAMES]
        names = [name for name in names if not any(map(str.isdigit, name))]
        return all(name_parts.frequencies(self.session, names).values())

    def _newest(self, way: Way, level: int) -> Ranks:
        """The newest of very many, as many as the page needs; of numbers more, since those of next of kin are last."""
        most = min(self.limit, _OWN_OF * self.needed) if search_tiers.number_of(way) else self.needed
        if not self.postgres and all(map(self._group, way)) and not (self.dense and _short_number(way)):
            return self._indexed(way, most)
        found = self._read(way, self.last - _READ * SAMPLE, self.last, most)
        if len(found) >= self.needed or (level < LEVELS and not any(map(self._group, way))):
            return found  # of one or two letters of very many names, enough are told at the last level
        return self._way(way, most)

    # --- one way

    def _group(self, clause: Clause) -> _Group | None:
        if clause not in self._groups:
            beside = self.postgres and len(self.term.pieces) > 1
            self._groups[clause] = _group_of(self.session, clause, beside=beside)
        return self._groups[clause]

    def _way(self, way: Way, most: int, *, ordered: bool = True) -> Ranks:
        """The newest of those who match ``way``; any of them if not ``ordered``."""
        if self.last > SMALL and not any(map(self._group, way)):
            return self._read(way, 0, self.last, most)  # one or two letters of very many names: there is no better way
        if not any(map(self._group, way)):
            return self._read((), 0, self.last, most)
        return self._indexed(way, most, ordered=ordered)

    def _to_ask(self, way: Way) -> list[_Group]:
        """Of ``way`` what the index is asked: as much as leaves few to be read. A number alone does that."""
        return _beside([group for one in self._clauses_to_ask(way) if (group := self._group(one)) is not None])

    def _clauses_to_ask(self, way: Way) -> list[Clause]:
        found = {clause: group for clause in way if (group := self._group(clause)) is not None}
        numbered = [clause for clause in found if search_tiers.number_of((clause,))]
        if any(not _short_number((clause,)) for clause in numbered):
            return numbered
        if numbered:
            return [one for one, group in found.items() if one in numbered or len(group.tokens) <= _PARTS_EACH]
        rare = min(found, key=lambda one: found[one].patients, default=None)
        return [rare] if rare is not None and 0 < found[rare].patients <= _RARE else list(found)

    def _indexed(self, way: Way, most: int, *, born: str = "", ordered: bool = True) -> Ranks:
        """Those whom the index finds: the best on PostgreSQL, or any if not ``ordered``; on SQLite the newest."""
        if self.postgres:
            how, asked = _wanted_of_postgres(self.session, self._to_ask(way))
            statement = _by_postgres(self.shape, self.shape, how, born=born, ordered=ordered)
        else:
            statement, asked = _by_sqlite(self.shape, self.shape), _wanted_of_sqlite(self._to_ask(way))
        return _ranks(statement.all(self.session, **self.values, **asked, most=most))

    def _read(self, way: Way, low: int, high: int, most: int) -> Ranks:
        has = {f"has{place}": text for place, text in _texts(way)}
        statement = _by_reading(self.shape, _columns(way))
        return _ranks(statement.all(self.session, **self.values, **has, low=max(low, 0), high=high, most=most))

    def _births(self, mark: str, most: int) -> Ranks:
        """The newest of those born then who match; on PostgreSQL the best, where something else is asked for, too."""
        enough = _BORN_READ if self.postgres else int(_COUNTED * self.limit)
        others = [search_tiers.clause(piece, LEVELS) for n, piece in enumerate(self.term.pieces) if str(n) != mark]
        alone = mark == "w" or not others
        asked_for = most if alone else enough
        ids = [row.id for row in _by_birth(mark).all(self.session, **self.values, most=asked_for)]
        if self.postgres and not alone:  # all of them, or the best
            if len(ids) >= enough:
                return self._indexed(tuple(others), most, born=mark)
            most = enough
        elif len(ids) >= enough and not alone and (groups := self._to_ask(tuple(others))):
            given = {**self.values, **_wanted_of_sqlite(groups), "most": 2 * self.limit}
            ids = [row.id for row in _by_birth_and_words(mark).all(self.session, **given)]
        given = {**self.values, "found": numbers(ids), "most": most}
        return _ranks(_by_ids(self.shape).all(self.session, **given)) if ids else {}

    def _many_born(self) -> bool:
        """Whether the term is a birth date alone, and very many were born then."""
        enough = int(_COUNTED * self.limit)
        marks = [mark for mark in search_tiers.births(self.term) if mark == "w" or len(self.term.pieces) == 1]
        return any(len(_by_birth(one).all(self.session, **self.values, most=enough)) >= enough for one in marks)


def rows_of(
    session: Session, shape: Shape, values: dict[str, Any], way: Way, most: int, *, born: str = ""
) -> list[Any]:
    """Building block: the newest of those whom the index finds for ``way``, with their names and keys.

    ``shape`` is what they must match besides; ``way`` has a clause of whole words. ``born`` is the mark of a birth date
    that must be theirs.
    """
    postgres = db.connection(session).dialect.name == "postgresql"
    groups = [group for clause in way if (group := _group_of(session, clause)) is not None]
    if postgres:
        how, wanted = _wanted_of_postgres(session, _beside(groups))
        return _by_postgres(shape, None, how, born=born).all(session, **values, **wanted, most=most)
    wanted = _wanted_of_sqlite(_beside(groups))
    if not born:
        return _by_sqlite(shape, None).all(session, **values, **wanted, most=most)
    ids = _by_birth_and_words(born).all(session, **values, **wanted, most=most)
    given = {**values, "found": numbers(row.id for row in ids), "most": most}
    return _told_by_ids(shape).all(session, **given) if ids else []


def asked_for(names: Iterable[str]) -> str:
    """Building block: what SQLite's index is asked for somebody whose names have all these words."""
    return " AND ".join(_for_sqlite(search_tiers.token_of_name(name)) for name in names)


def _short_number(way: Way) -> bool:
    return 0 < len(search_tiers.number_of(way)) <= _SHORT_NUMBER


def _patient_id(digits: str) -> str:
    return f"{get_settings().patient_id_prefix}{int(digits):06d}"


def find(session: Session, term: Term, values: dict[str, Any], *, needed: int, limit: int) -> Found:
    """Building block: who matches ``term``; of more than ``limit`` the ``needed`` best, newest first among equals."""
    if term.nothing:
        return Found([])
    return _Look(session, term, values, needed, limit).find()
