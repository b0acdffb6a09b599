"""Plain pages of ours, made on the server: those before a session, and what must never be page state."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi.responses import HTMLResponse

from clinic_app.core import routes, templates
from clinic_app.core.errors import ClinicError
from clinic_app.core.settings import get_settings
from clinic_app.services.accounts.errors import CodeBelongsElsewhere
from clinic_app.web import built

TEMPLATES = templates.beside(__file__)
TEMPLATES.globals["routes"] = routes
TEMPLATES.globals["ahead"] = built.ahead


def clinic() -> dict[str, Any]:
    """What a page says about the clinic."""
    settings = get_settings()
    return {
        "name": settings.name,
        "telephone": settings.telephone,
        "telephone_uri": settings.telephone_uri,
        "hours": settings.opening_hours,
        "address": settings.address,
        "registers": settings.self_registration,
        "demo": settings.mode == "demo",
    }


def render(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """The page that ``template`` makes of ``values``; it knows the clinic and our addresses by itself. Not kept."""
    html = TEMPLATES.get_template(template).render(clinic=clinic(), **values)
    return HTMLResponse(html, status, {"cache-control": "no-store"})


def elsewhere(error: ClinicError, code: str) -> tuple[str, str] | None:
    """Where a code belongs that was right on the wrong page: that page's title, and the way there with the code."""
    if not isinstance(error, CodeBelongsElsewhere):
        return None
    title, path = "Set your password", routes.ACTIVATE
    if error.confirms_email:
        title, path = "Confirm your email", routes.CONFIRM_EMAIL
    return title, f"{path}#{quote(code.strip())}"


def again_later(answer: HTMLResponse, seconds: int) -> HTMLResponse:
    """``answer`` with when to come back."""
    answer.headers["retry-after"] = str(seconds)
    return answer
