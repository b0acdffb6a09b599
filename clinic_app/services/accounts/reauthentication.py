"""*Confirm it is you*: people who are signed in prove again who they are, before something sensitive."""

from __future__ import annotations

from sqlalchemy import select
from sqlmodel import Session

from clinic_app.core import crypto, db
from clinic_app.core.errors import AuthenticationRequired, ClinicError, TooManyAttempts
from clinic_app.models.accounts import ACCOUNTS, Account
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts import one_time_codes, sessions, sign_in_throttle
from clinic_app.services.accounts.errors import CodeRefused, WrongPassword
from clinic_app.services.accounts.sign_in_throttle import Budget
from clinic_app.services.accounts.signing_in import compared, note_failed_try
from clinic_app.services.accounts.views import SignedIn
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand, demand_fresh, note_failure
from clinic_app.services.audit.recording import record


def _budget(actor: Actor) -> Budget:
    """Nobody else can use it up: who guesses from outside does not keep the owner from confirming."""
    return sign_in_throttle.of_session(actor.session_id, actor.account_id)


def refused(error: ClinicError, actor: Actor) -> ClinicError:
    """Building block: ``error``, recorded as a confirmation that failed; its owner is told from the third on."""
    note_failure(
        actor,
        Action.CONFIRM_FAILED,
        resource_type="account",
        resource_id=actor.account_id,
        details={"reason": error.code},
        also=lambda session: note_failed_try(session, actor.account_id or 0),
    )
    return error


def check_own_password(actor: Actor, password: str) -> Account:
    """Building block: the account behind ``actor``, if ``password`` is its own; counted in its session.

    One bcrypt check, outside of transactions. Raises ``WrongPassword``, ``TooManyAttempts``,
    ``AuthenticationRequired``.
    """
    budget = _budget(actor)
    with db.transaction() as session:
        account = session.get(Account, actor.account_id or 0)
        if account is None:
            raise AuthenticationRequired
        verdict = count_password(session, actor)
    if verdict.wait:
        raise TooManyAttempts(verdict.wait)
    with compared(budget):
        right = crypto.verify_password(password, None if verdict.stopped else account.password_hash)
    if not right:
        raise refused(WrongPassword(), actor)
    return account


def forgive(session: Session, actor: Actor) -> None:
    """Building block: forget the wrong attempts of this session after a right one."""
    sign_in_throttle.forgive(session, _budget(actor))
    sign_in_throttle.forgive(session, _budget(actor).for_codes())


def count_password(session: Session, actor: Actor) -> sign_in_throttle.Verdict:
    """Building block: count one try of somebody who is signed in to prove who they are, before anything slow."""
    return sign_in_throttle.count_try(session, _budget(actor))


def count_code(session: Session, actor: Actor) -> sign_in_throttle.Verdict:
    """Building block: count one code of somebody who is signed in, before anything slow."""
    return sign_in_throttle.count_try(session, _budget(actor).for_codes())


def _look_at_code(actor: Actor, account: Account, code: str) -> one_time_codes.Proof:
    """Check a code without using it up yet; the attempt is counted first. Raises as ``reauthenticate``."""
    code, budget = one_time_codes.normal(code), _budget(actor).for_codes()
    with db.transaction() as session:
        verdict = count_code(session, actor)
        found = one_time_codes.find_recovery_code(session, account.id or 0, code)
    if verdict.wait:
        raise TooManyAttempts(verdict.wait)
    if verdict.stopped:
        raise refused(CodeRefused(), actor)
    with compared(budget):
        return one_time_codes.look_at(found, code)


def reauthenticate(actor: Actor, password: str, code: str = "", *, session_token_hash: str) -> SignedIn:
    """Confirm that it is still ``actor``: for five minutes sensitive actions are allowed, under a new session token.

    For whoever is signed in, from the session behind ``session_token_hash``. Wrong tries count for
    this session alone. Raises ``WrongPassword``, ``CodeRefused``, ``TooManyAttempts``, ``AuthenticationRequired``.
    """
    demand(actor, Permission.OWN_SESSION)
    account = check_own_password(actor, password)
    proof = _look_at_code(actor, account, code) if account.totp_enabled_at is not None else None
    with db.transaction() as session:
        current = session.execute(select(Account).where(ACCOUNTS.c.id == account.id).with_for_update()).scalar_one()
        unchanged = current.is_active and current.password_changed_at == account.password_changed_at
        right = proof is None or one_time_codes.use(session, current, proof)
        renewed = sessions.renew(session, session_token_hash, current.id or 0) if unchanged and right else None
        if renewed is not None:
            token, row = renewed
            forgive(session, actor)
            fresh = sessions.actor_in(current, row)
            details = {"second_factor": proof.kind} if proof else {}
            record(session, fresh, Action.CONFIRMED, resource_type="account", resource_id=current.id, details=details)
    if not right:
        raise refused(CodeRefused(), actor)
    if renewed is None:
        raise AuthenticationRequired
    return SignedIn(token, fresh, row.expires_at)


def check_fresh(actor: Actor) -> None:
    """Whether ``actor`` may do something sensitive right now, before a form for it is filled in.

    For whoever is signed in. Raises ``ReauthenticationRequired``, ``AuthenticationRequired``.
    """
    demand(actor, Permission.OWN_SESSION)
    demand_fresh(actor)
