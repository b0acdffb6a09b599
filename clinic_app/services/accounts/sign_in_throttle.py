"""Limits on guessing: by network, by account and network, by account, all together. Known or unknown names alike.

Figures: docs/security.md (ASVS 5.0 6.3.1, NIST SP 800-63B-4 3.2.2). Counted before hashing, by one atomic
statement a key, so that parallel guesses cannot slip through between a check and an increment. A browser in which the
account signed in before, and a session, have a budget of their own that nobody else can use up.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, delete, or_, select, update
from sqlmodel import Session

from clinic_app.core import addresses, clock, crypto, db, logs
from clinic_app.core.errors import TryAgainShortly
from clinic_app.models.accounts import SIGN_IN_LIMITS
from clinic_app.models.base import UtcDateTime

EVERYBODY = "everybody"
WINDOW = dt.timedelta(minutes=5)
PER_ACCOUNT = 10
PER_ACCOUNT_AND_ADDRESS = 5
PER_ADDRESS = 50
PER_NETWORK = 500  # of an IPv6 /48, each /64 in it being an address
ALTOGETHER = 1000  # all failures of strangers together; beyond it strangers wait until the window ends
PER_DEVICE = 10  # and account
PER_SESSION = 5
CODES_PER_ACCOUNT = 5  # authentication and recovery codes, by people who know the password
PER_LINK = 20  # passwords that were not good enough, by whoever has the code of a one-time link
#: Questions for such a link: by an address, an IPv6 /48, and altogether. Each counts, whatever comes of it.
ASKS_PER_ADDRESS, ASKS_PER_NETWORK, ASKS_ALTOGETHER = 10, 100, 1000
LONGEST_WAIT_MINUTES = 15
CONFIRMS_PER_EMAIL = 3  # emails to an address that whoever registers says is theirs
HARD_STOP = 100  # wrong tries in a row after which strangers are refused until *Unlock* or a reset
LONGEST_DELAY = 2.0  # seconds a try is held up from half of a common limit on, growing
#: A try that has not ended by then never will: it stays a failure.
PENDING = dt.timedelta(seconds=60)
#: Names that nobody has, and networks, are forgotten after so long; accounts' failures after a month.
KEEP_STRANGERS = dt.timedelta(minutes=30)
KEEP_FAILURES = dt.timedelta(days=30)
#: Seconds until it may be known how other tries end, at first and at last.
_LOOK_AGAIN, _LOOK_AGAIN_AT_MOST = 0.1, 2.0
_SHARED = ("address:", "network:", EVERYBODY)
_ASKS = f"{EVERYBODY}:asks"
_REGISTERS = f"{EVERYBODY}:registers"


@dataclass(frozen=True, slots=True)
class Budget:
    """What one try counts under, key → limit, in the order in which rows are locked everywhere here.

    ``stops`` is the key that is shut after too many in a row; ``account_id`` that of the account, where there is one.
    ``undecided``: until it is said how the try ended, others may wait for that instead of being refused. ``stranger``:
    nothing says that whoever tries has been here before.
    """

    limits: Mapping[str, int]
    stops: str
    account_id: int | None = None
    undecided: bool = False
    stranger: bool = False

    def for_codes(self) -> Budget:
        """The same person's budget of codes, who has given the right password."""
        key = f"code:{self.stops}"
        return Budget({key: CODES_PER_ACCOUNT}, key, self.account_id)


@dataclass(frozen=True, slots=True)
class Verdict:
    """``wait`` seconds until the next try (0: go on); ``stopped``: nothing that is typed is accepted any more."""

    wait: int = 0
    stopped: bool = False
    newly_blocked: bool = False
    newly_stopped: bool = False


def _of_place(address: str) -> tuple[dict[str, int], str]:
    """Key → limit of where a try comes from, and how that place is called in other keys."""
    near, *wider = addresses.networks(address)
    place = crypto.keyed_digest(near, "limit")
    limits = {f"address:{place}": PER_ADDRESS}
    return limits | {f"network:{crypto.keyed_digest(each, 'limit')}": PER_NETWORK for each in wider}, place


def of_stranger(username: str, address: str, account_id: int | None) -> Budget:
    """The budget of a try from anywhere, which strangers share."""
    limits, place = _of_place(address)
    limits |= {f"{_pairs(username)}{place}": PER_ACCOUNT_AND_ADDRESS, account_key(username): PER_ACCOUNT}
    return Budget({**limits, EVERYBODY: ALTOGETHER}, account_key(username), account_id, undecided=True, stranger=True)


