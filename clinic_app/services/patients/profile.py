"""One patient: looking at the record, and editing it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from clinic_app.core import clock, db
from clinic_app.core.errors import InvalidInput
from clinic_app.models.patients import PATIENTS, Patient
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts.portal_accounts import (
    emails_go_to,
    end_waiting_email,
    follow_email,
    follow_phone,
    rename_portal_account,
    tell_of_other_email,
)
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import Attempt, demand, recorded_failure
from clinic_app.services.audit.recording import record
from clinic_app.services.patients import looks, merged_keys, name_parts, national_ids, repository
from clinic_app.services.patients.duplicates import Comparable, index
from clinic_app.services.patients.errors import StaleRecord
from clinic_app.services.patients.forms import PatientUpdate
from clinic_app.services.patients.looks import Seen
from clinic_app.services.patients.registration import clash
from clinic_app.services.patients.views import PatientProfile
from clinic_app.services.patients.wording import full_name

#: Events that a profile shows at first, before those that only look are folded together.
ACTIVITY = 30
FAILED = "Failed to save the changes"


def read_together(keys: Sequence[int | str]) -> list[Any]:
    """Within ``db.grouped`` and for doors that answer several looks at once: the rows of all these records, for
    ``view_patient``, which records each look; None where it is to read the row itself.
    """
    with db.transaction(writes=False) as session:
        return repository.whole_by_ids(session, keys)


def view_patient(
    actor: Actor, key: int | str, *, activity: int = ACTIVITY, merged: bool = False, found: Any = None
) -> PatientProfile:
    """The record of one patient, with its latest ``activity`` events and changes. The look itself is recorded first.

    For staff. ``key`` is the id or the patient ID. Raises ``PatientNotFound``, ``PermissionDenied``, and
    ``PatientMerged``, which says where one that was merged leads to, unless ``merged`` asks for it as it stands.
    ``found`` is what ``read_together`` has read of it.
    """
    demand(actor, Permission.PATIENT_SEE, resource_type="patient")
    with transaction(actor, looks=True) as session:
        found = repository.find_whole(session, key, Seen.RECORD, merged=merged, found=found)
        return repository.profile_from(session, found, activity=activity, messages=bool(activity) and _told(actor))


def _told(actor: Actor) -> bool:
    """Whether messages are this actor's business."""
    return actor.can(Permission.PORTAL_MANAGE)


def reread_patient(actor: Actor, key: int | str, page: Seen = Seen.OPEN, *, on_record: bool = False) -> PatientProfile:
    """The record again, for a page that shows it already or a dialog on it. For staff; raises as ``view_patient``.

    A look that is recorded with its ``page``, unless that is an open record, or stands ``on_record``, and the trail
    says that it is open.
    """
    demand(actor, Permission.PATIENT_SEE, resource_type="patient")
    if page is Seen.OPEN or on_record:
        with db.reading() as session:
            found = repository.find_whole(session, key, Seen.UNSHOWN)
            if looks.is_open(session, actor, found.id):
                return repository.profile_from(session, found, activity=ACTIVITY, messages=_told(actor))
    with transaction(actor) as session:
        found = repository.find_whole(session, key, page)
        return repository.profile_from(session, found, activity=ACTIVITY, messages=_told(actor))


