"""Signing in, for staff and for patients: one way, the same answer for every kind of refusal."""

from __future__ import annotations

import contextlib
import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, select, update
from sqlmodel import Session

from clinic_app.core import clock, context, crypto, db
from clinic_app.core.errors import ClinicError, TooManyAttempts, Unavailable
from clinic_app.core.text_rules import normalised, visible
from clinic_app.models.accounts import ACCOUNTS, PENDING_SIGN_INS, Account, PendingSignIn, Role
from clinic_app.services.access import ANONYMOUS
from clinic_app.services.accounts import known_devices, one_time_codes, sessions, sign_in_throttle
from clinic_app.services.accounts.errors import (
    CodeRefused,
    InvalidCredentials,
    SecondFactorRequired,
    SignInOver,
    TemporaryPasswordExpired,
)
from clinic_app.services.accounts.sign_in_throttle import Budget, Verdict
from clinic_app.services.accounts.views import SignedIn
from clinic_app.services.audit.actions import Action, Outcome
from clinic_app.services.audit.authorization import note_failure
from clinic_app.services.audit.recording import record
from clinic_app.services.notifications import outbox, recipients
from clinic_app.services.notifications.kinds import Kind

#: A temporary password is dead after so many wrong tries (ASVS 5.0 6.4.1 asks for short-lived first secrets).
TEMPORARY_TRIES = 10
#: So many wrong tries are worth a message to the owner, once they have shut somebody out.
TELL_FROM = 3
STAFF_DOOR, PATIENT_DOOR = "staff", "patient"
#: The second step waits so long for a code, and takes so many wrong ones.
SECOND_STEP = dt.timedelta(minutes=5)
SECOND_STEP_TRIES = 5
#: So much of a username is looked at.
_READ = 1000
ASK_AN_ADMINISTRATOR = "This temporary password has expired. Please ask an administrator for a new one."


def normal_username(text: str) -> str:
    """A username as it is kept and compared: NFKC, trimmed, lower case, without unseen signs, at most 254 characters.

    What no username holds, such as NUL, which PostgreSQL cannot even look for, becomes U+FFFD.
    """
    plain = normalised(visible(text[:_READ]).encode("utf-8", "replace").decode(), _READ, "NFKC").strip().lower()
    return "".join(c if c.isprintable() else "\ufffd" for c in plain)[:254]


def opens(account: Account | None, door: str) -> bool:
    """Building block: whether the account is one that may sign in at this door."""
    return account is not None and account.is_active and (account.role == Role.PATIENT) == (door == PATIENT_DOOR)


def record_failure(session: Session, action: Action, account: Account | None, **details: object) -> None:
    """Building block: record that somebody did not get in, or is shut out now."""
    record(
        session,
        ANONYMOUS,
        action,
        outcome=Outcome.DENIED if action == Action.SIGN_IN_BLOCKED else Outcome.FAILURE,
        resource_type="account",
        resource_id=account.id if account else None,
        details=details,
        # lists of patients show who is locked
        changes_lists=action == Action.SIGN_IN_BLOCKED and account is not None and account.role == Role.PATIENT,
    )


def _budget(session: Session, name: str, account: Account | None, device: str) -> Budget:
    """What a try at ``name`` counts under: the device's own where the account signed in there before."""
    ident = account.id or 0 if account is not None else 0
    if known_devices.knows(session, device, ident):
        return sign_in_throttle.of_device(device, ident)
    return sign_in_throttle.of_stranger(name, context.current().address, ident or None)


def _note_verdict(
    session: Session, verdict: Verdict, account: Account | None, door: str, device: str, **more: str
) -> None:
    """Record that somebody is shut out now. A device that guesses without end is known no longer."""
    if verdict.newly_blocked:
        record_failure(session, Action.SIGN_IN_BLOCKED, account, door=door, seconds=verdict.wait, **more)
    if verdict.newly_stopped:
        record_failure(session, Action.SIGN_IN_BLOCKED, account, door=door, until="unlocked", **more)
    if (verdict.newly_blocked or verdict.newly_stopped) and account is not None:
        _warn_owner(session, account)
    if verdict.stopped and account is not None and device:
        known_devices.forget(session, account.id or 0, device)


