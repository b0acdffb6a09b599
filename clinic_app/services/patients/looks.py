"""Why the data of one patient is read, and the event it leaves: nobody is read unseen."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import Any

from sqlalchemy import bindparam, func, select
from sqlmodel import Session

from clinic_app.core import clock
from clinic_app.core.prepared import Prepared
from clinic_app.models.accounts import LOGIN_SESSIONS
from clinic_app.models.audit import AUDIT_EVENTS
from clinic_app.models.base import UtcDateTime
from clinic_app.services.access import Actor
from clinic_app.services.accounts import sessions
from clinic_app.services.audit import actor_check, recording
from clinic_app.services.audit.actions import Action
from clinic_app.services.patients.views import PatientSummary


class Seen(StrEnum):
    """The reason under which one patient is read."""

    RECORD = "record"  # opened: PATIENT_VIEWED
    CARD = "card"  # and these with the page
    BESIDE = "compared side by side"
    REGISTRATION = "registration"
    DIALOG = "dialog"
    OUTCOME = "outcome of a press"
    OPEN = "open record"  # the page shows it already: no event where the trail says so
    CHANGED = "changed"  # the event of the change itself; PATIENT_VIEWED where nothing changed after all
    COMPARED = "compared"  # what was sent with what is there: a refusal tells which of it is right
    OWN = "own record"  # OWN_RECORD_VIEWED
    UNSHOWN = "unshown"  # nothing of it leaves the service


#: So many of a patient's latest events are looked through for the one that says that the record is open.
_EVENTS = 200
_LATELY = (
    select(
        AUDIT_EVENTS.c.seq,
        AUDIT_EVENTS.c.at,
        AUDIT_EVENTS.c.actor_id,
        AUDIT_EVENTS.c.action,
        AUDIT_EVENTS.c.metadata,
    )
    .where(AUDIT_EVENTS.c.resource_type == "patient", AUDIT_EVENTS.c.resource_id == bindparam("patient"))
    .order_by(AUDIT_EVENTS.c.seq.desc())
    .limit(_EVENTS)
    .subquery()
)
_BEGAN = select(LOGIN_SESSIONS.c.created_at).where(LOGIN_SESSIONS.c.id == bindparam("session")).scalar_subquery()
_OPENED = Prepared(
    select(func.max(_LATELY.c.seq).label("seq")).where(
        _LATELY.c.actor_id == bindparam("account"),
        _LATELY.c.action == str(Action.PATIENT_VIEWED),
        func.coalesce(_LATELY.c.metadata["page"].as_string(), str(Seen.OPEN)) == str(Seen.OPEN),  # a record whole
        _LATELY.c.at >= func.coalesce(_BEGAN, bindparam("since", type_=UtcDateTime())),
    )
)


def is_open(session: Session, actor: Actor, patient_id: int) -> bool:
    """Whether the trail says that ``actor`` has opened this record in the session they are in.

    Its card, a dialog or an answer shows less: after those the record is not open.
    """
    longest = clock.now() - sessions.absolute_limit(actor.role)
    wanted = {"account": actor.account_id or 0, "session": actor.session_id or 0, "since": longest}
    return _OPENED.one_or_none(session, patient=patient_id, **wanted).seq is not None


def anybody_new(rows: Iterable[PatientSummary], again: Collection[int] | None) -> bool:
    """Building block: whether a list shows somebody who is not on the screen: then it leaves an event.

    ``again`` are the ids of who is, where a list is drawn again by itself; None where it is asked for, which is new.
    """
    return again is None or any(row.id not in again for row in rows)


def leave(session: Session, row: Any, seen: Seen) -> None:
    """Building block: the event that reading ``row`` for ``seen`` leaves, now or before the commit.

    Raises ``RuntimeError`` where the transaction is on nobody's behalf (``services.audit.acting``).
    """
    if seen is Seen.UNSHOWN:
        return
    recording.owe(session, row.id, seen)
    if seen is Seen.CHANGED:
        return
    actor = actor_check.actor_of(session)
    assert actor is not None  # noqa: S101  otherwise nothing can be owed
    action = Action.OWN_RECORD_VIEWED if seen is Seen.OWN else Action.PATIENT_VIEWED
    details = {} if seen in (Seen.RECORD, Seen.OWN) else {"page": seen}
    recording.record(session, actor, action, resource_type="patient", resource_id=row.id, details=details)
