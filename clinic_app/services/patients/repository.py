"""Statements and conversions the patient use cases share. Building blocks: they take a session, never commit."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import aliased
from sqlmodel import Session

from clinic_app.core import clock
from clinic_app.core.prepared import Prepared
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.models.patients import PATIENTS, Patient
from clinic_app.services.accounts import sign_in_throttle
from clinic_app.services.accounts.signing_in import TEMPORARY_TRIES
from clinic_app.services.audit import reading
from clinic_app.services.patients import fields
from clinic_app.services.patients.errors import PatientNotFound
from clinic_app.services.patients.views import PatientProfile, PatientSummary, PortalStanding
from clinic_app.services.patients.wording import full_name, phone_words

_OFF_BY, _DESK = aliased(ACCOUNTS), aliased(ACCOUNTS)
#: Made once: putting a statement together takes longer than running it.
_BY_ID = select(Patient).where(PATIENTS.c.id == bindparam("key"))
_BY_PATIENT_ID = select(Patient).where(PATIENTS.c.patient_id == bindparam("key"))
_WHOLE = (
    select(
        PATIENTS,
        ACCOUNTS.c.username,
        ACCOUNTS.c.is_active.label("account_active"),
        ACCOUNTS.c.password_temporary,
        ACCOUNTS.c.password_expires_at,
        ACCOUNTS.c.temporary_failures,
        ACCOUNTS.c.last_sign_in_at,
        ACCOUNTS.c.turned_off_at,
        _OFF_BY.c.full_name.label("turned_off_by"),
        _DESK.c.full_name.label("registered_by"),
    )
    .select_from(PATIENTS)
    .join(ACCOUNTS, ACCOUNTS.c.patient_id == PATIENTS.c.id, isouter=True)
    .join(_OFF_BY, _OFF_BY.c.id == ACCOUNTS.c.turned_off_by_id, isouter=True)
    .join(_DESK, _DESK.c.id == PATIENTS.c.registered_by_id, isouter=True)
)
_WHOLE_BY_ID = Prepared(_WHOLE.where(PATIENTS.c.id == bindparam("key")))
_WHOLE_BY_PATIENT_ID = Prepared(_WHOLE.where(PATIENTS.c.patient_id == bindparam("key")))
_LOCKED = {False: (_BY_ID, _BY_PATIENT_ID), True: (_BY_ID.with_for_update(), _BY_PATIENT_ID.with_for_update())}
#: Of the views, what is a column: read and handed on as it stands.
_SUMMARY, _PROFILE = (
    [field.name for field in dataclasses.fields(view) if field.name in PATIENTS.c]
    for view in (PatientSummary, PatientProfile)
)


def keys_for_finding(patient: Any) -> None:
    """Set what searching and sorting compare. Called whenever a name, number or address changes."""
    patient.national_id_key = fields.national_id_key(patient.national_id)
    patient.name_key = fields.folded(full_name(patient.first_name, patient.last_name))[:210]
    digits = (patient.phone or "").lstrip("+")
    parts = (
        patient.name_key,
        patient.patient_id.lower(),
        digits,
        _national_digits(patient.phone),
        patient.national_id_key or "",
        fields.folded(patient.email or ""),
    )
    patient.search_text = " ".join(part for part in parts if part)[:600]


def _national_digits(phone: str | None) -> str:
    return "".join(c for c in phone_words(phone) if c.isdigit())


def summaries() -> Select[*tuple[Any, ...]]:
    """Patients with what a list shows of their portal account."""
    return select(
        *[PATIENTS.c[name] for name in _SUMMARY],
        ACCOUNTS.c.is_active.label("account_active"),
        ACCOUNTS.c.password_temporary,
        ACCOUNTS.c.password_expires_at,
        ACCOUNTS.c.temporary_failures,
    ).join(ACCOUNTS, ACCOUNTS.c.patient_id == PATIENTS.c.id, isouter=True)


def standing(row: Any, now: dt.datetime) -> str:
    """``none``, ``off``, ``expired``, ``temporary`` or ``active``, from a row of ``summaries``."""
    if row.account_active is None:
        return "none"
    if not row.account_active:
        return "off"
    if not row.password_temporary:
        return "active"
    expires = row.password_expires_at
    dead = expires is None or expires <= now or row.temporary_failures >= TEMPORARY_TRIES
    return "expired" if dead else "temporary"


def summary(row: Any, now: dt.datetime) -> PatientSummary:
    """A row of ``summaries`` as a view."""
    return PatientSummary(**{name: getattr(row, name) for name in _SUMMARY}, portal=standing(row, now))


def _wanted(key: object) -> tuple[int, int | str]:
    """Which of two statements, by id or by patient ID, and what for. Raises ``PatientNotFound`` for neither."""
    if isinstance(key, int) and not isinstance(key, bool) and 0 < key < 2**31:
        return 0, key
    if isinstance(key, str) and key.isascii() and key.isalnum() and len(key) <= 20:
        return 1, key.upper()
    raise PatientNotFound


def find(session: Session, key: int | str, *, lock: bool = False) -> Patient:
    """The patient with this id (whole number) or patient ID (text). Raises ``PatientNotFound``."""
    which, wanted = _wanted(key)
    found = session.execute(_LOCKED[lock][which], {"key": wanted}).scalar_one_or_none()
    if found is None:
        raise PatientNotFound
    return found


def find_whole(session: Session, key: int | str) -> Any:
    """The same patient with its access, in one statement, for ``profile_from``. Raises ``PatientNotFound``."""
    which, wanted = _wanted(key)
    statement = (_WHOLE_BY_ID, _WHOLE_BY_PATIENT_ID)[which]
    found = statement.one_or_none(session, key=wanted)
    if found is None:
        raise PatientNotFound
    return found


def profile_of(session: Session, patient: Patient, *, activity: int = 0) -> PatientProfile:
    """``patient`` whole, with its access and the latest ``activity`` events about it."""
    return profile_from(session, find_whole(session, patient.id or 0), activity=activity)


def profile_from(session: Session, row: Any, *, activity: int = 0) -> PatientProfile:
    """A row of ``find_whole`` as the view, with the latest ``activity`` events about the patient."""
    status = standing(row, clock.now())
    locked = sign_in_throttle.locked_until(session, row.username) if status in {"active", "temporary"} else None
    access = PortalStanding(
        status="locked" if locked else status,
        username=row.username or "",
        expires_at=row.password_expires_at,
        locked_until=locked,
        last_sign_in_at=row.last_sign_in_at,
        turned_off_at=row.turned_off_at,
        turned_off_by=row.turned_off_by or "",
    )
    return PatientProfile(
        **{name: getattr(row, name) for name in _PROFILE},
        portal=status,
        registered_by=row.registered_by or "",
        access=access,
        activity=reading.events_of(session, "patient", row.id, activity) if activity else (),
    )


def as_profile(patient: Any, access: PortalStanding, *, registered_by: str, portal: str) -> PatientProfile:
    """A patient just saved as the view, without asking the database."""
    plain = {name: getattr(patient, name) for name in _PROFILE}
    return PatientProfile(**plain, portal=portal, registered_by=registered_by, access=access)
