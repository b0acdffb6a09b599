"""Writing messages, in the transaction of what they tell of. Building blocks: nothing is sent here."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, bindparam, func, insert, literal_column, or_, select, update
from sqlmodel import Session

from clinic_app.core import clock, db
from clinic_app.core.settings import get_settings
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.models.notifications import ONE_TIME_LINKS, OUTBOX_MESSAGES, LinkPurpose, MessageState
from clinic_app.services.notifications import links, recipients
from clinic_app.services.notifications.kinds import OPENING, WITH_CONSENT, Channel, Kind, open_channels
from clinic_app.services.notifications.views import Delivery, Reach, Recipient

#: A notice that could not be sent for so long is news no more.
NOTICE_LIFE = dt.timedelta(days=3)
#: How long a link lives that somebody asked for because the password is forgotten, or an email is to be confirmed.
FORGOT_LIFE, CONFIRM_LIFE = dt.timedelta(hours=2), dt.timedelta(hours=48)
#: Strangers can cause these: an account is told once in so long.
WARN_AGAIN = dt.timedelta(hours=24)
NOT_ALLOWED, ACCESS_OFF = "NOT_ALLOWED", "ACCESS_OFF"
#: So many of an account's messages are shown, the latest.
SHOWN = 8


def _addresses(to: Recipient) -> list[tuple[Channel, str, bool]]:
    """By what, where to, and whether the patient allows messages there: as far as there is something to send with."""
    known = {Channel.EMAIL: (to.email, to.email_allowed), Channel.SMS: (to.phone, to.sms_allowed)}
    found = [(channel, *known[channel]) for channel in open_channels()]
    return [(channel, address, allowed) for channel, address, allowed in found if address]


def _queued(
    kind: Kind,
    channel: str,
    account_id: int | None,
    address: str,
    expires_at: dt.datetime,
    link_id: int | None,
    facts: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A message that is to be sent now."""
    now = clock.now()
    return {
        "kind": kind,
        "channel": channel,
        "account_id": account_id,
        "link_id": link_id,
        "address": address,
        "facts": dict(facts or {}),
        "message_id": secrets.token_hex(16),
        "state": MessageState.QUEUED,
        "reason": None,
        "created_at": now,
        "expires_at": expires_at,
        "due_at": now,
        "tries": 0,
        "ended_at": None,
    }


def _write(
    session: Session,
    kind: Kind,
    account_id: int,
    addresses: Iterable[tuple[Channel, str, bool]],
    *,
    expires_at: dt.datetime,
    link_id: int | None = None,
    facts: Mapping[str, Any] | None = None,
) -> tuple[Delivery, ...]:
    now, rows = clock.now(), []
    for channel, address, allowed in addresses:
        row = _queued(kind, channel, account_id, address, expires_at, link_id if allowed else None, facts)
        if kind in WITH_CONSENT and not allowed:
            row |= {"state": MessageState.HELD, "reason": NOT_ALLOWED, "ended_at": now}
        rows.append(row)
    if rows:
        session.execute(insert(OUTBOX_MESSAGES), rows)
        db.changed(session)  # the worker looks, and so do pages that show how far messages have come
    return tuple(
        Delivery(
            r["kind"], r["channel"], r["address"], r["state"], r["reason"] or "", now, linked=r["link_id"] is not None
        )
        for r in rows
    )


def invite(
    session: Session,
    to: Recipient,
    expires_at: dt.datetime,
    *,
    kind: Kind = Kind.INVITATION,
    first: bool = False,
    facts: Mapping[str, Any] | None = None,
) -> tuple[Delivery, ...]:
    """Send the link that sets a password, wherever it may go. It lives as long as the temporary password.

    Links sent before open nothing from now on, also where no new one can be sent. Where the patient allows no messages
    an invitation is kept back, and that is told; a notice goes without the link. ``first``: the account was made in
    this transaction. At most three statements, for a first one two, or none where there is nothing to send with.
    """
    addresses = _addresses(to)
    link_id = None
    if any(allowed for _, _, allowed in addresses):
        link_id = links.new_link(session, to.account_id, LinkPurpose.ACTIVATE, expires_at, first=first)
    elif not first:
        links.end_links(session, to.account_id)
    return _write(session, kind, to.account_id, addresses, expires_at=expires_at, link_id=link_id, facts=facts)


