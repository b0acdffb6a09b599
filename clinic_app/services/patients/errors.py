"""What can go wrong with patients. Clients of the API rely on these words."""

from __future__ import annotations

from typing import Any

from clinic_app.core.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from clinic_app.services.patients.views import Match


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


class SomebodyAlike(Conflict):
    """A patient who is likely the same person has come to the register since the page was drawn."""

    code = "somebody_alike"
    title = "Somebody like this is registered now"
    detail = "Somebody like this was registered meanwhile. Look at the likely matches again. Nothing was changed."


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


class PossibleDuplicate(Conflict):
    """A patient who is there already is likely the person to be registered. ``matches`` are best first."""

    code = "possible_duplicate"
    title = "A patient with these details already exists."

    def __init__(self, matches: tuple[Match, ...]) -> None:
        self.matches = matches
        best = matches[0]
        super().__init__(f"{best.patient.patient_id} is {best.likelihood} the same person: {best.why}.")

    def extra(self) -> dict[str, Any]:
        return {"candidates": [match.as_candidate() for match in self.matches]}


class PatientMerged(Conflict):
    """The record was merged into another one, which stands for it now. ``into`` is that one's patient ID."""

    code = "patient_merged"
    title = "Merged into another record"

    def __init__(self, patient_id: str, into: str) -> None:
        self.into = into
        super().__init__(f"{patient_id} was merged into {into}. Open that record instead.")

    def extra(self) -> dict[str, Any]:
        return {"merged_into": self.into}


class SameRecord(InvalidInput):
    """A record was to be merged with, or told apart from, itself."""

    code = "same_record"

    def __init__(self, field: str) -> None:
        super().__init__({field: "This is the same record. Name the other one."})


class PairChanged(Conflict):
    """One of two records is not any more what somebody decided about."""

    code = "pair_changed"
    title = "Changed meanwhile"
    detail = "One of these records has changed meanwhile. Nothing was merged. Look at both again."


class RecordInactive(Conflict):
    """A record that is not in use can neither be merged nor be merged into."""

    code = "record_inactive"
    title = "Record not in use"
    detail = "One of these records is inactive. Only records in use can be merged."


class NotMerged(Conflict):
    """There is no merge of this record that could be undone."""

    code = "not_merged"
    title = "Nothing to undo"
    detail = "This record is not merged with another one. Nothing was changed."


class LaterMergeFirst(Conflict):
    """Another merge rests on this one."""

    code = "later_merge_first"
    title = "Undo the later merge first"

    def __init__(self, later: str) -> None:
        super().__init__(f"{later} was merged later. Undo that merge first. Nothing was changed.")


class MergeUnreadable(Conflict):
    """What undoing the merge needs was encrypted with a key that is not the clinic's any more."""

    code = "merge_unreadable"
    title = "This merge cannot be undone"
    detail = "What both records were before cannot be read any more. Nothing was changed."


class NotAPair(Conflict):
    """Nobody has said of these two records that they are two people, or one of them has changed since."""

    code = "not_a_pair"
    title = "Nothing to undo"
    detail = "These records are not set aside as two people. Nothing was changed."
