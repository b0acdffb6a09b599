"""Figures for whoever watches the clinic: what is counted, and the page that Prometheus reads.

Every figure there is stands here. What goes into a label comes from the code alone (a route's template, a handler's
name, an action, a status), never from a request: nobody's name, number, address or term can be in one. Each worker
counts for itself; where there are several, each leaves its figures in a folder, and whichever is asked adds them up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import Metric

from clinic_app.core import logs, periodic

prometheus_client.disable_created_metrics()

#: Environment variable in which ``serve`` says where workers leave their figures.
FOLDER = "CLINIC_METRICS_FOLDER"
#: Seconds between two times that a worker leaves its figures for the others.
EVERY = 10.0
#: Where a request's scope holds who answers it.
ROUTE = "clinic.route"
#: A worker that has left nothing for so many seconds is no more: what it counted stays, what it held does not.
GONE = 35.0
#: So many series of one figure, whatever happens: labels come from the code, and this is the wall behind that.
SERIES = 2000
OTHER = "other"
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_REGISTRY = CollectorRegistry()

REQUESTS = Counter(
    "clinic_requests",
    "Requests answered, by the route's template. Status 0: the caller left before the answer.",
    ("method", "route", "status"),
    registry=_REGISTRY,
)
REQUEST_SECONDS = Histogram(
    "clinic_request_seconds",
    "Seconds from the first byte of a request to the end of its answer.",
    ("route",),
    buckets=_SECONDS,
    registry=_REGISTRY,
)
DESK_EVENTS = Counter(
    "clinic_desk_events",
    "Events of pages that were carried out: done, refused (in words) or failed (a fault of ours).",
    ("handler", "outcome"),
    registry=_REGISTRY,
)
DESK_EVENT_SECONDS = Histogram(
    "clinic_desk_event_seconds",
    "Seconds an event of a page took. What runs in the background has none.",
    ("handler",),
    buckets=_SECONDS,
    registry=_REGISTRY,
)
REFUSALS = Counter(
    "clinic_refusals",
    "What was refused in words, by the way in (api, desk, web) and the kind of error.",
    ("way", "kind"),
    registry=_REGISTRY,
)
AUDIT_EVENTS = Counter(
    "clinic_audit_events",
    "Events these servers have added to the audit trail; sign-ins among them, by their outcome.",
    ("action", "outcome"),
    registry=_REGISTRY,
)
DATABASE_ERRORS = Counter(
    "clinic_database_errors",
    "Statements the database refused or did not answer. IntegrityError: two at once wanted the same number or name.",
    ("error",),
    registry=_REGISTRY,
)
WORKERS_ENDED = Counter(
    "clinic_workers_ended",
    "Workers that died and were replaced, by exit code (-9: killed, often because there was no memory left).",
    ("code",),
    registry=_REGISTRY,
)
_FIGURES = (
    *(REQUESTS, REQUEST_SECONDS, DESK_EVENTS, DESK_EVENT_SECONDS),
    *(REFUSALS, AUDIT_EVENTS, DATABASE_ERRORS, WORKERS_ENDED),
)

#: What a worker holds now: name, what it is, label. Added up over the workers that are alive.
HELD: dict[str, tuple[str, str]] = {
    "clinic_password_hashes": ("Password hashes being made, or waiting for their turn, by who waits.", "room"),
    "clinic_database_connections": ("Connections to the database that are open, and those in use.", "state"),
    "clinic_workers": ("Workers that serve.", ""),
}
#: What is the same whoever is asked: name, what it is, label. ``services/monitoring.py`` finds it.
CLINIC: dict[str, tuple[str, str]] = {
    "clinic_part_ready": ("Whether a part is in order, as /readyz tells it: 1 or 0.", "part"),
    "clinic_outbox_messages": ("Messages that wait to be sent, and those given up in the last 90 days.", "state"),
    "clinic_outbox_oldest_seconds": ("Seconds the oldest message has been waiting; 0 where none waits.", ""),
    "clinic_audit_trail_rows": ("Rows of the audit trail, whoever wrote them.", ""),
    "clinic_last_backup_timestamp_seconds": ("When the last backup was made (Unix time); 0 where there is none.", ""),
    "clinic_copy_timestamp_seconds": (
        "Up to when all is in the continuous copy (Unix time); 0: there is none.",
        "",
    ),
    "clinic_copy_checked_timestamp_seconds": (
        "When the continuous copy was last restored and found whole (Unix time); 0: never.",
        "",
    ),
    "clinic_copy_damaged": ("Whether the continuous copy was found damaged, and no new one is whole yet: 1 or 0.", ""),
    "clinic_disk_free_bytes": ("Room left where it is least of the places that files are written to.", ""),
    "clinic_info": ("The version of the program.", "version"),
}

_held: dict[str, Callable[[], dict[str, float]]] = {"clinic_workers": lambda: {"": 1.0}}
_series: dict[str, set[tuple[str, ...]]] = {}


def names() -> set[str]:
    """The names of all series, as Prometheus knows them."""
    found = set(HELD) | set(CLINIC)
    for family in _REGISTRY.collect():
        counts = family.type == "counter"
        found |= {f"{family.name}_total"} if counts else {f"{family.name}_{end}" for end in ("bucket", "sum", "count")}
    return found


def hold(name: str, ask: Callable[[], dict[str, float]]) -> None:
    """Tell under ``name`` what ``ask`` returns at that moment: the label's value → how many."""
    _held[name] = ask


