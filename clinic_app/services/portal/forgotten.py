"""A forgotten password: a link for whoever reads the emails of a username, and the same answer for everybody."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import select
from sqlmodel import Session

from clinic_app.core import context, db
from clinic_app.core.errors import InvalidInput, TooManyAttempts
from clinic_app.models.accounts import ACCOUNTS, Account
from clinic_app.models.notifications import LinkPurpose
from clinic_app.services.access import ANONYMOUS
from clinic_app.services.accounts import sign_in_throttle
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, normal_username, opens, record_failure
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.recording import record
from clinic_app.services.notifications import outbox, recipients
from clinic_app.services.notifications.kinds import Channel, Kind, open_channels
from clinic_app.services.patients import fields

#: Links for one account within an hour and a day: more would only fill a mailbox, and strangers can ask for them.
HOURLY = 3
AT_MOST = {dt.timedelta(hours=1): HOURLY, dt.timedelta(hours=24): 6}
#: How long such a link lives.
LIFE = outbox.FORGOT_LIFE


def links_can_be_sent() -> bool:
    """Whether the clinic sends emails at all. Where it does not, only the reception can help."""
    return Channel.EMAIL in open_channels()


def username_of(typed: str) -> str:
    """What was typed as an email, as usernames are kept. Raises ``InvalidInput`` (field ``email``)."""
    try:
        email = fields.email(typed[:1000])
    except ValueError:
        raise InvalidInput({"email": "Please provide a valid email address."}) from None
    if email is None:
        raise InvalidInput({"email": "Email is required."})
    return normal_username(email)


def _send(session: Session, account: Account) -> bool:
    """Write the message, unless there were enough. The account's row is locked: nobody else counts meanwhile."""
    account_id = account.id or 0
    for span, most in AT_MOST.items():
        if outbox.asked_within(session, account_id, Kind.FORGOT_PASSWORD, span) >= most:
            return False
    to = recipients.recipient(account)
    return bool(outbox.send_link(session, to, Kind.FORGOT_PASSWORD, LinkPurpose.FORGOT, LIFE))


def ask_for_link(username: str) -> None:
    """Send a link that sets a new password to the owner of a portal account, if there is one of this username.

    For anybody. Says nothing of whether there is one, nor whether a link was sent: none is for an account that is
    turned off, for staff, and after three within an hour or six within a day. How long it takes says more, so whoever
    calls it answers after the same time in every case. The link ends earlier ones of its kind, and none that the
    reception sent. Raises
    ``TooManyAttempts``, for too many from one address or altogether, whoever is asked about.
    """
    with db.transaction() as session:
        verdict = sign_in_throttle.count_try(session, sign_in_throttle.of_asking(context.current().address))
        if verdict.newly_blocked:
            record_failure(
                session, Action.SIGN_IN_BLOCKED, None, door=PATIENT_DOOR, by="forgotten", seconds=verdict.wait
            )
        if not verdict.wait:
            account = session.execute(
                select(Account).where(ACCOUNTS.c.username == username).with_for_update()
            ).scalar_one_or_none()
            sent = account is not None and opens(account, PATIENT_DOOR) and _send(session, account)
            record(
                session,
                ANONYMOUS,
                Action.PASSWORD_FORGOTTEN,
                resource_type="account",
                resource_id=account.id if account is not None else None,
                details={"known": account is not None, "sent": sent},
                changes_lists=sent,
            )
    if verdict.wait:
        raise TooManyAttempts(verdict.wait)
