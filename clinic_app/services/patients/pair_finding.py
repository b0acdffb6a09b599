"""Comparing new and changed records with all others, little by little; the pairs go into the work list.

What is yet to be compared stands in a table that triggers write, so whatever adds or changes a record has it compared,
and work that breaks off goes on where it was. A record is compared outside of the transaction that notes what was
found: nobody at a desk waits for it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from typing import Any

from sqlalchemy import Text, bindparam, delete, func, insert, or_, select, update
from sqlmodel import Session

from clinic_app.core import clock, db, periodic
from clinic_app.core.prepared import Prepared
from clinic_app.core.sql_text import among, numbers
from clinic_app.models.duplicates import DUPLICATE_PAIRS, WAITING_COMPARISONS
from clinic_app.models.patients import PATIENTS
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit import recording
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.authorization import demand
from clinic_app.services.patients import pairs
from clinic_app.services.patients.duplicates import Candidate

BATCH = 20  # records at a time
EVERY = 5.0  # seconds between looks at what waits
#: Open lists are told at most this often while many records are compared, in seconds.
TELL_EVERY = 5.0
_WAITING, _PAIRS = WAITING_COMPARISONS.c, DUPLICATE_PAIRS.c


@dataclasses.dataclass(frozen=True, slots=True)
class _Compared:
    """One record, at this version, and what it is like; ``row`` is None where it is not in use."""

    patient_id: int
    version: int
    in_use: bool
    matches: tuple[Candidate, ...] = ()


def _compare(session: Session, waiting: Any) -> _Compared:
    row = session.execute(select(PATIENTS).where(PATIENTS.c.id == waiting.patient_id)).one()
    if not row.is_active:
        return _Compared(row.id, row.version, in_use=False)
    return _Compared(row.id, row.version, True, tuple(pairs.matches_of(session, row)))


def _versions(session: Session, ids: set[int]) -> dict[int, int]:
    """Of these records, those in use, locked in one order until what was found is noted."""
    rows = session.execute(
        select(PATIENTS.c.id, PATIENTS.c.version)
        .where(PATIENTS.c.id.in_(sorted(ids)), PATIENTS.c.is_active)
        .order_by(PATIENTS.c.id)
        .with_for_update(read=True)
    )
    return {row.id: row.version for row in rows}


def _note(session: Session, done: list[_Compared]) -> bool:
    """Write what was found of these records; whether the list changes. What has changed meanwhile is compared again."""
    now, changed = clock.now(), False
    versions = _versions(session, {one.patient_id for one in done} | {m.id for one in done for m in one.matches})
    for one in done:
        if one.in_use and versions.get(one.patient_id) != one.version:
            continue  # its trigger has put it back
        changed |= _write(session, one, versions, now)
    session.execute(
        delete(WAITING_COMPARISONS).where(
            _WAITING.patient_id == bindparam("patient"), _WAITING.version <= bindparam("upto")
        ),
        [{"patient": one.patient_id, "upto": one.version} for one in done],
    )
    return changed


def _write(session: Session, one: _Compared, versions: dict[int, int], now: Any) -> bool:
    kept = {
        (row.low_id, row.high_id): row
        for row in session.execute(
            select(DUPLICATE_PAIRS).where(or_(_PAIRS.low_id == one.patient_id, _PAIRS.high_id == one.patient_id))
        )
    }
    found = {}
    for match in one.matches:
        if match.id in versions:
            low, high = sorted((one.patient_id, match.id))
            found[low, high] = match
    gone = [key for key in kept if key not in found] if len(one.matches) < pairs.MOST else []
    for low, high in gone:
        session.execute(delete(DUPLICATE_PAIRS).where(_PAIRS.low_id == low, _PAIRS.high_id == high))
    changed = bool(gone)
    for (low, high), match in found.items():
        old = kept.get((low, high))
        stamps = {"low_version": versions[low], "high_version": versions[high]}
        as_it_was = old is not None and (old.low_version, old.high_version) == tuple(stamps.values())
        if old is not None and as_it_was and old.set_aside_at is not None:
            continue  # said to be two, and nothing is new
        values = {"rank": pairs.rank_of(match.grade), "score": match.score, "reasons": list(match.reasons), **stamps}
        if old is None:
            # Another process may have come to the same pair at this moment, and found the same.
            db.upsert(session, DUPLICATE_PAIRS, {"low_id": low, "high_id": high, "found_at": now, **values})
        else:
            session.execute(
                update(DUPLICATE_PAIRS)
                .where(_PAIRS.low_id == low, _PAIRS.high_id == high)
                .values(set_aside_at=None, set_aside_by_id=None, **values)
            )
        changed = changed or old is None or not as_it_was or old.rank != values["rank"]
    return changed


_told_at = 0.0


def compare_waiting(*, most: int = BATCH, last: bool = False) -> int:
    """Compare the next few records that wait; returns how many. For the server itself and the command line.

    ``last``: open lists are told at once. Of several processes at the same records, each finds the same.
    """
    global _told_at
    with db.reading() as session:
        waiting = session.execute(select(WAITING_COMPARISONS).order_by(_WAITING.patient_id.desc()).limit(most)).all()
        done = [_compare(session, one) for one in waiting]
    if not done:
        return 0
    with db.transaction() as session:
        changed = _note(session, done)
        if changed and (last or len(done) < most or time.monotonic() - _told_at > TELL_EVERY):
            recording.wake_lists(session)
            _told_at = time.monotonic()
    return len(done)


_WAITS_NO_MORE = Prepared(
    delete(WAITING_COMPARISONS).where(among(_WAITING.patient_id, bindparam("ids", type_=Text)), _WAITING.version == 1)
)


def was_compared(session: Session, patient_id: int, found: Collection[Candidate]) -> None:
    """Building block: this record is new, and ``found`` are all who are like it: it was compared in the transaction
    that adds it. Where nobody of them is worth a look, there is nothing left to do in the background.
    """
    worth_a_look = any(pairs.worth_a_look(match) for match in found)
    if not worth_a_look and not db.at_the_end(session, _wait_no_more, patient_id):
        _wait_no_more(session, [patient_id])


def _wait_no_more(session: Session, ids: Collection[int]) -> None:
    if ids:
        _WAITS_NO_MORE.run(session, ids=numbers(ids))


def how_many_wait() -> int:
    """How many records are yet to be compared. For the command line."""
    with db.reading() as session:
        return session.execute(select(func.count()).select_from(WAITING_COMPARISONS)).scalar_one()


def compare_everybody(actor: Actor) -> int:
    """Have every record in use compared once more; returns how many. Comparing goes on in the background.

    For receptionists and administrators, and the command line. Raises ``PermissionDenied``.
    """
    demand(actor, Permission.DUPLICATES)
    waits = select(_WAITING.patient_id)
    fresh = select(PATIENTS.c.id, PATIENTS.c.version).where(PATIENTS.c.is_active, PATIENTS.c.id.not_in(waits))
    with transaction(actor) as session:
        session.execute(insert(WAITING_COMPARISONS).from_select(["patient_id", "version"], fresh))
    return how_many_wait()


def finding() -> AbstractAsyncContextManager[None]:
    """Compare what waits, for as long as the block lasts, with a pause as long as each step: a lifespan task."""

    async def work() -> None:
        while True:
            began = time.monotonic()
            if await asyncio.to_thread(compare_waiting) < BATCH:
                return
            await asyncio.sleep(time.monotonic() - began)

    return periodic.running(work, EVERY, failed="comparing_failed")


Progress = Callable[[int], None]


def compare_all(done: Progress = lambda _: None) -> int:
    """Compare everything that waits, without pauses; ``done`` is told how many at each step. For the command line."""
    total = 0
    while count := compare_waiting(last=False):
        total += count
        done(count)
    return total
