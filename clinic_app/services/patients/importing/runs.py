"""Imports by an administrator: a file sent in parts, looked at before anything is written, decided, begun, stopped."""

from __future__ import annotations

import datetime as dt
import secrets
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import PurePath
from typing import Any

from sqlalchemy import ColumnElement, Text, case, cast, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from clinic_app.core import clock, csv_safe, db
from clinic_app.core.errors import InvalidInput
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.models.imports import PATIENT_IMPORT_ROWS, PATIENT_IMPORTS, Decision, ImportState, RowOutcome
from clinic_app.models.patients import PATIENTS
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.together import record_alone
from clinic_app.services.patients import birth_dates, wording
from clinic_app.services.patients.forms import LABELS
from clinic_app.services.patients.importing import csv_file, leases, stored
from clinic_app.services.patients.importing.csv_file import COLUMNS, Survey
from clinic_app.services.patients.importing.errors import (
    FileRefused,
    ImportUnderWay,
    NoSuchImport,
    NoSuchRow,
    PartOutOfPlace,
)
from clinic_app.services.patients.importing.matching import Match, named, with_name
from clinic_app.services.patients.importing.views import Alike, EarlierImport, FileRow, ImportView
from clinic_app.services.patients.importing.work import note
from clinic_app.services.patients.wording import full_name
from clinic_app.services.rates import rates

PAGE_SIZE = 25
#: So many of the imports that are over are listed.
EARLIER = 10
#: A part of a file is at most so large, in bytes: less than any request may be.
LARGEST_PART = 512 * 1024
TOO_LARGE = "The file is larger than 200 MB. Split it, or use the command line."
_IMPORTS, _ROWS = PATIENT_IMPORTS.c, PATIENT_IMPORT_ROWS.c
_BUSY = (ImportState.CHECKING, ImportState.IMPORTING)
_OVER = (ImportState.DONE, ImportState.STOPPED, ImportState.ENDED)
_BEFORE = (ImportState.RECEIVING, ImportState.CHECKING, ImportState.CHECKED, ImportState.REFUSED)


def _called(name: str) -> str:
    plain = "".join(char for char in PurePath(name.replace("\\", "/")).name if char.isprintable())
    return plain[:200] or "patients.csv"


def _of(session: Session, import_id: object, *states: ImportState, lock: bool = False) -> Any:
    if type(import_id) is not int or not 0 < import_id < 2**31:
        raise NoSuchImport
    statement = select(PATIENT_IMPORTS).where(_IMPORTS.id == import_id)
    found = session.execute(statement.with_for_update() if lock else statement).one_or_none()
    if found is None or (states and found.state not in states):
        raise NoSuchImport
    return found


# --- the file ----------------------------------------------------------------------------------------


def begin_upload(actor: Actor, name: str, size: int) -> int:
    """Announce a file of ``size`` bytes, which comes in parts; returns the number of the import.

    For administrators. What the same person has begun to send before is dropped. Raises ``FileRefused``,
    ``ImportUnderWay``, ``PermissionDenied``, ``TooManyRequests``.
    """
    demand(actor, Permission.PATIENT_IMPORT, resource_type="patient")
    rates().spend(actor, "bulk")
    if type(size) is not int or size <= 0:
        raise FileRefused("The file is empty.")
    if size > stored.LARGEST:
        raise FileRefused(TOO_LARGE)
    token, now = secrets.token_hex(16), clock.now()
    with transaction(actor) as session:
        _set_aside(session, actor)
        if session.execute(select(_IMPORTS.id).where(_IMPORTS.state.in_(_BUSY))).first():
            raise ImportUnderWay
        unfinished = (_IMPORTS.started_by_id == actor.account_id, _IMPORTS.state == ImportState.RECEIVING)
        dropped = list(session.execute(select(_IMPORTS.token).where(*unfinished)).scalars())
        session.execute(delete(PATIENT_IMPORTS).where(*unfinished))
        values = {"name": _called(name), "token": token, "size": size, "state": ImportState.RECEIVING}
        import_id = _add(session, actor, now, values)
        note(session, actor, {"import": import_id, "state": str(ImportState.RECEIVING), "bytes": size})
        stored.make(token)  # last: where the transaction fails after all, tidying removes it
    for one in dropped:
        stored.remove(one)
    return import_id


