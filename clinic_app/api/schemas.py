"""The shapes in the API's description. Requests are checked by the services' forms, not by these."""

from __future__ import annotations

import dataclasses
import datetime as dt
from enum import Enum
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, create_model

from clinic_app.services.audit.actions import Action, Outcome
from clinic_app.services.notifications.kinds import Channel
from clinic_app.services.patients.forms import PATIENT_FIELDS, Kind, PatientDetails
from clinic_app.services.patients.views import PatientProfile, PatientSummary
from clinic_app.services.portal.bulk import AT_MOST

Item = TypeVar("Item")
PortalStatus = Literal["none", "active", "temporary", "expired", "locked", "off"]
PASSWORD = "xK9mP2nQ7vR3"  # noqa: S105  an example


def _without_defaults(schema: dict[str, Any]) -> None:
    """A field that may be missing is described without a default: generated clients would send it, or make it up."""
    for field in schema.get("properties", {}).values():
        field.pop("default", None)


class Shape(BaseModel):
    """Nothing but what is named here."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_without_defaults)


# --- signing in -----------------------------------------------------------------------------------


class SignIn(Shape):
    """Username and password. A patient's username is their email."""

    username: str = Field(examples=["receptionist"])
    password: str = Field(examples=["demo-clinic-passphrase"])
    otp: str | None = Field(
        None, description="A code from the authenticator app, or a recovery code. Needed with two-factor sign-in."
    )


class Refresh(Shape):
    """The refresh token from the last response. It can be used once."""

    refresh: str


class SignOut(Shape):
    """No field is required. A refresh token may be sent along; it ends with the session."""

    refresh: str | None = None


class Tokens(Shape):
    """``access`` goes into the header ``Authorization: Bearer …``, for 15 minutes; ``refresh`` gets the next pair."""

    access: str
    refresh: str


class Done(Shape):
    """The request was carried out."""

    success: Literal[True]
    message: str


# --- patients -------------------------------------------------------------------------------------


