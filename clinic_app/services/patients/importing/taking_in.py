"""The rows of one batch, written in one transaction: patients, what they are found by, their events in the chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, insert, update
from sqlmodel import Session

from clinic_app.core import db
from clinic_app.core.prepared import Prepared
from clinic_app.core.settings import get_settings
from clinic_app.models.match_keys import MATCH_KEYS
from clinic_app.models.patients import COUNTERS, PATIENTS
from clinic_app.services.access import Actor
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.recording import record_many
from clinic_app.services.patients import name_parts, repository
from clinic_app.services.patients.duplicates import index
from clinic_app.services.patients.forms import PatientDetails, PatientUpdate
from clinic_app.services.patients.looks import Seen
from clinic_app.services.patients.profile import change_details
from clinic_app.services.patients.registration import row_of

_NUMBERS = Prepared(
    update(COUNTERS)
    .where(COUNTERS.c.name == "patient_id")
    .values(value=COUNTERS.c.value + bindparam("more"))
    .returning(COUNTERS.c.value)
)
_ADD = insert(PATIENTS).returning(PATIENTS.c.id, sort_by_parameter_order=True)
_ADD_KEYS = insert(MATCH_KEYS)
OTHER_EXTERNAL_ID = "The record chosen as the same person has another external ID already."


def add_patients(session: Session, actor: Actor, forms: Sequence[PatientDetails], run_id: int) -> list[Any]:
    """Building block: register these, each with its event, as at the desk and without portal; returns them as rows.

    Raises ``IntegrityError`` where a value belongs to somebody else meanwhile: nothing of the batch is kept then.
    """
    if not forms:
        return []
    prefix = get_settings().patient_id_prefix
    last = _NUMBERS.one_or_none(session, more=len(forms)).value
    patients = [
        row_of(form, f"{prefix}{number:06d}", actor) for number, form in enumerate(forms, last - len(forms) + 1)
    ]
    for patient in patients:
        repository.keys_for_finding(patient, ())
    run = db.connection(session).execute
    ids = run(_ADD, [vars(patient) for patient in patients]).scalars().all()
    for patient, ident in zip(patients, ids, strict=True):
        patient.id = ident
    name_parts.add_many(session, (name_parts.parts_of(patient.first_name, patient.last_name) for patient in patients))
    run(_ADD_KEYS, [row for patient in patients for row in index.rows_of(patient)])
    about = [
        (patient.id, {"patient_id": patient.patient_id, "portal_account_created": False, "import": run_id})
        for patient in patients
    ]
    record_many(session, actor, Action.PATIENT_CREATED, resource_type="patient", about=about)
    return patients


def same_person(session: Session, actor: Actor, patient: int, external_id: str | None) -> str:
    """Building block: this row is the patient with this id, who gets its external ID. Why not, in words, or nothing.

    Where the row has none, or the record has it already, nothing is changed.
    """
    found = repository.find(session, patient, Seen.CHANGED, lock=True)
    if not external_id or found.external_id == external_id:
        return ""
    if found.external_id:
        return OTHER_EXTERNAL_ID
    change_details(session, actor, found, PatientUpdate({"external_id": external_id}))
    return ""
