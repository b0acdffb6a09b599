"""A patient's own record, from the patient's side, and who at the clinic has looked at it or changed it."""

from __future__ import annotations

from dataclasses import fields

from sqlalchemy import select
from sqlmodel import Session

from clinic_app.core import clock
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.models.notifications import OUTBOX_MESSAGES, MessageState
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts import reauthentication
from clinic_app.services.audit import reading
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.reading import RecordedEvent
from clinic_app.services.audit.recording import record
from clinic_app.services.patients import merged_keys, repository
from clinic_app.services.patients.looks import Seen
from clinic_app.services.patients.views import PatientRecord
from clinic_app.services.portal import own_email
from clinic_app.services.portal.views import OwnDownload, OwnMessage, OwnRecord, Viewing, Viewings
from clinic_app.services.rates import rates

_SHOWN = tuple(field.name for field in fields(PatientRecord))
#: What was done to the record that its owner is shown: all but the owner's own looks.
_LOOKS = frozenset(
    {
        Action.PATIENT_CREATED,
        Action.PATIENT_VIEWED,
        Action.PATIENT_UPDATED,
        Action.PATIENT_VERIFIED,
        Action.PATIENT_MERGED,
        Action.PATIENT_MERGE_UNDONE,
        Action.NOT_A_DUPLICATE,
        Action.NOT_A_DUPLICATE_UNDONE,
        Action.PORTAL_ACCOUNT_CREATED,
        Action.PORTAL_PASSWORD_RESET,
        Action.PORTAL_USERNAME_CHANGED,
        Action.PORTAL_TURNED_OFF,
        Action.PORTAL_TURNED_ON,
        Action.PORTAL_UNLOCKED,
        Action.PORTAL_INVITED,
        Action.PORTAL_HANDED_OVER,
        Action.PORTAL_ADDRESS_CORRECTED,
        Action.CREDENTIALS_PRINTED,
        Action.OWN_RECORD_DOWNLOADED,
    }
)
#: How many are shown beside the record, on a page of them, and in a file.
VIEWINGS, ON_A_PAGE, IN_A_FILE = 3, 40, 5_000


def _viewing(event: RecordedEvent, actor: Actor) -> Viewing:
    own = event.actor_id is not None and event.actor_id == actor.account_id
    return Viewing(
        event.seq,
        event.at,
        event.actor_name,
        event.role,
        event.action,
        own=own,
        fields=tuple(event.details.get("fields", ())),
        page=str(event.details.get("page", "")),
        with_sign_in=bool(event.details.get("portal_account_created")),
    )


def _records(session: Session, actor: Actor) -> tuple[int, list[int]]:
    """The record of the patient who asks, and those merged into it: whoever looked at one has looked at theirs."""
    own = actor.patient_id or 0
    return own, [row.id for row in merged_keys.merged_into(session, own)]


def _looks(session: Session, actor: Actor, most: int, before: int = 0) -> tuple[Viewing, ...]:
    own, merged = _records(session, actor)
    found = reading.events_of(session, "patient", own, most, done=_LOOKS, before=before, merged=merged)
    return tuple(_viewing(event, actor) for event in found)


def _record(session: Session, actor: Actor, seen: Seen, most: int) -> OwnRecord:
    patient = repository.find(session, actor.patient_id or 0, seen)
    waits = own_email.waiting(session, actor.account_id or 0)
    own, merged = _records(session, actor)
    since = select(ACCOUNTS.c.password_changed_at).where(ACCOUNTS.c.id == actor.account_id)
    return OwnRecord(
        **repository.values(patient, _SHOWN),
        username=actor.username,
        password_since=session.execute(since).scalar_one(),
        email_waits=waits[0] if waits else "",
        email_waits_until=waits[1] if waits else None,
        viewings=_looks(session, actor, most),
        viewed=reading.how_many(session, "patient", own, _LOOKS, merged),
    )


def _messages(session: Session, actor: Actor) -> tuple[OwnMessage, ...]:
    """What was sent, the latest first: as far back as messages are kept."""
    kept = OUTBOX_MESSAGES.c
    rows = session.execute(
        select(kept.ended_at, kept.kind, kept.channel, kept.address)
        .where(kept.account_id == actor.account_id, kept.state == MessageState.SENT)
        .order_by(kept.id.desc())
        .limit(IN_A_FILE)
    )
    return tuple(OwnMessage(*row) for row in rows)


def own_record(actor: Actor) -> OwnRecord:
    """The record of the patient who asks, and who at the clinic has looked at it last. Recorded as a look.

    For patients with a password of their own. Which patient is decided by the account alone, never by input. Raises
    ``PermissionDenied``, ``AuthenticationRequired``.
    """
    demand(actor, Permission.OWN_RECORD, resource_type="patient", resource_id=actor.patient_id)
    with transaction(actor) as session:
        return _record(session, actor, Seen.OWN, VIEWINGS)


def own_viewings(actor: Actor, before: int = 0) -> Viewings:
    """Who has looked at the record of the patient who asks, or changed it: a page, newest first. Recorded as a look.

    ``before`` is that of the page before; 0 for the first one. For patients. Raises as ``own_record``.
    """
    demand(actor, Permission.OWN_RECORD, resource_type="patient", resource_id=actor.patient_id)
    with transaction(actor) as session:
        repository.find(session, actor.patient_id or 0, Seen.OWN)
        found = _looks(session, actor, ON_A_PAGE + 1, before)
        shown = found[:ON_A_PAGE]
        return Viewings(shown, shown[-1].seq if len(found) > ON_A_PAGE else 0)


def download_own_record(actor: Actor, password: str) -> OwnDownload:
    """All that ``own_record`` shows, and every viewing, to be taken home. For patients, who give their password again.

    Recorded. A wrong password counts as when confirming. Raises ``WrongPassword``, ``TooManyAttempts``,
    ``TooManyRequests``, ``PermissionDenied``, ``AuthenticationRequired``.
    """
    demand(actor, Permission.OWN_RECORD, resource_type="patient", resource_id=actor.patient_id)
    rates().spend(actor, "own download")
    reauthentication.check_own_password(actor, password)
    with transaction(actor) as session:
        reauthentication.forgive(session, actor)
        found = _record(session, actor, Seen.CHANGED, IN_A_FILE)
        record(session, actor, Action.OWN_RECORD_DOWNLOADED, resource_type="patient", resource_id=actor.patient_id)
        return OwnDownload(found, _messages(session, actor), clock.now(), left_out=found.viewed > len(found.viewings))
