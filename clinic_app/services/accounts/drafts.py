"""Half-filled forms, kept on the server for a day: by account and form instance, encrypted, never in browser storage.

An instance is one form in one tab: the tab makes up its id, and the press that sends the form carries the same one.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, delete, or_, select, update
from sqlmodel import Session

from clinic_app.core import clock, db, encryption, logs
from clinic_app.core.errors import InvalidInput
from clinic_app.models.accounts import ACCOUNTS, DRAFTS
from clinic_app.models.patients import PATIENTS
from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.authorization import demand

_PURPOSE = "draft"
LIFE = dt.timedelta(hours=24)
#: So long after the last key a window that was not closed counts as one that somebody is typing in.
TYPING = dt.timedelta(minutes=2)
#: Of an account, in all its forms together; and how many that were sent are remembered, without what was in them.
KEPT_AT_MOST, SENT_AT_MOST = 5, 20
FIELDS_AT_MOST, LONGEST_FIELD = 40, 2000
LONGEST = 16_000  # characters of all fields and their names together
#: Form → who may have a draft of it. A profile's names the patient and the section.
_FORMS: tuple[tuple[re.Pattern[str], Permission], ...] = (
    (re.compile(r"registration"), Permission.PATIENT_REGISTER),
    (re.compile(r"profile-(?P<patient_id>[A-Z]{1,8}[0-9]{6,12})-(details|contact)"), Permission.PATIENT_EDIT),
)
#: Names of secrets, should a page ever send one; the page's script leaves fields out that are marked as such.
_NEVER = re.compile(
    r"passw|passphrase|passcode|secret|token|(^|[_-])(otp|totp|pin)([_-]|$)"
    r"|(^|(one[_-]?time|recovery|activation|verification|confirmation|security|access|reset)[_-]?)code$",
    re.I,
)
_INSTANCE = re.compile(r"[0-9a-f]{32}")
_OVER = ""  # the body of a form that was sent: what is still on its way is not kept again


@dataclass(frozen=True, slots=True)
class Draft:
    """What was typed into one form and not sent. ``open``: another window may be typing into it now."""

    instance: str
    fields: Mapping[str, str]
    typed_at: dt.datetime
    open: bool


def _no_such_form() -> InvalidInput:
    return InvalidInput({"form": "There is no such form."})


def _demand(actor: Actor, form: str) -> str:
    """The patient ID the form names, if it does. Raises unless ``actor`` may send such a form."""
    for pattern, permission in _FORMS:
        if found := pattern.fullmatch(form):
            demand(actor, permission)
            return found.groupdict().get("patient_id") or ""
    raise _no_such_form()


def _require_patient(session: Session, patient_id: str) -> None:
    """There are forms about patients that exist only: nobody makes up more of them."""
    if (
        patient_id
        and not session.execute(select(PATIENTS.c.id).where(PATIENTS.c.patient_id == patient_id)).scalar_one_or_none()
    ):
        raise _no_such_form()


def _clean(fields: Mapping[str, Any]) -> dict[str, str]:
    """What is kept: texts, also emptied ones, of fields that hold no secret. Nothing where all are empty."""
    kept = {
        name[:60]: value[:LONGEST_FIELD]
        for name, value in fields.items()
        if isinstance(name, str) and isinstance(value, str) and not _NEVER.search(name)
    }
    kept = dict(list(kept.items())[:FIELDS_AT_MOST])
    return kept if any(value.strip() for value in kept.values()) else {}


def is_instance(text: object) -> bool:
    """Whether ``text`` is an id that a tab may make up: 128 random bits in hex."""
    return isinstance(text, str) and _INSTANCE.fullmatch(text) is not None


def _place(actor: Actor, form: str) -> str:
    return f"{actor.account_id}:{form}"


def _one(actor: Actor, form: str, instance: str) -> Any:
    return and_(
        DRAFTS.c.account_id == actor.account_id,
        DRAFTS.c.form == form,
        DRAFTS.c.instance == instance,
        DRAFTS.c.body != _OVER,
        DRAFTS.c.typed_at > clock.now() - LIFE,
    )


def _write(session: Session, actor: Actor, values: Mapping[str, Any]) -> None:
    """Put one row in, unless its form was sent; of the account's rows the newest stay, in one statement."""
    mine = DRAFTS.c.account_id == actor.account_id
    # One at a time for each account, so that the number holds. FOR NO KEY UPDATE: rows that point there may come in.
    session.execute(select(ACCOUNTS.c.id).where(ACCOUNTS.c.id == actor.account_id).with_for_update(key_share=True))
    row = {"account_id": actor.account_id, **values}
    there = (mine, DRAFTS.c.instance == values["instance"])
    if not session.execute(
        update(DRAFTS).where(*there, DRAFTS.c.body != _OVER, DRAFTS.c.form == values["form"]).values(**row)
    ).rowcount:  # type: ignore[attr-defined]
        db.upsert(session, DRAFTS, row)
    older = []
    for kind, most in ((DRAFTS.c.body != _OVER, KEPT_AT_MOST), (DRAFTS.c.body == _OVER, SENT_AT_MOST)):
        newest = (
            select(DRAFTS.c.instance)
            .where(mine, kind)
            .order_by(DRAFTS.c.typed_at.desc(), DRAFTS.c.instance)
            .limit(most)
        )
        older.append(and_(kind, DRAFTS.c.instance.not_in(newest)))
    session.execute(delete(DRAFTS).where(mine, or_(*older)))


