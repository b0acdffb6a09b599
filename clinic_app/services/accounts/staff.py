"""Staff accounts: creating them, their role, turning off and on, new temporary passwords. For administrators."""

from __future__ import annotations

import dataclasses
import datetime as dt

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from clinic_app.core import clock, crypto, db, text_rules
from clinic_app.core.errors import InvalidInput, PermissionDenied
from clinic_app.models.accounts import ACCOUNTS, Account, Role
from clinic_app.services import access
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts import known_devices, passkey_ceremonies, sessions, sign_in_throttle, two_factor
from clinic_app.services.accounts.errors import (
    AccountChanged,
    LastAdministrator,
    OwnStaffAccount,
    StaffNotFound,
    UsernameTaken,
)
from clinic_app.services.accounts.passwords import assess_password
from clinic_app.services.accounts.portal_accounts import prepare_credentials
from clinic_app.services.accounts.shown import Lost
from clinic_app.services.accounts.signing_in import normal_username
from clinic_app.services.accounts.views import (
    STAFF_LOGIN_URL,
    Credentials,
    StaffCredentials,
    StaffMember,
    staff_stamp,
)
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand, demand_fresh
from clinic_app.services.audit.recording import record

STAFF_ROLES = (Role.ADMIN, Role.RECEPTIONIST, Role.CLINICIAN)


def _demand(actor: Actor) -> None:
    demand(actor, Permission.STAFF_MANAGE)
    demand_fresh(actor)


# --- creating -----------------------------------------------------------------------------------


def _read(username: str, full_name: str, role: str) -> tuple[str, str, dict[str, str]]:
    """Username and name as they are kept, and what is wrong with the three, by field."""
    name, shown = normal_username(username), ""
    problems: dict[str, str] = {}
    if not 3 <= len(name) <= 60 or not all(c.isascii() and (c.isalnum() or c in "._-@") for c in name):
        problems["username"] = "Username must be 3 to 60 letters, digits, dots, dashes or underscores."
    try:
        shown = text_rules.name(full_name, "Name", 200)
    except ValueError as error:
        problems["name"] = str(error)
    if role not in STAFF_ROLES:
        problems["role"] = "Role must be ADMIN, RECEPTIONIST or CLINICIAN."
    return name, shown, problems


def create_staff(actor: Actor, username: str, full_name: str, role: str, password: str) -> int:
    """Create a staff account with a password of its own, and return its id.

    For the command line (the first administrator) and for administrators who confirmed recently. ``role``
    is one of ``ADMIN``, ``RECEPTIONIST``, ``CLINICIAN``. Raises ``InvalidInput`` (fields ``username``, ``name``,
    ``role``, ``password``), ``UsernameTaken``, ``ReauthenticationRequired``, ``PermissionDenied``.
    """
    _demand(actor)
    name, shown, problems = _read(username, full_name, role)
    if not problems:
        strength = assess_password(Actor("system", name=shown, username=name), password)
        if not strength.good_enough:
            problems["password"] = strength.why
    if problems:
        raise InvalidInput(problems)
    return _insert(actor, name, shown, role, crypto.hash_password(password), None)


def create_staff_with_temporary_password(actor: Actor, username: str, full_name: str, role: str) -> StaffCredentials:
    """Create a staff account and return its credentials, handed over once; its first sign-in asks for a password.

    For administrators who confirmed recently, and the command line. Raises ``InvalidInput`` (fields ``username``,
    ``name``, ``role``), ``UsernameTaken``, ``ReauthenticationRequired``, ``PermissionDenied``.
    """
    _demand(actor)
    name, shown, problems = _read(username, full_name, role)
    if problems:
        raise InvalidInput(problems)
    credentials, hashed = _prepare(name)
    return StaffCredentials(_insert(actor, name, shown, role, hashed, credentials), shown, credentials)


def _prepare(username: str) -> tuple[Credentials, str]:
    credentials, hashed = prepare_credentials(username)
    return dataclasses.replace(credentials, login_url=STAFF_LOGIN_URL), hashed


