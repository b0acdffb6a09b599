"""How events are written for people."""

from __future__ import annotations

from typing import Any

from clinic_app.services.audit.actions import Action

#: Where the action's own words, set in sentence case, would read badly.
_BETTER = {
    "PATIENT_CREATED": "Patient registered",
    "PATIENT_CREATE_FAILED": "Registration failed",
    "PATIENT_VIEWED": "Patient record opened",
    "PATIENT_SEARCHED": "Patients searched",
    "PORTAL_ACCOUNT_CREATE_FAILED": "Portal account not created",
    "PORTAL_PASSWORD_RESET": "Temporary password reset",
    "PORTAL_TURNED_OFF": "Portal access turned off",
    "PORTAL_TURNED_ON": "Portal access turned on",
    "CREDENTIALS_PRINTED": "Credential slip printed",
    "OWN_RECORD_VIEWED": "Own record opened",
    "SIGN_IN_FAILED": "Sign-in failed",
    "SIGN_IN_BLOCKED": "Sign-in blocked",
    "PASSWORD_CHOSEN": "New password chosen",
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
    "PORTAL_BULK_RUN": "Portal accounts created in bulk",
    "AUDIT_READ": "Audit trail read",
    "AUDIT_EXPORTED": "Audit trail exported",
    "AUDIT_RESTORED": "Backup restored",
    "TOKEN_REFRESHED": "API token renewed",
    "TOKEN_REUSED": "API token used twice",
}
OUTCOMES = {"success": "Done", "failure": "Failed", "denied": "Refused"}
_LABELS = {
    "door": "Signed in as",
    "patient_id": "Patient ID",
    "portal_username": "Portal username",
    "term": "Search term (digest)",
}


def action_words(action: str) -> str:
    """``Patient record opened``, for a person."""
    return _BETTER.get(action) or action.replace("_", " ").capitalize()


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
    return f"{value:,}" if isinstance(value, int) else str(value)