def send_link(
    session: Session, to: Recipient, kind: Kind, purpose: LinkPurpose, life: dt.timedelta, *, email: str | None = None
) -> tuple[Delivery, ...]:
    """Send a link by email alone, to ``email`` or to the recipient's own: asked for by the owner, so always allowed."""
    address = email or to.email
    if Channel.EMAIL not in open_channels() or not address:
        return ()
    expires_at = clock.now() + life
    link_id = links.new_link(session, to.account_id, purpose, expires_at, email=email)
    return _write(
        session, kind, to.account_id, [(Channel.EMAIL, address, True)], expires_at=expires_at, link_id=link_id
    )


def tell(
    session: Session, to: Recipient, kind: Kind, facts: Mapping[str, Any] | None = None, *, also: Iterable[str] = ()
) -> tuple[Delivery, ...]:
    """Tell the owner what happened to their account: always allowed. ``also`` are further emails that are told."""
    addresses = _addresses(to)
    if Channel.EMAIL in open_channels():
        addresses += [(Channel.EMAIL, email, True) for email in dict.fromkeys(also) if email and email != to.email]
    return _write(session, kind, to.account_id, addresses, expires_at=clock.now() + NOTICE_LIFE, facts=facts)


def confirm_registration(session: Session, registration_id: int, email: str, expires_at: dt.datetime) -> None:
    """Send the link that confirms a self-registration, to the email that was typed there.

    Nothing else that was typed is in it: the address may be anybody's.
    """
    row = _queued(Kind.CONFIRM_REGISTRATION, Channel.EMAIL, None, email, expires_at, None)
    session.execute(insert(OUTBOX_MESSAGES), [{**row, "registration_id": registration_id}])
    db.changed(session)


def remind(
    session: Session, account_id: int, channel: str, address: str, link_id: int, expires_at: dt.datetime
) -> bool:
    """Say once more that a link waits to be used, where it went before. False where that has been said already.

    Of several at once, one is written: the unique index on link, kind and channel decides.
    """
    messages = OUTBOX_MESSAGES.c
    row = _queued(Kind.REMINDER, channel, account_id, address, expires_at, link_id)
    written = db.upsert(session, OUTBOX_MESSAGES, row, on=(messages.link_id, messages.kind, messages.channel))
    if written is not None:
        db.changed(session)
    return written is not None


def drop_waiting(session: Session, account_id: int) -> None:
    """Nothing that waits for this account's owner is sent any more: there is no such login for the time being."""
    messages, now = OUTBOX_MESSAGES.c, clock.now()
    session.execute(
        update(OUTBOX_MESSAGES)
        .where(
            messages.account_id == account_id,
            messages.state == MessageState.QUEUED,
            or_(messages.lease.is_(None), messages.leased_until <= now),
        )
        .values(state=MessageState.DROPPED, reason="ACCESS_OFF", ended_at=now)
    )


def told_lately(session: Session, account_id: int, kind: Kind) -> bool:
    """Whether the account was sent one of this kind within ``WARN_AGAIN``."""
    messages = OUTBOX_MESSAGES.c
    found = session.execute(
        select(messages.id)
        .where(
            messages.account_id == account_id,
            messages.kind == kind,
            messages.created_at > clock.now() - WARN_AGAIN,
        )
        .limit(1)
    )
    return found.first() is not None


def went_by_email_alone(session: Session, link_id: int, email: str) -> bool:
    """Whether a link's code can have reached its reader in no other way than by an email to this address.

    A text message that was tried counts as one that arrived, whatever became of it.
    """
    messages = OUTBOX_MESSAGES.c
    ways = session.execute(
        select(messages.channel, messages.address).where(messages.link_id == link_id, messages.tries > 0)
    ).all()
    return bool(ways) and all(tuple(way) == (Channel.EMAIL, email) for way in ways)


def asked_within(session: Session, account_id: int, kind: Kind, span: dt.timedelta) -> int:
    """How many messages of this kind the account was sent within ``span``."""
    messages = OUTBOX_MESSAGES.c
    return session.execute(
        select(func.count()).where(
            messages.account_id == account_id, messages.kind == kind, messages.created_at > clock.now() - span
        )
    ).scalar_one()


def deliveries(session: Session, account_id: int) -> tuple[Delivery, ...]:
    """How far the account's latest messages have come, the latest first."""
    messages = OUTBOX_MESSAGES.c
    rows = session.execute(
        select(OUTBOX_MESSAGES).where(messages.account_id == account_id).order_by(messages.id.desc()).limit(SHOWN)
    )
    return tuple(map(_delivery, rows))


