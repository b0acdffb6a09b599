"""What the portal use cases return."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from clinic_app.services.accounts.views import Credentials
from clinic_app.services.notifications.views import Delivery
from clinic_app.services.patients.views import PatientRecord


@dataclass(frozen=True, slots=True)
class PortalPatient:
    """The patient an account belongs to, as the answer names it."""

    id: int
    patient_id: str
    name: str
    portal_enabled: bool


@dataclass(frozen=True, slots=True)
class PortalCreated:
    """Access given, or a password reset: the words to say, what to hand over once, and to whom.

    ``deliveries`` are the messages written with it, those kept back among them; empty where nothing can be sent.
    """

    message: str
    credentials: Credentials
    patient: PortalPatient
    deliveries: tuple[Delivery, ...] = ()


@dataclass(frozen=True, slots=True)
class Viewing:
    """One look at the record: who, what they did, when."""

    at: dt.datetime
    who: str
    role: str
    action: str


@dataclass(frozen=True, slots=True)
class OwnRecord(PatientRecord):
    """A patient's own record, for the patient. ``viewed_before``: there are older viewings than these."""

    viewings: tuple[Viewing, ...] = ()
    viewed_before: bool = False
