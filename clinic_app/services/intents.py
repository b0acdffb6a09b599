"""Presses that count once: the browser names each press, and its row goes in with the work's own transaction.

The row's key decides. So after a lost line, a killed server or a COMMIT without an answer it is known whether the work
was done, and doing it again is refused. The API's ``Idempotency-Key`` is kept beside it (``idempotency``): there an
answer is repeated, here the screen is led to its outcome.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Row, select, update
from sqlmodel import Session

from clinic_app.core import clock, context, db, logs
from clinic_app.core.errors import Conflict, DatabaseAway, ErrorKind, Unavailable
from clinic_app.models.intents import INTENTS
from clinic_app.services.access import Actor

LIFE = dt.timedelta(hours=24)
_SHAPE = re.compile(r"[0-9a-f]{32}")
_MARKED = "intent"
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Done:
    """What a press has done. ``seen`` is false while credentials that it issued may never have been on a screen.

    ``had``: the mark of those that were on the page that asks, and are not any more: it lost them with the server.
    """

    intent: str
    action: str
    resource_type: str | None
    resource_id: int | None
    done_at: dt.datetime
    seen: bool
    had: str = ""


class AlreadyDone(Conflict):
    """The press was carried out before. ``done`` says what it did: show that, and do nothing again."""

    code = "already_done"
    title = "Already done"
    detail = "This was carried out before. Nothing was done again."

    def __init__(self, done: Done) -> None:
        super().__init__()
        self.done = done


class OutcomeUnknown(Unavailable):
    """The database was lost before it said whether the work is kept, and cannot be asked now."""

    code = "outcome_unknown"
    title = "It is not known yet whether this was done"
    detail = "The database does not answer. Press again in a moment: it happens once."


def is_intent(text: str) -> bool:
    """Whether ``text`` is one that a browser may make up: 128 random bits in hex."""
    return _SHAPE.fullmatch(text) is not None


def _key(actor: Actor, intent: str) -> str:
    return hashlib.sha256(f"{actor.account_id}\n{intent}".encode()).hexdigest()


def _done(intent: str, row: Row[Any]) -> Done:
    return Done(intent, row.action, row.resource_type, row.resource_id, row.done_at, row.seen_at is not None)


def outcome(actor: Actor, intent: str) -> Done | None:
    """What this account's press has done; None where it did nothing (yet). For whoever pressed."""
    if not is_intent(intent):
        return None
    with db.reading() as session:
        row = session.execute(select(INTENTS).where(INTENTS.c.key == _key(actor, intent))).one_or_none()
    return None if row is None else _done(intent, row)


def lock(session: Session, actor: Actor, intent: str) -> Done | None:
    """Building block: ``outcome`` in the caller's transaction, where nobody else changes the row until its end."""
    row = session.execute(select(INTENTS).where(INTENTS.c.key == _key(actor, intent)).with_for_update()).one_or_none()
    return None if row is None else _done(intent, row)


def mark_done(
    session: Session,
    actor: Actor,
    *,
    action: str,
    resource_type: str | None,
    resource_id: int | None,
    issues: bool,
) -> None:
    """Write the row of the press that is being served, if there is one, in the work's own transaction.

    Recording a success calls it, so no use case can forget to. ``issues``: there are credentials to be seen. Raises
    ``AlreadyDone``, which undoes the transaction, where the press has been carried out by another try.
    """
    intent = context.current().intent
    if not intent or session.info.get(_MARKED):
        return
    now = clock.now()
    fresh = {
        "key": _key(actor, intent),
        "action": action,
        "resource_type": resource_type,
        "resource_id": resource_id,
        "done_at": now,
        "seen_at": None if issues else now,
    }
    if db.upsert(session, INTENTS, fresh) is None:
        found = lock(session, actor, intent)
        assert found is not None  # noqa: S101  it has just refused ours, and rows go after a day only
        raise AlreadyDone(found)
    session.info[_MARKED] = True


def happened(actor: Actor) -> Done | None:
    """What the press that is being served has done after all. For whoever is about to tell that it failed."""
    intent = context.current().intent
    return outcome(actor, intent) if intent else None


def once(actor: Actor, work: Callable[[], Answer]) -> Answer:
    """Do ``work`` unless the press that is being served (``context.current().intent``) was carried out before.

    For whoever may do ``work``, which checks that itself. Raises ``AlreadyDone`` with what it did; ``OutcomeUnknown``
    where ``work`` broke off and the database cannot say whether it is kept; and whatever ``work`` raises.
    """
    if not context.current().intent:
        return work()
    if (before := happened(actor)) is not None:
        raise AlreadyDone(before)
    try:
        return work()
    except AlreadyDone:
        raise
    except Exception as error:
        try:
            after = happened(actor)
        except Exception as lost:  # noqa: BLE001  nobody is told that it failed while that is not known
            refused = getattr(error, "kind", ErrorKind.UNEXPECTED) != ErrorKind.UNEXPECTED
            if refused and not isinstance(error, DatabaseAway):
                raise error from None  # before anything was written
            logs.failure(lost, "outcome of a press")
            raise OutcomeUnknown from None
        if after is not None:
            raise AlreadyDone(after) from None
        raise


def mark_seen(actor: Actor, intent: str) -> None:
    """Note that the credentials this press issued have been seen: they are not issued again. For whoever pressed."""
    if not is_intent(intent):
        return
    with db.transaction() as session:
        note_seen(session, actor, intent)


def note_seen(session: Session, actor: Actor, intent: str) -> None:
    """Building block: ``mark_seen`` in the caller's transaction."""
    unseen = INTENTS.c.key == _key(actor, intent), INTENTS.c.seen_at.is_(None)
    session.execute(update(INTENTS).where(*unseen).values(seen_at=clock.now()))


def issued_anew(session: Session, actor: Actor, intent: str) -> None:
    """Building block: the credentials have just been replaced under the same row, and nobody has seen the new ones."""
    fresh = {"done_at": clock.now(), "seen_at": None}
    session.execute(update(INTENTS).where(INTENTS.c.key == _key(actor, intent)).values(fresh))
