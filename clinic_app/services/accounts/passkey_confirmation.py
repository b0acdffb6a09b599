"""*Confirm it is you* with a passkey, in place of the password and the code: it counts as both factors."""

from __future__ import annotations

from clinic_app.core import db
from clinic_app.core.errors import AuthenticationRequired, TooManyAttempts
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts import passkey_ceremonies, reauthentication, sessions
from clinic_app.services.accounts.errors import PasskeyNotConfirmed, PasskeyNotFound
from clinic_app.services.accounts.passkey_ceremonies import CONFIRMING
from clinic_app.services.accounts.passkey_sign_in import find, not_proved
from clinic_app.services.accounts.views import SignedIn
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.recording import record


def begin_confirming_with_passkey(actor: Actor) -> str:
    """What a browser is to ask its authenticators, as JSON: for a passkey of ``actor``; counts once, five minutes.

    For whoever is signed in. Asking again takes the place of what was asked before. Raises ``PasskeyNotFound`` where
    there is none, ``PasskeysUnavailable``, ``PermissionDenied``, ``AuthenticationRequired``.
    """
    demand(actor, Permission.OWN_PASSKEYS)
    passkey_ceremonies.site()
    with transaction(actor) as session:
        kept = passkey_ceremonies.kept_ids(session, actor.account_id or 0)
        if not kept:
            raise PasskeyNotFound
        challenge = passkey_ceremonies.ask(session, actor.account_id, CONFIRMING)
    return passkey_ceremonies.options_to_sign_in(challenge, kept)


def _count(actor: Actor) -> bool:
    """Count a try, before anything slow; whether it is one too many, and refused like a wrong one."""
    with db.transaction() as session:
        verdict = reauthentication.count_password(session, actor)
    if verdict.wait:
        raise TooManyAttempts(verdict.wait)
    return verdict.stopped


def confirm_with_passkey(actor: Actor, answer: str, *, session_token_hash: str) -> SignedIn:
    """Confirm that it is still ``actor``, by what an authenticator answered, as JSON: as ``reauthenticate`` does.

    For whoever was asked by ``begin_confirming_with_passkey``, from the session behind ``session_token_hash``. The
    challenge is used up whatever comes of it. Wrong answers count for this session alone, with wrong passwords. Raises
    ``PasskeyNotConfirmed``, ``TooManyAttempts``, ``PasskeysUnavailable``, ``AuthenticationRequired``.
    """
    demand(actor, Permission.OWN_PASSKEYS)
    passkey_ceremonies.site()
    given = passkey_ceremonies.read(answer, new=False)
    stopped = _count(actor)
    renewed, right = None, False
    with db.transaction() as session:
        mine = actor.account_id or 0
        if not stopped and given and passkey_ceremonies.take(session, given.challenge, mine, CONFIRMING):
            account, passkey = find(session, given.credential_id)
            right = (
                account is not None
                and account.id == mine
                and account.is_active
                and not account.password_temporary
                and not not_proved(account, passkey, given, named=False)
            )
            renewed = sessions.renew(session, session_token_hash, mine) if right else None
            if account is not None and renewed is not None:
                token, row = renewed
                reauthentication.forgive(session, actor)
                fresh = sessions.actor_in(account, row)
                record(
                    session,
                    fresh,
                    Action.CONFIRMED,
                    resource_type="account",
                    resource_id=mine,
                    details={"passkey": True},
                )
    if not right:
        raise reauthentication.refused(PasskeyNotConfirmed(), actor)
    if renewed is None:
        raise AuthenticationRequired
    return SignedIn(token, fresh, row.expires_at)