_SENT = {
    Kind.DATE: "As much as is known: `1990-01-15`, `1990-01` or `1990`; or any usual notation with the day before the "
    "month, or an age. Not in the future, not before 1900-01-01.",
    Kind.PHONE: "A number of the clinic's region, or international with `+`.",
}
_ESTIMATED_SENT = "True if the year, or year and month, of `date_of_birth` is an estimate. Sent together with it."
_ANSWERED = {
    Kind.DATE: "As much as is known: `1990-01-15`, `1990-01` or `1990`.",
    Kind.PHONE: "As dialled within the clinic's region; E.164 for other countries.",
}
_PARTIAL: Any = Annotated[str, Field(pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$")]


def _type(name: str) -> Any:
    """The type of a field's value: as the form has it, an enumeration by its words."""
    if PATIENT_FIELDS[name].kind is Kind.DATE:
        return _PARTIAL | None
    kept = PatientDetails.model_fields[name].annotation
    return Literal[tuple(str(one) for one in kept)] if isinstance(kept, type) and issubclass(kept, Enum) else kept  # type: ignore[valid-type]


def _sent(*, whole: bool) -> type[Shape]:
    """The fields of a patient as a request may hold them; ``whole``: those that a patient needs must be there."""
    shape: dict[str, Any] = {}
    for name, field in PATIENT_FIELDS.items():
        info = PatientDetails.model_fields[name]
        required = info.is_required() and name != "last_name"  # that depends on another
        value = str if required or field.kind is Kind.DATE else _type(name)
        if not required and info.default is not True:  # nothing sent is no answer to a question of consent
            value = value | None
        text = field.kind in {Kind.TEXT, Kind.LINES, Kind.EMAIL}
        shape[name] = (
            value,
            Field(
                ... if required and whole else None,
                min_length=1 if required else None,
                max_length=field.longest if text else None,
                description=field.about or _SENT.get(field.kind),
                examples=[field.example],
            ),
        )
        if field.kind is Kind.DATE:
            shape[f"{name}_estimated"] = (bool | None, Field(None, description=_ESTIMATED_SENT, examples=[False]))
    return create_model("PatientFields", __base__=Shape, **shape)


def _answered(base: type[Shape], view: type) -> type[Shape]:
    """``base``, and those fields of a patient that ``view`` has, as an answer holds them."""
    held = {field.name for field in dataclasses.fields(view)}
    shape: dict[str, Any] = {}
    for name, field in PATIENT_FIELDS.items():
        if name not in held:
            continue
        shape[name] = (_type(name), Field(description=_ANSWERED.get(field.kind), examples=[field.example]))
        if field.kind is Kind.DATE:
            about = f"Whether `{name}` is an estimate, of a year or a month."
            shape[f"{name}_estimated"] = (bool, Field(description=about, examples=[False]))
    return create_model("PatientAnswered", __base__=base, **shape)


class Registration(_sent(whole=True)):
    """A patient to register, and the portal account if one is wanted."""

    create_portal_account: bool | None = Field(None, description="False unless given.", examples=[True])
    portal_email: str | None = Field(
        None,
        description="Becomes the username. Required with `create_portal_account`, ignored without it.",
        examples=["john@example.com"],
    )
    portal_phone: str | None = Field(None, examples=["0712345678"])
    allow_duplicate: bool | None = Field(
        None,
        description="True: register although a patient who is there already is likely the same person. False unless "
        "given: then 409, with the candidates.",
        examples=[False],
    )


class Candidate(Shape):
    """A patient who may be the same person."""

    id: int = Field(examples=[123])
    patient_id: str = Field(examples=["LMC000123"])
    name: str = Field(examples=["John Doe"])
    date_of_birth: str | None = Field(description="As much as is known: `1990-01-15`, `1990-01` or `1990`.")
    score: float = Field(ge=0, le=1, description="How likely it is the same person.", examples=[0.98])
    grade: Literal["certain", "likely", "possible"] = Field(description="Certain and likely hold a registration.")
    reasons: list[str] = Field(examples=[["Name", "Date of birth, one digit off", "Phone"]])


class Edit(_sent(whole=False)):
    """The fields to change; the others stay as they are."""

    version: int | None = Field(
        None,
        ge=1,
        description="The version you read. If the record has changed since, nothing is saved: 409.",
        examples=[1],
    )


class Credentials(Shape):
    """Sign-in details to hand over, given once. A repeated response has no password, and ``already_issued`` is true."""

    username: str = Field(examples=["john@example.com"])
    temporary_password: str | None = Field(examples=[PASSWORD])
    login_url: str = Field(examples=["/patient-portal/login"])
    expires_at: dt.datetime = Field(description="The temporary password works until then.")
    already_issued: Literal[True] = Field(True, description="Only in a repeated response.")


class _Named(Shape):
    id: int = Field(examples=[123])
    patient_id: str = Field(examples=["LMC000123"])
    name: str = Field(examples=["John Doe"])


class PatientListed(_answered(_Named, PatientSummary)):
    """A patient in a list."""

    portal_enabled: bool
    portal_status: PortalStatus
    verification_status: Literal["VERIFIED", "PENDING"]
    created_at: dt.datetime


class PatientWaiting(PatientListed):
    """Somebody who waits for verification. Whoever registered themselves gets a patient ID when they are verified."""

    patient_id: str | None = Field(examples=[None])  # type: ignore[assignment]


class Patient(_answered(PatientListed, PatientProfile)):
    """The complete record of one patient."""

    portal_username: str | None = Field(examples=["john@example.com"])
    is_active: bool
    updated_at: dt.datetime
    merged_into: str | None = Field(
        description="The patient ID of the record this one was merged into: that one stands for it.", examples=[None]
    )
    registered_by: str = Field(description="Name of the member of staff; empty if unknown.")
    version: int = Field(description="Goes up with every edit.")


class Registered(Shape):
    """The patient was registered."""

    success: Literal[True]
    message: str = Field(examples=["Patient registered successfully with portal account"])
    patient: Patient
    portal_created: bool
    portal_credentials: Credentials = Field(None, description="Only when a portal account was created.")  # type: ignore[assignment]


class Listing(Shape, Generic[Item]):
    """One page of a list."""

    count: int = Field(description="Total number on all pages.")
    count_is_exact: Literal[False] = Field(  # type: ignore[assignment]
        None, description="Only where more match a search than are counted (`CLINIC_SEARCH_COUNT_AT_MOST`)."
    )
    next: str | None = Field(description="Address of the next page.")
    previous: str | None = Field(description="Address of the previous page.")
    results: list[Item]


class Search(Shape):
    """What to search for, as in the search endpoint above."""

    q: str = Field(max_length=200, examples=["wanj"])
    page: int | None = Field(None, ge=1, le=10_000_000)
    page_size: int | None = Field(None, ge=1, le=100)


class Verified(Shape):
    """The patient is verified."""

    success: Literal[True]
    message: str
    patient: Patient


# --- possible duplicates --------------------------------------------------------------------------


class Duplicate(Shape):
    """A record that may be the same person. ``score``: from 0 to 1."""

    patient: PatientListed
    score: float = Field(examples=[0.97])
    grade: Literal["certain", "likely", "possible"]
    reasons: list[str] = Field(examples=[["Phone", "Date of birth"]])


class Duplicates(Shape):
    """The records that may be the same person, the likeliest first."""

    count: int
    results: list[Duplicate]


class Merge(Shape):
    """The record that stays, and with what."""

    into: int | str = Field(description="The id or the patient ID of the record that stays.", examples=["LMC000123"])
    values: dict[str, Any] | None = Field(
        None,
        description="Field → the value that stays, which is that of one of the two records. For fields that are not "
        "named, the value of the record that stays, or that of the other where it has none.",
        examples=[{"last_name": "Doe"}],
    )
    portal_username: str | None = Field(
        None,
        description="Which of two portal accounts stays, by its username. The other is turned off.",
        examples=["john@example.com"],
    )


class Merged(Shape):
    """The records are one."""

    success: Literal[True]
    message: str = Field(examples=["Records merged successfully"])
    patient: Patient = Field(description="The record that stays.")
    merged: str = Field(description="The patient ID of the other one.", examples=["LMC000124"])


class Unmerged(Shape):
    """The records are two again."""

    success: Literal[True]
    message: str = Field(examples=["Merge undone successfully"])
    patient: Patient = Field(description="The record that was merged.")
    survivor: Patient = Field(description="The record it was merged into.")
    not_restored: list[Literal["external_id", "national_id", "portal_username"]] = Field(
        description="What did not come back, because somebody else has it now."
    )


class NotADuplicate(Shape):
    """Another record, of somebody else."""

    other: int | str = Field(description="The id or the patient ID of the other record.", examples=["LMC000124"])
    undo: bool | None = Field(None, description="True takes it back.", examples=[False])


# --- portal ---------------------------------------------------------------------------------------


class PortalRequest(Shape):
    """The portal account to create."""

    email: str = Field(description="Becomes the username.", examples=["patient@example.com"])
    phone: str | None = Field(None, description="For SMS.", examples=["0712345678"])


class UsernameChange(Shape):
    """Another email for the account the patient has."""

    email: str = Field(description="Becomes the username.", examples=["new.address@example.com"])


class PortalPatient(Shape):
    """The patient an account belongs to."""

    id: int = Field(examples=[123])
    patient_id: str = Field(examples=["LMC000123"])
    name: str = Field(examples=["John Doe"])
    portal_enabled: bool


class PortalCreated(Shape):
    """Access was given, or a new temporary password was issued, perhaps under another username."""

    success: Literal[True]
    message: str = Field(examples=["Portal account created successfully"])
    credentials: Credentials
    patient: PortalPatient


class Delivery(Shape):
    """One message: `QUEUED`, or `HELD` because the patient allows none there."""

    channel: Channel
    address: str = Field(examples=["patient@example.com"])
    state: Literal["QUEUED", "HELD"]
    reason: str | None = Field(examples=[None])


class InvitationSent(Shape):
    """A new one-time link is on its way."""

    success: Literal[True]
    message: str = Field(examples=["Invitation sent again"])
    patient: PortalPatient
    deliveries: list[Delivery]


class TurnOff(Shape):
    """Why access is turned off: kept until it is turned on again, and shown at the desk."""

    reason: Literal["ASKED", "LEFT", "MISUSED", "DIED", "OTHER"] | None = Field(None, examples=["ASKED"])
    words: str | None = Field(None, max_length=150, description="Nothing medical. Only with a reason.")


class PortalSwitched(Shape):
    """Access was turned off or on."""

    success: Literal[True]
    message: str
    patient: PortalPatient


class BulkRequest(Shape):
    """The patients to give access to, by id or patient ID. The email in each record becomes the username."""

    patient_ids: list[int | str] = Field(min_length=1, max_length=AT_MOST, examples=[[123, "LMC000124"]])


class BulkResult(Shape):
    """The outcome for one patient."""

    requested: int | str
    success: bool
    patient: PortalPatient | None
    credentials: Credentials = Field(None, description="Only if an account was created.")  # type: ignore[assignment]
    error: str = Field("", description="Only if no account was created.")
    detail: str = Field("", description="Only if no account was created.")
    existing_username: str = Field("", description="Only if there already was an account.")


class BulkAnswer(Shape):
    """The outcome for each patient, in the order given."""

    success: Literal[True]
    message: str
    created: int
    failed: int
    results: list[BulkResult]


# --- audit ----------------------------------------------------------------------------------------


class Event(Shape):
    """One event of the trail: ids and names of fields, never values of a record."""

    seq: int
    at: dt.datetime
    actor: Literal["account", "anonymous", "system"]
    actor_id: int | None
    actor_name: str
    actor_username: str
    role: str
    action: str = Field(examples=[Action.PATIENT_CREATED])
    outcome: Outcome
    resource_type: str | None
    resource_id: int | None
    address: str
    user_agent: str
    request_id: str
    metadata: dict[str, Any]
    patient_id: str = Field(examples=["LMC000123"])


# --- errors ---------------------------------------------------------------------------------------


class Problem(BaseModel):
    """What went wrong. ``error`` is constant for each kind of error; ``detail`` is a sentence for people."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)

    success: Literal[False]
    error: str = Field(examples=["Validation failed"])
    detail: str = Field(examples=["Email is required when creating a patient portal account."])
    errors: dict[str, str] = Field({}, description="Field → message, for errors in particular fields.")
    existing_username: str = Field("", description="Only if the patient already has an account.")
    merged_into: str = Field("", description="Only if the record was merged: the patient ID of the one that stays.")
    candidates: list[Candidate] = Field([], description="Only if a patient may be registered already: best first.")


class Detail(Shape):
    """What went wrong, in a sentence."""

    detail: str
