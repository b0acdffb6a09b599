"""What Reception shows about today."""

from __future__ import annotations

import datetime as dt
from collections import Counter

from sqlalchemy import func, select

from clinic_app.core import clock, db
from clinic_app.models.patients import PATIENTS, VerificationStatus
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit.authorization import demand
from clinic_app.services.patients import repository
from clinic_app.services.patients.views import Overview

DAYS, LATEST = 14, 5


def overview(actor: Actor) -> Overview:
    """Today's numbers, the latest patients and registrations per day. For staff; raises ``PermissionDenied``."""
    demand(actor, Permission.PATIENT_SEE)
    now, today = clock.now(), clock.today()
    first = today - dt.timedelta(days=DAYS - 1)
    active = PATIENTS.c.is_active
    with db.reading() as session:
        created = session.execute(
            select(PATIENTS.c.created_at).where(active, PATIENTS.c.created_at >= clock.start_of_day(first))
        ).scalars()
        counts = Counter(clock.local(instant).date() for instant in created)
        total, with_portal = session.execute(
            select(func.count(), func.count().filter(PATIENTS.c.portal_enabled)).select_from(PATIENTS).where(active)
        ).one()
        waiting, since = session.execute(
            select(func.count(), func.min(PATIENTS.c.created_at)).where(
                active, PATIENTS.c.verification_status == VerificationStatus.PENDING
            )
        ).one()
        latest = session.execute(
            repository.summaries()
            .where(active)
            .order_by(PATIENTS.c.created_at.desc(), PATIENTS.c.id.desc())
            .limit(LATEST)
        )
        return Overview(
            registered_today=counts[today],
            registered_yesterday=counts[today - dt.timedelta(days=1)],
            patients=total,
            with_portal=with_portal,
            waiting=waiting,
            waiting_since=since,
            latest=tuple(repository.summary(row, now) for row in latest),
            days=tuple((day, counts[day]) for day in (first + dt.timedelta(days=n) for n in range(DAYS))),
        )
