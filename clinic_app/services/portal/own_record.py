"""A patient's own record, from the patient's side."""

from __future__ import annotations

from dataclasses import fields

from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit import reading
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.patients import repository
from clinic_app.services.patients.errors import PatientNotFound
from clinic_app.services.patients.looks import Seen
from clinic_app.services.patients.views import PatientRecord
from clinic_app.services.portal.views import OwnRecord, Viewing

_SHOWN = tuple(field.name for field in fields(PatientRecord))
#: What people at the clinic did to the record that its owner is shown.
_LOOKS = {Action.PATIENT_VIEWED, Action.PATIENT_UPDATED, Action.PATIENT_CREATED}
VIEWINGS = 10


def own_record(actor: Actor) -> OwnRecord:
    """The record of the patient who asks, and who at the clinic has looked at it. Recorded as a look.

    For patients with a password of their own. Which patient is decided by the account alone, never by input.
    Raises ``PermissionDenied``, ``AuthenticationRequired``.
    """
    demand(actor, Permission.OWN_RECORD, resource_type="patient", resource_id=actor.patient_id)
    if actor.patient_id is None:
        raise PatientNotFound
    with transaction(actor) as session:
        patient = repository.find(session, actor.patient_id, Seen.OWN)
        looks = reading.events_of(session, "patient", actor.patient_id, VIEWINGS + 1, done=_LOOKS)
        return OwnRecord(
            **repository.values(patient, _SHOWN),
            viewings=tuple(Viewing(e.at, e.actor_name, e.role, e.action) for e in looks[:VIEWINGS]),
            viewed_before=len(looks) > VIEWINGS,
        )
