"""From views to what pages show: the wording of the services, put into the frozen records of ``view_models``."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Iterable
from typing import Any

from clinic_app.core import clock, routes
from clinic_app.core.calendar_words import MONTHS, WEEKDAYS
from clinic_app.core.counts import plural
from clinic_app.core.paging import Page
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts.views import FailedTries, OwnPasskey, OwnSession, StaffMember
from clinic_app.services.audit import reading
from clinic_app.services.audit.reading import RecordedEvent
from clinic_app.services.notifications.kinds import Channel, open_channels
from clinic_app.services.patients import facts as record_facts
from clinic_app.services.patients import national_ids, wording
from clinic_app.services.patients.forms import LABELS, PATIENT_FIELDS, SECTIONS, Kind, PatientDetails
from clinic_app.services.patients.portal_standing import WAITED
from clinic_app.services.patients.search import marked
from clinic_app.services.patients.views import (
    Match,
    Overview,
    PatientProfile,
    PatientRecord,
    PatientSummary,
    PortalStanding,
    Unmerged,
)
from clinic_app.services.portal import own_words
from clinic_app.services.portal import wording as portal_wording
from clinic_app.services.portal.views import OwnRecord, Viewing
from clinic_app.ui import message_words
from clinic_app.ui.view_models import (
    Access,
    Chip,
    Choice,
    DayBar,
    Fact,
    Happening,
    Look,
    MatchRow,
    MergedRecord,
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


def until(instant: dt.datetime | None) -> str:
    """``18 Jun 2026, 16:40``; empty where there is none."""
    return f"{wording.date_words(day_of(instant))}, {clock.local(instant):%H:%M}" if instant is not None else ""


def failed_tries(told: FailedTries) -> str:
    """``Somebody entered a wrong password for your account 4 times, last today at 07:12.``"""
    when = wording.mid_sentence(told.last_at)
    return f"Somebody entered a wrong password for your account {told.count:,} times{f', last {when}' if when else ''}."


def day_of(instant: dt.datetime) -> dt.date:
    """The day of an instant, at the clinic."""
    return clock.local(instant).date()


def passkeys(kept: tuple[OwnPasskey, ...]) -> str:
    """``One, on Amina's phone``, by the name it was given; ``2 passkeys``; ``None yet``."""
    if len(kept) == 1:
        return f"One, on {kept[0].name}"
    return f"{len(kept)} passkeys" if kept else "None yet"


def own_session(one: OwnSession) -> SessionRow:
    """One's own session, as one knows it again."""
    return SessionRow(one.id, one.device, wording.session_words(one), one.this_one)


def staff_row(one: StaffMember, own_id: int | None) -> StaffRow:
    """A staff account in the list."""
    words = one.name.split()
    last = (
        f"Last signed in {wording.mid_sentence(one.last_sign_in_at)}"
        if one.last_sign_in_at
        else "Has not signed in yet"
    )
    return StaffRow(
        id=one.id,
        username=one.username,
        name=one.name,
        initials=wording.initials(words[0] if words else "", words[-1] if len(words) > 1 else ""),
        stamp=one.stamp,
        role=one.role,
        role_words=ROLES.get(one.role, ""),
        line=f"{one.username} · {last}",
        active=one.is_active,
        temporary=one.temporary_until is not None,
        expired=one.temporary_until is not None and one.temporary_until <= clock.now(),
        two_factor=one.two_factor,
        locked=one.locked,
        own=one.id == own_id,
    )


def merged_records(patient: PatientProfile) -> list[MergedRecord]:
    """What was merged into a record. Merges are undone the latest first."""
    return [
        MergedRecord(
            one.patient_id,
            f"By {one.merged_by}, {', '.join(wording.day_and_time(one.merged_at))}."
            if one.merged_by
            else f"{wording.moment_words(one.merged_at)}.",
            place == 0,
        )
        for place, one in enumerate(patient.merges)
    ]


#: What may not come back with undoing a merge.
_LOST = {"national_id": "national ID", "external_id": "external ID", "portal_username": "portal username"}


