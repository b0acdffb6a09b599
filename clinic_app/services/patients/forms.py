"""What the patient use cases take. ``parse`` turns untrusted input into one, or raises ``InvalidInput`` by field."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from clinic_app.core import text_rules
from clinic_app.core.errors import InvalidInput
from clinic_app.models.patients import Gender
from clinic_app.services.patients import fields

#: Field → the words of its label: pages label inputs with them, messages name fields with them.
LABELS = {
    "first_name": "First name",
    "last_name": "Last name",
    "date_of_birth": "Date of birth",
    "gender": "Gender",
    "phone": "Phone",
    "email": "Email",
    "national_id": "National ID",
    "address": "Address",
    "next_of_kin_name": "Next of kin",
    "next_of_kin_phone": "Next of kin phone",
}
PORTAL_EMAIL_REQUIRED = "Email is required when creating a patient portal account."
PORTAL_EMAIL_INVALID = "Invalid email format for patient portal account."


def _flag(value: object) -> bool:
    """A checkbox or a JSON boolean. Anything else is refused, so that ``"no"`` never means yes."""
    if value is None or value is False or value == "":
        return False
    if value is True or value in ("on", "true"):
        return True
    if value == "false":
        return False
    raise ValueError("Create portal account must be true or false.")


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Check ``data`` and return the form. Raises ``InvalidInput`` with one sentence a field."""
        try:
            return cls.model_validate(dict(data))
        except ValidationError as error:
            raise InvalidInput(_sentences(error)) from None

    @classmethod
    def problem(cls, field: str, value: object) -> str:
        """The sentence ``value`` would earn in ``field``; empty where it is fine. For checking while typing."""
        try:
            cls.__pydantic_validator__.validate_assignment(cls.model_construct(), field, value)
        except ValidationError as error:
            return _sentences(error).get(field, "")
        return ""


def _sentences(error: ValidationError) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in error.errors(include_input=False, include_url=False):
        field = ".".join(str(part) for part in item["loc"]) or "form"
        label = LABELS.get(field, field.replace("_", " ").capitalize())
        if item["type"] == "value_error":
            sentence = str(item.get("ctx", {})["error"])
        elif item["type"] == "missing":
            sentence = f"{label} is required."
        elif item["type"] == "extra_forbidden":
            field = field[:60] if field.isidentifier() else "form"
            sentence = f"{field} is not a known field." if field != "form" else "There is an unknown field."
        else:
            sentence = f"{label} is not valid."
        found.setdefault(field, sentence)
    return found


Name = lambda label: Annotated[str, BeforeValidator(lambda value: text_rules.name(value, label))]  # noqa: E731
Phone = lambda label: Annotated[str | None, BeforeValidator(lambda value: fields.phone(value, label))]  # noqa: E731


class PatientDetails(_Form):
    """The fields that people fill in, checked and in the form they are kept."""

    first_name: Name("First name")  # type: ignore[valid-type]
    last_name: Name("Last name")  # type: ignore[valid-type]
    date_of_birth: Annotated[dt.date | None, BeforeValidator(fields.date_of_birth)] = None
    gender: Annotated[Gender, BeforeValidator(fields.gender)] = Gender.UNKNOWN
    phone: Phone("Phone") = None  # type: ignore[valid-type]
    email: Annotated[str | None, BeforeValidator(fields.email)] = None
    national_id: Annotated[str | None, BeforeValidator(fields.national_id)] = None
    address: Annotated[str | None, BeforeValidator(lambda v: text_rules.lines(v, "Address", 500))] = None
    next_of_kin_name: Annotated[str | None, BeforeValidator(lambda v: text_rules.line(v, "Next of kin", 200))] = None
    next_of_kin_phone: Phone("Next of kin phone") = None  # type: ignore[valid-type]


def _portal_email(value: object) -> str | None:
    try:
        return fields.email(value)
    except ValueError:
        raise ValueError(PORTAL_EMAIL_INVALID) from None


class PatientRegistration(PatientDetails):
    """A registration: the details, and the portal account if one is asked for."""

    create_portal_account: Annotated[bool, BeforeValidator(_flag)] = False
    portal_email: Annotated[str | None, BeforeValidator(_portal_email)] = None
    portal_phone: Phone("Portal phone") = None  # type: ignore[valid-type]

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Check ``data``. With the box not ticked the portal fields are not looked at; ticked, email is required."""
        data = dict(data)
        problems: dict[str, str] = {}
        try:
            wanted = _flag(data.get("create_portal_account"))
        except ValueError:
            wanted = False  # the form says so below
        if not wanted:
            data.pop("portal_email", None)
            data.pop("portal_phone", None)
        elif not str(data.get("portal_email") or "").strip():
            problems["portal_email"] = PORTAL_EMAIL_REQUIRED
        try:
            form = super().parse(data)
        except InvalidInput as error:
            raise InvalidInput({**error.fields, **problems}) from None
        if problems:
            raise InvalidInput(problems)
        return form


@dataclass(frozen=True, slots=True)
class PatientUpdate:
    """An edit: the fields to change and their new values, and the version the editor saw."""

    changes: Mapping[str, Any]
    version: int | None = None

    @classmethod
    def parse(cls, data: Mapping[str, Any], version: int | None = None) -> PatientUpdate:
        """Check the fields in ``data``, and only those. Raises ``InvalidInput`` by field."""
        complete = {"first_name": "-", "last_name": "-", **data}
        form = PatientDetails.parse(complete)
        return cls({name: getattr(form, name) for name in PatientDetails.model_fields if name in data}, version)


@dataclass(frozen=True, slots=True)
class PatientQuery:
    """What a list shows: a search term (may be empty), which page, in which order."""

    term: str = ""
    page: int = 1
    page_size: int = 20
    order: str = "name"  # name, patient_id, date_of_birth or created_at; with "-" in front, descending
