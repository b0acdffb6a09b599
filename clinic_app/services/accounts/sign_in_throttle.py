"""Limits on guessing: by account and address, by address, by account, all together. Known or unknown names alike.

Figures: docs/security.md (ASVS 5.0 6.3.1, NIST SP 800-63B-4 3.2.2). Counted before hashing, by one atomic
statement a key, so that parallel guesses cannot slip through between a check and an increment.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import bindparam, case, delete, func, select, update
from sqlmodel import Session

from clinic_app.core import clock, crypto, db, logs
from clinic_app.core.prepared import Prepared
from clinic_app.models.accounts import SIGN_IN_LIMITS

EVERYBODY = "everybody"
_BLOCKED = Prepared(select(SIGN_IN_LIMITS.c.blocked_until).where(SIGN_IN_LIMITS.c.key == bindparam("key")))
WINDOW = dt.timedelta(minutes=5)
PER_ACCOUNT = 10
PER_ACCOUNT_AND_ADDRESS = 5
PER_ADDRESS = 50
ALTOGETHER = 1000  # all failures together; beyond it everybody waits until the window ends
CODES_PER_ACCOUNT = 5  # authentication and recovery codes, by people who know the password
LONGEST_WAIT_MINUTES = 15
HARD_STOP = 100  # wrong tries in a row after which only a reset opens the account


@dataclass(frozen=True, slots=True)
class Verdict:
    """``wait`` seconds until the next try (0: go on); ``stopped``: the password is no longer accepted at all."""

    wait: int
    stopped: bool
    newly_blocked: bool


def _keys(username: str, address: str) -> dict[str, int]:
    """What one try counts under, in the order in which rows are locked everywhere here."""
    place = crypto.keyed_digest(address, "limit")
    return {
        f"{_pairs(username)}{place}": PER_ACCOUNT_AND_ADDRESS,
        f"address:{place}": PER_ADDRESS,
        account_key(username): PER_ACCOUNT,
        EVERYBODY: ALTOGETHER,
    }


def _pairs(username: str) -> str:
    """How the keys of ``username`` with any address begin."""
    return f"pair:{crypto.keyed_digest(username, 'limit')}:"


def account_key(username: str) -> str:
    """The key failures of one username are counted under."""
    return f"account:{crypto.keyed_digest(username, 'limit')}"


def _code_key(username: str) -> str:
    return f"code:{crypto.keyed_digest(username, 'limit')}"


def _count(session: Session, key: str, now: dt.datetime) -> tuple[int, int, dt.datetime | None]:
    blocked = SIGN_IN_LIMITS.c.blocked_until > now
    stale = SIGN_IN_LIMITS.c.window_started_at <= now - WINDOW
    return db.upsert(
        session,
        SIGN_IN_LIMITS,
        {"key": key, "failures": 1, "consecutive": 1, "window_started_at": now},
        change={
            "failures": case((blocked, SIGN_IN_LIMITS.c.failures), (stale, 1), else_=SIGN_IN_LIMITS.c.failures + 1),
            "consecutive": case((blocked, SIGN_IN_LIMITS.c.consecutive), else_=SIGN_IN_LIMITS.c.consecutive + 1),
            "window_started_at": case(
                (blocked, SIGN_IN_LIMITS.c.window_started_at), (stale, now), else_=SIGN_IN_LIMITS.c.window_started_at
            ),
        },
        returning=(SIGN_IN_LIMITS.c.failures, SIGN_IN_LIMITS.c.consecutive, SIGN_IN_LIMITS.c.blocked_until),
    )


def _block(session: Session, key: str, limit: int, consecutive: int, now: dt.datetime) -> None:
    minutes = min(LONGEST_WAIT_MINUTES, 2 ** min(10, max(0, consecutive - 1 - limit)))
    until = now + dt.timedelta(minutes=minutes)
    # one attempt after each wait, then a longer wait
    after = {"failures": limit - 1, "consecutive": consecutive - 1, "window_started_at": until}
    if key == EVERYBODY:  # no growing waits: whoever fills it would keep everybody out for good
        until = now + WINDOW
        after = {"failures": 0, "consecutive": 0, "window_started_at": until}
        logs.get("sign_in_throttle").error("sign_in_ceiling_reached", limit=limit, seconds=WINDOW.total_seconds())
    session.execute(update(SIGN_IN_LIMITS).where(SIGN_IN_LIMITS.c.key == key).values(blocked_until=until, **after))


def count_try(session: Session, username: str, address: str) -> Verdict:
    """Count one try of a password as a failure (success takes it back) and say whether it may go on.

    A blocked key ends the counting: a refused try costs nobody else, so one address alone cannot lock an account
    for everybody.
    """
    return _count_all(session, _keys(username, address), account_key(username))


def count_code(session: Session, username: str) -> Verdict:
    """The same for a code, by somebody who has given the right password."""
    key = _code_key(username)
    return _count_all(session, {key: CODES_PER_ACCOUNT}, key)


def _count_all(session: Session, keys: dict[str, int], stops: str) -> Verdict:
    now, stopped = clock.now(), False
    for key, limit in keys.items():
        failures, consecutive, until = _count(session, key, now)
        if until is not None and until > now:
            return Verdict(_longest_wait(session, keys), stopped=False, newly_blocked=False)
        if failures > limit:
            _block(session, key, limit, consecutive, now)
            return Verdict(_longest_wait(session, keys), stopped=False, newly_blocked=True)
        stopped = stopped or (key == stops and consecutive > HARD_STOP)
    return Verdict(0, stopped, newly_blocked=False)


def _longest_wait(session: Session, keys: Iterable[str]) -> int:
    """Seconds from now: the try may have waited for its turn."""
    until = session.execute(
        select(func.max(SIGN_IN_LIMITS.c.blocked_until)).where(SIGN_IN_LIMITS.c.key.in_(list(keys)))
    ).scalar_one()
    return max(1, math.ceil((until - clock.now()).total_seconds()))


def forgive(session: Session, username: str, address: str) -> None:
    """After the right password: forget the failures of this name here, and take back what it cost the others."""
    pair, place, account, everybody = _keys(username, address)
    session.execute(delete(SIGN_IN_LIMITS).where(SIGN_IN_LIMITS.c.key == pair))
    _take_back(session, place)
    session.execute(delete(SIGN_IN_LIMITS).where(SIGN_IN_LIMITS.c.key == account))
    _take_back(session, everybody)


def _take_back(session: Session, key: str) -> None:
    session.execute(
        update(SIGN_IN_LIMITS)
        .where(SIGN_IN_LIMITS.c.key == key, SIGN_IN_LIMITS.c.failures > 0)
        .values(failures=SIGN_IN_LIMITS.c.failures - 1, consecutive=0)
    )


def forgive_codes(session: Session, username: str) -> None:
    """After the right code: forget the wrong ones."""
    session.execute(delete(SIGN_IN_LIMITS).where(SIGN_IN_LIMITS.c.key == _code_key(username)))


def unlock(session: Session, username: str) -> None:
    """Forget all failures of ``username``, wherever they came from, as after a reset of its password."""
    session.execute(delete(SIGN_IN_LIMITS).where(SIGN_IN_LIMITS.c.key.startswith(_pairs(username), autoescape=True)))
    session.execute(
        delete(SIGN_IN_LIMITS).where(SIGN_IN_LIMITS.c.key.in_([account_key(username), _code_key(username)]))
    )


def locked_until(session: Session, username: str) -> dt.datetime | None:
    """Until when nobody can sign in as ``username``; None where it is open."""
    found = _BLOCKED.one_or_none(session, key=account_key(username))
    until = found.blocked_until if found is not None else None
    return until if until is not None and until > clock.now() else None