def kept_patient(actor: Actor, key: int | str) -> PatientProfile:
    """The record, to compare what was sent with it. Recorded as a look: the answer tells which of it is right.

    For receptionists and administrators. Raises ``PatientNotFound``, ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_EDIT, resource_type="patient")
    with transaction(actor) as session:
        return repository.profile_from(session, repository.find_whole(session, key, Seen.COMPARED))


def update_patient(actor: Actor, key: int | str, form: PatientUpdate) -> PatientProfile:
    """Change the fields in ``form.changes``; others stay as they are, whoever changed them.

    For receptionists and administrators. With ``form.version`` the edit is refused when the record has changed
    since. Nobody is left without a last name unless they have one name only. Where emails to the owner of a portal
    account follow the patient's, they are told at both. What is refused is recorded too: its words may say something of
    that record, or of another one. Raises ``StaleRecord``, ``InvalidInput``, ``NationalIdTaken``, ``ExternalIdTaken``,
    ``PatientNotFound``, ``PermissionDenied``, or ``Unexpected`` with a reference.
    """
    demand(actor, Permission.PATIENT_EDIT, resource_type="patient")
    with recorded_failure(actor, Action.PATIENT_UPDATE_FAILED, FAILED, resource_type="patient") as attempt:
        try:
            return _update(actor, key, form, attempt)
        except IntegrityError as error:
            raise clash(error) from None


def _update(actor: Actor, key: int | str, form: PatientUpdate, attempt: Attempt) -> PatientProfile:
    with transaction(actor) as session:
        patient = repository.find(session, key, Seen.CHANGED, lock=True)
        attempt.resource_id = patient.id
        went_to = emails_go_to(session, patient.id or 0) if "email" in form.changes else ""
        if "email" in change_details(session, actor, patient, form):
            tell_of_other_email(session, patient.id or 0, went_to)
        return repository.profile_of(session, patient, activity=ACTIVITY, messages=_told(actor))


def change_details(session: Session, actor: Actor, patient: Patient, form: PatientUpdate) -> list[str]:
    """Building block: ``put_changes``, and its event where something is new. Returns the names of what is."""
    if changed := put_changes(session, patient, form):
        record_update(session, actor, patient, changed)
    return changed


def put_changes(session: Session, patient: Any, form: PatientUpdate) -> list[str]:
    """Building block: give ``patient``, locked, the values of the form; returns the names of those that are new.

    Raises ``StaleRecord``, ``InvalidInput`` and, where a value is taken, ``IntegrityError``.
    """
    if form.version is not None and form.version != patient.version:
        raise StaleRecord
    changed = sorted(name for name, value in form.changes.items() if repository.value_of(patient, name) != value)
    if not changed:
        return changed
    phone, email = patient.phone, patient.email
    before = Comparable.of(patient)
    names = name_parts.parts_of(patient.first_name, patient.last_name)
    for name in changed:
        repository.put(patient, name, form.changes[name])
    if not patient.last_name and not patient.single_name:
        raise InvalidInput({"last_name": "Last name is required."})
    if "national_id" in changed:
        patient.national_id_key = national_ids.key(patient.national_id)
    free_from_merged(session, patient, changed)
    repository.refresh_keys(session, patient)
    patient.updated_at = clock.now()
    patient.version += 1
    session.flush()
    index.change(session, before, patient)
    if "phone" in changed:
        follow_phone(session, patient.id or 0, phone, patient.phone)
    if "email" in changed:
        follow_email(session, patient.id or 0, email, patient.email)
        end_waiting_email(session, patient.id or 0)
    if not {"first_name", "last_name"}.isdisjoint(changed):
        name_parts.change(session, names, name_parts.parts_of(patient.first_name, patient.last_name))
        rename_portal_account(session, patient.id or 0, full_name(patient.first_name, patient.last_name))
    return changed


def free_from_merged(session: Session, patient: Patient, names: Iterable[str]) -> None:
    """Building block: a number that one record alone may hold is taken from a record merged into this one."""
    held = {name: getattr(patient, name) for name in ("national_id_key", "external_id")}
    wanted = {name: value for name, value in held.items() if value and name.removesuffix("_key") in names}
    if not wanted:
        return
    with session.no_autoflush:  # freed first, then taken
        ids = [row.id for row in merged_keys.merged_into(session, patient.id or 0)]
        for name, value in wanted.items() if ids else ():
            column = PATIENTS.c[name]
            session.execute(update(PATIENTS).where(PATIENTS.c.id.in_(ids), column == value).values({column: None}))


def record_update(session: Session, actor: Actor, patient: Any, changed: list[str]) -> None:
    """Building block: the event of ``put_changes``."""
    record(
        session,
        actor,
        Action.PATIENT_UPDATED,
        resource_type="patient",
        resource_id=patient.id,
        details={"patient_id": patient.patient_id, "fields": changed},
        changes_lists=True,
    )
