"""Portal accounts for many patients in one run: chosen by filter, previewed, made one after the other, resumable.

A run is a row, and each of its patients another one. Whichever server holds the lease of the run works on it. What
became of a patient is written in the transaction that makes the account, so that a run that was broken off goes on
where it was and makes nothing twice. No password is shown or kept: people get the message with the link.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, func, insert, literal, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from clinic_app.core import clock, context, crypto, db, periodic
from clinic_app.core.errors import AuthenticationRequired, ClinicError, PermissionDenied, Unavailable
from clinic_app.models.accounts import ACCOUNTS, Account
from clinic_app.models.notifications import OUTBOX_MESSAGES, MessageState
from clinic_app.models.patients import PATIENTS
from clinic_app.models.portal_runs import PORTAL_RUN_ITEMS, PORTAL_RUNS, ItemState, RunState
from clinic_app.services.access import SYSTEM, Actor, Permission
from clinic_app.services.accounts import sessions
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.recording import record, wake_lists
from clinic_app.services.audit.together import record_alone
from clinic_app.services.notifications.kinds import Kind
from clinic_app.services.patients import repository
from clinic_app.services.patients.looks import Seen
from clinic_app.services.patients.wording import full_name
from clinic_app.services.portal.bulk_choice import Chosen, conditions, why_not
from clinic_app.services.portal.errors import NobodyEligible, NoSuchRun, PreviewChanged, RunUnderWay
from clinic_app.services.portal.forms import PortalAccountRequest
from clinic_app.services.portal.provisioning import give_account
from clinic_app.services.portal.slips import count_unseen
from clinic_app.services.rates import rates

#: A worker looks so often whether there is something to go on with, in seconds.
EVERY = 5.0
#: Longer than a few accounts take: whoever holds it has noted what it did by then, and takes it anew for the next few.
LEASE = dt.timedelta(seconds=60)
#: Something gives way for a moment: the run goes on after it.
_PAUSE = 1.0
#: So many of those not created are on one page of the report.
PAGE_SIZE = 25
#: How fast a run is, by what it did in these last seconds.
_LATELY = dt.timedelta(seconds=60)
_RUNS, _ITEMS = PORTAL_RUNS.c, PORTAL_RUN_ITEMS.c


@dataclass(frozen=True, slots=True)
class NotCreated:
    """Somebody who could not be given an account. ``reason`` is the code of an error."""

    id: int
    patient_id: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """How a run stands: numbers, and those refused, all or one ``page`` of them.

    ``sent``, ``queued`` and ``failed``: how many of the new accounts an invitation has reached, will be tried for, or
    has failed for. ``started_by`` is empty for the command line; ``seconds_left`` None where that is not known. Of a
    run that is over: ``unseen``, how many of its passwords nobody has seen, and of how many of those no invitation is
    on its way (``undelivered``).
    """

    id: int
    state: str
    started_at: dt.datetime
    ended_at: dt.datetime | None
    created: int
    refused: int
    waiting: int
    reasons: tuple[NotCreated, ...] = ()
    page: int = 1
    started_by: str = ""
    sent: int = 0
    queued: int = 0
    failed: int = 0
    seconds_left: int | None = None
    unseen: int = 0
    undelivered: int = 0

    @property
    def total(self) -> int:
        """How many patients it is about."""
        return self.created + self.refused + self.waiting


# --- beginning, stopping, going on --------------------------------------------------------------------


def start_run(actor: Actor, chosen: Chosen, drawn: int | None = None) -> int:
    """Begin a run for those who are eligible now; returns its number. A worker goes on with it.

    For administrators. ``drawn`` is how many a preview said; None where nobody looked at one. Raises ``RunUnderWay``
    where another one is running, ``NobodyEligible``, ``PreviewChanged``, ``PermissionDenied``, ``TooManyRequests``.
    """
    demand(actor, Permission.PORTAL_BULK, resource_type="patient")
    rates().spend(actor, "bulk")
    try:
        with transaction(actor) as session:
            values = {"chosen": chosen.as_json(), "state": RunState.RUNNING, "started_at": clock.now()}
            own = {"started_by_id": actor.account_id}
            run_id: int = session.execute(insert(PORTAL_RUNS).values(**values, **own).returning(_RUNS.id)).scalar_one()
            eligible = select(literal(run_id), PATIENTS.c.id, literal(str(ItemState.WAITING))).where(
                *conditions(chosen), why_not() == ""
            )
            session.execute(insert(PORTAL_RUN_ITEMS).from_select(["run_id", "patient_id", "state"], eligible))
            of = select(func.count()).select_from(PORTAL_RUN_ITEMS).where(_ITEMS.run_id == run_id)
            added = session.execute(of).scalar_one()
            if not added:
                raise NobodyEligible
            if drawn is not None and drawn != added:
                raise PreviewChanged
            by = {name: value for name, value in chosen.as_json().items() if value}
            _note(session, actor, {"run": run_id, "chosen": added, "filter": by})
    except IntegrityError as error:
        raise (RunUnderWay() if db.violated(error) == "uq_portal_runs_state" else error) from None
    return run_id


def _note(session: Session, actor: Actor, details: Mapping[str, Any]) -> None:
    record(session, actor, Action.PORTAL_BULK_RUN, resource_type="patient", details=details, changes_lists=True)


def _turn(actor: Actor, run_id: int, before: tuple[RunState, ...], after: RunState, **values: Any) -> None:
    """Change how a run stands, where it stands as it must."""
    demand(actor, Permission.PORTAL_BULK, resource_type="patient")
    try:
        with transaction(actor) as session:
            turned = session.execute(
                update(PORTAL_RUNS)
                .where(_RUNS.id == run_id, _RUNS.state.in_(before))
                .values(state=after, lease=None, leased_until=None, **values)
                .returning(_RUNS.id)
            ).one_or_none()
            if turned is None:
                raise NoSuchRun
            _note(session, actor, {"run": run_id, "state": str(after), **_counts(session, run_id)})
    except IntegrityError as error:
        raise (RunUnderWay() if db.violated(error) == "uq_portal_runs_state" else error) from None


def stop_run(actor: Actor, run_id: int) -> None:
    """Stop a run: what is done stays done. For administrators; raises ``NoSuchRun`` where it is not running."""
    _turn(actor, run_id, (RunState.RUNNING,), RunState.STOPPED, ended_at=clock.now())


def continue_run(actor: Actor, run_id: int) -> None:
    """Go on with a run that was stopped, or whose starter may no longer: from now on it is ``actor``'s.

    For administrators. Raises ``NoSuchRun``, ``RunUnderWay``, ``PermissionDenied``.
    """
    _turn(
        actor,
        run_id,
        (RunState.STOPPED, RunState.ENDED),
        RunState.RUNNING,
        ended_at=None,
        started_by_id=actor.account_id,
    )


def report_run(
    actor: Actor, run_id: int | None = None, *, page: int | None = None, again: Collection[int] | None = None
) -> Report:
    """How a run stands, the latest where none is named. For administrators; raises ``NoSuchRun``, ``PermissionDenied``.

    That patients are named, those who could not be given an account, is recorded before: all of them, or one ``page``.
    ``again`` has the ids of who is on the screen, where that is drawn again by itself: it leaves nothing unless
    somebody else comes there.
    """
    demand(actor, Permission.PORTAL_BULK, resource_type="patient")
    with db.reading() as session:
        which = select(PORTAL_RUNS).order_by(_RUNS.id.desc()).limit(1)
        run = session.execute(which if run_id is None else which.where(_RUNS.id == run_id)).one_or_none()
        if run is None:
            raise NoSuchRun
        numbers, messages = _numbers(session, run.id), _invitations(session, run.id)
        waiting, refused = numbers[ItemState.WAITING], numbers[ItemState.REFUSED]
        if page is not None:
            page = min(max(page, 1), max(1, -(-refused // PAGE_SIZE)))
        by = session.execute(select(ACCOUNTS.c.full_name).where(ACCOUNTS.c.id == run.started_by_id)).scalar()
        over = run.state != RunState.RUNNING
        left = count_unseen(session, run.id) if over else (0, 0)
        found = Report(
            run.id,
            run.state,
            run.started_at,
            run.ended_at,
            numbers[ItemState.CREATED],
            refused,
            waiting,
            _not_created(session, run.id, page) if refused else (),
            page or 1,
            by or "",
            messages[_SENT],
            messages[_QUEUED],
            messages[_FAILED],
            None if over else _seconds_left(session, run.id, waiting),
            *left,
        )
    if any(again is None or one.id not in again for one in found.reasons):
        details = {"kind": "bulk report", "page": found.page, "count": len(found.reasons)}
        record_alone(actor, Action.PATIENT_LISTED, resource_type="patient", details=details)
    return found


def _numbers(session: Session, run_id: int) -> Counter[str]:
    """How many of its patients stand how."""
    rows = session.execute(
        select(_ITEMS.state, func.count().label("number")).where(_ITEMS.run_id == run_id).group_by(_ITEMS.state)
    )
    return Counter({row.state: row.number for row in rows})


def _counts(session: Session, run_id: int) -> dict[str, int]:
    """The same as they are recorded."""
    numbers = _numbers(session, run_id)
    names = {"created": ItemState.CREATED, "failed": ItemState.REFUSED, "left": ItemState.WAITING}
    return {name: numbers[state] for name, state in names.items()}


_SENT, _QUEUED, _FAILED = 3, 2, 1


def _invitations(session: Session, run_id: int) -> Counter[int]:
    """How many of the new accounts an invitation has reached, by whichever way got furthest."""
    messages = OUTBOX_MESSAGES.c
    ways = {MessageState.SENT: _SENT, MessageState.QUEUED: _QUEUED, MessageState.FAILED: _FAILED}
    furthest = func.max(case(*[(messages.state == str(state), way) for state, way in ways.items()], else_=0))
    each = (
        select(furthest.label("furthest"))
        .join(PORTAL_RUN_ITEMS, _ITEMS.account_id == messages.account_id)
        .where(_ITEMS.run_id == run_id, _ITEMS.state == ItemState.CREATED, messages.kind == str(Kind.INVITATION))
        .group_by(messages.account_id)
        .subquery()
    )
    rows = session.execute(select(each.c.furthest, func.count().label("number")).group_by(each.c.furthest))
    return Counter({row.furthest: row.number for row in rows})


def _not_created(session: Session, run_id: int, page: int | None) -> tuple[NotCreated, ...]:
    patients = PATIENTS.c
    rows = (
        select(patients.id, patients.patient_id, patients.first_name, patients.last_name, _ITEMS.reason)
        .join(PATIENTS, patients.id == _ITEMS.patient_id)
        .where(_ITEMS.run_id == run_id, _ITEMS.state == ItemState.REFUSED)
        .order_by(_ITEMS.patient_id)
    )
    if page is not None:
        rows = rows.limit(PAGE_SIZE).offset((page - 1) * PAGE_SIZE)
    return tuple(
        NotCreated(row.id, row.patient_id, full_name(row.first_name, row.last_name), row.reason or "")
        for row in session.execute(rows)
    )


def _seconds_left(session: Session, run_id: int, waiting: int) -> int | None:
    """By how fast it was lately; None where it did nothing lately."""
    now = clock.now()
    lately = session.execute(
        select(func.count().label("number"), func.min(_ITEMS.done_at).label("since")).where(
            _ITEMS.run_id == run_id, _ITEMS.state != ItemState.WAITING, _ITEMS.done_at > now - _LATELY
        )
    ).one()
    return round(waiting * (now - lately.since).total_seconds() / lately.number) if lately.number > 1 else None


# --- the work -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Held:
    """A run this process works on, and on whose behalf."""

    id: int
    lease: str
    actor: Actor


def _behalf(session: Session, run: Any) -> Actor:
    """Who started it, as they are now. In no session: that may be over, and the run goes on."""
    if run.started_by_id is None:
        return SYSTEM
    account = session.get(Account, run.started_by_id)
    return sessions.actor_of(account, None, None) if account is not None and account.is_active else Actor("account")


def _take(run_id: int | None) -> _Held | None:
    """Lease the run that is running, if nobody else works on it."""
    now, lease = clock.now(), secrets.token_hex(16)
    free = or_(_RUNS.leased_until.is_(None), _RUNS.leased_until <= now)
    wanted = [_RUNS.state == RunState.RUNNING, free, *([_RUNS.id == run_id] if run_id is not None else [])]
    with db.reading() as session:
        if session.execute(select(_RUNS.id).where(*wanted)).first() is None:
            return None
    with db.transaction() as session:
        run = session.execute(
            update(PORTAL_RUNS).where(*wanted).values(lease=lease, leased_until=now + LEASE).returning(PORTAL_RUNS)
        ).one_or_none()
        return _Held(run.id, lease, _behalf(session, run)) if run is not None else None


def _next(held: _Held, most: int) -> list[int] | None:
    """The next patients, the lease made longer; None where the run is not this process's any more."""
    mine = [_RUNS.id == held.id, _RUNS.lease == held.lease, _RUNS.state == RunState.RUNNING]
    with db.transaction() as session:
        longer = update(PORTAL_RUNS).where(*mine).values(leased_until=clock.now() + LEASE).returning(_RUNS.id)
        if session.execute(longer).one_or_none() is None:
            return None
        waiting = (
            select(_ITEMS.patient_id)
            .where(_ITEMS.run_id == held.id, _ITEMS.state == ItemState.WAITING)
            .order_by(_ITEMS.patient_id)
            .limit(most)
        )
        return list(session.execute(waiting).scalars())


