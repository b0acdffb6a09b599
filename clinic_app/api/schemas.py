"""The shapes in the API's description. Requests are checked by the services' forms, not by these."""

from __future__ import annotations

import datetime as dt
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from clinic_app.services.audit.actions import Action, Outcome
from clinic_app.services.portal.bulk import AT_MOST

Item = TypeVar("Item")
Gender = Literal["MALE", "FEMALE", "OTHER", "UNKNOWN"]
PortalStatus = Literal["none", "active", "temporary", "expired", "locked", "off"]
PASSWORD = "xK9mP2nQ7vR3"  # noqa: S105  an example


class Shape(BaseModel):
    """Nothing but what is named here."""

    model_config = ConfigDict(extra="forbid")


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

    success: Literal[True] = True
    message: str


# --- patients -------------------------------------------------------------------------------------


class PatientFields(Shape):
    """What people fill in."""

    date_of_birth: str | None = Field(
        None,
        description="ISO 8601, or any usual notation with the day before the month. Not in the future, "
        "not before 1900-01-01.",
        examples=["1990-01-15"],
    )
    gender: Gender | None = Field(None, description="`UNKNOWN` unless given.", examples=["MALE"])
    phone: str | None = Field(
        None, description="A number of the clinic's region, or international with `+`.", examples=["0712345678"]
    )
    email: str | None = Field(None, max_length=254, examples=["john@example.com"])
    national_id: str | None = Field(
        None,
        max_length=50,
        description="Unique; compared without spaces, dashes and case.",
        examples=["27840001"],
    )
    address: str | None = Field(None, max_length=500, examples=["12 Lake Road, Kisumu"])
    next_of_kin_name: str | None = Field(None, max_length=200, examples=["Peter Doe"])
    next_of_kin_phone: str | None = Field(None, examples=["0722910448"])


class Registration(PatientFields):
    """A patient to register, and the portal account if one is wanted."""

    first_name: str = Field(min_length=1, max_length=100, examples=["John"])
    last_name: str = Field(min_length=1, max_length=100, examples=["Doe"])
    create_portal_account: bool | None = Field(None, description="False unless given.", examples=[True])
    portal_email: str | None = Field(
        None,
        description="Becomes the username. Required with `create_portal_account`, ignored without it.",
        examples=["john@example.com"],
    )
    portal_phone: str | None = Field(None, examples=["0712345678"])


class Edit(PatientFields):
    """The fields to change; the others stay as they are."""

    first_name: str = Field("", min_length=1, max_length=100, examples=["John"])
    last_name: str = Field("", min_length=1, max_length=100, examples=["Doe"])
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


class PatientListed(Shape):
    """A patient in a list."""

    id: int = Field(examples=[123])
    patient_id: str = Field(examples=["LMC000123"])
    name: str = Field(examples=["John Doe"])
    first_name: str = Field(examples=["John"])
    last_name: str = Field(examples=["Doe"])
    date_of_birth: dt.date | None = Field(examples=["1990-01-15"])
    gender: Gender = Field(examples=["MALE"])
    phone: str | None = Field(
        description="As dialled within the clinic's region; E.164 for other countries.", examples=["0712345678"]
    )
    email: str | None = Field(examples=["john@example.com"])
    portal_enabled: bool
    portal_status: PortalStatus
    verification_status: Literal["VERIFIED", "PENDING"]
    created_at: dt.datetime


class Patient(PatientListed):
    """The complete record of one patient."""

    national_id: str | None = Field(examples=["27840001"])
    address: str | None = Field(examples=["12 Lake Road, Kisumu"])
    next_of_kin_name: str | None = Field(examples=["Peter Doe"])
    next_of_kin_phone: str | None = Field(examples=["0722910448"])
    portal_username: str | None = Field(examples=["john@example.com"])
    is_active: bool
    updated_at: dt.datetime
    registered_by: str = Field(description="Name of the member of staff; empty if unknown.")
    version: int = Field(description="Goes up with every edit.")


class Registered(Shape):
    """The patient was registered."""

    success: Literal[True] = True
    message: str = Field(examples=["Patient registered successfully with portal account"])
    patient: Patient
    portal_created: bool
    portal_credentials: Credentials = Field(None, description="Only when a portal account was created.")  # type: ignore[assignment]


class Listing(Shape, Generic[Item]):
    """One page of a list."""

    count: int = Field(description="Total number on all pages.")
    next: str | None = Field(description="Address of the next page.")
    previous: str | None = Field(description="Address of the previous page.")
    results: list[Item]


class Search(Shape):
    """Part of a name, phone, patient ID, national ID or email."""

    q: str = Field(max_length=200, examples=["wanj"])
    page: int | None = Field(None, ge=1, le=10_000_000)
    page_size: int | None = Field(None, ge=1, le=100)


class Verified(Shape):
    """The patient is verified."""

    success: Literal[True] = True
    message: str
    patient: Patient


# --- portal ---------------------------------------------------------------------------------------


class PortalRequest(Shape):
    """The portal account to create."""

    email: str = Field(description="Becomes the username.", examples=["patient@example.com"])
    phone: str | None = Field(None, description="For SMS.", examples=["0712345678"])


class PortalPatient(Shape):
    """The patient an account belongs to."""

    id: int = Field(examples=[123])
    patient_id: str = Field(examples=["LMC000123"])
    name: str = Field(examples=["John Doe"])
    portal_enabled: bool


class PortalCreated(Shape):
    """Access was given, or a new temporary password was issued."""

    success: Literal[True] = True
    message: str = Field(examples=["Portal account created successfully"])
    credentials: Credentials
    patient: PortalPatient


class PortalSwitched(Shape):
    """Access was turned off or on."""

    success: Literal[True] = True
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

    success: Literal[True] = True
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

    success: Literal[False] = False
    error: str = Field(examples=["Validation failed"])
    detail: str = Field(examples=["Email is required when creating a patient portal account."])
    errors: dict[str, str] = Field({}, description="Field → message, for errors in particular fields.")
    existing_username: str = Field("", description="Only if the patient already has an account.")


class Detail(Shape):
    """What went wrong, in a sentence."""

    detail: str
