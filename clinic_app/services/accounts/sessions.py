"""Sessions: opened at sign-in, looked up on every event, ended in one place."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import or_, select, update
from sqlmodel import Session

from clinic_app.core import clock, context, crypto, db
from clinic_app.core.settings import get_settings
from clinic_app.models.accounts import ACCOUNTS, LOGIN_SESSIONS, Account, LoginSession, Role
from clinic_app.services.access import ANONYMOUS, Actor
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.recording import record

#: Activity is written down this coarsely, so that looking up a session is nearly always a read.
TOUCH_EVERY = dt.timedelta(seconds=20)
#: A session that was used later than now is over: the clock has jumped back, and nobody knows how long it was idle.
CLOCKS_DIFFER = dt.timedelta(minutes=2)  # of two workers' machines
#: Open sessions of one account and kind; opening one more ends the oldest.
AT_MOST = 10
API_AT_MOST = 100  # of the API: a program may well sign in once for each of its workers
#: The kind of a page's session that a passkey opened, which counts as both factors.
PASSKEY = "passkey"
_LONGEST_PATH = 120
_AT_ONCE = 500  # hashes in one statement


def idle_limit(role: str) -> dt.timedelta:
    """How long a session of ``role`` may be idle."""
    settings = get_settings()
    return dt.timedelta(minutes=settings.patient_idle_minutes if role == Role.PATIENT else settings.staff_idle_minutes)


def absolute_limit(role: str) -> dt.timedelta:
    """How long a session of ``role`` may last in any case."""
    settings = get_settings()
    return dt.timedelta(hours=settings.patient_session_hours if role == Role.PATIENT else settings.staff_session_hours)


def second_factor_required(role: str) -> bool:
    """Whether the clinic's settings ask ``role`` for a second factor."""
    who = get_settings().require_two_factor
    return role != Role.PATIENT and (who == "staff" or (who == "admins" and role == Role.ADMIN))


def actor_of(
    account: Account, session_id: int | None, proved_at: dt.datetime | None = None, *, both_factors: bool = False
) -> Actor:
    """The actor an account is while signed in; with ``both_factors`` there is none to be set up first."""
    return Actor(
        "account",
        account.id,
        account.role,
        account.full_name,
        account.username,
        account.patient_id,
        session_id,
        account.password_temporary,
        account.totp_enabled_at is None and not both_factors and second_factor_required(account.role),
        proved_at,
    )


def actor_in(account: Account, row: LoginSession) -> Actor:
    """The actor an account is in this session of its."""
    return actor_of(account, row.id, row.proved_at, both_factors=row.kind == PASSKEY)


def open_session(session: Session, account: Account, kind: str = "page") -> tuple[str, LoginSession]:
    """Start a session for ``account`` and return its token; only its hash is kept. Of too many, the oldest end."""
    token, now, here = crypto.new_token(), clock.now(), context.current()
    row = LoginSession(
        token_hash=crypto.digest(token),
        account_id=account.id or 0,
        kind=kind,
        created_at=now,
        last_seen_at=now,
        expires_at=now + absolute_limit(account.role),
        address=here.address[:64],
        user_agent="".join(c if c.isprintable() else "?" for c in here.user_agent)[:200],
        proved_at=now,
    )
    _make_room(session, account, kind, now)
    session.add(row)
    session.flush()
    return token, row


def _make_room(session: Session, account: Account, kind: str, now: dt.datetime) -> None:
    """End the oldest open sessions of this kind, to make room for one more."""
    kept = session.execute(
        select(LOGIN_SESSIONS.c.id)
        .where(
            LOGIN_SESSIONS.c.account_id == account.id,
            LOGIN_SESSIONS.c.kind == "api" if kind == "api" else LOGIN_SESSIONS.c.kind != "api",
            LOGIN_SESSIONS.c.ended_at.is_(None),
            LOGIN_SESSIONS.c.expires_at > now,
            LOGIN_SESSIONS.c.last_seen_at > now - idle_limit(account.role),
        )
        .order_by(LOGIN_SESSIONS.c.id.desc())
    )
    surplus = list(kept.scalars())[(API_AT_MOST if kind == "api" else AT_MOST) - 1 :]
    if surplus:
        session.execute(
            update(LOGIN_SESSIONS)
            .where(LOGIN_SESSIONS.c.id.in_(surplus))
            .values(ended_at=now, end_reason="too many sessions")
        )
        db.changed(session)


