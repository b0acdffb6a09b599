"""Checking the chain: finds a changed, removed or inserted event."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from sqlalchemy import select

from clinic_app.core import db
from clinic_app.models.audit import AuditEvent, AuditHead
from clinic_app.services.audit.recording import link

_EVENTS = AuditEvent.__table__  # type: ignore[attr-defined]
_HEAD = AuditHead.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What ``verify`` found: ``ok``, how many events were read, the first bad ``seq`` and why it is bad."""

    ok: bool
    count: int
    first_bad: int | None = None
    why: str = ""


def verify() -> ChainReport:
    """Read the whole trail in order and recompute every link.

    For whoever runs the command line. Reads in one consistent view, a thousand rows at a time.
    """
    with db.reading() as session:
        head = session.execute(select(_HEAD).where(_HEAD.c.id == 1)).one_or_none()
        if head is None:
            return ChainReport(False, 0, None, "The head of the trail is missing.")
        count, previous = 0, ""
        rows = session.execute(select(_EVENTS).order_by(_EVENTS.c.seq).execution_options(yield_per=1000))
        for row in rows.mappings():
            if row["seq"] != count + 1:
                return ChainReport(False, count, count + 1, "An event is missing here, or one was put in.")
            if not hmac.compare_digest(link(previous, row), row["hash"]):
                return ChainReport(False, count, row["seq"], "This event was changed or put in.")
            count, previous = count + 1, row["hash"]
        if head.seq != count or not hmac.compare_digest(head.hash, previous):
            return ChainReport(False, count, count + 1, "The end of the trail does not match its head.")
        return ChainReport(True, count)
