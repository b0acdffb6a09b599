"""What may be asked of the trail, read from what somebody typed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from clinic_app.core import clock
from clinic_app.core.errors import InvalidInput
from clinic_app.services.audit.actions import Action, Outcome
from clinic_app.services.audit.browsing import AuditQuery

FILTERS = ("since", "until", "actor", "action", "patient", "outcome")
_EARLIEST, _LATEST = dt.date(2000, 1, 1), dt.date(2999, 12, 31)


def _day(text: str) -> dt.date:
    day = dt.date.fromisoformat(text)
    if not _EARLIEST <= day <= _LATEST:
        raise ValueError
    return day


def _days(given: Mapping[str, str], problems: dict[str, str]) -> tuple[dt.datetime | None, dt.datetime | None]:
    found: dict[str, dt.date] = {}
    for name, word in (("since", "From"), ("until", "To")):
        if given[name]:
            try:
                found[name] = _day(given[name])
            except ValueError:
                problems[name] = f"{word} must be a date such as 2026-06-18."
    first, last = found.get("since"), found.get("until")
    if first and last and last < first:
        problems["until"] = "To must not be before From."
    return (
        clock.start_of_day(first) if first else None,
        clock.start_of_day(last + dt.timedelta(days=1)) if last else None,
    )


def audit_query(data: Mapping[str, Any], *, page: int = 1, page_size: int = 20) -> AuditQuery:
    """The question behind a form's fields ``since``, ``until``, ``actor``, ``action``, ``patient``, ``outcome``.

    Days are ISO dates at the clinic, both included. Empty fields ask for nothing. Raises ``InvalidInput``.
    """
    given = {name: value.strip() if isinstance(value := data.get(name), str) else "" for name in FILTERS}
    problems: dict[str, str] = {}
    since, until = _days(given, problems)
    if len(given["actor"]) > 254 or not given["actor"].isprintable():
        problems["actor"] = "Username must be at most 254 printable characters."
    if given["action"] and given["action"] not in list(Action):
        problems["action"] = "Choose one of the actions."
    if given["outcome"] and given["outcome"] not in list(Outcome):
        problems["outcome"] = "Choose one of the outcomes."
    patient = given["patient"]
    if patient and not (patient.isascii() and patient.isalnum() and len(patient) <= 20):
        problems["patient"] = "Patient ID must be letters and digits, such as LMC000123."
    if problems:
        raise InvalidInput(problems)
    return AuditQuery(
        since=since,
        until=until,
        actor=given["actor"] or None,
        action=given["action"] or None,
        patient=(int(patient) if patient.isdecimal() else patient) or None,
        outcome=given["outcome"] or None,
        page=page,
        page_size=page_size,
    )
