"""What happened to one record, for those who have it open."""

from __future__ import annotations

from clinic_app.core import db
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit import reading
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.reading import RecordedEvent
from clinic_app.services.patients import looks, repository
from clinic_app.services.patients.looks import Seen

#: How many events *Show all* shows; the audit trail has every one.
MOST = 500


def all_activity(actor: Actor, key: int | str) -> tuple[RecordedEvent, ...]:
    """The latest 500 events about one patient, newest first, for a page that shows the record already.

    For staff. Where the trail does not say that it does, that is recorded as a look. Raises ``PatientNotFound``,
    ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_SEE, resource_type="patient")
    with db.reading() as session:
        found = repository.find_whole(session, key, Seen.UNSHOWN)
        if looks.is_open(session, actor, found.id):
            return reading.events_of(session, "patient", found.id, MOST)
    with transaction(actor) as session:
        return reading.events_of(session, "patient", repository.find_whole(session, key, Seen.OPEN).id, MOST)
