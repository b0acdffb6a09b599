"""One's own passkeys: adding, seeing and removing them. The password stays as the other way in."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session
from webauthn.helpers import bytes_to_base64url, generate_user_handle

from clinic_app.core import clock, db, text_rules
from clinic_app.core.errors import InvalidInput
from clinic_app.models.accounts import ACCOUNTS, PASSKEYS, Account, Passkey, Role
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts import passkey_ceremonies, reauthentication, sessions
from clinic_app.services.accounts.errors import PasskeyNotAdded, PasskeyNotFound, TooManyPasskeys
from clinic_app.services.accounts.views import OwnPasskey
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand, demand_fresh
from clinic_app.services.audit.recording import record
from clinic_app.services.notifications import outbox, recipients
from clinic_app.services.notifications.kinds import Kind

AT_MOST = 10
LONGEST_NAME = 60


def own_passkeys(actor: Actor) -> tuple[OwnPasskey, ...]:
    """The passkeys of whoever is signed in, the oldest first. Raises ``PasskeysUnavailable``, ``PermissionDenied``."""
    demand(actor, Permission.OWN_PASSKEYS)
    passkey_ceremonies.site()
    with db.reading() as session:
        rows = session.execute(
            select(PASSKEYS.c.id, PASSKEYS.c.name, PASSKEYS.c.created_at, PASSKEYS.c.used_at)
            .where(PASSKEYS.c.account_id == actor.account_id)
            .order_by(PASSKEYS.c.id)
        ).all()
    return tuple(OwnPasskey(*row) for row in rows)


def _demand(actor: Actor, password: str) -> None:
    """Raise unless ``actor`` may change their passkeys now: confirmed recently, or, a patient, with the password."""
    demand(actor, Permission.OWN_PASSKEYS)
    passkey_ceremonies.site()
    if password and not actor.is_staff:
        reauthentication.check_own_password(actor, password)
    else:
        demand_fresh(actor)


def _own(session: Session, actor: Actor) -> Account:
    return session.execute(select(Account).where(ACCOUNTS.c.id == actor.account_id).with_for_update()).scalar_one()


def _note(session: Session, actor: Actor, action: Action, *, changes_lists: bool = False) -> None:
    session.flush()
    record(session, actor, action, resource_type="account", resource_id=actor.account_id, changes_lists=changes_lists)


def _tell(session: Session, account: Account, kind: Kind) -> None:
    """Tell a patient that there is another way in, or one less: it may not have been them."""
    if account.role == Role.PATIENT:
        outbox.tell(session, recipients.recipient(account), kind)


def _named(name: str) -> str:
    try:
        return text_rules.name(name, "Name of this passkey", LONGEST_NAME)
    except ValueError as error:
        raise InvalidInput({"passkey_name": str(error)}) from None


def begin_adding_passkey(actor: Actor, name: str, password: str = "") -> str:
    """What the browser is to ask an authenticator, as JSON, for a passkey called ``name``; counts once, five minutes.

    For whoever is signed in and confirmed recently; patients may give their ``password`` instead. Raises
    ``InvalidInput`` (field ``passkey_name``), ``TooManyPasskeys``, ``WrongPassword``, ``TooManyAttempts``,
    ``ReauthenticationRequired``, ``PasskeysUnavailable``, ``PermissionDenied``.
    """
    _demand(actor, password)
    _named(name)
    with transaction(actor) as session:
        account = _own(session, actor)
        kept = passkey_ceremonies.kept_ids(session, account.id or 0)
        if len(kept) >= AT_MOST:
            raise TooManyPasskeys
        if account.passkey_handle is None:
            account.passkey_handle = bytes_to_base64url(generate_user_handle())
        if password:
            reauthentication.forgive(session, actor)
        challenge = passkey_ceremonies.ask(session, account.id or 0)
    return passkey_ceremonies.options_to_add(account, challenge, kept)


def finish_adding_passkey(actor: Actor, name: str, answer: str) -> None:
    """Keep the passkey that ``answer`` (JSON) proves, called ``name``. The same one sent again changes nothing.

    For whoever was asked by ``begin_adding_passkey``, which asked for fresh proof. Raises ``InvalidInput`` (field
    ``passkey_name``), ``PasskeyNotAdded``, ``PasskeysUnavailable``, ``PermissionDenied``.
    """
    demand(actor, Permission.OWN_PASSKEYS)
    passkey_ceremonies.site()
    name = _named(name)
    given = passkey_ceremonies.read(answer, new=True)
    if given is None:
        raise PasskeyNotAdded
    made = None
    try:
        with transaction(actor) as session:
            account = _own(session, actor)
            if not passkey_ceremonies.take(session, given.challenge, account.id or 0):
                if given.credential_id in passkey_ceremonies.kept_ids(session, account.id or 0):
                    return  # sent twice
            else:
                made = passkey_ceremonies.check_new(given)
            if made is not None:
                session.add(
                    Passkey(
                        account_id=account.id or 0,
                        credential_id=bytes_to_base64url(made.credential_id),
                        public_key=made.credential_public_key,
                        sign_count=made.sign_count,
                        name=name,
                        created_at=clock.now(),
                    )
                )
                _tell(session, account, Kind.PASSKEY_ADDED)
                _note(session, actor, Action.PASSKEY_ADDED)
    except IntegrityError as error:
        if db.violated(error) == "uq_passkeys_credential_id":
            raise PasskeyNotAdded from None  # another account's
        raise
    if made is None:
        raise PasskeyNotAdded


def remove_passkey(actor: Actor, passkey_id: int, password: str = "") -> str:
    """Remove one of one's own passkeys and return its name: it opens nothing any more. All other sessions end.

    For whoever is signed in and confirmed recently; patients may give their ``password`` instead. Raises
    ``PasskeyNotFound``, and as ``begin_adding_passkey``.
    """
    _demand(actor, password)
    with transaction(actor) as session:
        account = _own(session, actor)
        name = session.execute(
            delete(PASSKEYS)
            .where(PASSKEYS.c.id == passkey_id, PASSKEYS.c.account_id == actor.account_id)
            .returning(PASSKEYS.c.name)
        ).scalar_one_or_none()
        if name is None:
            raise PasskeyNotFound
        if password:
            reauthentication.forgive(session, actor)
        sessions.end_sessions(session, actor.account_id or 0, "passkey removed", keep=actor.session_id)
        _tell(session, account, Kind.PASSKEY_REMOVED)
        _note(session, actor, Action.PASSKEY_REMOVED, changes_lists=True)
    return name
