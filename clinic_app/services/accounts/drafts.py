"""Half-filled forms, kept on the server for a day: by account and form, encrypted, never in a browser's storage."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select

from clinic_app.core import clock, db, encryption, logs
from clinic_app.core.errors import InvalidInput
from clinic_app.models.accounts import DRAFTS
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit.authorization import demand

_PURPOSE = "draft"
LIFE = dt.timedelta(hours=24)
FIELDS_AT_MOST, LONGEST_FIELD = 40, 2000
#: Form → who may have a draft of it. A profile's names the patient and the section.
_FORMS: tuple[tuple[re.Pattern[str], Permission], ...] = (
    (re.compile(r"registration"), Permission.PATIENT_REGISTER),
    (re.compile(r"profile-[A-Z]{1,8}[0-9]{6,12}-(details|contact)"), Permission.PATIENT_EDIT),
)
_NEVER = re.compile(r"passw|secret|code|token", re.I)


def _demand(actor: Actor, form: str) -> None:
    for pattern, permission in _FORMS:
        if pattern.fullmatch(form):
            demand(actor, permission)
            return
    raise InvalidInput({"form": "There is no such form."})


def _clean(fields: Mapping[str, Any]) -> dict[str, str]:
    """What is kept of ``fields``: texts that are not empty, of fields that hold no secret."""
    kept = {
        name[:60]: value[:LONGEST_FIELD]
        for name, value in fields.items()
        if isinstance(name, str) and isinstance(value, str) and value.strip() and not _NEVER.search(name)
    }
    return dict(list(kept.items())[:FIELDS_AT_MOST])


def _place(actor: Actor, form: str) -> str:
    return f"{actor.account_id}:{form}"


def save_draft(actor: Actor, form: str, fields: Mapping[str, Any]) -> None:
    """Keep what has been typed into ``form`` so far; an empty form removes the draft.

    For anybody who may send that form. Older drafts are removed. Raises ``InvalidInput`` for an unknown form,
    ``PermissionDenied``.
    """
    _demand(actor, form)
    kept, now = _clean(fields), clock.now()
    if not kept:
        discard_draft(actor, form)
        return
    values = {
        "account_id": actor.account_id,
        "form": form,
        "body": encryption.encrypt(json.dumps(kept), _PURPOSE, _place(actor, form)),
        "expires_at": now + LIFE,
    }
    with db.transaction() as session:
        session.execute(delete(DRAFTS).where(DRAFTS.c.expires_at <= now))
        db.upsert(session, DRAFTS, values, change={name: values[name] for name in ("body", "expires_at")})


def read_draft(actor: Actor, form: str) -> dict[str, str]:
    """What was typed into ``form`` and not sent; empty if there is no draft, or none any longer.

    For anybody who may send that form, and their own draft only. Raises as ``save_draft``.
    """
    _demand(actor, form)
    with db.reading() as session:
        body = session.execute(
            select(DRAFTS.c.body).where(
                DRAFTS.c.account_id == actor.account_id, DRAFTS.c.form == form, DRAFTS.c.expires_at > clock.now()
            )
        ).scalar_one_or_none()
    if body is None:
        return {}
    try:
        return json.loads(encryption.decrypt(body, _PURPOSE, _place(actor, form)))
    except encryption.Unreadable as error:
        logs.failure(error, "draft")
        return {}


def discard_draft(actor: Actor, form: str) -> None:
    """Forget the draft of ``form``: it was sent, or is not wanted. Raises as ``save_draft``."""
    _demand(actor, form)
    with db.reading() as session:
        own = (DRAFTS.c.account_id == actor.account_id, DRAFTS.c.form == form)
        there = session.execute(select(DRAFTS.c.form).where(*own)).one_or_none()
    if there is not None:
        with db.transaction() as session:
            session.execute(delete(DRAFTS).where(*own))