def of_nobody(address: str) -> Budget:
    """The budget of a try that names no account, such as one with a passkey: what all strangers share, and no more."""
    return Budget({**_of_place(address)[0], EVERYBODY: ALTOGETHER}, "", undecided=True, stranger=True)


def of_code(address: str, link_id: int | str | None) -> Budget:
    """The budget of whoever gives the code of a one-time link, without a session.

    With a code that belongs to none they share the limit of all strangers together. One that belongs to a link is out
    of reach of guesses, and guesses of others do not keep it out.
    """
    more = {EVERYBODY: ALTOGETHER} if link_id is None else {f"link:{link_id}": PER_LINK}
    return Budget({**_of_place(address)[0], **more}, "", undecided=True, stranger=True)


def of_asking(address: str) -> Budget:
    """The budget of whoever asks for a link, without a session."""
    at_most = (ASKS_PER_ADDRESS, ASKS_PER_NETWORK)
    places = zip(_of_place(address)[0], at_most, strict=False)
    return Budget({**{f"asks-{key}": limit for key, limit in places}, _ASKS: ASKS_ALTOGETHER}, "")


def of_registering(address: str) -> Budget:
    """The budget of whoever registers themselves: as for asking, and apart from it."""
    at_most = (ASKS_PER_ADDRESS, ASKS_PER_NETWORK)
    places = zip(_of_place(address)[0], at_most, strict=False)
    return Budget({**{f"registers-{key}": limit for key, limit in places}, _REGISTERS: ASKS_ALTOGETHER}, "")


def of_confirming(email_digest: str) -> Budget:
    """The budget of emails to one address that strangers gave."""
    return Budget({f"confirms:{email_digest}": CONFIRMS_PER_EMAIL}, "")


def of_device(device: str, account_id: int) -> Budget:
    """The budget of a browser, or a program's network, in which the account signed in before."""
    key = f"device:{crypto.keyed_digest(f'{account_id}:{device}', 'limit')}"
    return Budget({key: PER_DEVICE}, key, account_id, undecided=True)


def of_session(session_id: int | None, account_id: int | None) -> Budget:
    """The budget of somebody who is signed in and shows again who they are."""
    key = f"session:{account_id or 0}:{session_id or 0}"
    return Budget({key: PER_SESSION}, key, account_id)


def _pairs(username: str) -> str:
    """How the keys of ``username`` with any network begin."""
    return f"pair:{crypto.keyed_digest(username, 'limit')}:"


def account_key(username: str) -> str:
    """The key strangers' failures at one username are counted under."""
    return f"account:{crypto.keyed_digest(username, 'limit')}"


# --- counting -----------------------------------------------------------------------------------


def _longest_end(now: dt.datetime) -> dt.datetime:
    """No wait ends later: one that seems to was made before the clock was set back."""
    return now + dt.timedelta(minutes=LONGEST_WAIT_MINUTES)


def _shut(now: Any, longest_end: Any = None) -> ColumnElement[bool]:
    until = SIGN_IN_LIMITS.c.blocked_until
    return and_(until > now, until <= (_longest_end(now) if longest_end is None else longest_end))


def _stale(now: dt.datetime) -> ColumnElement[bool]:
    began = SIGN_IN_LIMITS.c.window_started_at
    return or_(began <= now - WINDOW, began > _longest_end(now))


def _waiting(now: dt.datetime) -> ColumnElement[bool]:
    since = SIGN_IN_LIMITS.c.pending_since
    return and_(SIGN_IN_LIMITS.c.pending > 0, since > now - PENDING, since <= now + PENDING)


def _count(session: Session, key: str, budget: Budget, now: dt.datetime) -> Any:
    limits, one = SIGN_IN_LIMITS.c, int(budget.undecided)
    account_id = budget.account_id if key == budget.stops else None
    shut, stale, waiting, began = _shut(now), _stale(now), _waiting(now), limits.window_started_at
    first = {"failures": 1, "consecutive": 1, "window_started_at": now, "pending": one, "pending_since": now}
    return db.upsert(
        session,
        SIGN_IN_LIMITS,
        {"key": key, "account_id": account_id, **first},
        change={
            "failures": case((shut, limits.failures), (stale, 1), else_=limits.failures + 1),
            "consecutive": case((shut, limits.consecutive), else_=limits.consecutive + 1),
            "window_started_at": case((shut, began), (stale, now), else_=began),
            "pending": case((shut, limits.pending), (waiting, limits.pending + one), else_=one),
            "pending_since": case((or_(shut, waiting), limits.pending_since), else_=now),
            "account_id": account_id,
        },
        returning=(limits.failures, limits.consecutive, limits.pending, shut.label("shut"), limits.blocked_until),
    )


