"""One's own second factor: setting it up, recovery codes, turning it off. For staff."""

from __future__ import annotations

from pyotp.totp import TOTP
from sqlalchemy import func, select
from sqlmodel import Session

from clinic_app.core import clock, db
from clinic_app.core.errors import TooManyAttempts
from clinic_app.core.settings import get_settings
from clinic_app.models.accounts import ACCOUNTS, RECOVERY_CODES, Account
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts import one_time_codes, reauthentication, sessions
from clinic_app.services.accounts.errors import CodeRefused, TwoFactorIsOff, TwoFactorIsOn, TwoFactorIsRequired
from clinic_app.services.accounts.views import Setup, TwoFactor
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand, demand_fresh
from clinic_app.services.audit.recording import record


def _demand(actor: Actor) -> None:
    demand(actor, Permission.OWN_SECOND_FACTOR)
    demand_fresh(actor)


def _own(session: Session, actor: Actor, *, on: bool, lock: bool = True) -> Account:
    """One's own account, if its second factor is ``on`` (or off). Raises ``TwoFactorIsOn``, ``TwoFactorIsOff``."""
    statement = select(Account).where(ACCOUNTS.c.id == actor.account_id)
    account = session.execute(statement.with_for_update() if lock else statement).scalar_one()
    if (account.totp_enabled_at is not None) != on:
        raise TwoFactorIsOff if on else TwoFactorIsOn
    return account


def _note(session: Session, actor: Actor, action: Action, *, changes_lists: bool = False) -> None:
    record(
        session,
        actor,
        action,
        resource_type="account",
        resource_id=actor.account_id,
        changes_lists=changes_lists,
    )


def own_two_factor(actor: Actor) -> TwoFactor:
    """How one's own second factor stands. For staff. Raises ``PermissionDenied``."""
    demand(actor, Permission.OWN_SECOND_FACTOR)
    with db.reading() as session:
        enabled_at = session.execute(
            select(ACCOUNTS.c.totp_enabled_at).where(ACCOUNTS.c.id == actor.account_id)
        ).scalar_one_or_none()
        left = session.execute(
            select(func.count()).where(
                RECOVERY_CODES.c.account_id == actor.account_id, RECOVERY_CODES.c.used_at.is_(None)
            )
        ).scalar_one()
    return TwoFactor(enabled_at, left, sessions.second_factor_required(actor.role))


def _setup(actor: Actor, secret: str) -> Setup:
    address = TOTP(secret, digits=one_time_codes.DIGITS, interval=one_time_codes.STEP).provisioning_uri(
        name=actor.username, issuer_name=get_settings().name
    )
    return Setup(" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)), address)


def begin_two_factor(actor: Actor) -> None:
    """Make a secret for an authenticator app. It is not asked for until a first code has been given.

    For staff who confirmed recently. Beginning again makes another secret. Raises ``TwoFactorIsOn``,
    ``ReauthenticationRequired``, ``PermissionDenied``.
    """
    _demand(actor)
    with transaction(actor) as session:
        account = _own(session, actor, on=False)
        account.totp_secret = one_time_codes.encrypt_secret(account.id or 0, one_time_codes.new_secret())
        account.totp_counter = None
        account.updated_at = clock.now()


def show_two_factor(actor: Actor) -> Setup | None:
    """The secret being set up; None where nothing was begun. Raises as ``begin_two_factor``."""
    _demand(actor)
    with db.reading() as session:
        secret = one_time_codes.decrypt_secret(_own(session, actor, on=False, lock=False))
    return _setup(actor, secret) if secret is not None else None


def _count(actor: Actor) -> None:
    with transaction(actor) as session:
        verdict = reauthentication.count_code(session, actor)
    if verdict.wait:
        raise TooManyAttempts(verdict.wait)


def confirm_two_factor(actor: Actor, code: str) -> tuple[str, ...]:
    """Turn the second factor on, by a first code of the app; returns ten recovery codes, shown this once.

    For staff who confirmed recently and have begun. All other sessions end. Raises ``CodeRefused``,
    ``TooManyAttempts``, ``TwoFactorIsOn``, ``TwoFactorIsOff`` (not begun), ``ReauthenticationRequired``.
    """
    _demand(actor)
    _count(actor)
    shown, kept = one_time_codes.new_recovery_codes()
    with transaction(actor) as session:
        account = _own(session, actor, on=False)
        if account.totp_secret is None:
            raise TwoFactorIsOff
        if not one_time_codes.use(session, account, one_time_codes.Proof(one_time_codes.normal(code))):
            raise CodeRefused
        account.totp_enabled_at = account.updated_at = clock.now()
        one_time_codes.keep_recovery_codes(session, account.id or 0, kept)
        reauthentication.forgive(session, actor)
        sessions.end_sessions(session, account.id or 0, "second factor turned on", keep=actor.session_id)
        session.flush()
        _note(session, actor, Action.TWO_FACTOR_TURNED_ON, changes_lists=True)
    return shown


def renew_recovery_codes(actor: Actor) -> tuple[str, ...]:
    """Ten new recovery codes, shown this once; the old ones open nothing any more.

    For staff who confirmed recently. Raises ``TwoFactorIsOff``, ``ReauthenticationRequired``, ``PermissionDenied``.
    """
    _demand(actor)
    with db.reading() as session:
        _own(session, actor, on=True, lock=False)
    shown, kept = one_time_codes.new_recovery_codes()
    with transaction(actor) as session:
        account = _own(session, actor, on=True)
        one_time_codes.keep_recovery_codes(session, account.id or 0, kept)
        _note(session, actor, Action.RECOVERY_CODES_MADE)
    return shown


def clear(session: Session, account: Account) -> None:
    """Building block: remove the second factor of an account, with its codes."""
    account.totp_secret = account.totp_enabled_at = account.totp_counter = None
    account.updated_at = clock.now()
    one_time_codes.keep_recovery_codes(session, account.id or 0, [])


def turn_off_two_factor(actor: Actor) -> None:
    """Turn one's own second factor off. All other sessions end.

    For staff who confirmed recently, where the clinic does not require it. Raises ``TwoFactorIsRequired``,
    ``TwoFactorIsOff``, ``ReauthenticationRequired``, ``PermissionDenied``.
    """
    _demand(actor)
    if sessions.second_factor_required(actor.role):
        raise TwoFactorIsRequired
    with transaction(actor) as session:
        account = _own(session, actor, on=True)
        clear(session, account)
        sessions.end_sessions(session, account.id or 0, "second factor turned off", keep=actor.session_id)
        session.flush()
        _note(session, actor, Action.TWO_FACTOR_TURNED_OFF, changes_lists=True)
