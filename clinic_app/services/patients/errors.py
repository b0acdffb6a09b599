"""What can go wrong with patients. Clients of the API rely on these words."""

from __future__ import annotations

from clinic_app.core.errors import AlreadyExists, Conflict, NotFound


class PatientNotFound(NotFound):
    """No such patient, or not one the caller may know of."""

    code = "patient_not_found"
    title = "Patient not found"
    detail = "No patient has this number."


class PortalEmailTaken(AlreadyExists):
    """The portal email belongs to an account already."""

    code = "portal_email_taken"
    title = "A portal account with this email already exists."
    detail = "Please use a different email address for the patient portal."
    field = "portal_email"


class NationalIdTaken(AlreadyExists):
    """Another patient has this national ID."""

    code = "national_id_taken"
    title = "A patient with this national ID already exists."
    detail = "Please verify the national ID or search for existing patient."
    field = "national_id"


class PatientDetailsTaken(AlreadyExists):
    """Another value that must be unique is already taken."""

    code = "patient_details_taken"
    title = "A patient with these details already exists."
    detail = "This patient ID has already been assigned."


class ExternalIdTaken(AlreadyExists):
    """Another patient has this external ID."""

    code = "external_id_taken"
    title = "A patient with these details already exists."
    detail = "Another patient has this external ID."
    field = "external_id"


class ConstraintViolated(AlreadyExists):
    """The database refused for a reason no rule of ours foresaw."""

    code = "constraint_violated"
    title = "Database constraint violation."
    detail = "The details break a rule of the register. Nothing was saved."


class StaleRecord(Conflict):
    """Somebody else changed the record since the editor read it. Nothing was saved."""

    code = "stale_record"
    title = "Changed meanwhile"
    detail = "Somebody else changed this record while you were editing. Nothing you typed is lost."


class NobodyWaits(NotFound):
    """No such registration waits for the desk, or none any more."""

    code = "nobody_waits"
    title = "Registration not found"
    detail = "This registration is not there any more. Nothing was changed."


class RegistrationOver(NotFound):
    """The code is right, and its registration is forgotten."""

    code = "registration_over"
    title = "This link has expired"
    detail = "Nobody confirmed the registration within a day, so it was forgotten. Please register again."


class AlreadyDecided(Conflict):
    """Another desk has decided about the registration; ``detail`` says who, and what."""

    code = "already_decided"
    title = "Already decided"


class RecordNotInUse(Conflict):
    """The record that a registration should be linked to has been turned off or merged."""

    code = "record_not_in_use"
    title = "Record not in use"
    detail = "This record is not in use any more. Nothing was changed."


class LinkNotUndone(Conflict):
    """There is no link to undo, or not any more."""

    code = "link_not_undone"
    title = "The link cannot be undone"
    detail = "The link cannot be undone any more: it was undone before, or is older than a day. Nothing was changed."
