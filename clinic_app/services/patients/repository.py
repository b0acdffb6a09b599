"""Statements and conversions the patient use cases share. Building blocks: they take a session, never commit."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, TypeGuard

from sqlalchemy import Select, Text, bindparam, select
from sqlalchemy.orm import aliased
from sqlmodel import Session

from clinic_app.core.prepared import Prepared
from clinic_app.core.sql_text import among, numbers
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.models.patients import PATIENTS, BirthPrecision, Patient
from clinic_app.services.accounts.merged_accounts import username_is_freed
from clinic_app.services.accounts.portal_accounts import former_usernames
from clinic_app.services.audit import reading
from clinic_app.services.notifications import outbox, recipients
from clinic_app.services.notifications.views import Recipient
from clinic_app.services.patients import looks, merged_keys, portal_standing, search_keys
from clinic_app.services.patients.birth_dates import BirthDate
from clinic_app.services.patients.errors import PatientMerged, PatientNotFound
from clinic_app.services.patients.looks import Seen
from clinic_app.services.patients.views import PatientProfile, PatientSummary, PortalStanding

_OFF_BY, _HANDED_BY, _DESK = aliased(ACCOUNTS), aliased(ACCOUNTS), aliased(ACCOUNTS)
#: Made once: putting a statement together takes longer than running it.
_BY_ID = select(Patient).where(PATIENTS.c.id == bindparam("key"))
_BY_PATIENT_ID = select(Patient).where(PATIENTS.c.patient_id == bindparam("key"))
_USERNAMES = select(ACCOUNTS.c.username).where(ACCOUNTS.c.patient_id == bindparam("patient"))
_STEP = select(PATIENTS.c.id, PATIENTS.c.patient_id, PATIENTS.c.merged_into_id).where(PATIENTS.c.id == bindparam("key"))
_WHOLE = (
    select(
        PATIENTS,
        *portal_standing.COLUMNS,
        ACCOUNTS.c.turned_off_at,
        ACCOUNTS.c.turned_off_reason,
        _OFF_BY.c.full_name.label("turned_off_by"),
        ACCOUNTS.c.handed_over_at,
        _HANDED_BY.c.full_name.label("handed_over_by"),
        _DESK.c.full_name.label("registered_by"),
    )
    .select_from(PATIENTS)
    .join(ACCOUNTS, ACCOUNTS.c.patient_id == PATIENTS.c.id, isouter=True)
    .join(_OFF_BY, _OFF_BY.c.id == ACCOUNTS.c.turned_off_by_id, isouter=True)
    .join(_HANDED_BY, _HANDED_BY.c.id == ACCOUNTS.c.handed_over_by_id, isouter=True)
    .join(_DESK, _DESK.c.id == PATIENTS.c.registered_by_id, isouter=True)
)
_WHOLE_BY_ID = Prepared(_WHOLE.where(PATIENTS.c.id == bindparam("key")))
_WHOLE_BY_IDS = Prepared(_WHOLE.where(among(PATIENTS.c.id, bindparam("ids", type_=Text))))
_WHOLE_BY_PATIENT_ID = Prepared(_WHOLE.where(PATIENTS.c.patient_id == bindparam("key")))
_LOCKED = {False: (_BY_ID, _BY_PATIENT_ID), True: (_BY_ID.with_for_update(), _BY_PATIENT_ID.with_for_update())}
#: Of the views, what is a column: read and handed on as it stands.
_SUMMARY, _PROFILE = (
    [field.name for field in dataclasses.fields(view) if field.name in PATIENTS.c]
    for view in (PatientSummary, PatientProfile)
)
_SUMMARY_READ = [name for name in _SUMMARY if name != "date_of_birth"]
_read_summary = attrgetter(*_SUMMARY_READ)


def birth_of(row: Any) -> BirthDate | None:
    """The birth date of a row, which two columns hold."""
    return BirthDate(row.date_of_birth, BirthPrecision(row.date_of_birth_precision)) if row.date_of_birth else None


def birth_columns(born: BirthDate | None) -> dict[str, Any]:
    """The columns that hold a birth date."""
    precision = born.precision if born else BirthPrecision.DAY
    return {"date_of_birth": born.day if born else None, "date_of_birth_precision": precision.value}


def value_of(row: Any, name: str) -> Any:
    """The value of a field, as forms and views have it."""
    return birth_of(row) if name == "date_of_birth" else getattr(row, name)


def put(patient: Patient, name: str, value: Any) -> None:
    """Give a field a value, as forms have it."""
    for column, kept in (birth_columns(value) if name == "date_of_birth" else {name: value}).items():
        setattr(patient, column, kept)


def values(row: Any, names: Iterable[str]) -> dict[str, Any]:
    """These fields of a row, as views have them."""
    return {name: value_of(row, name) for name in names}


def keys_for_finding(patient: Any, usernames: Iterable[str], merged: Iterable[str] = ()) -> None:
    """Set what searching and sorting compare. Called whenever anything a patient is found by changes.

    ``usernames`` are those of the portal, ``merged`` the words that records merged into this one are found by. What
    makes a national ID unique is set apart, when that changes.
    """
    for name, key in dataclasses.asdict(search_keys.keys_of(patient, usernames, merged)).items():
        setattr(patient, name, key)


def portal_usernames(session: Session, patient_id: int) -> list[str]:
    """The usernames of the patient's portal account: that of now, and those it had before."""
    now = session.execute(_USERNAMES, {"patient": patient_id}).scalars()
    found = [*now, *former_usernames(session, patient_id)]
    return [username for username in found if not username_is_freed(username)]


