"""What the plain pages beside *My record* share: whom they are for, and where everybody else goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Request, Response

from clinic_app.core import cookies, crypto
from clinic_app.core.errors import ClinicError, ErrorKind
from clinic_app.services.access import Actor
from clinic_app.services.accounts import flash, places, sessions
from clinic_app.web import dead_ends, kept_forms, way_back
from clinic_app.web.answers import failure_status, keep, see_other, sign_in_first
from clinic_app.web.requests import look_up, token_hash
from clinic_app.web.signing_in import sign_in_and_go_on


async def answered(
    request: Request,
    actor: Actor,
    work: Callable[[], Response],
    *,
    refuses: bool = False,
    typed: Mapping[str, str] | None = None,
) -> Response:
    """What ``work`` answers, which asks use cases, off the event loop; others are sent to where they belong.

    Whoever is not signed in any more is brought back to the page afterwards, with what they ``typed`` there.
    ``refuses``: the use case itself refuses whoever may not, and records that; then they are told so.
    """
    path = request.url.path
    if actor.kind != "account":
        return await _sign_in_first(request, path, typed)
    if actor.held_back or (actor.patient_id is None and not refuses):
        return see_other(places.start(actor))
    try:
        return await asyncio.to_thread(work)
    except ClinicError as error:
        if error.kind == ErrorKind.UNAUTHENTICATED:
            return await _sign_in_first(request, path, typed)
        if error.kind == ErrorKind.FORBIDDEN:
            return dead_ends.no_rights(path)
        if error.kind == ErrorKind.NOT_FOUND:
            return dead_ends.not_found(path)
        status, headers = failure_status(error)
        page = dead_ends.refused(path, status, error.title, error.detail)
        page.headers.update(headers)
        return page


async def _sign_in_first(request: Request, path: str, typed: Mapping[str, str] | None) -> Response:
    token = token_hash(request) if typed else ""
    owner = (await look_up(sessions.owner_of, token) if token else 0) or way_back.parted(request)
    kept = kept_forms.seal(owner, path, typed) if typed and owner else ""
    if not kept:
        return await sign_in_first(request, path)
    return way_back.remember(await sign_in_and_go_on(request, kept), path, owner)


def noted(answer: Response, **note: Any) -> Response:
    """``answer``, with what the next page says once."""
    return keep(answer, cookies.flash_name(), flash.put_note(**note), max_age=60)


def told(request: Request) -> dict[str, Any]:
    """What the form before has left to be said once; empty where there is nothing."""
    token = cookies.sent(request.scope).get(cookies.flash_name(), "")
    return flash.pop_note(crypto.digest(token)) if token else {}
