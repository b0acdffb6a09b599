"""Pairs of records that may be one person: the work list, *Not a duplicate*, and what is known of one pair."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlmodel import Session

from clinic_app.core import clock, db
from clinic_app.core.paging import Page, window
from clinic_app.models.duplicates import DUPLICATE_PAIRS, WAITING_COMPARISONS
from clinic_app.models.patients import PATIENTS, Patient
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit import reading
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.recording import record
from clinic_app.services.audit.together import record_alone
from clinic_app.services.patients import looks, merged_keys, repository
from clinic_app.services.patients.duplicates import Candidate, Grade, likely_matches
from clinic_app.services.patients.duplicates.finding import BY_MERGED
from clinic_app.services.patients.errors import NotAPair, PairChanged, PatientNotFound, SameRecord
from clinic_app.services.patients.looks import Seen
from clinic_app.services.patients.views import Likeness, Pair, PairNumbers, PatientSummary, PossibleDuplicate
from clinic_app.services.rates import LISTS, rates

PAGE_SIZE = 10
#: The grades, the most urgent first; a row has the number.
GRADES: tuple[str, ...] = (Grade.CERTAIN.value, Grade.LIKELY.value, Grade.POSSIBLE.value)
SET_ASIDE = "set aside"
#: So many of the likeliest matches of each record are kept, and of those that are only possible, these.
MOST, LEAST = 25, 0.1
_PAIRS = DUPLICATE_PAIRS.c


def rank_of(grade: str) -> int:
    """A grade as rows have it."""
    return GRADES.index(grade) + 1


def _likeness(row: Any) -> Likeness:
    return Likeness(GRADES[row.rank - 1], row.score, tuple(row.reasons), row.set_aside_at)


# --- how many -------------------------------------------------------------------------------------


@dataclass
class _Kept:
    """What was counted last in this process, and for which state of the database."""

    change: int = -1
    numbers: PairNumbers | None = None


_kept, _one = _Kept(), threading.Lock()


def _count(session: Session) -> PairNumbers:
    by_rank = session.execute(
        select(_PAIRS.rank, func.count().label("number")).where(_PAIRS.set_aside_at.is_(None)).group_by(_PAIRS.rank)
    )
    found = {row.rank: row.number for row in by_rank}
    aside = select(func.count()).select_from(DUPLICATE_PAIRS).where(_PAIRS.set_aside_at.is_not(None))
    waiting = select(func.count()).select_from(WAITING_COMPARISONS)
    return PairNumbers(
        {grade: found.get(rank_of(grade), 0) for grade in GRADES},
        session.execute(aside).scalar_one(),
        session.execute(waiting).scalar_one(),
    )


def _numbers() -> PairNumbers:
    """As ``_count``, once for every change and not once for every open page."""
    change = reading.change_number()
    with _one:
        if _kept.numbers is None or _kept.change != change:
            with db.reading() as session:
                _kept.numbers = _count(session)
            _kept.change = change
        return _kept.numbers


def forget_numbers() -> None:
    """For tests: another database may be at the same change."""
    _kept.numbers = None


def count_pairs(actor: Actor) -> PairNumbers:
    """How many pairs there are, by grade. For receptionists and administrators. Raises ``PermissionDenied``."""
    demand(actor, Permission.DUPLICATES)
    return _numbers()


# --- which ----------------------------------------------------------------------------------------


def _some(session: Session, where: list[ColumnElement[bool]], by: Any, size: int, skip: int) -> list[Any]:
    """Some of these pairs by their index, backwards: highest first, and of equal ones the newest."""
    order = by.desc(), _PAIRS.low_id.desc(), _PAIRS.high_id.desc()
    return list(session.execute(select(DUPLICATE_PAIRS).where(*where).order_by(*order).limit(size).offset(skip)).all())


def _open_pairs(session: Session, numbers: PairNumbers, grades: Iterable[str], size: int, skip: int) -> list[Any]:
    """Some of the pairs of these grades, the surest first: one grade after the other, so that none has to be sorted."""
    found: list[Any] = []
    for grade in grades:
        if skip < numbers.grades[grade] and len(found) < size:
            where = [_PAIRS.set_aside_at.is_(None), _PAIRS.rank == rank_of(grade)]
            found += _some(session, where, _PAIRS.score, size - len(found), skip)
        skip = max(0, skip - numbers.grades[grade])
    return found


def list_pairs(
    actor: Actor, grade: str = "", page: int = 1, *, again: Collection[int] | None = None
) -> tuple[Page[Pair], PairNumbers]:
    """One page of pairs: of one grade, or all, the surest first; ``SET_ASIDE``: those said to be two, latest first.

    For receptionists and administrators. A page beyond the end is the last one. Recorded before it is shown; ``again``
    has the ids of who is on the screen, where that is drawn again after somebody's change. Raises ``TooManyLists``,
    ``PermissionDenied``.
    """
    demand(actor, Permission.DUPLICATES, resource_type="patient")
    if again is None:
        rates().spend(actor, LISTS)
    aside = grade == SET_ASIDE
    with db.reading() as session:
        numbers = _count(session)
        total = numbers.set_aside if aside else numbers.grades[grade] if grade in GRADES else numbers.total
        rows = window(page, PAGE_SIZE, total)
        if aside:
            found = _some(session, [_PAIRS.set_aside_at.is_not(None)], _PAIRS.set_aside_at, rows.size, rows.skip)
        else:
            found = _open_pairs(session, numbers, [grade] if grade in GRADES else GRADES, rows.size, rows.skip)
        people = _people(session, [ident for row in found for ident in (row.low_id, row.high_id)])
    shown = rows.page(Pair(*_in_order(people[row.low_id], people[row.high_id]), _likeness(row)) for row in found)
    everybody = [one for pair in shown.items for one in (pair.first, pair.second)]
    if everybody and looks.anybody_new(everybody, again):
        kind = "pairs said to be two" if aside else "possible duplicates"
        details = {"kind": kind, "page": shown.number, "count": len(everybody)}
        record_alone(actor, Action.PATIENT_LISTED, resource_type="patient", details=details)
    return shown, numbers


def _people(session: Session, ids: Collection[int]) -> dict[int, PatientSummary]:
    rows = session.execute(repository.summaries().where(PATIENTS.c.id.in_(sorted(set(ids))))) if ids else ()
    return {one.id: one for one in repository.summaries_of(session, rows)}


def _in_order(one: PatientSummary, other: PatientSummary) -> tuple[PatientSummary, PatientSummary]:
    first, second = sorted((one, other), key=lambda patient: (patient.created_at, patient.id))
    return first, second


def of(session: Session, one: int, other: int) -> Likeness:
    """Building block: what is known of a pair, or what the matcher says of it now."""
    low, high = sorted((one, other))
    row = session.execute(select(DUPLICATE_PAIRS).where(_PAIRS.low_id == low, _PAIRS.high_id == high)).one_or_none()
    if row is not None:
        return _likeness(row)
    found = next((match for match in _matches(session, low) if match.id == high), None)
    return Likeness(found.grade, found.score, found.reasons) if found is not None else Likeness()


def matches_of(session: Session, patient: Any) -> list[Candidate]:
    """Building block: the likeliest matches of a patient's row that are worth somebody's look, ``MOST`` at most.

    What records merged into it say counts as its own.
    """
    found = likely_matches(session, patient, leave_out=[patient.id], limit=MOST)
    if merged := merged_keys.merged_into(session, patient.id):
        for one in merged:
            more = likely_matches(session, one, leave_out=[patient.id], limit=MOST)
            found += [replace(match, reasons=tuple(dict.fromkeys((*match.reasons, BY_MERGED)))) for match in more]
        found.sort(key=lambda match: (not match.grade.strong, -match.score, match.id))
        best: dict[int, Candidate] = {}
        for match in found:
            best.setdefault(match.id, match)
        found = list(best.values())[:MOST]
    return [match for match in found if worth_a_look(match)]


def worth_a_look(match: Candidate) -> bool:
    """Whether a pair with this match goes into the work list."""
    return match.grade.strong or match.score >= LEAST


def _matches(session: Session, patient_id: int) -> list[Candidate]:
    return matches_of(session, session.execute(select(PATIENTS).where(PATIENTS.c.id == patient_id)).one())


def duplicates_of(actor: Actor, key: int | str) -> tuple[PossibleDuplicate, ...]:
    """The records that may be the same person as ``key``, the likeliest first, but those said to be somebody else.

    For receptionists and administrators. Recorded: the look at ``key``, and the list. Raises ``PatientNotFound``,
    ``PatientMerged``, ``TooManyLists``, ``PermissionDenied``.
    """
    demand(actor, Permission.DUPLICATES, resource_type="patient")
    rates().spend(actor, LISTS)
    with transaction(actor) as session:
        patient = repository.find(session, key, Seen.BESIDE)
        ident = patient.id or 0
        aside = set_aside_ids(session, ident)
        found = [match for match in _matches(session, ident) if match.id not in aside]
        people = _people(session, [match.id for match in found])
        if found:
            details = {"kind": "possible duplicates", "page": 1, "count": len(found)}
            record(session, actor, Action.PATIENT_LISTED, resource_type="patient", details=details)
    return tuple(
        PossibleDuplicate(people[match.id], Likeness(match.grade, match.score, match.reasons))
        for match in found
        if match.id in people
    )


def set_aside_ids(session: Session, patient_id: int) -> frozenset[int]:
    """Building block: the records said not to be this person, as far as neither has changed since."""
    low, high = PATIENTS.alias(), PATIENTS.alias()
    rows = session.execute(
        select(_PAIRS.low_id, _PAIRS.high_id)
        .join(low, low.c.id == _PAIRS.low_id)
        .join(high, high.c.id == _PAIRS.high_id)
        .where(
            or_(_PAIRS.low_id == patient_id, _PAIRS.high_id == patient_id),
            _PAIRS.set_aside_at.is_not(None),
            _PAIRS.low_version == low.c.version,
            _PAIRS.high_version == high.c.version,
        )
    )
    return frozenset(row.high_id if row.low_id == patient_id else row.low_id for row in rows)


def forget_record(session: Session, patient_id: int) -> None:
    """Building block: a record that is not in use any more is in no pair."""
    session.execute(delete(DUPLICATE_PAIRS).where(_of(patient_id)))


def _of(patient_id: int) -> Any:
    return or_(_PAIRS.low_id == patient_id, _PAIRS.high_id == patient_id)


# --- two people -----------------------------------------------------------------------------------


def _both(session: Session, one: int | str, other: int | str) -> tuple[Patient, Patient]:
    """Both records, locked in one order, the lower id first."""
    ids = [repository.find(session, key, Seen.UNSHOWN).id or 0 for key in (one, other)]
    if ids[0] == ids[1]:
        raise SameRecord("other")
    session.expire_all()
    low, high = (repository.find(session, ident, Seen.CHANGED, lock=True) for ident in sorted(ids))
    if not (low.is_active and high.is_active):
        raise PatientNotFound
    return low, high


def say_not_duplicate(actor: Actor, one: int | str, other: int | str, stamp: str = "") -> None:
    """*Not a duplicate*: these are two people. The pair is shown no more until either record changes.

    For receptionists and administrators. Saying it twice changes nothing. ``stamp`` is the versions that were looked
    at (``versions_of``); empty: whatever they are. Raises ``SameRecord``, ``PairChanged``, ``PatientNotFound``,
    ``PatientMerged``, ``PermissionDenied``.
    """
    demand(actor, Permission.DUPLICATES, resource_type="patient")
    with transaction(actor) as session:
        low, high = _both(session, one, other)
        if stamp and stamp != f"{low.version}-{high.version}":
            raise PairChanged
        like = of(session, low.id or 0, high.id or 0)
        if like.set_aside_at is not None and _as_it_was(session, low, high):
            return
        said = {
            "low_version": low.version,
            "high_version": high.version,
            "set_aside_at": clock.now(),
            "set_aside_by_id": actor.account_id,
        }
        fresh = {
            "low_id": low.id,
            "high_id": high.id,
            "rank": rank_of(like.grade or Grade.POSSIBLE),
            "score": like.score,
            "reasons": list(like.reasons),
            "found_at": clock.now(),
        }
        db.upsert(session, DUPLICATE_PAIRS, {**fresh, **said}, change=said)
        _note(session, actor, Action.NOT_A_DUPLICATE, low, high)


def _as_it_was(session: Session, low: Patient, high: Patient) -> bool:
    return (high.id or 0) in set_aside_ids(session, low.id or 0)


def take_back_not_duplicate(actor: Actor, one: int | str, other: int | str) -> None:
    """*Undo* of *Not a duplicate*: the pair is in the list again. Raises as that, and ``NotAPair``."""
    demand(actor, Permission.DUPLICATES, resource_type="patient")
    with transaction(actor) as session:
        low, high = _both(session, one, other)
        found = session.execute(
            update(DUPLICATE_PAIRS)
            .where(_PAIRS.low_id == low.id, _PAIRS.high_id == high.id, _PAIRS.set_aside_at.is_not(None))
            .values(set_aside_at=None, set_aside_by_id=None)
            .returning(_PAIRS.low_id)
        ).one_or_none()
        if found is None:
            raise NotAPair
        _note(session, actor, Action.NOT_A_DUPLICATE_UNDONE, low, high)


def _note(session: Session, actor: Actor, action: Action, low: Patient, high: Patient) -> None:
    for one, other in ((low, high), (high, low)):
        record(
            session,
            actor,
            action,
            resource_type="patient",
            resource_id=one.id,
            details={"patient_id": one.patient_id, "other": other.patient_id},
            changes_lists=True,
        )
