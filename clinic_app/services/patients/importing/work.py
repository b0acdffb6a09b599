"""The work of an import, batch by batch: checking an uploaded file, and taking patients in.

Whichever process holds the lease works on it. How far it has come is written in the transaction of the batch itself:
one that was killed goes on where it was and makes nobody twice.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import DataError, IntegrityError
from sqlmodel import Session

from clinic_app.core import clock, db, periodic
from clinic_app.core.errors import AuthenticationRequired, PermissionDenied, Unavailable
from clinic_app.models.accounts import Account
from clinic_app.models.imports import PATIENT_IMPORT_ROWS, PATIENT_IMPORTS, Decision, ImportState, RowOutcome
from clinic_app.services.access import SYSTEM, Actor, Permission
from clinic_app.services.accounts import sessions
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.recording import record, wake_lists
from clinic_app.services.patients.duplicates.holding import SomebodyNew
from clinic_app.services.patients.importing import csv_file, leases, screening, stored, taking_in
from clinic_app.services.patients.importing.csv_file import Record, Survey
from clinic_app.services.patients.importing.errors import FileRefused
from clinic_app.services.patients.importing.matching import Earlier, Judged, judge
from clinic_app.services.patients.importing.rows import ROW, ReadRow, read_rows

#: Rows read, judged and written together. The transaction that writes them takes some hundredths of a second.
BATCH = 250
#: A worker looks so often whether there is something to do, in seconds.
EVERY = 2.0
_PAUSE = 1.0
#: A file that belongs to no import any more goes after so long.
FORGOTTEN = dt.timedelta(minutes=10)
#: A batch is judged anew so often where somebody at a desk registers the same person at the same moment. After that
#: its rows are taken one by one, so that one that cannot be saved holds up no other.
_TRIES = 5
#: Open lists are woken so often, in seconds.
_WAKE = 1.0
GONE = "The file is not there any more. Choose it again."
NOT_SAVED = "This row could not be saved: one of its values clashes with another record."
_IMPORTS, _ROWS = PATIENT_IMPORTS.c, PATIENT_IMPORT_ROWS.c


class _Lost(Exception):
    """The import is not this process's any more: stopped, or taken over."""


@dataclass(frozen=True, slots=True)
class _Held:
    """An import this process works on, as it stood when it was taken, and on whose behalf."""

    run: Any
    lease: str
    actor: Actor

    @property
    def mine(self) -> list[Any]:
        """What must still be so."""
        return [_IMPORTS.id == self.run.id, _IMPORTS.lease == self.lease, _IMPORTS.state == self.run.state]


def _behalf(session: Session, started_by: int | None) -> Actor:
    """Who started it, as they are now. In no session: that may be over, and the work goes on."""
    if started_by is None:
        return SYSTEM
    account = session.get(Account, started_by)
    return sessions.actor_of(account, None, None) if account is not None and account.is_active else Actor("account")


def _take(import_id: int | None) -> _Held | None:
    busy = _IMPORTS.state.in_((ImportState.CHECKING, ImportState.IMPORTING))
    which = _IMPORTS.token.is_not(None) if import_id is None else _IMPORTS.id == import_id
    with db.reading() as session:
        rows = session.execute(select(PATIENT_IMPORTS).where(busy, which).order_by(_IMPORTS.id)).all()
    now = clock.now()
    free = [one for one in rows if leases.dead(one.lease) or one.leased_until is None or one.leased_until <= now]
    if not free:
        return None
    lease, before = leases.new(), free[0].lease
    unchanged = _IMPORTS.lease.is_(None) if before is None else _IMPORTS.lease == before
    with db.transaction() as session:
        run = session.execute(
            update(PATIENT_IMPORTS)
            .where(_IMPORTS.id == free[0].id, busy, unchanged)
            .values(lease=lease, leased_until=now + leases.LEASE)
            .returning(PATIENT_IMPORTS)
        ).one_or_none()
        return _Held(run, lease, _behalf(session, run.started_by_id)) if run is not None else None


def _advance(session: Session, held: _Held, **values: Any) -> None:
    """Note how far it is; raises ``_Lost`` where it is not this process's any more."""
    now = clock.now()
    fresh = {"leased_until": now + leases.LEASE, "changed_at": now, **values}
    changed = session.execute(update(PATIENT_IMPORTS).where(*held.mine).values(fresh).returning(_IMPORTS.id))
    if changed.one_or_none() is None:
        raise _Lost


def note(session: Session, actor: Actor, details: Mapping[str, Any]) -> None:
    """Building block: the event of an import as a whole: begun, checked, stopped, over."""
    record(session, actor, Action.PATIENT_IMPORT_RUN, resource_type="patient", details=details, changes_lists=True)


