"""Adding to the audit trail, inside the transaction that does what is recorded."""

from __future__ import annotations

import datetime as dt
import functools
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from clinic_app.core import clock, context, db, keys, metrics, outage
from clinic_app.core.prepared import Prepared, rows_given
from clinic_app.models.audit import AUDIT_EVENTS, AUDIT_HEAD
from clinic_app.services import idempotency, intents
from clinic_app.services.access import Actor
from clinic_app.services.audit import actor_check
from clinic_app.services.audit.actions import Action, Outcome

_READ_HEAD = Prepared(select(AUDIT_HEAD).where(AUDIT_HEAD.c.id == 1).with_for_update())
_HOLD_HEAD = Prepared(select(AUDIT_HEAD.c.id).where(AUDIT_HEAD.c.id == 1).with_for_update(read=True))
_ADD = Prepared(insert(AUDIT_EVENTS))
_ADVANCE = Prepared(
    update(AUDIT_HEAD)
    .where(AUDIT_HEAD.c.id == 1)
    .values(seq=bindparam("new_seq"), hash=bindparam("new_hash"), changes=bindparam("new_changes"))
)
_EVENT = [one.name for one in AUDIT_EVENTS.columns]
#: Events and the new end of the trail at once: it is kept locked for some round trips less. PostgreSQL's.
_ADD_AND_ADVANCE = Prepared(
    update(AUDIT_HEAD)
    .where(AUDIT_HEAD.c.id == 1)
    .values(seq=bindparam("new_seq"), hash=bindparam("new_hash"), changes=bindparam("new_changes"))
    .add_cte(insert(AUDIT_EVENTS).from_select(_EVENT, rows_given(AUDIT_EVENTS, _EVENT)).cte("added"))
)
_OWED = "looks owed"
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)
_COLUMNS = [
    "seq",
    "at",
    "actor",
    "actor_id",
    "role",
    "action",
    "outcome",
    "resource_type",
    "resource_id",
    "address",
    "user_agent",
    "request_id",
    "metadata",
]


#: What somebody is woken for the first time it happens, so its series are told from the start.
WATCHED = (
    *(Action.SIGNED_IN, Action.SIGN_IN_FAILED, Action.SIGN_IN_BLOCKED, Action.ACCESS_DENIED),
    *(Action.TOKEN_REUSED, Action.MESSAGE_NOT_SENT),
)
for _action in WATCHED:
    for _outcome in Outcome:
        metrics.begin_at_zero(metrics.AUDIT_EVENTS, str(_action), str(_outcome))


def canonical(row: Mapping[str, Any]) -> bytes:
    """One event as bytes, the same on every machine: what the chain is computed over."""
    plain = {name: row[name] for name in _COLUMNS}
    at: dt.datetime = plain["at"]
    plain["at"] = at.astimezone(dt.UTC).isoformat(timespec="microseconds")
    return _CANONICAL.encode(plain).encode()


def link(previous: str, row: Mapping[str, Any], key: bytes | None = None) -> str:
    """The hash of ``row`` after ``previous``: HMAC-SHA-256, hex, with the audit key in use, or ``key``."""
    return link_content(previous, canonical(row), key or keys.key("audit_key"))


def link_content(previous: str, content: bytes, key: bytes) -> str:
    """The same of an event that is written as bytes already."""
    return hmac.digest(key, previous.encode() + content, "sha256").hex()


def _printable(text: str, length: int) -> str:
    return (text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text))[:length]


def record(
    session: Session,
    actor: Actor,
    action: Action,
    *,
    outcome: Outcome = Outcome.SUCCESS,
    resource_type: str | None = None,
    resource_id: int | None = None,
    details: Mapping[str, Any] | None = None,
    changes_lists: bool = False,
    issues: bool = False,
) -> int:
    """Add one event to the trail, in ``session``'s transaction: both are kept or neither. Returns its number; 0 in a
    group (``db.grouped``), whose events take their places at its end.

    ``details`` holds ids, names of fields, counts and a portal username; never values of a record,
    passwords, tokens or search terms. ``changes_lists`` wakes open lists after the commit. A success marks the
    idempotency key or the press it is done under; ``issues`` says that there are credentials to be shown. Call it
    last: from here to the commit nobody else can add an event. In a transaction on behalf of somebody it looks
    whether they still may, and raises ``SessionOver`` or ``RoleChanged``.
    """
    here = context.current()
    row: dict[str, Any] = {
        "actor": actor.kind,
        "actor_id": actor.account_id,
        "role": actor.role,
        "action": str(action),
        "outcome": str(outcome),
        "resource_type": resource_type,
        "resource_id": resource_id,
        "address": _printable(here.address, 64),
        "user_agent": _printable(here.user_agent, 200),
        "request_id": _printable(here.request_id, 40),
        "metadata": dict(details or {}),
    }
    due = _Due(row, changes_lists, actor_check.actor_of(session) if actor_check.is_due(session) else None)
    seq = 0
    if not idempotency.is_working() and db.at_the_end(session, _add_due, due, after_others=True):
        actor_check.leave(session)
    else:
        head = _READ_HEAD.one_or_none(session)
        actor_check.check(session)  # after the lock: whoever ends a session records that, and so is before or after
        seq = _add(session, head, [due])
    if outcome == Outcome.SUCCESS:
        idempotency.mark_done(session, seq)
        intents.mark_done(
            session, actor, action=str(action), resource_type=resource_type, resource_id=resource_id, issues=issues
        )
        if resource_type == "patient" and resource_id is not None:
            session.info.get(_OWED, {}).pop(resource_id, None)
    if changes_lists:
        db.changed(session)
    db.afterwards(session, functools.partial(metrics.count, metrics.AUDIT_EVENTS, str(action), str(outcome)))
    return seq


