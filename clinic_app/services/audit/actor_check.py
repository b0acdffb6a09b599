"""Whether whoever asked for something still may, while it is done."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Text, and_, bindparam, select
from sqlmodel import Session

from clinic_app.core import clock, db
from clinic_app.core.errors import AuthenticationRequired, PermissionDenied
from clinic_app.core.prepared import Prepared
from clinic_app.core.sql_text import among, numbers
from clinic_app.models.accounts import ACCOUNTS, LOGIN_SESSIONS
from clinic_app.services.access import Actor

_ACTOR, _UNCHECKED = "actor", "actor unchecked"
_NOW = Prepared(
    select(ACCOUNTS.c.role, ACCOUNTS.c.is_active, LOGIN_SESSIONS.c.ended_at, LOGIN_SESSIONS.c.expires_at)
    .join(
        LOGIN_SESSIONS,
        and_(LOGIN_SESSIONS.c.id == bindparam("session"), LOGIN_SESSIONS.c.account_id == ACCOUNTS.c.id),
        isouter=True,
    )
    .where(ACCOUNTS.c.id == bindparam("account"))
)


#: The same for several accounts and sessions.
_NOW_ALL = Prepared(
    select(
        ACCOUNTS.c.id.label("account_id"),
        LOGIN_SESSIONS.c.id.label("session_id"),
        ACCOUNTS.c.role,
        ACCOUNTS.c.is_active,
        LOGIN_SESSIONS.c.ended_at,
        LOGIN_SESSIONS.c.expires_at,
    )
    .join(
        LOGIN_SESSIONS,
        and_(
            LOGIN_SESSIONS.c.account_id == ACCOUNTS.c.id,
            among(LOGIN_SESSIONS.c.id, bindparam("sessions", type_=Text)),
        ),
        isouter=True,
    )
    .where(among(ACCOUNTS.c.id, bindparam("accounts", type_=Text)))
)


class SessionOver(AuthenticationRequired):
    """The session ended, or the account was turned off, while the work was under way."""

    code = "session_over"
    detail = "Your session ended meanwhile, and nothing was done. Please sign in again."


class RoleChanged(PermissionDenied):
    """The account was given another role while the work was under way."""

    code = "role_changed"
    detail = "Your role was changed meanwhile, and nothing was done."


def expect(session: Session, actor: Actor) -> None:
    """Building block: this transaction is on behalf of ``actor``, who is to be checked before its end."""
    session.info[_ACTOR], session.info[_UNCHECKED] = actor, True


def actor_of(session: Session) -> Actor | None:
    """On whose behalf this transaction is; None where it is on nobody's."""
    return session.info.get(_ACTOR)


def is_due(session: Session) -> bool:
    """Whether this transaction is on behalf of an account that has yet to be checked."""
    actor = actor_of(session)
    return actor is not None and actor.kind == "account" and session.info.get(_UNCHECKED, False)


def check(session: Session) -> None:
    """Building block: raise ``SessionOver`` or ``RoleChanged`` unless the expected actor still stands. Once.

    The command line and anonymous callers have neither account nor session.
    """
    actor = actor_of(session)
    if actor is None or not is_due(session):
        return
    leave(session)
    _stands(actor, _NOW.one_or_none(session, account=actor.account_id, session=actor.session_id or 0))


def leave(session: Session) -> None:
    """Building block: the expected actor is checked, or somebody else will see to it (``check_all``)."""
    session.info[_UNCHECKED] = False


def check_all(session: Session, actors: Collection[Actor]) -> None:
    """Building block: raise ``db.Apart`` unless all of these, each with an account, still stand. One statement."""
    accounts = numbers({actor.account_id for actor in actors if actor.account_id is not None})
    sessions = numbers({actor.session_id for actor in actors if actor.session_id is not None})
    found = _NOW_ALL.all(session, accounts=accounts, sessions=sessions) if actors else ()
    try:
        for actor in actors:
            mine = [row for row in found if row.account_id == actor.account_id]
            of_session = [row for row in mine if row.session_id == actor.session_id]
            _stands(actor, (of_session or [None])[0] if actor.session_id is not None else (mine or [None])[0])
    except (SessionOver, RoleChanged) as gone:
        raise db.Apart from gone


def _stands(actor: Actor, now: Any) -> None:
    if now is None or not now.is_active:
        raise SessionOver
    if actor.session_id is not None and (
        now.ended_at is not None or now.expires_at is None or now.expires_at <= clock.now()
    ):
        raise SessionOver
    if now.role != actor.role:
        raise RoleChanged
