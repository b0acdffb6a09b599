"""Signing in with a passkey, without a username: the authenticator says whose it is, and proves it.

It counts as both factors (SP 800-63B-4, 3.1.7): something one has, unlocked by something one is or knows.
"""

from __future__ import annotations

import hmac
import math

import webauthn
from sqlalchemy import select
from sqlmodel import Session

from clinic_app.core import clock, context, db
from clinic_app.core.errors import TooManyAttempts
from clinic_app.models.accounts import ACCOUNTS, PASSKEYS, Account, Passkey
from clinic_app.services.accounts import known_devices, passkey_ceremonies, sessions, sign_in_throttle
from clinic_app.services.accounts.errors import PasskeyRefused
from clinic_app.services.accounts.passkey_ceremonies import Read
from clinic_app.services.accounts.sign_in_throttle import Budget, Verdict
from clinic_app.services.accounts.signing_in import opens, record_failure, welcome
from clinic_app.services.accounts.views import SignedIn
from clinic_app.services.audit.actions import Action


def _budget(session: Session, device: str) -> Budget:
    """What a try counts under: the browser's own where anybody has signed in there before, whoever it will be."""
    if known_devices.is_ours(session, device):
        return sign_in_throttle.of_device(device, 0)
    return sign_in_throttle.of_nobody(context.current().address)


def _count(session: Session, budget: Budget, waited: float) -> Verdict:
    verdict = sign_in_throttle.count_try(session, budget, waited=waited)
    if verdict.newly_blocked:
        record_failure(session, Action.SIGN_IN_BLOCKED, None, passkey=True, seconds=verdict.wait)
    return verdict


def begin_passkey_sign_in(*, device: str = "", waited: float = math.inf) -> str:
    """What a browser is to ask its authenticators, as JSON; the challenge in it counts once, within five minutes.

    Anybody may ask. Asking counts as a try until the answer proves a passkey, so strangers can neither fill the table
    nor ask without end. ``device`` is the token the browser is known by, ``waited`` as in ``sign_in``. Raises
    ``TryAgainShortly``, ``TooManyAttempts``, ``PasskeysUnavailable``.
    """
    passkey_ceremonies.site()
    challenge = b""
    with db.transaction() as session:
        verdict = _count(session, _budget(session, known_devices.mark(device)), waited)
        if not verdict.wait:
            challenge = passkey_ceremonies.ask(session, None)
    if verdict.wait:
        raise TooManyAttempts(verdict.wait)
    return passkey_ceremonies.options_to_sign_in(challenge)


def find(session: Session, credential_id: str) -> tuple[Account | None, Passkey | None]:
    """Building block: the passkey and its account, locked.

    Looked at again behind the lock, for it may have been removed meanwhile.
    """
    owner = select(PASSKEYS.c.account_id).where(PASSKEYS.c.credential_id == credential_id)
    account = session.execute(
        select(Account).where(ACCOUNTS.c.id == owner.scalar_subquery()).with_for_update()
    ).scalar_one_or_none()
    passkey = session.execute(select(Passkey).where(PASSKEYS.c.credential_id == credential_id)).scalar_one_or_none()
    return account, passkey


def not_proved(account: Account | None, passkey: Passkey | None, given: Read, *, named: bool) -> str:
    """Building block: why an answer does not prove the passkey, for the trail; empty where it does.

    Then it has been used. ``named``: the authenticator has to say whose it is; one that was asked for certain passkeys
    need not.
    """
    if account is None or passkey is None:
        return "unknown"
    count = passkey_ceremonies.check(given, passkey)
    if count is None:
        return "not_proved"
    said, own = given.answer.response.user_handle, webauthn.base64url_to_bytes(account.passkey_handle or "")
    if (named and said is None) or not hmac.compare_digest(own if said is None else said, own):
        return "not_the_owner"
    if (count or passkey.sign_count) and count <= passkey.sign_count:
        return "sign_count"  # a copy of the key has signed meanwhile
    passkey.sign_count, passkey.used_at = count, clock.now()
    return ""


def finish_passkey_sign_in(door: str, answer: str, *, replaces: str = "", device: str = "") -> SignedIn:
    """Check what an authenticator answered, as JSON, and open a session that needs no second step.

    For whoever was asked by ``begin_passkey_sign_in``. ``door``, ``replaces`` and ``device`` as in ``sign_in``. The
    challenge is used up whatever comes of it, in the same transaction. An answer to nothing that was asked counts as a
    try of its own. Raises ``PasskeyRefused`` in the same words for a passkey that is unknown or removed, of the other
    door, of an account that is turned off or has a temporary password, not unlocked by its owner, or copied;
    ``TooManyAttempts``, ``PasskeysUnavailable``.
    """
    passkey_ceremonies.site()
    given = passkey_ceremonies.read(answer, new=False)
    account, verdict = None, Verdict()
    with db.transaction() as session:
        budget = _budget(session, known_devices.mark(device))
        if given is None or not passkey_ceremonies.take(session, given.challenge, None):
            reason = "challenge"
            verdict = _count(session, budget, math.inf)
        else:
            account, passkey = find(session, given.credential_id)
            shut = account is not None and (not opens(account, door) or account.password_temporary)
            reason = "door" if shut else not_proved(account, passkey, given, named=True)
        if account is not None and not reason:
            sign_in_throttle.forgive(session, budget)
            done = welcome(session, account, door, sessions.PASSKEY, replaces, device)
        elif not verdict.wait:
            sign_in_throttle.settle(session, budget)
            record_failure(session, Action.SIGN_IN_FAILED, account, door=door, passkey=True, reason=reason)
    if verdict.wait:
        raise TooManyAttempts(verdict.wait)
    if reason:
        raise PasskeyRefused
    return done
