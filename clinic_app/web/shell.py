"""The built page as it is served: clinic's name, telephone and heading stand there until scripts have drawn it."""

from __future__ import annotations

import functools
import gzip
import re
from typing import NamedTuple

from fastapi import Request, Response

from clinic_app.core import routes
from clinic_app.core.settings import get_settings
from clinic_app.web import pages, security_headers


class Document(NamedTuple):
    """A page that needs a session: its heading, and the frame that its shell draws."""

    heading: str
    frame: str  # staff, portal or gate


#: Every page of Reflex's by its route; an architecture test holds it against the pages there are.
DOCUMENTS: dict[str, Document] = {
    routes.RECEPTION: Document("Reception", "staff"),
    routes.PATIENTS: Document("Patients", "staff"),
    routes.REGISTRATION: Document("Patient registration", "staff"),
    routes.PENDING: Document("Pending verification", "staff"),
    routes.PORTAL_WORK_LIST: Document("Portal work list", "staff"),
    routes.DUPLICATES: Document("Possible duplicates", "staff"),
    routes.COMPARE: Document("Compare and merge", "staff"),
    routes.PROFILE: Document("Patient profile", "staff"),
    routes.AUDIT_TRAIL: Document("Audit trail", "staff"),
    routes.STAFF_ACCOUNTS: Document("Staff accounts", "staff"),
    routes.PORTAL_BULK: Document("Portal accounts in bulk", "staff"),
    routes.IMPORT: Document("Import and export", "staff"),
    routes.ACCOUNT: Document("Your account", "staff"),
    routes.CONFIRM: Document("Confirm it is you", "gate"),
    routes.PORTAL: Document("My record", "portal"),
}
_PATTERNS = [(re.compile(re.sub(r"\\\[\w+\\\]", "[^/]+", re.escape(route))), route) for route in DOCUMENTS]


def template(path: str) -> str:
    """The route of the page at an address; empty where there is none."""
    if path in DOCUMENTS:
        return path
    return next((route for pattern, route in _PATTERNS if pattern.fullmatch(path)), "")


def find(path: str) -> Document | None:
    """The page at an address; None where there is none."""
    return DOCUMENTS.get(template(path))


@functools.lru_cache(maxsize=64)
def _html(document: Document) -> tuple[bytes, bytes]:
    """A page as text and compressed. The same for everybody who may open it: nothing of a request is in it."""
    settings = get_settings()
    built = (security_headers.built_pages() / "index.html").read_text(encoding="utf-8")
    clinic = {"name": settings.name, "telephone": settings.telephone, "telephone_uri": settings.telephone_uri}
    title, shell = (
        pages.TEMPLATES.get_template(f"shell/{part}.html").render(heading=document.heading, clinic=clinic)
        for part in ("title", document.frame)
    )
    if built.count("<head>") != 1 or built.count("<body>") != 1:
        raise RuntimeError("The built page has another head or body than this program knows.")
    html = built.replace("<head>", "<head>" + title).replace("<body>", "<body>" + shell).encode()
    return html, gzip.compress(html, 9, mtime=0)


def answer(document: Document, request: Request) -> Response:
    """The page."""
    plain, compressed = _html(document)
    if "gzip" in request.headers.get("accept-encoding", ""):
        found = Response(compressed, media_type="text/html", headers={"content-encoding": "gzip"})
    else:
        found = Response(plain, media_type="text/html")
    found.headers["vary"] = "accept-encoding"
    return found
