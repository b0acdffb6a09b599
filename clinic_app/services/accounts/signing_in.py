"""Signing in, for staff and for patients: one way, the same answer for every kind of refusal."""

from __future__ import annotations

import unicodedata

from sqlalchemy import select, update
from sqlmodel import Session

from clinic_app.core import clock, context, crypto, db
from clinic_app.core.errors import ClinicError, TooManyAttempts
from clinic_app.models.accounts import Account, Role
from clinic_app.services.access import ANONYMOUS
from clinic_app.services.accounts import limits, sessions
from clinic_app.services.accounts.errors import InvalidCredentials, TemporaryPasswordExpired
from clinic_app.services.accounts.views import SignedIn
from clinic_app.services.audit.actions import Action, Outcome
from clinic_app.services.audit.recording import record

_ACCOUNTS = Account.__table__  # type: ignore[attr-defined]
#: A temporary password is dead after so many wrong tries (ASVS 5.0 6.4.1 asks for short-lived first secrets).
TEMPORARY_TRIES = 10
STAFF_DOOR, PATIENT_DOOR = "staff", "patient"


def normal_username(text: str) -> str:
    """A username as it is kept and compared: NFKC, trimmed, lower case, at most 254 characters.

    What no username holds, such as NUL, which PostgreSQL cannot even look for, becomes U+FFFD.
    """
    plain = unicodedata.normalize("NFKC", text.encode("utf-8", "replace").decode()).strip().lower()
    return "".join(c if c.isprintable() else "\ufffd" for c in plain)[:254]


def _opens(account: Account | None, door: str) -> bool:
    return account is not None and account.is_active and (account.role == Role.PATIENT) == (door == PATIENT_DOOR)


def _note_failure(session: Session, action: Action, account: Account | None, **details: object) -> None:
    record(
        session,
        ANONYMOUS,
        action,
        outcome=Outcome.DENIED if action == Action.SIGN_IN_BLOCKED else Outcome.FAILURE,
        resource_type="account",
        resource_id=account.id if account else None,
        details=details,
    )


def _count(door: str, name: str) -> tuple[Account | None, limits.Verdict]:
    """Count the try before anything slow, and find the account."""
    with db.transaction() as session:
        verdict = limits.count_try(session, name, context.current().address)
        account = session.execute(select(Account).where(_ACCOUNTS.c.username == name)).scalar_one_or_none()
        if verdict.newly_blocked:
            _note_failure(session, Action.SIGN_IN_BLOCKED, account, door=door, seconds=verdict.wait)
    if verdict.wait:
        raise TooManyAttempts(verdict.wait)
    return account, verdict


def _note_wrong(door: str, account: Account | None) -> None:
    with db.transaction() as session:
        if account is not None and account.password_temporary and _opens(account, door):
            session.execute(
                update(_ACCOUNTS)
                .where(_ACCOUNTS.c.id == account.id)
                .values(temporary_failures=_ACCOUNTS.c.temporary_failures + 1)
            )
        _note_failure(session, Action.SIGN_IN_FAILED, account, door=door, known=account is not None)


def _refusal(current: Account, door: str, checked: Account) -> ClinicError | None:
    """Why the right password opens nothing; None where it does."""
    # not the hash: another sign-in may have made it anew from the same password
    if not _opens(current, door) or current.password_changed_at != checked.password_changed_at:
        return InvalidCredentials()
    if current.password_temporary:
        expires = current.password_expires_at
        if current.temporary_failures >= TEMPORARY_TRIES or expires is None or expires <= clock.now():
            return TemporaryPasswordExpired()
    return None


def sign_in(door: str, username: str, password: str, *, replaces: str = "", kind: str = "page") -> SignedIn:
    """Check a username and password and open a session.

    Anybody may try. ``door`` is ``staff`` or ``patient``; each refuses the other's accounts. ``replaces`` is
    the hash of the session token this browser had: it ends. One bcrypt check in every case, outside of
    transactions; the try is counted before it.

    Raises ``TooManyAttempts``, ``InvalidCredentials``, or ``TemporaryPasswordExpired`` (right password only).
    """
    name = normal_username(username)
    account, verdict = _count(door, name)
    welcome = _opens(account, door) and not verdict.stopped
    right = crypto.verify_password(password, account.password_hash if account and welcome else None)
    if account is None or not right:
        _note_wrong(door, account)
        raise InvalidCredentials
    fresh_hash = crypto.hash_password(password) if crypto.needs_rehash(account.password_hash) else None

    with db.transaction() as session:
        # Read again: it may have been turned off or reset while the hash was computed.
        current = session.execute(select(Account).where(_ACCOUNTS.c.id == account.id).with_for_update()).scalar_one()
        refusal = _refusal(current, door, account)
        if refusal is not None:
            _note_failure(session, Action.SIGN_IN_FAILED, current, door=door, reason=refusal.code)
        else:
            if replaces:
                sessions.end_one(session, replaces, "signed in again")
            limits.forgive(session, name, context.current().address)
            current.last_sign_in_at = clock.now()
            current.password_hash = fresh_hash or current.password_hash
            token, row = sessions.open_session(session, current, kind)
            actor = sessions.actor_of(current, row.id)
            record(
                session,
                actor,
                Action.SIGNED_IN,
                resource_type="account",
                resource_id=current.id,
                details={"door": door},
            )
    if refusal is not None:
        raise refusal
    return SignedIn(token, actor, row.expires_at)
