"""How what is kept of portal access is written for the desk."""

from __future__ import annotations

from collections.abc import Iterable

from clinic_app.services.accounts.merged_accounts import MERGED
from clinic_app.services.notifications.kinds import Channel
from clinic_app.services.notifications.views import Reach

#: Why access is turned off → how that is said.
TURN_OFF_REASONS = {
    "ASKED": "The patient asked for it",
    "LEFT": "No longer a patient here",
    "MISUSED": "Somebody else may be using it",
    "DIED": "The patient has died",
    "OTHER": "Another reason",
}
#: How a temporary password was handed over → how that is said.
HAND_OVERS = {"in person": "In person", "phone": "By phone", "post": "By post"}
#: Why somebody got no account in a run, by the code of the error → how that is said.
NOT_CREATED = {
    "portal_account_exists": "Got a login meanwhile",
    "portal_email_required": "No email any more",
    "email_in_use": "A portal account with this email already exists.",
    "patient_not_found": "The record is not there any more",
    "invalid_input": "The email or phone on the record is not a valid one",
}
_BY = {Channel.EMAIL: "email", Channel.SMS: "phone"}
NOT_SET_UP = "No messages are sent from here. Hand the credentials over in person."
NO_ADDRESS = "There is no address that a message could go to. Hand the credentials over in person."


def turn_off_words(kept: str) -> str:
    """A reason as it is kept, for people: of ``OTHER: Moved to Nairobi`` the words alone."""
    code, _, more = kept.partition(": ")
    if code == MERGED:
        return "Merged with another account of the same person"
    words = TURN_OFF_REASONS.get(code, "")
    if code == "OTHER" and more:
        return more
    return f"{words}: {more}" if words and more else words


def not_created_words(code: str) -> str:
    """Why somebody got no account in a run."""
    return NOT_CREATED.get(code, "Something went wrong. Create it from the profile.")


def kept_back(channels: Iterable[str]) -> str:
    """``Email may not be used for messages``, ``Email and phone may not be used for messages``."""
    words = " and ".join(_BY[Channel(channel)] for channel in dict.fromkeys(channels))
    return f"{words[:1].upper()}{words[1:]} may not be used for messages"


def why_nothing_goes(reach: tuple[Reach, ...], *, configured: bool) -> str:
    """Why no invitation can be sent, in a sentence; empty where one can."""
    if any(one.allowed for one in reach):
        return ""
    if reach:
        return f"{kept_back(one.channel for one in reach)}."
    return NO_ADDRESS if configured else NOT_SET_UP
