"""How many patients have each part of a name: what similar names are found by, and what a common name says.

A change is added as a row of its own in the transaction that makes it, so that eight desks that register eight people
called Kamau do not wait for each other; now and then the changes are added up. Counted are all patients that are
there, active or not.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, bindparam, column, delete, func, insert, select, table, union_all
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from clinic_app.core import db, periodic
from clinic_app.core.prepared import Adding, Prepared
from clinic_app.core.sql_text import holds, like
from clinic_app.models import search_index
from clinic_app.models.name_parts import LONGEST_PART, NAME_PART_CHANGES, NAME_PARTS
from clinic_app.models.patients import PATIENTS
from clinic_app.services.patients import register_counts
from clinic_app.services.patients.search_keys import words
from clinic_app.services.patients.slips import one_slip

#: An index of trigrams finds nothing shorter.
SHORTEST_TRIGRAM = 3
EVERY = 5.0  # seconds between two times that changes are added up
#: So many changes are added up in one transaction.
_AT_ONCE = 5000
_ROWS = 5000
_WANTED = bindparam("parts", expanding=True)
_BOTH = union_all(
    select(NAME_PARTS.c.part, NAME_PARTS.c.patients).where(NAME_PARTS.c.part.in_(_WANTED)),
    select(NAME_PART_CHANGES.c.part, NAME_PART_CHANGES.c.change).where(NAME_PART_CHANGES.c.part.in_(_WANTED)),
).subquery()
_FREQUENCIES = select(_BOTH.c.part, func.sum(_BOTH.c.patients)).group_by(_BOTH.c.part)
#: One person has so many parts of a name at most: those of first and last name that are compared.
_OF_ONE = 10
#: Statements for one person, for twice as many parts and so on are kept, up to so many.
_KEPT_AT_MOST = 80


@lru_cache(maxsize=8)
def _of_some(count: int) -> Prepared:
    wanted = [bindparam(f"p{place}", type_=Text) for place in range(count)]
    both = union_all(
        select(NAME_PARTS.c.part, NAME_PARTS.c.patients).where(NAME_PARTS.c.part.in_(wanted)),
        select(NAME_PART_CHANGES.c.part, NAME_PART_CHANGES.c.change).where(NAME_PART_CHANGES.c.part.in_(wanted)),
    ).subquery()
    return Prepared(select(both.c.part, func.sum(both.c.patients).label("patients")).group_by(both.c.part))


_CHANGE = Adding(NAME_PART_CHANGES, ("part", "change"))

_TEXT, _AFTER, _REST, _AFTER_REST, _TURNED = map(bindparam, ("text", "after", "rest", "after_rest", "turned"))
_SHORTEST, _LONGEST = map(bindparam, ("shortest", "longest"))
_MOST: Any = bindparam("most")


def _counted(*ways: ColumnElement[bool], of_changes: ColumnElement[bool]) -> Prepared:
    """Parts of one of these kinds, the commonest first."""
    both = union_all(
        *[select(NAME_PARTS.c.part, NAME_PARTS.c.patients).where(way) for way in ways],
        select(NAME_PART_CHANGES.c.part, NAME_PART_CHANGES.c.change).where(of_changes),
    ).subquery()
    count = func.sum(both.c.patients)
    statement = (
        select(both.c.part, count.label("patients"))
        .group_by(both.c.part)
        .having(count > 0)
        .order_by(count.desc(), both.c.part)
    )
    return Prepared(statement.limit(_MOST))


_BEGINNING = _counted(
    NAME_PARTS.c.part.between(_TEXT, _AFTER), of_changes=NAME_PART_CHANGES.c.part.between(_TEXT, _AFTER)
)
_HAVING = _counted(holds(NAME_PARTS.c.part, _TEXT), of_changes=holds(NAME_PART_CHANGES.c.part, _TEXT))
_TRIGRAMS = table(search_index.PARTS, column("part"), column(search_index.PARTS))
_WITH: Any = _TRIGRAMS.c[search_index.PARTS].op("MATCH")(bindparam("quoted"))
#: The same by PostgreSQL's index of trigrams.
_HAVING_LIKE = _counted(
    NAME_PARTS.c.part.like(bindparam("like"), escape="/"), of_changes=holds(NAME_PART_CHANGES.c.part, _TEXT)
)
#: The same by SQLite's index of trigrams, which finds nothing shorter than three letters.
_HAVING_LONGER = _counted(
    NAME_PARTS.c.part.in_(select(_TRIGRAMS.c.part).where(_WITH)), of_changes=holds(NAME_PART_CHANGES.c.part, _TEXT)
)
_AS_LONG = func.length(NAME_PARTS.c.part).between(_SHORTEST, _LONGEST)
#: Of a part one slip away, one half is as it should be, or the two letters in the middle are swapped.
_NEAR = _counted(
    and_(NAME_PARTS.c.part.between(_TEXT, _AFTER), _AS_LONG),
    and_(NAME_PARTS.c.backwards.between(_REST, _AFTER_REST), _AS_LONG),
    NAME_PARTS.c.part == _TURNED,
    of_changes=func.length(NAME_PART_CHANGES.c.part).between(_SHORTEST, _LONGEST),
)
_BEGUN = Prepared(
    select(func.sum(NAME_PARTS.c.patients).label("patients")).where(NAME_PARTS.c.part.between(_TEXT, _AFTER))
)
_LAST_SIGN = "\U0010ffff"


@lru_cache(maxsize=65536)
def _parts(name: str) -> tuple[str, ...]:
    return tuple(word[:LONGEST_PART] for word in words(name))


def parts_of(first_name: str, last_name: str) -> tuple[str, ...]:
    """The parts of a person's name as they are compared, each once, in their order."""
    return tuple(dict.fromkeys((*_parts(first_name), *_parts(last_name))))


