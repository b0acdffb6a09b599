"""A form that was sent when its session was over: sealed, it goes to the page where its owner signs in again, and back.

What was typed is nowhere but in the browser, and only this server can read it there. Whoever else signs in on that
page gets nothing of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from fastapi import Response
from fastapi.responses import RedirectResponse

from clinic_app.core import clock, encryption, routes
from clinic_app.services.access import Actor

#: The hidden field that holds it.
FIELD = "kept"
LIFE = 12 * 3600  # seconds
_PURPOSE = "kept form"
_LONGEST = 200_000  # characters, sealed


def seal(owner: int, path: str, form: Mapping[str, str]) -> str:
    """What was typed into the form at ``path`` by the account ``owner``, for that account alone."""
    kept = json.dumps([path, dict(form), int(clock.now().timestamp()) + LIFE])
    sealed = encryption.encrypt(kept, _PURPOSE, str(owner))
    return sealed if len(sealed) <= _LONGEST else ""


def of(actor: Actor, sealed: str) -> tuple[str, dict[str, str]]:
    """The page it belongs to, and what was typed; empty where it is not ``actor``'s, too old, or none of ours."""
    if not sealed or len(sealed) > _LONGEST or actor.account_id is None:
        return "", {}
    try:
        path, form, until = json.loads(encryption.decrypt(sealed, _PURPOSE, str(actor.account_id)))
    except (encryption.Unreadable, ValueError, TypeError):
        return "", {}
    return (path, form) if until > clock.now().timestamp() else ("", {})


def goes_on(answer: Response, actor: Actor, sealed: str) -> Response:
    """``answer`` to a sign-in; where a form of ``actor``'s was kept, on to its page together with what was sent.

    A redirection that repeats the request (307) is the one way that needs no script and keeps it in the browser.
    """
    path, _ = of(actor, sealed)
    if actor.held_back or path != routes.PORTAL_CONTACT:
        return answer
    on = RedirectResponse(path, 307)
    on.raw_headers += [header for header in answer.raw_headers if header[0] == b"set-cookie"]
    return on
