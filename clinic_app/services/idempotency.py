"""Requests that must not happen twice, however often they are sent: at most once, and the same answer again.

A key is reserved in a transaction of its own; the work marks it in the work's transaction; the answer follows.
So after a crash in between it is known whether the work was done, and a late first try cannot add to a second.
"""

from __future__ import annotations

import collections
import contextlib
import datetime as dt
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_jsonable_python
from sqlalchemy import Row, delete, select, update
from sqlmodel import Session

from clinic_app.core import clock, crypto, db, logs, outage
from clinic_app.core.errors import Conflict, InvalidInput
from clinic_app.models.api import IDEMPOTENCY_KEYS
from clinic_app.services.access import Actor

LIFE = dt.timedelta(hours=24)
#: Without a mark after so long the first try counts as dead, with its process, and another may begin. If it lives after
#: all, its work is undone when it is to be marked.
GIVEN_UP = dt.timedelta(seconds=30)
PATIENCE = 10.0  # seconds a second request waits for the first one's answer
LONGEST_KEY = 255
_SECRET, _ISSUED = "temporary_password", "already_issued"

Answer = tuple[int, dict[str, Any]]


class KeyReused(Conflict):
    """The key belongs to another request."""

    code = "idempotency_key_reused"
    title = "Idempotency-Key already used"
    detail = "This key was already sent with a different request. Use a new key for each new request."


class KeyInProgress(Conflict):
    """The first request with this key is still being processed."""

    code = "idempotency_key_in_progress"
    title = "Still in progress"
    detail = "The first request with this key is still being processed. Please try again in a moment."
    retry_after = 5


class AnswerLost(Conflict):
    """The work was done, but the process ended before its answer was kept."""

    code = "idempotency_answer_lost"
    title = "Already done"
    detail = (
        "This request was carried out, but its response was lost. Search for the patient instead of sending it again."
    )


@dataclass(frozen=True, slots=True)
class _Reservation:
    key: str
    started_at: dt.datetime


_current: ContextVar[_Reservation | None] = ContextVar("clinic_idempotency", default=None)


def is_working() -> bool:
    """Whether work is done under a key here, so that it must be known at once which event it left."""
    return _current.get() is not None


def mark_done(session: Session, seq: int) -> None:
    """Note in the work's own transaction that it is done, as audit event ``seq``, if it is done under a key.

    Recording a success calls it, so no use case can forget to. Raises ``KeyInProgress`` where another try has taken
    over, which undoes the transaction.
    """
    mine = _current.get()
    if mine is None:
        return
    marked = session.execute(
        update(IDEMPOTENCY_KEYS)
        .where(IDEMPOTENCY_KEYS.c.key == mine.key, IDEMPOTENCY_KEYS.c.started_at == mine.started_at)
        .values(done_seq=seq)
        .returning(IDEMPOTENCY_KEYS.c.key)
    )
    if marked.one_or_none() is None:  # another try has taken over: this one's work must not be kept
        raise KeyInProgress


@contextlib.contextmanager
def aside() -> Iterator[None]:
    """What is recorded in this block is not the work that was asked for under a key: it is not done by it."""
    before = _current.set(None)
    try:
        yield
    finally:
        _current.reset(before)


@contextlib.contextmanager
def _working_on(mine: _Reservation) -> Iterator[None]:
    token = _current.set(mine)
    try:
        yield
    finally:
        _current.reset(token)


def _reserve(key: str, request: str) -> tuple[_Reservation | None, Row[Any] | None]:
    """A reservation, or the row of the one that is there already. Rows past their day go."""
    mine = _Reservation(key, clock.now())
    try:
        return _reserved(mine, request)
    except Exception as error:
        if outage.database_is_away(error):  # it may have been kept, and nobody said so
            _give_back(mine)
        raise


def _reserved(mine: _Reservation, request: str) -> tuple[_Reservation | None, Row[Any] | None]:
    key, now = mine.key, mine.started_at
    with db.transaction() as session:
        session.execute(delete(IDEMPOTENCY_KEYS).where(IDEMPOTENCY_KEYS.c.expires_at <= now))
        fresh = {"key": key, "request": request, "started_at": now, "expires_at": now + LIFE}
        if db.upsert(session, IDEMPOTENCY_KEYS, fresh) is not None:
            return mine, None
        found = session.execute(select(IDEMPOTENCY_KEYS).where(IDEMPOTENCY_KEYS.c.key == key).with_for_update()).one()
        dead = found.status is None and found.done_seq is None and found.started_at <= now - GIVEN_UP
        if found.request == request and dead:
            session.execute(update(IDEMPOTENCY_KEYS).where(IDEMPOTENCY_KEYS.c.key == key).values(started_at=now))
            return mine, None
        return None, found


def _read(key: str) -> Row[Any] | None:
    with db.reading() as session:
        return session.execute(select(IDEMPOTENCY_KEYS).where(IDEMPOTENCY_KEYS.c.key == key)).one_or_none()


