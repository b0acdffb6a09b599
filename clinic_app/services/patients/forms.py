"""What the patient use cases take. ``parse`` turns untrusted input into one, or raises ``InvalidInput`` by field."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

from clinic_app.core import text_rules
from clinic_app.core.errors import InvalidInput
from clinic_app.models.patients import Gender
from clinic_app.services.patients import fields, languages, wording

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


class Section(StrEnum):
    """Where on the pages a field stands."""

    DETAILS = "details"
    CONTACT = "contact"


class Kind(StrEnum):
    """What is filled in: decides the input, how the value is shown, and its type in the API's description."""

    TEXT = "text"
    LINES = "lines"
    DATE = "date"
    PHONE = "phone"
    EMAIL = "email"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class PatientField:
    """A field of a patient: how it is named, checked, filled in and shown, everywhere.

    ``rule`` is called with what was sent, the label and ``longest``. ``choices`` are the values of a ``CHOICE``,
    each with its words; ``named`` has the words of one that is not offered any more. ``about`` is said in the API's
    description, ``example`` shown there. ``own``: patients see it in their own record.
    """

    label: str
    section: Section
    rule: Callable[[Any, str, int], Any]
    kind: Kind = Kind.TEXT
    longest: int = 100
    choices: Callable[[], Mapping[str, str]] = dict
    named: Callable[[str], str] = str
    about: str = ""
    example: str = ""
    own: bool = True

    def words(self, value: Any) -> str:
        """``value`` as people read it; empty where there is none."""
        if self.kind is Kind.DATE:
            return wording.date_words(value)
        if self.kind is Kind.PHONE:
            return wording.phone_words(value)
        if self.kind is Kind.CHOICE:
            return self.choices().get(value or "") or self.named(value or "")
        return value or ""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: self.rule(value, self.label, self.longest), handler(source)
        )


class PatientDetails(_Form):
    """The fields people fill in, checked and in the form in which they are kept. **The list of a patient's fields.**

    Everything else follows it, in this order: inputs of the pages, checks on leaving a field, what is shown, the
    API's shapes, what patients see of themselves. A new field needs a line here, a column, and a line in the views.
    """

    first_name: Annotated[str, PatientField("First name", Section.DETAILS, text_rules.name, example="John")]
    last_name: Annotated[str, PatientField("Last name", Section.DETAILS, text_rules.name, example="Doe")]
    date_of_birth: Annotated[
        dt.date | None,
        PatientField(
            "Date of birth", Section.DETAILS, fields.date_of_birth, Kind.DATE, longest=40, example="1990-01-15"
        ),
    ] = None
    gender: Annotated[
        Gender,
        PatientField(
            "Gender",
            Section.DETAILS,
            fields.gender,
            Kind.CHOICE,
            choices=lambda: wording.GENDER_WORDS,
            about="`UNKNOWN` unless given.",
            example="MALE",
        ),
    ] = Gender.UNKNOWN
    national_id: Annotated[
        str | None,
        PatientField(
            "National ID",
            Section.DETAILS,
            fields.national_id,
            longest=50,
            about="Unique; compared without spaces, dashes and case.",
            example="27840001",
            own=False,
        ),
    ] = None
    phone: Annotated[
        str | None, PatientField("Phone", Section.CONTACT, fields.phone, Kind.PHONE, longest=40, example="0712345678")
    ] = None
    email: Annotated[
        str | None,
        PatientField("Email", Section.CONTACT, fields.email, Kind.EMAIL, longest=254, example="john@example.com"),
    ] = None
    address: Annotated[
        str | None,
        PatientField(
            "Address", Section.CONTACT, text_rules.lines, Kind.LINES, longest=500, example="12 Lake Road, Kisumu"
        ),
    ] = None
    next_of_kin_name: Annotated[
        str | None,
        PatientField("Next of kin", Section.CONTACT, text_rules.line, longest=200, example="Peter Doe"),
    ] = None
    next_of_kin_phone: Annotated[
        str | None,
        PatientField("Next of kin phone", Section.CONTACT, fields.phone, Kind.PHONE, longest=40, example="0722910448"),
    ] = None
    preferred_language: Annotated[
        str | None,
        PatientField(
            "Preferred language",
            Section.CONTACT,
            languages.preferred_language,
            Kind.CHOICE,
            longest=35,
            choices=languages.clinic_languages,
            named=languages.language_name,
            about="BCP 47; one of the clinic's languages.",
            example="sw",
        ),
    ] = None


def _listed() -> Iterator[tuple[str, PatientField]]:
    for name, info in PatientDetails.model_fields.items():
        yield name, next(one for one in info.metadata if isinstance(one, PatientField))


#: Field → everything that is known of it, in the order of the pages.
PATIENT_FIELDS: Mapping[str, PatientField] = dict(_listed())
#: Field → the words of its label: pages label inputs with them, messages name fields with them.
LABELS: Mapping[str, str] = {name: field.label for name, field in PATIENT_FIELDS.items()}
#: Section → its fields, in their order.
SECTIONS: Mapping[str, tuple[str, ...]] = {
    section: tuple(name for name, field in PATIENT_FIELDS.items() if field.section is section) for section in Section
}


def _portal_email(value: object) -> str | None:
    try:
        return fields.email(value)
    except ValueError:
        raise ValueError(PORTAL_EMAIL_INVALID) from None


class PatientRegistration(PatientDetails):
    """A registration: the details, and the portal account if one is asked for."""

    create_portal_account: Annotated[bool, BeforeValidator(_flag)] = False
    portal_email: Annotated[str | None, BeforeValidator(_portal_email)] = None
    portal_phone: Annotated[str | None, BeforeValidator(lambda value: fields.phone(value, "Portal phone"))] = None

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
