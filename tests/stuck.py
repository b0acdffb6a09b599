"""People who cannot get into the portal, for tests of whatever shows them."""

from __future__ import annotations

import datetime as dt
import itertools

from sqlalchemy import insert, select, update

from clinic_app.core import clock as clinic_clock
from clinic_app.core import db
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.models.audit import AUDIT_HEAD
from clinic_app.models.notifications import OUTBOX_MESSAGES
from clinic_app.services.patients.views import Registered
from tests import factories

GROUPS = ("locked", "failed", "expired", "soon", "never")
_numbers = itertools.count(1)


def account_of(done: Registered) -> int:
    """The id of their account."""
    with db.reading() as session:
        return session.scalars(select(ACCOUNTS.c.id).where(ACCOUNTS.c.patient_id == done.patient.id)).one()


def message(done, state="FAILED", kind="INVITATION", channel="email", reason="ADDRESS_REFUSED", **changes):
    """What the outbox holds of one message to this patient."""
    now = clinic_clock.now()
    row = {"kind": kind, "channel": channel, "account_id": account_of(done), "address": "somebody@example.org"}
    row |= {"facts": {}, "message_id": f"m{next(_numbers)}", "state": state, "created_at": now, "due_at": now}
    row |= {"reason": reason if state == "FAILED" else None, "expires_at": now + dt.timedelta(hours=48), "tries": 1}
    row |= {"ended_at": None if state == "QUEUED" else now} | changes
    with db.transaction() as session:
        session.execute(insert(OUTBOX_MESSAGES).values(**row))
        told(session)


def told(session) -> None:
    """What a use case says that alters what lists show."""
    session.execute(update(AUDIT_HEAD).values(changes=AUDIT_HEAD.c.changes + 1))


def expires_in(done, hours: float) -> None:
    with db.transaction() as session:
        until = clinic_clock.now() + dt.timedelta(hours=hours)
        session.execute(
            update(ACCOUNTS).where(ACCOUNTS.c.patient_id == done.patient.id).values(password_expires_at=until)
        )
        told(session)


def in_group(desk, group: str, **changes):
    """Somebody who belongs there."""
    email = f"stuck{next(_numbers)}@example.org"
    done = factories.make_patient(desk, portal_email=email, **changes)
    if group == "locked":
        factories.lock(email)
    elif group == "failed":
        message(done)
    elif group == "expired":
        expires_in(done, -1)
    elif group == "soon":
        expires_in(done, 5)
    return done