@dataclass(frozen=True, slots=True)
class _Due:
    """An event without its place in the chain, or only ``who`` is to be checked before the commit."""

    row: dict[str, Any] | None
    changes_lists: bool = False
    who: Actor | None = None


def _add_due(session: Session, dues: Sequence[_Due]) -> None:
    """The events of a group, one after the other in the chain: the end of the trail is locked once for all of them.

    Raises ``db.Apart`` where somebody no longer may: each is then told by itself.
    """
    events = [due for due in dues if due.row is not None]
    head = _READ_HEAD.one_or_none(session) if events else _HOLD_HEAD.one_or_none(session)
    actor_check.check_all(session, {due.who for due in dues if due.who is not None})
    if events:
        _add(session, head, events)


def _add(session: Session, head: Any, dues: Sequence[_Due]) -> int:
    """Put events at the end of the chain, which ``head`` is, locked. Returns the number of the last."""
    now, seq, mark, rows = clock.now(), head.seq, head.hash, []
    for due in dues:
        seq += 1
        row = {**(due.row or {}), "seq": seq, "at": now}
        mark = link(mark, row)
        rows.append({**row, "hash": mark})
    changes = head.changes + sum(due.changes_lists for due in dues)
    _put(session, rows, new_seq=seq, new_hash=mark, new_changes=changes)
    return seq


def _put(session: Session, rows: list[dict[str, Any]], **end: Any) -> None:
    try:
        if db.connection(session).dialect.name == "postgresql":
            _ADD_AND_ADVANCE.run(session, rows=json.dumps(rows, default=dt.datetime.isoformat), **end)
        else:
            _ADD.many(session, rows)
            _ADVANCE.run(session, **end)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        raise outage.CannotRecord(None, None, error.orig or error, hide_parameters=True) from error


def record_many(
    session: Session,
    actor: Actor,
    action: Action,
    *,
    resource_type: str,
    about: Sequence[tuple[int, Mapping[str, Any]]],
    changes_lists: bool = False,
) -> None:
    """Add an event for each of ``about``, a resource's id and the details, as ``record`` does: one after the other in
    the chain, at a third of the cost. For work in batches, which no press and no idempotency key stands behind.
    """
    head = _READ_HEAD.one_or_none(session)
    actor_check.check(session)
    here, seq, mark = context.current(), head.seq, head.hash
    common = {
        "at": clock.now(),
        "actor": actor.kind,
        "actor_id": actor.account_id,
        "role": actor.role,
        "action": str(action),
        "outcome": str(Outcome.SUCCESS),
        "resource_type": resource_type,
        "address": _printable(here.address, 64),
        "user_agent": _printable(here.user_agent, 200),
        "request_id": _printable(here.request_id, 40),
    }
    rows = []
    for ident, details in about:
        seq += 1
        row = {**common, "seq": seq, "resource_id": ident, "metadata": dict(details)}
        mark = link(mark, row)
        rows.append({**row, "hash": mark})
    if rows:
        changes = head.changes + (1 if changes_lists else 0)
        _put(session, rows, new_seq=seq, new_hash=mark, new_changes=changes)
        counted = metrics.AUDIT_EVENTS, str(action), str(Outcome.SUCCESS)
        db.afterwards(session, functools.partial(metrics.count, *counted, by=len(rows)))
    if changes_lists:
        db.changed(session)


def wake_lists(session: Session) -> None:
    """Building block: what lists show has changed by what is no event of anybody's. Wakes them after the commit."""
    head = AUDIT_HEAD.c
    session.execute(update(AUDIT_HEAD).where(head.id == 1).values(changes=head.changes + 1))
    db.changed(session)


def owe(session: Session, patient_id: int, page: str) -> None:
    """Building block: what was read of this patient is shown, so an event about it is due before the commit.

    Any success about the patient counts. ``settle`` records the look that is still due then, with ``page``. Raises
    ``RuntimeError`` in a transaction that would not settle.
    """
    if actor_check.actor_of(session) is None:
        raise RuntimeError("a patient is shown by a transaction on nobody's behalf: see services.audit.acting")
    session.info.setdefault(_OWED, {})[patient_id] = page


def settle(session: Session, actor: Actor) -> None:
    """Building block: record the looks that are still due."""
    for patient_id, page in dict(session.info.get(_OWED, {})).items():
        record(
            session,
            actor,
            Action.OWN_RECORD_VIEWED if patient_id == actor.patient_id else Action.PATIENT_VIEWED,
            resource_type="patient",
            resource_id=patient_id,
            details={"page": page},
        )


def check_actor(session: Session) -> None:
    """Building block: raise as ``record`` does in a transaction that recorded nothing.

    From here to the commit nobody can add an event, and so nobody ends a session; others that record nothing may pass.
    """
    if not actor_check.is_due(session):
        return
    if db.at_the_end(session, _add_due, _Due(None, who=actor_check.actor_of(session)), after_others=True):
        actor_check.leave(session)
    else:
        _HOLD_HEAD.one_or_none(session)
        actor_check.check(session)
