"""Addresses of pages and of the routes their forms post to. Links are built here, nowhere else."""

from __future__ import annotations

import re
from urllib.parse import urlencode

STAFF_SIGN_IN = "/login"
SIGN_IN_CODE = "/login/code"
SIGN_IN_RECOVERY = "/login/recovery-code"
STAFF_PASSWORD = "/choose-password"  # noqa: S105  an address
RECEPTION = "/"
PATIENTS = "/patients"
REGISTRATION = "/patients/new"
PENDING = "/patients/pending"
PORTAL_WORK_LIST = "/patients/portal"
DUPLICATES = "/patients/duplicates"
COMPARE = "/patients/duplicates/[pair]"
PROFILE = "/patients/[patient_id]"
#: A plain page of ours, not Reflex's.
PATIENT_CARD = "/patients/{patient_id}/card"
#: Plain pages for whoever is not known yet, where the clinic has switched them on.
SELF_REGISTRATION = "/register"
SELF_REGISTRATION_DONE = "/register/done"
SELF_REGISTRATION_AGAIN = "/register/again"
CONFIRM_REGISTRATION = "/register/confirm"
PORTAL = "/patient-portal"
PORTAL_SIGN_IN = "/patient-portal/login"
PORTAL_PASSWORD = "/patient-portal/change-password"  # noqa: S105  an address
#: Plain pages of ours beside *My record*, which is Reflex's.
PORTAL_CONTACT = "/patient-portal/contact"
PORTAL_EMAIL = "/patient-portal/contact/email"
PORTAL_VIEWS = "/patient-portal/views"
PORTAL_OLDER_VIEWS = "/patient-portal/views/{before}"
PORTAL_OWN_PASSWORD = "/patient-portal/password"  # noqa: S105  an address
PORTAL_SESSIONS = "/patient-portal/sessions"
PORTAL_SESSION_END = "/patient-portal/sessions/end"
PORTAL_DOWNLOAD = "/patient-portal/download"
#: A one-time link: its code is in the fragment. The short one leads there, so that a text message stays one.
ACTIVATE = "/patient-portal/activate"
SHORT_ACTIVATE = "/a"
FORGOT = "/patient-portal/forgot"
CONFIRM_EMAIL = "/patient-portal/contact/confirm"
AUDIT_TRAIL = "/admin/audit"
STAFF_ACCOUNTS = "/admin/staff"
PORTAL_BULK = "/admin/portal"
IMPORT = "/admin/import"
ACCOUNT = "/account"
CONFIRM = "/account/confirm"

#: For Prometheus, where the clinic has switched it on.
METRICS = "/metrics"

SIGN_OUT = "/auth/logout"
PASSWORD_STRENGTH = "/auth/password-strength"  # noqa: S105  an address
LINK_STRENGTH = "/auth/link-password-strength"
SESSION_ALIVE = "/auth/session"
SESSION_TOUCH = "/auth/touch"
AUDIT_EXPORT = "/auth/audit-export"
PORTAL_SLIPS = "/auth/portal-slips"
PORTAL_REPORT = "/auth/portal-report"
#: A file is announced, and comes in parts; ``number`` is its import's, ``at`` the byte a part begins at.
IMPORT_FILE = "/auth/import"
IMPORT_PART = "/auth/import/{number}/{at}"
IMPORT_REPORT = "/auth/import-report"
IMPORT_EXAMPLE = "/auth/import-example"
PATIENTS_EXPORT = "/auth/patients-export"
PATIENT_EXPORT = "/auth/patient-export"
REAUTHENTICATE = "/auth/reauthenticate"
CHANGE_PASSWORD = "/auth/change-password"  # noqa: S105  an address
SIGN_OUT_EVERYWHERE = "/auth/everywhere"
PASSPHRASE = "/auth/passphrase"  # noqa: S105  an address
DRAFT = "/auth/draft/{form}"
#: Plain pages of ours, not Reflex's: secrets on them are in no page state.
TWO_FACTOR = "/auth/two-factor"
TWO_FACTOR_BEGIN = "/auth/two-factor/begin"
TWO_FACTOR_ON = "/auth/two-factor/on"
TWO_FACTOR_OFF = "/auth/two-factor/off"
TWO_FACTOR_CODES = "/auth/two-factor/codes"