def merge_undone(done: Unmerged) -> str:
    """What is said once a merge was undone, and what somebody else has meanwhile."""
    said = f"Merge undone. {done.patient.patient_id} is a record of its own again."
    if not done.lost:
        return said
    names = " and ".join(_LOST.get(name, name) for name in done.lost)
    return f"{said} What did not come back, because somebody else has it now: {names}."


def patient_row(patient: PatientSummary | PatientProfile, *, line: str = "", term: str = "") -> PatientRow:
    """A patient in a list."""
    before, hit, after = marked(patient.name, term) if term else (patient.name, "", "")
    found_by = patient.found_by if isinstance(patient, PatientSummary) else None
    via = marked(found_by.words, term) if found_by else ("", "", "")
    return PatientRow(
        id=patient.id,
        patient_id=patient.patient_id,
        name=patient.name,
        initials=wording.initials(patient.first_name, patient.last_name),
        born=wording.birth_words(patient.date_of_birth),
        age=wording.age_short(patient.date_of_birth),
        phone=wording.phone_words(patient.phone),
        portal=patient.access.status,
        due=patient.access.due,
        due_words=wording.due_words(patient.access.due, patient.access.expires_at),
        reissue=patient.access.reissue,
        stamp=patient.access.stamp,
        line=line,
        href=routes.profile(patient.patient_id),
        before=before,
        hit=hit,
        after=after,
        via=found_by.label if found_by else "",
        via_before=via[0],
        via_hit=via[1],
        via_after=via[2],
    )


def match_row(match: Match) -> MatchRow:
    """A patient who may be the one in a form. What is not quite the same says how after a comma."""
    patient = match.patient
    return MatchRow(
        id=patient.id,
        patient_id=patient.patient_id,
        name=patient.name,
        initials=wording.initials(patient.first_name, patient.last_name),
        born=wording.birth_words(patient.date_of_birth),
        href=routes.profile(patient.patient_id),
        strong=match.strong,
        chips=[Chip(reason, ", " in reason) for reason in match.reasons],
    )


def latest_row(patient: PatientSummary) -> PatientRow:
    """A patient in *Latest patients*: number and when registered."""
    when = wording.moment_words(patient.created_at).removeprefix("Today, ").replace(" ", "\N{NO-BREAK SPACE}")
    return patient_row(patient, line=f"{patient.patient_id} · {when}")  # in a narrow column the moment goes below


def person(patient: PatientProfile) -> Person:
    """The banner."""
    return Person(
        id=patient.id,
        patient_id=patient.patient_id,
        name=patient.name,
        initials=wording.initials(patient.first_name, patient.last_name),
        born=wording.birth_and_age(patient.date_of_birth) or "Not known",
        gender=PATIENT_FIELDS["gender"].words(patient.gender),
        phone=wording.phone_words(patient.phone) or "Not recorded",
        phone_uri=f"tel:{patient.phone}" if patient.phone else "",
        card_href=routes.patient_card(patient.patient_id),
    )


def facts(patient: PatientRecord, names: Iterable[str]) -> list[Fact]:
    """These fields of a record, as people read them."""
    return [Fact(*fact) for fact in record_facts.facts(patient, names)]


def _nameless(patient: PatientRecord) -> set[str]:
    """What is not shown of names: nothing stands in the place of a last name that somebody has not."""
    return {"single_name", "last_name"} if patient.single_name else {"single_name"}


def details(patient: PatientProfile) -> list[Fact]:
    """*Patient Details*."""
    verified = patient.verification_status == "VERIFIED"
    by = f" by {patient.registered_by}" if patient.registered_by else ""
    names = [name for name in SECTIONS["details"] if name not in _nameless(patient)]
    aged = Fact(LABELS["date_of_birth"], wording.birth_and_age(patient.date_of_birth))
    special = {aged.label: aged}
    if not patient.national_id_counts:
        label, number = LABELS["national_id"], patient.national_id or ""
        why = "another patient has it too" if national_ids.key(number) else "means that there is none"
        special[label] = Fact(label, f"{number} ({why})", "warn")
    return [
        *[special.get(one.label, one) for one in facts(patient, names)],
        Fact("Verification", "Verified" if verified else "Waiting for verification", "good" if verified else "warn"),
        Fact("Registered", wording.moment_words(patient.created_at) + by),
    ]


