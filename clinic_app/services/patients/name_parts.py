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

from sqlalchemy import bindparam, delete, func, insert, select, union_all
from sqlmodel import Session

from clinic_app.core import db, periodic
from clinic_app.models.name_parts import LONGEST_PART, NAME_PART_CHANGES, NAME_PARTS
from clinic_app.models.patients import PATIENTS
from clinic_app.services.patients.search_keys import words

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
    rows = db.connection(session).execute(_FREQUENCIES, {"parts": sorted(set(wanted.values()))})
    found = {part: int(count) for part, count in rows}
    return {part: max(0, found.get(cut, 0)) for part, cut in wanted.items()}


def change(session: Session, before: Iterable[str], after: Iterable[str]) -> None:
    """Building block: a patient had these parts and has those now; one of the two is empty for one who comes or goes.

    One statement, which waits for nobody; none where nothing changed.
    """
    old, new = set(before), set(after)
    rows = [{"part": part, "change": -1} for part in sorted(old - new)]
    rows += [{"part": part, "change": 1} for part in sorted(new - old)]
    if rows:
        db.connection(session).execute(insert(NAME_PART_CHANGES).values(rows))


def add_many(session: Session, people: Iterable[Iterable[str]]) -> None:
    """Building block: these are new, each with the parts of their name. One statement."""
    counts = Counter(part for parts in people for part in set(parts))
    if counts:
        rows = [{"part": part, "change": count} for part, count in sorted(counts.items())]
        db.connection(session).execute(insert(NAME_PART_CHANGES), rows)


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


def _take() -> int:
    some = select(NAME_PART_CHANGES.c.id).order_by(NAME_PART_CHANGES.c.id).limit(_AT_ONCE)
    removed = delete(NAME_PART_CHANGES).where(NAME_PART_CHANGES.c.id.in_(some))
    with db.transaction() as session:
        run = db.connection(session).execute
        rows = run(removed.returning(NAME_PART_CHANGES.c.part, NAME_PART_CHANGES.c.change)).all()
        sums: Counter[str] = Counter()
        for part, by in rows:
            sums[part] += by
        for part in sorted(sums):  # in one order: two processes wait for each other, never in a circle
            if sums[part]:
                count = NAME_PARTS.c.patients + sums[part]
                made = {"part": part, "backwards": part[::-1], "patients": sums[part]}
                db.upsert(session, NAME_PARTS, made, change={"patients": count})
        gone = [part for part, by in sums.items() if by < 0]
        if gone:
            run(delete(NAME_PARTS).where(NAME_PARTS.c.part.in_(gone), NAME_PARTS.c.patients == 0))
    return len(rows)


def rebuild(session: Session) -> int:
    """Building block: count all names anew; returns how many parts there are. Nobody may register meanwhile."""
    run = db.connection(session).execute
    names = select(PATIENTS.c.first_name, PATIENTS.c.last_name, func.count()).group_by(
        PATIENTS.c.first_name, PATIENTS.c.last_name
    )
    counts: Counter[str] = Counter()
    for first, last, count in run(names):
        for part in parts_of(first, last):
            counts[part] += count
    run(delete(NAME_PART_CHANGES))
    run(delete(NAME_PARTS))
    rows = [{"part": part, "backwards": part[::-1], "patients": count} for part, count in sorted(counts.items())]
    for start in range(0, len(rows), _ROWS):
        run(insert(NAME_PARTS), rows[start : start + _ROWS])
    return len(rows)


def adding_up() -> AbstractAsyncContextManager[None]:
    """Add changes up every few seconds for as long as the block lasts: a lifespan task of each worker."""

    async def work() -> None:
        await asyncio.to_thread(add_up)

    return periodic.running(work, EVERY, failed="name_parts_failed")