def _mark(session: Session, held: _Held, patient_id: int, state: ItemState, **values: Any) -> None:
    session.execute(
        update(PORTAL_RUN_ITEMS)
        .where(_ITEMS.run_id == held.id, _ITEMS.patient_id == patient_id, _ITEMS.state == ItemState.WAITING)
        .values(state=state, done_at=clock.now(), **values)
    )


def _one(held: _Held, patient_id: int) -> None:
    """Give one patient an account, or note why not. Raises what ends the run, and ``Unavailable``."""

    def created(session: Session, account: Account) -> None:
        _mark(session, held, patient_id, ItemState.CREATED, account_id=account.id)

    try:
        with db.reading() as session:
            patient = repository.find(session, patient_id, Seen.UNSHOWN)
        form = PortalAccountRequest.parse({"email": patient.email, "phone": patient.phone})
        give_account(held.actor, patient_id, form, also=created)
    except (AuthenticationRequired, PermissionDenied, Unavailable):
        raise
    except ClinicError as error:
        with db.transaction() as session:
            _mark(session, held, patient_id, ItemState.REFUSED, reason=error.code)
            wake_lists(session)
            db.changed(session)


def _end(held: _Held, state: RunState) -> None:
    """Note how it ended, with its numbers. Nothing where it is not this process's any more."""
    mine = [_RUNS.id == held.id, _RUNS.lease == held.lease, _RUNS.state == RunState.RUNNING]
    over = {"state": state, "ended_at": clock.now(), "lease": None, "leased_until": None}
    with transaction(SYSTEM) as session:
        if session.execute(update(PORTAL_RUNS).where(*mine).values(over).returning(_RUNS.id)).one_or_none() is None:
            return
        _note(session, SYSTEM, {"run": held.id, "state": str(state), **_counts(session, held.id)})