def _add(session: Session, actor: Actor, now: dt.datetime, values: dict[str, Any]) -> int:
    own = {"started_by_id": actor.account_id, "started_at": now, "changed_at": now}
    first = {"left_out_columns": [], "allow_duplicates": False, "position": 0, "next_row": 2, "next_line": 0}
    counts = dict.fromkeys(("rows", "new", "duplicates", "invalid", "imported", "same"), 0) | {"done_through": 1}
    statement = insert(PATIENT_IMPORTS).values(**{**first, **counts, **own, **values}).returning(_IMPORTS.id)
    return session.execute(statement).scalar_one()


def receive_part(actor: Actor, import_id: int, at: int, part: bytes) -> int:
    """Take the part of a file that begins at byte ``at``; returns how many bytes have come. With the last one the
    check begins. For whoever announced the file, an administrator. A part that came before is taken again.

    Raises ``PartOutOfPlace``, ``NoSuchImport``, ``FileRefused``, ``ImportUnderWay``, ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_IMPORT, resource_type="patient")
    with db.reading() as session:
        run = _of(session, import_id, ImportState.RECEIVING)
    if run.started_by_id != actor.account_id:
        raise NoSuchImport
    come = stored.received(run.token)
    if come < 0:
        raise NoSuchImport
    if not 0 <= at <= come or not part:
        raise PartOutOfPlace(come)
    if len(part) > LARGEST_PART or at + len(part) > run.size:
        raise FileRefused(TOO_LARGE)
    come = stored.append(run.token, part, at)
    if come == run.size:
        _begin_check(actor, run.id)
    return come


def _begin_check(actor: Actor, import_id: int) -> None:
    try:
        with transaction(actor) as session:
            _of(session, import_id, ImportState.RECEIVING, lock=True)
            _set_aside(session, actor)
            _turn(session, import_id, ImportState.CHECKING)
            note(session, actor, {"import": import_id, "state": str(ImportState.CHECKING)})
    except IntegrityError as error:
        raise (ImportUnderWay() if db.violated(error) == "uq_patient_imports_state" else error) from None


def _turn(session: Session, import_id: int, state: ImportState, **values: Any) -> None:
    fresh = {"state": state, "changed_at": clock.now(), "lease": None, "leased_until": None, **values}
    session.execute(update(PATIENT_IMPORTS).where(_IMPORTS.id == import_id).values(fresh))


def _set_aside(session: Session, actor: Actor) -> None:
    """Stop what the command line has begun and nobody works on any more: killed, and its file not given again since.

    Else it would be in everybody's way. What is in stays in; given its file again, it goes on.
    """
    now = clock.now()
    begun = select(PATIENT_IMPORTS).where(_IMPORTS.state == ImportState.IMPORTING, _IMPORTS.token.is_(None))
    for run in session.execute(begun.with_for_update()).all():
        # One that has no lease yet was begun just now.
        killed = run.lease is not None and leases.dead(run.lease)
        if killed or (run.leased_until or run.changed_at + leases.LEASE) <= now:
            _turn(session, run.id, ImportState.STOPPED, ended_at=now)
            note(session, actor, {"import": run.id, "state": str(ImportState.STOPPED)})


def begin_file(actor: Actor, name: str, found: Survey, *, allow_duplicates: bool = False) -> int:
    """Begin, or go on with, the import of a file that the caller reads itself; returns its number.

    For the command line. A file is known by its content: what of it is in is not taken in again, what was left out is
    tried again. Raises ``ImportUnderWay``, ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_IMPORT, resource_type="patient")
    now = clock.now()
    try:
        with transaction(actor) as session:
            same = _IMPORTS.digest == found.digest, _IMPORTS.state.in_((*_OVER, ImportState.IMPORTING))
            run = session.execute(
                select(PATIENT_IMPORTS).where(*same).order_by(_IMPORTS.id.desc()).limit(1).with_for_update()
            ).one_or_none()
            if run is not None and run.state == ImportState.IMPORTING:
                if run.token is not None:
                    raise ImportUnderWay
                session.execute(
                    update(PATIENT_IMPORTS)
                    .where(_IMPORTS.id == run.id)
                    .values(allow_duplicates=allow_duplicates, changed_at=now)
                )
                return run.id
            _set_aside(session, actor)
            begun = {"import_started_at": now, "allow_duplicates": allow_duplicates, "reason": None}
            if run is not None:
                goes_on = {} if run.state != ImportState.DONE else {"position": 0, "next_row": 2, "next_line": 0}
                _turn(session, run.id, ImportState.IMPORTING, **{"ended_at": None, "token": None, **begun, **goes_on})
                import_id = run.id
            else:
                about = {"name": _called(name), "token": None, "size": found.size, "digest": found.digest}
                left = {"left_out_columns": list(found.left_out)}
                import_id = _add(session, actor, now, {"state": ImportState.IMPORTING, **about, **left, **begun})
            note(session, actor, {"import": import_id, "state": str(ImportState.IMPORTING)})
    except IntegrityError as error:
        raise (ImportUnderWay() if db.violated(error) == "uq_patient_imports_state" else error) from None
    return import_id