def refresh_keys(session: Session, patient: Patient) -> None:
    """``keys_for_finding``, with everything that is known of the patient: also what merged records are found by."""
    usernames = portal_usernames(session, patient.id or 0)
    merged = merged_keys.of(session, patient)
    for one in merged.patient_ids:
        usernames += portal_usernames(session, one)
    keys_for_finding(patient, usernames, merged.keys)


def leads_to(session: Session, patient: Any) -> str:
    """The patient ID of the record that a merged one stands in for: the last of the chain."""
    seen, here = {patient.id}, patient
    while here.merged_into_id is not None and here.merged_into_id not in seen:
        seen.add(here.merged_into_id)
        here = session.execute(_STEP, {"key": here.merged_into_id}).one()
    return here.patient_id


def _refuse_merged(session: Session, patient: Any, allowed: bool) -> None:
    if patient.merged_into_id is not None and not allowed:
        raise PatientMerged(patient.patient_id, leads_to(session, patient))


def summaries() -> Select[*tuple[Any, ...]]:
    """Patients with what a list shows of their portal account."""
    return select(
        *[PATIENTS.c[name] for name in (*_SUMMARY, "date_of_birth_precision")],
        *portal_standing.COLUMNS,
    ).join(ACCOUNTS, ACCOUNTS.c.patient_id == PATIENTS.c.id, isouter=True)


_SUMMARIES = Prepared(summaries().where(among(PATIENTS.c.id, bindparam("ids", type_=Text))))


def summaries_of(session: Session, rows: Iterable[Any]) -> tuple[PatientSummary, ...]:
    """Rows of ``summaries`` as views, in their order."""
    found = tuple(rows)
    standings = portal_standing.standings(session, found)
    return tuple(
        PatientSummary(
            **dict(zip(_SUMMARY_READ, _read_summary(row), strict=True)),
            date_of_birth=birth_of(row),
            portal=access.status,
            access=access,
        )
        for row, access in zip(found, standings, strict=True)
    )


def summaries_by_ids(session: Session, ids: Sequence[int]) -> tuple[PatientSummary, ...]:
    """The patients with these ids, in this order."""
    rows = {row.id: row for row in _SUMMARIES.all(session, ids=numbers(ids))}
    return summaries_of(session, [rows[one] for one in ids if one in rows])


def _is_id(key: object) -> TypeGuard[int]:
    return isinstance(key, int) and not isinstance(key, bool) and 0 < key < 2**31


def _wanted(key: object) -> tuple[int, int | str]:
    """Which of two statements, by id or by patient ID, and what for. Raises ``PatientNotFound`` for neither."""
    if _is_id(key):
        return 0, key
    if isinstance(key, str) and key.isascii() and key.isalnum() and len(key) <= 20:
        return 1, key.upper()
    raise PatientNotFound


