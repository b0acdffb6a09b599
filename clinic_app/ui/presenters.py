"""From views to what pages show: the wording of the services, put into the frozen records of ``view_models``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from clinic_app.core import clock, routes
from clinic_app.core.calendar_words import MONTHS, WEEKDAYS
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts.views import FailedTries, OwnSession, StaffMember
from clinic_app.services.audit.reading import RecordedEvent
from clinic_app.services.patients import wording
from clinic_app.services.patients.forms import LABELS, PATIENT_FIELDS, SECTIONS, Kind, PatientDetails
from clinic_app.services.patients.views import Overview, PatientProfile, PatientRecord, PatientSummary, PortalStanding
from clinic_app.services.portal.views import OwnRecord, Viewing
from clinic_app.ui.view_models import (
    Access,
    Choice,
    DayBar,
    Fact,
    Happening,
    PatientRow,
    Person,
    SessionRow,
    StaffRow,
    Who,
)

ROLES = {"ADMIN": "Administrator", "RECEPTIONIST": "Receptionist", "CLINICIAN": "Clinician"}


def who(actor: Actor) -> Who:
    """Whoever is signed in."""
    words = actor.name.split()
    return Who(
        name=actor.name,
        initials=wording.initials(words[0] if words else "", words[-1] if len(words) > 1 else ""),
        role=ROLES.get(actor.role, ""),
        may_register=actor.can(Permission.PATIENT_REGISTER),
        is_admin=actor.can(Permission.STAFF_MANAGE),
    )


def failed_tries(told: FailedTries) -> str:
    """``2 tries to sign in as you failed before this one, the last one today at 07:12.``"""
    when = _mid_sentence(told.last_at)
    tries = "1 try to sign in as you failed" if told.count == 1 else f"{told.count:,} tries to sign in as you failed"
    latest = f", {'' if told.count == 1 else 'the last one '}{when}" if when else ""
    return f"{tries} since you signed in before{latest}."


def day_of(instant: dt.datetime) -> dt.date:
    """The day of an instant, at the clinic."""
    return clock.local(instant).date()


def _mid_sentence(instant: dt.datetime | None) -> str:
    """``today at 07:12``, ``2 Jun 2026 at 11:28``."""
    words = wording.moment_words(instant).replace(", ", " at ")
    return words[0].lower() + words[1:] if words.startswith(("Today", "Yesterday")) else words


_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)


def own_session(one: OwnSession) -> SessionRow:
    """One's own session, as one knows it again."""
    browser = next((name for mark, name in _BROWSERS if mark in one.user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in one.user_agent), "")
    page = f"{browser} on {system}" if browser and system else browser or system or "A browser"
    place = f", from {one.address}" if one.address else ""
    line = f"Signed in {_mid_sentence(one.opened_at)}, last active {_mid_sentence(one.last_seen_at)}{place}"
    return SessionRow(one.id, "A program, through the API" if one.kind == "api" else page, line, one.this_one)


def staff_row(one: StaffMember, own_id: int | None) -> StaffRow:
    """A staff account in the list."""
    words = one.name.split()
    last = f"Last signed in {_mid_sentence(one.last_sign_in_at)}" if one.last_sign_in_at else "Has not signed in yet"
    return StaffRow(
        id=one.id,
        username=one.username,
        name=one.name,
        initials=wording.initials(words[0] if words else "", words[-1] if len(words) > 1 else ""),
        role=one.role,
        role_words=ROLES.get(one.role, ""),
        line=f"{one.username} · {last}",
        active=one.is_active,
        temporary=one.temporary_until is not None,
        expired=one.temporary_until is not None and one.temporary_until <= clock.now(),
        two_factor=one.two_factor,
        locked=one.locked_until is not None,
        own=one.id == own_id,
    )


def _split(name: str, term: str) -> tuple[str, str, str]:
    """A name around the first place where ``term`` stands in it."""
    at = name.casefold().find(term.casefold()) if term else -1
    if at < 0 or len(name.casefold()) != len(name):
        return name, "", ""
    return name[:at], name[at : at + len(term)], name[at + len(term) :]


