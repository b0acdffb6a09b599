"""Plain pages of ours, made on the server: for what must never be page state."""

from __future__ import annotations

import functools
import re
from typing import Any

from fastapi.responses import HTMLResponse

from clinic_app.core import routes, templates
from clinic_app.core.settings import get_settings
from clinic_app.web import security_headers

TEMPLATES = templates.beside(__file__)
TEMPLATES.globals["routes"] = routes
_STYLES = re.compile(r'<link href="(/assets/[\w.-]+\.css)" rel="stylesheet"')


@functools.lru_cache(maxsize=1)
def _stylesheet() -> str:
    """The one stylesheet of the built pages, whose name holds a hash."""
    found = _STYLES.search((security_headers.built_pages() / "index.html").read_text(encoding="utf-8"))
    if found is None:
        raise RuntimeError("The built pages name no stylesheet.")
    return found[1]


def render(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """The page that ``template`` makes of ``values``; it knows the clinic and our addresses by itself."""
    html = TEMPLATES.get_template(template).render(
        clinic={"name": get_settings().name}, stylesheet=_stylesheet(), **values
    )
    return HTMLResponse(html, status)
