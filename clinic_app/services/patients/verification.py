"""Self-registrations waiting for the desk: the line, and what is decided about each.

Of two desks that decide at once the first one does, and the other is told what it was: the registration's row is locked
first, and the patient's, where there is one, after it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from clinic_app.core import clock, db, text_rules
from clinic_app.core.errors import InvalidInput
from clinic_app.core.paging import Page, window
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.models.patients import PATIENTS, Gender, Patient, VerificationStatus
from clinic_app.models.registrations import SELF_REGISTRATIONS, RegistrationState, SelfRegistration
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts.housekeeping import KEEP_LINKED
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.recording import record
from clinic_app.services.audit.together import record_alone
from clinic_app.services.patients import national_ids, repository, waiting, wording
from clinic_app.services.patients.duplicates import holding, likely_matches, showing
from clinic_app.services.patients.duplicates.holding import ANYBODY, Despite, SomebodyNew
from clinic_app.services.patients.errors import (
    AlreadyDecided,
    LinkNotUndone,
    NobodyWaits,
    PatientMerged,
    RecordNotInUse,
    SomebodyAlike,
    StaleRecord,
)
from clinic_app.services.patients.forms import (
    PATIENT_FIELDS,
    SECTIONS,
    Kind,
    PatientDetails,
    PatientRegistration,
    PatientUpdate,
)
from clinic_app.services.patients.looks import Seen
from clinic_app.services.patients.profile import put_changes, record_update
from clinic_app.services.patients.registration import add_patient, clash
from clinic_app.services.patients.views import PatientProfile, PatientSummary
from clinic_app.services.patients.waiting import LikelyMatch, Linked, WaitingPerson
from clinic_app.services.rates import LISTS, rates

#: How many one page shows: each with all they typed, and whom they may be.
PAGE_SIZE = 10
#: How long *Undo* brings a linked registration back: then it is removed.
UNDO_LIFE = KEEP_LINKED
REJECT_REASONS = {
    "NOT_REAL": "Not a real person",
    "TWICE": "Registered twice",
    "NOT_REACHED": "Cannot be reached",
    "OTHER": "Another reason",
}
#: What a link may fill in, where the record has nothing: not the name, nor what somebody has agreed to.
_FILLED = tuple(
    name
    for section in SECTIONS.values()
    for name in section
    if name not in ("first_name", "last_name") and PATIENT_FIELDS[name].kind is not Kind.TICK
)


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a registration is rejected: one of ``REJECT_REASONS``, and perhaps words, which the audit trail keeps."""

    reason: str
    words: str = ""

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Rejection:
        """Check ``data``. Raises ``InvalidInput`` by field."""
        problems, reason, words = {}, data.get("reason"), ""
        if not (isinstance(reason, str) and reason in REJECT_REASONS):
            problems["reason"] = "Choose why it is rejected."
        try:
            words = text_rules.line(data.get("words"), "In words", 150) or ""
        except ValueError as error:
            problems["words"] = str(error)
        if problems:
            raise InvalidInput(problems)
        return cls(str(reason), words)


# --- who waits ----------------------------------------------------------------------------------------


