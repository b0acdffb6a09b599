"""Which patients a run of portal accounts is about: who is chosen and eligible, and why others are not."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, func, or_, select
from sqlmodel import Session

from clinic_app.core import clock, db
from clinic_app.core.errors import InvalidInput
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.models.patients import PATIENTS
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.together import record_alone
from clinic_app.services.patients.wording import full_name
from clinic_app.services.rates import LISTS, rates

AGES = ("", "ADULT", "CHILD")
_ADULT = 18
NO_MESSAGES = "no_messages"
#: Why somebody is not eligible, by the code of the error that a try would end with, in the order in which it is said.
WHY_NOT = ("portal_account_exists", "portal_email_required", "email_in_use", NO_MESSAGES)
#: So many of the chosen are on one page of the preview.
PREVIEW_ROWS = 10


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which patients: registered on these days at the clinic (both included), of an age group, with a language."""

    registered_from: dt.date | None = None
    registered_until: dt.date | None = None
    age: str = ""
    language: str = ""

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Chosen:
        """Check ``data``: days as ``2026-01-15``. Raises ``InvalidInput`` by field."""
        problems: dict[str, str] = {}

        def day(name: str) -> dt.date | None:
            try:
                return dt.date.fromisoformat(text) if (text := str(data.get(name) or "").strip()) else None
            except ValueError:
                problems[name] = "A day is written like 2026-01-15."
                return None

        found = cls(day("registered_from"), day("registered_until"), str(data.get("age") or "").upper())
        if found.age not in AGES:
            problems["age"] = "The age group is adult or child."
        if problems:
            raise InvalidInput(problems)
        return cls(found.registered_from, found.registered_until, found.age, str(data.get("language") or "")[:35])

    def as_json(self) -> dict[str, Any]:
        """As it is kept."""
        days = {"registered_from": self.registered_from, "registered_until": self.registered_until}
        return {name: day.isoformat() if day else None for name, day in days.items()} | {
            "age": self.age,
            "language": self.language,
        }


@dataclass(frozen=True, slots=True)
class ChosenPatient:
    """One of the chosen. ``why_not`` (of ``WHY_NOT``) is empty where they are eligible; ``since``: of their login."""

    patient_id: str
    name: str
    email: str
    why_not: str
    since: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Preview:
    """How many are chosen, how many of them are eligible, and how many are not, by the reason (``WHY_NOT``).

    ``rows``: one ``page`` of them, where a page was asked for.
    """

    chosen: int
    eligible: int
    why_not: Mapping[str, int]
    rows: tuple[ChosenPatient, ...] = ()
    page: int = 1


def _birthday(years: int) -> dt.date:
    today = clock.today()
    try:
        return today.replace(year=today.year - years)
    except ValueError:  # 29 February
        return today.replace(year=today.year - years, day=28)


def conditions(chosen: Chosen) -> list[ColumnElement[bool]]:
    """Building block: what is true of the patients chosen."""
    patients, day = PATIENTS.c, dt.timedelta(days=1)
    found: list[ColumnElement[bool]] = [patients.is_active]
    if chosen.registered_from:
        found.append(patients.created_at >= clock.start_of_day(chosen.registered_from))
    if chosen.registered_until:
        found.append(patients.created_at < clock.start_of_day(chosen.registered_until + day))
    if chosen.age:
        grown = patients.date_of_birth <= _birthday(_ADULT)
        found += [patients.date_of_birth.is_not(None), grown if chosen.age == "ADULT" else ~grown]
    if chosen.language:
        found.append(patients.preferred_language == chosen.language)
    return found


def why_not() -> ColumnElement[str]:
    """Building block: why a patient is not eligible; empty where they are."""
    patients, other = PATIENTS.c, ACCOUNTS.alias()
    own = ACCOUNTS.alias()
    has_one = select(own.c.id).where(own.c.patient_id == patients.id).exists()
    taken = select(other.c.id).where(other.c.username == func.lower(patients.email)).exists()
    no_email = or_(patients.email.is_(None), patients.email == "")
    reasons = dict(zip(WHY_NOT, (has_one, no_email, taken, ~patients.email_allowed), strict=True))
    return case(*[(so, code) for code, so in reasons.items()], else_="")


def preview_run(actor: Actor, chosen: Chosen, page: int | None = None) -> Preview:
    """Who would get an account: in numbers, and one ``page`` of them, the newest first.

    That patients are named is recorded before. For administrators; raises ``PermissionDenied``, ``TooManyLists``.
    """
    demand(actor, Permission.PORTAL_BULK)
    rates().spend(actor, LISTS)
    with db.reading() as session:
        counted = session.execute(
            select(why_not().label("why"), func.count().label("number")).where(*conditions(chosen)).group_by("why")
        )
        found = Counter({row.why: row.number for row in counted})
        page = min(max(page, 1), max(1, -(-found.total() // PREVIEW_ROWS))) if page is not None else None
        rows = _rows(session, chosen, page) if page is not None else ()
    if rows:
        details = {"kind": "bulk preview", "page": page, "count": len(rows)}
        record_alone(actor, Action.PATIENT_LISTED, resource_type="patient", details=details)
    return Preview(found.total(), found[""], {code: found[code] for code in WHY_NOT}, rows, page or 1)


def _rows(session: Session, chosen: Chosen, page: int) -> tuple[ChosenPatient, ...]:
    patients = PATIENTS.c
    ids = (
        select(patients.id)
        .where(*conditions(chosen))
        .order_by(patients.id.desc())
        .limit(PREVIEW_ROWS)
        .offset((page - 1) * PREVIEW_ROWS)
        .subquery()
    )
    rows = session.execute(
        select(
            patients.patient_id,
            patients.first_name,
            patients.last_name,
            patients.email,
            why_not().label("why"),
            ACCOUNTS.c.created_at.label("since"),
        )
        .join(ids, ids.c.id == patients.id)
        .join(ACCOUNTS, ACCOUNTS.c.patient_id == patients.id, isouter=True)
        .order_by(patients.id.desc())
    )
    return tuple(
        ChosenPatient(row.patient_id, full_name(row.first_name, row.last_name), row.email or "", row.why, row.since)
        for row in rows
    )
