"""Events that stand alone, such as looks at lists: those of several threads at one moment are committed at once.

Whoever comes first writes for all who wait, so that eight desks wait for one write to the disk, not for eight.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlmodel import Session

from clinic_app.core import context, db
from clinic_app.services.access import Actor
from clinic_app.services.audit import actor_check
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.actor_check import RoleChanged, SessionOver
from clinic_app.services.audit.authorization import note_refusal
from clinic_app.services.audit.recording import check_actor, record

AT_MOST = 32  # in one transaction


class _Waiting:
    def __init__(self, write: Callable[[Session], None]) -> None:
        self.context, self.write = contextvars.copy_context(), write
        self.woken, self.leads = threading.Event(), False
        self.error: Exception | None = None


class _Queue:
    """Who waits in this process, and whether somebody is writing."""

    def __init__(self) -> None:
        self._lock, self._waiting, self._led = threading.Lock(), list[_Waiting](), False

    def write(self, write: Callable[[Session], None]) -> None:
        """Return once ``write`` is committed. Raises what it raised, or what ended the common commit."""
        mine = _Waiting(write)
        with self._lock:
            self._waiting.append(mine)
            mine.leads, self._led = not self._led, True
        if not mine.leads:
            mine.woken.wait()
        if mine.leads:
            self._lead()
        if mine.error is not None:
            raise mine.error

    def _lead(self) -> None:
        """Write for the first of those who wait, oneself among them, and have the next one go on."""
        with self._lock:
            batch, self._waiting = self._waiting[:AT_MOST], self._waiting[AT_MOST:]
        try:
            _commit(batch)
        finally:
            with self._lock:
                following = self._waiting[0] if self._waiting else None
                self._led = following is not None
                if following is not None:
                    following.leads = True
            for one in [*batch, *([following] if following is not None else [])]:
                one.woken.set()


def _commit(batch: list[_Waiting]) -> None:
    try:
        with db.grouped():
            _try(batch)
    except db.Apart:  # somebody no longer may: each is told by itself
        for one in batch:
            one.error = None
        _try(batch)
    except Exception as error:  # noqa: BLE001  it is raised where they wait
        for one in batch:
            one.error = one.error or error


def _try(batch: list[_Waiting]) -> None:
    for one in batch:
        try:
            one.context.run(_one, one.write)
        except db.Apart:
            raise
        except Exception as error:  # noqa: BLE001  it is raised where it waits
            one.error = error


def _one(write: Callable[[Session], None]) -> None:
    with db.transaction(writes=bool(context.current().intent)) as session:  # the press has a row of its own
        write(session)
        check_actor(session)


_queue = _Queue()


def _write(actor: Actor, event: dict[str, Any], session: Session) -> None:
    actor_check.expect(session, actor)
    record(session, actor, **event)


class Left:
    """Events that stand alone, left for whoever answers several at once."""

    def __init__(self) -> None:
        self._due = list[tuple[Actor, Callable[[Session], None]]]()

    def __bool__(self) -> bool:
        return bool(self._due)

    def add(self, actor: Actor, write: Callable[[Session], None]) -> None:
        """Have ``write`` done for ``actor`` by ``record``."""
        self._due.append((actor, write))

    def record(self) -> None:
        """Record them: within ``db.grouped``, or in a transaction each. Raises ``SessionOver``, ``RoleChanged``."""
        for actor, write in self._due:
            with _refusal_noted(actor):
                _one(write)


_left: contextvars.ContextVar[Left | None] = contextvars.ContextVar("left", default=None)


@contextlib.contextmanager
def leaving() -> Iterator[Left]:
    """Leave what ``record_alone`` is told in the block to whoever is given it here, for doors that show nothing of what
    the block returned until they have it recorded.
    """
    left = Left()
    before = _left.set(left)
    try:
        yield left
    finally:
        _left.reset(before)


@contextlib.contextmanager
def _refusal_noted(actor: Actor) -> Iterator[None]:
    try:
        yield
    except (SessionOver, RoleChanged) as gone:
        note_refusal(actor, gone.code)
        raise


def record_alone(actor: Actor, action: Action, *, resource_type: str, details: Mapping[str, Any]) -> None:
    """Building block: record a success of ``actor``, and nothing else, before it is shown. Kept when this returns, or
    left where the door shows it later (``leaving``).

    For use cases that have checked who asks. Whether ``actor`` still may is looked at as ``acting.transaction`` does;
    raises ``SessionOver``, ``RoleChanged``.
    """
    event = {"action": action, "resource_type": resource_type, "details": details}
    write, left = functools.partial(_write, actor, event), _left.get()
    if left is not None:
        left.add(actor, write)
        return
    with _refusal_noted(actor):
        _queue.write(write)