def _expired(row: LoginSession, role: str, now: dt.datetime) -> bool:
    if row.ended_at is not None or row.last_seen_at > now + CLOCKS_DIFFER:
        return True
    return row.expires_at <= now or row.last_seen_at <= now - idle_limit(role)


def _living(row: LoginSession, account: Account, now: dt.datetime) -> bool:
    return account.is_active and not _expired(row, account.role, now)


def resolve(token_hash: str, *, touch: bool = True) -> Actor:
    """Who is behind a session token's hash now: an account's actor, or ``ANONYMOUS``.

    For every way in, on every event and request. ``touch`` counts as activity and puts off the idle end.
    """
    if not token_hash:
        return ANONYMOUS
    now = clock.now()
    with db.reading() as session:
        found = session.execute(
            select(LoginSession, Account)
            .join(Account, ACCOUNTS.c.id == LOGIN_SESSIONS.c.account_id)
            .where(LOGIN_SESSIONS.c.token_hash == token_hash)
        ).one_or_none()
    if found is None:
        return ANONYMOUS
    row, account = found
    if not _living(row, account, now):
        return ANONYMOUS
    if touch and row.last_seen_at < now - TOUCH_EVERY:
        with db.transaction() as session:
            session.execute(
                update(LOGIN_SESSIONS)
                .where(LOGIN_SESSIONS.c.id == row.id, LOGIN_SESSIONS.c.ended_at.is_(None))
                .values(last_seen_at=now)
            )
    return actor_in(account, row)


def seconds_left(token_hash: str) -> float | None:
    """In how many seconds the session behind a token's hash ends if nothing is done in it; None when it is over."""
    now = clock.now()
    with db.reading() as session:
        found = _with_account(session, [token_hash])
    if not found or not _living(*found[0], now):
        return None
    row, account = found[0]
    return (min(row.expires_at, row.last_seen_at + idle_limit(account.role)) - now).total_seconds()


def over_among(token_hashes: Collection[str]) -> set[str]:
    """Those of ``token_hashes`` behind which nobody is any more. Looking is not activity."""
    now, living = clock.now(), set[str]()
    asked = list(token_hashes)
    with db.reading() as session:
        for first in range(0, len(asked), _AT_ONCE):
            found = _with_account(session, asked[first : first + _AT_ONCE])
            living |= {row.token_hash for row, account in found if _living(row, account, now)}
    return set(asked) - living


def owner_of(token_hash: str) -> int:
    """Whose session is or was behind a token's hash; 0 where there is none. It tells people apart, no more."""
    with db.reading() as session:
        found = session.execute(select(LOGIN_SESSIONS.c.account_id).where(LOGIN_SESSIONS.c.token_hash == token_hash))
        return found.scalar_one_or_none() or 0


def _with_account(session: Session, token_hashes: list[str]) -> list[tuple[LoginSession, Account]]:
    found = session.execute(
        select(LoginSession, Account)
        .join(Account, ACCOUNTS.c.id == LOGIN_SESSIONS.c.account_id)
        .where(LOGIN_SESSIONS.c.token_hash.in_(token_hashes))
    )
    return [(row, account) for row, account in found]


#: Why all sessions of an account end when its owner saves a new password.
PASSWORD_CHANGED = "password changed"  # noqa: S105  a reason, not one


@dataclass(frozen=True, slots=True)
class Over:
    """Why a session ended: after so many idle ``minutes``, else after so many ``hours`` in any case, else because its
    owner's password was ``changed``."""

    is_patient: bool
    minutes: int = 0
    hours: int = 0
    changed: bool = False