def frequencies(session: Session, parts: Iterable[str]) -> dict[str, int]:
    """Building block: how many patients have each of ``parts``, which are folded; 0 where nobody has it."""
    wanted = {part: part[:LONGEST_PART] for part in parts}
    if not wanted:
        return {}
    asked = sorted(set(wanted.values()))
    if len(asked) <= _KEPT_AT_MOST:
        count = _OF_ONE
        while count < len(asked):
            count *= 2
        padded = [*asked, *[None] * (count - len(asked))]
        rows = _of_some(count).all(session, **{f"p{place}": part for place, part in enumerate(padded)})
    else:
        rows = db.connection(session).execute(_FREQUENCIES, {"parts": asked})
    found = {part: int(count) for part, count in rows}
    return {part: max(0, found.get(cut, 0)) for part, cut in wanted.items()}


def beginning_with(session: Session, text: str) -> int:
    """Building block: how often parts that begin with ``text`` are had, as it was when changes were added up last."""
    found = _BEGUN.one_or_none(session, text=text, after=text + _LAST_SIGN)
    return int(found.patients or 0)


def with_text(session: Session, text: str, *, begins: bool, most: int) -> list[Any]:
    """Building block: the commonest parts that have ``text`` in them, or begin with it: ``part``, ``patients``."""
    if begins:
        return _BEGINNING.all(session, text=text, most=most, after=text + _LAST_SIGN)
    if len(text) < SHORTEST_TRIGRAM:
        return _HAVING.all(session, text=text, most=most)
    if db.connection(session).dialect.name == "postgresql":
        return _HAVING_LIKE.all(session, text=text, most=most, like=like(text))
    quoted = '"' + text.replace('"', '""') + '"'
    return _HAVING_LONGER.all(session, text=text, most=most, quoted=quoted)


def one_slip_from(session: Session, word: str, most: int) -> list[str]:
    """Building block: the commonest parts that differ from ``word`` by one slip of a typing hand."""
    middle = len(word) // 2
    half, rest = word[:middle], word[: middle - 1 : -1]
    rows = _NEAR.all(
        session,
        text=half,
        after=half + _LAST_SIGN,
        rest=rest,
        after_rest=rest + _LAST_SIGN,
        turned=word[: middle - 1] + word[middle] + word[middle - 1] + word[middle + 1 :],
        shortest=len(word) - 1,
        longest=len(word) + 1,
        most=-1 if db.connection(session).dialect.name == "sqlite" else None,
    )
    return [row.part for row in rows if one_slip(word, row.part)][:most]


def change(session: Session, before: Iterable[str], after: Iterable[str]) -> None:
    """Building block: a patient had these parts and has those now; one of the two is empty for one who comes or goes.

    One statement, which waits for nobody; none where nothing changed.
    """
    old, new = set(before), set(after)
    rows = [{"part": part, "change": -1} for part in sorted(old - new)]
    rows += [{"part": part, "change": 1} for part in sorted(new - old)]
    if not db.at_the_end(session, _change_all, rows):
        _CHANGE.many(session, rows)


