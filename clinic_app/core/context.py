"""What is known about the request being served: set where it comes in, read by audit and logs."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field


def new_request_id() -> str:
    """An id that names one request in answers, audit rows and logs. Holds nothing about the caller."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Where a request came from. ``source`` is ``page``, ``api``, ``cli`` or ``system``.

    ``intent`` names the press on a page that it serves, where that changes something.
    """

    source: str = "system"
    address: str = ""
    user_agent: str = ""
    request_id: str = field(default_factory=new_request_id)
    intent: str = ""


_current: ContextVar[RequestContext | None] = ContextVar("clinic_request", default=None)


def current() -> RequestContext:
    """The request being served; outside of one, a fresh ``system`` context."""
    return _current.get() or RequestContext()


@contextlib.contextmanager
def use(context: RequestContext) -> Iterator[RequestContext]:
    """Make ``context`` current inside the block (and in threads started by ``asyncio.to_thread``)."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)
