"""*Correct my contact details*: the form, and what a patient posts with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response

from clinic_app.core import routes
from clinic_app.core.errors import ClinicError, ErrorKind, InvalidInput
from clinic_app.services.access import Actor
from clinic_app.services.intents import AlreadyDone
from clinic_app.services.patients.email_slips import meant_domain
from clinic_app.services.patients.errors import StaleRecord
from clinic_app.services.patients.facts import facts
from clinic_app.services.patients.forms import PATIENT_FIELDS, Kind
from clinic_app.services.patients.views import PatientRecord
from clinic_app.services.portal.forms import OWN_CONTACT, OwnContactCorrection
from clinic_app.services.portal.own_contact import correct_own_contact, own_contact
from clinic_app.services.portal.own_email import may_confirm
from clinic_app.services.portal.own_words import field_words
from clinic_app.web import kept_forms, pages, requests
from clinic_app.web.answers import failure_status, see_other
from clinic_app.web.patient_side import answered, noted
from clinic_app.web.requests import Acting, Form, counted

router = requests.router()
#: So many times the longest value is read of a field: whatever is longer is refused by its rule.
_ROOM = 8
_NOT_SAVED = "You were signed out before this was saved. What you typed is here: save it now."
_OTHER_FIELDS = "This form has other fields now, so nothing was saved. What you typed is here: save it now."
_TICKS = tuple(name for name in OWN_CONTACT if PATIENT_FIELDS[name].kind is Kind.TICK)


def _names() -> tuple[str, ...]:
    """The fields of the form, in the order of the list: the email, if there is something to confirm it with."""
    wanted = {*OWN_CONTACT, *(["email"] if may_confirm() else [])}
    return tuple(name for name in PATIENT_FIELDS if name in wanted)


def _values(record: PatientRecord) -> dict[str, str]:
    """The record as the form begins with it."""
    return {name: PATIENT_FIELDS[name].typed(getattr(record, name)) for name in _names()}


#: Characters of what the form says it began with.
_LONGEST_BEGAN = 50_000


def _typed(form: Mapping[str, str]) -> dict[str, str]:
    """What was filled in. An empty tick is not sent."""
    typed = {name: form.get(name, "").replace("\r\n", "\n") for name in _names() if name not in _TICKS}
    cut = {name: value[: PATIENT_FIELDS[name].longest * _ROOM + 1] for name, value in typed.items()}
    return {**cut, **{name: "on" if form.get(name) == "on" else "" for name in _TICKS}}


def _began(form: Mapping[str, str]) -> dict[str, str] | None:
    """What the form began with, as it says itself; None where it is none of ours. It may have other fields than now."""
    try:
        found = json.loads(form.get("began", "")[:_LONGEST_BEGAN])
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        return None
    return found if found and set(found) <= set(PATIENT_FIELDS) else None


def _version(form: Mapping[str, str]) -> int | None:
    given = form.get("version", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) <= 9 else None


def _choices(name: str, began: Mapping[str, str]) -> list[tuple[str, str]]:
    """What is offered: also what is on record and is not offered any more."""
    field, now = PATIENT_FIELDS[name], began[name][:100]
    offered = {"": "Not recorded", **field.choices()}
    return list({**offered, now: offered.get(now) or field.words(now)}.items())


def _page(
    actor: Actor,
    values: Mapping[str, str],
    began: Mapping[str, str],
    version: int,
    status: int = 200,
    *,
    errors: Mapping[str, str] | None = None,
    **said: Any,
) -> Response:
    inputs = [
        {
            "name": name,
            "label": PATIENT_FIELDS[name].label,
            "kind": str(PATIENT_FIELDS[name].kind),
            "longest": PATIENT_FIELDS[name].longest + 100,  # too long is said, never cut off
            "choices": _choices(name, began) if PATIENT_FIELDS[name].kind is Kind.CHOICE else [],
        }
        for name in values
        if name not in _TICKS
    ]
    return pages.render(
        "own_record/contact.html",
        status,
        inputs=inputs,
        ticks=[(name, PATIENT_FIELDS[name].label) for name in _TICKS],
        values=values,
        began=json.dumps(dict(began)),
        version=version,
        username=actor.username,
        errors={name: errors[name] for name in values if name in errors} if errors else {},
        **{"refused": "", "notice": "", "stale": [], "meant": "", **said},
    )


def _saved(names: list[str]) -> Response:
    if not names:
        return see_other(routes.PORTAL)
    changed = [name for name in names if name != "email"]
    saved = [f"Saved. You changed your {field_words(changed)}."] if changed else []
    link = ["We sent a link to your new email: open it to confirm."] if "email" in names else []
    return noted(see_other(routes.PORTAL), notice=" ".join([*saved, *link]))


def _stale(actor: Actor, typed: dict[str, str], began: dict[str, str], correction: OwnContactCorrection) -> Response:
    """Somebody else was first: what was typed is kept, and the next *Save* is meant. Nothing of it where it was this
    form itself, sent twice."""
    now, changes = own_contact(actor), dict(correction.update.changes)
    done = all(getattr(now, name) == value for name, value in changes.items())
    if done and correction.email in (None, now.email, now.email_waits):
        return _saved([*changes, *(["email"] if correction.email else [])])
    if correction.email:
        changes["email"] = correction.email
    fresh = _values(now)
    return _page(
        actor,
        {name: typed[name] if name in changes else value for name, value in fresh.items()},
        fresh,
        now.version,
        409,
        refused=StaleRecord.detail,
        stale=facts(now, [name for name, value in fresh.items() if value != began[name]]),
    )


def _again(actor: Actor, form: Mapping[str, str], said: str) -> Response:
    """The form over the record as it is now, with what was typed into one from before; nothing is saved."""
    began, typed = _began(form), _typed(form)
    if began is None:
        return see_other(routes.PORTAL_CONTACT)
    now = own_contact(actor)
    fresh = _values(now)
    changed = {name for name in fresh if name in began and typed[name].strip() != began[name].strip()}
    stale = facts(now, [name for name, value in fresh.items() if name in began and value != began[name]])
    values = {name: typed[name] if name in changed else value for name, value in fresh.items()}
    return _page(actor, values, fresh, now.version, notice=said, stale=stale)


def _asks_about(changed: Mapping[str, str], form: Mapping[str, str]) -> str:
    """The domain that was probably meant in another email, unless that was asked before."""
    email = changed.get("email", "")
    return "" if email.rpartition("@")[2].strip() == form.get("email_asked", "") else meant_domain(email)


def _save(actor: Actor, form: dict[str, str]) -> Response:
    if sealed := form.get(kept_forms.FIELD):
        path, kept = kept_forms.of(actor, sealed)
        return _again(actor, kept, _NOT_SAVED) if path == routes.PORTAL_CONTACT else see_other(routes.PORTAL_CONTACT)
    began, version, typed = _began(form), _version(form), _typed(form)
    if began is None or version is None:
        return see_other(routes.PORTAL_CONTACT)
    if set(began) != set(_names()):
        return _again(actor, form, _OTHER_FIELDS)
    if domain := form.get("email_domain", "")[:100]:  # *Change it*
        typed["email"] = f"{typed['email'].rpartition('@')[0]}@{domain}"
    changed = {name: value for name, value in typed.items() if value.strip() != began[name].strip()}
    correction = None
    try:
        correction = OwnContactCorrection.parse(changed, version)
        if meant := _asks_about(changed, form):
            return _page(actor, typed, began, version, meant=meant)
        done = counted(actor, form, correct_own_contact, correction)
    except AlreadyDone:
        return _saved(list(changed))
    except StaleRecord:
        assert correction is not None  # noqa: S101  it was refused after it was read
        return _stale(actor, typed, began, correction)
    except InvalidInput as error:
        return _page(actor, typed, began, version, 400, errors=error.fields)
    except ClinicError as error:
        if error.kind in (ErrorKind.UNAUTHENTICATED, ErrorKind.FORBIDDEN, ErrorKind.NOT_FOUND):
            raise
        status, headers = failure_status(error)
        page = _page(actor, typed, began, version, status, refused=error.detail)
        page.headers.update(headers)
        return page
    return _saved(done)


@router.get(routes.PORTAL_CONTACT)
async def contact_page(request: Request, actor: Acting) -> Response:
    """The form, with the record as it is now. For patients; the look is recorded."""

    def show() -> Response:
        now = own_contact(actor)
        values = _values(now)
        return _page(actor, values, values, now.version)

    return await answered(request, actor, show)


@router.post(routes.PORTAL_CONTACT)
async def save(request: Request, actor: Acting, form: Form) -> Response:
    """*Save contact details*: what was changed in the form, and only that.

    Sent when the session is over, it waits on the page that asks to sign in, and comes back to be saved.
    """
    about = {name: form[name][:_LONGEST_BEGAN] for name in ("began", "version") if name in form}
    typed = None if kept_forms.FIELD in form else {**about, **_typed(form)}
    return await answered(request, actor, lambda: _save(actor, form), refuses=True, typed=typed)
