"""What routes of this layer answer with: on to another page, with the cookies that go with it."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import Response
from fastapi.responses import RedirectResponse

from clinic_app.core import cookies, routes
from clinic_app.services.accounts import flash
from clinic_app.services.accounts.views import SignedIn

#: Empties the browser's cache. Not its storage: that holds the choice of light or dark, and nothing about anybody.
CLEARED = '"cache"'


def see_other(path: str) -> Response:
    """On to ``path``."""
    return RedirectResponse(path, 303)


def keep(answer: Response, name: str, token: str, max_age: int | None = None) -> Response:
    """Give ``answer`` a cookie of ours; without ``max_age`` the browser keeps it until it is closed."""
    answer.set_cookie(name, token, max_age=max_age, **cookies.options())  # type: ignore[arg-type]
    return answer


def forget(answer: Response, name: str) -> Response:
    """Take a cookie of ours away."""
    answer.delete_cookie(name, **cookies.options())  # type: ignore[arg-type]
    return answer


def let_in(path: str, signed_in: SignedIn) -> Response:
    """On to ``path`` in a new session."""
    answer = keep(see_other(path), cookies.session_name(), signed_in.token)
    return forget(forget(answer, cookies.flash_name()), cookies.step_name())


def let_out(*, patient: bool = False) -> Response:
    """To the sign-in page without the session's cookie, and without what the browser has kept of pages."""
    answer = forget(see_other(routes.PORTAL_SIGN_IN if patient else routes.STAFF_SIGN_IN), cookies.session_name())
    answer.headers["clear-site-data"] = CLEARED
    return answer


def first_page(done: SignedIn) -> str:
    """Where somebody goes who has just signed in: what has to be done first, or back to where they were."""
    actor = done.actor
    if actor.patient_id is not None:
        return routes.PORTAL_PASSWORD if actor.must_choose_password else routes.PORTAL
    if actor.must_choose_password:
        return routes.ACCOUNT
    return routes.TWO_FACTOR if actor.must_set_up_second_factor else routes.staff_page(done.back_to) or routes.RECEPTION


async def back(path: str, **note: Any) -> Response:
    """To the form again, with a note only the server can read."""
    token = await asyncio.to_thread(lambda: flash.put_note(**note))
    return keep(see_other(path), cookies.flash_name(), token, max_age=60)
