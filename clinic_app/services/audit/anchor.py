"""Notes of the trail's end outside the database: they show a cut-off end, a restored older copy and a rebuilt chain.

See docs/decisions/0009. One line a note: ``{"seq": 120, "hash": "…", "at": "2026-06-15T09:00:00.000000+00:00"}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import fcntl
import json
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from sqlalchemy import select
from sqlmodel import Session

from clinic_app.core import clock, db, logs, periodic
from clinic_app.core.settings import get_settings
from clinic_app.models.audit import AUDIT_EVENTS, AUDIT_HEAD
from clinic_app.services.access import SYSTEM
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.recording import record

EVERY = dt.timedelta(minutes=15)
EVENTS = 500
_LOOK_EVERY = 20.0  # seconds
_LONGEST_LINE = 1000
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Anchor:
    """The trail ended at event ``seq`` with ``hash`` at that time.

    ``restored``: a backup was restored on purpose, and of the notes before this one only those up to that event hold.
    """

    seq: int
    hash: str
    at: dt.datetime
    restored: int | None = None

    def line(self) -> bytes:
        """As it is kept."""
        found: dict[str, object] = {
            "seq": self.seq,
            "hash": self.hash,
            "at": self.at.isoformat(timespec="microseconds"),
        }
        if self.restored is not None:
            found["restored"] = self.restored
        return json.dumps(found).encode() + b"\n"


def _parsed(line: bytes) -> Anchor | None:
    try:
        found = json.loads(line)
        at = dt.datetime.fromisoformat(found["at"])
        seq, mark, restored = found["seq"], found["hash"], found.get("restored")
        good = type(seq) is int and seq > 0 and isinstance(mark, str) and mark.isascii() and at.tzinfo is not None
        good = good and (restored is None or type(restored) is int)
    except (ValueError, KeyError, TypeError):
        return None
    return Anchor(seq, mark, at, restored) if good else None


def anchors() -> tuple[list[Anchor], int]:
    """All notes in the order in which they were made, and how many lines could not be read. None: no file."""
    try:
        lines = get_settings().anchors.read_bytes().splitlines()
    except FileNotFoundError:
        return [], 0
    found = [_parsed(line) for line in lines if line.strip()]
    return [each for each in found if each is not None], sum(each is None for each in found)


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[FileIO]:
    """``file``, open for adding to it, readable by its owner only; nobody else adds to it meanwhile."""
    fresh = not file.exists()
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "r+b", buffering=0) as opened:
        os.fchmod(handle, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield opened
    if fresh:  # the name has to survive a power cut too
        folder = os.open(file.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def _last(opened: FileIO) -> tuple[Anchor | None, bool]:
    """The last note, and whether the file ends in the middle of a line, as after a power cut."""
    size = opened.seek(0, os.SEEK_END)
    opened.seek(max(0, size - 2 * _LONGEST_LINE))
    tail = opened.read()
    known = [found for line in tail.splitlines() if (found := _parsed(line)) is not None]
    return (known[-1] if known else None), bool(tail) and not tail.endswith(b"\n")


def anchor_head() -> Anchor | None:
    """Note where the trail ends now, unless the last note says the same. None: there is nothing new to note.

    For the server and the command line. On disk when it returns. Raises ``OSError`` if it cannot be written.
    """
    return _anchor(None)


def _anchor(restored: int | None) -> Anchor | None:
    with _locked(get_settings().anchors) as opened:
        with db.reading() as session:  # inside the lock: notes of several processes stay in order
            head = session.execute(select(AUDIT_HEAD).where(AUDIT_HEAD.c.id == 1)).one_or_none()
        last, torn = _last(opened)
        if head is None or head.seq < 1 or (last is not None and (last.seq, last.hash) == (head.seq, head.hash)):
            return None
        if last is not None and head.seq < last.seq and restored is None:
            logs.get("audit").error("audit_trail_is_shorter_than_its_anchor", count=head.seq, limit=last.seq)
        made = Anchor(head.seq, head.hash, clock.now(), restored)
        opened.write((b"\n" if torn else b"") + made.line())
        os.fsync(opened.fileno())
        return made


def accept_restored() -> Anchor:
    """After a backup was restored on purpose: say so in the trail and in the anchors, so that checks go on from here.

    For whoever runs the command line. What was lost stays visible in both. Raises ``OSError``.
    """
    found, _ = anchors()
    with db.transaction() as session:
        present = _hashes(session, sorted({each.seq for each in found}))
        wrong = min((each.seq for each in found if present.get(each.seq) != each.hash), default=None)
        agreed = max((each.seq for each in found if wrong is None or each.seq < wrong), default=0)
        details = {"agrees_up_to": agreed, "anchored_up_to": max((each.seq for each in found), default=0)}
        record(session, SYSTEM, Action.AUDIT_RESTORED, resource_type="audit", details=details)
    made = _anchor(agreed)
    if made is None:
        raise RuntimeError("the event just added is nothing new")
    return made


def _hashes(session: Session, wanted: list[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        rows = select(AUDIT_EVENTS.c.seq, AUDIT_EVENTS.c.hash).where(
            AUDIT_EVENTS.c.seq.in_(wanted[start : start + _AT_ONCE])
        )
        found.update({row.seq: row.hash for row in session.execute(rows)})
    return found


def _due(last: Anchor | None) -> bool:
    with db.reading() as session:
        seq = session.execute(select(AUDIT_HEAD.c.seq).where(AUDIT_HEAD.c.id == 1)).scalar_one()
    if last is None:
        return seq > 0
    return seq != last.seq and (abs(seq - last.seq) >= EVENTS or abs(clock.now() - last.at) >= EVERY)


def _keep_up(last: Anchor | None, *, always: bool = False) -> Anchor | None:
    """One look: a new note if one is due. Trouble is logged, since a full disk must not end the clinic's day."""
    try:
        return (anchor_head() if always or _due(last) else None) or last
    except Exception as error:  # noqa: BLE001
        logs.failure(error, "audit anchor")
        return last


@contextlib.asynccontextmanager
async def anchoring(look_every: float = _LOOK_EVERY) -> AsyncIterator[None]:
    """Note the trail's end now, every 15 minutes or 500 events, and at the end: a lifespan task of each worker."""
    last = await asyncio.to_thread(_keep_up, None, always=True)

    async def look() -> None:
        nonlocal last
        last = await asyncio.to_thread(_keep_up, last)

    try:
        async with periodic.running(look, look_every, failed="failed"):
            yield
    finally:
        await asyncio.to_thread(_keep_up, last, always=True)