def why_over(token_hash: str) -> Over | None:
    """Why the session behind a token's hash has ended, for the sign-in page of whoever holds the token.

    None where nobody is behind it, it is open, or somebody ended it otherwise than by a new password. So whoever saved
    one, and lost the answer, learns that it counts.
    """
    if not token_hash:
        return None
    now = clock.now()
    with db.reading() as session:
        found = session.execute(
            select(
                LOGIN_SESSIONS.c.expires_at, LOGIN_SESSIONS.c.last_seen_at, LOGIN_SESSIONS.c.end_reason, ACCOUNTS.c.role
            )
            .join(ACCOUNTS, ACCOUNTS.c.id == LOGIN_SESSIONS.c.account_id)
            .where(
                LOGIN_SESSIONS.c.token_hash == token_hash,
                or_(LOGIN_SESSIONS.c.ended_at.is_(None), LOGIN_SESSIONS.c.end_reason == PASSWORD_CHANGED),
                ACCOUNTS.c.is_active,
            )
        ).one_or_none()
    if found is None:
        return None
    idle, patient = idle_limit(found.role), found.role == Role.PATIENT
    if found.end_reason == PASSWORD_CHANGED:
        return Over(patient, changed=True) if found.expires_at > now else None  # else it would be over in any case
    if found.last_seen_at <= now - idle:
        return Over(patient, minutes=int(idle.total_seconds() // 60))
    if found.expires_at <= now:
        return Over(patient, hours=int(absolute_limit(found.role).total_seconds() // 3600))
    return None


def remember_path(token_hash: str, path: str) -> None:
    """Keep which page the person behind a session is on, to bring them back to it after an idle end."""
    with db.reading() as session:
        found = session.execute(select(LOGIN_SESSIONS.c.path).where(LOGIN_SESSIONS.c.token_hash == token_hash))
        kept = found.scalar_one_or_none()
    if kept is None or kept == path or len(path) > _LONGEST_PATH:
        return
    with db.transaction() as session:
        session.execute(update(LOGIN_SESSIONS).where(LOGIN_SESSIONS.c.token_hash == token_hash).values(path=path))


def path_of(session: Session, token_hash: str, account_id: int) -> str:
    """The page a session of this account was on when it went idle; empty where it was ended or somebody else's."""
    found = session.execute(
        select(LOGIN_SESSIONS.c.path).where(
            LOGIN_SESSIONS.c.token_hash == token_hash,
            LOGIN_SESSIONS.c.account_id == account_id,
            LOGIN_SESSIONS.c.ended_at.is_(None),
        )
    )
    return found.scalar_one_or_none() or ""


def renew(session: Session, token_hash: str, account_id: int) -> tuple[str, LoginSession] | None:
    """A new token for the account's session behind a token's hash: its owner has just proved who they are.

    The old token stops working. None if there is no such session, or another request was quicker.
    """
    token, now = crypto.new_token(), clock.now()
    changed = session.execute(
        update(LOGIN_SESSIONS)
        .where(
            LOGIN_SESSIONS.c.token_hash == token_hash,
            LOGIN_SESSIONS.c.account_id == account_id,
            LOGIN_SESSIONS.c.ended_at.is_(None),
        )
        .values(token_hash=crypto.digest(token), proved_at=now, last_seen_at=now)
        .returning(LOGIN_SESSIONS.c.id)
    ).scalar_one_or_none()
    row = session.get(LoginSession, changed, populate_existing=True) if changed is not None else None
    return (token, row) if row is not None else None


def end_sessions(session: Session, account_id: int, reason: str, *, keep: int | None = None) -> None:
    """End all sessions of an account (but ``keep``), inside the caller's transaction."""
    session.execute(
        update(LOGIN_SESSIONS)
        .where(
            LOGIN_SESSIONS.c.account_id == account_id,
            LOGIN_SESSIONS.c.ended_at.is_(None),
            LOGIN_SESSIONS.c.id != (keep or 0),
        )
        .values(ended_at=clock.now(), end_reason=reason)
    )


def end_one(session: Session, token_hash: str, reason: str) -> None:
    """End the session behind a token's hash, if it is still open, inside the caller's transaction."""
    session.execute(
        update(LOGIN_SESSIONS)
        .where(LOGIN_SESSIONS.c.token_hash == token_hash, LOGIN_SESSIONS.c.ended_at.is_(None))
        .values(ended_at=clock.now(), end_reason=reason)
    )


def sign_out(token_hash: str) -> Actor:
    """End the session behind a token's hash. Returns who it was; a session that does not exist is fine too."""
    actor = resolve(token_hash, touch=False)
    if actor.kind == "account":
        with db.transaction() as session:
            end_one(session, token_hash, "signed out")
            record(
                session,
                actor,
                Action.SIGNED_OUT,
                resource_type="account",
                resource_id=actor.account_id,
                changes_lists=True,  # a list still open under a copied cookie notices at once
            )
    return actor
