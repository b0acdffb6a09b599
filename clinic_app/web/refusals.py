"""What the edge refuses before anything else looks at a request, and in which words."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from starlette.types import Scope

from clinic_app.core.errors import DatabaseAway

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BODY_LIMIT = 1024 * 1024  # bytes in one request
#: What a body may come in: reading a piece costs as much as reading some kilobytes, so a body of thousands of crumbs
#: costs seconds. The smallest packets of slow lines carry about 500 bytes.
_PIECES, _BYTES_EACH = 256, 256
_HOST = re.compile(rb"[A-Za-z0-9._\-\[\]:]{1,255}")


@dataclass(frozen=True)
class Refusal:
    """An answer of the edge's own: ``title`` and ``detail`` are what is said."""

    status: int
    title: str
    detail: str
    headers: tuple[tuple[bytes, bytes], ...] = field(default=())

    def json(self) -> bytes:
        """For programs, in the form the API tells its errors in."""
        body = {"detail": self.detail}
        if self.status not in (404, 405):
            body = {"success": False, "error": self.title, "detail": self.detail}  # type: ignore[dict-item]
        return json.dumps(body).encode()


class Refused(Exception):
    """A request goes no further than the edge."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.title)
        self.refusal = refusal


def _later(seconds: int) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"retry-after", str(seconds).encode()),)


NOT_FOUND = Refusal(404, "Not found", "Not found.")
MALFORMED = Refusal(400, "Not a request", "The request could not be understood.")
NO_METHOD = Refusal(
    405,
    "Method not allowed",
    "This address does not allow that method.",
    ((b"allow", ", ".join(sorted(METHODS)).encode()),),
)
TOO_LARGE = Refusal(413, "Request too large", f"A request may hold at most {BODY_LIMIT // 1024} KiB.")
IN_CRUMBS = Refusal(400, "Not a request", "The request came in too many small pieces.")
TOO_SLOW = Refusal(408, "It took too long", "The request did not arrive in time. Please try again.")
ADDRESS_BUSY = Refusal(
    429,
    "Too many requests at once",
    "Too many requests from this address are being worked on. Please try again in a few seconds.",
    _later(2),
)
SESSION_BUSY = Refusal(
    429,
    "Too many requests at once",
    "Too many of your requests are being worked on. Please try again in a few seconds.",
    _later(2),
)
SERVER_BUSY = Refusal(
    503, "Temporarily unavailable", "The system is busy. Please try again in a few seconds.", _later(5)
)
DATABASE_AWAY = Refusal(503, DatabaseAway.title, DatabaseAway.detail, _later(DatabaseAway.retry_after))
NO_SOCKET = Refusal(403, "Not allowed", "This socket is for our own pages, after signing in.")
TOO_MANY_TABS = Refusal(
    429, "Too many open pages", "Too many pages are open at this address. Please close some of them.", _later(10)
)
TOO_FAST = Refusal(429, "Too much at once", "Your pages sent too much at once. Please wait a few seconds.", _later(5))


def at_first_sight(scope: Scope) -> Refusal | None:
    """What is wrong with a request by its first line and headers; None if it may go on.

    An address of another host (``GET http://…``, ``CONNECT …``) and a ``Host`` that is none get nowhere; what is well
    formed but names another host is answered as ours, for no answer repeats it.
    """
    if scope["method"] not in METHODS:
        return NO_METHOD
    if not scope["path"].startswith("/"):
        return MALFORMED
    hosts = _sent(scope, b"host")
    needed = scope.get("http_version") not in ("1", "1.0")  # the server puts an empty one where none was sent
    if hosts and (needed or hosts != [b""]) and (len(hosts) > 1 or not _HOST.fullmatch(hosts[0])):
        return MALFORMED
    codings, lengths = _sent(scope, b"transfer-encoding"), _sent(scope, b"content-length")
    if codings and (lengths or len(codings) > 1 or codings[0].lower() != b"chunked"):
        return MALFORMED
    if len(lengths) > 1 or (lengths and not lengths[0].isdigit()):
        return MALFORMED
    return TOO_LARGE if lengths and (len(lengths[0]) > 12 or int(lengths[0]) > BODY_LIMIT) else None


def crumbs(pieces: int, size: int) -> bool:
    """Whether ``size`` bytes have come in too many ``pieces``."""
    return pieces > _PIECES + size // _BYTES_EACH


def _sent(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]