def _warn_owner(session: Session, account: Account) -> None:
    """Tell a patient that somebody is guessing; not again within a day, since strangers can cause it."""
    if account.role != Role.PATIENT or not account.is_active:
        return
    if account.failed_tries < TELL_FROM:  # shut out for what they tried elsewhere
        return
    if not outbox.told_lately(session, account.id or 0, Kind.WRONG_PASSWORDS):
        outbox.tell(session, recipients.recipient(account), Kind.WRONG_PASSWORDS)


def _count(door: str, name: str, device: str, waited: float) -> tuple[Account | None, Verdict, Budget]:
    """Count the try before anything slow, and find the account.

    A stranger's that could not be compared is refused before anything is written: a flood of them would else keep those
    waiting who write in the clinic.
    """
    known = select(Account).where(ACCOUNTS.c.username == name)
    if crypto.strangers_wait():
        with db.reading() as session:
            account = session.execute(known).scalar_one_or_none()
            if _budget(session, name, account, device).stranger:
                raise Unavailable
    with db.transaction() as session:
        account = session.execute(known).scalar_one_or_none()
        budget = _budget(session, name, account, device)
        verdict = sign_in_throttle.count_try(session, budget, waited=waited)
        _note_verdict(session, verdict, account, door, device)
    if verdict.wait:
        raise TooManyAttempts(verdict.wait)
    return account, verdict, budget


@contextlib.contextmanager
def compared(budget: Budget) -> Iterator[None]:
    """Building block: where the block cannot compare, because too many hashes wait, the try is given back."""
    try:
        yield
    except Unavailable:
        with db.transaction() as session:
            sign_in_throttle.give_back(session, budget)
        raise


def note_failed_try(session: Session, account_id: int) -> None:
    """Count a failed try, for its owner to be told at the next sign-in. Inside the caller's transaction."""
    session.execute(
        update(ACCOUNTS)
        .where(ACCOUNTS.c.id == account_id)
        .values(failed_tries=ACCOUNTS.c.failed_tries + 1, last_failed_at=clock.now())
    )


def _note_wrong(door: str, account: Account | None, budget: Budget) -> None:
    def count(session: Session) -> None:
        note_wrong(session)
        sign_in_throttle.settle(session, budget)  # last: whoever signs in locks the account first, too

    def note_wrong(session: Session) -> None:
        if account is None or account.id is None or not opens(account, door):
            return
        note_failed_try(session, account.id)
        if account.password_temporary:
            session.execute(
                update(ACCOUNTS)
                .where(ACCOUNTS.c.id == account.id)
                .values(temporary_failures=ACCOUNTS.c.temporary_failures + 1)
            )

    note_failure(
        ANONYMOUS,
        Action.SIGN_IN_FAILED,
        resource_type="account",
        resource_id=account.id if account else None,
        details={"door": door, "known": account is not None},
        changes_lists=account is not None
        and account.role == Role.PATIENT
        and account.temporary_failures + 1 >= TEMPORARY_TRIES,
        also=count,
    )


def _refusal(current: Account, door: str, checked: Account) -> ClinicError | None:
    """Why the right password does not open a session; None if it does."""
    # not the hash: another sign-in may have rehashed the same password
    if not opens(current, door) or current.password_changed_at != checked.password_changed_at:
        return InvalidCredentials()
    if current.password_temporary:
        expires = current.password_expires_at
        if current.temporary_failures >= TEMPORARY_TRIES or expires is None or expires <= clock.now():
            return TemporaryPasswordExpired(None if door == PATIENT_DOOR else ASK_AN_ADMINISTRATOR)
    return None


@dataclass(frozen=True, slots=True)
class _Given:
    """A code that was given and counted: what is known of it; no ``proof`` where no code is accepted at all."""

    proof: one_time_codes.Proof | None
    budget: Budget


def _prove(account: Account, code: str, door: str, device: str) -> _Given:
    """Count a code before anything slow, and find out what can be found out. Raises ``TooManyAttempts``."""
    with db.transaction() as session:
        budget = _budget(session, account.username, account, device).for_codes()
        verdict = sign_in_throttle.count_try(session, budget)
        _note_verdict(session, verdict, account, door, device, step="code")
        found = one_time_codes.find_recovery_code(session, account.id or 0, code)
    if verdict.wait:
        raise TooManyAttempts(verdict.wait)
    with compared(budget):
        return _Given(None if verdict.stopped else one_time_codes.look_at(found, code), budget)