def patient_row(patient: PatientSummary | PatientProfile, *, line: str = "", term: str = "") -> PatientRow:
    """A patient in a list."""
    before, hit, after = _split(patient.name, term)
    return PatientRow(
        id=patient.id,
        patient_id=patient.patient_id,
        name=patient.name,
        initials=wording.initials(patient.first_name, patient.last_name),
        born=wording.date_words(patient.date_of_birth),
        age=wording.age_short(patient.date_of_birth),
        phone=wording.phone_words(patient.phone),
        portal=patient.portal,
        line=line,
        href=routes.profile(patient.patient_id),
        before=before,
        hit=hit,
        after=after,
    )


def latest_row(patient: PatientSummary) -> PatientRow:
    """A patient in *Latest patients*: number and when registered."""
    when = wording.moment_words(patient.created_at).removeprefix("Today, ")
    return patient_row(patient, line=f"{patient.patient_id} · {when}")


def _born(born: dt.date | None) -> str:
    return f"{wording.date_words(born)} ({wording.age_short(born)})" if born else ""


def person(patient: PatientProfile) -> Person:
    """The banner."""
    return Person(
        id=patient.id,
        patient_id=patient.patient_id,
        name=patient.name,
        initials=wording.initials(patient.first_name, patient.last_name),
        born=_born(patient.date_of_birth) or "Not known",
        gender=PATIENT_FIELDS["gender"].words(patient.gender),
        phone=wording.phone_words(patient.phone) or "Not recorded",
    )


def facts(patient: PatientRecord, names: Iterable[str]) -> list[Fact]:
    """These fields of a record, as people read them."""
    return [Fact(LABELS[name], PATIENT_FIELDS[name].words(getattr(patient, name))) for name in names]


def details(patient: PatientProfile) -> list[Fact]:
    """*Patient Details*."""
    verified = patient.verification_status == "VERIFIED"
    by = f" by {patient.registered_by}" if patient.registered_by else ""
    aged = Fact(LABELS["date_of_birth"], _born(patient.date_of_birth))
    return [
        *[aged if one.label == aged.label else one for one in facts(patient, SECTIONS["details"])],
        Fact("Verification", "Verified" if verified else "Waiting for verification", "good" if verified else "warn"),
        Fact("Registered", wording.moment_words(patient.created_at) + by),
    ]


def contact(patient: PatientProfile) -> list[Fact]:
    """*Contact Information*."""
    return facts(patient, SECTIONS["contact"])


def own_details(own: OwnRecord) -> list[Fact]:
    """A patient's own details, the names as one."""
    names = [
        name for name in SECTIONS["details"] if PATIENT_FIELDS[name].own and name not in ("first_name", "last_name")
    ]
    return [Fact("Name", own.name), Fact("Patient ID", own.patient_id), *facts(own, names)]


def own_contact(own: OwnRecord) -> list[Fact]:
    """How the clinic reaches them."""
    return facts(own, [name for name in SECTIONS["contact"] if PATIENT_FIELDS[name].own])


def blank() -> dict[str, str]:
    """What an empty form begins with."""
    begins = {name: info.default for name, info in PatientDetails.model_fields.items() if not info.is_required()}
    return {name: str(value) for name, value in begins.items() if value is not None}


def typed(patient: PatientProfile) -> dict[str, str]:
    """The record as a form shows it for editing."""
    return {
        name: (getattr(patient, name) or "") if field.kind is Kind.CHOICE else field.words(getattr(patient, name))
        for name, field in PATIENT_FIELDS.items()
    }


def unlisted(patient: PatientProfile) -> dict[str, Choice]:
    """What is on record and is not among the choices any more: it stays, and a form offers it."""
    found = {
        name: Choice(getattr(patient, name) or "", field.words(getattr(patient, name)))
        for name, field in PATIENT_FIELDS.items()
        if field.kind is Kind.CHOICE
    }
    return {name: one for name, one in found.items() if one.value and one.value not in PATIENT_FIELDS[name].choices()}