def without_secret(value: Any) -> Any:
    """``value`` as it may be kept: every temporary password is None, and beside it says that it was issued."""
    if isinstance(value, Mapping):
        plain = {name: without_secret(item) for name, item in value.items()}
        return {**plain, _SECRET: None, _ISSUED: True} if value.get(_SECRET) else plain
    if isinstance(value, list | tuple):
        return [without_secret(item) for item in value]
    return value


def _read_seq(key: str) -> int | None:
    row = _read(key)
    return None if row is None else row.done_seq


def _keep(mine: _Reservation, answer: Answer) -> None:
    with db.transaction() as session:
        session.execute(
            update(IDEMPOTENCY_KEYS)
            .where(IDEMPOTENCY_KEYS.c.key == mine.key, IDEMPOTENCY_KEYS.c.started_at == mine.started_at)
            .values(status=answer[0], answer=to_jsonable_python(without_secret(answer[1])))
        )


def _release(mine: _Reservation) -> None:
    """Nothing was done: the same key may try again. Or it was done after all, and nobody waits for its answer."""
    ours = (
        IDEMPOTENCY_KEYS.c.key == mine.key,
        IDEMPOTENCY_KEYS.c.started_at == mine.started_at,
        IDEMPOTENCY_KEYS.c.status.is_(None),
    )
    with db.transaction() as session:
        session.execute(delete(IDEMPOTENCY_KEYS).where(*ours, IDEMPOTENCY_KEYS.c.done_seq.is_(None)))
        session.execute(update(IDEMPOTENCY_KEYS).where(*ours).values(started_at=mine.started_at - GIVEN_UP))


#: Seconds between two tries to release what could not be released.
AGAIN = 1.0
_unreleased: collections.deque[_Reservation] = collections.deque()
_releasing = threading.Lock()


def _give_back(mine: _Reservation) -> None:
    """Release it; where the database is away, once it is back: else the key would be in progress for minutes."""
    try:
        _release(mine)
    except Exception as error:
        if not outage.database_is_away(error):
            raise
        with _releasing:
            _unreleased.append(mine)
            first = len(_unreleased) == 1
        if first:
            threading.Thread(target=_release_later, name="idempotency", daemon=True).start()


def _release_later() -> None:
    while True:
        mine = _unreleased[0]
        try:
            if mine.started_at > clock.now() - GIVEN_UP:
                _release(mine)
        except Exception:  # noqa: BLE001  it is away still, or something is wrong that the next request meets, too
            time.sleep(AGAIN)
            continue
        with _releasing:
            _unreleased.popleft()
            if not _unreleased:
                return


def _kept(key: str, request: str, found: Row[Any]) -> Answer | None:
    """The answer of the first request, waiting for it if need be; None when that one has failed meanwhile."""
    until, pause = time.monotonic() + PATIENCE, 0.02
    row: Row[Any] | None = found
    while row is not None:
        if row.request != request:
            raise KeyReused
        if row.status is not None:
            return row.status, dict(row.answer)
        if time.monotonic() > until:
            raise AnswerLost if row.done_seq is not None else KeyInProgress
        if row.done_seq is not None and row.started_at <= clock.now() - GIVEN_UP:
            raise AnswerLost
        time.sleep(pause)
        pause = min(0.2, pause * 1.5)
        row = _read(key)
    return None


def once(
    actor: Actor,
    route: str,
    key: str,
    body: Mapping[str, Any],
    work: Callable[[], Answer],
    repeated: Callable[[int | None], None] = lambda seq: None,  # noqa: ARG005
) -> Answer:
    """Do ``work`` at most once for this account, route and ``key``; repeat its answer, without the password, after.

    For whoever may do ``work``, which checks that itself. An answer is kept for a day; work that raises keeps
    nothing. ``repeated`` is called before an answer is given again, with the number of the event that its work left:
    whoever is shown it leaves a trace once more. Takes a few milliseconds on top, and waits up to ten seconds for a
    first request that is under way.

    Raises ``InvalidInput`` for a key that is too long, ``KeyReused`` when the body is another one,
    ``KeyInProgress``, ``AnswerLost``, and whatever ``work`` raises.
    """
    if not 1 <= len(key) <= LONGEST_KEY or not (key.isascii() and key.isprintable()):
        raise InvalidInput({"Idempotency-Key": f"Idempotency-Key must be 1 to {LONGEST_KEY} printable characters."})
    name = hashlib.sha256(f"{actor.account_id}\n{route}\n{key}".encode()).hexdigest()
    request = crypto.keyed_digest(json.dumps(body, sort_keys=True, ensure_ascii=True), "idempotency")
    while True:
        mine, found = _reserve(name, request)
        if mine is None and found is not None:
            answer = _kept(name, request, found)
            if answer is None:
                continue
            repeated(_read_seq(name))
            return answer
        assert mine is not None  # noqa: S101  for the reader: one of the two is there
        try:
            with _working_on(mine):
                answer = work()
        except BaseException:
            _give_back(mine)
            raise
        try:
            _keep(mine, answer)
        except Exception as error:  # noqa: BLE001  the work is done and marked: its answer must still be given
            logs.failure(error, "idempotency")
        return answer