def work_on(run_id: int | None = None, *, done: Callable[[int], None] = lambda _: None) -> bool:
    """Work on the run that is running, until it is over, stopped, or another process has it; False: there is none.

    As many accounts at once as there are threads for hashes, on threads that keep nobody waiting. ``done`` is told how
    many patients have been dealt with. For the server itself and the command line, any number at once.
    """
    held = _take(run_id)
    if held is None:
        return False
    if not held.actor.can(Permission.PORTAL_BULK):
        _end(held, RunState.ENDED)
        return True
    with ThreadPoolExecutor(crypto.HASH_THREADS, "bulk") as pool:
        while (patients := _next(held, crypto.HASH_THREADS)) is not None:
            if not patients:
                _end(held, RunState.DONE)
                break
            here = context.current()

            def one(patient_id: int, here: context.RequestContext = here) -> None:
                with context.use(here):
                    _one(held, patient_id)

            try:
                for _ in pool.map(one, patients):
                    done(1)
            except Unavailable:
                time.sleep(_PAUSE)
            except (AuthenticationRequired, PermissionDenied):
                _end(held, RunState.ENDED)
                break
    return True


def working() -> AbstractAsyncContextManager[None]:
    """Go on with whatever run there is, for as long as the block lasts: a lifespan task of each worker."""

    async def work() -> None:
        await asyncio.to_thread(work_on)

    return periodic.running(work, EVERY, failed="bulk_failed")