def access(standing: PortalStanding) -> Access:
    """The *Portal Access* card."""
    left, at = wording.deadline_words(standing.expires_at) if standing.expires_at else ("", "")
    last = wording.moment_words(standing.last_sign_in_at)
    if last.startswith(("Today", "Yesterday")):
        last = last[0].lower() + last[1:].replace(", ", " at ")
    off = wording.date_words(clock.local(standing.turned_off_at).date()) if standing.turned_off_at else ""
    return Access(
        portal=standing.status,
        username=standing.username,
        expires_in=left,
        expires_at=at,
        locked_until=f"{clock.local(standing.locked_until):%H:%M}" if standing.locked_until else "",
        last_sign_in=last,
        turned_off=f"{off} by {standing.turned_off_by}" if off and standing.turned_off_by else off,
    )


# --- activity -----------------------------------------------------------------------------------

_WHAT = {
    "PATIENT_CREATED": ("user-plus", "Registered"),
    "PATIENT_VIEWED": ("eye", "Profile opened"),
    "PATIENT_VERIFIED": ("user-plus", "Verified"),
    "PORTAL_ACCOUNT_CREATED": ("key-round", "Portal account created"),
    "PORTAL_PASSWORD_RESET": ("key-round", "Temporary password reset"),
    "PORTAL_TURNED_OFF": ("key-round", "Portal access turned off"),
    "PORTAL_TURNED_ON": ("key-round", "Portal access turned on"),
    "CREDENTIALS_PRINTED": ("printer", "Credential slip printed"),
}


def happening(event: RecordedEvent) -> Happening | None:
    """One line of *Activity*; None for what does not belong there."""
    when = wording.moment_words(event.at)
    by = f" by {event.actor_name}" if event.actor_name else ""
    if event.outcome != "success":
        return None
    if event.action == "OWN_RECORD_VIEWED":
        return Happening("eye", "Own record viewed by the patient", when)
    if event.action == "PATIENT_UPDATED":
        names = [LABELS.get(name, name) for name in event.details.get("fields", [])]
        return Happening("pencil", f"{_and(names)} changed{by}", when)
    if event.action not in _WHAT:
        return None
    icon, words = _WHAT[event.action]
    if event.action == "PATIENT_CREATED" and event.details.get("portal_account_created"):
        words = "Registered with portal account"
    return Happening(icon, words + by, when)


def _and(names: list[str]) -> str:
    if not names:
        return "Record"
    words = [names[0], *[name if name == "National ID" else name[0].lower() + name[1:] for name in names[1:]]]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def activity(events: tuple[RecordedEvent, ...]) -> list[Happening]:
    """*Activity*, newest first."""
    return [shown for event in events if (shown := happening(event)) is not None]


_LOOKED = {
    "PATIENT_VIEWED": "opened your record",
    "PATIENT_UPDATED": "changed your details",
    "PATIENT_CREATED": "registered you",
}


def viewing(look: Viewing) -> Happening:
    """One line of *Who has viewed your record*."""
    role = {"ADMIN": "administration", "RECEPTIONIST": "reception", "CLINICIAN": "clinician"}.get(look.role, "")
    name = f"{look.who}, {role}," if look.who and role else look.who or "The clinic"
    return Happening("eye", f"{name} {_LOOKED.get(look.action, 'opened your record')}", wording.moment_words(look.at))


# --- Reception ----------------------------------------------------------------------------------


def day_words(day: dt.date) -> str:
    """``Tuesday 16 June 2026``."""
    return f"{WEEKDAYS[day.weekday()]} {day.day} {MONTHS[day.month - 1]} {day.year}"


def bars(view: Overview) -> list[DayBar]:
    """The chart of registrations per day; the last one is today."""
    top = max((count for _, count in view.days), default=0) or 1
    return [
        DayBar(
            str(day.day),
            f"{day.day} {MONTHS[day.month - 1]}",
            count,
            f"{count / top * 100:.0f}%",
            day == clock.today(),
        )
        for day, count in view.days
    ]


def range_words(view: Overview) -> str:
    """``3 to 16 June``, or ``25 May to 7 June``."""
    first, last = view.days[0][0], view.days[-1][0]
    start = str(first.day) if first.month == last.month else f"{first.day} {MONTHS[first.month - 1]}"
    return f"{start} to {last.day} {MONTHS[last.month - 1]}"


def plural(count: int, word: str) -> str:
    """``1 patient``, ``4,903 patients``."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"
