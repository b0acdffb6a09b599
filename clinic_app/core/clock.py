"""The one place that asks what time it is."""

from __future__ import annotations

import datetime as dt

from clinic_app.core.settings import get_settings


def now() -> dt.datetime:
    """The present instant, UTC, aware, microseconds kept."""
    return dt.datetime.now(dt.UTC)


def today() -> dt.date:
    """The present day at the clinic."""
    return local(now()).date()


def local(instant: dt.datetime) -> dt.datetime:
    """``instant`` in the clinic's time zone."""
    return instant.astimezone(get_settings().zone)


def start_of_day(day: dt.date) -> dt.datetime:
    """The instant at which ``day`` begins at the clinic, in UTC."""
    return dt.datetime.combine(day, dt.time(), tzinfo=get_settings().zone).astimezone(dt.UTC)
