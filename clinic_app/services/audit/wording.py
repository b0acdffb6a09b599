"""How events are written for people."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from clinic_app.core import clock
from clinic_app.core.calendar_words import SHORT_MONTHS
from clinic_app.services.audit.actions import Action

#: Where the action's own words, set in sentence case, would read badly.
_BETTER = {
    "PATIENT_CREATED": "Patient registered",
    "PATIENT_CREATE_FAILED": "Registration failed",
    "PATIENT_UPDATE_FAILED": "Patient record not changed",
    "PATIENT_VIEWED": "Patient record opened",
    "PATIENT_SEARCHED": "Patients searched",
    "PATIENT_LISTED": "List of patients shown",
    "SELF_REGISTERED": "Self-registration received",
    "REGISTRATION_CONFIRMED": "Email of a self-registration confirmed",
    "REGISTRATION_LINKED": "Self-registration linked to a patient",
    "REGISTRATION_LINK_UNDONE": "Link of a self-registration undone",
    "REGISTRATION_REJECTED": "Self-registration rejected",
    "PORTAL_ACCOUNT_CREATE_FAILED": "Portal account not created",
    "PORTAL_PASSWORD_RESET": "Temporary password reset",
    "PORTAL_USERNAME_CHANGE_FAILED": "Portal username not changed",
    "PORTAL_TURNED_OFF": "Portal access turned off",
    "PORTAL_TURNED_ON": "Portal access turned on",
    "PORTAL_CHANGE_FAILED": "Portal access not changed",
    "PORTAL_UNLOCKED": "Portal account unlocked",
    "PORTAL_INVITED": "Invitation sent again",
    "PORTAL_HANDED_OVER": "Credentials handed over",
    "PORTAL_ADDRESS_CORRECTED": "Address for messages corrected",
    "CREDENTIALS_PRINTED": "Credential slip printed",
    "OWN_RECORD_VIEWED": "Own record opened",
    "OWN_EMAIL_ASKED": "Link to confirm an own email sent",
    "OWN_EMAIL_KEPT": "Own email kept as it was",
    "SIGN_IN_FAILED": "Sign-in failed",
    "SIGN_IN_BLOCKED": "Sign-in blocked",
    "PASSWORD_CHOSEN": "New password chosen",
    "PASSWORD_FORGOTTEN": "Link for a forgotten password asked for",
    "LINK_REFUSED": "Code of a link not accepted",
    "STAFF_CREATED": "Staff account created",
    "STAFF_ROLE_CHANGED": "Staff account role changed",
    "STAFF_DISABLED": "Staff account turned off",
    "STAFF_ENABLED": "Staff account turned on",
    "STAFF_PASSWORD_RESET": "Staff account password reset",
    "TWO_FACTOR_TURNED_ON": "Two-factor sign-in turned on",
    "TWO_FACTOR_TURNED_OFF": "Two-factor sign-in turned off",
    "TWO_FACTOR_RESET": "Two-factor sign-in reset",
    "RECOVERY_CODES_MADE": "Recovery codes created",
    "CONFIRMED": "Identity confirmed",
    "CONFIRM_FAILED": "Identity not confirmed",
    "PATIENT_MERGED": "Patient records merged",
    "PATIENT_MERGE_FAILED": "Patient records not merged",
    "PATIENT_MERGE_UNDONE": "Merge of patient records undone",
    "NOT_A_DUPLICATE": "Said not to be a duplicate",
    "NOT_A_DUPLICATE_UNDONE": "Said to be a possible duplicate again",
    "PORTAL_BULK_RUN": "Portal accounts created in bulk",
    "PORTAL_BULK_REPORT_EXPORTED": "Bulk portal report exported",
    "PATIENT_IMPORT_RUN": "Patients imported from a file",
    "PATIENTS_EXPORTED": "Patients exported",
    "PATIENT_EXPORTED": "Patient record exported",
    "AUDIT_READ": "Audit trail read",
    "AUDIT_EXPORTED": "Audit trail exported",
    "AUDIT_PROVED": "Proof of the audit trail written",
    "KEY_CHANGED": "Key of the clinic changed",
    "BACKUP_MADE": "Backup created",
    "CLINIC_MOVED": "Clinic moved to another database",
    "AUDIT_RESTORED": "Backup restored",
    "TOKEN_REFRESHED": "API token renewed",
    "TOKEN_REUSED": "API token used twice",
}
OUTCOMES = {"success": "Done", "failure": "Failed", "denied": "Refused"}
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")
_LABELS = {
    "actor_id": "Account",
    "since": "From",
    "until": "Before",
    "door": "Signed in as",
    "minute": "In the minute from",
    "patient_id": "Patient ID",
    "portal_username": "Portal username",
    "registered_anyway": "Registered anyway, beside",
    "term": "Search term (digest)",
}


def action_words(action: str) -> str:
    """``Patient record opened``, for a person."""
    return _BETTER.get(action) or action.replace("_", " ").capitalize()


#: Looks in a row that the trail shows as one group: what one, and what several are called.
GROUPED = {
    "PATIENT_VIEWED": ("Opened 1 profile", "Opened {} profiles"),
    "PATIENT_LISTED": ("Listed patients once", "Listed patients {} times"),
    "PATIENT_SEARCHED": ("Searched once", "Searched {} times"),
}


def group_words(action: str, number: int, times: int) -> str:
    """``Opened 14 profiles``; where some were opened more than once, ``Opened 9 profiles, 14 times in all``."""
    one, many = GROUPED[action]
    words = one if number == 1 else many.format(f"{number:,}")
    return words if times == number else f"{words}, {times:,} times in all"


def actions() -> tuple[tuple[str, str], ...]:
    """Every action with its words, in the order of the words."""
    return tuple(sorted(((str(action), action_words(action)) for action in Action), key=lambda pair: pair[1]))


def fact_label(key: str) -> str:
    """The name of one thing in an event's metadata."""
    return _LABELS.get(key) or key.replace("_", " ").capitalize()


def fact_words(value: Any) -> str:
    """What an event's metadata says about it."""
    if value is None:
        return "None"
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, dict):
        return "; ".join(f"{fact_label(str(key))}: {fact_words(one)}" for key, one in value.items()) or "None"
    if isinstance(value, list | tuple):
        return ", ".join(fact_words(one) for one in value) or "None"
    return f"{value:,}" if isinstance(value, int) else _instant_words(str(value))


def _instant_words(text: str) -> str:
    """An instant as the clinic's clock shows it; any other text as it stands."""
    try:
        instant = dt.datetime.fromisoformat(text) if _INSTANT.match(text) else None
        there = clock.local(instant) if instant is not None and instant.tzinfo is not None else None
    except (ValueError, OverflowError):
        return text
    return f"{there.day} {SHORT_MONTHS[there.month - 1]} {there.year}, {there:%H:%M}" if there is not None else text
