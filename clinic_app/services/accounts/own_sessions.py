"""A person's own sessions: seeing them, ending one or all, and being told what failed before the last sign-in."""

from __future__ import annotations

from sqlalchemy import select, update

from clinic_app.core import clock, db
from clinic_app.core.errors import NotFound
from clinic_app.models.accounts import ACCOUNTS, LOGIN_SESSIONS, Account
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts import known_devices, sessions
from clinic_app.services.accounts.views import FailedTries, OwnSession
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.recording import record


def list_own_sessions(actor: Actor) -> tuple[OwnSession, ...]:
    """The open sessions of whoever is signed in, the latest first. Raises ``AuthenticationRequired`` for nobody."""
    demand(actor, Permission.OWN_SESSION)
    now = clock.now()
    with db.reading() as session:
        rows = session.execute(
            select(LOGIN_SESSIONS)
            .where(
                LOGIN_SESSIONS.c.account_id == actor.account_id,
                LOGIN_SESSIONS.c.ended_at.is_(None),
                LOGIN_SESSIONS.c.expires_at > now,
                LOGIN_SESSIONS.c.last_seen_at > now - sessions.idle_limit(actor.role),
            )
            .order_by(LOGIN_SESSIONS.c.id.desc())
        ).all()
    return tuple(
        OwnSession(
            row.id, row.kind, row.created_at, row.last_seen_at, row.address, row.user_agent, row.id == actor.session_id
        )
        for row in rows
    )


def end_own_session(actor: Actor, session_id: int) -> None:
    """End one of one's own sessions; its open pages are refused within a second.

    For whoever is signed in. Raises ``NotFound`` for a session that is over or somebody else's.
    """
    demand(actor, Permission.OWN_SESSION)
    with transaction(actor, ends_own_session=True) as session:
        ended = session.execute(
            update(LOGIN_SESSIONS)
            .where(
                LOGIN_SESSIONS.c.id == session_id,
                LOGIN_SESSIONS.c.account_id == actor.account_id,
                LOGIN_SESSIONS.c.ended_at.is_(None),
            )
            .values(ended_at=clock.now(), end_reason="ended by owner")
            .returning(LOGIN_SESSIONS.c.id)
        ).scalar_one_or_none()
        if ended is not None:
            _note(session, actor, {"one": True})
    if ended is None:
        raise NotFound("This session has already ended.")


def sign_out_everywhere(actor: Actor) -> None:
    """End all sessions of whoever is signed in, this one and those of the API too; no browser is known any more."""
    demand(actor, Permission.OWN_SESSION)
    with transaction(actor, ends_own_session=True) as session:
        sessions.end_sessions(session, actor.account_id or 0, "signed out everywhere")
        known_devices.forget(session, actor.account_id or 0)
        _note(session, actor, {"one": False})


def _note(session, actor: Actor, details: dict[str, bool]) -> None:
    record(
        session,
        actor,
        Action.SESSIONS_ENDED,
        resource_type="account",
        resource_id=actor.account_id,
        details=details,
        changes_lists=True,  # open lists of those sessions wake, look and leave
    )


#: Fewer wrong passwords than this are the owner's own slips, and are not mentioned.
TOLD_FROM = 3


def take_failed_tries(actor: Actor) -> FailedTries | None:
    """The failed tries before the last sign-in, told once; None if there were fewer than three, or the owner was told.

    For whoever is signed in, about themselves.
    """
    demand(actor, Permission.OWN_SESSION)
    with db.reading() as session:
        account = session.get(Account, actor.account_id or 0)
    if account is None or not account.told_tries:
        return None
    with transaction(actor) as session:
        told = session.execute(
            update(ACCOUNTS)
            .where(ACCOUNTS.c.id == account.id, ACCOUNTS.c.told_tries == account.told_tries)
            .values(told_tries=0, told_failed_at=None)
            .returning(ACCOUNTS.c.id)
        ).scalar_one_or_none()
    if told is None or account.told_tries < TOLD_FROM:
        return None
    return FailedTries(account.told_tries, account.told_failed_at)
