"""Patients as a file: all of them as CSV, or one whole record as JSON. On record before the first line leaves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from clinic_app.core import clock, csv_safe, db
from clinic_app.models.patients import PATIENTS
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit import reading
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand, demand_fresh
from clinic_app.services.audit.reading import RecordedEvent
from clinic_app.services.audit.recording import record
from clinic_app.services.patients import repository
from clinic_app.services.patients.forms import ESTIMATED, PATIENT_FIELDS
from clinic_app.services.patients.looks import Seen
from clinic_app.services.rates import rates

#: Rows read at a time: what memory holds, whatever the size of the register.
_PIECE = 500
#: Events of one record in its file, the latest first.
_EVENTS = 5_000
#: Behind a patient's fields, what the system says of them.
SYSTEM_COLUMNS = ("portal_enabled", "is_active", "verification_status", "created_at", "updated_at", "merged_into")
HEADER = ("patient_id", *PATIENT_FIELDS, ESTIMATED, *SYSTEM_COLUMNS)
#: The record that a merged one leads to.
_SURVIVOR = aliased(PATIENTS)
_FORMAT, _VERSION = "clinic-patient-record", 1


@dataclass(frozen=True, slots=True)
class PatientsExport:
    """An export that is on record: how many patients it has, a name for the file, and its text piece by piece."""

    count: int
    filename: str
    pieces: Iterator[str]


@dataclass(frozen=True, slots=True)
class Exportable:
    """How many patients an export would have, without and with inactive ones."""

    active: int
    all: int


def exportable(actor: Actor) -> Exportable:
    """The numbers. For administrators; raises ``PermissionDenied``."""
    demand(actor, Permission.PATIENT_EXPORT, resource_type="patient")
    with db.reading() as session:
        counted = select(func.count()).select_from(PATIENTS)
        inactive = session.execute(counted.where(~PATIENTS.c.is_active)).scalar_one()
        total = session.execute(counted).scalar_one()
    return Exportable(total - inactive, total)


def export_patients(actor: Actor, *, inactive: bool = False) -> PatientsExport:
    """Every patient as CSV, one a line, by patient ID in the order they were given out; with ``inactive`` those too.

    For administrators who have shown lately who they are, and the command line. The columns are those an import takes,
    the patient ID before them and what the system says behind. A spreadsheet calculates none of it. Phones are E.164,
    times UTC. Patients registered while the file is read are not in it. No connection is held while the reader is slow.
    Raises ``PermissionDenied``, ``ReauthenticationRequired``, ``TooManyRequests``.
    """
    demand(actor, Permission.PATIENT_EXPORT, resource_type="patient")
    demand_fresh(actor)
    rates().spend(actor, "bulk")
    where = [] if inactive else [PATIENTS.c.is_active]
    with transaction(actor) as session:
        count, last = session.execute(
            select(func.count(), func.max(PATIENTS.c.id)).select_from(PATIENTS).where(*where)
        ).one()
        details = {"count": count, "inactive": inactive}
        record(session, actor, Action.PATIENTS_EXPORTED, resource_type="patient", details=details)
    name = f"patients-{clock.local(clock.now()):%Y-%m-%d-%H%M}.csv"
    return PatientsExport(count, name, _pieces(where, last or 0))


def _pieces(where: list[Any], last: int) -> Iterator[str]:
    yield "".join(csv_safe.lines([HEADER]))
    seen = 0
    while seen < last:
        with db.reading() as session:
            rows = session.execute(
                select(PATIENTS, _SURVIVOR.c.patient_id.label("merged_into"))
                .join(_SURVIVOR, _SURVIVOR.c.id == PATIENTS.c.merged_into_id, isouter=True)
                .where(*where, PATIENTS.c.id > seen, PATIENTS.c.id <= last)
                .order_by(PATIENTS.c.id)
                .limit(_PIECE)
            ).all()
        if not rows:
            return
        seen = rows[-1].id
        yield "".join(csv_safe.lines(_line(row) for row in rows))


def _plain(value: Any) -> Any:
    """A value of a field for programs."""
    return {True: "true", False: "false"}.get(value, value) if isinstance(value, bool) else value


def _line(row: Any) -> tuple[object, ...]:
    born = repository.birth_of(row)
    special = {
        "date_of_birth": born.iso if born else None,
        ESTIMATED: "true" if born and born.estimated else None,
        "created_at": row.created_at.isoformat(timespec="seconds"),
        "updated_at": row.updated_at.isoformat(timespec="seconds"),
    }
    return tuple(special[name] if name in special else _plain(getattr(row, name)) for name in HEADER)


def export_record(actor: Actor, key: int | str) -> dict[str, Any]:
    """One patient's whole record, for another system or for the patient: plain values, ready for JSON.

    For administrators who have shown lately who they are, and the command line. What is filled in, how portal access
    stands, and the latest events about it. No password, code or hash is part of it. Raises ``PatientNotFound``,
    ``PermissionDenied``, ``ReauthenticationRequired``, ``TooManyRequests``.
    """
    demand(actor, Permission.PATIENT_EXPORT, resource_type="patient")
    demand_fresh(actor)
    rates().spend(actor, "bulk")
    with transaction(actor) as session:
        row = repository.find_whole(session, key, Seen.CHANGED)
        profile = repository.profile_from(session, row)
        events = reading.activity_of(session, "patient", profile.id, _EVENTS)
        record(session, actor, Action.PATIENT_EXPORTED, resource_type="patient", resource_id=profile.id)
    born, access = profile.date_of_birth, profile.access
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "made_at": clock.now().isoformat(timespec="seconds"),
        "patient": {
            "id": profile.id,
            "patient_id": profile.patient_id,
            **{name: getattr(profile, name) for name in PATIENT_FIELDS},
            "date_of_birth": born.iso if born else None,
            ESTIMATED: born is not None and born.estimated,
            "portal_enabled": profile.portal_enabled,
            "is_active": profile.is_active,
            "verification_status": profile.verification_status,
            "created_at": profile.created_at.isoformat(timespec="seconds"),
            "updated_at": profile.updated_at.isoformat(timespec="seconds"),
            "registered_by": profile.registered_by,
        },
        "portal": {
            "status": access.status,
            "username": access.username,
            "last_sign_in_at": access.last_sign_in_at.isoformat(timespec="seconds") if access.last_sign_in_at else None,
        },
        "events": [_event(one) for one in events],
    }


def _event(one: RecordedEvent) -> dict[str, Any]:
    said = {"action": one.action, "outcome": one.outcome, "by": one.actor_name, "role": one.role}
    return {"seq": one.seq, "at": one.at.isoformat(timespec="seconds"), **said}
