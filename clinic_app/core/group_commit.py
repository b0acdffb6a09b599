"""Group commit: short work of several requests, done by one thread, one after the other, and committed at once.

Eight desks that open records then wait for one change of threads and one write to the disk, not for eight
(bench/README.md).
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from clinic_app.core import db

AT_MOST = 32  # in one transaction
Asked = TypeVar("Asked")
Done = TypeVar("Done")
_Outcome = tuple[Any, Exception | None]


@dataclass(frozen=True, slots=True)
class _Job:
    context: contextvars.Context
    prepare: Callable[[], Any]
    work: Callable[[Any], Any]
    done: asyncio.Future[Any]


@dataclass(slots=True)
class _Queue:
    """What waits in one event loop."""

    loop: asyncio.AbstractEventLoop
    waiting: list[_Job] = field(default_factory=list)
    runner: asyncio.Task[None] | None = None


_queue: _Queue | None = None


def is_one_commit() -> bool:
    """Whether there is one commit for all here: on SQLite. PostgreSQL shares commits by itself."""
    return db.groups()


async def run(prepare: Callable[[], Asked], work: Callable[[Asked], Done]) -> Done:
    """What ``work`` returns of what ``prepare`` returns, once what ``work`` recorded is safe.

    ``prepare`` runs before the transaction, so it may wait. ``work`` must be short. Raises what they raise;
    where the common commit fails, nobody's work is kept and everybody gets its error.
    """
    global _queue
    loop = asyncio.get_running_loop()
    if _queue is None or _queue.loop is not loop:
        _queue = _Queue(loop)
    job = _Job(contextvars.copy_context(), prepare, work, loop.create_future())
    _queue.waiting.append(job)
    if _queue.runner is None or _queue.runner.done():
        _queue.runner = loop.create_task(_serve(_queue))
    return await job.done


async def _serve(queue: _Queue) -> None:
    while queue.waiting:
        jobs, queue.waiting = queue.waiting[:AT_MOST], queue.waiting[AT_MOST:]
        for job, (value, error) in zip(jobs, await asyncio.to_thread(_all, jobs), strict=True):
            if job.done.done():
                continue  # its request has gone
            if error is not None:
                job.done.set_exception(error)
            else:
                job.done.set_result(value)


def _all(jobs: list[_Job]) -> list[_Outcome]:
    prepared = [_tried(job, job.prepare) for job in jobs]
    try:
        with db.grouped():
            done = [
                (None, error) if error is not None else _tried(job, job.work, value)
                for job, (value, error) in zip(jobs, prepared, strict=True)
            ]
    except Exception as error:  # noqa: BLE001  it is raised where the requests wait
        return [(None, error)] * len(jobs)
    return done


def _tried(job: _Job, step: Callable[..., Any], *given: Any) -> _Outcome:
    try:
        return job.context.run(step, *given), None
    except Exception as error:  # noqa: BLE001  it is raised where its request waits
        return None, error
