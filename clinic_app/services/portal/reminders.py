"""Reminders: who has not used the link that sets a first password, and has a day left for it, is told once."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import AbstractAsyncContextManager
from typing import Any

from sqlalchemy import and_, or_, select

from clinic_app.core import clock, db, periodic
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.models.notifications import ONE_TIME_LINKS, OUTBOX_MESSAGES, LinkPurpose, MessageState
from clinic_app.models.patients import PATIENTS
from clinic_app.services.notifications import outbox
from clinic_app.services.notifications.kinds import Channel, Kind, open_channels

EVERY = 600.0  # seconds
#: A link is spoken of again when so much of its life is left, if that life is longer than the second, and it came
#: longer ago than the third: nobody is told at night of what came in the evening.
LEFT, LIFE, CAME = dt.timedelta(hours=24), dt.timedelta(hours=36), dt.timedelta(hours=12)
_AT_ONCE = 200


def _waiting(behind: int, now: dt.datetime) -> list[Any]:
    """Links that were sent, ``behind`` one message: those that end soon, where the patient still allows it."""
    links, sent, said = ONE_TIME_LINKS.c, OUTBOX_MESSAGES.c, OUTBOX_MESSAGES.alias().c
    reminded = select(said.id).where(said.link_id == links.id, said.kind == Kind.REMINDER, said.channel == sent.channel)
    allowed = or_(
        and_(sent.channel == Channel.EMAIL, PATIENTS.c.email_allowed),
        and_(sent.channel == Channel.SMS, PATIENTS.c.sms_allowed),
    )
    with db.reading() as session:
        rows = session.execute(
            select(sent.id, sent.account_id, sent.channel, sent.address, sent.link_id)
            .add_columns(links.created_at, links.expires_at)
            .join(ONE_TIME_LINKS, links.id == sent.link_id)
            .join(ACCOUNTS, ACCOUNTS.c.id == sent.account_id)
            .join(PATIENTS, PATIENTS.c.id == ACCOUNTS.c.patient_id)
            .where(links.purpose == LinkPurpose.ACTIVATE, links.ended_at.is_(None))
            .where(links.expires_at > now, links.expires_at <= now + LEFT)
            .where(sent.state == MessageState.SENT, sent.ended_at <= now - CAME, sent.channel.in_(open_channels()))
            .where(ACCOUNTS.c.is_active, ACCOUNTS.c.password_temporary, PATIENTS.c.is_active, allowed)
            .where(~reminded.exists(), sent.id > behind)
            .order_by(sent.id)
            .limit(_AT_ONCE)
        )
        return list(rows)


def remind_due() -> int:
    """Write the reminders that are due now; returns how many. For the server itself, any number of workers at once.

    One for each link and each way it went, where there is something to send with, the patient allows it, the account
    is on and its password still the temporary one.
    """
    now, behind, written = clock.now(), 0, 0
    while found := _waiting(behind, now):
        behind = found[-1].id
        wanted = [row for row in found if row.expires_at - row.created_at > LIFE]
        if wanted:
            with db.transaction() as session:
                written += sum(
                    outbox.remind(session, row.account_id, row.channel, row.address, row.link_id, row.expires_at)
                    for row in wanted
                )
    return written


def reminding() -> AbstractAsyncContextManager[None]:
    """Remind every ten minutes for as long as the block lasts: a lifespan task of each worker."""

    async def work() -> None:
        await asyncio.to_thread(remind_due)

    return periodic.running(work, EVERY, failed="reminders_failed")