def _block(session: Session, key: str, limit: int, consecutive: int, now: dt.datetime) -> dt.datetime:
    minutes = min(LONGEST_WAIT_MINUTES, 2 ** min(10, max(0, consecutive - 1 - limit)))
    until = now + dt.timedelta(minutes=minutes)
    # one attempt after each wait, then a longer wait
    after = {"failures": limit - 1, "consecutive": consecutive - 1, "window_started_at": until}
    if key in (EVERYBODY, _ASKS, _REGISTERS):  # no growing waits: whoever fills it would keep everybody out for good
        until = now + WINDOW
        after = {"failures": 0, "consecutive": 0, "window_started_at": until}
        logs.get("sign_in_throttle").error("sign_in_ceiling_reached", limit=limit, seconds=WINDOW.total_seconds())
    changed = {"blocked_until": until, "pending": 0, **after}
    session.execute(update(SIGN_IN_LIMITS).where(SIGN_IN_LIMITS.c.key == key).values(changed))
    return until


def count_try(session: Session, budget: Budget, *, waited: float = math.inf) -> Verdict:
    """Count one try as a failure (success takes it back) and say whether it may go on.

    A key that is shut ends the counting before it begins: a refused try costs nobody else, so one address alone cannot
    lock an account for everybody, and adds no row. ``waited`` are the seconds this try has been held up for. Raises
    ``TryAgainShortly``, with nothing counted: to hold it up as a common limit comes near, or where others are under way
    and only how they end decides whether there is room for this one. Inside a transaction, to be undone then. Whoever
    counts an ``undecided`` one says how it ended: ``forgive``, ``settle`` or ``give_back``.
    """
    now = clock.now()
    seen = _look(session, budget.limits, now)
    if ends := [row.blocked_until for row in seen if row.shut]:
        return Verdict(_seconds(max(ends)))
    if (held := _delay(seen, budget.limits, now) - waited) > 0:
        raise TryAgainShortly(held)
    if any(row.failures >= budget.limits[row.key] > row.failures - row.pending for row in seen):
        raise TryAgainShortly(_look_again(waited))
    stopped = newly = False
    done: list[str] = []
    for key, limit in budget.limits.items():
        row = _count(session, key, budget, now)
        if row.shut:  # by another one, since the look
            _undo(session, done)
            return Verdict(_seconds(row.blocked_until))
        if row.failures > limit:
            if row.failures - row.pending < limit:  # the others came since the look
                raise TryAgainShortly(_look_again(waited))
            until = _block(session, key, limit, row.consecutive, now)
            _undo(session, done)
            return Verdict(_seconds(until), newly_blocked=True)
        if key == budget.stops:
            stopped, newly = row.consecutive > HARD_STOP, row.consecutive == HARD_STOP + 1
        done.append(key)
    return Verdict(0, stopped, newly_stopped=newly)


def _look(session: Session, keys: Iterable[str], now: dt.datetime) -> list[Any]:
    limits = SIGN_IN_LIMITS.c
    columns = (
        limits.key,
        limits.window_started_at,
        limits.blocked_until,
        _shut(now).label("shut"),
        case((_stale(now), 0), else_=limits.failures).label("failures"),
        case((_waiting(now), limits.pending), else_=0).label("pending"),
    )
    return list(session.execute(select(*columns).where(limits.key.in_(list(keys)))))


def _look_again(waited: float) -> float:
    """Seconds until somebody who has waited so long asks again: as long again, so that asking costs little."""
    return min(_LOOK_AGAIN_AT_MOST, max(_LOOK_AGAIN, waited))


def _seconds(until: dt.datetime) -> int:
    """From now: the try may have waited for its turn."""
    return max(1, math.ceil((until - clock.now()).total_seconds()))


def _delay(seen: Iterable[Any], limits: Mapping[str, int], now: dt.datetime) -> float:
    """How long a try is held up: not at all until half of a common limit, then longer and longer."""
    longest = 0.0
    for row in seen:
        if row.key.startswith(_SHARED) and now - WINDOW < row.window_started_at <= now:
            half = limits[row.key] / 2
            longest = max(longest, min(1.0, (row.failures - half) / half) * LONGEST_DELAY)
    return longest


# --- how it ended -------------------------------------------------------------------------------


def _change(session: Session, key: str, *, forgiven: bool, **values: Any) -> None:
    limits = SIGN_IN_LIMITS.c
    values["pending"] = case((limits.pending > 0, limits.pending - 1), else_=0)
    if forgiven:
        values["failures"] = case((limits.failures > 0, limits.failures - 1), else_=0)
    session.execute(update(SIGN_IN_LIMITS).where(limits.key == key).values(values))


