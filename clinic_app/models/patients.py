"""Patients, and the counter their patient IDs come from."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

from sqlalchemy import Index, String, Text, text
from sqlmodel import Field

from clinic_app.models.base import TableModel, UtcDateTime, table_of

#: Sorted the same on both databases, whatever the server's locale.
BYTEWISE = String(210).with_variant(String(210, collation="C"), "postgresql")


class Gender(StrEnum):
    """As the patient says it (HL7 administrative gender)."""

    MALE = "MALE"
    FEMALE = "FEMALE"
    OTHER = "OTHER"
    UNKNOWN = "UNKNOWN"


class BirthPrecision(StrEnum):
    """How much of a birth date is known."""

    DAY = "DAY"
    MONTH = "MONTH"
    YEAR = "YEAR"
    ESTIMATED = "ESTIMATED"


class VerificationStatus(StrEnum):
    """Whether the desk has seen the person."""

    VERIFIED = "VERIFIED"
    PENDING = "PENDING"


class Patient(TableModel, table=True):
    """A person registered at the clinic. Written by services only; never leaves them."""

    __tablename__ = "patients"
    __table_args__ = (
        # each order a list can have, in an index that holds all that turning pages reads
        Index("ix_patients_listed_name", "is_active", "name_key", "id"),
        Index("ix_patients_listed_id", "is_active", "id"),
        Index("ix_patients_listed_born", "is_active", "date_of_birth", "id"),
        Index("ix_patients_listed_created", "is_active", "created_at", "id"),
        Index("ix_patients_date_of_birth_id", "date_of_birth", "id"),
        Index(
            "ix_patients_born_less_known",
            "date_of_birth",
            "date_of_birth_precision",
            "id",
            sqlite_where=text("date_of_birth_precision <> 'DAY'"),
            postgresql_where=text("date_of_birth_precision <> 'DAY'"),
        ),
        Index("ix_patients_created_at", "created_at"),
        Index("ix_patients_verification_status", "verification_status", "created_at"),
        Index("ix_patients_phone", "phone"),
        Index("uq_patients_external_id", "external_id", unique=True),
        # counting the few that are left out is quicker than counting all that are not
        Index(
            "ix_patients_merged_into_id",
            "merged_into_id",
            sqlite_where=text("merged_into_id IS NOT NULL"),
            postgresql_where=text("merged_into_id IS NOT NULL"),
        ),
        Index("ix_patients_inactive", "id", sqlite_where=text("is_active = 0"), postgresql_where=text("NOT is_active")),
    )

    id: int | None = Field(default=None, primary_key=True)
    patient_id: str = Field(max_length=20, unique=True)
    first_name: str = Field(max_length=100)
    last_name: str = Field(max_length=100)  # empty where there is one name only
    single_name: bool = False
    date_of_birth: dt.date | None = None  # the first day of what is known
    date_of_birth_precision: str = Field(default=BirthPrecision.DAY, max_length=10)
    gender: str = Field(default=Gender.UNKNOWN, max_length=10)
    phone: str | None = Field(default=None, max_length=20)  # E.164
    email: str | None = Field(default=None, max_length=254)
    national_id: str | None = Field(default=None, max_length=50)  # as it was typed
    national_id_key: str | None = Field(default=None, max_length=50, unique=True)  # as it is compared
    external_id: str | None = Field(default=None, max_length=100)
    address: str | None = Field(default=None, max_length=500)
    next_of_kin_name: str | None = Field(default=None, max_length=200)
    next_of_kin_phone: str | None = Field(default=None, max_length=20)  # E.164
    preferred_language: str | None = Field(default=None, max_length=35)  # BCP 47
    email_allowed: bool = True  # whether messages may go to email and portal email
    sms_allowed: bool = True  # whether messages may go to phone and portal phone
    portal_enabled: bool = False
    is_active: bool = True
    verification_status: str = Field(default=VerificationStatus.VERIFIED, max_length=10)
    name_key: str = Field(sa_type=BYTEWISE)  # "first last", folded: what sorting compares
    search_names: str = Field(sa_type=Text)  # the words of the name, folded
    search_keys: str = Field(sa_type=Text)  # everything else a person may be found by, folded
    search_words: str = Field(sa_type=Text)  # of those two, what an index of whole words has
    created_at: dt.datetime = Field(sa_type=UtcDateTime)
    updated_at: dt.datetime = Field(sa_type=UtcDateTime)
    registered_by_id: int | None = None  # an account; no foreign key, since accounts point at patients already
    version: int = 1  # goes up with every edit: an edit of an older version is refused
    merged_into_id: int | None = None  # the record that stays; this one is inactive then, and leads there


class Counter(TableModel, table=True):
    """A number that only grows. ``patient_id`` is the last patient number given out."""

    __tablename__ = "counters"

    name: str = Field(max_length=40, primary_key=True)
    value: int


#: What statements are made of.
PATIENTS = table_of(Patient)
COUNTERS = table_of(Counter)
