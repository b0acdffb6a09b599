"""Signed checkpoints of the trail: none of the events that were there can be changed or removed unnoticed any more.

One a day by the server, others on demand; handed out or printed, they can be checked by anybody who has the public key.
See docs/decisions/0018.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import hmac
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import insert, select
from sqlmodel import Session

from clinic_app.core import clock, db, keys, logs, periodic, signed_notes
from clinic_app.core.signed_notes import PublicKey
from clinic_app.models.audit import AUDIT_CHECKPOINTS, AUDIT_EVENTS, AUDIT_HEAD
from clinic_app.services.audit import tree
from clinic_app.services.audit.errors import NothingToProve, NotTheSignedTrail

_LOOK_EVERY = 60.0  # seconds
_LAST = select(AUDIT_CHECKPOINTS).order_by(AUDIT_CHECKPOINTS.c.size.desc()).limit(1)
_HEAD = select(AUDIT_HEAD.c.seq).where(AUDIT_HEAD.c.id == 1)


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """The trail had ``size`` events. ``note`` is what was signed, with the signature, to be handed out as it is."""

    size: int
    root: bytes
    made_at: dt.datetime
    public_key: str
    note: str


@lru_cache(maxsize=32)
def _seed(value: bytes) -> bytes:
    """The private key that belongs to an audit key. Slow, since anybody may compare public keys with guesses."""
    return hashlib.scrypt(value, salt=b"signature of checkpoints, v1", n=2**14, r=8, p=1, dklen=32)


def _origin(session: Session) -> str:
    """The name of this trail: it stays when keys are changed, or the clinic moves into another database."""
    first = session.execute(select(AUDIT_EVENTS.c.hash).where(AUDIT_EVENTS.c.seq == 1)).scalar_one_or_none()
    if first is None:
        raise NothingToProve("Nothing is in the audit trail yet.")
    return f"clinic-audit/{first[:16]}"


def public_keys() -> list[PublicKey]:
    """What checkpoints of this clinic are checked with, the one in use first; none that belongs to a lost key.

    For the command line. Raises ``NothingToProve`` while the trail is empty.
    """
    with db.reading() as session:
        return keys_of(session)


def keys_of(session: Session) -> list[PublicKey]:
    """Building block: the same, of the trail that ``session`` sees."""
    name, newest = _origin(session), keys.version("audit_key")
    found = [keys.key_of("audit_key", version) for version in range(newest, 0, -1)]
    return [signed_notes.public_key(name, _seed(one)) for one in found if one is not None]


def make_checkpoint() -> SignedCheckpoint:
    """Sign the trail as it is now; the last checkpoint, if nothing was recorded since.

    For the command line and use cases that have checked who asks. Hashes that do not fit the last checkpoint are made
    anew from the events once. Raises ``NothingToProve`` while the trail is empty, ``NotTheSignedTrail``.
    """
    while tree.grow():
        pass
    try:
        return _made()
    except NotTheSignedTrail:
        tree.forget()
    while tree.grow():
        pass
    return _made()


def _made(wanted: Callable[[SignedCheckpoint | None], bool] = lambda _: True) -> SignedCheckpoint:
    """Under the lock on the end of the trail: of several at once the first one signs, the others find it."""
    with db.transaction() as session:
        size = session.execute(_HEAD.with_for_update()).scalar_one()
        last = latest(session)
        if last is not None and (last.size == size or not wanted(last)):
            return last
        origin, there = _origin(session), tree.Tree(session)
        if last is not None and (last.size > size or not hmac.compare_digest(there.root(last.size), last.root)):
            raise NotTheSignedTrail
        root, seed = there.root(size), _seed(keys.key("audit_key"))
        note = signed_notes.sign(signed_notes.Checkpoint(origin, size, root), seed)
        made = SignedCheckpoint(size, root, clock.now(), str(signed_notes.public_key(origin, seed)), note)
        row = {"size": size, "root": root.hex(), "made_at": made.made_at, "public_key": made.public_key, "note": note}
        session.execute(insert(AUDIT_CHECKPOINTS).values(**row))
        return made


def latest(session: Session) -> SignedCheckpoint | None:
    """Building block: the last checkpoint."""
    row = session.execute(_LAST).one_or_none()
    return None if row is None else _read(row)


def all_checkpoints() -> list[SignedCheckpoint]:
    """Every checkpoint, the oldest first. For checks of the whole trail."""
    with db.reading() as session:
        rows = session.execute(select(AUDIT_CHECKPOINTS).order_by(AUDIT_CHECKPOINTS.c.size)).all()
    return [_read(row) for row in rows]


def _read(row: Any) -> SignedCheckpoint:
    return SignedCheckpoint(row.size, bytes.fromhex(row.root), row.made_at, row.public_key, row.note)


def _of_today(checkpoint: SignedCheckpoint | None) -> bool:
    return checkpoint is not None and clock.local(checkpoint.made_at).date() >= clock.local(clock.now()).date()


def keep_up() -> None:
    """One look of the server: some more of the tree, then the checkpoint of the day unless there is one.

    Of a trail that does not fit its last checkpoint nothing is signed; the log says so.
    """
    with db.reading() as session:
        size, last = session.execute(_HEAD).scalar_one(), latest(session)
    if size == 0:
        return
    try:
        if not tree.grow() and not _of_today(last):
            _made(lambda newest: not _of_today(newest))
    except NotTheSignedTrail:
        logs.get("audit").error("audit_trail_does_not_fit_its_checkpoint", count=size, limit=last.size if last else 0)


def checkpointing() -> AbstractAsyncContextManager[None]:
    """A checkpoint a day, for as long as the block lasts: a lifespan task of each worker."""

    async def look() -> None:
        await asyncio.to_thread(keep_up)

    return periodic.running(look, _LOOK_EVERY, failed="checkpoint_failed")