#: The same for patients and staff. ``passkey`` is the id of one's own.
PORTAL_PASSKEYS = "/patient-portal/passkeys"
PORTAL_PASSKEY_ADD = "/patient-portal/passkeys/add"
PORTAL_PASSKEY_REMOVE = "/patient-portal/passkeys/{passkey}/remove"
PASSKEYS = "/auth/passkeys"
PASSKEY_ADD = "/auth/passkeys/add"
PASSKEY_REMOVE = "/auth/passkeys/{passkey}/remove"
#: What a browser is to ask its authenticators: for signing in, for a new passkey.
PASSKEY_CHALLENGE = "/auth/passkey"
PASSKEY_NEW = "/auth/passkey/new"
#: And for *Confirm it is you*.
PASSKEY_CONFIRM = "/auth/passkey/confirm"

#: Pages one comes back to after signing in again, or after confirming that it is still oneself.
_PORTAL_PAGES = frozenset(
    {
        PORTAL,
        PORTAL_CONTACT,
        PORTAL_VIEWS,
        PORTAL_OWN_PASSWORD,
        PORTAL_PASSKEYS,
        PORTAL_PASSKEY_ADD,
        PORTAL_SESSIONS,
        PORTAL_DOWNLOAD,
    }
)
_STAFF_PAGES = frozenset(
    {
        RECEPTION,
        PATIENTS,
        REGISTRATION,
        PORTAL_WORK_LIST,
        PENDING,
        DUPLICATES,
        ACCOUNT,
        STAFF_ACCOUNTS,
        AUDIT_TRAIL,
        PORTAL_BULK,
        PASSKEYS,
        PASSKEY_ADD,
        IMPORT,
    }
)
_PROFILE = re.compile(r"/patients/[A-Z]{1,8}[0-9]{6,12}")
_COMPARE = re.compile(r"/patients/duplicates/[A-Z]{1,8}[0-9]{6,12}-[A-Z]{1,8}[0-9]{6,12}")
_CARD = re.compile(_PROFILE.pattern + "/card")
_PASSKEY_REMOVED = re.compile(PASSKEYS + "/[0-9]{1,18}/remove")
_PORTAL_PASSKEY_REMOVED = re.compile(PORTAL_PASSKEYS + "/[0-9]{1,18}/remove")


def on_portal(path: str) -> bool:
    """Whether ``path`` is on the patients' side."""
    return path == PORTAL or path.startswith(PORTAL + "/")


def for_patients(path: str) -> bool:
    """Whether whoever reads ``path`` is a patient, or about to become one."""
    return on_portal(path) or path == SELF_REGISTRATION or path.startswith(SELF_REGISTRATION + "/")


def profile(patient_id: str) -> str:
    """The page of the patient with this patient ID."""
    return f"/patients/{patient_id}"


def compare(one: str, other: str) -> str:
    """Where the records with these patient IDs are side by side."""
    return f"/patients/duplicates/{one}-{other}"


def patient_card(patient_id: str) -> str:
    """The page their card is printed from."""
    return f"/patients/{patient_id}/card"


def older_views(before: int) -> str:
    """Who viewed a patient's own record before the event of this number."""
    return PORTAL_OLDER_VIEWS.format(before=before)


def patient_of(path: str) -> str:
    """The patient ID of whoever's page ``path`` is; empty where it is no patient's."""
    return path.rpartition("/")[2] if _PROFILE.fullmatch(path) else ""


def staff_page(path: str) -> str:
    """``path`` if it is a page of the desk that one may be sent back to, else an empty string."""
    shapes = _PROFILE, _CARD, _COMPARE, _PASSKEY_REMOVED
    return path if path in _STAFF_PAGES or any(shape.fullmatch(path) for shape in shapes) else ""


def portal_page(path: str) -> str:
    """``path`` if it is a page of the portal that one may be sent back to, else an empty string."""
    return path if path in _PORTAL_PAGES or _PORTAL_PASSKEY_REMOVED.fullmatch(path) else ""


def after_confirming(path: str) -> str:
    """Where *Confirm it is you* leads: ``path`` if it is one of ours, else the account page, or a patient's record."""
    if on_portal(path):
        return portal_page(path) or PORTAL
    return path if path in {TWO_FACTOR, TWO_FACTOR_CODES} else staff_page(path) or ACCOUNT


def confirm(path: str) -> str:
    """The page that asks for the password again, on the way to ``path``."""
    return f"{CONFIRM}?{urlencode({'next': after_confirming(path)})}"
