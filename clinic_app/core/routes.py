"""Addresses of pages and of the routes their forms post to. Links are built here, nowhere else."""

from __future__ import annotations

STAFF_SIGN_IN = "/login"
RECEPTION = "/"
PATIENTS = "/patients"
REGISTRATION = "/patients/new"
PROFILE = "/patients/[patient_id]"
PORTAL = "/patient-portal"
PORTAL_SIGN_IN = "/patient-portal/login"
PORTAL_PASSWORD = "/patient-portal/change-password"  # noqa: S105  an address
AUDIT_TRAIL = "/admin/audit"

SIGN_IN_STAFF = "/auth/login"
SIGN_IN_PATIENT = "/auth/portal-login"
SIGN_OUT = "/auth/logout"
CHOOSE_PASSWORD = "/auth/password"  # noqa: S105  an address
PASSWORD_STRENGTH = "/auth/password-strength"  # noqa: S105  an address
SESSION_ALIVE = "/auth/session"
SESSION_TOUCH = "/auth/touch"
AUDIT_EXPORT = "/auth/audit-export"


def profile(patient_id: str) -> str:
    """The page of the patient with this patient ID."""
    return f"/patients/{patient_id}"
