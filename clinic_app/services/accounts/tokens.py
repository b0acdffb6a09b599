"""Sessions of the API: a short-lived signed access token, and a chain of refresh tokens used once each.

Figures and rules: docs/security.md (ASVS 5.0 V9; RFC 9068 for the access token, RFC 9700 4.14 for rotation).
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import functools
import hashlib
import hmac
import math
import secrets
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import jwt
from sqlalchemy import Text, bindparam, delete, insert, select, update
from sqlmodel import Session

from clinic_app.core import clock, crypto, db, keys
from clinic_app.core.errors import AuthenticationRequired, PermissionDenied
from clinic_app.core.prepared import Prepared
from clinic_app.core.settings import get_settings
from clinic_app.core.sql_text import among, numbers
from clinic_app.models.accounts import ACCOUNTS, LOGIN_SESSIONS, REFRESH_TOKENS, Role
from clinic_app.services.access import ANONYMOUS, Actor
from clinic_app.services.accounts import sessions
from clinic_app.services.accounts.errors import TokenRefused
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, STAFF_DOOR, normal_username, sign_in
from clinic_app.services.audit.actions import Action, Outcome
from clinic_app.services.audit.recording import record

ACCESS_LIFE = dt.timedelta(minutes=15)
ALGORITHM = "HS256"
AUDIENCE = "clinic-api"
TYPE = "at+jwt"
KIND = "api"
_CLAIMS = ["iss", "aud", "sub", "sid", "jti", "iat", "exp", "role"]
_LONGEST = 2000  # characters of a token that is looked at
#: Digest of a token whose signature was found good, with what it was checked against → its claims. The signature is
#: half of a look-up's time; whether the token has expired and its session has ended is asked each time.
_checked: dict[tuple[str, bytes, str], dict[str, Any]] = {}
_CHECKED_AT_MOST = 1000

#: A session and its account, by the session's id: what every request asks for.
_BEHIND_ANY = (
    select(
        LOGIN_SESSIONS.c.id.label("session_id"),
        LOGIN_SESSIONS.c.ended_at,
        LOGIN_SESSIONS.c.expires_at,
        LOGIN_SESSIONS.c.last_seen_at,
        LOGIN_SESSIONS.c.proved_at,
        ACCOUNTS.c.id.label("account_id"),
        ACCOUNTS.c.role,
        ACCOUNTS.c.full_name,
        ACCOUNTS.c.username,
        ACCOUNTS.c.patient_id,
        ACCOUNTS.c.password_temporary,
        ACCOUNTS.c.totp_enabled_at,
        ACCOUNTS.c.is_active,
    )
    .select_from(LOGIN_SESSIONS)
    .join(ACCOUNTS, ACCOUNTS.c.id == LOGIN_SESSIONS.c.account_id)
)
_BEHIND = Prepared(_BEHIND_ANY.where(LOGIN_SESSIONS.c.id == bindparam("wanted"), LOGIN_SESSIONS.c.kind == KIND))


#: The same for several.
_BEHIND_ALL = Prepared(
    _BEHIND_ANY.where(among(LOGIN_SESSIONS.c.id, bindparam("wanted", type_=Text)), LOGIN_SESSIONS.c.kind == KIND)
)


class _Together(threading.local):
    """Claims and sessions of the tokens that this thread resolves together: see ``resolving``."""

    found: dict[str, tuple[dict[str, Any], Any]] | None = None


_together = _Together()


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a client is given: ``access`` for each request, ``refresh`` for the next pair."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)


@functools.lru_cache(maxsize=4)
def _derived(token_key: bytes) -> bytes:
    return hmac.new(token_key, b"api access token, v1", hashlib.sha256).digest()


def signing_key() -> bytes:
    """The key of access tokens: derived, so that it is good for nothing else."""
    return _derived(keys.key("token_key"))


def _access(account_id: int, session_id: int, role: str, ends: dt.datetime) -> str:
    now = clock.now()
    claims = {
        "iss": get_settings().origin,
        "aud": AUDIENCE,
        "sub": str(account_id),
        "sid": str(session_id),
        "jti": secrets.token_urlsafe(12),
        "iat": now,
        "exp": min(now + ACCESS_LIFE, ends),
        "role": role,
    }
    return jwt.encode(claims, signing_key(), ALGORITHM, headers={"typ": TYPE})


def _claims(token: str, now: dt.datetime) -> dict[str, Any]:
    """The claims of a token of ours. Raises ``TokenRefused`` for anything else, whatever is wrong with it."""
    if not token or len(token) > _LONGEST or not _spelt_as_issued(token):
        raise TokenRefused
    mark = (crypto.digest(token), signing_key(), get_settings().origin)
    claims = _checked.get(mark)
    if claims is None:
        claims = _decoded(token)
        if len(_checked) >= _CHECKED_AT_MOST:
            _checked.clear()
        _checked[mark] = claims
    if claims["exp"] <= now.timestamp():
        raise TokenRefused
    return claims


def _spelt_as_issued(token: str) -> bool:
    """Whether each part is base64url in its one spelling (RFC 7515, 2): no padding, no blanks, no spare bits.

    Libraries read over all of these, so that one token would have many texts.
    """
    try:
        parts = [(part, base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in token.split(".")]
    except ValueError:  # also characters beyond ASCII
        return False
    return len(parts) == 3 and all(base64.urlsafe_b64encode(raw).rstrip(b"=") == part.encode() for part, raw in parts)


def _decoded(token: str) -> dict[str, Any]:
    try:
        found = jwt.decode_complete(
            token,
            signing_key(),
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=get_settings().origin,
            options={"require": _CLAIMS, "strict_aud": True},
        )
    except (jwt.PyJWTError, ValueError):
        raise TokenRefused from None
    claims = found["payload"]
    if found["header"].get("typ") != TYPE or not str(claims["sid"]).isdecimal() or len(claims["sid"]) > 18:
        raise TokenRefused
    return claims


def _alive(row: Any, role: str, now: dt.datetime) -> bool:
    return (
        row is not None
        and row.is_active
        and row.role == role
        and row.ended_at is None
        and row.expires_at > now
        and now - sessions.idle_limit(row.role) < row.last_seen_at <= now + sessions.CLOCKS_DIFFER
    )


def _actor(row: Any) -> Actor:
    return Actor(
        "account",
        row.account_id,
        row.role,
        row.full_name,
        row.username,
        row.patient_id,
        row.session_id,
        row.password_temporary,
        row.totp_enabled_at is None and sessions.second_factor_required(row.role),
        row.proved_at,
    )


@contextlib.contextmanager
def resolving(tokens: Sequence[str]) -> Iterator[None]:
    """Look up the sessions behind all these tokens at once: ``resolve_access`` of them asks no more in the block.

    For requests that are answered together. The block is short and in one thread; what they record is checked once
    more before the commit (``actor_check``).
    """
    if len(tokens) < 2:
        yield
        return
    now, claims = clock.now(), dict[str, dict[str, Any]]()
    for token in set(tokens):
        with contextlib.suppress(TokenRefused):
            claims[token] = _claims(token, now)
    rows = {}
    if claims:
        wanted = numbers({int(one["sid"]) for one in claims.values()})
        with db.glance() as connection:
            rows = {row.session_id: row for row in _BEHIND_ALL.all(connection, wanted=wanted)}
    _together.found = {token: (one, rows.get(int(one["sid"]))) for token, one in claims.items()}
    try:
        yield
    finally:
        _together.found = None


def _behind(token: str, now: dt.datetime) -> tuple[dict[str, Any], Any]:
    if _together.found and token in _together.found:
        return _together.found[token]
    claims = _claims(token, now)
    with db.glance() as connection:
        return claims, _BEHIND.one_or_none(connection, wanted=int(claims["sid"]))


def resolve_access(token: str) -> Actor:
    """Who is behind an access token now. Its session is looked up each time and counts as active.

    For the API, on every request. Raises ``TokenRefused`` for a token that is forged, too old or of another
    kind, and when its session has ended, its account is turned off or its role has changed.
    """
    now = clock.now()
    claims, row = _behind(token, now)
    if row is None or not _alive(row, claims["role"], now) or str(row.account_id) != claims["sub"]:
        raise TokenRefused
    if row.last_seen_at < now - sessions.TOUCH_EVERY:
        with db.transaction() as session:
            _touch(session, row.session_id, now)
        _together.found = None  # of others of the same session it is known now
    return _actor(row)


def _touch(session: Session, session_id: int, now: dt.datetime) -> None:
    session.execute(
        update(LOGIN_SESSIONS)
        .where(LOGIN_SESSIONS.c.id == session_id, LOGIN_SESSIONS.c.ended_at.is_(None))
        .values(last_seen_at=now)
    )


def _end(session: Session, session_id: int, reason: str) -> bool:
    """End one session; whether it was open."""
    ended = session.execute(
        update(LOGIN_SESSIONS)
        .where(LOGIN_SESSIONS.c.id == session_id, LOGIN_SESSIONS.c.ended_at.is_(None))
        .values(ended_at=clock.now(), end_reason=reason)
        .returning(LOGIN_SESSIONS.c.id)
    )
    return ended.one_or_none() is not None


def _next_link(session: Session, session_id: int, role: str, ends: dt.datetime) -> str:
    token = crypto.new_token()
    session.execute(
        insert(REFRESH_TOKENS).values(
            token_hash=crypto.digest(token), session_id=session_id, role=role, created_at=clock.now(), expires_at=ends
        )
    )
    return token


def _door(username: str) -> str:
    """Which of the two doors this name belongs to. Both are tried in the same words and in the same time."""
    with db.reading() as session:
        role = session.execute(
            select(ACCOUNTS.c.role).where(ACCOUNTS.c.username == normal_username(username))
        ).scalar_one_or_none()
    return PATIENT_DOOR if role == Role.PATIENT else STAFF_DOOR


def issue_tokens(username: str, password: str, code: str = "", *, waited: float = math.inf) -> Tokens:
    """Sign in for the API, with the account of a member of staff or of a patient.

    Anybody may try. ``code`` is needed by accounts with a second factor. A temporary password opens nothing here,
    and neither does an account that must set up a second factor first. From a network the account signed in from
    before, strangers' guesses do not shut it out. ``waited`` as for ``sign_in``. Raises ``InvalidCredentials``,
    ``TemporaryPasswordExpired``, ``SecondFactorRequired``, ``CodeRefused``, ``TryAgainShortly``,
    ``TooManyAttempts``; ``PermissionDenied`` for the right password of an account that is held back.
    """
    done = sign_in(_door(username), username, password, kind=KIND, code=code, waited=waited)
    session_id = done.actor.session_id or 0
    with db.transaction() as session:
        session.execute(delete(REFRESH_TOKENS).where(REFRESH_TOKENS.c.expires_at <= clock.now()))
        if done.actor.held_back:
            _end(session, session_id, "held back")
            record(
                session,
                done.actor,
                Action.ACCESS_DENIED,
                outcome=Outcome.DENIED,
                resource_type="account",
                resource_id=done.actor.account_id,
                details={"permission": "api:sign-in"},
            )
        else:
            refresh = _next_link(session, session_id, done.actor.role, done.expires_at)
    if done.actor.held_back:
        raise PermissionDenied(done.actor.held_back)
    return Tokens(_access(done.actor.account_id or 0, session_id, done.actor.role, done.expires_at), refresh)


def refresh_tokens(token: str) -> Tokens:
    """Exchange a refresh token for the next pair. Of several at once with the same token exactly one succeeds.

    For whoever holds it. A token used for the second time has been copied: its session ends, and that is
    recorded. Raises ``TokenRefused``.
    """
    if not token or len(token) > _LONGEST:
        raise TokenRefused
    mark, now = crypto.digest(token.encode("utf-8", "replace").decode()), clock.now()
    with db.transaction() as session:
        link = session.execute(
            update(REFRESH_TOKENS)
            .where(REFRESH_TOKENS.c.token_hash == mark, REFRESH_TOKENS.c.used_at.is_(None))
            .values(used_at=now)
            .returning(REFRESH_TOKENS.c.session_id, REFRESH_TOKENS.c.role)
        ).one_or_none()
        row = None
        if link is None:
            _note_reuse(session, mark)
        else:
            row = _BEHIND.one_or_none(session, wanted=link.session_id)
            if row is None or not _alive(row, link.role, now):
                link = None
            else:
                _touch(session, row.session_id, now)
                following = _next_link(session, row.session_id, row.role, row.expires_at)
                record(
                    session,
                    _actor(row),
                    Action.TOKEN_REFRESHED,
                    resource_type="account",
                    resource_id=row.account_id,
                )
    if link is None or row is None:
        raise TokenRefused
    return Tokens(_access(row.account_id, row.session_id, row.role, row.expires_at), following)


def _note_reuse(session: Session, mark: str) -> None:
    """End the session of a token that was used before. An unknown token is not recorded."""
    used = session.execute(
        select(REFRESH_TOKENS.c.session_id, LOGIN_SESSIONS.c.account_id)
        .join(LOGIN_SESSIONS, LOGIN_SESSIONS.c.id == REFRESH_TOKENS.c.session_id)
        .where(REFRESH_TOKENS.c.token_hash == mark)
    ).one_or_none()
    if used is not None and _end(session, used.session_id, "refresh token reused"):
        record(
            session,
            ANONYMOUS,
            Action.TOKEN_REUSED,
            outcome=Outcome.DENIED,
            resource_type="account",
            resource_id=used.account_id,
        )


def end_tokens(actor: Actor) -> None:
    """Sign out: the session ends, and with it the access token and the whole chain. For whoever is signed in.

    Raises ``AuthenticationRequired`` for nobody.
    """
    if actor.session_id is None:
        raise AuthenticationRequired
    with db.transaction() as session:
        if _end(session, actor.session_id, "signed out"):
            record(session, actor, Action.SIGNED_OUT, resource_type="account", resource_id=actor.account_id)
