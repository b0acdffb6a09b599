"""What Reception shows about today."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Collection
from typing import Any

from sqlalchemy import bindparam, func, select

from clinic_app.core import clock, continuous_copy, db, storage
from clinic_app.core.prepared import Prepared
from clinic_app.core.settings import get_settings
from clinic_app.models.accounts import Role
from clinic_app.models.patients import PATIENTS
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.together import record_alone
from clinic_app.services.patients import looks, register_counts, repository, waiting
from clinic_app.services.patients.views import Overview, Uncounted

DAYS, LATEST = 14, 5
#: So many are named.
NAMED = 20


_STARTS: list[Any] = [bindparam(f"start{number}", type_=PATIENTS.c.created_at.type) for number in range(DAYS + 1)]


def _registered(number: int) -> Any:
    """How many were registered on one of the days. Counted by the index: a large clinic registers thousands in them."""
    on_it = select(func.count()).where(PATIENTS.c.is_active, PATIENTS.c.created_at >= _STARTS[number])
    return on_it.where(PATIENTS.c.created_at < _STARTS[number + 1]).scalar_subquery().label(f"day{number}")


_BY_DAY = Prepared(select(*map(_registered, range(DAYS))))
_LATEST = Prepared(
    repository.summaries()
    .where(PATIENTS.c.is_active)
    .order_by(PATIENTS.c.created_at.desc(), PATIENTS.c.id.desc())
    .limit(bindparam("most"))
)


def overview(actor: Actor, *, again: Collection[int] | None = None) -> Overview:
    """Today's numbers, the latest patients and registrations per day. For staff; raises ``PermissionDenied``.

    That the latest are shown is recorded before; where a page is drawn ``again`` by itself, which has the ids of who
    is on the screen, only if somebody else comes there.
    """
    demand(actor, Permission.PATIENT_SEE)
    today = clock.today()
    first = today - dt.timedelta(days=DAYS - 1)
    days = [first + dt.timedelta(days=number) for number in range(DAYS + 1)]
    starts = {f"start{number}": clock.start_of_day(day) for number, day in enumerate(days)}
    with db.reading() as session:
        counts = dict(zip(days, _BY_DAY.all(session, **starts)[0], strict=False))
        total, with_portal = register_counts.counts(session)
        waits, since = waiting.count(session)
        latest = _LATEST.all(session, most=LATEST)
        found = Overview(
            registered_today=counts[today],
            registered_yesterday=counts[days[-3]],
            patients=total,
            with_portal=with_portal,
            waiting=waits,
            waiting_since=since,
            latest=repository.summaries_of(session, latest),
            days=tuple(counts.items()),
            room_left=_room_left() if actor.role == Role.ADMIN else None,
            copy_late=_copy_late() if actor.role == Role.ADMIN else None,
            copy_damaged=actor.role == Role.ADMIN and _copy_damaged(),
        )
    if found.latest and looks.anybody_new(found.latest, again):
        details = {"kind": "reception", "page": 1, "count": len(found.latest)}
        record_alone(actor, Action.PATIENT_LISTED, resource_type="patient", details=details)
    return found


def _room_left() -> int | None:
    with contextlib.suppress(OSError):  # a disk that does not answer is told elsewhere
        settings = get_settings()
        return storage.least_free(settings)[1] if storage.is_low(settings) else None
    return None


def _copy_late() -> float | None:
    settings = get_settings()
    known = continuous_copy.known(settings)
    return known.late(settings.copy_every_ms) if known else None


def _copy_damaged() -> bool:
    known = continuous_copy.known(get_settings())
    return bool(known and known.damaged)


def uncounted_national_ids() -> Uncounted:
    """Whose national ID, from before numbers were compared by letters and digits, is not theirs alone or no number.

    For whoever runs the program, on its machine; patient IDs only.
    """
    where = [PATIENTS.c.national_id.is_not(None), PATIENTS.c.national_id_key.is_(None)]
    with db.reading() as session:
        total = session.execute(select(func.count()).select_from(PATIENTS).where(*where)).scalar_one()
        first = session.execute(select(PATIENTS.c.patient_id).where(*where).order_by(PATIENTS.c.id).limit(NAMED))
        return Uncounted(total, tuple(first.scalars()))
