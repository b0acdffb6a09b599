"""What the portal use cases return."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from clinic_app.services.accounts.views import Credentials
from clinic_app.services.patients.wording import full_name


@dataclass(frozen=True, slots=True)
class PortalPatient:
    """The patient an account belongs to, as the answer names it."""

    id: int
    patient_id: str
    name: str
    portal_enabled: bool


@dataclass(frozen=True, slots=True)
class PortalCreated:
    """Access given (or given anew): the words to say, what to hand over once, and to whom."""

    message: str
    credentials: Credentials
    patient: PortalPatient


@dataclass(frozen=True, slots=True)
class Viewing:
    """One look at the record: who, what they did, when."""

    at: dt.datetime
    who: str
    role: str
    action: str


@dataclass(frozen=True, slots=True)
class OwnRecord:
    """A patient's own record, for the patient. Phones E.164. ``viewed_before``: there are older viewings than these."""

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
    viewings: tuple[Viewing, ...] = ()
    viewed_before: bool = False

    @property
    def name(self) -> str:
        """The whole name, as written."""
        return full_name(self.first_name, self.last_name)
