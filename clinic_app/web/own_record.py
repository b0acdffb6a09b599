"""Who has viewed a patient's own record, day by day, and the record to be taken home."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response

from clinic_app.core import clock, routes
from clinic_app.core.errors import ClinicError, ErrorKind
from clinic_app.services.access import Actor
from clinic_app.services.accounts.errors import WrongPassword
from clinic_app.services.patients import wording
from clinic_app.services.patients.facts import reached
from clinic_app.services.patients.forms import PATIENT_FIELDS
from clinic_app.services.portal.own_record import download_own_record, own_viewings
from clinic_app.services.portal.own_words import initials, look_words, looker, message_words, own_details
from clinic_app.services.portal.views import OwnDownload, Viewing
from clinic_app.web import pages, requests
from clinic_app.web.answers import failure_status, see_other
from clinic_app.web.patient_side import answered
from clinic_app.web.requests import Acting, Form

router = requests.router()


@dataclass(frozen=True, slots=True)
class Line:
    """The same done by the same person, once or several times in a row on one day."""

    initials: str
    who: str
    what: str
    when: str


def _line(run: list[Viewing]) -> Line:
    first, last = (f"{clock.local(look.at):%H:%M}" for look in (run[-1], run[0]))
    often = f", {len(run):,} times" if len(run) > 1 else ""
    return Line(
        initials(run[0]),
        looker(run[0]),
        look_words(run[0]) + often,
        last if first == last else f"{first} to {last}",
    )


def by_day(looks: tuple[Viewing, ...], *, to_keep: bool = False) -> list[tuple[str, list[Line]]]:
    """Days in words, the latest first, each with its lines. ``to_keep``: read later, so no day is called today."""
    days = itertools.groupby(looks, lambda look: clock.local(look.at).date())
    return [
        (
            wording.date_words(day) if to_keep else wording.day_words(day),
            [_line(list(run)) for _, run in itertools.groupby(rows, lambda look: (looker(look), look_words(look)))],
        )
        for day, rows in days
    ]


def _views(actor: Actor, before: int = 0) -> Response:
    found = own_viewings(actor, before)
    older = routes.older_views(found.before) if found.before else ""
    return pages.render("own_record/views.html", days=by_day(found.looks), older=older, later=before > 0)


@router.get(routes.PORTAL_VIEWS)
async def views_page(request: Request, actor: Acting) -> Response:
    """*Who has viewed your record*, the latest first. For patients."""
    return await answered(request, actor, lambda: _views(actor))


@router.get(routes.PORTAL_OLDER_VIEWS)
async def older_views_page(request: Request, actor: Acting, before: str) -> Response:
    """*Show older*: those that came before the event of this number."""
    if not (before.isascii() and before.isdigit() and len(before) <= 18 and int(before)):
        return see_other(routes.PORTAL_VIEWS)
    return await answered(request, actor, lambda: _views(actor, int(before)))


# --- taking it home -----------------------------------------------------------------------------------

#: What the answer may be: the field's value, the file's name and its kind.
_FILES = {"page": ("my-record.html", "text/html"), "json": ("my-record.json", "application/json")}


def as_json(done: OwnDownload) -> dict[str, Any]:
    """The file for another clinic's computer: docs/api.md describes it."""
    record, born = done.record, done.record.date_of_birth
    return {
        "format": "clinic-own-record",
        "version": 1,
        "clinic": {"name": pages.clinic()["name"], "telephone": pages.clinic()["telephone"]},
        "made_at": done.made_at.isoformat(timespec="seconds"),
        "patient": {
            "patient_id": record.patient_id,
            **{name: getattr(record, name) for name, field in PATIENT_FIELDS.items() if field.own},
            "date_of_birth": born.iso if born else None,
            "date_of_birth_estimated": born is not None and born.estimated,
        },
        "sign_in": {"username": record.username},
        "viewed_by": [
            {
                "at": look.at.isoformat(timespec="seconds"),
                "who": looker(look).removesuffix(","),
                "did": look_words(look),
            }
            for look in record.viewings
        ],
        "older_left_out": done.left_out,
        "messages": [
            {
                "at": one.at.isoformat(timespec="seconds"),
                "kind": one.kind,
                "channel": one.channel,
                "address": one.address,
            }
            for one in done.messages
        ],
    }


def _dated(instant: dt.datetime) -> str:
    """``2 Jun 2026, 11:28``: read on another day."""
    there = clock.local(instant)
    return f"{wording.date_words(there.date())}, {there:%H:%M}"


def _file(kind: str, done: OwnDownload) -> Response:
    name, media_type = _FILES[kind]
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    if kind == "json":
        text = json.dumps(as_json(done), ensure_ascii=False, indent=2)
        return Response(text.encode("utf-8", "replace"), media_type=media_type, headers=headers)
    page = pages.render(
        "own_record/file.html",
        details=own_details(done.record),
        contact=reached(done.record),
        username=done.record.username,
        days=by_day(done.record.viewings, to_keep=True),
        left_out=done.left_out,
        messages=[(_dated(one.at), message_words(one)) for one in done.messages],
        made_on=wording.date_words(clock.local(done.made_at).date()),
    )
    page.headers.update(headers)
    return page


def _form(status: int = 200, *, kind: str = "page", error: str = "", refused: str = "") -> Response:
    errors = {"password": error} if error else {}
    return pages.render("own_record/download.html", status, kind=kind, errors=errors, refused=refused)


def _download(actor: Actor, form: dict[str, str]) -> Response:
    kind = form.get("as", "") if form.get("as") in _FILES else "page"
    password = form.get("password", "")[:1024]
    if not password.strip():
        return _form(400, kind=kind, error="Password is required.")
    try:
        return _file(kind, download_own_record(actor, password))
    except WrongPassword as error:
        return _form(400, kind=kind, error=error.detail)
    except ClinicError as error:
        if error.kind not in (ErrorKind.THROTTLED, ErrorKind.UNAVAILABLE):
            raise
        status, headers = failure_status(error)
        page = _form(status, kind=kind, refused=error.detail)
        page.headers.update(headers)
        return page


@router.get(routes.PORTAL_DOWNLOAD)
async def download_page(request: Request, actor: Acting) -> Response:
    """*Download my record*: what is in it, as what, and the password once more. Shows nothing of the record."""
    return await answered(request, actor, _form)


@router.post(routes.PORTAL_DOWNLOAD)
async def download(request: Request, actor: Acting, form: Form) -> Response:
    """The record as a file: a page to read and print, or JSON. For patients; it is recorded."""
    return await answered(request, actor, lambda: _download(actor, form), refuses=True)
