"""Patients in and out of the register as files: one sent in parts and kept on disk, others streamed out.

A part is an ordinary request, below the limit of any other, so nothing here holds a whole file.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from clinic_app.core import csv_safe, routes
from clinic_app.core.errors import ClinicError, ErrorKind, ReauthenticationRequired, TooManyAttempts
from clinic_app.core.paging import clamp
from clinic_app.services.access import Permission
from clinic_app.services.audit.authorization import demand
from clinic_app.services.patients.exporting import export_patients, export_record
from clinic_app.services.patients.importing import runs
from clinic_app.services.patients.importing.errors import PartOutOfPlace
from clinic_app.services.patients.importing.example import example_file
from clinic_app.web import requests
from clinic_app.web.answers import see_other
from clinic_app.web.requests import Acting, Form, Json, ask

router = requests.router()
_STATUS = {
    ErrorKind.INVALID: 400,
    ErrorKind.UNAUTHENTICATED: 401,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.CONFLICT: 409,
    ErrorKind.THROTTLED: 429,
    ErrorKind.UNAVAILABLE: 503,
}


def _number(text: str, most: int) -> int:
    return clamp(text if text.isascii() and text.isdigit() else 0, 0, most, 0)


async def _told(use_case: Callable[..., Any], *args: Any) -> Response:
    """The answer for the script that sends: what came of it, or a sentence for whoever chose the file."""
    try:
        return JSONResponse(await ask(use_case, *args))
    except PartOutOfPlace as error:
        return JSONResponse({"detail": error.detail, "received": error.received}, 409)
    except ClinicError as error:
        headers = {"retry-after": str(error.retry_after)} if isinstance(error, TooManyAttempts) else {}
        return JSONResponse({"detail": error.detail}, _STATUS.get(error.kind, 500), headers)


@router.post(routes.IMPORT_FILE)
async def announce(actor: Acting, sent: Json) -> Response:
    """*Check the file*: its name and size, before it comes; answered with its number. For administrators."""
    name, size = sent.get("name"), sent.get("size")
    told = name if isinstance(name, str) else "", size if type(size) is int else 0

    def begin() -> dict[str, int]:
        return {"number": runs.begin_upload(actor, *told), "part": runs.LARGEST_PART}

    return await _told(begin)


@router.post(routes.IMPORT_PART)
async def part(request: Request, actor: Acting, number: str, at: str) -> Response:
    """A part of the file that was announced, as it is; answered with how many bytes have come. For administrators."""
    body = await request.body()
    where = _number(number, 2**31 - 1), _number(at, 2**40)

    def receive() -> dict[str, int]:
        return {"received": runs.receive_part(actor, where[0], where[1], body)}

    return await _told(receive)


def _streamed(name: str, pieces: Iterator[str]) -> Response:
    return StreamingResponse(
        itertools.chain([csv_safe.BYTE_ORDER_MARK], pieces),
        media_type="text/csv",
        headers={"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"},
    )


def _refused(error: ClinicError, back: str) -> Response:
    if isinstance(error, ReauthenticationRequired):
        return see_other(routes.confirm(back))
    if error.kind == ErrorKind.UNAUTHENTICATED:
        return see_other(routes.STAFF_SIGN_IN)
    return PlainTextResponse(error.detail, _STATUS.get(error.kind, 500))


@router.post(routes.IMPORT_REPORT)
async def report(actor: Acting, form: Form) -> Response:
    """*Download report (CSV)*: the rows left out, and why. For administrators; recorded."""
    number = _number(form.get("number", ""), 2**31 - 1)
    try:
        pieces = await asyncio.to_thread(runs.export_report, actor, number)
    except ClinicError as error:
        return _refused(error, routes.IMPORT)
    return _streamed(f"import-{number}-left-out.csv", pieces)


@router.post(routes.PATIENTS_EXPORT)
async def patients(actor: Acting, form: Form) -> Response:
    """*Download CSV*: every patient, with ``inactive`` those too. For administrators who confirmed lately."""
    try:
        export = await asyncio.to_thread(lambda: export_patients(actor, inactive=form.get("inactive") == "on"))
    except ClinicError as error:
        return _refused(error, routes.IMPORT)
    return _streamed(export.filename, export.pieces)


@router.post(routes.PATIENT_EXPORT)
async def patient(actor: Acting, form: Form) -> Response:
    """*Download record (JSON)* of a profile. For administrators who have shown lately who they are; recorded."""
    key = form.get("patient_id", "")[:20]
    try:
        found = await asyncio.to_thread(lambda: export_record(actor, key))
    except ClinicError as error:
        return _refused(error, routes.profile(key))
    text = json.dumps(found, ensure_ascii=False, indent=2)
    name = f"{found['patient']['patient_id']}.json"
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(text.encode("utf-8", "replace"), media_type="application/json", headers=headers)


@router.get(routes.IMPORT_EXAMPLE)
async def example(actor: Acting) -> Response:
    """The columns, with an invented row. For administrators."""
    try:
        await asyncio.to_thread(lambda: demand(actor, Permission.PATIENT_IMPORT))
    except ClinicError as error:
        return _refused(error, routes.IMPORT)
    return _streamed("patients-example.csv", iter([example_file()]))
