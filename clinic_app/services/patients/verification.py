"""Self-registrations waiting for the desk: the queue, and saying that the person was seen."""

from __future__ import annotations

from sqlalchemy import func, select

from clinic_app.core import clock, db
from clinic_app.core.paging import Page, window
from clinic_app.models.patients import PATIENTS, VerificationStatus
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.recording import record
from clinic_app.services.audit.together import record_alone
from clinic_app.services.patients import repository
from clinic_app.services.patients.looks import Seen
from clinic_app.services.patients.views import PatientProfile, PatientSummary
from clinic_app.services.rates import LISTS, rates


def list_pending(actor: Actor, page: int = 1, page_size: int = 20) -> Page[PatientSummary]:
    """Patients waiting to be verified, the longest waiting first. A page beyond the end is the last one.

    For receptionists and administrators. Recorded before it is shown. Raises ``TooManyLists``, ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_VERIFY, resource_type="patient")
    rates().spend(actor, LISTS)
    waiting = [PATIENTS.c.is_active, PATIENTS.c.verification_status == VerificationStatus.PENDING]
    with db.reading() as session:
        total = session.execute(select(func.count()).select_from(PATIENTS).where(*waiting)).scalar_one()
        rows = window(page, page_size, total)
        found = session.execute(
            repository.summaries()
            .where(*waiting)
            .order_by(PATIENTS.c.created_at, PATIENTS.c.id)
            .limit(rows.size)
            .offset(rows.skip)
        )
        shown = rows.page(repository.summaries_of(session, found))
    details = {"kind": "pending", "page": shown.number, "count": len(shown.items)}
    record_alone(actor, Action.PATIENT_LISTED, resource_type="patient", details=details)
    return shown


def verify_patient(actor: Actor, key: int | str) -> PatientProfile:
    """Say that the desk has seen this person. Doing it twice changes nothing.

    For receptionists and administrators. ``key`` is the id or the patient ID. Raises ``PatientNotFound``,
    ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_VERIFY, resource_type="patient")
    with transaction(actor) as session:
        patient = repository.find(session, key, Seen.CHANGED, lock=True)
        if patient.verification_status != VerificationStatus.VERIFIED:
            patient.verification_status = VerificationStatus.VERIFIED
            patient.updated_at = clock.now()
            patient.version += 1
            session.flush()
            record(
                session,
                actor,
                Action.PATIENT_VERIFIED,
                resource_type="patient",
                resource_id=patient.id,
                details={"patient_id": patient.patient_id},
                changes_lists=True,
            )
        return repository.profile_of(session, patient)