def _end(held: _Held, state: ImportState, **values: Any) -> None:
    over = {"state": state, "lease": None, "leased_until": None, **values}
    if state != ImportState.CHECKED:
        over["ended_at"] = clock.now()
    with transaction(SYSTEM) as session:
        _advance(session, held, **over)
        run = session.execute(select(PATIENT_IMPORTS).where(_IMPORTS.id == held.run.id)).one()
        counts = {"rows": run.rows, "imported": run.imported, "same": run.same}
        note(session, SYSTEM, {"import": run.id, "state": str(state), **counts})


# --- reading ------------------------------------------------------------------------------------------


def in_batches(records: Iterator[Record], readers: Executor | None = None) -> Iterator[list[ReadRow]]:
    """Rows read, some hundred at a time: here, or by ``readers``, which are then a few batches ahead."""
    pieces = iter(lambda: list(itertools.islice(records, BATCH)), [])
    if readers is None:
        yield from map(read_rows, pieces)
        return
    ahead = [readers.submit(read_rows, piece) for piece in itertools.islice(pieces, 4)]
    while ahead:
        found = ahead.pop(0).result()
        ahead += [readers.submit(read_rows, piece) for piece in itertools.islice(pieces, 1)]
        yield found


def _breath(gentle: bool, since: float) -> None:
    """Work half of the time only, so that desks on the same server feel nothing."""
    if gentle:
        time.sleep(min(0.5, time.monotonic() - since))


# --- checking -----------------------------------------------------------------------------------------


class _Checking:
    """One go through a file that says of each row what it is, and writes nothing but that."""

    def __init__(self, held: _Held, found: Survey) -> None:
        self.held, self.found, self.token = held, found, held.run.token
        self.counts = dict.fromkeys(RowOutcome, 0)
        self.total, self.woken = 0, 0.0

    def all(self, path: Path, gentle: bool) -> None:
        """Check every row. Raises ``FileRefused`` where there is none."""
        self._begin()
        with closing(Earlier(all_of_it=True)) as earlier:
            for reads in in_batches(csv_file.rows(path, self.found)):
                since = time.monotonic()
                with db.reading() as session:
                    judged = judge(session, reads, earlier, lambda one: one.outcome == RowOutcome.NEW, whole=False)
                self._note(judged, reads[-1].end)
                _breath(gentle, since)
        if not self.total:
            raise FileRefused("The file has no rows below its first line.")

    def _begin(self) -> None:
        with db.transaction() as session:
            session.execute(delete(PATIENT_IMPORT_ROWS).where(_ROWS.import_id == self.held.run.id))
            zero = {"position": 0, "rows": 0, "new": 0, "duplicates": 0, "invalid": 0}
            left_out = list(self.found.left_out)
            _advance(session, self.held, digest=self.found.digest, left_out_columns=left_out, **zero)
            stored.begin_rows(self.token)

    def _note(self, judged: list[Judged], end: int) -> None:
        before = self.total
        self.total += len(judged)
        for one in judged:
            self.counts[one.outcome] += 1
        with db.transaction() as session:
            _keep(session, self.held.run.id, judged, {})
            _advance(
                session,
                self.held,
                position=end,
                rows=self.total,
                new=self.counts[RowOutcome.NEW],
                duplicates=self.counts[RowOutcome.POSSIBLE_DUPLICATE],
                invalid=self.counts[RowOutcome.INVALID],
            )
            # Only now, and before anybody else may: whoever stalled for so long that another took over is out above.
            stored.add_rows(self.token, ((one.read.start, one.read.row, one.outcome) for one in judged), after=before)
            self.woken = _wake(session, self.woken)


def _wake(session: Session, woken: float) -> float:
    now = time.monotonic()
    if now - woken < _WAKE:
        return woken
    wake_lists(session)
    return now


def _keep(session: Session, import_id: int, judged: Iterable[Judged], decided: Mapping[int, Any]) -> None:
    """The rows that do not simply go in, with why; what was decided about them stays."""
    left = [one for one in judged if one.outcome != RowOutcome.NEW or one.read.row in decided]
    if not left:
        return
    numbers = [one.read.row for one in left if one.read.row in decided]
    if numbers:
        session.execute(delete(PATIENT_IMPORT_ROWS).where(_ROWS.import_id == import_id, _ROWS.row.in_(numbers)))
    rows = []
    for one in left:
        before = decided.get(one.read.row)
        rows.append(
            {
                "import_id": import_id,
                "row": one.read.row,
                "line": one.read.line,
                "outcome": str(one.outcome),
                "errors": dict(one.errors or one.clashes),  # why one that looks alike could not go in either
                "candidates": [match.as_json() for match in one.matches],
                "typed": dict(one.read.typed),
                "decision": before.decision if before else None,
                "same_id": before.same_id if before else None,
                "settled": False,
            }
        )
    session.execute(insert(PATIENT_IMPORT_ROWS), rows)


