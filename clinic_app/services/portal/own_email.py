"""Another email of a patient's own record: it counts once a link that was sent there was opened."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

from sqlalchemy import select
from sqlmodel import Session

from clinic_app.core import clock
from clinic_app.core.errors import InvalidInput
from clinic_app.core.text_rules import trimmed
from clinic_app.models.accounts import ACCOUNTS, Account
from clinic_app.models.notifications import ONE_TIME_LINKS, LinkPurpose
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts import code_tries, sessions, sign_in_throttle
from clinic_app.services.accounts.sign_in_throttle import Budget
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.recording import record
from clinic_app.services.notifications import links, outbox, recipients
from clinic_app.services.notifications.kinds import Channel, Kind, open_channels
from clinic_app.services.notifications.links import FoundLink
from clinic_app.services.patients import repository
from clinic_app.services.patients.forms import PatientUpdate
from clinic_app.services.patients.looks import Seen
from clinic_app.services.patients.profile import change_details
from clinic_app.services.portal.errors import EmailLinkOver, EmailNotSendable, NoEmailWaits
from clinic_app.services.rates import rates


def may_confirm() -> bool:
    """Whether there is something to send the link with that an email needs."""
    return Channel.EMAIL in open_channels()


def waiting(session: Session, account_id: int) -> tuple[str, dt.datetime] | None:
    """Building block: the email that waits for its owner to open the link, and until when; None where none does."""
    found = ONE_TIME_LINKS.c
    row = session.execute(
        select(found.email, found.expires_at)
        .where(
            found.account_id == account_id,
            found.purpose == LinkPurpose.EMAIL,
            found.ended_at.is_(None),
            found.expires_at > clock.now(),
        )
        .order_by(found.id.desc())
    ).first()
    return (row.email or "", row.expires_at) if row is not None else None


def ask(session: Session, actor: Actor, patient: Any, email: str) -> None:
    """Building block: send a link to ``email``; the ones before it confirm nothing any more. Recorded.

    Raises ``EmailNotSendable``.
    """
    account = session.get(Account, actor.account_id or 0)
    assert account is not None  # noqa: S101  whoever acts has one
    to = recipients.recipient(account, patient)
    if not outbox.send_link(session, to, Kind.CONFIRM_EMAIL, LinkPurpose.EMAIL, outbox.CONFIRM_LIFE, email=email):
        raise EmailNotSendable
    record(session, actor, Action.OWN_EMAIL_ASKED, resource_type="patient", resource_id=patient.id)


def send_again(actor: Actor) -> None:
    """*Send it again*: another link to the email that waits. For patients, about their own.

    Raises ``NoEmailWaits``, ``EmailNotSendable``, ``TooManyRequests``, ``PermissionDenied``.
    """
    demand(actor, Permission.OWN_RECORD, resource_type="patient", resource_id=actor.patient_id)
    rates().spend(actor, "own email")
    with transaction(actor) as session:
        patient = repository.find(session, actor.patient_id or 0, Seen.CHANGED, lock=True)
        waits = waiting(session, actor.account_id or 0)
        if waits is None:
            raise NoEmailWaits
        ask(session, actor, patient, waits[0])


def keep_old_email(actor: Actor) -> None:
    """*Keep the old email*: the link that was sent confirms nothing any more. For patients, about their own.

    Recorded where there was one. Raises ``PermissionDenied``.
    """
    demand(actor, Permission.OWN_RECORD, resource_type="patient", resource_id=actor.patient_id)
    with transaction(actor) as session:
        if waiting(session, actor.account_id or 0) is not None:
            links.end_links(session, actor.account_id or 0, (LinkPurpose.EMAIL,))
            record(session, actor, Action.OWN_EMAIL_KEPT, resource_type="patient", resource_id=actor.patient_id)


# --- by whoever has the code --------------------------------------------------------------------------


def _why_over(_: Session, found: FoundLink, account: Account) -> EmailLinkOver | None:
    """Why the link of a right code confirms nothing; None if it does."""
    if not account.is_active:
        return EmailLinkOver("off")
    return EmailLinkOver(found.ended) if found.ended else None


def _put(actor: Actor, budget: Budget, found: FoundLink, account: Account) -> None:
    """The email, in one transaction with the link that is used up: of several at once one does it."""
    with transaction(actor) as session:
        sign_in_throttle.forgive(session, budget)
        patient = repository.find(
            session, actor.patient_id or 0, Seen.CHANGED, lock=True
        )  # before the link, as others do
        if not links.redeem(session, found.id):
            again = session.execute(select(ONE_TIME_LINKS).where(ONE_TIME_LINKS.c.id == found.id)).one()
            raise EmailLinkOver(again.end_reason or "expired")
        before = patient.email
        change_details(session, actor, patient, PatientUpdate({"email": found.email}))
        if found.email == account.username:
            links.note_email_shown(session, found.account_id)
        if found.email != before:
            both = [email for email in (before, found.email) if email]
            facts = {"before": before, "after": found.email}
            now = session.execute(select(Account).where(ACCOUNTS.c.id == account.id)).scalar_one()  # may have followed
            outbox.tell(session, recipients.recipient(now, patient), Kind.EMAIL_CHANGED, facts, also=both)


def confirm_email(code: str, *, waited: float = math.inf) -> int:
    """Let the email count that the code was sent to; returns the id of the account whose patient has it now.

    For anybody who has the code, signed in or not. The portal username stays; both addresses and the username are told.
    Counted before anything slow, as for the second step of a sign-in; one check of the code in every case, outside of
    transactions. Raises ``InvalidInput`` (field ``code``), ``CodeBelongsElsewhere``, ``EmailLinkOver`` after the right
    code of a link that is over, ``TooManyAttempts``, ``TryAgainShortly`` (ask again then).
    """
    if not trimmed(code, code_tries.READ):
        raise InvalidInput({"code": "Code from the message is required."})
    given = code_tries.check(code, (LinkPurpose.EMAIL,), _why_over, waited=waited)
    found, account = given.found, given.account
    try:
        if given.over is not None:
            raise given.over
        _put(sessions.actor_of(account, None), given.budget, found, account)
    except EmailLinkOver as over:
        code_tries.note_refused(given.budget, found, over.why)
        raise
    return found.account_id