def _undo(session: Session, keys: Iterable[str]) -> None:
    limits = SIGN_IN_LIMITS.c
    for key in keys:
        one_less = case((limits.consecutive > 0, limits.consecutive - 1), else_=0)
        _change(session, key, forgiven=True, consecutive=one_less)


def settle(session: Session, budget: Budget) -> None:
    """The try was wrong: it stays counted."""
    for key in budget.limits:
        _change(session, key, forgiven=False)


def give_back(session: Session, budget: Budget) -> None:
    """The try was neither right nor wrong: nothing was compared."""
    _undo(session, budget.limits)


def forgive(session: Session, budget: Budget) -> None:
    """After the right answer: forget the failures before it, and take back what it cost those who share a limit.

    From a known device those of strangers stay: they are not the owner's.
    """
    for key in budget.limits:
        if key.startswith(_SHARED):
            _change(session, key, forgiven=True, consecutive=0)
        else:
            session.execute(delete(SIGN_IN_LIMITS).where(SIGN_IN_LIMITS.c.key == key))


# --- for the clinic -----------------------------------------------------------------------------


def unlock(session: Session, username: str, account_id: int | None) -> None:
    """Forget all failures at an account, wherever they came from, as after a reset of its password."""
    limits = SIGN_IN_LIMITS.c
    session.execute(delete(SIGN_IN_LIMITS).where(limits.key.startswith(_pairs(username), autoescape=True)))
    named = limits.key.in_(_names(username))
    session.execute(delete(SIGN_IN_LIMITS).where(or_(named, limits.account_id == account_id)))


def _names(username: str) -> tuple[str, str]:
    """The keys that say whether strangers may try to sign in as ``username``: password and code."""
    key = account_key(username)
    return key, f"code:{key}"


def locked(session: Session, usernames: Iterable[str]) -> dict[str, dt.datetime | None]:
    """Which of these are locked, and until when; None where only somebody at the clinic can open it again.

    Browsers in which the owner signed in before are open all the same. One statement for all of them, and none where
    there is nobody to ask about.
    """
    names = {key: username for username in usernames for key in _names(username)}
    if not names:
        return {}
    rows = session.execute(_locked(), {"names": list(names), "hard_stop": HARD_STOP, **lock_moments(clock.now())})
    found: dict[str, dt.datetime | None] = {}
    for row in rows:
        name, until = names[row.key], None if row.stopped else row.blocked_until
        found[name] = until if name not in found else _later(found[name], until)
    return found


@lru_cache(maxsize=1)
def _locked() -> Any:
    """Kept: putting it together takes longer than running."""
    limits = SIGN_IN_LIMITS.c
    now, longest_end = (bindparam(name, type_=UtcDateTime()) for name in ("now", "longest_lock"))
    stopped = limits.consecutive >= bindparam("hard_stop")
    return select(limits.key, limits.blocked_until, stopped.label("stopped")).where(
        limits.key.in_(bindparam("names", expanding=True)), or_(_shut(now, longest_end), stopped)
    )


def locked_accounts() -> Select[Any, Any]:
    """Building block: the accounts that ``locked`` names, with the end of each lock, for use in a query.

    That gets ``lock_moments``.
    """
    limits = SIGN_IN_LIMITS.c
    strangers = or_(*[limits.key.startswith(start) for start in ("account:", "code:account:")])
    now, longest_end = (bindparam(name, type_=UtcDateTime()) for name in ("now", "longest_lock"))
    return select(limits.account_id, limits.blocked_until).where(
        limits.account_id.is_not(None), strangers, or_(_shut(now, longest_end), limits.consecutive >= HARD_STOP)
    )


def lock_moments(now: dt.datetime) -> dict[str, dt.datetime]:
    """Building block: the values that ``locked_accounts`` asks for."""
    return {"now": now, "longest_lock": _longest_end(now)}


def _later(one: dt.datetime | None, other: dt.datetime | None) -> dt.datetime | None:
    return None if one is None or other is None else max(one, other)


def past(now: dt.datetime) -> ColumnElement[bool]:
    """Building block for tidying up: which rows limit nobody any more.

    So guessed names and networks cannot make the table grow: there are never more than strangers could try within half
    an hour, which the limit on all together bounds.
    """
    limits = SIGN_IN_LIMITS.c
    began = limits.window_started_at
    old = or_(began < now - KEEP_FAILURES, and_(limits.account_id.is_(None), began < now - KEEP_STRANGERS))
    return and_(old, or_(limits.blocked_until.is_(None), ~_shut(now)))