def _change_all(session: Session, changes: Iterable[list[dict[str, Any]]]) -> None:
    _CHANGE.many(session, [row for rows in changes for row in rows])


def add_many(session: Session, people: Iterable[Iterable[str]]) -> None:
    """Building block: these are new, each with the parts of their name. One statement."""
    counts = Counter(part for parts in people for part in set(parts))
    if counts:
        rows = [{"part": part, "change": count} for part, count in sorted(counts.items())]
        _CHANGE.many(session, rows)


def add_up(*, everything: bool = False) -> int:
    """Add the changes up, or ``everything`` there is now; returns how many there were. For the server itself.

    Several processes may do it at the same time: each change is taken by one of them.
    """
    done = 0
    while True:
        with db.glance() as connection:
            if not connection.execute(select(NAME_PART_CHANGES.c.id).limit(1)).first():
                return done
        taken = _take()
        done += taken
        if not everything or not taken:
            return done


def _moving(made: Any) -> Prepared:
    fresh = made.values({name: bindparam(name) for name in ("part", "backwards", "patients")})
    count = NAME_PARTS.c.patients + fresh.excluded.patients
    return Prepared(fresh.on_conflict_do_update(index_elements=[NAME_PARTS.c.part], set_={"patients": count}))


_MOVE = {"sqlite": _moving(sqlite.insert(NAME_PARTS)), "postgresql": _moving(postgresql.insert(NAME_PARTS))}


def _take() -> int:
    some = select(NAME_PART_CHANGES.c.id).order_by(NAME_PART_CHANGES.c.id).limit(_AT_ONCE)
    removed = delete(NAME_PART_CHANGES).where(NAME_PART_CHANGES.c.id.in_(some))
    with db.transaction() as session:
        run = db.connection(session).execute
        rows = run(removed.returning(NAME_PART_CHANGES.c.part, NAME_PART_CHANGES.c.change)).all()
        sums: Counter[str] = Counter()
        for part, by in rows:
            sums[part] += by
        moved = [  # in one order: two processes wait for each other, never in a circle
            {"part": part, "backwards": part[::-1], "patients": sums[part]} for part in sorted(sums) if sums[part]
        ]
        _MOVE[db.connection(session).dialect.name].many(session, moved)  # all at once: nobody registers meanwhile
        gone = [part for part, by in sums.items() if by < 0]
        if gone:
            run(delete(NAME_PARTS).where(NAME_PARTS.c.part.in_(gone), NAME_PARTS.c.patients == 0))
    return len(rows)


def counted(session: Session) -> dict[str, int]:
    """Building block: how many patients have each part, counted from the records. Reads the whole register."""
    names = select(PATIENTS.c.first_name, PATIENTS.c.last_name, func.count()).group_by(
        PATIENTS.c.first_name, PATIENTS.c.last_name
    )
    found: Counter[str] = Counter()
    for first, last, count in db.connection(session).execute(names):
        for part in parts_of(first, last):
            found[part] += count
    return dict(found)


def kept(session: Session) -> dict[str, int]:
    """Building block: the same as it is kept."""
    run = db.connection(session).execute
    found: Counter[str] = Counter()
    for rows in (
        run(select(NAME_PARTS.c.part, NAME_PARTS.c.patients)),
        run(select(NAME_PART_CHANGES.c.part, NAME_PART_CHANGES.c.change)),
    ):
        for part, by in rows:
            found[part] += by
    return {part: count for part, count in found.items() if count}


def rebuild(session: Session) -> int:
    """Building block: count all names anew; returns how many parts there are. Nobody may register meanwhile."""
    run = db.connection(session).execute
    found = counted(session)
    run(delete(NAME_PART_CHANGES))
    run(delete(NAME_PARTS))
    rows = [{"part": part, "backwards": part[::-1], "patients": count} for part, count in sorted(found.items())]
    for start in range(0, len(rows), _ROWS):
        run(insert(NAME_PARTS), rows[start : start + _ROWS])
    return len(rows)


def adding_up() -> AbstractAsyncContextManager[None]:
    """Add changes up every few seconds for as long as the block lasts: a lifespan task of each worker."""

    async def work() -> None:
        await asyncio.to_thread(add_up)
        await asyncio.to_thread(register_counts.add_up)

    return periodic.running(work, EVERY, failed="counts_not_added_up")
