"""The card a patient carries."""

from __future__ import annotations

from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.authorization import demand
from clinic_app.services.patients import repository, wording
from clinic_app.services.patients.looks import Seen
from clinic_app.services.patients.views import PatientCard


def patient_card(actor: Actor, key: int | str) -> PatientCard:
    """What stands on one patient's card. The look itself is recorded first.

    For staff. ``key`` is the id or the patient ID. Raises ``PatientNotFound``, ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_SEE, resource_type="patient")
    with transaction(actor) as session:
        patient = repository.find(session, key, Seen.CARD)
        return PatientCard(
            patient.patient_id,
            wording.full_name(patient.first_name, patient.last_name),
            wording.birth_words(repository.birth_of(patient)),
        )
