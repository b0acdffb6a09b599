"""A patient's own record in words that the patient understands."""

from __future__ import annotations

from collections.abc import Iterable

from clinic_app.services.notifications.wording import KINDS
from clinic_app.services.patients import wording
from clinic_app.services.patients.facts import facts
from clinic_app.services.patients.forms import LABELS, PATIENT_FIELDS, SECTIONS
from clinic_app.services.portal.views import OwnMessage, OwnRecord, Viewing

_ROLES = {"ADMIN": "administration", "RECEPTIONIST": "reception", "CLINICIAN": "clinician"}
_OPENED = "opened your record"
_DID = {
    "PATIENT_CREATED": "registered you",
    "PATIENT_VERIFIED": "confirmed your registration",
    "PATIENT_MERGED": "joined another record of yours with this one",
    "PATIENT_MERGE_UNDONE": "took records apart that had been joined",
    "NOT_A_DUPLICATE": "compared your record with another one",
    "NOT_A_DUPLICATE_UNDONE": "compared your record with another one",
    "PORTAL_ACCOUNT_CREATED": "gave you this sign-in",
    "PORTAL_PASSWORD_RESET": "gave you a new temporary password",
    "PORTAL_USERNAME_CHANGED": "changed the email you sign in with",
    "PORTAL_TURNED_OFF": "turned off your sign-in",
    "PORTAL_TURNED_ON": "turned on your sign-in",
    "PORTAL_UNLOCKED": "unlocked your sign-in",
    "PORTAL_INVITED": "sent you another invitation",
    "PORTAL_HANDED_OVER": "handed over your sign-in",
    "PORTAL_ADDRESS_CORRECTED": "corrected the address that messages go to",
    "CREDENTIALS_PRINTED": "printed your sign-in",
    "OWN_RECORD_DOWNLOADED": "downloaded your record",
}
#: A look that is not at the whole record.
_SAW = {
    "card": "opened your patient card",
    "registration": "used your record to register a relative",
    "dialog": "looked at your sign-in",
    "compared side by side": "compared your record with another one",
}
#: Fields whose label, in a sentence, would not say what was changed.
_CALLED = {
    "first_name": "name",
    "last_name": "name",
    "single_name": "name",
    "national_id": "national ID",
    "external_id": "number in another system",
    "phone": "phone number",
    "email_allowed": "choice of messages",
    "sms_allowed": "choice of messages",
}


def field_words(names: Iterable[str]) -> str:
    """``phone number, address and next of kin``, for the names of fields, in the order of the list of fields."""
    known = [name for name in PATIENT_FIELDS if name in set(names)]
    words = list(dict.fromkeys(_CALLED.get(name) or LABELS[name][0].lower() + LABELS[name][1:] for name in known))
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words) or "details"


def looker(look: Viewing) -> str:
    """Who it was: ``Grace Wanjiru, reception,``; ``You``; ``The clinic`` where it was no person."""
    if look.own:
        return "You"
    role = _ROLES.get(look.role, "")
    return f"{look.who}, {role}," if look.who and role else look.who or "The clinic"


def initials(look: Viewing) -> str:
    """Two letters for the avatar; none where it was no person."""
    words = look.who.split()
    return wording.initials(words[0], words[-1] if len(words) > 1 else "") if words else ""


def look_words(look: Viewing) -> str:
    """What they did: ``opened your record``, ``changed your phone number``."""
    if look.action == "PATIENT_UPDATED":
        return f"changed your {field_words(look.fields)}"
    if look.action == "PATIENT_CREATED" and look.with_sign_in:
        return "registered you and gave you this sign-in"
    return _DID.get(look.action) or _SAW.get(look.page, _OPENED)


_CHANNELS = {"email": "email", "sms": "SMS"}


def message_words(one: OwnMessage) -> str:
    """``Notice of a changed password, by email to amina@example.org``."""
    kind = KINDS.get(one.kind, "Message")
    return f"{kind}, by {_CHANNELS.get(one.channel, one.channel)} to {one.address}"


def own_details(own: OwnRecord) -> list[tuple[str, str]]:
    """*Your details*: label and words, the names as one."""
    named = {"first_name", "last_name", "single_name"}
    names = [name for name in SECTIONS["details"] if PATIENT_FIELDS[name].own and name not in named]
    rest = facts(own, names)
    if own.date_of_birth is not None and own.date_of_birth.estimated:
        label = LABELS["date_of_birth"]
        rest = [(label, wording.birth_and_age(own.date_of_birth)) if one[0] == label else one for one in rest]
    return [("Name", own.name), ("Patient ID", own.patient_id), *rest]
