"""Structured logs, one JSON line an event, with allow-listed keys only: no personal data can pass."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from typing import Any

import structlog

from clinic_app.core import context

#: The only keys that reach a log line. A new one is a decision: never a name, a term, an address of a person.
ALLOWED = frozenset(
    [
        "event",
        "level",
        "time",
        "logger",
        "request_id",
        "source",
        "handler",
        "error",
        "at",
        "status",
        "method",
        "path",
        "seconds",
        "count",
        "port",
        "address",
        "version",
        "state",
        "what",
        "limit",
        "worker",
        "outcome",
        "action",
        "code",
    ]
)


def _allow_listed(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key in ALLOWED}


def _request(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    here = context.current()
    if here.source != "system":
        event.setdefault("request_id", here.request_id)
        event.setdefault("source", here.source)
    return event


class _Line(logging.Formatter):
    """Records of other libraries: their logger, level and the message's template, never its values."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name.startswith("clinic"):
            return record.getMessage()
        line: dict[str, Any] = {"event": "library", "logger": record.name, "level": record.levelname.lower()}
        if not record.args and record.name.startswith(("granian", "_granian")):
            line["what"] = str(record.msg)[:200]
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line)


def configure(level: str = "INFO") -> None:
    """Send everything to standard error as one JSON line an event."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("httpx", "engineio", "socketio", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            _request,
            _allow_listed,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def get(name: str) -> structlog.stdlib.BoundLogger:
    """A logger. Only keys in ``ALLOWED`` are written."""
    return structlog.stdlib.get_logger(f"clinic.{name}")


def failure(error: BaseException, handler: str) -> str:
    """Log what failed and where, never the message or values; returns the reference to show."""
    frames = traceback.extract_tb(error.__traceback__)
    at = " < ".join(f"{f.filename.rsplit('/', 1)[-1]}:{f.lineno}:{f.name}" for f in reversed(frames[-8:]))
    reference = context.current().request_id
    get("errors").error("failed", handler=handler, error=type(error).__name__, at=at, request_id=reference)
    return reference
