"""Files that pages offer. Posted for like a form, so that no filter stands in an address."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

from fastapi import Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from clinic_app.core import csv_safe, routes
from clinic_app.core.errors import ClinicError, ErrorKind, ReauthenticationRequired
from clinic_app.core.paging import clamp
from clinic_app.services.audit.exporting import AuditExport, export_audit
from clinic_app.services.audit.forms import audit_query
from clinic_app.services.portal.bulk_export import RunExport, export_run
from clinic_app.web import requests
from clinic_app.web.answers import failure_status, see_other
from clinic_app.web.requests import Acting, Form

router = requests.router()
_STATUS = {ErrorKind.FORBIDDEN: 403, ErrorKind.NOT_FOUND: 404}


async def _csv(page: str, make: Callable[[], AuditExport | RunExport]) -> Response:
    """The file that ``make`` begins, off the event loop; where people must confirm who they are, they do and come back
    to ``page``."""
    try:
        export = await asyncio.to_thread(make)
    except ReauthenticationRequired:
        return see_other(routes.confirm(page))
    except ClinicError as error:
        if error.kind == ErrorKind.UNAUTHENTICATED:
            return see_other(routes.STAFF_SIGN_IN)
        status, headers = failure_status(error)
        return PlainTextResponse(error.detail, _STATUS.get(error.kind, status), headers)
    return StreamingResponse(
        itertools.chain([csv_safe.BYTE_ORDER_MARK], export.pieces),
        media_type="text/csv",
        headers={"content-disposition": f'attachment; filename="{export.filename}"'},
    )


@router.post(routes.AUDIT_EXPORT)
async def audit_trail(actor: Acting, form: Form) -> Response:
    """*Export as CSV* of ``/admin/audit``, with its filters. For administrators who have shown lately who they are."""
    return await _csv(routes.AUDIT_TRAIL, lambda: export_audit(actor, audit_query(form)))


@router.post(routes.PORTAL_REPORT)
async def portal_report(actor: Acting, form: Form) -> Response:
    """*Download report (CSV)* of a run of portal accounts. For administrators who have shown lately who they are."""
    run_id = clamp(form.get("run_id"), 0, 2**31 - 1, 0)
    return await _csv(routes.PORTAL_BULK, lambda: export_run(actor, run_id))
