"""Where somebody wanted to go who had to sign in first: in a cookie that only this server can read or write.

Not in the database: a stranger's request writes nothing. Not in the address: it may name a patient.
"""

from __future__ import annotations

import json

from fastapi import Request, Response

from clinic_app.core import clock, cookies, encryption, routes
from clinic_app.services.access import Actor

LIFE = 30 * 60  # seconds
_PURPOSE, _PLACE = "way back", "cookie"
_LONGEST = 120  # characters of an address


def remember(answer: Response, path: str, owner: int) -> Response:
    """Let ``answer`` keep ``path``, where it is a page one may be brought back to.

    ``owner`` is the account whose session has ended in this browser, 0 where there was none: nobody else is led to
    where that person was.
    """
    if not (routes.staff_page(path) or routes.portal_page(path)) or len(path) > _LONGEST:
        return answer
    return _keep(answer, path, owner)


def part(answer: Response, owner: int) -> Response:
    """Let ``answer`` keep that ``owner`` has signed out here: Back asks for pages of theirs."""
    return _keep(answer, "", owner)


def parted(request: Request) -> int:
    """The account whose session has ended in this browser, as far as it still knows; 0 where there was none."""
    return _read(cookies.sent(request.scope).get(cookies.way_back_name(), ""))[1]


def _keep(answer: Response, path: str, owner: int) -> Response:
    kept = json.dumps([path, owner, int(clock.now().timestamp()) + LIFE])
    sealed = encryption.encrypt(kept, _PURPOSE, _PLACE).rstrip("=")
    answer.set_cookie(cookies.way_back_name(), sealed, max_age=LIFE, **cookies.options())
    return answer


def page_for(request: Request, actor: Actor) -> str:
    """The page that ``actor``, just signed in, asked for before; empty where there is none for them."""
    path, owner = _read(cookies.sent(request.scope).get(cookies.way_back_name(), ""))
    if owner not in (0, actor.account_id):
        return ""
    return routes.portal_page(path) if actor.patient_id is not None else routes.staff_page(path)


def _read(sealed: str) -> tuple[str, int]:
    if not sealed or len(sealed) > 1000 or "=" in sealed:  # it was given without
        return "", 0
    try:
        path, owner, until = json.loads(encryption.decrypt(sealed + "=" * (-len(sealed) % 4), _PURPOSE, _PLACE))
    except (encryption.Unreadable, ValueError, TypeError):
        return "", 0
    if not (isinstance(path, str) and isinstance(owner, int) and isinstance(until, int)):
        return "", 0
    return (path, owner) if until > clock.now().timestamp() else ("", 0)
