"""Reading the trail for pages: what happened to one record, and the number that says lists are stale."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, bindparam, func, or_, select
from sqlmodel import Session

from clinic_app.core import db
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.models.audit import AUDIT_EVENTS, AUDIT_HEAD
from clinic_app.services.audit.actions import Action, Outcome

#: Made once: putting a statement together takes longer than running it.
_ABOUT = (
    select(AUDIT_EVENTS, ACCOUNTS.c.full_name)
    .join(ACCOUNTS, ACCOUNTS.c.id == AUDIT_EVENTS.c.actor_id, isouter=True)
    .where(AUDIT_EVENTS.c.resource_type == bindparam("type"), AUDIT_EVENTS.c.resource_id == bindparam("id"))
    .order_by(AUDIT_EVENTS.c.seq.desc())
    .limit(bindparam("most"))
)
_SUCCEEDED = (
    AUDIT_EVENTS.c.action.in_(bindparam("actions", expanding=True)),
    AUDIT_EVENTS.c.outcome == Outcome.SUCCESS,
)
_REASON = AUDIT_EVENTS.c.metadata["reason"].as_string()
#: Of a merge both records have an event, and the login that ends another: that of the record that stays will do where
#: both are read together.
_ONCE = or_(
    AUDIT_EVENTS.c.resource_id == bindparam("id"),
    and_(AUDIT_EVENTS.c.metadata["into"].as_string().is_(None), func.coalesce(_REASON, "") != "merged"),
)
_TOGETHER = (
    AUDIT_EVENTS.c.resource_type == bindparam("type"),
    AUDIT_EVENTS.c.resource_id.in_(bindparam("ids", expanding=True)),
    _ONCE,
    *_SUCCEEDED,
)
_DONE = (
    select(AUDIT_EVENTS, ACCOUNTS.c.full_name)
    .join(ACCOUNTS, ACCOUNTS.c.id == AUDIT_EVENTS.c.actor_id, isouter=True)
    .where(*_TOGETHER)
    .order_by(AUDIT_EVENTS.c.seq.desc())
    .limit(bindparam("most"))
)
_EARLIER = _DONE.where(AUDIT_EVENTS.c.seq < bindparam("before"))
_HOW_MANY = select(func.count()).where(*_TOGETHER)
#: Looks at a record, which change nothing; on some records there are very many.
LOOKS = frozenset({Action.PATIENT_VIEWED, Action.OWN_RECORD_VIEWED})
#: How far back changes are searched for among looks, in events of one record: the look-up stays short.
_BACK, _CHANGES = 1000, 12
_LATELY = (
    select(AUDIT_EVENTS)
    .where(AUDIT_EVENTS.c.resource_type == bindparam("type"), AUDIT_EVENTS.c.resource_id == bindparam("id"))
    .order_by(AUDIT_EVENTS.c.seq.desc())
    .limit(_BACK)
    .subquery()
)
_CHANGED = (
    select(_LATELY, ACCOUNTS.c.full_name)
    .join(ACCOUNTS, ACCOUNTS.c.id == _LATELY.c.actor_id, isouter=True)
    .where(_LATELY.c.action.not_in([str(action) for action in sorted(LOOKS)]), _LATELY.c.outcome == Outcome.SUCCESS)
    .order_by(_LATELY.c.seq.desc())
    .limit(_CHANGES)
)


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """One event, as shown: who (a name, or empty), what, how it ended, when, and its details."""

    seq: int
    at: dt.datetime
    actor: str
    actor_name: str
    role: str
    action: str
    outcome: str
    details: dict[str, Any]
    actor_id: int | None = None


def change_number() -> int:
    """Grows with every committed change that lists show. One row, by primary key."""
    with db.reading() as session:
        return changes_in(session)


def changes_in(session: Session) -> int:
    """Building block: that number, as ``session`` sees it."""
    return session.execute(select(AUDIT_HEAD.c.changes).where(AUDIT_HEAD.c.id == 1)).scalar_one()


def events_of(
    session: Session,
    resource_type: str,
    resource_id: int,
    limit: int = 12,
    *,
    done: Collection[str] = (),
    before: int = 0,
    merged: Collection[int] = (),
) -> tuple[RecordedEvent, ...]:
    """The latest events about one record, newest first; with ``done``, only these actions that succeeded.

    Of those, with ``before``, the ones that came before the event of this number, and with ``merged`` also those about
    these records, which were merged into it. For use cases that have checked who asks.
    """
    wanted: dict[str, Any] = {"type": resource_type, "id": resource_id, "most": limit}
    if not done:
        return _events(session, _ABOUT, wanted)
    wanted |= {"actions": list(done), "ids": [resource_id, *merged]}
    return _events(session, _EARLIER, {**wanted, "before": before}) if before else _events(session, _DONE, wanted)


def how_many(
    session: Session, resource_type: str, resource_id: int, done: Collection[str], merged: Collection[int] = ()
) -> int:
    """How many events there are about one record, and those ``merged`` into it, of these actions that succeeded.

    For use cases that have checked who asks.
    """
    wanted = {"type": resource_type, "id": resource_id, "ids": [resource_id, *merged], "actions": list(done)}
    return session.execute(_HOW_MANY, wanted).scalar_one()


def last_refused(session: Session, account_ids: Collection[int], reason: str) -> dict[int, dt.datetime]:
    """When these accounts were last refused a sign-in for ``reason``, the code of an error.

    For use cases that have checked who asks.
    """
    events = AUDIT_EVENTS.c
    rows = session.execute(
        select(events.resource_id, func.max(events.at).label("at"))
        .where(events.resource_type == "account", events.resource_id.in_(account_ids))
        .where(events.action == Action.SIGN_IN_FAILED, events.metadata["reason"].as_string() == reason)
        .group_by(events.resource_id)
    )
    return {row.resource_id: row.at for row in rows}


def activity_of(session: Session, resource_type: str, resource_id: int, limit: int) -> tuple[RecordedEvent, ...]:
    """The latest ``limit`` events about one record, and the latest dozen that are more than looks; newest first.

    For use cases that have checked who asks.
    """
    latest = events_of(session, resource_type, resource_id, limit)
    if len(latest) < limit:
        return latest
    changes = _events(session, _CHANGED, {"type": resource_type, "id": resource_id})
    return latest + tuple(event for event in changes if event.seq < latest[-1].seq)


def _events(session: Session, statement: Select[Any], wanted: dict[str, Any]) -> tuple[RecordedEvent, ...]:
    rows = session.execute(statement, wanted).mappings()
    return tuple(
        RecordedEvent(
            row["seq"],
            row["at"],
            row["actor"],
            row["full_name"] or "",
            row["role"],
            row["action"],
            row["outcome"],
            dict(row["metadata"]),
            row["actor_id"],
        )
        for row in rows
    )
