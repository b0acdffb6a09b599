"""Slips for the accounts of a run: fresh temporary passwords, made and shown once, in the request that asks for them.

Only where the password is still the one that the run made, which nobody has seen: a slip that was printed, or a
password that the desk has handed over since, is never replaced. Nobody is told by a message, for nothing that anybody
knows has changed; links that were sent stay good until one of the two is used.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlmodel import Session

from clinic_app.core import context, db
from clinic_app.core.errors import AuthenticationRequired, ClinicError, PermissionDenied, Unavailable
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.models.notifications import OUTBOX_MESSAGES, MessageState
from clinic_app.models.portal_runs import PORTAL_RUN_ITEMS, ItemState
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts.portal_accounts import prepare_credentials, put_temporary_password
from clinic_app.services.accounts.views import Credentials
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.recording import record
from clinic_app.services.notifications.kinds import Kind
from clinic_app.services.patients import repository
from clinic_app.services.patients.looks import Seen
from clinic_app.services.portal import provisioning
from clinic_app.services.portal.errors import NoSlips, PortalAccessChanged
from clinic_app.services.rates import rates

#: So many in one request: each costs a hash.
AT_ONCE = 20
_ITEMS = PORTAL_RUN_ITEMS.c


@dataclass(frozen=True, slots=True)
class Slip:
    """What one slip says. The password exists here and on the page only."""

    name: str
    credentials: Credentials


@dataclass(frozen=True, slots=True)
class _Unseen:
    """An account of a run whose password nobody has seen."""

    patient: int
    username: str
    since: dt.datetime


_UNSEEN = (
    select(_ITEMS.patient_id)
    .join(ACCOUNTS, ACCOUNTS.c.id == _ITEMS.account_id)
    .where(
        _ITEMS.state == ItemState.CREATED,
        ACCOUNTS.c.is_active,
        ACCOUNTS.c.password_temporary,
        ACCOUNTS.c.password_changed_at <= _ITEMS.done_at,
    )
)
_REACHED = (
    select(OUTBOX_MESSAGES.c.id)
    .where(OUTBOX_MESSAGES.c.account_id == ACCOUNTS.c.id, OUTBOX_MESSAGES.c.kind == str(Kind.INVITATION))
    .where(OUTBOX_MESSAGES.c.state.in_([str(MessageState.SENT), str(MessageState.QUEUED)]))
    .exists()
)


def count_unseen(session: Session, run_id: int) -> tuple[int, int]:
    """Building block: how many a slip can be printed for, and of how many of those no invitation is on its way."""
    counted = _UNSEEN.with_only_columns(func.count(), func.count().filter(~_REACHED)).where(_ITEMS.run_id == run_id)
    everybody, undelivered = session.execute(counted).one()
    return everybody, undelivered


def _next_unseen(session: Session, run_id: int, *, undelivered: bool) -> tuple[_Unseen, ...]:
    """The first ``AT_ONCE`` of those, in the order of the run."""
    accounts = ACCOUNTS.c
    wanted = _UNSEEN.with_only_columns(_ITEMS.patient_id, accounts.username, accounts.password_changed_at)
    wanted = wanted.where(_ITEMS.run_id == run_id, *([~_REACHED] if undelivered else []))
    rows = session.execute(wanted.order_by(_ITEMS.patient_id).limit(AT_ONCE))
    return tuple(_Unseen(row.patient_id, row.username, row.password_changed_at) for row in rows)


def make_slips(actor: Actor, run_id: int, *, undelivered: bool) -> tuple[Slip, ...]:
    """Fresh temporary passwords for accounts of a run, ``AT_ONCE`` at most: those ``undelivered``, or all of them.

    For administrators. Each account by itself; one that has changed meanwhile is left out. That they were printed is
    recorded of each. Raises ``NoSlips`` where there is none, ``PermissionDenied``, ``TooManyRequests``.
    """
    demand(actor, Permission.PORTAL_BULK, resource_type="patient")
    rates().spend(actor, "bulk")
    with db.reading() as session:
        chosen = _next_unseen(session, run_id, undelivered=undelivered)
    if not chosen:
        raise NoSlips
    with transaction(actor) as session:  # the press counts with this
        details = {"run": run_id, "slips": len(chosen)}
        record(session, actor, Action.PORTAL_BULK_RUN, resource_type="patient", details=details)
    made: list[Slip] = []
    with context.use(dataclasses.replace(context.current(), intent="")):
        for one in chosen:
            try:
                made.append(_fresh(actor, one))
            except (AuthenticationRequired, PermissionDenied, Unavailable):
                break  # what is made is shown: it is nowhere else
            except ClinicError:
                continue
    if not made:
        raise NoSlips
    return tuple(made)


def _fresh(actor: Actor, one: _Unseen) -> Slip:
    credentials, hashed = prepare_credentials(one.username, in_bulk=True)
    with transaction(actor) as session:
        patient = repository.find(session, one.patient, Seen.CHANGED, lock=True)
        account = provisioning.account_of(session, patient, None, lock=True)
        same = account.username == one.username and account.password_changed_at == one.since
        if not (same and account.password_temporary and account.is_active):
            raise PortalAccessChanged
        put_temporary_password(session, account, credentials, hashed, "password reset")
        provisioning.note_change(session, actor, Action.PORTAL_PASSWORD_RESET, patient, account)
        record(session, actor, Action.CREDENTIALS_PRINTED, resource_type="patient", resource_id=patient.id)
        name = provisioning.shown(patient).name
    return Slip(name, credentials)