def _insert(actor: Actor, name: str, shown: str, role: str, hashed: str, temporary: Credentials | None) -> int:
    try:
        with transaction(actor) as session:
            expires = temporary.expires_at if temporary is not None else None
            return add_staff_account(session, actor, name, shown, role, hashed, expires).id or 0
    except IntegrityError as error:
        if db.violated(error) == "uq_accounts_username":
            raise UsernameTaken from None
        raise


def add_staff_account(
    session: Session,
    actor: Actor,
    username: str,
    full_name: str,
    role: str,
    password_hash: str,
    temporary_until: dt.datetime | None = None,
) -> Account:
    """Building block: add a staff account and record it, inside the caller's transaction."""
    now = clock.now()
    account = Account(
        username=username,
        full_name=full_name,
        role=role,
        password_hash=password_hash,
        password_temporary=temporary_until is not None,
        password_expires_at=temporary_until,
        password_changed_at=now,
        created_at=now,
        updated_at=now,
        created_by_id=actor.account_id,
    )
    session.add(account)
    session.flush()
    record(
        session,
        actor,
        Action.STAFF_CREATED,
        resource_type="account",
        resource_id=account.id,
        details={"role": str(role)},
        issues=temporary_until is not None,
    )
    return account


# --- seeing -------------------------------------------------------------------------------------


def has_staff() -> bool:
    """Whether anybody can sign in at the desk. For the start-up check and the command line."""
    with db.reading() as session:
        found = session.execute(
            select(func.count()).select_from(Account).where(ACCOUNTS.c.role != Role.PATIENT, ACCOUNTS.c.is_active)
        )
        return found.scalar_one() > 0


def list_staff(actor: Actor) -> tuple[StaffMember, ...]:
    """All staff accounts, active ones first, by name. For administrators. Raises ``PermissionDenied``."""
    demand(actor, Permission.STAFF_MANAGE)
    with db.reading() as session:
        found = (
            session.execute(
                select(Account)
                .where(ACCOUNTS.c.role != Role.PATIENT)
                .order_by(ACCOUNTS.c.is_active.desc(), func.lower(ACCOUNTS.c.full_name), ACCOUNTS.c.id)
            )
            .scalars()
            .all()
        )
        locks = sign_in_throttle.locked(session, [one.username for one in found if one.is_active])
        return tuple(
            StaffMember(
                one.id or 0,
                one.username,
                one.full_name,
                one.role,
                one.is_active,
                one.password_expires_at if one.password_temporary else None,
                one.totp_enabled_at is not None,
                one.last_sign_in_at,
                one.username in locks,
                locks.get(one.username),
                one.password_changed_at,
            )
            for one in found
        )


def staff_id(actor: Actor, username: str) -> int:
    """The id of the staff account with this username. For administrators and the command line.

    Raises ``StaffNotFound``, ``PermissionDenied``.
    """
    demand(actor, Permission.STAFF_MANAGE)
    with db.reading() as session:
        found = session.execute(
            select(ACCOUNTS.c.id).where(
                ACCOUNTS.c.username == normal_username(username), ACCOUNTS.c.role != Role.PATIENT
            )
        ).scalar_one_or_none()
    if found is None:
        raise StaffNotFound
    return found


# --- changing -----------------------------------------------------------------------------------