def list_pending(actor: Actor, page: int = 1, page_size: int = 20) -> Page[PatientSummary]:
    """Whoever waits to be verified, the longest waiting first. A page beyond the end is the last one. Who is no patient
    yet has no patient ID.

    For receptionists and administrators. Recorded before it is shown. Raises ``TooManyLists``, ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_VERIFY, resource_type="patient")
    rates().spend(actor, LISTS)
    with db.reading() as session:
        rows = window(page, page_size, waiting.count(session)[0])
        found = waiting.places(session, rows.skip, rows.size)
        known = _patients(session, [row for patient, row in found if patient])
        typed = _registrations(session, [row for patient, row in found if not patient])
        shown = rows.page(known[row] if patient else typed[row].listed() for patient, row in found)
    _record_list(actor, shown.number, len(shown.items))
    return shown


def list_waiting(actor: Actor, page: int = 1, *, again: Collection[int] | None = None) -> Page[WaitingPerson]:
    """One page of the same line, with everything each has typed and the patients each may be.

    For receptionists and administrators. ``again`` has the ids of who is on the screen, themselves and those they may
    be, where that is drawn again after somebody's change: it leaves nothing unless somebody else comes there. Otherwise
    recorded before it is shown. Raises ``TooManyLists``, ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_VERIFY, resource_type="patient")
    if again is None:
        rates().spend(actor, LISTS)
    with db.reading() as session:
        rows = window(page, PAGE_SIZE, waiting.count(session)[0])
        found = waiting.places(session, rows.skip, rows.size)
        people = _registrations(session, [row for patient, row in found if not patient])
        known = _as_waiting(session, [row for patient, row in found if patient])
        shown = rows.page(_with_matches(session, (known if patient else people)[row]) for patient, row in found)
    if shown.items and (again is None or not everybody_on(shown) <= set(again)):
        _record_list(actor, shown.number, len(shown.items), sum(len(one.matches) for one in shown.items))
    return shown


def everybody_on(page: Page[WaitingPerson]) -> set[int]:
    """The ids of all whose data a page shows."""
    return {one.id for one in page.items} | {found.match.patient.id for one in page.items for found in one.matches}


def count_waiting(actor: Actor) -> int:
    """How many wait to be verified. For receptionists and administrators; raises ``PermissionDenied``."""
    demand(actor, Permission.PATIENT_VERIFY)
    with db.reading() as session:
        return waiting.count(session)[0]


def _record_list(actor: Actor, page: int, count: int, matches: int | None = None) -> None:
    details = {"kind": "pending", "page": page, "count": count}
    if matches:
        details["matches"] = matches
    record_alone(actor, Action.PATIENT_LISTED, resource_type="patient", details=details)


def _patients(session: Session, ids: Collection[int]) -> dict[int, PatientSummary]:
    if not ids:
        return {}
    rows = session.execute(repository.summaries().where(PATIENTS.c.id.in_(list(ids)))).all()
    return {view.id: view for view in repository.summaries_of(session, rows)}


def _registrations(session: Session, ids: Collection[int]) -> dict[int, WaitingPerson]:
    if not ids:
        return {}
    rows = session.execute(select(SELF_REGISTRATIONS).where(SELF_REGISTRATIONS.c.id.in_(list(ids))))
    return {row.id: _waiting(row) for row in rows}


def _waiting(row: Any) -> WaitingPerson:
    details = waiting.opened(row) or PatientDetails.model_construct(first_name="Unreadable", last_name="registration")
    since = row.waiting_since or row.created_at
    return WaitingPerson(waiting.number_of(row.id), "", details, since, row.email_confirmed_at is not None, None)


def _as_waiting(session: Session, ids: Collection[int]) -> dict[int, WaitingPerson]:
    """Patients who wait, as the same view."""
    if not ids:
        return {}
    found = {}
    for row in session.execute(select(PATIENTS).where(PATIENTS.c.id.in_(list(ids)))):
        details = PatientDetails.model_construct(**repository.values(row, PatientDetails.model_fields))
        found[row.id] = WaitingPerson(row.id, row.patient_id, details, row.created_at, False, row.version)
    return found


def _with_matches(session: Session, one: WaitingPerson) -> WaitingPerson:
    leave_out = [one.id] if one.patient_id else []
    found = showing.matches_of(session, likely_matches(session, one.details, leave_out=leave_out))
    wanted = [match.patient.id for match in found]
    rows = session.execute(select(PATIENTS.c.id, PATIENTS.c.version).where(PATIENTS.c.id.in_(wanted)))
    versions = {row.id: row.version for row in rows}
    return replace(one, matches=tuple(LikelyMatch(match, versions[match.patient.id]) for match in found))


