"""What the patient use cases return: frozen, without table rows."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from clinic_app.services.accounts.views import Credentials
from clinic_app.services.audit.reading import RecordedEvent
from clinic_app.services.patients.wording import full_name


@dataclass(frozen=True, slots=True)
class PatientSummary:
    """A patient in a list. ``portal``: none, active, temporary, expired or off. Phone E.164."""

    id: int
    patient_id: str
    first_name: str
    last_name: str
    date_of_birth: dt.date | None
    gender: str
    phone: str | None
    email: str | None
    portal_enabled: bool
    portal: str
    verification_status: str
    created_at: dt.datetime

    @property
    def name(self) -> str:
        """First and last name, as written."""
        return full_name(self.first_name, self.last_name)


@dataclass(frozen=True, slots=True)
class PatientRecord:
    """What is filled in about a patient, as both the desk and the patient see it. Phones E.164."""

    patient_id: str
    first_name: str
    last_name: str
    date_of_birth: dt.date | None
    gender: str
    phone: str | None
    email: str | None
    address: str | None
    next_of_kin_name: str | None
    next_of_kin_phone: str | None
    preferred_language: str | None

    @property
    def name(self) -> str:
        """First and last name, as written."""
        return full_name(self.first_name, self.last_name)


@dataclass(frozen=True, slots=True)
class PortalStanding:
    """A patient's access. ``status``: none, active, temporary, expired, locked or off."""

    status: str = "none"
    username: str = ""
    expires_at: dt.datetime | None = None
    locked_until: dt.datetime | None = None
    last_sign_in_at: dt.datetime | None = None
    turned_off_at: dt.datetime | None = None
    turned_off_by: str = ""


@dataclass(frozen=True, slots=True)
class PatientProfile(PatientRecord):
    """One patient whole, for the desk. Instants UTC; ``portal`` as in a list. ``version`` goes up with every edit."""

    id: int
    national_id: str | None
    portal_enabled: bool
    portal: str
    verification_status: str
    is_active: bool
    created_at: dt.datetime
    updated_at: dt.datetime
    registered_by: str
    version: int
    access: PortalStanding
    activity: tuple[RecordedEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Registered:
    """A registration that was saved: the words to say, the patient, and credentials where they were asked for."""

    message: str
    patient: PatientProfile
    credentials: Credentials | None


@dataclass(frozen=True, slots=True)
class Overview:
    """What Reception shows. ``days`` are the last fourteen at the clinic, oldest first, with their counts."""

    registered_today: int
    registered_yesterday: int
    patients: int
    with_portal: int
    waiting: int
    waiting_since: dt.datetime | None
    latest: tuple[PatientSummary, ...]
    days: tuple[tuple[dt.date, int], ...]