def save_draft(actor: Actor, form: str, instance: str, fields: Mapping[str, Any], *, left: bool = False) -> None:
    """Keep what has been typed into this instance of ``form`` so far; an empty form removes the draft.

    For anybody who may send that form. ``left``: its window is gone, so nobody types into it any more. What was sent
    or discarded is not kept again. An account keeps its newest five. Raises ``InvalidInput`` for an unknown form, one
    about a patient there is not, no instance id, or more than a form holds; ``PermissionDenied``.
    """
    patient_id = _demand(actor, form)
    if not is_instance(instance):
        raise InvalidInput({"instance": "There is no such form."})
    kept, now = _clean(fields), clock.now()
    if sum(len(name) + len(value) for name, value in kept.items()) > LONGEST:
        raise InvalidInput({"fields": f"A form holds at most {LONGEST} characters."})
    with transaction(actor) as session:
        if not kept:
            session.execute(delete(DRAFTS).where(_one(actor, form, instance)))
            return
        _require_patient(session, patient_id)
        values = {
            "instance": instance,
            "form": form,
            "body": encryption.encrypt(json.dumps(kept), _PURPOSE, _place(actor, form)),
            "typed_at": now,
            "open_until": now if left else now + TYPING,
        }
        _write(session, actor, values)


def offered_drafts(actor: Actor, form: str) -> tuple[Draft, ...]:
    """What was typed into ``form`` and not sent in the last 24 hours, newest first, at most five.

    For anybody who may send that form, and their own only. Raises ``InvalidInput`` for an unknown form,
    ``PermissionDenied``.
    """
    _demand(actor, form)
    now = clock.now()
    with db.reading() as session:
        rows = session.execute(
            select(DRAFTS.c.instance, DRAFTS.c.body, DRAFTS.c.typed_at, DRAFTS.c.open_until)
            .where(
                DRAFTS.c.account_id == actor.account_id,
                DRAFTS.c.form == form,
                DRAFTS.c.body != _OVER,
                DRAFTS.c.typed_at > now - LIFE,
            )
            .order_by(DRAFTS.c.typed_at.desc(), DRAFTS.c.instance)
            .limit(KEPT_AT_MOST)
        ).all()
    found = []
    for row in rows:
        fields = _read(actor, form, row.body)
        if fields:
            found.append(Draft(row.instance, fields, row.typed_at, row.open_until > now))
    return tuple(found)


def _read(actor: Actor, form: str, body: str) -> dict[str, str]:
    try:
        return json.loads(encryption.decrypt(body, _PURPOSE, _place(actor, form)))
    except encryption.Unreadable as error:
        logs.failure(error, "draft")
        return {}


def continue_draft(actor: Actor, form: str, instance: str) -> Draft | None:
    """Take a draft over into another form, whose new instance id the answer holds; None where it is not there any more.

    For anybody who may send that form, and their own draft only. Of two at once exactly one gets it; a window that
    still types into it goes on with a draft of its own. Raises as ``offered_drafts``.
    """
    _demand(actor, form)
    fresh, now = secrets.token_hex(16), clock.now()
    with transaction(actor) as session:
        row = session.execute(
            update(DRAFTS)
            .where(_one(actor, form, instance))
            .values(instance=fresh, open_until=now + TYPING)
            .returning(DRAFTS.c.body, DRAFTS.c.typed_at)
        ).one_or_none()
    if row is None:
        return None
    fields = _read(actor, form, row.body)
    return Draft(fresh, fields, row.typed_at, True) if fields else None


def discard_draft(actor: Actor, form: str, instance: str) -> None:
    """Forget the draft of this instance of ``form``, and no other: it was sent, or is not wanted.

    What the tab still has on its way is not kept either. Does nothing for what is no instance id. Raises as
    ``offered_drafts``.
    """
    patient_id = _demand(actor, form)
    if not is_instance(instance):
        return
    now = clock.now()
    values = {"instance": instance, "form": form, "body": _OVER, "typed_at": now, "open_until": now}
    with transaction(actor) as session:
        _require_patient(session, patient_id)
        _write(session, actor, values)