# --- what is decided ----------------------------------------------------------------------------------


def _locked(session: Session, row_id: int) -> SelfRegistration:
    """The registration, locked. Raises ``NobodyWaits``."""
    found = session.execute(
        select(SelfRegistration).where(SELF_REGISTRATIONS.c.id == row_id).with_for_update()
    ).scalar_one_or_none()
    if found is None or found.state == RegistrationState.UNCONFIRMED:
        raise NobodyWaits
    return found


def _undecided(session: Session, key: int | str) -> SelfRegistration:
    """The registration, locked, that nobody has decided about. Raises ``NobodyWaits``, ``AlreadyDecided``."""
    row_id = waiting.row_of(key)
    if row_id is None:
        raise NobodyWaits
    found = _locked(session, row_id)
    if found.state != RegistrationState.WAITING:
        raise AlreadyDecided(_decision(session, found))
    return found


def _decision(session: Session, row: SelfRegistration) -> str:
    """What became of a registration: ``Grace Wanjiru linked it to LMC004655 today at 10:41.``"""
    by = session.execute(select(ACCOUNTS.c.full_name).where(ACCOUNTS.c.id == row.decided_by_id)).scalar_one_or_none()
    whose = session.execute(select(PATIENTS.c.patient_id).where(PATIENTS.c.id == row.patient_id)).scalar_one_or_none()
    done = {
        RegistrationState.VERIFIED: f"verified it as {whose}",
        RegistrationState.LINKED: f"linked it to {whose}",
    }.get(RegistrationState(row.state), "rejected it")
    day, time = wording.day_and_time(row.decided_at or clock.now())
    return f"{by or 'Somebody'} {done} {day} at {time}. Nothing was changed."


def _decide(row: SelfRegistration, actor: Actor, state: RegistrationState) -> None:
    row.state, row.decided_at, row.decided_by_id = state, clock.now(), actor.account_id
    row.browser_digest = None  # the browser that sent it is told nothing more