def find(session: Session, key: int | str, seen: Seen, *, lock: bool = False, merged: bool = False) -> Patient:
    """The patient with this id (whole number) or patient ID (text), and the event that ``seen`` leaves.

    Raises ``PatientNotFound``; ``PatientMerged`` for one that was merged into another, unless ``merged`` says that such
    a one will do.
    """
    which, wanted = _wanted(key)
    found = session.execute(_LOCKED[lock][which], {"key": wanted}).scalar_one_or_none()
    if found is None:
        raise PatientNotFound
    _refuse_merged(session, found, merged)
    looks.leave(session, found, seen)
    return found


def whole_by_ids(session: Session, keys: Sequence[int | str]) -> list[Any]:
    """For each of ``keys`` that is an id what ``find_whole`` would read, by one statement; None where it has to.

    Nothing of it is shown before ``find_whole`` was given it, which leaves the event.
    """
    ids = {key for key in keys if _is_id(key)}
    if len(ids) < 2:
        return [None] * len(keys)
    found = {row.id: row for row in _WHOLE_BY_IDS.all(session, ids=numbers(sorted(ids)))}
    return [found.get(key) for key in keys]


def find_whole(session: Session, key: int | str, seen: Seen, *, merged: bool = False, found: Any = None) -> Any:
    """The same patient with its access, in one statement, for ``profile_from``. Raises as ``find``.

    ``found`` is its row, where it was read in this transaction already (``whole_by_ids``).
    """
    which, wanted = _wanted(key)
    if found is None:
        found = (_WHOLE_BY_ID, _WHOLE_BY_PATIENT_ID)[which].one_or_none(session, key=wanted)
    if found is None:
        raise PatientNotFound
    _refuse_merged(session, found, merged)
    looks.leave(session, found, seen)
    return found


def profile_of(session: Session, patient: Patient, *, activity: int = 0, messages: bool = False) -> PatientProfile:
    """``patient``, as ``find`` gave it, whole: with its access, and what ``profile_from`` adds."""
    found = find_whole(session, patient.id or 0, Seen.UNSHOWN)
    return profile_from(session, found, activity=activity, messages=messages)


def access_from(session: Session, row: Any) -> PortalStanding:
    """How portal access stands, from a row of ``find_whole``."""
    (access,) = portal_standing.standings(session, [row])
    if not access.account_id:
        return access
    email = recipients.email_of(row)
    to = Recipient(access.account_id, email, row.portal_phone, row.email_allowed, row.sms_allowed)
    return dataclasses.replace(
        access,
        turned_off_at=row.turned_off_at,
        turned_off_by=row.turned_off_by or "",
        turned_off_reason=row.turned_off_reason or "",
        handed_over_at=row.handed_over_at,
        handed_over_by=row.handed_over_by or "",
        reach=outbox.reach(to),
        link_until=outbox.link_sent_until(session, access.account_id) if access.status == "expired" else None,
    )


def profile_from(session: Session, row: Any, *, activity: int = 0, messages: bool = False) -> PatientProfile:
    """A row of ``find_whole`` as the view, with the latest ``activity`` events about the patient, and changes.

    ``messages``: whoever asks may know how far messages to the owner of the portal account have come.
    """
    access = access_from(session, row)
    return PatientProfile(
        **values(row, _PROFILE),
        national_id_counts=_counts(row),
        portal=access.status,
        registered_by=row.registered_by or "",
        access=access,
        merged_into=leads_to(session, row) if row.merged_into_id is not None else None,
        merges=merged_keys.notes(session, row.id) if activity else (),
        activity=reading.activity_of(session, "patient", row.id, activity) if activity else (),
        deliveries=outbox.deliveries(session, access.account_id) if messages and access.account_id else (),
    )


def _counts(row: Any) -> bool:
    return row.national_id is None or row.national_id_key is not None


def as_profile(patient: Any, access: PortalStanding, *, registered_by: str, portal: str) -> PatientProfile:
    """A patient just saved as the view, without asking the database."""
    return PatientProfile(
        **values(patient, _PROFILE),
        national_id_counts=_counts(patient),
        portal=portal,
        registered_by=registered_by,
        access=access,
    )