def contact(patient: PatientProfile) -> list[Fact]:
    """*Contact Information*."""
    return [Fact(*fact) for fact in record_facts.reached(patient)]


def own_details(own: OwnRecord) -> list[Fact]:
    """A patient's own details, the names as one."""
    return [Fact(*fact) for fact in own_words.own_details(own)]


def own_contact(own: OwnRecord) -> list[Fact]:
    """How the clinic reaches them."""
    return [Fact(*fact) for fact in record_facts.reached(own)]


def blank() -> dict[str, str]:
    """What an empty form begins with."""
    begins = {name: info.default for name, info in PatientDetails.model_fields.items() if not info.is_required()}
    return {name: PATIENT_FIELDS[name].typed(value) for name, value in begins.items() if value not in (None, False)}


def typed(patient: PatientProfile) -> dict[str, str]:
    """The record as a form shows it for editing."""
    return {name: field.typed(getattr(patient, name)) for name, field in PATIENT_FIELDS.items()}


def unlisted(patient: PatientProfile) -> dict[str, Choice]:
    """What is on record and is not among the choices any more: it stays, and a form offers it."""
    found = {
        name: Choice(getattr(patient, name) or "", field.words(getattr(patient, name)))
        for name, field in PATIENT_FIELDS.items()
        if field.kind is Kind.CHOICE
    }
    return {name: one for name, one in found.items() if one.value and one.value not in PATIENT_FIELDS[name].choices()}


def changes_at(standings: Iterable[PortalStanding]) -> dt.datetime | None:
    """When the first word that pages say about these becomes another one by time alone; None: not by itself."""
    now, found = clock.now(), list[dt.datetime | None]()
    for one in standings:
        found += [one.locked_until, one.link_until]
        if one.temporary and one.expires_at is not None and one.expires_at > now:
            found.append(wording.deadline_changes(one.expires_at))
            found.append(one.password_since + WAITED if one.password_since and one.last_sign_in_at is None else None)
    return min((one for one in found if one is not None and one > now), default=None)


def staff_changes_at(members: Iterable[StaffMember]) -> dt.datetime | None:
    """The same for rows of staff accounts."""
    now = clock.now()
    found = [instant for one in members for instant in (one.temporary_until, one.locked_until)]
    return min((one for one in found if one is not None and one > now), default=None)


def access(standing: PortalStanding) -> Access:
    """The *Portal Access* card."""
    left, at = wording.deadline_words(standing.expires_at) if standing.expires_at else ("", "")
    last = wording.moment_words(standing.last_sign_in_at)
    if last.startswith(("Today", "Yesterday")):
        last = last[0].lower() + last[1:].replace(", ", " at ")
    off = wording.date_words(clock.local(standing.turned_off_at).date()) if standing.turned_off_at else ""
    emails_to = next((one.address for one in standing.reach if one.channel == Channel.EMAIL), standing.username)
    return Access(
        portal=standing.status,
        username=standing.username,
        expires_in=left,
        expires_at=at,
        locked_until=f"{clock.local(standing.locked_until):%H:%M}" if standing.locked_until else "",
        last_sign_in=last,
        turned_off=f"{off} by {standing.turned_off_by}" if off and standing.turned_off_by else off,
        turned_off_reason=portal_wording.turn_off_words(standing.turned_off_reason),
        temporary=standing.temporary,
        worn_out=standing.worn_out,
        link_until=wording.deadline_words(standing.link_until)[1] if standing.link_until else "",
        emails_to=emails_to if emails_to.lower() != standing.username else "",
        handed_over=message_words.handed_over(standing.handed_over, standing.handed_over_by, standing.handed_over_at),
        kept_back=portal_wording.why_nothing_goes(standing.reach, configured=bool(open_channels())),
        stamp=standing.stamp,
    )


