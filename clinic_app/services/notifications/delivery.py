"""The worker that sends what the outbox holds: after the commit, at least once, once more for each time it dies.

A message is leased before it is sent, so that of several workers one sends it. Whoever dies in between is followed when
the lease is over, with the same Message-ID and the same link: a mail program shows the second copy once. Text messages,
too, are sent at least once: a code that comes twice does less harm than one that never comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, or_, select, update
from sqlmodel import Session

from clinic_app.core import clock, db, logs, periodic
from clinic_app.core.errors import Unavailable
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.models.notifications import ONE_TIME_LINKS, OUTBOX_MESSAGES, MessageState
from clinic_app.models.patients import PATIENTS
from clinic_app.models.registrations import SELF_REGISTRATIONS, RegistrationState
from clinic_app.services.access import SYSTEM
from clinic_app.services.audit.actions import Action, Outcome
from clinic_app.services.audit.recording import record
from clinic_app.services.notifications import letters, links, outbox, transports
from clinic_app.services.notifications.kinds import WITH_CONSENT, Channel, Kind, open_channels
from clinic_app.services.notifications.transports import NotSent

#: The worker looks so often, in seconds, besides when something was written.
EVERY = 5.0
#: While much is written it looks so often at most, in seconds.
APART = 0.25
#: Longer than sending can take (``transports.WHOLE``): of two workers the first has given up by then.
LEASE = dt.timedelta(seconds=90)
#: After the first try that failed, and from then on; the last one goes on until the message's time is over.
BACK_OFF = tuple(dt.timedelta(seconds=s) for s in (30, 120, 600, 1800, 3600, 7200))
#: So many at once: mail servers count connections.
AT_ONCE = 4
#: Seconds for which nothing more goes a way that does not answer.
REST = 30.0


@dataclass(frozen=True, slots=True)
class _Ended:
    """Why a message is not sent at all."""

    state: MessageState
    reason: str


def _claim(channels: tuple[str, ...], limit: int) -> list[Row[Any]]:
    """Lease up to ``limit`` messages that are due, the longest waiting first."""
    now, messages = clock.now(), OUTBOX_MESSAGES.c
    free: ColumnElement[bool] = or_(messages.leased_until.is_(None), messages.leased_until <= now)
    due = (
        select(messages.id)
        .where(messages.state == MessageState.QUEUED, messages.due_at <= now, free, messages.channel.in_(channels))
        .order_by(messages.due_at)
        .limit(limit)
    )
    with db.reading() as session:  # most of the time there is none: nothing is written then
        if session.execute(due).first() is None:
            return []
    with db.transaction() as session:
        ids = session.execute(due.with_for_update(skip_locked=True)).scalars().all()
        rows = session.execute(
            update(OUTBOX_MESSAGES)
            .where(messages.id.in_(ids))
            .values(lease=secrets.token_hex(16), leased_until=now + LEASE, tries=messages.tries + 1)
            .returning(OUTBOX_MESSAGES)
        )
        return list(rows.all())


def _is_allowed(message: Row[Any], about: Row[Any]) -> bool:
    """Whether the patient allows invitations and reminders the way this one goes."""
    return bool(about.email_allowed if message.channel == Channel.EMAIL else about.sms_allowed)


def _why_not(message: Row[Any], about: Row[Any], link: Row[Any] | None) -> _Ended | None:
    """Whether it makes sense to send it still."""
    now = clock.now()
    if message.expires_at <= now:
        return _Ended(MessageState.FAILED, message.reason or "EXPIRED")
    if link is not None and not about.is_active:
        return _Ended(MessageState.DROPPED, outbox.ACCESS_OFF)
    if link is not None and (link.ended_at is not None or link.expires_at <= now):
        return _Ended(MessageState.DROPPED, "LINK_OVER")
    if message.kind in WITH_CONSENT and not _is_allowed(message, about):
        return _Ended(MessageState.HELD, outbox.NOT_ALLOWED)
    return None


def _read(message: Row[Any]) -> tuple[Row[Any], Row[Any] | None]:
    with db.reading() as session:
        about = session.execute(
            select(
                ACCOUNTS.c.username,
                ACCOUNTS.c.is_active,
                ACCOUNTS.c.full_name,
                PATIENTS.c.first_name,
                func.coalesce(PATIENTS.c.email_allowed, True).label("email_allowed"),
                func.coalesce(PATIENTS.c.sms_allowed, True).label("sms_allowed"),
            )
            .outerjoin(PATIENTS, PATIENTS.c.id == ACCOUNTS.c.patient_id)
            .where(ACCOUNTS.c.id == message.account_id)
        ).one()
        link = None
        if message.link_id is not None:
            link = session.execute(select(ONE_TIME_LINKS).where(ONE_TIME_LINKS.c.id == message.link_id)).one()
    return about, link


def _prepare(message: Row[Any]) -> transports.Email | transports.TextMessage | _Ended:
    """What to hand over, or why nothing. The link in it can be used from here on: one hash, once a link."""
    if message.registration_id is not None:
        return _prepare_confirmation(message)
    about, link = _read(message)
    if (ended := _why_not(message, about, link)) is not None:
        return ended
    if message.kind == Kind.PASSWORD_RESET and not _is_allowed(message, about):
        link = None  # forbidden since it was written: the notice goes, the link does not
    code = ""
    if link is not None:
        code = links.code_of(link.seed)
        if link.code_digest is None:
            links.make_findable(link.id, link.seed)
    known = letters.Known(
        first_name=about.first_name or about.full_name,
        username=about.username,
        at=message.created_at,
        code=code,
        until=link.expires_at if link is not None else None,
        facts=message.facts,
    )
    kind = Kind(message.kind)
    if message.channel == Channel.SMS:
        return transports.TextMessage(message.address, letters.text_message(kind, known))
    return _email(message, known)


def _prepare_confirmation(message: Row[Any]) -> transports.Email | _Ended:
    """The same for a self-registration, whose row has its code."""
    rows = SELF_REGISTRATIONS.c
    with db.reading() as session:
        row = session.execute(
            select(rows.id, rows.seed, rows.code_digest, rows.state, rows.expires_at).where(
                rows.id == message.registration_id
            )
        ).one()
    if message.expires_at <= clock.now():
        return _Ended(MessageState.FAILED, message.reason or "EXPIRED")
    if row.state != RegistrationState.UNCONFIRMED:
        return _Ended(MessageState.DROPPED, "LINK_OVER")
    if row.code_digest is None:
        links.make_findable(row.id, row.seed, SELF_REGISTRATIONS)
    return _email(message, letters.Known("", "", message.created_at, links.code_of(row.seed), row.expires_at))


def _email(message: Row[Any], known: letters.Known) -> transports.Email:
    written = letters.letter(Kind(message.kind), known)
    return transports.Email(
        message.address,
        message.message_id,
        written.subject,
        letters.as_text(written, known),
        letters.as_html(written, known),
        message.created_at,
    )


def _mine(message: Row[Any]) -> ColumnElement[bool]:
    messages = OUTBOX_MESSAGES.c
    return and_(messages.id == message.id, messages.lease == message.lease, messages.state == MessageState.QUEUED)


def _end(message: Row[Any], state: MessageState, reason: str | None) -> None:
    """Note how it ended, and record it. Nothing where another worker has taken it over meanwhile."""
    with db.transaction() as session:
        ended = session.execute(
            update(OUTBOX_MESSAGES)
            .where(_mine(message))
            .values(state=state, reason=reason, ended_at=clock.now(), lease=None, leased_until=None)
            .returning(OUTBOX_MESSAGES.c.id)
        ).one_or_none()
        if ended is not None:
            _record(session, message, state, reason)


def _about(session: Session, message: Row[Any]) -> tuple[str, int]:
    """Of whom it is: the type and the id of what the trail names."""
    if message.registration_id is not None:
        return "registration", message.registration_id
    patient_id = session.execute(
        select(ACCOUNTS.c.patient_id).where(ACCOUNTS.c.id == message.account_id)
    ).scalar_one_or_none()
    return ("patient", patient_id) if patient_id is not None else ("account", message.account_id)


def _record(session: Session, message: Row[Any], state: MessageState, reason: str | None) -> None:
    resource_type, resource_id = _about(session, message)
    sent = state == MessageState.SENT
    record(
        session,
        SYSTEM,
        Action.MESSAGE_SENT if sent else Action.MESSAGE_NOT_SENT,
        outcome=Outcome.SUCCESS if sent else Outcome.FAILURE,
        resource_type=resource_type,
        resource_id=resource_id,
        details={"kind": message.kind, "channel": message.channel, **({"reason": reason} if reason else {})},
        changes_lists=True,
    )


def _try_later(message: Row[Any], reason: str | None, wait: dt.timedelta, *, counted: bool = True) -> None:
    """Leave it for later. ``counted``: it was tried, and that failed."""
    values: dict[str, Any] = {
        "due_at": min(clock.now() + wait, message.expires_at),
        "lease": None,
        "leased_until": None,
    }
    if counted:
        values["reason"] = reason
    else:
        values["tries"] = OUTBOX_MESSAGES.c.tries - 1
    with db.transaction() as session:
        session.execute(update(OUTBOX_MESSAGES).where(_mine(message)).values(values))
        db.changed(session)


async def _send(message: Row[Any]) -> NotSent | None:
    """Try one leased message, and note what came of it."""
    try:
        made = await asyncio.to_thread(_prepare, message)
    except Unavailable:  # too many hashes wait: people first
        await asyncio.to_thread(_try_later, message, None, BACK_OFF[0], counted=False)
        return None
    if isinstance(made, _Ended):
        await asyncio.to_thread(_end, message, made.state, made.reason)
        return None
    try:
        if isinstance(made, transports.Email):
            await transports.send_email(made)
        else:
            await transports.send_text_message(made)
    except NotSent as why:
        if why.final:
            await asyncio.to_thread(_end, message, MessageState.FAILED, why.reason)
        else:
            wait = BACK_OFF[min(message.tries, len(BACK_OFF)) - 1]
            await asyncio.to_thread(_try_later, message, why.reason, wait)
        return why
    await asyncio.to_thread(_end, message, MessageState.SENT, None)
    return None


def _give_up() -> None:
    """Messages whose time is over and that nobody tries any more, since nothing is configured for them: they failed."""
    now, messages = clock.now(), OUTBOX_MESSAGES.c
    over = and_(
        messages.state == MessageState.QUEUED, messages.expires_at <= now, messages.channel.not_in(open_channels())
    )
    with db.reading() as session:
        rows = session.execute(select(OUTBOX_MESSAGES).where(over).limit(100)).all()
    for message in rows:
        _end(message, MessageState.FAILED, "CHANNEL_OFF")


class Worker:
    """Sends what is due. One for a process; any number of processes."""

    def __init__(self) -> None:
        self._rests: dict[str, float] = {}

    def _awake(self) -> tuple[str, ...]:
        now = time.monotonic()
        return tuple(channel for channel in open_channels() if self._rests.get(channel, 0.0) <= now)

    async def send_due(self) -> int:
        """Send everything that is due now; returns how many were tried."""
        tried = 0
        while channels := self._awake():
            claimed = await asyncio.to_thread(_claim, channels, AT_ONCE)
            if not claimed:
                break
            tried += len(claimed)
            outcomes = await asyncio.gather(*map(self._one, claimed))
            for message, why in zip(claimed, outcomes, strict=True):
                if why is not None and why.at_rest:
                    self._rests[message.channel] = time.monotonic() + REST
        await asyncio.to_thread(_give_up)
        return tried

    async def _one(self, message: Row[Any]) -> NotSent | None:
        try:
            return await _send(message)
        except Exception as error:  # noqa: BLE001  one that cannot be made or noted does not hold up the others
            logs.failure(error, "outbox")
            return None  # its lease runs out, and it is tried again


@contextlib.asynccontextmanager
async def sending() -> AsyncIterator[None]:
    """Send for as long as the block lasts: a lifespan task of each worker."""
    worker, wake, loop = Worker(), asyncio.Event(), asyncio.get_running_loop()

    async def work() -> None:
        await worker.send_due()

    def hint() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(wake.set)

    with db.on_change(hint):
        async with periodic.running(work, EVERY, failed="outbox_failed", wake=wake, apart=APART):
            yield


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the outbox holds: how many messages in each state, and since when the oldest of those queued waits (UTC)."""

    states: dict[str, int]
    oldest: dt.datetime | None


def waiting() -> Waiting:
    """How far messages have come, for whoever runs the clinic: numbers alone."""
    messages = OUTBOX_MESSAGES.c
    with db.reading() as session:
        counts = session.execute(select(messages.state, func.count().label("number")).group_by(messages.state)).all()
        oldest = session.execute(
            select(func.min(messages.created_at)).where(messages.state == MessageState.QUEUED)
        ).scalar_one_or_none()
    return Waiting({row.state: row.number for row in counts}, oldest)
