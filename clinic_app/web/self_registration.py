"""*Register as a patient*: the form, what comes next, the link that confirms it. 404 unless the clinic switched it on.

What is answered says nothing of who is a patient here: nobody is looked up (``services.patients.self_registration``).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse

from clinic_app.core import cookies, crypto, routes, waiting_room
from clinic_app.core.errors import ClinicError
from clinic_app.services import challenges
from clinic_app.services.patients import birth_dates, phones, self_registration, wording
from clinic_app.services.patients.errors import RegistrationOver
from clinic_app.services.patients.forms import PATIENT_FIELDS, Kind
from clinic_app.services.patients.self_registration import ASKED, NotOffered, Received
from clinic_app.web import dead_ends, pages, requests
from clinic_app.web.answers import failure_status, keep, see_other
from clinic_app.web.patient_side import noted, told
from clinic_app.web.requests import Form, ask

router = requests.router()
#: So many times the longest value is read of a field: whatever is longer is refused by its rule.
_ROOM = 8
_LONGEST_SOLUTION = 2000
_LONGEST_TOKEN = 100
_LONGEST_CODE = 300  # a whole link, copied from the message
_AGAIN = "We sent the email again, if it can still be confirmed. Look among unwanted mail too."


def _absent() -> HTMLResponse:
    return dead_ends.not_found(routes.SELF_REGISTRATION)


def _typed(form: Mapping[str, str]) -> dict[str, str]:
    """What was filled in. An empty tick is not sent."""
    typed = {}
    for name in ASKED:
        field, value = PATIENT_FIELDS[name], form.get(name, "")
        typed[name] = ("on" if value == "on" else "") if field.kind is Kind.TICK else value[: field.longest * _ROOM + 1]
    return typed


def _understood(name: str, value: str) -> str:
    """What is read back of a date or a number; empty where there is nothing to."""
    if PATIENT_FIELDS[name].kind is Kind.PHONE:
        return phones.read_back(value)
    if name != "date_of_birth":
        return ""
    born = birth_dates.understood(value)
    return ", ".join(filter(None, wording.read_back(born))) if born else ""


def _form(
    status: int = 200,
    values: Mapping[str, str] | None = None,
    *,
    errors: Mapping[str, str] | None = None,
    refused: str = "",
    token: str = "",
) -> HTMLResponse:
    """The form with a challenge and a token of its own; what was typed stays in it, and so does the token."""
    typed = values or dict.fromkeys(ASKED, "")
    choices = {name: list(PATIENT_FIELDS[name].choices().items()) for name in ("gender", "preferred_language")}
    choices["gender"] = [(key, "Rather not say" if key == "UNKNOWN" else words) for key, words in choices["gender"]]
    return pages.render(
        "self_registration/register.html",
        status,
        values=typed,
        understood={name: _understood(name, value) for name, value in typed.items() if value},
        labels={name: PATIENT_FIELDS[name].label for name in ASKED},
        longest={name: PATIENT_FIELDS[name].longest + 100 for name in ASKED},  # too long is said, never cut off
        choices=choices,
        errors=dict(errors or {}),
        refused=refused,
        challenge=json.dumps(challenges.new_challenge()),
        token=token or crypto.new_token(),
    )


def _token(request: Request) -> str:
    return cookies.sent(request.scope).get(cookies.registration_name(), "")


@router.get(routes.SELF_REGISTRATION)
async def page() -> Response:
    """*Register as a patient*. For anybody, where it is switched on."""
    return _form() if self_registration.offered() else _absent()


@router.post(routes.SELF_REGISTRATION)
async def register(request: Request, form: Form) -> Response:
    """*Send registration*. For anybody: the same answer, whoever is a patient already."""
    if not self_registration.offered():
        return _absent()
    typed, token = _typed(form), form.get("token", "")[:_LONGEST_TOKEN]
    try:
        details = self_registration.parse(typed)
        solution = form.get("altcha", "")[:_LONGEST_SOLUTION]
        done = await ask(self_registration.register_oneself, details, solution, _token(request), token)
    except ClinicError as error:
        status, headers = failure_status(error)
        refused = "" if error.fields else error.detail
        answer = _form(status, typed, errors=error.fields, refused=refused, token=token)
        answer.headers.update(headers)
        return answer
    return keep(see_other(routes.SELF_REGISTRATION_DONE), cookies.registration_name(), done.token, done.seconds)


def _what_next(done: Received, notice: str) -> HTMLResponse:
    to = wording.phone_words(done.to) if done.way == "phone" else done.to
    return pages.render("self_registration/done.html", done=done, to=to, notice=notice)


@router.get(routes.SELF_REGISTRATION_DONE)
async def done(request: Request) -> Response:
    """What comes next. For the browser that registered, for half an hour, whatever the desk has decided meanwhile:
    that is not told here, nor is the form shown, which would ask for a second registration. Others see the form.
    """
    try:
        found = await ask(self_registration.received, _token(request))
    except NotOffered:
        return _absent()
    if found is None and not _token(request):
        return see_other(routes.SELF_REGISTRATION)
    note = await asyncio.to_thread(told, request)
    return _what_next(found or Received("", "desk", ""), str(note.get("notice", "")))


@router.post(routes.SELF_REGISTRATION_AGAIN)
async def again(request: Request) -> Response:
    """*Send the email again*. For the browser that registered."""
    try:
        await ask(self_registration.send_again, _token(request))
    except NotOffered:
        return _absent()
    except ClinicError as error:
        return await asyncio.to_thread(noted, see_other(routes.SELF_REGISTRATION_DONE), notice=error.detail)
    return await asyncio.to_thread(noted, see_other(routes.SELF_REGISTRATION_DONE), notice=_AGAIN)


# --- by whoever has the code --------------------------------------------------------------------------


def _confirm(status: int = 200, *, code: str = "", errors: dict[str, str] | None = None, refused: str = "") -> Response:
    values: dict[str, Any] = {"code": code[:_LONGEST_CODE], "errors": errors or {}, "refused": refused}
    return pages.render("self_registration/confirm.html", status, **values)


@router.get(routes.CONFIRM_REGISTRATION)
async def confirm_page(request: Request) -> Response:
    """*Confirm your registration*: the form, or what became of it. For anybody; opening it uses nothing up."""
    if not self_registration.offered():
        return _absent()
    note = await asyncio.to_thread(told, request)
    if note.get("registration_confirmed") is True:
        return pages.render("self_registration/done.html", done=Received("", "confirmed", ""), to="", notice="")
    return _confirm()


@router.post(routes.CONFIRM_REGISTRATION)
async def confirm(form: Form) -> Response:
    """*Confirm my registration*. For anybody with the code of the email."""
    code = form.get("code", "")[:1024]
    try:
        await waiting_room.patiently(lambda waited: ask(self_registration.confirm_registration, code, waited=waited))
    except NotOffered:
        return _absent()
    except RegistrationOver as over:
        return pages.render("self_registration/over.html", 410, title=over.title, words=over.detail)
    except ClinicError as error:
        status, headers = failure_status(error)
        answer = _confirm(status, code=code, errors=error.fields, refused="" if error.fields else error.detail)
        answer.headers.update(headers)
        return answer
    return await asyncio.to_thread(noted, see_other(routes.CONFIRM_REGISTRATION), registration_confirmed=True)
