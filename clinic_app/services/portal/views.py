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
class PortalSwitched(PortalPatient):
    """The same after access was turned off or on, and the invitation that could only be sent now."""

    deliveries: tuple[Delivery, ...] = ()


@dataclass(frozen=True, slots=True)
class PortalCreated:
    """Access given, or a password reset: the words to say, what to hand over once, and to whom.

    ``deliveries`` are the messages written with it, those kept back among them; empty where nothing can be sent.
    ``stamp`` is that of the access as it is now.
    """

    message: str
    credentials: Credentials
    patient: PortalPatient
    deliveries: tuple[Delivery, ...] = ()
    stamp: str = ""


@dataclass(frozen=True, slots=True)
class InvitationSent:
    """The words to say, to whom, and the messages written, those kept back among them."""

    message: str
    patient: PortalPatient
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class HandedOver:
    """How a temporary password was handed over, how long it lives, and the stamp of access as it is now."""

    how: str
    expires_at: dt.datetime
    stamp: str


@dataclass(frozen=True, slots=True)
class AddressCorrected:
    """An address was corrected: what was sent there, and new credentials where the username changed with it."""

    patient: PortalPatient
    deliveries: tuple[Delivery, ...]
    credentials: Credentials | None = None
    stamp: str = ""


@dataclass(frozen=True, slots=True)
class Viewing:
    """One look at the record, or a change of it: who, what they did, when.

    ``own``: the patient themself. ``fields`` are those that were changed, ``page`` what was looked at where it was not
    the whole record; ``with_sign_in``: the registration gave portal access too.
    """

    seq: int
    at: dt.datetime
    who: str
    role: str
    action: str
    own: bool = False
    fields: tuple[str, ...] = ()
    page: str = ""
    with_sign_in: bool = False


@dataclass(frozen=True, slots=True)
class Viewings:
    """A page of looks, newest first. ``before``: older ones come before this number; 0 where there are none."""

    looks: tuple[Viewing, ...]
    before: int


@dataclass(frozen=True, slots=True)
class OwnRecord(PatientRecord):
    """A patient's own record, for the patient: the latest ``viewings`` of ``viewed`` in all.

    ``username`` opens it, ``password_since`` is when its password was chosen. ``email_waits`` is an email that has to
    be shown to be theirs before it counts, until ``email_waits_until``. Instants UTC.
    """

    username: str = ""
    password_since: dt.datetime | None = None
    email_waits: str = ""
    email_waits_until: dt.datetime | None = None
    viewings: tuple[Viewing, ...] = ()
    viewed: int = 0


@dataclass(frozen=True, slots=True)
class OwnContact(PatientRecord):
    """The own record as it is corrected. ``version`` goes up with every edit, whoever makes it.

    ``email_waits`` as in the own record; ``may_confirm``: there is something to send the link with that an email needs.
    """

    version: int
    email_waits: str
    may_confirm: bool


@dataclass(frozen=True, slots=True)
class OwnMessage:
    """A message that was sent to a patient: when (UTC), about what, by ``email`` or ``sms``, and where to."""

    at: dt.datetime
    kind: str
    channel: str
    address: str


@dataclass(frozen=True, slots=True)
class OwnDownload:
    """Everything that a patient takes home. ``left_out``: there were more viewings than one file holds."""

    record: OwnRecord
    messages: tuple[OwnMessage, ...]
    made_at: dt.datetime
    left_out: bool
