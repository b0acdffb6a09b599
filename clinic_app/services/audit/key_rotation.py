"""Changing the keys of a clinic: what was written under the ones before can still be read, unless they are lost."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import func, insert, select, update
from sqlmodel import Session

from clinic_app.core import clock, data_lock, db, keys
from clinic_app.core.errors import Conflict, InvalidInput
from clinic_app.core.settings import get_settings
from clinic_app.models.clinic_keys import CLINIC_KEYS
from clinic_app.models.notifications import ONE_TIME_LINKS
from clinic_app.services.access import SYSTEM
from clinic_app.services.audit import known_keys
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.recording import record

_AT_MOST = 250  # versions: the number of one is kept in a byte


class NotChanged(Conflict):
    """The keys are those they were."""

    code = "keys_not_changed"
    title = "No key was changed"


def rotate_keys(names: Sequence[str]) -> dict[str, int]:
    """Give the clinic new keys for ``names`` (pepper, audit_key, token_key); returns the version of each.

    For the command line, while nothing else of the clinic runs. What was made under the keys before is read with those,
    which stay in ``keys.json``; the trail says under the old audit key that the new one follows. A new token key ends
    the one-time links that nobody has used yet. Interrupted, it has not begun, or the next start ends it. Raises
    ``InvalidInput``, ``NotChanged`` and ``OtherKeys``.
    """
    if not names or set(names) - set(keys.NAMES):
        raise InvalidInput({"key": f"A key is one of {', '.join(keys.NAMES)}."})
    _must_be_in_file(names)
    with _alone():
        known_keys.check()
        coming = keys.prepare_next(get_settings(), names)
        last = sorted(dict.fromkeys(names), key=lambda name: name == "audit_key")  # what follows is under the new one
        _note(last, coming, lost=False)
        keys.use_next(get_settings(), coming)
    return {name: keys.version(name) for name in names}


def replace_lost_keys() -> dict[str, int]:
    """Make new keys for those of the clinic that are not at hand, and are gone for good; returns the version of each.

    For the command line, while nothing else of the clinic runs. What needs the lost ones is lost with them: passwords,
    what is encrypted, checking the trail up to now; the trail says that, under the new key. Raises ``NotChanged``.
    """
    with _alone():
        known = known_keys.fingerprints()
        lost = [name for name in keys.NAMES if name in known and keys.fingerprint(name) != known[name]]
        if not lost:
            raise NotChanged("The keys at hand are those of the clinic: none is lost.")
        _must_be_in_file(lost)
        with db.reading() as session:
            versions = {name: _latest(session, name) for name in lost}
        coming = keys.replace_lost(get_settings(), versions)
        first = sorted(lost, key=lambda name: name != "audit_key")  # the others are under the new one
        _note(first, coming, lost=True)
    return {name: keys.version(name) for name in lost}


def _must_be_in_file(names: Sequence[str]) -> None:
    if given := [name for name in names if getattr(get_settings(), name) is not None]:
        where = ", ".join(f"CLINIC_{name.upper()}" for name in given)
        raise NotChanged(f"{where} is set in the environment: only keys in keys.json are changed by this command.")


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    if not data_lock.make_alone():
        raise NotChanged("A server or another command of this clinic works: stop it first (`systemctl stop clinic`).")
    try:
        yield
    finally:
        data_lock.share_again()


def _note(names: Sequence[str], coming: Mapping[str, str], *, lost: bool) -> None:
    with db.transaction() as session:
        for name in names:
            version = _latest(session, name) + 1
            if version > _AT_MOST:
                raise NotChanged(f"{name} has been changed too often.")
            row = {"name": name, "version": version, "fingerprint": coming[name], "noted_at": clock.now()}
            session.execute(insert(CLINIC_KEYS).values(**row))
            record(session, SYSTEM, Action.KEY_CHANGED, details={"key": name, "version": version, "lost": lost})
        if "token_key" in names:
            links = ONE_TIME_LINKS.c
            ended = {"ended_at": clock.now(), "end_reason": "superseded"}
            session.execute(update(ONE_TIME_LINKS).where(links.ended_at.is_(None)).values(**ended))


def _latest(session: Session, name: str) -> int:
    found = select(func.max(CLINIC_KEYS.c.version)).where(CLINIC_KEYS.c.name == name)
    return session.execute(found).scalar_one() or 1
