"""What the patient use cases take. ``parse`` turns untrusted input into one, or raises ``InvalidInput`` by field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

from clinic_app.core import text_rules
from clinic_app.core.errors import InvalidInput
from clinic_app.models.patients import Gender
from clinic_app.services.patients import birth_dates, fields, languages, national_ids, phones, wording
from clinic_app.services.patients.birth_dates import BirthDate, Stated

#: The order in which a list is shown unless another one is asked for: best match first; without a term, by name.
BEST = ""
PORTAL_EMAIL_REQUIRED = "Email is required when creating a patient portal account."
_PORTAL = "Create portal account"
PORTAL_EMAIL_INVALID = "Invalid email format for patient portal account."


class _NoLastName:
    """Stands for the last name of somebody who has one name only. Only ``PatientDetails.parse`` uses it."""


_NONE = _NoLastName()
#: Said beside the birth date, by programs.
ESTIMATED = "date_of_birth_estimated"
ONE_NAME_ONLY = "Last name must be empty for somebody with one name only."
WITH_THE_DATE = "date_of_birth_estimated must be sent together with date_of_birth."


def _last_name(value: object, label: str, longest: int) -> str:
    return "" if value is _NONE else text_rules.name(value, label, longest)


def _blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _ticked(value: object) -> bool:
    """Whether a tick is set; what is no tick at all is refused by the form."""
    return value is True or value in ("on", "true")


_Made = TypeVar("_Made")


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
    TICK = "tick"


def _with_problems(
    parse: Callable[[Mapping[str, Any]], _Made], data: Mapping[str, Any], problems: dict[str, str]
) -> _Made:
    """What ``parse`` makes of ``data``, unless it or the form before it found ``problems``: all are said at once."""
    try:
        form = parse(data)
    except InvalidInput as error:
        raise InvalidInput({**error.fields, **problems}) from None
    if problems:
        raise InvalidInput(problems)
    return form


@dataclass(frozen=True, slots=True)
class PatientField:
    """A field of a patient: how it is named, checked, filled in and shown, everywhere.

    ``rule`` is called with what was sent, the label and ``longest``. ``choices`` are the values of a ``CHOICE``,
    each with its words; ``named`` has the words of one that is not offered any more. ``about`` is said in the API's
    description, ``example`` shown there. ``own``: patients see it in their own record. ``under``: the field below whose
    input a ``TICK`` stands. ``shared``: people of one household likely have the same, so a relative's registration
    begins with it.
    """

    label: str
    section: Section
    rule: Callable[[Any, str, int], Any]
    kind: Kind = Kind.TEXT
    longest: int = 100
    choices: Callable[[], Mapping[str, str]] = dict
    named: Callable[[str], str] = str
    about: str = ""
    example: Any = ""
    own: bool = True
    under: str = ""
    shared: bool = False

    def words(self, value: Any) -> str:
        """``value`` as people read it; empty where there is none."""
        if self.kind is Kind.DATE:
            return wording.birth_words(value)
        if self.kind is Kind.PHONE:
            return wording.phone_words(value)
        if self.kind is Kind.CHOICE:
            return self.choices().get(value or "") or self.named(value or "")
        if self.kind is Kind.TICK:
            return "Yes" if value else "No"
        return value or ""

    def typed(self, value: Any) -> str:
        """``value`` as a form begins with it."""
        if self.kind is Kind.TICK:
            return "on" if value else ""
        return (value or "") if self.kind is Kind.CHOICE else self.words(value)

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
    last_name: Annotated[
        str,
        PatientField(
            "Last name",
            Section.DETAILS,
            _last_name,
            about="Required, unless `single_name` is true: then empty.",
            example="Doe",
        ),
    ]
    single_name: Annotated[
        bool,
        PatientField(
            "Has one name only",
            Section.DETAILS,
            fields.flag,
            Kind.TICK,
            about="True for people with one name, which is the `first_name`. False unless given.",
            example=False,
            under="last_name",
        ),
    ] = False
    date_of_birth: Annotated[
        BirthDate | None,
        PatientField("Date of birth", Section.DETAILS, birth_dates.read, Kind.DATE, longest=40, example="1990-01-15"),
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
            national_ids.national_id,
            longest=50,
            about="Unique; compared by letters and digits alone.",
            example="27840001",
            own=False,
        ),
    ] = None
    external_id: Annotated[
        str | None,
        PatientField(
            "External ID",
            Section.DETAILS,
            text_rules.line,
            longest=100,
            about="The number in the system the record came from. Unique.",
            example="OPD/2019/0041",
            own=False,
        ),
    ] = None
    phone: Annotated[
        str | None,
        PatientField("Phone", Section.CONTACT, phones.phone, Kind.PHONE, longest=40, example="0712345678", shared=True),
    ] = None
    sms_allowed: Annotated[
        bool,
        PatientField(
            "Phone may be used for messages",
            Section.CONTACT,
            fields.consent,
            Kind.TICK,
            about="False: no invitation or reminder goes to the phone, nor to the portal phone. True unless given.",
            example=True,
            under="phone",
        ),
    ] = True
    email: Annotated[
        str | None,
        PatientField("Email", Section.CONTACT, fields.email, Kind.EMAIL, longest=254, example="john@example.com"),
    ] = None
    email_allowed: Annotated[
        bool,
        PatientField(
            "Email may be used for messages",
            Section.CONTACT,
            fields.consent,
            Kind.TICK,
            about="False: no invitation or reminder goes to the email, nor to the portal email. True unless given.",
            example=True,
            under="email",
        ),
    ] = True
    address: Annotated[
        str | None,
        PatientField(
            "Address",
            Section.CONTACT,
            text_rules.lines,
            Kind.LINES,
            longest=500,
            example="12 Lake Road, Kisumu",
            shared=True,
        ),
    ] = None
    next_of_kin_name: Annotated[
        str | None,
        PatientField("Next of kin", Section.CONTACT, text_rules.line, longest=200, example="Peter Doe", shared=True),
    ] = None
    next_of_kin_phone: Annotated[
        str | None,
        PatientField(
            "Next of kin phone",
            Section.CONTACT,
            phones.phone,
            Kind.PHONE,
            longest=40,
            example="0722910448",
            shared=True,
        ),
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

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Check ``data``. A last name is asked for unless ``single_name`` is true, and then must not be there.

        ``date_of_birth_estimated`` may say of the birth date that it is an estimate. Raises ``InvalidInput``.
        """
        data, problems = dict(data), dict[str, str]()
        if _ticked(data.get("single_name")):
            if _blank(data.get("last_name")):
                data["last_name"] = _NONE
            else:
                problems["last_name"] = ONE_NAME_ONLY
        estimated = data.pop(ESTIMATED, None)
        if estimated is not None:
            try:
                said = fields.flag(estimated, ESTIMATED)
            except ValueError as error:
                problems[ESTIMATED] = str(error)
            else:
                if said and _blank(data.get("date_of_birth")):
                    problems[ESTIMATED] = WITH_THE_DATE
                data["date_of_birth"] = Stated(data.get("date_of_birth"), said)
        return _with_problems(super().parse, data, problems)


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

    create_portal_account: Annotated[bool, BeforeValidator(lambda value: fields.flag(value, _PORTAL))] = False
    portal_email: Annotated[str | None, BeforeValidator(_portal_email)] = None
    portal_phone: Annotated[str | None, BeforeValidator(lambda value: phones.phone(value, "Portal phone"))] = None

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """Check ``data``. With the box not ticked the portal fields are not looked at; ticked, email is required."""
        data = dict(data)
        problems: dict[str, str] = {}
        try:
            wanted = fields.flag(data.get("create_portal_account"), _PORTAL)
        except ValueError:
            wanted = False  # the form says so below
        if not wanted:
            data.pop("portal_email", None)
            data.pop("portal_phone", None)
        elif not str(data.get("portal_email") or "").strip():
            problems["portal_email"] = PORTAL_EMAIL_REQUIRED
        return _with_problems(super().parse, data, problems)