def _of(figure: Any, labels: tuple[str, ...]) -> Any:
    """The series of these labels; a common one where there are too many."""
    known = _series.setdefault(figure._name, set())
    if labels not in known:
        if len(known) >= SERIES:
            labels = (OTHER,) * len(labels)
        known.add(labels)
    return figure.labels(*labels)


def count(figure: Counter, *labels: str, by: int = 1) -> None:
    """Count one more, or ``by`` more."""
    _of(figure, labels).inc(by)


def observe(figure: Histogram, seconds: float, *labels: str) -> None:
    """Note how long it took."""
    _of(figure, labels).observe(seconds)


def begin_at_zero(figure: Counter, *labels: str) -> None:
    """Tell this series from the start: Prometheus sees no growth in one whose first value is not 0."""
    _of(figure, labels)


def name_route(scope: MutableMapping[str, Any], template: str) -> None:
    """Say which route answers the request of ``scope``: its template, never the address that was asked for."""
    if (named := scope.get(ROUTE)) is not None:
        named.append(template)


# --- several workers ----------------------------------------------------------------------------------


def begin_anew() -> None:
    """Forget what was counted. A worker that the server forks begins with nothing of its parent's."""
    global _own_file, _last
    _own_file, _last = "", {}
    _series.clear()
    for figure in _FIGURES:
        figure.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=begin_anew)

Sample = tuple[str, dict[str, str], float]
_writing = threading.Lock()
_own_file = ""
_last: dict[str, Any] = {}


def _counted() -> list[tuple[str, str, str, list[Sample]]]:
    return [
        (one.name, one.type, one.documentation, [(s.name, dict(s.labels), s.value) for s in one.samples])
        for one in _REGISTRY.collect()
    ]


def _figures(*, holds: bool = True) -> dict[str, Any]:
    held: list[Sample] = []
    if not holds:
        return {"counted": _counted(), "held": held}
    for name, ask in tuple(_held.items()):
        label = HELD[name][1]
        held += [(name, {label: value} if label else {}, number) for value, number in ask().items()]
    return {"counted": _counted(), "held": held}


def leave(*, holds: bool = True) -> dict[str, Any]:
    """Leave this process's figures for the others, and return what was left.

    A process that serves nobody holds nothing (``holds``).
    Where nothing can be written, what was left the last time: a count that is told must never be smaller again.
    """
    global _last, _own_file
    folder = os.environ.get(FOLDER)
    if not folder:
        return _figures()
    with _writing:
        _own_file = _own_file or f"{os.getpid()}-{time.time_ns()}.json"
        file = Path(folder) / _own_file
        made, draft = _figures(holds=holds), file.with_suffix(".part")
        try:
            draft.write_text(json.dumps(made))
            draft.replace(file)
            _last = made
        except OSError as error:
            logs.failure(error, "metrics")
            return _last or made
        return made


def _serves(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


def _others() -> Iterator[dict[str, Any]]:
    folder = os.environ.get(FOLDER)
    for file in sorted(Path(folder).glob("*.json")) if folder else ():
        if file.name == _own_file:
            continue
        with contextlib.suppress(OSError, ValueError):  # it is being replaced, or nobody could write it
            found = json.loads(file.read_text())
            if not _serves(int(file.name.partition("-")[0])) or time.time() - file.stat().st_mtime > GONE:
                found["held"] = []
            yield found


def _added_up(parts: Iterable[dict[str, Any]]) -> list[Metric]:
    kinds: dict[str, tuple[str, str]] = {name: (words, "gauge") for name, (words, _) in HELD.items()}
    sums: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {name: {} for name in HELD}

    def add(family: str, sample: str, labels: dict[str, str], value: float) -> None:
        key = sample, tuple(labels.items())
        sums[family][key] = sums[family].get(key, 0.0) + value

    for part in parts:
        for name, kind, words, samples in part["counted"]:
            kinds[name] = words, kind
            sums.setdefault(name, {})
            for sample, labels, value in samples:
                add(name, sample, labels, value)
        for name, labels, value in part["held"]:
            add(name, name, labels, value)
    made = []
    for name, (words, kind) in kinds.items():
        family = Metric(name, words, kind)
        for (sample, labels), value in sums[name].items():
            family.add_sample(sample, dict(labels), value)
        made.append(family)
    return made


def _clinic(found: dict[str, dict[str, float]]) -> Iterator[Metric]:
    for name, values in found.items():
        words, label = CLINIC[name]
        family = Metric(name, words, "gauge")
        for value, number in values.items():
            family.add_sample(name, {label: value} if label else {}, number)
        yield family


class _Told:
    """For the library's writer: families that are ready."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


CONTENT_TYPE = prometheus_client.CONTENT_TYPE_PLAIN_0_0_4


def page(clinic: dict[str, dict[str, float]]) -> bytes:
    """All figures as Prometheus reads them: those of all workers together, and ``clinic``'s by name and label."""
    own = leave()
    families = [*_added_up([own, *_others()]), *_clinic(clinic)]
    return prometheus_client.generate_latest(_Told(families))  # type: ignore[arg-type]  all it asks for is ``collect``


@contextlib.asynccontextmanager
async def leaving() -> AsyncIterator[None]:
    """Leave figures for the other workers every few seconds, and at the end: a lifespan task of each worker."""
    if not os.environ.get(FOLDER):
        yield
        return

    async def work() -> None:
        await asyncio.to_thread(leave)

    await work()
    try:
        async with periodic.running(work, EVERY, failed="metrics_not_left"):
            yield
    finally:
        await work()
