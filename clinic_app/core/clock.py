"""The one place that asks what time it is."""

from __future__ import annotations

import contextlib
import contextvars
import datetime as dt
from collections.abc import Iterator

from clinic_app.core.settings import get_settings

_told: contextvars.ContextVar[dt.datetime | None] = contextvars.ContextVar("told", default=None)


def now() -> dt.datetime:
    """The present instant, UTC, aware, microseconds kept."""
    return _told.get() or dt.datetime.now(dt.UTC)


@contextlib.contextmanager
def at(instant: dt.datetime) -> Iterator[None]:
    """Inside the block it is ``instant`` (UTC). For inventing the demo clinic's past, and nothing else."""
    before = _told.set(instant)
    try:
        yield
    finally:
        _told.reset(before)


def today() -> dt.date:
    """The present day at the clinic."""
    return local(now()).date()


def of_unix(seconds: float) -> dt.datetime:
    """The instant so many seconds after 1970 began."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def local(instant: dt.datetime) -> dt.datetime:
    """``instant`` in the clinic's time zone."""
    return instant.astimezone(get_settings().zone)


def start_of_day(day: dt.date) -> dt.datetime:
    """The instant at which ``day`` begins at the clinic, in UTC."""
    return dt.datetime.combine(day, dt.time(), tzinfo=get_settings().zone).astimezone(dt.UTC)
