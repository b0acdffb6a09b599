"""What the portal use cases take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clinic_app.core.errors import InvalidInput
from clinic_app.services.patients import fields, phones
from clinic_app.services.patients.forms import PATIENT_FIELDS, SECTIONS, PatientUpdate
from clinic_app.services.portal.errors import EmailInvalid, EmailRequired


def _refuse_unknown(data: Mapping[str, Any], *known: str) -> None:
    unknown = [name for name in data if name not in known]
    if unknown:
        name = unknown[0][:60] if unknown[0].isidentifier() else "form"
        raise InvalidInput({name: f"{name} is not a known field." if name != "form" else "There is an unknown field."})


def _email(given: Any) -> str:
    """The email that is to be a username. Raises ``EmailRequired``, ``EmailInvalid``."""
    if given is None or (isinstance(given, str) and not given.strip()):
        raise EmailRequired
    try:
        email = fields.email(given)
    except ValueError:
        raise EmailInvalid from None
    if email is None:
        raise EmailRequired
    return email


@dataclass(frozen=True, slots=True)
class PortalAccountRequest:
    """Email (the username to be) and, for SMS, a phone in E.164."""

    email: str
    phone: str | None = None

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> PortalAccountRequest:
        """Check ``data``. Raises ``EmailRequired``, ``EmailInvalid``, or ``InvalidInput`` for the phone."""
        _refuse_unknown(data, "email", "phone")
        email = _email(data.get("email"))
        try:
            return cls(email, phones.phone(data.get("phone")))
        except ValueError as error:
            raise InvalidInput({"phone": str(error)}) from None


@dataclass(frozen=True, slots=True)
class ChangePortalUsername:
    """Another email for the same account: the username to be."""

    email: str

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> ChangePortalUsername:
        """Check ``data``. Raises ``EmailRequired``, ``EmailInvalid``, or ``InvalidInput`` for an unknown field."""
        _refuse_unknown(data, "email")
        return cls(_email(data.get("email")))


NO_EMAIL = "To have no email on record, call the reception."
#: The contact details that patients correct themselves, in the order of the list. An email is confirmed first.
OWN_CONTACT = tuple(name for name in SECTIONS["contact"] if PATIENT_FIELDS[name].own and name != "email")


@dataclass(frozen=True, slots=True)
class OwnContactCorrection:
    """What patients correct of their own record: the fields to change, and the version they saw.

    ``email`` is another email, which is confirmed first.
    """

    update: PatientUpdate
    email: str | None = None

    @classmethod
    def parse(cls, data: Mapping[str, Any], version: int) -> OwnContactCorrection:
        """Check ``data``, which holds contact details alone. Raises ``InvalidInput`` by field."""
        _refuse_unknown(data, *OWN_CONTACT, "email")
        changes = dict(PatientUpdate.parse(data, version).changes)
        email = changes.pop("email", None)
        if "email" in data and email is None:
            raise InvalidInput({"email": NO_EMAIL})
        return cls(PatientUpdate(changes, version), email)
