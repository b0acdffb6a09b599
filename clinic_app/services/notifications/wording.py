"""How the outbox is written for the desk."""

from __future__ import annotations

from clinic_app.services.notifications.outbox import ACCESS_OFF

#: Reason → why a message was not sent, after the address it was for.
REASONS = {
    "ADDRESS_REFUSED": "the mail server says that there is no such address",
    "MESSAGE_REFUSED": "the mail server refused the message",
    "SENDER_REFUSED": "the mail server takes no messages from the clinic's address",
    "SIGN_IN_REFUSED": "the mail server did not accept the clinic's sign-in",
    "NO_CONNECTION": "the mail server does not answer",
    "LATER": "the mail server asked to try again later",
    "GATEWAY": "the SMS gateway did not take it",
    "NOT_ALLOWED": "the patient allows no messages there",
    "EXPIRED": "it could not be sent in time",
    "LINK_OVER": "its link was used or replaced before it was sent",
    ACCESS_OFF: "portal access was turned off before it was sent",
    "CHANNEL_OFF": "the clinic sends none this way any more",
}
#: Kind → what it is called in a list.
KINDS = {
    "INVITATION": "Invitation",
    "REMINDER": "Reminder",
    "PASSWORD_RESET": "New temporary password",
    "USERNAME_CHANGED": "Notice of another username",
    "FORGOT_PASSWORD": "Link for a forgotten password",
    "PASSWORD_CHANGED": "Notice of a changed password",
    "CONFIRM_EMAIL": "Link to confirm an email",
    "CONFIRM_REGISTRATION": "Link to confirm a registration",
    "EMAIL_CHANGED": "Notice of another email",
    "WRONG_PASSWORDS": "Warning of wrong passwords",
    "PASSKEY_ADDED": "Notice of a new passkey",
    "PASSKEY_REMOVED": "Notice of a removed passkey",
}
STATES = {"QUEUED": "Queued", "SENT": "Sent", "FAILED": "Failed", "HELD": "Not sent", "DROPPED": "Not needed"}


def state_words(state: str, reason: str) -> str:
    """How far a message has come, in a word or two."""
    return "Not sent" if reason == ACCESS_OFF else STATES.get(state, "")
