"""Structured logs, one JSON line an event, with allow-listed keys only: no personal data can pass."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog

from clinic_app.core import context
from clinic_app.core.log_ration import Ration

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


def _allow_listed(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: value for key, value in event.items() if key in ALLOWED}


# --- paths ----------------------------------------------------------------------------------------

_PLAIN = re.compile(r"[a-z][a-z._-]{0,40}")
_AREAS = frozenset({"", "api", "assets", "auth"})
#: No route has answered: the caller has gone, nothing is there, nothing takes that method, or the body is too large.
_NO_ROUTE = frozenset({0, 404, 405, 413})
#: What may follow ``/patients/`` and is no patient.
_PATIENT_PAGES = frozenset({"new", "pending", "search", "bulk-create-portal", "pending-verification"})


def safe_path(path: str, status: int = 200) -> str:
    """``path`` without anything that names a person: ids, patient IDs, and whatever somebody made up."""
    parts = path.split("/")
    if status in _NO_ROUTE:  # nobody knows what it was meant to be
        return "/".join([*parts[:2], "…"]) if len(parts) > 1 and parts[1] in _AREAS - {""} else "/…"
    kept = []
    for number, part in enumerate(parts):
        after_patients = number > 0 and parts[number - 1] == "patients"
        plain = part == "" or (_PLAIN.fullmatch(part) and (not after_patients or part in _PATIENT_PAGES))
        known = plain or (number == 2 and parts[1] == "api" and part == "v1") or parts[1:2] == ["assets"]
        kept.append(part if known else "…")
    return "/".join(kept)


def _paths(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if "path" in event:
        event["path"] = safe_path(str(event["path"]), event.get("status", 200))
    return event


def _request(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    here = context.current()
    if here.source != "system":
        event.setdefault("request_id", here.request_id)
        event.setdefault("source", here.source)
    return event


# --- how many --------------------------------------------------------------------------------------

#: Lines a minute of one kind: requests with one status, failures of one sort, a library's own.
LINES_A_MINUTE = 120


def _left_out(kind: str, count: int) -> None:
    get("logs").warning("lines_left_out", what=kind, count=count)


def _new_ration() -> Ration:
    return Ration(LINES_A_MINUTE, _left_out)


_ration = _new_ration()


def allows(kind: str) -> bool:
    """Whether one more line of ``kind`` may be written this minute. What may not is counted, and told in one line."""
    return _ration.allows(kind)


async def tell_what_was_left_out() -> None:
    """Write the lines ``lines_left_out`` of the minute that is over. Each worker does it every minute."""
    _ration.tell()


def _library_may(record: logging.LogRecord) -> bool:
    return record.name.startswith("clinic") or _ration.allows(f"library {record.name}")


class _Line(logging.Formatter):
    """Records of other libraries: their logger, level and the message's template, never its values."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name.startswith("clinic"):
            return record.getMessage()
        line: dict[str, Any] = {"event": "library", "logger": record.name, "level": record.levelname.lower()}
        if not record.args and record.name.startswith(("granian", "_granian")):
            line["what"] = (str(record.msg).splitlines() or [""])[0][:200]  # a traceback's first line says nothing
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line)


#: Libraries that write by themselves, tracebacks and all, unless they are kept from it.
_BRING_HANDLERS = ("engineio", "engineio.server", "socketio", "socketio.server", "granian", "_granian", "uvicorn")


def _one_way_out() -> None:
    """Let nothing write past our handler: what libraries hang into their own loggers is taken out again."""
    for name, known in list(logging.root.manager.loggerDict.items()):
        if isinstance(known, logging.Logger) and name.startswith(_BRING_HANDLERS):
            known.handlers.clear()
            known.propagate = True


def configure(level: str = "INFO") -> None:
    """Send everything to standard error as one JSON line an event."""
    global _ration
    _ration = _new_ration()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line())
    handler.addFilter(_library_may)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("httpx", "asyncio", *_BRING_HANDLERS):
        logging.getLogger(noisy).setLevel(logging.WARNING)  # one whose level is set adds no handler of its own
    _one_way_out()
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            _request,
            _paths,
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
    if not allows(f"failed {handler} {type(error).__name__}"):
        return context.current().request_id
    frames = traceback.extract_tb(error.__traceback__)
    at = " < ".join(f"{f.filename.rsplit('/', 1)[-1]}:{f.lineno}:{f.name}" for f in reversed(frames[-8:]))
    reference = context.current().request_id
    get("errors").error("failed", handler=handler, error=type(error).__name__, at=at, request_id=reference)
    return reference


def last_resort() -> None:
    """What nobody caught, in whatever thread, is logged like everything else: Python would print its message.

    For a process that serves; a command and a test want Python's own way.
    """

    def uncaught(kind: type[BaseException], error: BaseException | None, *_: Any) -> None:
        if error is not None and not issubclass(kind, KeyboardInterrupt | SystemExit):
            failure(error, "uncaught")

    def in_thread(hook: threading.ExceptHookArgs) -> None:
        uncaught(hook.exc_type, hook.exc_value)

    def unraisable(hook: sys.UnraisableHookArgs) -> None:
        uncaught(hook.exc_type, hook.exc_value)

    _one_way_out()
    sys.excepthook = uncaught
    threading.excepthook = in_thread
    sys.unraisablehook = unraisable
    logging.captureWarnings(True)
