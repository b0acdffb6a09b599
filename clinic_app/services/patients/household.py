"""Registering somebody of the same household: what a relative's record has that is likely the same."""

from __future__ import annotations

from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.authorization import demand
from clinic_app.services.patients import repository
from clinic_app.services.patients.forms import PATIENT_FIELDS
from clinic_app.services.patients.looks import Seen
from clinic_app.services.patients.views import Household

SHARED = tuple(name for name, field in PATIENT_FIELDS.items() if field.shared)


def household_of(actor: Actor, key: int | str) -> Household:
    """A patient, and the values that a relative's registration begins with, as they are typed. The look is recorded.

    For receptionists and administrators. ``key`` is the id or the patient ID. Raises ``PatientNotFound``,
    ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_REGISTER, resource_type="patient")
    with transaction(actor) as session:
        found = repository.find_whole(session, key, Seen.REGISTRATION)
        values = {name: PATIENT_FIELDS[name].words(getattr(found, name)) for name in SHARED}
        patient = repository.profile_from(session, found)
        return Household(patient, {name: value for name, value in values.items() if value})
