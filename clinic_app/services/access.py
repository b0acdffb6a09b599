"""Who may do what: actors, permissions, and which role holds which, in one place."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from clinic_app.models.accounts import Role


class Permission(StrEnum):
    """Something a use case may ask for."""

    PATIENT_SEE = "patient:see"
    PATIENT_REGISTER = "patient:register"
    PATIENT_EDIT = "patient:edit"
    PATIENT_VERIFY = "patient:verify"
    DUPLICATES = "patient:duplicates"
    PATIENT_DEACTIVATE = "patient:deactivate"
    PATIENT_IMPORT = "patient:import"
    PATIENT_EXPORT = "patient:export"
    PORTAL_MANAGE = "portal:manage"
    PORTAL_BULK = "portal:bulk"
    WORK_LISTS = "work-lists"
    STAFF_MANAGE = "staff:manage"
    AUDIT_SEE = "audit:see"
    OWN_RECORD = "own:record"
    OWN_PASSWORD = "own:password"  # noqa: S105  a permission
    OWN_SESSION = "own:session"
    OWN_SECOND_FACTOR = "own:second-factor"
    OWN_PASSKEYS = "own:passkeys"


_OWN = frozenset({Permission.OWN_PASSWORD, Permission.OWN_SESSION})
_CLINICIAN = _OWN | {Permission.PATIENT_SEE, Permission.OWN_SECOND_FACTOR, Permission.OWN_PASSKEYS}
_RECEPTIONIST = _CLINICIAN | {
    Permission.PATIENT_REGISTER,
    Permission.PATIENT_EDIT,
    Permission.PATIENT_VERIFY,
    Permission.DUPLICATES,
    Permission.PORTAL_MANAGE,
    Permission.WORK_LISTS,
}
_ADMIN = _RECEPTIONIST | {
    Permission.PATIENT_DEACTIVATE,
    Permission.PATIENT_IMPORT,
    Permission.PATIENT_EXPORT,
    Permission.PORTAL_BULK,
    Permission.STAFF_MANAGE,
    Permission.AUDIT_SEE,
}
PERMISSIONS: dict[str, frozenset[Permission]] = {
    Role.ADMIN: _ADMIN,
    Role.RECEPTIONIST: _RECEPTIONIST,
    Role.CLINICIAN: _CLINICIAN,
    Role.PATIENT: _OWN | {Permission.OWN_RECORD, Permission.OWN_PASSKEYS},
}

#: What a refusal says. Clients of the API compare the portal sentence word for word.
REFUSALS: dict[Permission, str] = {
    Permission.PORTAL_MANAGE: "Only receptionists and administrators can create portal accounts.",
    Permission.PATIENT_REGISTER: "Only receptionists and administrators can register patients.",
    Permission.PATIENT_EDIT: "Only receptionists and administrators can edit patients.",
    Permission.PATIENT_VERIFY: "Only receptionists and administrators can verify patients.",
    Permission.DUPLICATES: "Only receptionists and administrators can see and merge possible duplicates.",
    Permission.PATIENT_SEE: "Only staff can see patients.",
    Permission.PATIENT_DEACTIVATE: "Only administrators can deactivate patients.",
    Permission.PATIENT_IMPORT: "Only administrators can import patients.",
    Permission.PATIENT_EXPORT: "Only administrators can export patients.",
    Permission.PORTAL_BULK: "Only administrators can create portal accounts in bulk.",
    Permission.WORK_LISTS: "Only receptionists and administrators can see work lists.",
    Permission.STAFF_MANAGE: "Only administrators can manage staff accounts.",
    Permission.AUDIT_SEE: "Only administrators can read the audit trail.",
    Permission.OWN_RECORD: "Only patients have a record of their own here.",
    Permission.OWN_SECOND_FACTOR: "Two-factor sign-in is for staff.",
}
CHOOSE_PASSWORD_FIRST = "Choose a password of your own first."  # noqa: S105  a sentence
SET_UP_FIRST = "Set up two-factor sign-in first: your clinic requires it."


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is acting: ``kind`` is ``account``, ``anonymous`` or ``system`` (the command line)."""

    kind: str
    account_id: int | None = None
    role: str = "UNKNOWN"
    name: str = ""
    username: str = ""
    patient_id: int | None = None
    session_id: int | None = None
    must_choose_password: bool = False
    must_set_up_second_factor: bool = False
    proved_at: dt.datetime | None = None  # when the person behind this session last proved who they are

    @property
    def is_staff(self) -> bool:
        """Whether this is a staff account."""
        return self.kind == "account" and self.role != Role.PATIENT

    @property
    def held_back(self) -> str:
        """What has to be done before anything else, as a sentence; empty where nothing has."""
        if self.must_choose_password:
            return CHOOSE_PASSWORD_FIRST
        return SET_UP_FIRST if self.must_set_up_second_factor else ""

    def can(self, permission: Permission) -> bool:
        """Whether the actor holds ``permission`` now.

        With a temporary password one can only choose a new one; after that comes setting up the second factor,
        if the clinic requires one.
        """
        if self.kind == "system":
            return True
        if self.kind != "account":
            return False
        if self.must_choose_password and permission not in _OWN:
            return False
        if self.must_set_up_second_factor and permission not in _OWN | {Permission.OWN_SECOND_FACTOR}:
            return False
        return permission in PERMISSIONS.get(self.role, frozenset())


ANONYMOUS = Actor("anonymous")
SYSTEM = Actor("system")