def replaced(standing: PortalStanding) -> list[str]:
    """What a new temporary password does, in sentences."""
    at = wording.deadline_words(standing.expires_at)[1] if standing.expires_at else ""
    what = "A new temporary password replaces the password that the patient has chosen."
    if standing.temporary and standing.expires_at:
        gone = f"{'expires' if standing.expires_at > clock.now() else 'expired'} on {at}"
        over = "opens nothing any more" if standing.worn_out else gone
        what = f"A new temporary password replaces the one that {over}. A slip already handed over stops working."
    lifted = ["The account is unlocked."] if standing.status == "locked" else []
    return [what, "Whoever is signed in with this account is signed out.", *lifted, message_words.goes_where(standing)]


# --- activity -----------------------------------------------------------------------------------

_WHAT = {
    "PATIENT_CREATED": ("user-plus", "Registered"),
    "PATIENT_VIEWED": ("eye", "Profile opened"),
    "PATIENT_VERIFIED": ("user-plus", "Verified"),
    "PATIENT_MERGED": ("pencil", "Merged"),
    "PATIENT_MERGE_UNDONE": ("pencil", "Merge undone"),
    "NOT_A_DUPLICATE": ("pencil", "Said not to be a duplicate"),
    "NOT_A_DUPLICATE_UNDONE": ("pencil", "Possible duplicate again"),
    "PORTAL_ACCOUNT_CREATED": ("key-round", "Portal account created"),
    "PORTAL_PASSWORD_RESET": ("key-round", "Temporary password reset"),
    "PORTAL_USERNAME_CHANGED": ("key-round", "Portal username changed"),
    "PORTAL_TURNED_OFF": ("key-round", "Portal access turned off"),
    "PORTAL_TURNED_ON": ("key-round", "Portal access turned on"),
    "PORTAL_UNLOCKED": ("key-round", "Portal account unlocked"),
    "PORTAL_INVITED": ("send", "Invitation sent again"),
    "PORTAL_HANDED_OVER": ("key-round", "Credentials handed over"),
    "PORTAL_ADDRESS_CORRECTED": ("send", "Address for messages corrected"),
    "CREDENTIALS_PRINTED": ("printer", "Credential slip printed"),
}


#: Where a look that is not at the profile was at.
_PAGES = {
    "card": "Patient card opened",
    "compared side by side": "Compared with another record",
    "registration": "Record used to register a relative",
    "dialog": "Portal dialog opened",
    "outcome of a press": "Outcome shown again",
    "repeated answer": "Answer given again",
    "compared": "Record compared with what was sent",
}
#: *Activity* before *Show all*: so many lines, of which so many may be mere looks.
_LINES, _LOOKS = 8, 3


def happening(run: list[RecordedEvent]) -> Happening | None:
    """One line of *Activity* for an event, or for a run of the same; None for what does not belong there."""
    event = run[0]
    when = wording.moment_words(event.at)
    by = f" by {event.actor_name}" if event.actor_name else ""
    if event.outcome != "success":
        return None
    if event.action in reading.LOOKS:
        return _look(run, by)
    if event.action == "PATIENT_UPDATED":
        names = [LABELS.get(name, name) for name in event.details.get("fields", [])]
        return Happening("pencil", f"{_and(names)} changed{by}", when)
    if event.action not in _WHAT:
        return None
    symbol, words = _WHAT[event.action]
    if event.action in _WITH_ANOTHER:
        words = _with_another(event, words)
    if event.action == "PATIENT_CREATED" and event.details.get("portal_account_created"):
        words = "Registered with portal account"
    return Happening(symbol, words + by, when)


_WITH_ANOTHER = {"PATIENT_MERGED", "PATIENT_MERGE_UNDONE", "NOT_A_DUPLICATE", "NOT_A_DUPLICATE_UNDONE"}


