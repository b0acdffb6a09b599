"""The portal work list: who cannot get in or soon will not, each once, under what is most urgent; and how many."""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import and_, bindparam, case, func, or_, select, union_all
from sqlmodel import Session

from clinic_app.core import clock, db
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.models.base import UtcDateTime
from clinic_app.models.notifications import MessageState
from clinic_app.models.patients import PATIENTS
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts import sign_in_throttle
from clinic_app.services.accounts.errors import TemporaryPasswordExpired
from clinic_app.services.audit import reading
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.together import record_alone
from clinic_app.services.notifications import outbox
from clinic_app.services.notifications.views import Delivery
from clinic_app.services.patients import looks, repository
from clinic_app.services.patients.portal_standing import SOON, URGENCY, due_when, moments
from clinic_app.services.patients.views import PatientSummary
from clinic_app.services.rates import LISTS, rates

PAGE_SIZE = 25
_PATIENCE = dt.timedelta(seconds=1)
_EVER = dt.datetime.min.replace(tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: behind this person of this group. ``at`` is what the group is sorted by."""

    group: str
    at: dt.datetime | int
    account_id: int


@dataclass(frozen=True, slots=True)
class Stuck:
    """One person, and what is known of why. ``group`` is one of ``URGENCY``. Instants UTC.

    ``tried_at``: when somebody last gave the right password after it had expired. ``invited_at``: when the last message
    with a link was sent.
    """

    patient: PatientSummary
    group: str
    last_failed_at: dt.datetime | None
    handed_over_at: dt.datetime | None
    failed: Delivery | None = None
    tried_at: dt.datetime | None = None
    invited_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Numbers:
    """How many are in each group, and when that changes by time alone; None: not by itself."""

    groups: Mapping[str, int]
    changes_at: dt.datetime | None = None

    @property
    def total(self) -> int:
        """How many there are altogether."""
        return sum(self.groups.values())


@dataclass(frozen=True, slots=True)
class WorkPage:
    """One page, the most urgent first. ``then`` is where the next one begins; None where this is the last one."""

    items: tuple[Stuck, ...]
    numbers: Numbers
    then: Place | None


# --- how many ---------------------------------------------------------------------------------------


_ACCOUNTS = ACCOUNTS.c
#: Who has yet to sign in or to choose a password, as the index has it; all others are locked, failed or need nothing.
_WAITING = or_(_ACCOUNTS.password_temporary, _ACCOUNTS.last_sign_in_at.is_(None))
#: Accounts that are on, of patients who are in lists.
_ON = and_(
    _ACCOUNTS.is_active,
    func.coalesce(_ACCOUNTS.patient_id, 0) > 0,  # not "is not null": SQLite would walk the index of patients
    _ACCOUNTS.patient_id.not_in(select(PATIENTS.c.id).where(~PATIENTS.c.is_active)),
)


@lru_cache(maxsize=1)
def _counting() -> tuple[Any, Any]:
    """Counting those who wait by what is due, and those who do not; and when the first lock ends."""
    now, soon = (bindparam(name, type_=UtcDateTime()) for name in ("now", "soon"))
    expires, when = _ACCOUNTS.password_expires_at, due_when()
    waits = and_(_ACCOUNTS.password_temporary, expires > now)
    counting = (
        select(
            case(*[(so, group) for group, so in when.items()], else_="").label("due"),
            func.count().label("number"),
            func.min(case((waits, expires))).label("expires"),
            func.min(case((and_(waits, expires >= soon), expires))).label("later"),
        )
        .where(_ON)
        .group_by("due")
    )
    others = counting.where(~_WAITING, or_(when["locked"], when["failed"]))
    locks = sign_in_throttle.locked_accounts().subquery()
    unlocked = select(func.min(locks.c.blocked_until)).where(locks.c.blocked_until > now)
    return union_all(counting.where(_WAITING), others), unlocked


def _count(session: Session, now: dt.datetime) -> Numbers:
    by_group, unlocked = _counting()
    rows = session.execute(by_group, moments(now)).all()
    numbers, ends = Counter[str](), [session.execute(unlocked, moments(now)).scalar_one()]
    for row in rows:
        numbers[row.due] += row.number
        ends += [row.expires, row.later - SOON if row.later else None]
    return Numbers(
        {group: numbers[group] for group in URGENCY}, min((one for one in ends if one and one > now), default=None)
    )


@dataclass
class _Kept:
    """What was counted last in this process, and for which state of the database."""

    change: int = -1
    at: dt.datetime = _EVER
    numbers: Numbers | None = None


_kept, _one = _Kept(), threading.Lock()


def _numbers(*, patient: bool = False) -> Numbers:
    """As ``_count``, once for every change and not once for every open page.

    ``patient``: while changes follow each other, those of up to a second ago will do; ``changes_at`` says until when.
    """
    change, now = reading.change_number(), clock.now()
    with _one:
        kept, age = _kept.numbers, now - _kept.at
        if kept is not None and dt.timedelta(0) <= age and now < (kept.changes_at or now + SOON):
            if _kept.change == change:
                return kept
            if patient and age < _PATIENCE:
                return replace(kept, changes_at=min(_kept.at + _PATIENCE, kept.changes_at or now + SOON))
        with db.reading() as session:
            found = _count(session, now)
        _kept.change, _kept.at, _kept.numbers = change, now, found
    return found


def forget_numbers() -> None:
    """For tests: another database may be at the same change."""
    _kept.numbers = None


def count_stuck(actor: Actor) -> Numbers:
    """How many are in the work list, as of a second ago at most. For receptionists and administrators.

    Raises ``PermissionDenied``.
    """
    demand(actor, Permission.WORK_LISTS)
    return _numbers(patient=True)


# --- who --------------------------------------------------------------------------------------------


@lru_cache(maxsize=2 * len(URGENCY))
def _statement(group: str, first: bool) -> Any:
    """The ``most`` of a group that come first, or behind the one ``behind`` with the account ``nearer``."""
    missed = outbox.missed().subquery()
    at, newest_first = {
        "locked": (_ACCOUNTS.id, True),
        "failed": (missed.c.message_id, True),
        "expired": (func.coalesce(_ACCOUNTS.password_expires_at, _ACCOUNTS.password_changed_at), True),
        "soon": (_ACCOUNTS.password_expires_at, False),
        "never": (_ACCOUNTS.password_changed_at, True),
    }[group]
    so = due_when()
    more_urgent = [~so[other] for other in URGENCY[: URGENCY.index(group)]]
    page = select(_ACCOUNTS.id.label("found"), at.label("at")).where(_ON, so[group], *more_urgent)
    if group == "failed":
        page = page.join(missed, missed.c.account_id == _ACCOUNTS.id)
    elif group != "locked":
        page = page.where(_WAITING)
    if not first:
        behind, nearer = bindparam("behind", type_=at.type), bindparam("nearer")
        page = page.where(
            or_(at < behind, and_(at == behind, _ACCOUNTS.id < nearer))
            if newest_first
            else or_(at > behind, and_(at == behind, _ACCOUNTS.id > nearer))
        )
    order = (at.desc(), _ACCOUNTS.id.desc()) if newest_first else (at, _ACCOUNTS.id)
    found = page.order_by(*order).limit(bindparam("most")).subquery()
    own = _ACCOUNTS.handed_over_at, _ACCOUNTS.last_failed_at, found.c.at
    shown = repository.summaries().add_columns(*own).join(found, found.c.found == _ACCOUNTS.id)
    last = found.c.at, found.c.found
    return shown.order_by(*[one.desc() if newest_first else one for one in last])


def _group(session: Session, group: str, behind: Place | None, most: int, now: dt.datetime) -> list[Any]:
    """The next ``most`` of a group."""
    place = {"behind": behind.at, "nearer": behind.account_id} if behind is not None else {}
    return list(session.execute(_statement(group, behind is None), {**moments(now), **place, "most": most}))


def _read(session: Session, wanted: str, behind: Place | None, now: dt.datetime) -> list[tuple[str, Any]]:
    """A page, and one more where there is one."""
    groups = [wanted] if wanted else list(URGENCY)
    if behind is not None:
        groups = groups[groups.index(behind.group) :] if behind.group in groups else groups
    found: list[tuple[str, Any]] = []
    for group in groups:
        after = behind if behind is not None and behind.group == group else None
        found += [(group, row) for row in _group(session, group, after, PAGE_SIZE + 1 - len(found), now)]
        if len(found) > PAGE_SIZE:
            break
    return found


def _items(session: Session, found: list[tuple[str, Any]]) -> tuple[Stuck, ...]:
    of = {group: [row.account_id for one, row in found if one == group] for group in URGENCY}
    failed = outbox.last_opening(session, of["failed"], MessageState.FAILED) if of["failed"] else {}
    sent = outbox.last_opening(session, of["never"], MessageState.SENT) if of["never"] else {}
    tried = reading.last_refused(session, of["expired"], TemporaryPasswordExpired.code) if of["expired"] else {}
    views = repository.summaries_of(session, [row for _, row in found])

    def since(at: dt.datetime | None, row: Any) -> dt.datetime | None:
        return at if at is not None and at >= row.password_changed_at else None

    return tuple(
        Stuck(
            view,
            group,
            row.last_failed_at,
            row.handed_over_at,
            failed.get(row.account_id),
            since(tried.get(row.account_id), row),
            since(sent[row.account_id].at, row) if row.account_id in sent else None,
        )
        for (group, row), view in zip(found, views, strict=True)
    )


def list_stuck(
    actor: Actor,
    group: str = "",
    behind: Place | None = None,
    *,
    page: int = 1,
    again: Collection[int] | None = None,
) -> WorkPage:
    """One page of the work list, of one group or of all: the most urgent first, each person once.

    For receptionists and administrators. It begins ``behind`` the last person of the page before; ``page`` is its
    number, which is recorded before it is shown. ``again`` has the ids of who is on the screen, where that is drawn
    again after somebody's change: it leaves nothing unless somebody else comes there. A group that there is none of is
    all. Raises ``TooManyLists``, ``PermissionDenied``.
    """
    demand(actor, Permission.WORK_LISTS, resource_type="patient")
    if again is None:
        rates().spend(actor, LISTS)
    numbers = _numbers()
    with db.reading() as session:
        found = _read(session, group if group in URGENCY else "", behind, clock.now())
        items = _items(session, found[:PAGE_SIZE])
    then = None
    if len(found) > PAGE_SIZE:
        last, row = found[PAGE_SIZE - 1]
        then = Place(last, row.at, row.account_id)
    if items and looks.anybody_new([one.patient for one in items], again):
        details = {"kind": "portal work list", "page": page, "count": len(items)}
        record_alone(actor, Action.PATIENT_LISTED, resource_type="patient", details=details)
    return WorkPage(items, numbers, then)
