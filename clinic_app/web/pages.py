"""Plain pages of ours, made on the server: those before a session, and what must never be page state."""

from __future__ import annotations

from typing import Any

from fastapi.responses import HTMLResponse

from clinic_app.core import routes, templates
from clinic_app.core.settings import get_settings
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


def again_later(answer: HTMLResponse, seconds: int) -> HTMLResponse:
    """``answer`` with when to come back."""
    answer.headers["retry-after"] = str(seconds)
    return answer
