"""Two records of one person become one, and two again where that was wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from clinic_app.core import clock, db
from clinic_app.core.encryption import Unreadable
from clinic_app.core.errors import InvalidInput
from clinic_app.models.accounts import ACCOUNTS, Account
from clinic_app.models.duplicates import PATIENT_MERGES, PatientMerge
from clinic_app.models.patients import PATIENTS, Patient, VerificationStatus
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts import merged_accounts
from clinic_app.services.accounts.portal_accounts import rename_portal_account
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import Attempt, demand, recorded_failure
from clinic_app.services.audit.recording import record
from clinic_app.services.patients import name_parts, pairs, repository
from clinic_app.services.patients.duplicates import Comparable, former, index
from clinic_app.services.patients.errors import (
    LaterMergeFirst,
    MergeUnreadable,
    NotMerged,
    PairChanged,
    PatientMerged,
    RecordInactive,
    SameRecord,
)
from clinic_app.services.patients.looks import Seen
from clinic_app.services.patients.merge_forms import FIELDS, MergeRequest
from clinic_app.services.patients.merge_kept import Kept, columns_of
from clinic_app.services.patients.registration import clash
from clinic_app.services.patients.views import Comparison, Merged, PatientProfile, Unmerged
from clinic_app.services.patients.wording import full_name
from clinic_app.services.rates import rates

FAILED = "Failed to merge the records"
NOT_UNDONE = "Failed to undo the merge"
MERGED, UNDONE = "Records merged successfully", "Merge undone successfully"
#: Only one record may hold them, so what one gets the other gives up.
_UNIQUE = ("national_id_key", "external_id")


# --- comparing ------------------------------------------------------------------------------------


def stamp_of(one: PatientProfile, other: PatientProfile) -> str:
    """What a decision about two records was drawn for: another one means that either has changed meanwhile."""
    low, high = sorted((one, other), key=lambda patient: patient.id)
    return "/".join(f"{patient.id}.{patient.version}.{patient.access.stamp}" for patient in (low, high))


def compare_records(actor: Actor, one: int | str, other: int | str) -> Comparison:
    """Two records side by side, the older one first. That both are looked at is recorded.

    For receptionists and administrators. Raises ``SameRecord``, ``PatientNotFound``, ``PatientMerged``,
    ``PermissionDenied``.
    """
    demand(actor, Permission.DUPLICATES, resource_type="patient")
    with transaction(actor) as session:
        rows = [repository.find_whole(session, key, Seen.BESIDE) for key in (one, other)]
        if rows[0].id == rows[1].id:
            raise SameRecord("other")
        first, second = (
            repository.profile_from(session, row) for row in sorted(rows, key=lambda row: (row.created_at, row.id))
        )
        found = pairs.of(session, first.id, second.id)
        stays = _likely_login(session, first.id, second.id)
    return Comparison(first, second, found, stamp_of(first, second), stays)


def _likely_login(session: Session, mine: int, theirs: int) -> int:
    accounts = {
        account.patient_id: account
        for account in session.execute(select(Account).where(ACCOUNTS.c.patient_id.in_([mine, theirs]))).scalars()
    }
    found = [accounts[key] for key in (mine, theirs) if key in accounts]
    return (merged_accounts.likely_to_stay(*found).id or 0) if len(found) == 2 else 0


# --- merging --------------------------------------------------------------------------------------


def _lock(session: Session, keys: tuple[int | str, int | str]) -> list[Patient]:
    """Both records, locked in one order, whoever asks about which of them first; in the order of ``keys``."""
    ids = [repository.find(session, key, Seen.UNSHOWN, merged=True).id or 0 for key in keys]
    session.expire_all()  # what they are is read again, now that nobody else can change it
    found = {ident: repository.find(session, ident, Seen.CHANGED, lock=True, merged=True) for ident in sorted(set(ids))}
    return [found[ident] for ident in ids]


def _take(survivor: Patient, other: Patient, names: set[str]) -> Kept:
    """Give the survivor these values of the other record."""
    columns = columns_of(sorted(names))
    before = {column: getattr(survivor, column) for column in columns}
    after = {column: getattr(other, column) for column in columns}
    held = {column: getattr(other, column) for column in _UNIQUE}
    before["national_id_key"] = survivor.national_id_key
    for column in _UNIQUE:
        if column.removesuffix("_key") in names:
            setattr(other, column, None)
    verification = ""
    if survivor.verification_status != other.verification_status == VerificationStatus.VERIFIED:
        verification = survivor.verification_status
    compared = {column: getattr(survivor, column) for column in index.COLUMNS if column != "id"}
    was = compared if any(compared[name] != after[name] for name in columns if name in compared) else {}
    return Kept(before, after, held, was, verification)


def _put(session: Session, survivor: Patient, kept: Kept) -> None:
    session.flush()  # what the other one gives up is free first
    for column, value in kept.after.items():
        setattr(survivor, column, value)
    if "national_id" in kept.after:
        survivor.national_id_key = kept.other.get("national_id_key")
    if kept.verification:
        survivor.verification_status = VerificationStatus.VERIFIED


def _found_by(patient: Patient) -> tuple[Comparable, tuple[str, ...]]:
    """By what the matcher finds it, before that changes."""
    return Comparable.of(patient), name_parts.parts_of(patient.first_name, patient.last_name)


def _follow(session: Session, before: tuple[Comparable, tuple[str, ...]], patient: Patient) -> None:
    """What is kept for finding follows the details."""
    index.change(session, before[0], patient)
    name_parts.change(session, before[1], name_parts.parts_of(patient.first_name, patient.last_name))


def _touch(*patients: Patient) -> None:
    for patient in patients:
        patient.updated_at = clock.now()
        patient.version += 1


def _login(accounts: Mapping[int, Account], form: MergeRequest) -> Account | None:
    """The account that stays. Raises ``InvalidInput`` where neither of the two is meant."""
    if len(accounts) < 2:
        return next(iter(accounts.values()), None)
    chosen = [one for one in accounts.values() if form.login in (one.id, one.username)]
    if form.login and not chosen:
        raise InvalidInput({"portal_username": "portal_username must be that of one of the two records."})
    return chosen[0] if chosen else None


def merge_patients(actor: Actor, key: int | str, form: MergeRequest) -> Merged:
    """Merge the record ``key`` into ``form.into``: that one stays, with the values chosen, this one becomes inactive.

    For receptionists and administrators. The numbers of the record that goes lead to the one that stays; of two portal
    accounts one stays, and whoever is signed in with the other is signed out. All or nothing; of several at once, one
    wins. With ``form.stamp``, what was looked at, it is refused when either record or its access has changed since.

    Raises ``SameRecord``, ``PatientMerged`` for one that is merged already, ``RecordInactive``, ``PairChanged``,
    ``InvalidInput``, ``PatientNotFound``, ``PermissionDenied``, or ``Unexpected`` with a reference.
    """
    demand(actor, Permission.DUPLICATES, resource_type="patient")
    rates().spend(actor, "portal")
    with recorded_failure(actor, Action.PATIENT_MERGE_FAILED, FAILED, resource_type="patient") as attempt:
        try:
            return _merge(actor, key, form, attempt)
        except IntegrityError as error:
            raise clash(error) from None


def _merge(actor: Actor, key: int | str, form: MergeRequest, attempt: Attempt) -> Merged:
    with transaction(actor) as session:
        other, survivor = _lock(session, (key, form.into))
        attempt.resource_id = other.id
        if other.id == survivor.id:
            raise SameRecord("into")
        for one in (other, survivor):
            if one.merged_into_id is not None:
                raise PatientMerged(one.patient_id, repository.leads_to(session, one))
        if not (other.is_active and survivor.is_active):
            raise RecordInactive
        accounts = merged_accounts.lock_accounts(session, [other.id or 0, survivor.id or 0])
        profiles = [repository.profile_of(session, one) for one in (survivor, other)]
        if form.stamp and form.stamp != stamp_of(*profiles):
            raise PairChanged
        names = form.taken(*profiles)
        stays = _login(accounts, form) or _stays(accounts, survivor, other)
        return _carry_out(session, actor, survivor, other, names, accounts, stays)


def _stays(accounts: Mapping[int, Account], survivor: Patient, other: Patient) -> Account | None:
    mine, theirs = accounts.get(survivor.id or 0), accounts.get(other.id or 0)
    return merged_accounts.likely_to_stay(mine, theirs) if mine and theirs else mine or theirs


def _carry_out(
    session: Session,
    actor: Actor,
    survivor: Patient,
    other: Patient,
    names: set[str],
    accounts: Mapping[int, Account],
    stays: Account | None,
) -> Merged:
    survivor_id, other_id = survivor.id or 0, other.id or 0
    before = _found_by(survivor)
    kept = _take(survivor, other, names)
    if was := former.who(kept):
        index.keep_former(session, survivor, was)
    logins = merged_accounts.keep_one(session, survivor_id, other_id, accounts, stays)
    kept = dataclasses.replace(kept, logins=logins)
    other.is_active, other.merged_into_id, other.portal_enabled = False, survivor_id, False
    _put(session, survivor, kept)
    survivor.portal_enabled = bool(stays and stays.is_active)
    _touch(survivor, other)
    session.add(
        PatientMerge(
            survivor_id=survivor_id,
            other_id=other_id,
            merged_at=clock.now(),
            merged_by_id=actor.account_id,
            kept=kept.sealed(survivor_id, other_id),
        )
    )
    session.flush()
    rename_portal_account(session, survivor_id, full_name(survivor.first_name, survivor.last_name))
    repository.refresh_keys(session, survivor)
    _follow(session, before, survivor)
    pairs.forget_record(session, other_id)
    session.flush()
    details: dict[str, Any] = {"patient_id": survivor.patient_id, "merged": other.patient_id, "fields": sorted(names)}
    if stays is not None:
        details["portal_username"] = stays.username
    _record(session, actor, Action.PATIENT_MERGED, survivor, details)
    _record(session, actor, Action.PATIENT_MERGED, other, {"patient_id": other.patient_id, "into": survivor.patient_id})
    if logins.was_active:
        ended = {"portal_username": logins.username, "reason": merged_accounts.MERGED}
        _record(session, actor, Action.PORTAL_TURNED_OFF, other, ended)
    return Merged(MERGED, repository.profile_of(session, survivor), other.patient_id)


def _record(session: Session, actor: Actor, action: Action, patient: Patient, details: Mapping[str, Any]) -> None:
    record(
        session,
        actor,
        action,
        resource_type="patient",
        resource_id=patient.id,
        details=details,
        changes_lists=True,
    )


# --- undoing --------------------------------------------------------------------------------------


def _standing(session: Session, key: int | str) -> Any:
    """The merge that ``key`` means: the one of a merged record, else the latest into a record that stayed."""
    patient, merges = repository.find(session, key, Seen.UNSHOWN, merged=True), PATIENT_MERGES.c
    whose = merges.other_id if patient.merged_into_id is not None else merges.survivor_id
    found = session.execute(
        select(PATIENT_MERGES)
        .where(whose == patient.id, merges.undone_at.is_(None))
        .order_by(merges.id.desc())
        .limit(1)
    ).one_or_none()
    if found is None:
        raise NotMerged
    return found


def undo_merge(actor: Actor, key: int | str) -> Unmerged:
    """Two records again: ``key`` as it was when it was merged, the one that stayed with what was edited since.

    For receptionists and administrators. ``key`` is the record that was merged; of one that others were merged into,
    the latest of them is meant. Merges into one record are undone the latest first. A national ID, an external ID or a
    portal username that somebody else has meanwhile does not come back: ``Unmerged.lost`` says which. Sessions stay
    ended. Raises ``NotMerged``, ``LaterMergeFirst``, ``MergeUnreadable``, ``PatientNotFound``, ``PermissionDenied``,
    or ``Unexpected`` with a reference.
    """
    demand(actor, Permission.DUPLICATES, resource_type="patient")
    rates().spend(actor, "portal")
    with recorded_failure(actor, Action.PATIENT_MERGE_FAILED, NOT_UNDONE, resource_type="patient") as attempt:
        for last in (False, False, True):  # somebody may take a value at this very moment: then it is lost, and said
            try:
                return _undo(actor, key, attempt)
            except IntegrityError as error:
                if last:
                    raise clash(error) from None
        raise AssertionError("unreachable")


def _undo(actor: Actor, key: int | str, attempt: Attempt) -> Unmerged:
    with db.reading() as session:
        merge = _standing(session, key)
        attempt.resource_id = merge.other_id
    with transaction(actor) as session:
        other, survivor = _lock(session, (merge.other_id, merge.survivor_id))
        row = session.get(PatientMerge, merge.id)
        if row is None or row.undone_at is not None:
            raise NotMerged
        _refuse_order(session, row, survivor)
        accounts = merged_accounts.lock_accounts(session, [merge.other_id, merge.survivor_id])
        try:
            kept = Kept.opened(row.kept, row.survivor_id, row.other_id)
        except Unreadable:
            raise MergeUnreadable from None
        row.undone_at, row.undone_by_id, row.kept = clock.now(), actor.account_id, ""
        return _put_asunder(session, actor, survivor, other, kept, accounts)


def _refuse_order(session: Session, row: PatientMerge, survivor: Patient) -> None:
    if survivor.merged_into_id is not None:
        raise LaterMergeFirst(survivor.patient_id)
    merges = PATIENT_MERGES.c
    later = session.execute(
        select(PATIENTS.c.patient_id)
        .join(PATIENT_MERGES, merges.other_id == PATIENTS.c.id)
        .where(merges.survivor_id == survivor.id, merges.undone_at.is_(None), merges.id > row.id)
        .order_by(merges.id.desc())
        .limit(1)
    ).scalar_one_or_none()
    if later is not None:
        raise LaterMergeFirst(later)


def _put_asunder(
    session: Session,
    actor: Actor,
    survivor: Patient,
    other: Patient,
    kept: Kept,
    accounts: Mapping[int, Account],
) -> Unmerged:
    lost: list[str] = []
    before = [(patient, _found_by(patient)) for patient in (survivor, other)]
    session.flush()  # that this merge stands no more
    if was := former.who(kept):
        index.forget_former(session, survivor, was)
    survivor_id, other_id = survivor.id or 0, other.id or 0
    if not merged_accounts.put_back(session, survivor_id, other_id, accounts, kept.logins):
        lost.append("portal_username")
    _return_values(session, survivor, other, kept, lost)
    if kept.verification and survivor.verification_status == VerificationStatus.VERIFIED:
        survivor.verification_status = kept.verification
    other.is_active, other.merged_into_id = True, None
    now = merged_accounts.lock_accounts(session, [survivor_id, other_id])
    for patient in (survivor, other):
        account = now.get(patient.id or 0)
        patient.portal_enabled = bool(account and account.is_active)
    _touch(survivor, other)
    session.flush()
    for patient, as_it_was in before:
        _follow(session, as_it_was, patient)
        rename_portal_account(session, patient.id or 0, full_name(patient.first_name, patient.last_name))
        repository.refresh_keys(session, patient)
    session.flush()
    names = {"patient_id": survivor.patient_id, "merged": other.patient_id, "lost": sorted(lost)}
    _record(session, actor, Action.PATIENT_MERGE_UNDONE, other, names)
    _record(session, actor, Action.PATIENT_MERGE_UNDONE, survivor, names)
    return Unmerged(
        UNDONE, repository.profile_of(session, other), repository.profile_of(session, survivor), tuple(sorted(lost))
    )


def _return_values(session: Session, survivor: Patient, other: Patient, kept: Kept, lost: list[str]) -> None:
    """Give back what gave way, unless it was edited since; of what only one may hold, what is free."""
    back = {
        name
        for name in FIELDS
        if (columns := [column for column in columns_of([name]) if column in kept.after])
        and all(getattr(survivor, column) == kept.after[column] for column in columns)
    }
    for column in columns_of(sorted(back)):
        setattr(survivor, column, kept.before[column])
    if "national_id" in back:
        survivor.national_id_key = None
    if "external_id" in back:
        survivor.external_id = None
    session.flush()  # what it gives up is free for the other one
    for column in _UNIQUE:
        _return_unique(session, other, column, kept.other.get(column), lost)
        if column.removesuffix("_key") in back:
            _return_unique(session, survivor, column, kept.before.get(column), lost)
        session.flush()


def _return_unique(session: Session, patient: Patient, column: str, value: str | None, lost: list[str]) -> None:
    """Give the record a value only one may hold; empty, and told, where somebody else has it."""
    if value is not None:
        held = select(PATIENTS.c.id).where(PATIENTS.c[column] == value, PATIENTS.c.id != patient.id)
        if session.execute(held).first() is not None:
            name, value = column.removesuffix("_key"), None
            lost.append(name)
            setattr(patient, name, None)
    setattr(patient, column, value)
