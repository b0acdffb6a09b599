"""Staff accounts. For now: creating one, by the command line or an administrator."""

from __future__ import annotations

import unicodedata

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from clinic_app.core import clock, crypto, db
from clinic_app.core.errors import InvalidInput
from clinic_app.models.accounts import Account, Role
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts.errors import UsernameTaken
from clinic_app.services.accounts.passwords import assess_password
from clinic_app.services.accounts.signing_in import normal_username
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.recording import record
from clinic_app.services.audit.refusals import demand

_ACCOUNTS = Account.__table__  # type: ignore[attr-defined]
STAFF_ROLES = (Role.ADMIN, Role.RECEPTIONIST, Role.CLINICIAN)


def create_staff(actor: Actor, username: str, full_name: str, role: str, password: str) -> int:
    """Create a staff account and return its id.

    For administrators, and the command line (how the first administrator comes to be). ``role`` is one of
    ``ADMIN``, ``RECEPTIONIST``, ``CLINICIAN``. Raises ``InvalidInput`` (fields ``username``, ``name``, ``role``,
    ``password``), ``UsernameTaken``, ``PermissionDenied``.
    """
    demand(actor, Permission.STAFF_MANAGE)
    name = normal_username(username)
    shown = unicodedata.normalize("NFC", full_name).strip()
    problems: dict[str, str] = {}
    if not 3 <= len(name) <= 60 or not all(c.isascii() and (c.isalnum() or c in "._-@") for c in name):
        problems["username"] = "Username must be 3 to 60 letters, digits, dots, dashes or underscores."
    if not 1 <= len(shown) <= 200 or not shown.isprintable():
        problems["name"] = "Name must be 1 to 200 characters."
    if role not in STAFF_ROLES:
        problems["role"] = "Role must be ADMIN, RECEPTIONIST or CLINICIAN."
    if not problems:
        strength = assess_password(Actor("system", name=shown, username=name), password)
        if not strength.good_enough:
            problems["password"] = strength.why
    if problems:
        raise InvalidInput(problems)
    hashed = crypto.hash_password(password)
    try:
        with db.transaction() as session:
            return add_staff_account(session, actor, name, shown, role, hashed).id or 0
    except IntegrityError as error:
        if db.violated(error) == "uq_accounts_username":
            raise UsernameTaken from None
        raise


def add_staff_account(
    session: Session, actor: Actor, username: str, full_name: str, role: str, password_hash: str
) -> Account:
    """Building block: add a staff account and record it, inside the caller's transaction."""
    now = clock.now()
    account = Account(
        username=username,
        full_name=full_name,
        role=role,
        password_hash=password_hash,
        password_changed_at=now,
        created_at=now,
        updated_at=now,
        created_by_id=actor.account_id,
    )
    session.add(account)
    session.flush()
    details = {"role": str(role)}
    record(session, actor, Action.STAFF_CREATED, resource_type="account", resource_id=account.id, details=details)
    return account


def has_staff() -> bool:
    """Whether anybody can sign in at the desk. For the start-up check and the command line."""
    with db.reading() as session:
        found = session.execute(
            select(func.count()).select_from(Account).where(_ACCOUNTS.c.role != Role.PATIENT, _ACCOUNTS.c.is_active)
        )
        return found.scalar_one() > 0
