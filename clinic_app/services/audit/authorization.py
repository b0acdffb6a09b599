"""Refusing with a trace: the check every use case begins with."""

from __future__ import annotations

import datetime as dt

from clinic_app.core import clock, db
from clinic_app.core.errors import AuthenticationRequired, PermissionDenied, ReauthenticationRequired
from clinic_app.services import access
from clinic_app.services.access import Actor, Permission
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
    note_refusal(actor, str(permission), resource_type=resource_type, resource_id=resource_id)
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
    with db.transaction() as session:
        record(
            session,
            actor,
            Action.ACCESS_DENIED,
            outcome=Outcome.DENIED,
            resource_type=resource_type,
            resource_id=resource_id,
            details={"permission": what[:80]},
        )