@dataclass(frozen=True, slots=True)
class PatientUpdate:
    """An edit: the fields to change and their new values, and the version the editor saw."""

    changes: Mapping[str, Any]
    version: int | None = None

    @classmethod
    def parse(cls, data: Mapping[str, Any], version: int | None = None) -> PatientUpdate:
        """Check the fields in ``data``, and only those. Raises ``InvalidInput`` by field.

        One name only and no last name go together: whichever of them is given brings the other along.
        """
        changed = set(data)
        if data.get(ESTIMATED) is not None and "date_of_birth" not in data:
            raise InvalidInput({ESTIMATED: WITH_THE_DATE})
        one_name = _ticked(data.get("single_name"))
        if one_name or "last_name" in data:
            changed |= {"single_name", "last_name"}
        form = PatientDetails.parse({"first_name": "-", **({} if one_name else {"last_name": "-"}), **data})
        return cls({name: getattr(form, name) for name in PatientDetails.model_fields if name in changed}, version)


@dataclass(frozen=True, slots=True)
class PatientQuery:
    """What a list shows: a search term (may be empty), which page, in which order.

    ``after``: the id of the last row of the page before, to read on from there where there is no term; 0: by number.
    """

    term: str = ""
    page: int = 1
    page_size: int = 20
    order: str = BEST  # or name, patient_id, date_of_birth or created_at; with "-" in front, descending
    after: int = 0
