"""Browsers in which somebody signed in before: strangers' guesses do not shut them out (OWASP device cookies).

A browser keeps one random token for all who sign in with it; the database has its hash beside each account. It opens
nothing, and whoever copies it may only guess: as often as its owner, and a hundred times in a row at most. So it
outlives signing out, a new password, *Unlock* and a reset, when the owner needs it most. It ends with *Sign out
everywhere*, another username and turning the account off, which say that browsers are in other hands.

Programs keep no cookies: for the API it is the network from which the account signed in.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy import Column, ColumnElement, bindparam, delete, select
from sqlmodel import Session

from clinic_app.core import addresses, clock, crypto, db
from clinic_app.core.prepared import Prepared
from clinic_app.models.accounts import KNOWN_DEVICES

LIFE = dt.timedelta(days=180)  # since somebody last signed in there
AT_MOST = 20  # of one account, and accounts of one browser; the oldest make room
_LONGEST = 100  # characters of a token that is looked at
_KNOWN = Prepared(
    select(KNOWN_DEVICES.c.used_at).where(
        KNOWN_DEVICES.c.device_hash == bindparam("device"),
        KNOWN_DEVICES.c.account_id == bindparam("account"),
        KNOWN_DEVICES.c.used_at > bindparam("since"),
    )
)


def mark(token: str) -> str:
    """What a browser's token is known by; empty without one, or for what is none."""
    return crypto.digest(token) if token and len(token) <= _LONGEST and token.isascii() else ""


def mark_of(address: str) -> str:
    """What a program is known by: the network it signs in from."""
    return crypto.keyed_digest(addresses.networks(address)[0], "program")


def knows(session: Session, device: str, account_id: int) -> bool:
    """Building block: whether this account has signed in there before. One statement, also for nobody's account."""
    since = clock.now() - LIFE
    return _KNOWN.one_or_none(session, device=device, account=account_id, since=since) is not None


def is_ours(session: Session, device: str) -> bool:
    """Building block: whether anybody has signed in there before."""
    ours = select(KNOWN_DEVICES.c.device_hash).where(KNOWN_DEVICES.c.device_hash == device).limit(1)
    return bool(device) and session.execute(ours).one_or_none() is not None


def remember_browser(session: Session, token: str, account_id: int) -> str:
    """Building block: the account has signed in with this browser; returns the token for it to keep.

    That is the one it has, if it is one of ours; nobody can choose another person's.
    """
    if not is_ours(session, mark(token)):
        token = crypto.new_token()
    remember(session, mark(token), account_id)
    return token


def remember(session: Session, device: str, account_id: int) -> None:
    """Building block: the account has signed in there."""
    now = clock.now()
    row = {"device_hash": device, "account_id": account_id, "created_at": now, "used_at": now}
    db.upsert(session, KNOWN_DEVICES, row, change={"used_at": now})
    _make_room(session, KNOWN_DEVICES.c.account_id, account_id, KNOWN_DEVICES.c.device_hash)
    _make_room(session, KNOWN_DEVICES.c.device_hash, device, KNOWN_DEVICES.c.account_id)


def _make_room(session: Session, of: Column[object], whose: object, which: Column[object]) -> None:
    kept = session.execute(select(which).where(of == whose).order_by(KNOWN_DEVICES.c.used_at.desc(), which)).scalars()
    if surplus := list(kept)[AT_MOST:]:
        session.execute(delete(KNOWN_DEVICES).where(of == whose, which.in_(surplus)))


def forget(session: Session, account_id: int, device: str | None = None) -> None:
    """Building block: the account is known nowhere any more, or not with this device."""
    gone = delete(KNOWN_DEVICES).where(KNOWN_DEVICES.c.account_id == account_id)
    session.execute(gone if device is None else gone.where(KNOWN_DEVICES.c.device_hash == device))


def past(now: dt.datetime) -> ColumnElement[bool]:
    """Building block for tidying up: which have not been used for so long."""
    return KNOWN_DEVICES.c.used_at <= now - LIFE
