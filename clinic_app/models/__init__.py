"""Tables only: columns, constraints, indexes. Importing this package makes Alembic see them all."""

from clinic_app.models import base  # noqa: F401  naming convention first
from clinic_app.models.accounts import (
    Account,
    Draft,
    FlashNote,
    FormerUsername,
    KnownDevice,
    LoginSession,
    Passkey,
    PasskeyChallenge,
    PendingSignIn,
    RecoveryCode,
    RefreshToken,
    Role,
    SignInLimit,
)
from clinic_app.models.api import IdempotencyKey
from clinic_app.models.audit import AuditEvent, AuditHead, RefusalCount
from clinic_app.models.clinic_keys import ClinicKey
from clinic_app.models.duplicates import DuplicatePair, PatientMerge, WaitingComparison
from clinic_app.models.imports import ImportRow, PatientImport
from clinic_app.models.intents import Intent
from clinic_app.models.match_keys import MatchKey
from clinic_app.models.name_parts import NamePart, NamePartChange
from clinic_app.models.notifications import LinkPurpose, MessageState, OneTimeLink, OutboxMessage
from clinic_app.models.patient_counts import PatientCount, PatientCountChange
from clinic_app.models.patients import Counter, Gender, Patient, VerificationStatus
from clinic_app.models.portal_runs import PortalRun, PortalRunItem
from clinic_app.models.registrations import RegistrationState, SelfRegistration, UsedChallenge

__all__ = [
    "Account",
    "AuditEvent",
    "AuditHead",
    "ClinicKey",
    "Counter",
    "Draft",
    "DuplicatePair",
    "FlashNote",
    "FormerUsername",
    "Gender",
    "IdempotencyKey",
    "ImportRow",
    "Intent",
    "KnownDevice",
    "LinkPurpose",
    "LoginSession",
    "MatchKey",
    "MessageState",
    "NamePart",
    "NamePartChange",
    "OneTimeLink",
    "OutboxMessage",
    "Passkey",
    "PasskeyChallenge",
    "Patient",
    "PatientCount",
    "PatientCountChange",
    "PatientImport",
    "PatientMerge",
    "PendingSignIn",
    "PortalRun",
    "PortalRunItem",
    "RecoveryCode",
    "RefreshToken",
    "RefusalCount",
    "RegistrationState",
    "Role",
    "SelfRegistration",
    "SignInLimit",
    "UsedChallenge",
    "VerificationStatus",
    "WaitingComparison",
]
