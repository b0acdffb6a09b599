"""Group commit: short work of several requests, done by one thread, one after the other, and committed at once.

Eight desks that open records then wait for one change of threads and one write to the disk, not for eight
(bench/README.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from clinic_app.core import db

AT_MOST = 32  # in one transaction
#: Seconds that a group waits for those who were answered just now and may ask again: fewer groups, fewer commits.
GATHER = 0.002
Asked = TypeVar("Asked")
Together = Callable[[list[Asked]], list[Asked]]
Done = TypeVar("Done")
_Outcome = tuple[Any, Exception | None]


#: What looks up for all requests, given what each of them wants of it; and what this one wants.
Ahead = tuple[Callable[[list[Any]], AbstractContextManager[None]], Any]


@dataclass(frozen=True, slots=True)
class _Job:
    context: contextvars.Context
    prepare: Callable[[], Any]
    together: Callable[[list[Any]], list[Any]] | None
    work: Callable[[Any], Any]
    ahead: Ahead | None
    done: asyncio.Future[Any]


@dataclass(slots=True)
class _Queue:
    """What waits in one event loop."""

    loop: asyncio.AbstractEventLoop
    waiting: list[_Job] = field(default_factory=list)
    runner: asyncio.Task[None] | None = None
    wanted: int = 0
    until: float = 0.0
    gathered: asyncio.Event = field(default_factory=asyncio.Event)


_queue: _Queue | None = None


def is_one_commit() -> bool:
    """Whether there is one commit for all here."""
    return db.groups()


async def run(
    prepare: Callable[[], Asked],
    work: Callable[[Asked], Done],
    together: Together[Asked] | None = None,
    ahead: Ahead | None = None,
) -> Done:
    """What ``work`` returns of what ``prepare`` returns, once what ``work`` recorded is safe.

    ``prepare`` runs before the transaction, so it may wait; ``ahead`` is entered round those of all requests with what
    each of them names, so that what they look up is asked for once. ``together`` is called in the transaction once,
    with what all requests that named it have prepared, before any ``work``: what can be done for many at once it does,
    and hands on to each what ``work`` needs. Where it fails, each request is worked on by itself, without it. ``work``
    must be short. Raises what they raise; where the common commit fails, nobody's work is kept and everybody gets its
    error.
    """
    global _queue
    loop = asyncio.get_running_loop()
    if _queue is None or _queue.loop is not loop:
        _queue = _Queue(loop)
    job = _Job(contextvars.copy_context(), prepare, together, work, ahead, loop.create_future())
    _queue.waiting.append(job)
    if len(_queue.waiting) >= _queue.wanted:
        _queue.gathered.set()
    if _queue.runner is None or _queue.runner.done():
        _queue.runner = loop.create_task(_serve(_queue))
    return await job.done


async def _serve(queue: _Queue) -> None:
    while queue.waiting:
        await _gather(queue)
        jobs, queue.waiting = queue.waiting[:AT_MOST], queue.waiting[AT_MOST:]
        for job, (value, error) in zip(jobs, await asyncio.to_thread(_all, jobs), strict=True):
            if job.done.done():
                continue  # its request has gone
            if error is not None:
                job.done.set_exception(error)
            else:
                job.done.set_result(value)
        queue.wanted, queue.until = min(AT_MOST, len(jobs) + len(queue.waiting)), queue.loop.time() + GATHER


async def _gather(queue: _Queue) -> None:
    """Wait a moment, where several were served at once just now, until as many are there again."""
    left = queue.until - queue.loop.time()
    if left > 0 and len(queue.waiting) < queue.wanted:
        queue.gathered.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(queue.gathered.wait(), left)


def _all(jobs: list[_Job]) -> list[_Outcome]:
    with db.glances(), _ahead(jobs):
        prepared = [_tried(job, job.prepare) for job in jobs]
    try:
        with db.grouped():
            return _worked(jobs, _together(jobs, prepared))
    except db.Apart:
        return _worked(jobs, prepared)
    except Exception as error:  # noqa: BLE001  it is raised where the requests wait
        return [(None, error)] * len(jobs)


@contextlib.contextmanager
def _ahead(jobs: list[_Job]) -> Iterator[None]:
    wanted: dict[Any, list[Any]] = {}
    for job in jobs:
        if job.ahead is not None:
            wanted.setdefault(job.ahead[0], []).append(job.ahead[1])
    with contextlib.ExitStack() as stack:
        for look, all_of_them in wanted.items():
            with contextlib.suppress(Exception):  # each looks by itself then, and is told what it was
                stack.enter_context(look(all_of_them))
        yield


def _together(jobs: list[_Job], prepared: list[_Outcome]) -> list[_Outcome]:
    """What was prepared, and where it is done together, what became of that. Raises ``db.Apart`` where that fails."""
    found = list(prepared)
    places: dict[Callable[[list[Any]], list[Any]], list[int]] = {}
    for place, (job, (_, error)) in enumerate(zip(jobs, prepared, strict=True)):
        if job.together is not None and error is None:
            places.setdefault(job.together, []).append(place)
    for together, mine in places.items():
        try:
            done = together([prepared[place][0] for place in mine])
        except Exception as error:
            raise db.Apart from error  # whose fault it was, each by itself will tell
        for place, value in zip(mine, done, strict=True):
            found[place] = (value, None)
    return found


def _worked(jobs: list[_Job], given: list[_Outcome]) -> list[_Outcome]:
    return [
        (None, error) if error is not None else _tried(job, job.work, value)
        for job, (value, error) in zip(jobs, given, strict=True)
    ]


def _tried(job: _Job, step: Callable[..., Any], *given: Any) -> _Outcome:
    try:
        return job.context.run(step, *given), None
    except db.Apart:
        raise
    except Exception as error:  # noqa: BLE001  it is raised where its request waits
        return None, error