# --- taking in ----------------------------------------------------------------------------------------


def _decided(session: Session, import_id: int, reads: Sequence[ReadRow]) -> dict[int, Any]:
    rows = session.execute(
        select(_ROWS.row, _ROWS.outcome, _ROWS.decision, _ROWS.same_id, _ROWS.settled).where(
            _ROWS.import_id == import_id, _ROWS.row.between(reads[0].row, reads[-1].row)
        )
    )
    return {row.row: row for row in rows}


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to become of a batch."""

    takes: list[Judged]
    same: list[tuple[Judged, int]]
    left: list[Judged]
    #: Those of ``takes`` that go in because nobody is likely the same, not because somebody said so.
    unlike: list[Judged]
    #: How many patients there were before they were compared with them.
    since: int = 0


def wanted(one: Judged, decision: str | None, allow_duplicates: bool) -> Judged:
    """``one`` as it stands after what was decided: new where it is to go in, invalid where that cannot be."""
    if one.outcome != RowOutcome.POSSIBLE_DUPLICATE or decision == Decision.LEAVE_OUT:
        return one
    if decision != Decision.IMPORT_ANYWAY and not allow_duplicates:
        return one
    outcome = RowOutcome.INVALID if one.clashes else RowOutcome.NEW
    return Judged(one.read, outcome, one.clashes, one.matches, one.clashes)


def _planned(judged: Sequence[Judged], decided: Mapping[int, Any], allow_duplicates: bool, since: int) -> _Plan:
    plan = _Plan([], [], [], [], since)
    for one in judged:
        before = decided.get(one.read.row)
        decision = before.decision if before else None
        after = wanted(one, decision, allow_duplicates)
        if decision == Decision.SAME_PERSON and before and before.same_id and one.read.form is not None:
            plan.same.append((one, before.same_id))
        elif after.outcome == RowOutcome.NEW and decision != Decision.LEAVE_OUT:
            plan.takes.append(after)
            if after is one:
                plan.unlike.append(one)
        else:
            plan.left.append(after)
    return plan


class _TakingIn:
    """One go through a file that takes patients in."""

    def __init__(self, held: _Held, found: Survey, gentle: bool) -> None:
        self.held, self.found, self.gentle = held, found, gentle
        self.run = held.run
        self.woken = 0.0

    def all(self, path: Path, readers: Executor | None, done: Callable[[int], None]) -> None:
        run = self.run
        records = csv_file.rows(path, self.found, start=run.position, row=run.next_row, line=run.next_line)
        with closing(Earlier()) as earlier:
            for reads in in_batches(records, readers):
                since = time.monotonic()
                self._batch(reads, earlier)
                earlier.forget()
                done(reads[-1].end)
                _breath(self.gentle, since)

    def _batch(self, reads: list[ReadRow], earlier: Earlier) -> None:
        for attempt in range(_TRIES):
            earlier.forget()
            with db.reading() as session:
                since = screening.given(session)  # first: whoever has a higher number was not compared
                decided = _decided(session, self.run.id, reads)
                through = self.run.done_through
                due = [
                    one
                    for one in reads
                    if (one.row > through and one.row not in decided)
                    or (one.row in decided and not decided[one.row].settled)
                ]
                judged = judge(session, due, earlier, functools.partial(self._goes_in, decided), whole=False)
            plan = _planned(judged, decided, self.run.allow_duplicates, since)
            try:
                self._write(reads, plan, decided)
            except (IntegrityError, DataError, SomebodyNew):  # somebody at a desk was quicker: looked at again
                if attempt == _TRIES - 1:
                    self._one_by_one(reads, judged, decided, earlier)
            else:
                return

    def _one_by_one(
        self, reads: list[ReadRow], judged: Sequence[Judged], decided: Mapping[int, Any], earlier: Earlier
    ) -> None:
        if len(reads) > 1:
            for one in reads:
                self._batch([one], earlier)
            return
        left = [Judged(one.read, RowOutcome.INVALID, {ROW: NOT_SAVED}, one.matches, one.clashes) for one in judged]
        self._write(reads, _Plan([], [], left, []), decided)

    def _goes_in(self, decided: Mapping[int, Any], one: Judged) -> bool:
        before = decided.get(one.read.row)
        decision = before.decision if before else None
        if decision in (Decision.SAME_PERSON, Decision.LEAVE_OUT):
            return False
        return wanted(one, decision, self.run.allow_duplicates).outcome == RowOutcome.NEW

    def _write(self, reads: list[ReadRow], plan: _Plan, decided: Mapping[int, Any]) -> None:
        run_id = self.run.id
        with transaction(self.held.actor) as session:
            _advance(session, self.held)  # first: whoever has lost it writes nothing
            left, same = list(plan.left), []
            for one, patient in plan.same:
                why = taking_in.same_person(session, self.held.actor, patient, one.read.external_id)
                if why:
                    left.append(Judged(one.read, one.outcome, {"external_id": why}, one.matches, one.clashes))
                else:
                    same.append(one)
            patients = taking_in.add_patients(session, self.held.actor, [one.read for one in plan.takes], run_id)
            taking_in.look_again(session, [one.read for one in plan.unlike], plan.since, patients)
            _keep(session, run_id, left, decided)
            settled = [one.read.row for one in (*plan.takes, *same) if one.read.row in decided]
            if settled:
                session.execute(
                    update(PATIENT_IMPORT_ROWS)
                    .where(_ROWS.import_id == run_id, _ROWS.row.in_(settled))
                    .values(settled=True)
                )
            last = reads[-1]
            values: dict[str, Any] = {
                "position": last.end,
                "next_row": last.row + 1,
                "next_line": last.next_line,
                "done_through": func.max(_IMPORTS.done_through, last.row)
                if session.get_bind().dialect.name == "sqlite"
                else func.greatest(_IMPORTS.done_through, last.row),
                "imported": _IMPORTS.imported + len(patients),
                "same": _IMPORTS.same + len(same),
            }
            if patients:
                values["last_patient_id"] = patients[-1]
                values["first_patient_id"] = func.coalesce(_IMPORTS.first_patient_id, patients[0])
            _advance(session, self.held, **values)
            self.woken = _wake(session, self.woken)


# --- who works ----------------------------------------------------------------------------------------


def work_on(
    import_id: int | None = None,
    *,
    path: Path | None = None,
    found: Survey | None = None,
    readers: Executor | None = None,
    done: Callable[[int], None] = lambda _: None,
    gentle: bool = False,
) -> bool:
    """Work on the import that waits, until it is over, stopped, or another process has it; False: there is none.

    ``path`` is the file where it is not one of ours, ``found`` what it was looked over as. ``done`` is told the byte up
    to which all is done. ``gentle``: beside a server's own work. For the server itself and the command line.
    """
    held = _take(import_id)
    if held is None:
        return False
    try:
        if not held.actor.can(Permission.PATIENT_IMPORT):
            _end(held, ImportState.ENDED)
            return True
        file = path or stored.file_of(held.run.token)
        if held.run.state == ImportState.CHECKING:
            _Checking(held, csv_file.survey(file)).all(file, gentle)
            _end(held, ImportState.CHECKED)
            return True
        _TakingIn(held, found or csv_file.survey(file), gentle).all(file, readers, done)
        _end(held, ImportState.DONE)
        if held.run.token:
            stored.remove(held.run.token)
    except _Lost:
        pass
    except FileRefused as error:
        # What is in stays in: it was read before the file was changed.
        over = ImportState.REFUSED if held.run.state == ImportState.CHECKING else ImportState.STOPPED
        _end(held, over, reason=error.sentence[:300])
    except OSError:
        _end(held, ImportState.REFUSED, reason=GONE)
    except Unavailable:
        time.sleep(_PAUSE)
        _give_back(held)
    except (AuthenticationRequired, PermissionDenied):
        _end(held, ImportState.ENDED)
    return True


def _give_back(held: _Held) -> None:
    with db.transaction() as session:
        session.execute(update(PATIENT_IMPORTS).where(*held.mine).values(lease=None, leased_until=None))


def tidy_files(older: dt.timedelta = FORGOTTEN) -> int:
    """Remove files whose import is gone, and that nobody wrote to for so long; returns how many. For the server."""
    with db.reading() as session:
        kept = set(session.execute(select(_IMPORTS.token).where(_IMPORTS.token.is_not(None))).scalars())
    return stored.remove_others(kept, time.time() - older.total_seconds())


def working() -> AbstractAsyncContextManager[None]:
    """Go on with whatever import there is, for as long as the block lasts: a lifespan task of each worker."""
    tidied = 0.0

    async def work() -> None:
        nonlocal tidied
        await asyncio.to_thread(work_on, gentle=True)
        if time.monotonic() - tidied > FORGOTTEN.total_seconds():
            tidied = time.monotonic()
            await asyncio.to_thread(tidy_files)

    return periodic.running(work, EVERY, failed="import_failed")
