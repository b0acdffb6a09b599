"""The records somebody opened last, for a search box in which nothing is typed yet."""

from __future__ import annotations

from sqlalchemy import bindparam, func, select

from clinic_app.core import db
from clinic_app.core.prepared import Prepared
from clinic_app.models.audit import AUDIT_EVENTS
from clinic_app.models.patients import PATIENTS
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.together import record_alone
from clinic_app.services.patients import repository
from clinic_app.services.patients.views import PatientSummary

MOST = 10
#: How far back is looked: this many of the person's own events. It keeps the look short however long the trail is.
EVENTS = 1000

# Read from the trail itself, so nothing is kept for it that somebody would have to remove.
_LATELY = (
    select(
        AUDIT_EVENTS.c.seq,
        AUDIT_EVENTS.c.action,
        AUDIT_EVENTS.c.outcome,
        AUDIT_EVENTS.c.resource_type,
        AUDIT_EVENTS.c.resource_id,
    )
    .where(AUDIT_EVENTS.c.actor_id == bindparam("account"))
    .order_by(AUDIT_EVENTS.c.seq.desc())
    .limit(bindparam("events"))
    .subquery()
)
_OPENED = (
    select(_LATELY.c.resource_id, func.max(_LATELY.c.seq).label("seq"))
    .where(
        _LATELY.c.action == bindparam("opened"),
        _LATELY.c.outcome == bindparam("done"),
        _LATELY.c.resource_type == bindparam("kind"),
    )
    .group_by(_LATELY.c.resource_id)
    .subquery()
)
_OPENED_LAST = Prepared(
    repository.summaries()
    .join(_OPENED, _OPENED.c.resource_id == PATIENTS.c.id)
    .where(PATIENTS.c.is_active)
    .order_by(_OPENED.c.seq.desc())
    .limit(bindparam("most"))
)


def opened_last(actor: Actor) -> tuple[PatientSummary, ...]:
    """The at most ten active patients whose records ``actor`` opened last, latest first, each once.

    For staff, and for each their own. Being shown them is recorded. Raises ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_SEE)
    wanted = {"account": actor.account_id, "events": EVENTS, "most": MOST}
    looks = {"opened": str(Action.PATIENT_VIEWED), "done": "success", "kind": "patient"}
    with db.reading() as session:
        found = repository.summaries_of(session, _OPENED_LAST.all(session, **wanted, **looks))
    if found:
        details = {"kind": "opened_last", "page": 1, "count": len(found)}
        record_alone(actor, Action.PATIENT_LISTED, resource_type="patient", details=details)
    return found
