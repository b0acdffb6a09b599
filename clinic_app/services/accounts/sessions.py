"""Sessions: opened at sign-in, looked up on every event, ended in one place."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import select, update
from sqlmodel import Session

from clinic_app.core import clock, context, crypto, db
from clinic_app.core.settings import get_settings
from clinic_app.models.accounts import ACCOUNTS, LOGIN_SESSIONS, Account, LoginSession, Role
from clinic_app.services.access import ANONYMOUS, Actor
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.recording import record

#: Activity is written down this coarsely, so that looking up a session is nearly always a read.
TOUCH_EVERY = dt.timedelta(seconds=20)
#: Open sessions of one account and kind; opening one more ends the oldest.
AT_MOST = 10
API_AT_MOST = 100  # of the API: a program may well sign in once for each of its workers
_LONGEST_PATH = 120


def idle_limit(role: str) -> dt.timedelta:
    """After doing nothing for so long a session of ``role`` is over."""
    settings = get_settings()
    return dt.timedelta(minutes=settings.patient_idle_minutes if role == Role.PATIENT else settings.staff_idle_minutes)


def absolute_limit(role: str) -> dt.timedelta:
    """After so long a session of ``role`` is over in any case."""
    settings = get_settings()
    return dt.timedelta(hours=settings.patient_session_hours if role == Role.PATIENT else settings.staff_session_hours)


def second_factor_required(role: str) -> bool:
    """Whether the clinic's settings ask ``role`` for a second factor."""
    who = get_settings().require_two_factor
    return role != Role.PATIENT and (who == "staff" or (who == "admins" and role == Role.ADMIN))


def actor_of(account: Account, session_id: int | None, proved_at: dt.datetime | None = None) -> Actor:
    """The actor an account is while signed in."""
    return Actor(
        "account",
        account.id,
        account.role,
        account.full_name,
        account.username,
        account.patient_id,
        session_id,
        account.password_temporary,
        account.totp_enabled_at is None and second_factor_required(account.role),
        proved_at,
    )


def open_session(session: Session, account: Account, kind: str = "page") -> tuple[str, LoginSession]:
    """Start a session for ``account`` and return its token; only the hash is kept. The oldest ones give way."""
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
    """End the oldest open sessions of this kind, so that with the next one there are as many as may be."""
    kept = session.execute(
        select(LOGIN_SESSIONS.c.id)
        .where(
            LOGIN_SESSIONS.c.account_id == account.id,
            LOGIN_SESSIONS.c.kind == kind,
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
    return row.ended_at is not None or row.expires_at <= now or row.last_seen_at <= now - idle_limit(role)


def resolve(token_hash: str, *, touch: bool = True) -> Actor:
    """Who is behind a session token's hash now: an account's actor, or ``ANONYMOUS``.

    For pages, their own routes and the API, on every event and request. ``touch`` counts as activity and
    puts off the idle end.
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
    if not account.is_active or _expired(row, account.role, now):
        return ANONYMOUS
    if touch and row.last_seen_at < now - TOUCH_EVERY:
        with db.transaction() as session:
            session.execute(
                update(LOGIN_SESSIONS)
                .where(LOGIN_SESSIONS.c.id == row.id, LOGIN_SESSIONS.c.ended_at.is_(None))
                .values(last_seen_at=now)
            )
    return actor_of(account, row.id, row.proved_at)


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
    """A new token for the account's session behind a token's hash: its person has just given all proofs again.

    The old token opens nothing any more. None where there is no such session, or another request was quicker.
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
    """End the session behind a token's hash. Returns who it was; nobody is fine too."""
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