# --- deciding ----------------------------------------------------------------------------------------


def decide_row(actor: Actor, import_id: int, row: int, decision: str, patient: int = 0) -> None:
    """Say what is to become of a possible duplicate (``Decision``); ``patient`` is the id of the same person.

    For administrators, before the import begins. Raises ``NoSuchRow``, ``NoSuchImport``, ``InvalidInput``,
    ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_IMPORT, resource_type="patient")
    try:
        chosen = Decision(decision)
    except ValueError:
        raise InvalidInput({"decision": "Choose one of the three."}) from None
    with transaction(actor) as session:
        _of(session, import_id, ImportState.CHECKED, lock=True)
        where = (_ROWS.import_id == import_id, _ROWS.row == row, _ROWS.outcome == RowOutcome.POSSIBLE_DUPLICATE)
        kept = session.execute(select(_ROWS.candidates).where(*where)).one_or_none()
        same = chosen == Decision.SAME_PERSON
        if kept is None or (same and patient not in {Match.kept(one).id for one in kept.candidates} - {0}):
            raise NoSuchRow
        values = {"decision": str(chosen), "same_id": patient if same else None}
        session.execute(update(PATIENT_IMPORT_ROWS).where(*where).values(values))
        _turn(session, import_id, ImportState.CHECKED)
        details = {"import": import_id, "row": row, "decision": str(chosen)}
        note(session, actor, details | ({"patient": patient} if same else {}))


def decide_rest(actor: Actor, import_id: int, *, import_them: bool) -> None:
    """Say what is to become of all possible duplicates that nothing was said about. For administrators, as above."""
    demand(actor, Permission.PATIENT_IMPORT, resource_type="patient")
    with transaction(actor) as session:
        _of(session, import_id, ImportState.CHECKED, lock=True)
        _turn(session, import_id, ImportState.CHECKED, allow_duplicates=import_them)
        note(session, actor, {"import": import_id, "allow_duplicates": import_them})


def discard_import(actor: Actor, import_id: int) -> None:
    """Drop a file of which nothing was taken in. For administrators; raises ``NoSuchImport``, ``PermissionDenied``."""
    demand(actor, Permission.PATIENT_IMPORT, resource_type="patient")
    with transaction(actor) as session:
        run = _of(session, import_id, *_BEFORE, lock=True)
        session.execute(delete(PATIENT_IMPORT_ROWS).where(_ROWS.import_id == run.id))
        session.execute(delete(PATIENT_IMPORTS).where(_IMPORTS.id == run.id))
        note(session, actor, {"import": run.id, "state": "DISCARDED"})
    if run.token:
        stored.remove(run.token)


def _stamp(run: Any) -> str:
    return str(run.changed_at.isoformat())


def _move(
    actor: Actor,
    import_id: int,
    before: Sequence[ImportState],
    after: ImportState,
    *,
    uploaded: bool = False,
    stamp: str = "",
    **values: Any,
) -> None:
    demand(actor, Permission.PATIENT_IMPORT, resource_type="patient")
    try:
        with transaction(actor) as session:
            run = _of(session, import_id, *before, lock=True)
            if (uploaded and run.token is None) or (stamp and stamp != _stamp(run)):
                raise NoSuchImport
            if after in _BUSY:
                _set_aside(session, actor)
            _turn(session, import_id, after, **values)
            note(session, actor, {"import": import_id, "state": str(after)})
    except IntegrityError as error:
        raise (ImportUnderWay() if db.violated(error) == "uq_patient_imports_state" else error) from None


def start_import(actor: Actor, import_id: int, stamp: str = "") -> None:
    """Take in what was checked, as it was decided. A worker does it; from now on it is ``actor``'s.

    For administrators. ``stamp`` is that of what was on the screen: where it was decided otherwise since, nothing
    begins. Raises ``NoSuchImport``, ``ImportUnderWay``, ``PermissionDenied``.
    """
    _move(
        actor,
        import_id,
        (ImportState.CHECKED,),
        ImportState.IMPORTING,
        stamp=stamp,
        position=0,
        next_row=2,
        next_line=0,
        import_started_at=clock.now(),
        started_by_id=actor.account_id,
    )


def stop_import(actor: Actor, import_id: int) -> None:
    """Stop: what is in stays in. For administrators; raises ``NoSuchImport``, ``PermissionDenied``."""
    _move(actor, import_id, (ImportState.IMPORTING,), ImportState.STOPPED, ended_at=clock.now())


def continue_import(actor: Actor, import_id: int) -> None:
    """Go on with one that was stopped, or whose starter may no longer: from now on it is ``actor``'s.

    For administrators, of a file that was uploaded. Raises ``NoSuchImport``, ``ImportUnderWay``, ``PermissionDenied``.
    """
    _move(
        actor,
        import_id,
        (ImportState.STOPPED, ImportState.ENDED),
        ImportState.IMPORTING,
        uploaded=True,
        ended_at=None,
        reason=None,
        started_by_id=actor.account_id,
    )


# --- looking -----------------------------------------------------------------------------------------


def latest_import(actor: Actor) -> int:
    """The number of the import that the page shows first: one that waits for something, else 0.

    For administrators; raises ``PermissionDenied``. Nothing about a patient is in it.
    """
    demand(actor, Permission.PATIENT_IMPORT, resource_type="patient")
    own = (_IMPORTS.started_by_id == actor.account_id) | _IMPORTS.state.in_(_BUSY)
    open_ones = (*_BUSY, ImportState.CHECKED, ImportState.REFUSED, ImportState.STOPPED, ImportState.ENDED)
    with db.reading() as session:
        found = session.execute(
            select(_IMPORTS.id)
            .where(own, _IMPORTS.state.in_(open_ones), _IMPORTS.token.is_not(None))
            .order_by(case((_IMPORTS.state.in_(_BUSY), 0), else_=1), _IMPORTS.id.desc())
            .limit(1)
        ).scalar_one_or_none()
    return found or 0


def earlier_imports(actor: Actor) -> tuple[EarlierImport, ...]:
    """Those that are over, the latest first. For administrators; raises ``PermissionDenied``."""
    demand(actor, Permission.PATIENT_IMPORT, resource_type="patient")
    left = (
        select(func.count())
        .select_from(PATIENT_IMPORT_ROWS)
        .where(_ROWS.import_id == _IMPORTS.id, ~_ROWS.settled)
        .scalar_subquery()
    )
    with db.reading() as session:
        rows = session.execute(
            select(
                _IMPORTS.id, _IMPORTS.name, _IMPORTS.state, _IMPORTS.ended_at, _IMPORTS.started_at, _IMPORTS.imported,
                _IMPORTS.same, ACCOUNTS.c.full_name, left.label("left_out"),
            )
            .join(ACCOUNTS, ACCOUNTS.c.id == _IMPORTS.started_by_id, isouter=True)
            .where(_IMPORTS.state.in_(_OVER))
            .order_by(_IMPORTS.id.desc())
            .limit(EARLIER)
        )  # fmt: skip
        return tuple(
            EarlierImport(
                row.id,
                row.name,
                row.state,
                row.full_name or "",
                row.ended_at or row.started_at,
                row.imported + row.same,
                row.left_out,
            )
            for row in rows
        )


def view_import(
    actor: Actor, import_id: int, *, only: str = "", page: int = 1, again: Collection[int] | None = None
) -> ImportView:
    """How an import stands, and a page of its rows: of those left out where it is over.

    For administrators. That patients are named, who may be the same as a row, is recorded before. ``again`` has the
    numbers of the rows on the screen, where that is drawn again by itself. Raises ``NoSuchImport``,
    ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_IMPORT, resource_type="patient")
    with db.reading() as session:
        run = _of(session, import_id)
        wanted = only if only in set(RowOutcome) else ""
        over = run.state in (*_OVER, ImportState.IMPORTING)
        left = _left(session, run.id)
        total = sum(left.values()) if over else run.rows
        if wanted:
            counts = left if over else Counter(new=run.new, possible_duplicate=run.duplicates, invalid=run.invalid)
            total = counts[wanted]
        pages = max(1, -(-total // PAGE_SIZE))
        page = min(max(page, 1), pages)
        shown = _shown(session, run, wanted, page) if run.state in (*_OVER, ImportState.CHECKED) else ()
        found = _view(session, run, left, over)
    named = {one.row for one in shown if any(alike.id for alike in one.alike)}
    if named and (again is None or not named <= set(again)):
        details = {"kind": "import", "import": run.id, "page": page, "count": len(named)}
        record_alone(actor, Action.PATIENT_LISTED, resource_type="patient", details=details)
    found["mine"] = run.started_by_id == actor.account_id
    more = {"shown": shown, "only": wanted, "page": page, "pages": pages, "total": total}
    return ImportView(**found, **more)


def _left(session: Session, import_id: int) -> Counter[str]:
    """How many rows were left out, by what they are."""
    rows = session.execute(
        select(_ROWS.outcome, func.count().label("number"))
        .where(_ROWS.import_id == import_id, ~_ROWS.settled)
        .group_by(_ROWS.outcome)
    )
    return Counter({row.outcome: row.number for row in rows})


def _view(session: Session, run: Any, left: Counter[str], over: bool) -> dict[str, Any]:
    by = session.execute(select(ACCOUNTS.c.full_name).where(ACCOUNTS.c.id == run.started_by_id)).scalar()
    same, anyway = _decided(session, run)
    earlier = session.execute(
        select(func.max(_IMPORTS.ended_at)).where(
            _IMPORTS.digest == run.digest, _IMPORTS.id != run.id, _IMPORTS.state.in_(_OVER)
        )
    ).scalar()
    return {
        "id": run.id,
        "name": run.name,
        "state": run.state,
        "stamp": _stamp(run),
        "size": run.size,
        "done": max(0, stored.received(run.token)) if run.state == ImportState.RECEIVING else run.position,
        "left_out_columns": tuple(run.left_out_columns),
        "rows": run.rows,
        "new": run.new,
        "duplicates": left[RowOutcome.POSSIBLE_DUPLICATE] if over else run.duplicates,
        "invalid": left[RowOutcome.INVALID] if over else run.invalid,
        "goes_in": run.new + anyway,
        "imported": run.imported,
        "same": run.same if over else same,
        "allow_duplicates": run.allow_duplicates,
        "reason": run.reason or "",
        "uploaded": run.token is not None,
        "first_patient_id": run.first_patient_id or "",
        "last_patient_id": run.last_patient_id or "",
        "started_by": by or "",
        "started_at": run.started_at,
        "import_started_at": run.import_started_at,
        "ended_at": run.ended_at,
        "earlier": earlier,
    }


def _decided(session: Session, run: Any) -> tuple[int, int]:
    """How many rows are somebody who is there, and how many possible duplicates go in all the same."""
    clashes = (cast(_ROWS.errors, Text) != "{}").label("clashes")
    rows = session.execute(
        select(_ROWS.decision, clashes, func.count().label("number"))
        .where(_ROWS.import_id == run.id)
        .group_by(_ROWS.decision, clashes)
    ).all()
    goes_in = {Decision.IMPORT_ANYWAY, None} if run.allow_duplicates else {Decision.IMPORT_ANYWAY}
    return (
        sum(row.number for row in rows if row.decision == Decision.SAME_PERSON),
        sum(row.number for row in rows if row.decision in goes_in and not row.clashes),
    )


def _shown(session: Session, run: Any, only: str, page: int) -> tuple[FileRow, ...]:
    first = (page - 1) * PAGE_SIZE
    where: list[ColumnElement[bool]] = [_ROWS.import_id == run.id]
    if run.state != ImportState.CHECKED or only in (RowOutcome.POSSIBLE_DUPLICATE, RowOutcome.INVALID):
        if only:
            where.append(_ROWS.outcome == only)
        kept = session.execute(
            select(PATIENT_IMPORT_ROWS).where(*where, ~_ROWS.settled).order_by(_ROWS.row).limit(PAGE_SIZE).offset(first)
        ).all()
        return _file_rows(session, kept)
    path = stored.file_of(run.token)
    try:
        noted = stored.rows_noted(run.token, first, PAGE_SIZE, RowOutcome(only) if only else None)
        found = csv_file.survey_header(path)
    except OSError:
        raise NoSuchImport from None
    numbers = [row for _, row, outcome in noted if outcome != RowOutcome.NEW]
    kept = session.execute(select(PATIENT_IMPORT_ROWS).where(*where, _ROWS.row.in_(numbers))).all()
    others = {one.row: one for one in _file_rows(session, kept)}
    rows = []
    for start, row, _ in noted:
        record = None if row in others else csv_file.row_at(path, found, start, row)
        rows.append(others.get(row) or _new_row(row, record.values if record else {}))
    return tuple(rows)


def _new_row(row: int, typed: Any) -> FileRow:
    return FileRow(row, _name(typed), _born(typed), str(RowOutcome.NEW))


def _name(typed: Any) -> str:
    return " ".join(full_name(typed.get("first_name", ""), typed.get("last_name", "")).split())[:200]


def _born(typed: Any) -> str:
    text = typed.get("date_of_birth", "")[:40]
    found = birth_dates.understood(text.lstrip("'"))
    return wording.birth_words(found).partition(",")[0] if found else text


def _file_rows(session: Session, kept: Sequence[Any]) -> tuple[FileRow, ...]:
    matches = {one.row: [Match.kept(each) for each in one.candidates] for one in kept}
    ids = sorted({each.id for some in matches.values() for each in some if each.id})
    patients = PATIENTS.c
    who = {
        row.id: row
        for row in session.execute(
            select(patients.id, patients.patient_id, patients.first_name, patients.last_name).where(
                patients.id.in_(ids)
            )
        )
    }

    def alike(one: Match) -> Alike | None:
        if not one.id:
            return Alike(0, "", "", one.row, str(one.grade), one.reasons)
        row = who.get(one.id)
        if row is None:
            return None
        name = full_name(row.first_name, row.last_name)
        return Alike(row.id, row.patient_id, name, 0, str(one.grade), one.reasons)

    return tuple(
        FileRow(
            one.row,
            _name(one.typed),
            _born(one.typed),
            one.outcome,
            tuple(one.errors.values()),
            tuple(found for each in matches[one.row] if (found := alike(each))),
            one.decision or "",
            one.same_id or 0,
        )
        for one in kept
    )


# --- the report as a file ----------------------------------------------------------------------------

_HEADER = ("row", "outcome", "reasons", "possible_duplicate_of")
_PIECE = 500


def export_report(actor: Actor, import_id: int) -> Iterator[str]:
    """The rows left out as CSV: row, what it is and why, and the row as it stands in the file, to be corrected.

    For administrators. Recorded before the first line leaves. Raises ``NoSuchImport``, ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_IMPORT, resource_type="patient")
    with transaction(actor) as session:
        run = _of(session, import_id, *_OVER)
        count = sum(_left(session, run.id).values())
        note(session, actor, {"import": run.id, "report": True, "count": count})
    return _report(run.id)


def rows_left_out(actor: Actor, import_id: int) -> Iterator[dict[str, Any]]:
    """The same for programs: ``row``, ``external_id``, ``outcome``, ``errors``, ``candidates``, and the ``values`` as
    they stand in the file. For the command line; recorded as the file is."""
    demand(actor, Permission.PATIENT_IMPORT, resource_type="patient")
    with transaction(actor) as session:
        run = _of(session, import_id)
        note(session, actor, {"import": run.id, "report": True, "count": sum(_left(session, run.id).values())})
    return _lines(run.id)


def _lines(import_id: int) -> Iterator[dict[str, Any]]:
    for kept in _kept_in_pieces(import_id):
        with db.reading() as session:
            who = named(session, (Match.kept(each) for one in kept for each in one.candidates))
        for one in kept:
            matches = [with_name(Match.kept(each), who) for each in one.candidates]
            yield {
                "row": one.row,
                "external_id": one.typed.get("external_id") or None,
                "outcome": one.outcome,
                "errors": one.errors,
                "candidates": [match.told() for match in matches],
                "values": one.typed,
            }


def _kept_in_pieces(import_id: int) -> Iterator[Sequence[Any]]:
    after = 0
    while True:
        with db.reading() as session:
            kept = session.execute(
                select(PATIENT_IMPORT_ROWS)
                .where(_ROWS.import_id == import_id, _ROWS.row > after, ~_ROWS.settled)
                .order_by(_ROWS.row)
                .limit(_PIECE)
            ).all()
        if not kept:
            return
        yield kept
        after = kept[-1].row


def _report(import_id: int) -> Iterator[str]:
    columns = [name for name in COLUMNS if name in LABELS or name.startswith("date_of_birth_")]
    yield "".join(csv_safe.lines([(*_HEADER, *columns)]))
    for kept in _kept_in_pieces(import_id):
        with db.reading() as session:
            rows = {one.row: one for one in _file_rows(session, kept)}
        yield "".join(
            csv_safe.lines(
                (
                    one.row,
                    one.outcome,
                    " ".join(str(said) for said in one.errors.values()),
                    " | ".join(_alike_words(each) for each in rows[one.row].alike),
                    *[csv_safe.original(one.typed.get(name, "")) for name in columns],
                )
                for one in kept
            )
        )


def _alike_words(one: Alike) -> str:
    who = one.patient_id or f"row {one.row}"
    return f"{who}: {', '.join(one.reasons)}"
