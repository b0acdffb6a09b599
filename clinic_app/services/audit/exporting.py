"""The trail as a file: streamed, oldest first, and on record before the first line leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session

from clinic_app.core import clock, csv_safe, db
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.models.audit import AUDIT_EVENTS
from clinic_app.models.patients import PATIENTS
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand, demand_fresh
from clinic_app.services.audit.browsing import AuditQuery, about_patient, conditions
from clinic_app.services.audit.recording import record

_CHUNK = 200  # rows read at a time: what memory holds, whatever the size of the trail

HEADER = (
    "seq",
    "at",
    "actor",
    "actor_id",
    "actor_username",
    "actor_name",
    "role",
    "action",
    "outcome",
    "resource_type",
    "resource_id",
    "patient_id",
    "address",
    "user_agent",
    "request_id",
    "metadata",
    "hash",
)


@dataclass(frozen=True, slots=True)
class AuditExport:
    """An export that is on record: how many events it has, a name for the file, and its text piece by piece."""

    count: int
    filename: str
    pieces: Iterator[str]


def _asked(session: Session, query: AuditQuery) -> dict[str, Any]:
    """The filters as they are recorded: ids in place of what was typed, which may be anything."""
    found: dict[str, Any] = {}
    if query.since is not None:
        found["since"] = query.since.isoformat()
    if query.until is not None:
        found["until"] = query.until.isoformat()
    if query.actor is not None:
        wanted = select(ACCOUNTS.c.id).where(ACCOUNTS.c.username == query.actor.strip().lower()[:254])
        found["actor_id"] = session.execute(wanted).scalar_one_or_none()
    if query.action is not None:
        found["action"] = query.action
    if query.outcome is not None:
        found["outcome"] = query.outcome
    if query.patient is not None:
        by = PATIENTS.c.id == query.patient
        if isinstance(query.patient, str):
            by = PATIENTS.c.patient_id == query.patient.upper()[:20]
        elif not 0 < query.patient < 2**31:
            by = PATIENTS.c.id == 0
        found["patient"] = session.execute(select(PATIENTS.c.id).where(by)).scalar_one_or_none()
    return found


def export_audit(actor: Actor, query: AuditQuery) -> AuditExport:
    """Every event that ``query`` asks for (its page is ignored), as CSV, oldest first, with the chain's hashes.

    For administrators and the command line. Recorded with the filters and the count before anything is read out;
    events added since then, this one among them, are not in it. No connection is held while the reader is slow.
    Times are UTC, ISO 8601. Raises ``PermissionDenied``, ``ReauthenticationRequired``.
    """
    demand(actor, Permission.AUDIT_SEE)
    demand_fresh(actor)
    where = conditions(query)
    with transaction(actor) as session:
        count, last = session.execute(
            select(func.count(), func.max(AUDIT_EVENTS.c.seq)).select_from(AUDIT_EVENTS).where(*where)
        ).one()
        details = {"filters": _asked(session, query), "count": count, "through": last or 0}
        record(session, actor, Action.AUDIT_EXPORTED, resource_type="audit", details=details)
    name = f"audit-trail-{clock.local(clock.now()):%Y-%m-%d-%H%M}.csv"
    return AuditExport(count, name, _pieces(where, last or 0))


def _pieces(where: list[Any], last: int) -> Iterator[str]:
    yield "".join(csv_safe.lines([HEADER]))
    seen = 0
    while seen < last:
        with db.reading() as session:  # rows never change, so each look sees the same trail
            rows = session.execute(
                select(AUDIT_EVENTS, ACCOUNTS.c.full_name, ACCOUNTS.c.username, PATIENTS.c.patient_id)
                .join(ACCOUNTS, ACCOUNTS.c.id == AUDIT_EVENTS.c.actor_id, isouter=True)
                .join(PATIENTS, about_patient(), isouter=True)
                .where(*where, AUDIT_EVENTS.c.seq > seen, AUDIT_EVENTS.c.seq <= last)
                .order_by(AUDIT_EVENTS.c.seq)
                .limit(_CHUNK)
            ).all()
        if not rows:
            return
        seen = rows[-1].seq
        yield "".join(csv_safe.lines(_row(row._mapping) for row in rows))


def _row(row: Any) -> tuple[object, ...]:
    special = {
        "at": row["at"].isoformat(timespec="microseconds"),
        "actor_username": row["username"],
        "actor_name": row["full_name"],
        "metadata": json.dumps(row["metadata"], sort_keys=True, ensure_ascii=False),
    }
    return tuple(special[name] if name in special else row[name] for name in HEADER)
