"""Files that pages offer. Posted for like a form, so that no filter stands in an address."""

from __future__ import annotations

import asyncio
import itertools

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse, StreamingResponse

from clinic_app.core import csv_safe, routes
from clinic_app.core.errors import ClinicError, ErrorKind, ReauthenticationRequired
from clinic_app.services.audit.exporting import export_audit
from clinic_app.services.audit.forms import audit_query
from clinic_app.web.signing_in import FORBIDDEN, from_our_pages, posted_fields, who_asks

router = APIRouter(include_in_schema=False)
_STATUS = {ErrorKind.INVALID: 400, ErrorKind.FORBIDDEN: 403, ErrorKind.UNAVAILABLE: 503}


@router.post(routes.AUDIT_EXPORT)
async def audit_trail(request: Request) -> Response:
    """*Export as CSV* of ``/admin/audit``, with its filters. For administrators who have shown lately who they are."""
    if not from_our_pages(request):
        return PlainTextResponse(FORBIDDEN, 403)
    actor, form = await who_asks(request, touch=True), await posted_fields(request)
    try:
        export = await asyncio.to_thread(lambda: export_audit(actor, audit_query(form)))
    except ReauthenticationRequired:
        return RedirectResponse(routes.confirm(routes.AUDIT_TRAIL), 303)
    except ClinicError as error:
        if error.kind == ErrorKind.UNAUTHENTICATED:
            return RedirectResponse(routes.STAFF_SIGN_IN, 303)
        return PlainTextResponse(error.detail, _STATUS.get(error.kind, 400))
    return StreamingResponse(
        itertools.chain([csv_safe.BYTE_ORDER_MARK], export.pieces),
        media_type="text/csv",
        headers={"content-disposition": f'attachment; filename="{export.filename}"'},
    )
