"""Showing who may be the same person: nobody is shown without an event."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from sqlmodel import Session

from clinic_app.core import context, db
from clinic_app.models.patients import PATIENTS
from clinic_app.services import idempotency
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.together import record_alone
from clinic_app.services.patients import looks, repository
from clinic_app.services.patients.duplicates import holding
from clinic_app.services.patients.duplicates.comparable import Comparable
from clinic_app.services.patients.duplicates.scoring import SHOWN_FROM, Candidate
from clinic_app.services.patients.views import Match
from clinic_app.services.rates import rates


def matches_of(session: Session, candidates: Collection[Candidate]) -> tuple[Match, ...]:
    """Building block: candidates with what a list shows of them, in their order. Whoever shows them records that."""
    found = {one.id: one for one in candidates if one.grade.strong or one.score >= SHOWN_FROM}
    if not found:
        return ()
    rows = session.execute(repository.summaries().where(PATIENTS.c.id.in_(list(found)))).all()
    people = {one.id: one for one in repository.summaries_of(session, rows)}
    return tuple(
        Match(people[key], one.score, str(one.grade), one.reasons, one.grade.strong)
        for key, one in found.items()
        if key in people
    )


def record_shown(actor: Actor, matches: Collection[Match], kind: str) -> None:
    """Building block: the event of a list of possible duplicates, before it is shown.

    Where that is the answer to a registration, the press and the key it came with have done nothing yet.
    """
    if not matches:
        return
    details = {"kind": kind, "page": 1, "count": len(matches)}
    with idempotency.aside(), context.use(dataclasses.replace(context.current(), intent="")):
        record_alone(actor, Action.PATIENT_LISTED, resource_type="patient", details=details)


def possible_duplicates(actor: Actor, person: Comparable, *, again: Collection[int] | None = None) -> tuple[Match, ...]:
    """The patients who may be ``person``, who is being registered, best first, five at most.

    For receptionists and administrators. Recorded before they are shown, unless all of them are on the screen already:
    ``again`` has the ids of those. Raises ``TooManyRequests``, ``PermissionDenied``.
    """
    demand(actor, Permission.PATIENT_REGISTER, resource_type="patient")
    rates().spend(actor, "typing")
    with db.reading() as session:
        matches = matches_of(session, holding.look(session, person).candidates)
    if looks.anybody_new([match.patient for match in matches], again or ()):
        rates().spend(actor, "search")
        record_shown(actor, matches, holding.KIND)
    return matches
