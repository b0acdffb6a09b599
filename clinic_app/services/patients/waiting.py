"""People who wait for the desk: what they typed, as it is kept and read. Building blocks.

Most have registered themselves (``self_registrations``) and are no patients yet. Whoever was taken in as a patient
before and not verified is one, with a patient ID, and waits in the same line.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, literal, select, union_all
from sqlmodel import Session

from clinic_app.core import encryption, logs
from clinic_app.models.patients import PATIENTS, BirthPrecision, Gender, VerificationStatus
from clinic_app.models.registrations import SELF_REGISTRATIONS, RegistrationState
from clinic_app.services.patients.birth_dates import BirthDate
from clinic_app.services.patients.forms import PatientDetails, PatientRegistration
from clinic_app.services.patients.views import Match, PatientSummary
from clinic_app.services.patients.wording import full_name

_PURPOSE = "self-registration"
#: The numbers of registrations begin here, where those of patients never come: one may stand where the other does.
_FROM = 2**30


def number_of(row_id: int) -> int:
    """By which number a registration is known outside."""
    return _FROM + row_id


def row_of(key: object) -> int | None:
    """The registration that a number means; None where it means a patient."""
    return key - _FROM if isinstance(key, int) and not isinstance(key, bool) and _FROM < key < 2**31 else None


# --- what was typed -----------------------------------------------------------------------------------


def sealed(details: PatientDetails, seed: str) -> str:
    """What was typed, as it is kept: encrypted, and bound to its row."""
    plain: dict[str, Any] = {name: getattr(details, name) for name in PatientDetails.model_fields}
    born: BirthDate | None = plain["date_of_birth"]
    plain["date_of_birth"] = [born.day.isoformat(), born.precision.value] if born else None
    return encryption.encrypt(json.dumps(plain), _PURPOSE, seed)


def opened(row: Any) -> PatientRegistration | None:
    """What was typed, as a registration without portal account; None where it is not there any more.

    It was checked when it was sent: a setting that has changed since refuses nobody now.
    """
    if not row.details:
        return None
    try:
        kept = json.loads(encryption.decrypt(row.details, _PURPOSE, row.seed))
    except encryption.Unreadable as error:
        logs.failure(error, "self-registration")
        return None
    if born := kept["date_of_birth"]:
        kept["date_of_birth"] = BirthDate(dt.date.fromisoformat(born[0]), BirthPrecision(born[1]))
    kept["gender"] = Gender(kept["gender"])
    return PatientRegistration.model_construct(
        **{name: kept[name] for name in PatientDetails.model_fields if name in kept}
    )


# --- the line -----------------------------------------------------------------------------------------


def _line() -> Any:
    """Everybody who waits: which table, which row, and since when."""
    registrations, patients = SELF_REGISTRATIONS.c, PATIENTS.c
    return union_all(
        select(
            literal(0).label("table"), registrations.id.label("id"), registrations.waiting_since.label("since")
        ).where(registrations.state == RegistrationState.WAITING),
        select(literal(1).label("table"), patients.id.label("id"), patients.created_at.label("since")).where(
            patients.is_active, patients.verification_status == VerificationStatus.PENDING
        ),
    ).subquery("line")


def count(session: Session) -> tuple[int, dt.datetime | None]:
    """How many wait, and since when the first of them does."""
    total, first = 0, []
    for table, waits, since in (
        (
            SELF_REGISTRATIONS,
            [SELF_REGISTRATIONS.c.state == RegistrationState.WAITING],
            SELF_REGISTRATIONS.c.waiting_since,
        ),
        (
            PATIENTS,
            [PATIENTS.c.is_active, PATIENTS.c.verification_status == VerificationStatus.PENDING],
            PATIENTS.c.created_at,
        ),
    ):
        number, oldest = session.execute(select(func.count(), func.min(since)).select_from(table).where(*waits)).one()
        total += number
        first += [oldest] if oldest else []
    return total, min(first, default=None)


def places(session: Session, skip: int, most: int) -> list[tuple[bool, int]]:
    """A part of the line, the longest waiting first: whether it is a patient's row, and its id."""
    line = _line()
    rows = session.execute(
        select(line.c.table, line.c.id).order_by(line.c.since, line.c.table, line.c.id).limit(most).offset(skip)
    )
    return [(bool(row.table), row.id) for row in rows]


# --- how it is told -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LikelyMatch:
    """A patient whom somebody who waits may be, and in which version the record was read."""

    match: Match
    version: int


@dataclass(frozen=True, slots=True)
class WaitingPerson:
    """Somebody who waits, with everything they typed and whom they may be.

    ``patient_id`` is empty unless they are a patient already. ``email_confirmed``: they have shown that the email is
    theirs. ``version``: of a patient's record. Instants UTC.
    """

    id: int
    patient_id: str
    details: PatientDetails
    since: dt.datetime
    email_confirmed: bool
    version: int | None
    matches: tuple[LikelyMatch, ...] = ()

    @property
    def name(self) -> str:
        """First and last name, as written, or the only one."""
        return full_name(self.details.first_name, self.details.last_name)

    def listed(self) -> PatientSummary:
        """As lists of patients show people; without a patient ID, unless they are a patient already."""
        typed = self.details
        return PatientSummary(
            self.id,
            self.patient_id,
            typed.first_name,
            typed.last_name,
            typed.date_of_birth,
            typed.gender,
            typed.phone,
            typed.email,
            False,
            "none",
            VerificationStatus.PENDING,
            self.since,
        )


@dataclass(frozen=True, slots=True)
class Linked:
    """What linking did: whose record it was, whom it belongs to, and the fields that were filled in there.

    ``kept`` are those in which something else was typed: the record stays as it was.
    """

    id: int
    name: str
    patient_id: str
    added: tuple[str, ...]
    kept: tuple[str, ...]
