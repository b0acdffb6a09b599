"""The audit trail."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from clinic_app.api import schemas, serializers
from clinic_app.api.endpoint import Answer, Ask, Call, Needs, Route
from clinic_app.api.openapi import PAGING, parameter, takes
from clinic_app.core.errors import InvalidInput
from clinic_app.services.access import Permission
from clinic_app.services.audit.actions import Action, Outcome
from clinic_app.services.audit.browsing import AuditQuery, browse_audit

router = APIRouter(prefix="/v1/audit", route_class=Route, tags=["Audit trail"])
_FILTERS = ("since", "until", "actor", "action", "patient", "outcome")


def _instant(query: dict[str, str], name: str) -> dt.datetime | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        found = dt.datetime.fromisoformat(text)
        return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise InvalidInput({name: f"{name} must be an instant such as 2026-06-18T09:00:00Z."}) from None


def _one_of(query: dict[str, str], name: str, known: type[Action] | type[Outcome]) -> str | None:
    text = query.get(name)
    if text is not None and text not in list(known):
        raise InvalidInput({name: f"{name} must be one of {', '.join(known)}."})
    return text


def _patient(text: str | None) -> int | str | None:
    if text is None:
        return None
    if not text.isascii() or not text.isalnum() or len(text) > 20:
        raise InvalidInput({"patient": "patient must be an id or a patient ID."})
    return int(text) if text.isdecimal() else text


def _actor(text: str | None) -> str | None:
    if text is not None and not (text.isprintable() and 1 <= len(text) <= 254):
        raise InvalidInput({"actor": "actor must be a username."})
    return text


def _browse(ask: Ask) -> Answer:
    query = ask.query(*_FILTERS, "page", "page_size")
    page, size = serializers.paging(query)
    wanted = AuditQuery(
        since=_instant(query, "since"),
        until=_instant(query, "until"),
        actor=_actor(query.get("actor")),
        action=_one_of(query, "action", Action),
        patient=_patient(query.get("patient")),
        outcome=_one_of(query, "outcome", Outcome),
        page=page,
        page_size=size,
    )
    kept = {name: query.get(name) for name in _FILTERS}
    return 200, serializers.listing(ask, browse_audit(ask.actor, wanted), page, serializers.event, **kept)


_INSTANT = {"type": "string", "format": "date-time"}


@router.get(
    "/",
    operation_id="browse_audit",
    response_model=schemas.Listing[schemas.Event],
    openapi_extra=takes(
        parameters=(
            parameter("since", "Events at or after this time.", _INSTANT, "2026-06-18T00:00:00Z"),
            parameter("until", "Events before this time.", _INSTANT),
            parameter(
                "actor", "Username of the account that did it.", {"type": "string", "minLength": 1, "maxLength": 254}
            ),
            parameter("action", "Only this action.", {"type": "string", "enum": [str(a) for a in Action]}),
            parameter(
                "patient",
                "Only events about this patient: the id or the patient ID.",
                {"type": "string", "pattern": "^[A-Za-z0-9]{1,20}$"},
                "LMC000123",
            ),
            parameter("outcome", "Only this outcome.", {"type": "string", "enum": [str(o) for o in Outcome]}),
            *PAGING,
        )
    ),
)
async def browse(call: Annotated[Call, Depends(Needs(Permission.AUDIT_SEE))]) -> Response:
    """The trail, newest first. Reading it is itself recorded."""
    return await call.answer(_browse)
