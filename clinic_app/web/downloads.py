"""Files that pages offer. Posted for like a form, so that no filter stands in an address."""

from __future__ import annotations

import asyncio
import itertools

from fastapi import Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from clinic_app.core import csv_safe, routes
from clinic_app.core.errors import ClinicError, ErrorKind, ReauthenticationRequired
from clinic_app.services.audit.exporting import export_audit
from clinic_app.services.audit.forms import audit_query
from clinic_app.web import requests
from clinic_app.web.answers import see_other
from clinic_app.web.requests import Acting, Form

router = requests.router()
_STATUS = {ErrorKind.INVALID: 400, ErrorKind.FORBIDDEN: 403, ErrorKind.UNAVAILABLE: 503}


@router.post(routes.AUDIT_EXPORT)
async def audit_trail(actor: Acting, form: Form) -> Response:
    """*Export as CSV* of ``/admin/audit``, with its filters. For administrators who have shown lately who they are."""
    try:
        export = await asyncio.to_thread(lambda: export_audit(actor, audit_query(form)))
    except ReauthenticationRequired:
        return see_other(routes.confirm(routes.AUDIT_TRAIL))
    except ClinicError as error:
        if error.kind == ErrorKind.UNAUTHENTICATED:
            return see_other(routes.STAFF_SIGN_IN)
        return PlainTextResponse(error.detail, _STATUS.get(error.kind, 400))
    return StreamingResponse(
        itertools.chain([csv_safe.BYTE_ORDER_MARK], export.pieces),
        media_type="text/csv",
        headers={"content-disposition": f'attachment; filename="{export.filename}"'},
    )