def verify_patient(
    actor: Actor,
    key: int | str,
    *,
    version: int | None = None,
    despite: Despite = ANYBODY,
    without_national_id: bool = False,
) -> PatientProfile:
    """Say that the desk has seen this person. Doing it twice changes nothing.

    Whoever registered themselves becomes a patient now, with a patient ID; ``without_national_id`` leaves out the one
    they typed, which may be another patient's. For receptionists and administrators. ``key`` is the number of somebody
    who waits, or the id or patient ID of a patient; with ``version`` it is refused where that record has changed since.
    ``despite`` are the ids of patients of whom is said that they are other people: whoever else is likely the same
    holds it. Raises ``PatientNotFound``, ``AlreadyDecided``, ``SomebodyAlike``, ``NationalIdTaken``,
    ``StaleRecord``, ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_VERIFY, resource_type="patient")
    row_id = waiting.row_of(key)
    if row_id is None:
        return _verify_patient(actor, key, version)
    try:
        with transaction(actor) as session:
            row = _locked(session, row_id)
            if row.state == RegistrationState.VERIFIED:
                patient = repository.find(session, row.patient_id or 0, Seen.CHANGED)
                return repository.profile_of(session, patient)
            return _take_in(session, actor, _undecided(session, key), despite, without_national_id)
    except IntegrityError as error:
        raise clash(error) from None


def _take_in(
    session: Session, actor: Actor, row: SelfRegistration, despite: Despite, without_national_id: bool
) -> PatientProfile:
    form = waiting.opened(row)
    if form is None:
        raise NobodyWaits
    looked = holding.look(session, form)
    if looked.holds(despite):
        raise SomebodyAlike
    if without_national_id:
        form = form.model_copy(update={"national_id": None})
    patient = add_patient(session, actor, form)
    try:
        overruled = holding.decided(session, form, looked, patient.patient_id, despite).overruled
    except SomebodyNew:
        raise SomebodyAlike from None
    row.patient_id, row.details = patient.id, ""
    _decide(row, actor, RegistrationState.VERIFIED)
    session.flush()
    about: dict[str, Any] = {"resource_type": "patient", "resource_id": patient.id}
    facts = {"patient_id": patient.patient_id, "registration": row.id}
    if overruled:
        facts["not_the_same"] = overruled
    record(session, actor, Action.PATIENT_VERIFIED, details=facts, **about)
    made = {**facts, "portal_account_created": False}
    record(session, actor, Action.PATIENT_CREATED, details=made, changes_lists=True, **about)
    return repository.profile_of(session, repository.find(session, patient.id, Seen.CHANGED))


def _verify_patient(actor: Actor, key: int | str, version: int | None) -> PatientProfile:
    with transaction(actor) as session:
        patient = repository.find(session, key, Seen.CHANGED, lock=True)
        if patient.verification_status != VerificationStatus.VERIFIED:
            if version is not None and version != patient.version:
                raise StaleRecord
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


def _same(name: str, typed: Any, kept: Any) -> bool:
    if name == "national_id":
        return national_ids.key(typed) == national_ids.key(kept)
    return typed == kept or (isinstance(typed, str) and typed.casefold() == str(kept).casefold())


def _known(value: Any) -> bool:
    return value not in (None, "", Gender.UNKNOWN)


def _filled(session: Session, patient: Patient, typed: PatientDetails) -> tuple[dict[str, Any], list[str]]:
    """What of the typed details the record gets, and in which fields it says something else and stays."""
    added: dict[str, Any] = {}
    kept: list[str] = []
    for name in _FILLED:
        value, there = getattr(typed, name), repository.value_of(patient, name)
        if not _known(value) or (_known(there) and _same(name, value, there)):
            continue
        if _known(there) or (name == "national_id" and _taken(session, patient, value)):
            kept.append(name)
        else:
            added[name] = value
    return added, kept


def _taken(session: Session, patient: Patient, national_id: str) -> bool:
    """Whether a third person has this national ID."""
    key = national_ids.key(national_id)
    whose = select(PATIENTS.c.id).where(PATIENTS.c.national_id_key == key, PATIENTS.c.id != patient.id)
    return key is None or session.execute(whose).first() is not None


def link_registration(actor: Actor, key: int, patient: int | str, *, version: int | None = None) -> Linked:
    """Whoever registered is a patient already: what they typed fills in what that record does not know.

    What it says stays, also where something else was typed. The registration is closed; ``undo_link`` opens it again
    within ``UNDO_LIFE``. For receptionists and administrators. With ``version`` it is refused where the record has
    changed since it was read. Raises ``NobodyWaits``, ``AlreadyDecided``, ``PatientNotFound``, ``RecordNotInUse``,
    ``StaleRecord``, ``NationalIdTaken``, ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_VERIFY, resource_type="patient")
    demand(actor, Permission.PATIENT_EDIT, resource_type="patient")
    try:
        with transaction(actor) as session:
            row = _undecided(session, key)
            typed = waiting.opened(row)
            if typed is None:
                raise NobodyWaits
            found = repository.find(session, patient, Seen.CHANGED, lock=True)
            if not found.is_active:
                raise RecordNotInUse
            added, kept = _filled(session, found, typed)
            changed = put_changes(session, found, PatientUpdate(added, version))
            row.patient_id, row.added = found.id, changed
            _decide(row, actor, RegistrationState.LINKED)
            session.flush()
            record(
                session,
                actor,
                Action.REGISTRATION_LINKED,
                resource_type="patient",
                resource_id=found.id,
                details={"patient_id": found.patient_id, "registration": row.id, "fields": changed},
                changes_lists=True,
            )
            if changed:
                record_update(session, actor, found, changed)
            name = wording.full_name(typed.first_name, typed.last_name)
            return Linked(key, name, found.patient_id, tuple(added), tuple(kept))
    except IntegrityError as error:
        raise clash(error) from None