def _with_another(event: RecordedEvent, words: str) -> str:
    """``LMC004911 merged into this record``, ``Merge with LMC004911 undone``: which record it was besides."""
    told = {name: str(event.details.get(name, "")) for name in ("patient_id", "merged", "into", "other")}
    if event.action == "PATIENT_MERGED":
        return f"Merged into {told['into']}" if told["into"] else f"{told['merged']} merged into this record"
    if event.action == "PATIENT_MERGE_UNDONE":
        return f"Merge of {told['merged']} into {told['patient_id']} undone"
    return f"{words}: {told['other']}"


def _look(run: list[RecordedEvent], by: str) -> Happening:
    """Looks in a row by the same person at the same page: ``Profile opened 6 times by Grace Wanjiru``."""
    last, often = wording.moment_words(run[0].at), f"{len(run)} times"
    own = run[0].action == "OWN_RECORD_VIEWED"
    words = "Own record viewed" if own else _PAGES.get(str(run[0].details.get("page")), "Profile opened")
    by = " by the patient" if own else by
    if len(run) == 1:
        return Happening("eye", words + by, last)
    first, today = wording.moment_words(run[-1].at), last.partition(", ")[0] + ", "
    same_day = first.startswith(today)
    times = [wording.moment_words(one.at) for one in run]
    span = last if first == last else f"{first} to {last.removeprefix(today) if same_day else last}"
    return Happening(
        "eye",
        f"{words} {often}{by}",
        span,
        often,
        [one.removeprefix(today) if same_day else one for one in times],
    )


def _and(names: list[str]) -> str:
    if not names:
        return "Record"
    words = [names[0], *[name if name == "National ID" else name[0].lower() + name[1:] for name in names[1:]]]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _kind(event: RecordedEvent) -> object:
    """Looks with the same kind are folded together where they follow each other; nothing else is."""
    if event.action not in reading.LOOKS or event.outcome != "success":
        return event.seq
    return event.action, event.actor_name, event.details.get("page")


def all_activity(events: tuple[RecordedEvent, ...]) -> list[Happening]:
    """*Activity* whole, newest first, runs of the same look folded."""
    shown = [event for event in events if event.outcome == "success"]  # what was refused interrupts no run
    runs = [list(run) for _, run in itertools.groupby(shown, _kind)]
    return [line for run in runs if (line := happening(run)) is not None]


def activity(events: tuple[RecordedEvent, ...]) -> list[Happening]:
    """*Activity* as it begins: newest first, with a few looks beside what was done to the record."""
    lines = all_activity(events)
    looks = [line for line in lines if line.icon == "eye"]
    changes = [line for line in lines if line.icon != "eye"]
    wanted = [*looks[: max(_LOOKS, _LINES - len(changes))], *changes[: _LINES - min(len(looks), _LOOKS)]]
    return [line for line in lines if any(line is one for one in wanted)]


def viewing(look: Viewing) -> Look:
    """One line of *Who has viewed your record*."""
    who = own_words.looker(look)
    return Look(own_words.initials(look), who, own_words.look_words(look), wording.moment_words(look.at))


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


def copy_words(late: float | None, *, damaged: bool) -> str:
    """That the continuous copy is damaged, or for how many seconds it has stood still, as a sentence; else empty."""
    if damaged:
        return "The continuous copy of the database is damaged: what was entered since the last backup is nowhere else."
    if late is None:
        return ""
    if late == math.inf:
        return "There is no continuous copy of the database yet."
    minutes = max(1, int(late // 60))
    span = plural(minutes, "minute") if minutes < 120 else plural(minutes // 60, "hour")
    return f"The continuous copy of the database has stood still for {span}."


def counted(page: Page[Any], word: str) -> str:
    """``4,903 patients``, ``more than 1,000 patients``."""
    return f"{'more than ' if page.more else ''}{plural(page.total, word)}"


def shown_of(page: Page[Any], word: str) -> str:
    """``21–40 of 4,903 patients``, ``41 of 41 patients``, ``1 patient``, ``1–20 of more than 1,000 patients``."""
    whole = counted(page, word)
    if page.total <= 1:
        return whole
    return f"{page.first:,} of {whole}" if page.first == page.last else f"{page.first:,}–{page.last:,} of {whole}"
