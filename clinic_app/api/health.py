"""Alive, and ready: for supervisors and load balancers. Outside of ``/api``, without sign-in, without internals."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response

from clinic_app.api import problems
from clinic_app.core import readiness

router = APIRouter(include_in_schema=False)
_ASKED = ("GET", "HEAD")  # some supervisors ask for the head alone
PATIENCE = 5.0  # seconds


@router.api_route("/healthz", methods=[*_ASKED])
async def alive() -> Response:
    """200 while this process answers at all."""
    return problems.json_response(200, {"status": "alive"})


@router.api_route("/readyz", methods=[*_ASKED])
async def ready() -> Response:
    """200 while requests can be served, else 503; either way which part is in what state."""
    try:
        parts = await asyncio.wait_for(asyncio.to_thread(readiness.parts), PATIENCE)
    except TimeoutError:
        parts = {"database": readiness.FAILED}
    fine = readiness.ready(parts)
    return problems.json_response(200 if fine else 503, {"status": "ready" if fine else "not ready", "parts": parts})