def _use(session: Session, account: Account, given: _Given) -> bool:
    """Use the code up if it is right, and forget the wrong ones before it. Inside the caller's transaction."""
    right = given.proof is not None and one_time_codes.use(session, account, given.proof)
    if right:
        sign_in_throttle.forgive(session, given.budget)
    return right


def welcome(
    session: Session,
    account: Account,
    door: str,
    kind: str,
    replaces: str,
    device: str,
    proof: one_time_codes.Proof | None = None,
) -> SignedIn:
    """Building block: open the session, inside the caller's transaction with the account's row locked."""
    back_to = sessions.path_of(session, replaces, account.id or 0) if replaces else ""
    if replaces:
        sessions.end_one(session, replaces, "signed in again")
    first = account.role == Role.PATIENT and account.last_sign_in_at is None
    account.last_sign_in_at = clock.now()
    account.told_tries += account.failed_tries
    account.told_failed_at = account.last_failed_at or account.told_failed_at
    account.failed_tries, account.last_failed_at = 0, None
    token, row = sessions.open_session(session, account, kind)
    ours = known_devices.knows(session, _mark(kind, device), account.id or 0)
    if kind != "api":
        device = known_devices.remember_browser(session, device, account.id or 0)
    else:
        known_devices.remember(session, _mark(kind, device), account.id or 0)
    actor = sessions.actor_in(account, row)
    record(
        session,
        actor,
        Action.SIGNED_IN,
        resource_type="account",
        resource_id=account.id,
        details={
            "door": door,
            **({"known_device": True} if ours else {}),
            **({"second_factor": proof.kind} if proof else {}),
            **({"passkey": True} if kind == sessions.PASSKEY else {}),
        },
        # an older session was ended: its lists must notice; so must lists of patients, that this one has signed in
        changes_lists=first or bool(session.info.get("changed")),
    )
    return SignedIn(token, actor, row.expires_at, back_to, device)


def _mark(kind: str, device: str) -> str:
    """What the browser with this token, or else the program that asks, is known by."""
    return known_devices.mark(device) if kind != "api" else known_devices.mark_of(context.current().address)


def _wait_for_code(session: Session, account: Account, replaces: str) -> str:
    """Keep that the password was right, for the second step; returns the token for the cookie."""
    token, now = crypto.new_token(), clock.now()
    session.execute(delete(PENDING_SIGN_INS).where(PENDING_SIGN_INS.c.expires_at <= now))
    session.add(
        PendingSignIn(
            token_hash=crypto.digest(token),
            account_id=account.id or 0,
            replaces=replaces,
            password_changed_at=account.password_changed_at,
            expires_at=now + SECOND_STEP,
        )
    )
    return token


def sign_in(
    door: str,
    username: str,
    password: str,
    *,
    replaces: str = "",
    kind: str = "page",
    code: str = "",
    device: str = "",
    waited: float = math.inf,
) -> SignedIn:
    """Check a username and password, and a code where the account asks for one, and open a session.

    Anybody may try. ``door`` is ``staff`` or ``patient``; each refuses the other's accounts. ``replaces`` is
    the hash of the session token this browser had: it ends. ``device`` is the token it is known by, if it has one.
    ``waited`` are the seconds this try has been held up for already. One bcrypt check of the password in every case,
    outside of transactions; the try is counted before it.

    Raises ``TryAgainShortly`` (ask again then), ``TooManyAttempts``, ``InvalidCredentials``; after the right password
    only ``TemporaryPasswordExpired``, ``SecondFactorRequired`` (no code; on pages with the token of the second step)
    and ``CodeRefused``.
    """
    name = normal_username(username)
    known_by = _mark(kind, device)
    account, verdict, budget = _count(door, name, known_by, waited)
    may_try = opens(account, door) and not verdict.stopped
    if account is not None and account.password_temporary:
        password = crypto.plain_temporary(password)  # as it was made, however it was pasted
    with compared(budget):
        kept = account.password_hash if account and may_try else None
        right = crypto.verify_password(password, kept, stranger=budget.stranger)
    if account is None or not right:
        _note_wrong(door, account, budget)
        raise InvalidCredentials
    fresh_hash = crypto.hash_password(password) if crypto.needs_rehash(account.password_hash) else None
    code = one_time_codes.normal(code)
    given = _prove(account, code, door, known_by) if code and account.totp_enabled_at is not None else None

    with db.transaction() as session:
        # Read again: it may have been turned off or reset while the hash was computed.
        current = session.execute(select(Account).where(ACCOUNTS.c.id == account.id).with_for_update()).scalar_one()
        refusal = _refusal(current, door, account)
        if refusal is not None:
            sign_in_throttle.settle(session, budget)
        else:
            sign_in_throttle.forgive(session, budget)
            current.password_hash = fresh_hash or current.password_hash
            if current.totp_enabled_at is None:
                done = welcome(session, current, door, kind, replaces, device)
            elif not code:
                refusal = SecondFactorRequired(_wait_for_code(session, current, replaces) if kind == "page" else "")
            elif given is not None and _use(session, current, given):
                done = welcome(session, current, door, kind, replaces, device, given.proof)
            else:
                refusal = CodeRefused()
                note_failed_try(session, current.id or 0)
        if refusal is not None and not isinstance(refusal, SecondFactorRequired):
            record_failure(session, Action.SIGN_IN_FAILED, current, door=door, reason=refusal.code)
    if refusal is not None:
        raise refusal
    return done