def _to_undo(row: Any) -> PatientRegistration | None:
    """What was typed, of a link that can be undone; None otherwise."""
    late = row.decided_at is None or row.decided_at <= clock.now() - UNDO_LIFE
    return None if late or row.state != RegistrationState.LINKED else waiting.opened(row)


def last_link(actor: Actor) -> Linked | None:
    """What ``actor`` linked last, as ``link_registration`` told it, while ``undo_link`` can undo it.

    For receptionists and administrators. A look at that patient, recorded before it is shown. Raises
    ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_VERIFY, resource_type="patient")
    rows = SELF_REGISTRATIONS.c
    own = (rows.state == RegistrationState.LINKED, rows.decided_by_id == actor.account_id)
    newest = select(SELF_REGISTRATIONS).where(*own).order_by(rows.decided_at.desc(), rows.id.desc()).limit(1)
    with db.reading() as session:
        row = session.execute(newest).one_or_none()
    typed = _to_undo(row) if row else None
    if row is None or typed is None:
        return None
    try:
        with transaction(actor, looks=True) as session:
            found = repository.find(session, row.patient_id, Seen.OUTCOME)
            added = tuple(name for name in _FILLED if name in (row.added or ()))
            kept = tuple(name for name in _filled(session, found, typed)[1] if name not in added)
            name = wording.full_name(typed.first_name, typed.last_name)
            return Linked(waiting.number_of(row.id), name, found.patient_id, added, kept)
    except PatientMerged:  # the record that stays has taken over what was filled in
        return None


def undo_link(actor: Actor, key: int) -> None:
    """*Undo*: the registration waits again, and what it filled in leaves the record, unless it was changed since.

    For receptionists and administrators. Raises ``NobodyWaits``, ``LinkNotUndone`` where it is too late or it is not
    linked, ``PatientMerged``, ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_VERIFY, resource_type="patient")
    demand(actor, Permission.PATIENT_EDIT, resource_type="patient")
    row_id = waiting.row_of(key)
    if row_id is None:
        raise NobodyWaits
    with transaction(actor) as session:
        row = _locked(session, row_id)
        typed = _to_undo(row)
        if typed is None:
            raise LinkNotUndone
        found = repository.find(session, row.patient_id or 0, Seen.CHANGED, lock=True)
        back = {
            name: Gender.UNKNOWN if name == "gender" else None
            for name in row.added or ()
            if repository.value_of(found, name) == getattr(typed, name)
        }
        changed = put_changes(session, found, PatientUpdate(back))
        row.state, row.decided_at, row.decided_by_id = RegistrationState.WAITING, None, None
        row.patient_id, row.added = None, None
        session.flush()
        record(
            session,
            actor,
            Action.REGISTRATION_LINK_UNDONE,
            resource_type="patient",
            resource_id=found.id,
            details={"patient_id": found.patient_id, "registration": row.id, "fields": changed},
            changes_lists=True,
        )
        if changed:
            record_update(session, actor, found, changed)


def reject_registration(actor: Actor, key: int, form: Rejection) -> str:
    """Nobody becomes a patient by it: what was typed is forgotten, why stays. Nobody is told. Returns whose it was.

    For receptionists and administrators. Raises ``NobodyWaits``, ``AlreadyDecided``, ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_VERIFY, resource_type="patient")
    with transaction(actor) as session:
        row = _undecided(session, key)
        typed = waiting.opened(row)
        row.details, row.email_digest, row.reason = "", None, form.reason
        _decide(row, actor, RegistrationState.REJECTED)
        session.flush()
        record(
            session,
            actor,
            Action.REGISTRATION_REJECTED,
            resource_type="registration",
            resource_id=row.id,
            details={"reason": REJECT_REASONS[form.reason], **({"words": form.words} if form.words else {})},
            changes_lists=True,
        )
    return wording.full_name(typed.first_name, typed.last_name) if typed else ""