def _lock(
    session: Session, actor: Actor, account_id: int, drawn: str | None, *, administrators: bool = False
) -> Account:
    """The staff account, locked, for an actor who still may at this moment and is somebody else.

    ``drawn`` is the stamp of the account that was looked at before; None where nobody looked at one.
    ``administrators`` locks all active ones first, always in the same order: of two who take each other's role away,
    the second is no longer an administrator when their turn comes.
    """
    admins: list[int] = []
    if administrators:
        admins = list(
            session.execute(
                select(ACCOUNTS.c.id)
                .where(ACCOUNTS.c.role == Role.ADMIN, ACCOUNTS.c.is_active)
                .order_by(ACCOUNTS.c.id)
                .with_for_update()
            ).scalars()
        )
        if actor.kind == "account" and actor.account_id not in admins:
            raise PermissionDenied(access.REFUSALS[Permission.STAFF_MANAGE])
    account = session.execute(
        select(Account)
        .where(ACCOUNTS.c.id == account_id, ACCOUNTS.c.role != Role.PATIENT)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if account is None:
        raise StaffNotFound
    if account.id == actor.account_id:
        raise OwnStaffAccount
    _refuse_if_changed(account, drawn)
    if administrators and admins == [account.id]:
        raise LastAdministrator
    return account


def _refuse_if_changed(account: Account, drawn: str | None) -> None:
    now = (account.role, account.is_active, account.totp_enabled_at is not None, account.password_changed_at)
    if drawn is not None and drawn != staff_stamp(*now):
        raise AccountChanged


def _note(
    session: Session, actor: Actor, action: Action, account: Account, *, issues: bool = False, **details: str
) -> None:
    session.flush()
    record(
        session,
        actor,
        action,
        resource_type="account",
        resource_id=account.id,
        details=details,
        issues=issues,
        changes_lists=True,  # sessions that have ended leave, and other administrators' lists follow
    )


def change_role(actor: Actor, account_id: int, role: str, drawn: str | None = None) -> None:
    """Give a staff account another role; its sessions end. Giving it the role it has changes nothing.

    For administrators who confirmed recently, about others, and the command line. With ``drawn``, the stamp of the
    account that was looked at, it is refused when the account has changed since. Raises ``InvalidInput`` (field
    ``role``), ``AccountChanged``, ``LastAdministrator``, ``OwnStaffAccount``, ``StaffNotFound``,
    ``ReauthenticationRequired``, ``PermissionDenied``.
    """
    _demand(actor)
    if role not in STAFF_ROLES:
        raise InvalidInput({"role": "Role must be ADMIN, RECEPTIONIST or CLINICIAN."})
    with transaction(actor) as session:
        account = _lock(session, actor, account_id, drawn, administrators=role != Role.ADMIN)
        if account.role != role:
            before, account.role, account.updated_at = account.role, role, clock.now()
            sessions.end_sessions(session, account_id, "role changed")
            _note(session, actor, Action.STAFF_ROLE_CHANGED, account, before=before, role=role)


def disable_staff(actor: Actor, account_id: int, drawn: str | None = None) -> None:
    """Turn a staff account off: its sessions end, its passkeys are gone, it cannot sign in, its history stays.

    For administrators who confirmed recently, about others, and the command line. Doing it twice changes nothing.
    Raises as ``change_role``.
    """
    _demand(actor)
    with transaction(actor) as session:
        account = _lock(session, actor, account_id, drawn, administrators=True)
        if account.is_active:
            account.is_active = False
            account.turned_off_at = account.updated_at = clock.now()
            account.turned_off_by_id = actor.account_id
            sessions.end_sessions(session, account_id, "turned off")
            known_devices.forget(session, account_id)
            passkey_ceremonies.forget(session, account_id)
            _note(session, actor, Action.STAFF_DISABLED, account)


def enable_staff(actor: Actor, account_id: int, drawn: str | None = None) -> None:
    """Turn a staff account on again, with the password it had. Who may, and what it raises: as ``disable_staff``."""
    _demand(actor)
    with transaction(actor) as session:
        account = _lock(session, actor, account_id, drawn)
        if not account.is_active:
            account.is_active, account.updated_at = True, clock.now()
            account.turned_off_at = account.turned_off_by_id = None
            _note(session, actor, Action.STAFF_ENABLED, account)


def reset_staff_password(actor: Actor, account_id: int, drawn: str | None = None) -> StaffCredentials:
    """Replace the password by a temporary one, handed over once; sessions end, passkeys go, a lock is lifted.

    The second factor stays: a stolen temporary password alone opens nothing. For administrators who confirmed
    lately, about others, and the command line. Raises as ``change_role``.
    """
    _demand(actor)
    with db.reading() as session:
        found = session.get(Account, account_id)
    if found is None or found.role == Role.PATIENT:
        raise StaffNotFound
    credentials, hashed = _prepare(found.username)
    with transaction(actor) as session:
        account = _lock(session, actor, account_id, drawn)
        _renew(session, account, credentials, hashed)
        _note(session, actor, Action.STAFF_PASSWORD_RESET, account, issues=True)
    return StaffCredentials(account_id, account.full_name, credentials)


def _renew(session: Session, account: Account, credentials: Credentials, hashed: str) -> None:
    account.password_hash, account.password_temporary = hashed, True
    account.password_expires_at, account.temporary_failures = credentials.expires_at, 0
    account.password_changed_at = account.updated_at = clock.now()
    sessions.end_sessions(session, account.id or 0, "password reset")
    passkey_ceremonies.forget(session, account.id or 0)
    sign_in_throttle.unlock(session, account.username, account.id)


def reissue_staff_credentials(actor: Actor, intent: str, had: str = "") -> StaffCredentials:
    """Credentials that a press issued and nobody has seen: a fresh temporary password in place of the lost one.

    For administrators who confirmed recently, about their own presses. ``had`` is the mark of those that the page had
    on its screen, and lost. Raises ``CredentialsSeen`` where others were seen, they are in use, or have been replaced
    since; ``IssuedMeanwhile`` where another line of theirs got fresh ones; else as ``reset_staff_password``.
    """
    _demand(actor)
    lost = Lost(actor, intent, "account")
    with db.reading() as session:
        found = session.get(Account, lost.key)
    if found is None or found.role == Role.PATIENT:
        raise StaffNotFound
    lost.refuse_if_seen(found, had)
    credentials, hashed = _prepare(found.username)
    with transaction(actor) as session:
        account = _lock(session, actor, lost.key, None)
        lost.refuse_if_changed(session, account)
        _renew(session, account, credentials, hashed)
        lost.note_replaced(session)
        _note(session, actor, Action.STAFF_PASSWORD_RESET, account)
    return StaffCredentials(lost.key, account.full_name, credentials)


def reset_two_factor(actor: Actor, account_id: int, drawn: str | None = None) -> None:
    """Remove the second factor and the passkeys of somebody else, who has lost them; all their sessions end.

    For administrators who confirmed recently, about others, and the command line. Raises as ``change_role``.
    """
    _demand(actor)
    with transaction(actor) as session:
        account = _lock(session, actor, account_id, drawn)
        two_factor.clear(session, account)
        passkey_ceremonies.forget(session, account_id)
        sessions.end_sessions(session, account_id, "second factor reset")
        sign_in_throttle.unlock(session, account.username, account.id)
        _note(session, actor, Action.TWO_FACTOR_RESET, account)


def unlock_account(actor: Actor, account_id: int, drawn: str | None = None) -> None:
    """Forget the failed tries of an account, staff's or a patient's, so that its owner can sign in at once.

    For administrators, and the command line. ``drawn`` as for ``change_role``. Raises ``AccountChanged``,
    ``StaffNotFound``, ``PermissionDenied``.
    """
    demand(actor, Permission.STAFF_MANAGE)
    with transaction(actor) as session:
        account = session.get(Account, account_id)
        if account is None:
            raise StaffNotFound
        _refuse_if_changed(account, drawn)
        sign_in_throttle.unlock(session, account.username, account.id)
        _note(session, actor, Action.ACCOUNT_UNLOCKED, account)


def note_staff_printed(actor: Actor, account_id: int) -> None:
    """Record that the credentials of a staff account were sent to a printer. For administrators."""
    demand(actor, Permission.STAFF_MANAGE)
    with transaction(actor) as session:
        record(session, actor, Action.CREDENTIALS_PRINTED, resource_type="account", resource_id=account_id)