def _take_a_turn(token_hash: str) -> tuple[Row[Any], Account]:
    """Use up one of the tries of a second step. Raises ``SignInOver``."""
    with db.transaction() as session:
        step = session.execute(
            update(PENDING_SIGN_INS)
            .where(
                PENDING_SIGN_INS.c.token_hash == token_hash,
                PENDING_SIGN_INS.c.tries < SECOND_STEP_TRIES,
                PENDING_SIGN_INS.c.expires_at > clock.now(),
            )
            .values(tries=PENDING_SIGN_INS.c.tries + 1)
            .returning(
                PENDING_SIGN_INS.c.account_id,
                PENDING_SIGN_INS.c.replaces,
                PENDING_SIGN_INS.c.password_changed_at,
                PENDING_SIGN_INS.c.tries,
            )
        ).one_or_none()
        account = session.get(Account, step.account_id) if step is not None else None
    if step is None or account is None:
        raise SignInOver
    return step, account


def finish_sign_in(token_hash: str, code: str, *, device: str = "") -> SignedIn:
    """The second step: a code of the authenticator app, or a recovery code, opens the session.

    For whoever holds the token of a first step (``SecondFactorRequired``); ``token_hash`` is its hash, ``device`` the
    token the browser is known by. It lasts
    five minutes, takes five wrong codes and opens one session; a code opens one too. Counted before anything slow.
    Raises ``SignInOver``, ``TooManyAttempts``, ``CodeRefused``.
    """
    code = one_time_codes.normal(code)
    step, account = _take_a_turn(token_hash)
    door = PATIENT_DOOR if account.role == Role.PATIENT else STAFF_DOOR
    given = _prove(account, code, door, _mark("page", device))
    with db.transaction() as session:
        current = session.execute(select(Account).where(ACCOUNTS.c.id == account.id).with_for_update()).scalar_one()
        outdated = current.password_changed_at != step.password_changed_at or current.totp_enabled_at is None
        if outdated or not current.is_active:
            refusal: ClinicError | None = SignInOver()
        elif not _use(session, current, given):
            refusal = CodeRefused() if step.tries < SECOND_STEP_TRIES else SignInOver()
            note_failed_try(session, current.id or 0)
        else:
            refusal = None
            taken = (
                delete(PENDING_SIGN_INS)
                .where(PENDING_SIGN_INS.c.token_hash == token_hash)
                .returning(PENDING_SIGN_INS.c.token_hash)
            )
            if session.execute(taken).one_or_none() is None:
                raise SignInOver  # another request was quicker; the code stays unused
            done = welcome(session, current, door, "page", step.replaces, device, given.proof)
        if refusal is not None:
            record_failure(session, Action.SIGN_IN_FAILED, current, door=door, reason=refusal.code)
    if refusal is not None:
        raise refusal
    return done


def second_step_open(token_hash: str) -> bool:
    """Whether a second step waits for its code behind this token's hash. For the page that asks for it."""
    with db.reading() as session:
        found = session.execute(
            select(PENDING_SIGN_INS.c.tries).where(
                PENDING_SIGN_INS.c.token_hash == token_hash,
                PENDING_SIGN_INS.c.tries < SECOND_STEP_TRIES,
                PENDING_SIGN_INS.c.expires_at > clock.now(),
            )
        )
        return found.one_or_none() is not None