def _delivery(row: Any) -> Delivery:
    return Delivery(
        row.kind,
        row.channel,
        row.address,
        row.state,
        row.reason or "",
        row.ended_at or row.created_at,
        row.tries,
        row.due_at if row.state == MessageState.QUEUED and row.tries else None,
        row.link_id is not None,
    )


def missed() -> Select[Any, Any]:
    """Building block: the accounts whose owner a message that lets them in has not reached, with the latest such one.

    That is over once the owner has signed in, the password is another one, a later one has gone the same way or is
    about to, or, where the owner has a password of their own, messages go to another address. For use in a query.
    """
    failed, later, opening = OUTBOX_MESSAGES.c, OUTBOX_MESSAGES.alias().c, [str(kind) for kind in sorted(OPENING)]
    followed = (
        select(later.id)
        .where(later.account_id == failed.account_id, later.channel == failed.channel, later.id > failed.id)
        .where(later.kind.in_(opening), later.state.in_([MessageState.QUEUED, MessageState.SENT]))
    )
    return (
        select(failed.account_id, func.max(failed.id).label("message_id"))
        .join(ACCOUNTS, ACCOUNTS.c.id == failed.account_id)
        .where(failed.state == literal_column("'FAILED'"), failed.kind.in_(opening))  # as the index has it
        .where(failed.created_at >= ACCOUNTS.c.password_changed_at)
        .where(or_(ACCOUNTS.c.last_sign_in_at.is_(None), ACCOUNTS.c.last_sign_in_at < failed.created_at))
        .where(or_(ACCOUNTS.c.password_temporary, recipients.is_where(failed.channel, failed.address)))
        .where(~followed.exists())
        .group_by(failed.account_id)
    )


def missed_by(session: Session, account_ids: Iterable[int]) -> frozenset[int]:
    """Which of these accounts ``missed`` has. One statement, and none where there is nobody to ask about."""
    wanted = list(account_ids)
    if not wanted:
        return frozenset()
    return frozenset(session.execute(_missed_by(), {"accounts": wanted}).scalars())


@lru_cache(maxsize=1)
def _missed_by() -> Any:
    """Kept: putting it together takes longer than running."""
    return missed().where(OUTBOX_MESSAGES.c.account_id.in_(bindparam("accounts", expanding=True)))


def last_opening(session: Session, account_ids: Iterable[int], state: MessageState) -> dict[int, Delivery]:
    """Of each of these accounts the latest message in this state that lets its owner in."""
    messages, opening = OUTBOX_MESSAGES.c, [str(kind) for kind in sorted(OPENING)]
    latest = (
        select(func.max(messages.id))
        .where(messages.account_id.in_(list(account_ids)), messages.kind.in_(opening), messages.state == state)
        .group_by(messages.account_id)
    )
    rows = session.execute(select(OUTBOX_MESSAGES).where(messages.id.in_(latest)))
    return {row.account_id: _delivery(row) for row in rows}


def waits_for_access(session: Session, account_id: int) -> bool:
    """Whether the latest message that lets the owner in was not sent because access was off, or not sent yet."""
    messages, opening = OUTBOX_MESSAGES.c, [str(kind) for kind in sorted(OPENING)]
    latest = session.execute(
        select(messages.state, messages.reason)
        .where(messages.account_id == account_id, messages.kind.in_(opening))
        .order_by(messages.id.desc())
        .limit(1)
    ).first()
    return latest is not None and (
        latest.state == MessageState.QUEUED or (latest.state, latest.reason) == (MessageState.DROPPED, ACCESS_OFF)
    )


def link_sent_until(session: Session, account_id: int) -> dt.datetime | None:
    """How long a link that was sent still sets a password; None where none does."""
    found, messages = ONE_TIME_LINKS.c, OUTBOX_MESSAGES.c
    return session.execute(
        select(func.max(found.expires_at))
        .join(OUTBOX_MESSAGES, messages.link_id == found.id)
        .where(found.account_id == account_id, found.purpose.in_(links.PASSWORD))
        .where(found.ended_at.is_(None), found.expires_at > clock.now(), messages.state == MessageState.SENT)
    ).scalar_one()


def reach(to: Recipient) -> tuple[Reach, ...]:
    """Where a message could go now; empty where there is nothing to send with, or no address."""
    return tuple(Reach(channel, address, allowed) for channel, address, allowed in _addresses(to))


def invitation_life() -> dt.timedelta:
    """How long a link lives that is sent without a new temporary password: as long as one would."""
    return dt.timedelta(hours=get_settings().temporary_password_hours)
