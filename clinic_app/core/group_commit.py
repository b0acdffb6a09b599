"""Group commit: short work of several requests, done by one thread, one after the other, and committed at once.

Eight desks that open records then wait for one change of threads and one write to the disk, not for eight
(bench/README.md). What takes longer has a queue of its own: a record does not wait for a list.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from clinic_app.core import db, outage

AT_MOST = 32  # in one transaction
#: Seconds after which a group prepares nothing more: whoever is left is in the next one, and waits for one that takes
#: long, not for several.
LONG = 0.02
#: Seconds after which a database that is away is not asked again for each of a group.
AWAY = 1.0
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
class _Waiting:
    """What waits in one event loop."""

    loop: asyncio.AbstractEventLoop
    waiting: list[_Job] = field(default_factory=list)
    runner: asyncio.Task[None] | None = None
    wanted: int = 0
    until: float = 0.0
    gathered: asyncio.Event = field(default_factory=asyncio.Event)


def is_one_commit() -> bool:
    """Whether there is one commit for all here."""
    return db.groups()


def saves_threads() -> bool:
    """Whether reading one after the other takes no longer: on SQLite, where threads fight for the interpreter's lock.

    A server reads for several while each waits for it in a thread of its own.
    """
    return db.in_process()


class Queue:
    """Requests of one kind. They wait for each other, and not for those of another queue."""

    def __init__(self) -> None:
        self._here: _Waiting | None = None

    async def run(
        self,
        prepare: Callable[[], Asked],
        work: Callable[[Asked], Done],
        together: Together[Asked] | None = None,
        ahead: Ahead | None = None,
    ) -> Done:
        """What ``work`` returns of what ``prepare`` returns, once what ``work`` recorded is safe.

        ``prepare`` runs before the transaction, so it may wait, though others wait with it; ``ahead`` is entered round
        those of all requests with what each of them names, so that what they look up is asked for once. ``together`` is
        called in the transaction once, with what all requests that named it have prepared, before any ``work``: what
        can be done for many at once it does, and hands on to each what ``work`` needs. Where it fails, each request is
        worked on by itself, without it. ``work`` must be short. Raises what they raise; where the common commit fails,
        nobody's work is kept and everybody gets its error.
        """
        loop = asyncio.get_running_loop()
        if self._here is None or self._here.loop is not loop:
            self._here = _Waiting(loop)
        here = self._here
        job = _Job(contextvars.copy_context(), prepare, together, work, ahead, loop.create_future())
        here.waiting.append(job)
        if len(here.waiting) >= here.wanted:
            here.gathered.set()
        if here.runner is None or here.runner.done():
            here.runner = loop.create_task(_serve(here))
        return await job.done


#: Records that are opened or registered; lists that are quickly read.
RECORDS, LISTS = Queue(), Queue()


async def _serve(here: _Waiting) -> None:
    while here.waiting:
        await _gather(here)
        jobs, here.waiting = here.waiting[:AT_MOST], here.waiting[AT_MOST:]
        outcomes = await asyncio.to_thread(_all, jobs)
        for job, (value, error) in zip(jobs, outcomes, strict=False):
            if job.done.done():
                continue  # its request has gone
            if error is not None:
                job.done.set_exception(error)
            else:
                job.done.set_result(value)
        here.waiting[:0] = jobs[len(outcomes) :]
        here.wanted, here.until = min(AT_MOST, len(outcomes) + len(here.waiting)), here.loop.time() + GATHER


async def _gather(here: _Waiting) -> None:
    """Wait a moment, where several were served at once just now, until as many are there again."""
    left = here.until - here.loop.time()
    if left > 0 and len(here.waiting) < here.wanted:
        here.gathered.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(here.gathered.wait(), left)


def _all(jobs: list[_Job]) -> list[_Outcome]:
    """What became of them, in order; of the last ones nothing where it took long."""
    with db.glances(), _ahead(jobs):
        prepared = _prepared(jobs)
    jobs = jobs[: len(prepared)]
    try:
        with db.grouped():
            return _worked(jobs, _together(jobs, prepared))
    except db.Apart:
        return _worked(jobs, prepared)
    except Exception as error:  # noqa: BLE001  it is raised where the requests wait
        return [(None, error)] * len(jobs)


def _prepared(jobs: list[_Job]) -> list[_Outcome]:
    began, prepared = time.monotonic(), list[_Outcome]()
    for job in jobs:
        prepared.append(_tried(job, job.prepare))
        took, error = time.monotonic() - began, prepared[-1][1]
        if took > AWAY and error is not None and outage.database_is_away(error):
            return prepared + [(None, error)] * (len(jobs) - len(prepared))
        if took > LONG:
            break
    return prepared


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
