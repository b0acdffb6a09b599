"""Limits on guessing passwords: by account, by account and address, by address. Known or unknown names alike.

Figures: docs/security.md (ASVS 5.0 6.3.1, NIST SP 800-63B-4 3.2.2). Counted before hashing, by one atomic
statement a key, so that parallel guesses cannot slip through between a check and an increment.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import case, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from clinic_app.core import clock, crypto
from clinic_app.models.accounts import SignInLimit

_LIMITS = SignInLimit.__table__  # type: ignore[attr-defined]
WINDOW = dt.timedelta(minutes=5)
PER_ACCOUNT = 10
PER_ACCOUNT_AND_ADDRESS = 5
PER_ADDRESS = 50
LONGEST_WAIT_MINUTES = 15
HARD_STOP = 100  # wrong tries in a row after which only a reset opens the account


@dataclass(frozen=True, slots=True)
class Verdict:
    """``wait`` seconds until the next try (0: go on); ``stopped``: the password is no longer accepted at all."""

    wait: int
    stopped: bool
    newly_blocked: bool


def _keys(username: str, address: str) -> dict[str, int]:
    return {
        account_key(username): PER_ACCOUNT,
        f"pair:{crypto.keyed_digest(f'{username}|{address}', 'limit')}": PER_ACCOUNT_AND_ADDRESS,
        f"address:{crypto.keyed_digest(address, 'limit')}": PER_ADDRESS,
    }


def account_key(username: str) -> str:
    """The key failures of one username are counted under."""
    return f"account:{crypto.keyed_digest(username, 'limit')}"


def _count(session: Session, key: str, now: dt.datetime) -> tuple[int, int, dt.datetime | None]:
    dialect = session.get_bind().dialect.name
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    blocked = _LIMITS.c.blocked_until > now
    stale = _LIMITS.c.window_started_at <= now - WINDOW
    statement = insert(_LIMITS).values(key=key, failures=1, consecutive=1, window_started_at=now)
    statement = statement.on_conflict_do_update(
        index_elements=[_LIMITS.c.key],
        set_={
            "failures": case((blocked, _LIMITS.c.failures), (stale, 1), else_=_LIMITS.c.failures + 1),
            "consecutive": case((blocked, _LIMITS.c.consecutive), else_=_LIMITS.c.consecutive + 1),
            "window_started_at": case(
                (blocked, _LIMITS.c.window_started_at), (stale, now), else_=_LIMITS.c.window_started_at
            ),
        },
    ).returning(_LIMITS.c.failures, _LIMITS.c.consecutive, _LIMITS.c.blocked_until)
    failures, consecutive, until = session.execute(statement).one()
    return failures, consecutive, until


def count_try(session: Session, username: str, address: str) -> Verdict:
    """Count one try as a failure (success takes it back) and say whether it may go on."""
    now = clock.now()
    wait, stopped, newly = 0, False, False
    for key, limit in _keys(username, address).items():
        failures, consecutive, until = _count(session, key, now)
        if until is not None and until > now:
            wait = max(wait, int((until - now).total_seconds()) + 1)
        elif failures > limit:
            minutes = min(LONGEST_WAIT_MINUTES, 2 ** min(10, max(0, consecutive - 1 - limit)))
            until = now + dt.timedelta(minutes=minutes)
            session.execute(
                update(_LIMITS)
                .where(_LIMITS.c.key == key)
                # one try once the wait is over, then the next, longer one
                .values(blocked_until=until, failures=limit - 1, consecutive=consecutive - 1, window_started_at=until)
            )
            wait, newly = max(wait, minutes * 60), True
        elif key.startswith("account:") and consecutive > HARD_STOP:
            stopped = True
    return Verdict(wait, stopped, newly)


def forgive(session: Session, username: str, address: str) -> None:
    """After the right password: forget the failures of this name here, and take back the address's one."""
    account, pair, place = _keys(username, address)
    session.execute(delete(_LIMITS).where(_LIMITS.c.key.in_((account, pair))))
    session.execute(
        update(_LIMITS)
        .where(_LIMITS.c.key == place, _LIMITS.c.failures > 0)
        .values(failures=_LIMITS.c.failures - 1, consecutive=0)
    )


def unlock(session: Session, username: str) -> None:
    """Forget all failures of ``username``, as after a reset of its password."""
    session.execute(delete(_LIMITS).where(_LIMITS.c.key == account_key(username)))


def locked_until(session: Session, username: str) -> dt.datetime | None:
    """Until when nobody can sign in as ``username``; None where it is open."""
    until = session.execute(
        select(_LIMITS.c.blocked_until).where(_LIMITS.c.key == account_key(username))
    ).scalar_one_or_none()
    return until if until is not None and until > clock.now() else None
