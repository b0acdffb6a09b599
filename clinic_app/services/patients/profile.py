"""One patient: looking at the record, and editing it."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError

from clinic_app.core import clock, db
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts.portal_accounts import rename_portal_account
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.recording import record
from clinic_app.services.patients import repository
from clinic_app.services.patients.errors import StaleRecord
from clinic_app.services.patients.forms import PatientUpdate
from clinic_app.services.patients.registration import clash
from clinic_app.services.patients.views import PatientProfile
from clinic_app.services.patients.wording import full_name

ACTIVITY = 12


def view_patient(actor: Actor, key: int | str, *, activity: int = ACTIVITY) -> PatientProfile:
    """The record of one patient, with its latest ``activity`` events. The look itself is recorded first.

    For staff. ``key`` is the id or the patient ID. Raises ``PatientNotFound``, ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_SEE, resource_type="patient")
    with db.transaction() as session:
        found = repository.find_whole(session, key)
        record(session, actor, Action.PATIENT_VIEWED, resource_type="patient", resource_id=found.id)
        return repository.profile_from(session, found, activity=activity)


def reread_patient(actor: Actor, key: int | str) -> PatientProfile:
    """The record again, for a page that already shows it. For staff; raises as ``view_patient``."""
    demand(actor, Permission.PATIENT_SEE, resource_type="patient")
    with db.reading() as session:
        return repository.profile_from(session, repository.find_whole(session, key), activity=ACTIVITY)


def update_patient(actor: Actor, key: int | str, form: PatientUpdate) -> PatientProfile:
    """Change the fields in ``form.changes``; others stay as they are, whoever changed them.

    For receptionists and administrators. With ``form.version`` the edit is refused when the record has changed
    since. Raises ``StaleRecord``, ``NationalIdTaken``, ``PatientNotFound``, ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_EDIT, resource_type="patient")
    try:
        with db.transaction() as session:
            patient = repository.find(session, key, lock=True)
            if form.version is not None and form.version != patient.version:
                raise StaleRecord
            changed = sorted(name for name, value in form.changes.items() if getattr(patient, name) != value)
            if changed:
                for name in changed:
                    setattr(patient, name, form.changes[name])
                repository.keys_for_finding(patient)
                patient.updated_at = clock.now()
                patient.version += 1
                session.flush()
                if not {"first_name", "last_name"}.isdisjoint(changed):
                    rename_portal_account(session, patient.id or 0, full_name(patient.first_name, patient.last_name))
                details = {"patient_id": patient.patient_id, "fields": changed}
                record(
                    session,
                    actor,
                    Action.PATIENT_UPDATED,
                    resource_type="patient",
                    resource_id=patient.id,
                    details=details,
                    changes_lists=True,
                )
            return repository.profile_of(session, patient, activity=ACTIVITY)
    except IntegrityError as error:
        raise clash(error) from None
