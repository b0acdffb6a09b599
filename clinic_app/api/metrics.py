"""Figures for Prometheus, where the clinic has switched them on: outside of ``/api``, with a token of their own."""

from __future__ import annotations

import asyncio
import hmac
import time

from fastapi import APIRouter, Request, Response

from clinic_app.api import problems
from clinic_app.core import addresses, metrics, routes
from clinic_app.core.budget import Budgets
from clinic_app.core.errors import AuthenticationRequired, TooManyAttempts, Unavailable
from clinic_app.core.settings import get_settings
from clinic_app.services import monitoring

router = APIRouter(include_in_schema=False)
PATIENCE = 5.0  # seconds
#: Seconds in which the clinic's figures are not looked for anew, however many ask.
FRESH = 5.0
#: Wrong tokens of one network: ten at once, then one in six seconds. Each process counts for itself.
WRONG_A_SECOND, WRONG_AT_ONCE = 1 / 6, 60.0

_wrong = Budgets(lambda: WRONG_A_SECOND, seconds=WRONG_AT_ONCE)
_looking = asyncio.Lock()
_found: tuple[float, dict[str, dict[str, float]]] = (-FRESH, {})


@router.api_route(routes.METRICS, methods=["GET", "HEAD"])
async def figures(request: Request) -> Response:
    """All figures, for whoever sends ``CLINIC_METRICS_TOKEN``; 401 and, after some tries, 429 for everybody else.

    The token itself is never counted nor refused: nobody else can keep Prometheus out by sending wrong ones.
    """
    if not _may(request.headers.get("authorization", "")):
        source = addresses.networks(addresses.client_address(request.scope, get_settings().trusted_proxy_hops))[0]
        tries = _wrong.of(source)
        if tries.until() > 0:
            return problems.render(TooManyAttempts(int(tries.until()) + 1))
        tries.take()
        return problems.render(AuthenticationRequired())
    try:
        clinic = await asyncio.wait_for(_clinic(), PATIENCE)
    except TimeoutError:
        return problems.render(Unavailable())
    page = await asyncio.to_thread(metrics.page, clinic)
    return Response(page, headers={"cache-control": "no-store"}, media_type=metrics.CONTENT_TYPE)


def _may(header: str) -> bool:
    """Whether the header holds the token. Compared in a time that does not tell how much of it was right."""
    token = get_settings().metrics_token
    if token is None:
        return False
    return hmac.compare_digest(header.encode("utf-8", "replace"), f"Bearer {token.get_secret_value()}".encode())


async def _clinic() -> dict[str, dict[str, float]]:
    global _found
    async with _looking:
        at, known = _found
        if time.monotonic() - at >= FRESH:
            known = await asyncio.to_thread(monitoring.clinic_figures)
            _found = time.monotonic(), known
        return known
