"""An answer that is given again shows again what it showed before."""

from __future__ import annotations

from sqlalchemy import select

from clinic_app.models.audit import AUDIT_EVENTS
from clinic_app.services.access import Actor
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.recording import record

_PAGE = "repeated answer"


def note_repeated(actor: Actor, seq: int | None) -> None:
    """Building block: record that ``actor`` is given again the answer of the work that event ``seq`` recorded.

    A look at the patient it was about; where it was about several, a list of them. For a caller who may do that work.
    """
    with transaction(actor) as session:
        event = session.execute(select(AUDIT_EVENTS).where(AUDIT_EVENTS.c.seq == (seq or 0))).mappings().one_or_none()
        if event is None or event["resource_type"] != "patient":
            return
        about = event["resource_id"]
        if about is not None:
            action, details = Action.PATIENT_VIEWED, {"page": _PAGE}
        else:
            count = sum(event["metadata"].get(name, 0) for name in ("created", "failed"))  # of a run for several
            action, details = Action.PATIENT_LISTED, {"kind": _PAGE, "page": 1, "count": count}
        record(session, actor, action, resource_type="patient", resource_id=about, details=details)
