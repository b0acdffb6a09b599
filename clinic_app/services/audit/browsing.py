"""Reading the whole trail: filtered, in pages, newest first. Reading it is recorded too."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, func, select
from sqlalchemy.orm import aliased

from clinic_app.core import db
from clinic_app.core.paging import Page, window
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.models.audit import AUDIT_EVENTS
from clinic_app.models.patients import PATIENTS
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.recording import record
from clinic_app.services.rates import rates

_ABOUT = aliased(ACCOUNTS)


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which events: from ``since`` (included) to ``until`` (not included), by whom, what, about which patient, how.

    ``actor`` is a username, ``patient`` an id or a patient ID. None means any.
    """

    since: dt.datetime | None = None
    until: dt.datetime | None = None
    actor: str | None = None
    action: str | None = None
    patient: int | str | None = None
    outcome: str | None = None
    page: int = 1
    page_size: int = 20


@dataclass(frozen=True, slots=True)
class TrailEvent:
    """One event, whole. ``actor`` is account, anonymous or system; the names are empty for the latter two.

    ``patient_id`` is the patient ID of an event about a patient, ``account`` the username of one about an account;
    else they are empty. ``asked_for`` is the username whose events an export was of.
    """

    seq: int
    at: dt.datetime
    actor: str
    actor_id: int | None
    actor_name: str
    actor_username: str
    role: str
    action: str
    outcome: str
    resource_type: str | None
    resource_id: int | None
    address: str
    user_agent: str
    request_id: str
    metadata: dict[str, Any]
    patient_id: str = ""
    account: str = ""
    asked_for: str = ""


def conditions(query: AuditQuery) -> list[ColumnElement[bool]]:
    """The conditions an event has to meet."""
    found: list[ColumnElement[bool]] = []
    if query.since is not None:
        found.append(AUDIT_EVENTS.c.at >= query.since)
    if query.until is not None:
        found.append(AUDIT_EVENTS.c.at < query.until)
    if query.actor is not None:
        wanted = select(ACCOUNTS.c.id).where(ACCOUNTS.c.username == query.actor.strip().lower()[:254])
        found.append(AUDIT_EVENTS.c.actor_id == wanted.scalar_subquery())
    if query.action is not None:
        found.append(AUDIT_EVENTS.c.action == query.action)
    if query.outcome is not None:
        found.append(AUDIT_EVENTS.c.outcome == query.outcome)
    if query.patient is not None:
        found.append(AUDIT_EVENTS.c.resource_type == "patient")
        if isinstance(query.patient, int):
            # out of the column's range there is no such patient, and PostgreSQL would refuse to compare
            found.append(AUDIT_EVENTS.c.resource_id == (query.patient if 0 < query.patient < 2**31 else 0))
        else:
            wanted = select(PATIENTS.c.id).where(PATIENTS.c.patient_id == query.patient.upper()[:20])
            found.append(AUDIT_EVENTS.c.resource_id == wanted.scalar_subquery())
    return found


def about_patient() -> ColumnElement[bool]:
    """What joins an event to the patient it is about."""
    return (PATIENTS.c.id == AUDIT_EVENTS.c.resource_id) & (AUDIT_EVENTS.c.resource_type == "patient")


def _about_account() -> ColumnElement[bool]:
    return (_ABOUT.c.id == AUDIT_EVENTS.c.resource_id) & (AUDIT_EVENTS.c.resource_type == "account")


def _asked_for(row: RowMapping) -> Any:
    """The id of the account whose events an export was of."""
    filters = row["metadata"].get("filters")
    return filters.get("actor_id") if isinstance(filters, dict) else None


def _event(row: RowMapping, named: dict[Any, str]) -> TrailEvent:
    joined: dict[str, Any] = {
        "actor_name": row["full_name"] or "",
        "actor_username": row["username"] or "",
        "patient_id": row["patient_id"] or "",
        "account": row["account"] or "",
        "asked_for": named.get(_asked_for(row), ""),
    }
    plain = {name: row[name] for name in TrailEvent.__slots__ if name not in joined}
    plain["metadata"] = dict(plain["metadata"])
    return TrailEvent(**plain, **joined)


def browse_audit(actor: Actor, query: AuditQuery) -> Page[TrailEvent]:
    """One page of the trail, newest first. A page beyond the end is the last one.

    For administrators. The look is recorded, with the names of the filters used. Raises ``PermissionDenied``.
    """
    demand(actor, Permission.AUDIT_SEE)
    rates().spend(actor, "audit")
    where = conditions(query)
    with db.reading() as session:
        total = session.execute(select(func.count()).select_from(AUDIT_EVENTS).where(*where)).scalar_one()
        rows = window(query.page, query.page_size, total)
        newest = AUDIT_EVENTS.c.seq.desc()
        shown = select(AUDIT_EVENTS.c.seq).where(*where).order_by(newest).limit(rows.size).offset(rows.skip)
        found = session.execute(
            select(
                AUDIT_EVENTS,
                ACCOUNTS.c.full_name,
                ACCOUNTS.c.username,
                PATIENTS.c.patient_id,
                _ABOUT.c.username.label("account"),
            )
            .join(ACCOUNTS, ACCOUNTS.c.id == AUDIT_EVENTS.c.actor_id, isouter=True)
            .join(PATIENTS, about_patient(), isouter=True)
            .join(_ABOUT, _about_account(), isouter=True)
            .where(AUDIT_EVENTS.c.seq.in_(shown.scalar_subquery()))  # names are looked up for these alone
            .order_by(newest)
        )
        events = found.mappings().all()
        wanted = {one for row in events if isinstance(one := _asked_for(row), int)}
        usernames = select(ACCOUNTS.c.id, ACCOUNTS.c.username).where(ACCOUNTS.c.id.in_(wanted))
        named: dict[Any, str] = {one.id: one.username for one in session.execute(usernames)} if wanted else {}
        page = rows.page(_event(row, named) for row in events)
    used = [
        name for name in AuditQuery.__slots__ if name not in ("page", "page_size") and getattr(query, name) is not None
    ]
    with transaction(actor) as session:
        details = {"filters": used, "page": page.number, "shown": len(page.items)}
        record(session, actor, Action.AUDIT_READ, resource_type="audit", details=details)
    return page
