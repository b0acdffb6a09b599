"""Refusing and failing with a trace: the check every use case begins with, and what is recorded when one fails."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from clinic_app.core import clock, db, logs, outage
from clinic_app.core.errors import (
    AuthenticationRequired,
    ClinicError,
    PermissionDenied,
    ReauthenticationRequired,
)
from clinic_app.services import access, intents
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit import refusals
from clinic_app.services.audit.actions import Action, Outcome
from clinic_app.services.audit.recording import record

#: How long after signing in or confirming sensitive actions are allowed (ASVS 5.0 7.5.1, 7.5.3).
FRESH = dt.timedelta(minutes=5)


def demand(
    actor: Actor, permission: Permission, *, resource_type: str | None = None, resource_id: int | None = None
) -> None:
    """Return if ``actor`` holds ``permission``; else record the refusal and raise.

    Raises ``AuthenticationRequired`` for nobody, ``PermissionDenied`` with the permission's own sentence for others.
    Call it before the use case's transaction: the refusal is a transaction of its own.
    """
    if actor.can(permission):
        return
    note_or_count_refusal(actor, str(permission), resource_type=resource_type, resource_id=resource_id)
    if actor.kind == "anonymous":
        raise AuthenticationRequired
    raise PermissionDenied(actor.held_back or access.REFUSALS.get(permission))


def demand_fresh(actor: Actor) -> None:
    """Return if ``actor`` signed in or confirmed within ``FRESH``, or is the command line.

    For use cases that do something sensitive, after ``demand``. Raises ``ReauthenticationRequired``.
    """
    if actor.kind == "system":
        return
    now = clock.now()
    if actor.proved_at is None or not now - FRESH < actor.proved_at <= now:
        raise ReauthenticationRequired


def note_refusal(actor: Actor, what: str, *, resource_type: str | None = None, resource_id: int | None = None) -> None:
    """Record that ``actor`` was refused ``what`` (a permission or the name of an event)."""
    note_failure(
        actor,
        Action.ACCESS_DENIED,
        outcome=Outcome.DENIED,
        resource_type=resource_type,
        resource_id=resource_id,
        details={"permission": what[:80]},
    )


def note_or_count_refusal(
    actor: Actor, what: str, *, resource_type: str | None = None, resource_id: int | None = None
) -> None:
    """The same for what anybody may bring about as often as they like: such refusals are counted (``refusals``)."""
    if not refusals.counted(actor, what):
        note_refusal(actor, what, resource_type=resource_type, resource_id=resource_id)


def note_failure(
    actor: Actor,
    action: Action,
    *,
    outcome: Outcome = Outcome.FAILURE,
    resource_type: str | None = None,
    resource_id: int | None = None,
    details: Mapping[str, Any] | None = None,
    changes_lists: bool = False,
    also: Callable[[Session], None] | None = None,
) -> None:
    """Building block: record a failure in a transaction of its own, for whoever raises the error behind it next.

    ``also`` is what else is kept with it, such as the count of a wrong try. Never raises: where the note itself fails
    (the database may be what is broken), that is logged without values, and the caller's own error stays the one told.
    """
    try:
        with db.transaction() as session:
            if also is not None:
                also(session)
            record(
                session,
                actor,
                action,
                outcome=outcome,
                resource_type=resource_type,
                resource_id=resource_id,
                details=details,
                changes_lists=changes_lists,
            )
    except Exception as error:  # noqa: BLE001  see above
        logs.failure(error, f"note of {action}")


@dataclass(slots=True)
class Attempt:
    """What is being tried; ``resource_id`` once it is known what it is about."""

    resource_id: int | None = None


@contextlib.contextmanager
def recorded_failure(actor: Actor, action: Action, title: str, *, resource_type: str) -> Iterator[Attempt]:
    """Building block: whatever ends the block is recorded as ``action``, in a transaction of its own, and raised.

    Yields the attempt, which the block tells whom it is about: the error's words may say something of that record.
    Our own errors are raised as they are. Any other is a fault: logged without values, and raised as ``Unexpected``
    with ``title`` and the reference to look for, or as ``DatabaseAway``.
    What a press has done after all is no failure: ``AlreadyDone``.
    """
    attempt = Attempt()
    try:
        yield attempt
    except Exception as raised:
        if isinstance(raised, intents.AlreadyDone):
            raise
        done = None
        with contextlib.suppress(Exception):  # while the database does not answer, the page asks again
            done = intents.happened(actor)
        if done is not None:
            raise intents.AlreadyDone(done) from None
        ours = isinstance(raised, ClinicError)
        error = raised if ours else outage.told(raised, logs.failure(raised, action.lower()), title)
        note_failure(
            actor,
            action,
            resource_type=resource_type,
            resource_id=attempt.resource_id,
            details={"reason": error.code},
        )
        raise error from None
