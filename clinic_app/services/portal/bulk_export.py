"""The report of a run of portal accounts as a file: what became of each of its patients. No password is in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from clinic_app.core import clock, csv_safe, db
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.models.notifications import OUTBOX_MESSAGES, MessageState
from clinic_app.models.patients import PATIENTS
from clinic_app.models.portal_runs import PORTAL_RUN_ITEMS, PORTAL_RUNS, ItemState
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand, demand_fresh
from clinic_app.services.audit.recording import record
from clinic_app.services.notifications.kinds import Kind
from clinic_app.services.patients.wording import full_name
from clinic_app.services.portal.errors import NoSuchRun
from clinic_app.services.portal.wording import not_created_words
from clinic_app.services.rates import rates

_CHUNK = 500  # rows read at a time: what memory holds, whatever the size of the run
HEADER = ("patient_id", "name", "outcome", "reason", "portal_username", "invitation", "at")
_OUTCOMES = {ItemState.CREATED: "created", ItemState.REFUSED: "not created", ItemState.WAITING: "waiting"}
_INVITATIONS = {MessageState.SENT: "sent", MessageState.QUEUED: "waiting", MessageState.FAILED: "failed"}
_ITEMS = PORTAL_RUN_ITEMS.c


@dataclass(frozen=True, slots=True)
class RunExport:
    """An export that is on record: a name for the file, and its text piece by piece."""

    filename: str
    pieces: Iterator[str]


def export_run(actor: Actor, run_id: int) -> RunExport:
    """What became of each patient of a run, as CSV, in the order of the run; ``at`` is UTC, ISO 8601.

    For administrators who have shown lately who they are. Recorded with the count before anything is read out. No
    connection is held while the reader is slow. Raises ``NoSuchRun``, ``PermissionDenied``,
    ``ReauthenticationRequired``, ``TooManyRequests``.
    """
    demand(actor, Permission.PORTAL_BULK, resource_type="patient")
    demand_fresh(actor)
    rates().spend(actor, "bulk")
    with transaction(actor) as session:
        started = session.execute(
            select(PORTAL_RUNS.c.started_at).where(PORTAL_RUNS.c.id == run_id)
        ).scalar_one_or_none()
        if started is None:
            raise NoSuchRun
        of = select(func.count()).select_from(PORTAL_RUN_ITEMS).where(_ITEMS.run_id == run_id)
        details = {"run": run_id, "count": session.execute(of).scalar_one()}
        record(session, actor, Action.PORTAL_BULK_REPORT_EXPORTED, resource_type="patient", details=details)
    return RunExport(f"portal-accounts-{clock.local(started):%Y-%m-%d-%H%M}.csv", _pieces(run_id))


def _furthest() -> Any:
    """How far an invitation of the account has got, by whichever way got furthest."""
    messages = OUTBOX_MESSAGES.c

    def one(state: MessageState) -> Any:
        mine = messages.account_id == _ITEMS.account_id, messages.kind == str(Kind.INVITATION)
        return select(messages.id).where(*mine, messages.state == str(state)).exists()

    return [one(state).label(name) for state, name in _INVITATIONS.items()]


def _pieces(run_id: int) -> Iterator[str]:
    yield "".join(csv_safe.lines([HEADER]))
    patients, seen = PATIENTS.c, 0
    wanted = (
        select(
            _ITEMS.patient_id.label("id"),
            patients.patient_id,
            patients.first_name,
            patients.last_name,
            _ITEMS.state,
            _ITEMS.reason,
            _ITEMS.done_at,
            ACCOUNTS.c.username,
            *_furthest(),
        )
        .join(PATIENTS, patients.id == _ITEMS.patient_id)
        .join(ACCOUNTS, ACCOUNTS.c.id == _ITEMS.account_id, isouter=True)
        .where(_ITEMS.run_id == run_id)
        .order_by(_ITEMS.patient_id)
        .limit(_CHUNK)
    )
    while True:
        with db.reading() as session:
            rows = session.execute(wanted.where(_ITEMS.patient_id > seen)).all()
        if not rows:
            return
        seen = rows[-1].id
        yield "".join(csv_safe.lines(map(_row, rows)))


def _row(row: Any) -> tuple[object, ...]:
    return (
        row.patient_id,
        full_name(row.first_name, row.last_name),
        _OUTCOMES[row.state],
        not_created_words(row.reason or "") if row.state == ItemState.REFUSED else "",
        row.username,
        next((name for name in _INVITATIONS.values() if getattr(row, name)), ""),
        row.done_at.isoformat(timespec="seconds") if row.done_at else "",
    )
