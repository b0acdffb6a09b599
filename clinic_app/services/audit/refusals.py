"""Refusing with a trace: the check every use case begins with."""

from __future__ import annotations

from clinic_app.core import db
from clinic_app.core.errors import AuthenticationRequired, PermissionDenied
from clinic_app.services import access
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit.actions import Action, Outcome
from clinic_app.services.audit.recording import record


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
    held_back = actor.must_choose_password
    raise PermissionDenied(access.CHOOSE_PASSWORD_FIRST if held_back else access.REFUSALS.get(permission))


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
