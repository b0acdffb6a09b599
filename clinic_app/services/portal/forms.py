"""What the portal use cases take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from clinic_app.core import text_rules
from clinic_app.core.errors import InvalidInput
from clinic_app.services.patients import fields, phones
from clinic_app.services.patients.forms import PATIENT_FIELDS, SECTIONS, PatientUpdate
from clinic_app.services.portal.errors import EmailInvalid, EmailRequired
from clinic_app.services.portal.wording import TURN_OFF_REASONS


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


class HandOver(StrEnum):
    """How a temporary password was handed over. Kept as written here."""

    IN_PERSON = "in person"
    PHONE = "phone"
    POST = "post"

    @classmethod
    def parse(cls, given: Any) -> HandOver:
        """Raises ``InvalidInput`` (field ``how``)."""
        try:
            return cls(given)
        except ValueError:
            ways = ", ".join(cls)
            raise InvalidInput({"how": f"How it was handed over must be one of: {ways}."}) from None


@dataclass(frozen=True, slots=True)
class TurnOff:
    """Why access is turned off: one of ``TURN_OFF_REASONS``, and perhaps words. Empty: not said."""

    reason: str = ""
    words: str = ""

    @classmethod
    def parse(cls, data: Mapping[str, Any], *, required: bool = False) -> TurnOff:
        """Check ``data``. Raises ``InvalidInput`` by field; ``required``: a reason must be given."""
        _refuse_unknown(data, "reason", "words")
        problems, reason, words = {}, data.get("reason"), ""
        if reason not in (None, "") and not (isinstance(reason, str) and reason in TURN_OFF_REASONS):
            problems["reason"] = f"Reason must be one of: {', '.join(TURN_OFF_REASONS)}."
        elif required and not reason:
            problems["reason"] = "Reason is required."
        try:
            words = text_rules.line(data.get("words"), "In words", 150) or ""
        except ValueError as error:
            problems["words"] = str(error)
        if words and not reason and not problems:
            problems["reason"] = "Reason is required."
        if problems:
            raise InvalidInput(problems)
        return cls(reason or "", words)

    @property
    def kept(self) -> str | None:
        """As the account keeps it."""
        return (f"{self.reason}: {self.words}" if self.words else self.reason) or None


@dataclass(frozen=True, slots=True)
class AddressCorrection:
    """The address that messages are to go to from now on: an email, or a phone in E.164.

    ``change_username``: the email becomes the username of the portal account too.
    """

    email: str | None = None
    phone: str | None = None
    change_username: bool = False

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> AddressCorrection:
        """Check ``data``, which holds an email or else a phone.

        Raises ``EmailRequired``, ``EmailInvalid``, or ``InvalidInput`` by field.
        """
        _refuse_unknown(data, "email", "phone", "change_username")
        if "phone" not in data:
            try:
                changes = fields.flag(data.get("change_username"), "Change username")
            except ValueError as error:
                raise InvalidInput({"change_username": str(error)}) from None
            return cls(email=_email(data.get("email")), change_username=changes)
        if {"email", "change_username"} & set(data):
            raise InvalidInput({"phone": "Correct one address at a time."})
        try:
            number = phones.phone(data.get("phone"))
        except ValueError as error:
            raise InvalidInput({"phone": str(error)}) from None
        if number is None:
            raise InvalidInput({"phone": "Phone is required."})
        return cls(phone=number)
