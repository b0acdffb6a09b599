"""Portal access from the desk's side: giving it, resetting its password, turning it off and on."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator, Mapping

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from clinic_app.core import clock, db
from clinic_app.core.errors import ClinicError
from clinic_app.models.accounts import ACCOUNTS, Account
from clinic_app.models.patients import Patient
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts import known_devices, passkey_ceremonies, sessions, sign_in_throttle
from clinic_app.services.accounts.merged_accounts import username_is_freed
from clinic_app.services.accounts.portal_accounts import (
    add_portal_account,
    change_username,
    prepare_credentials,
    put_temporary_password,
)
from clinic_app.services.accounts.shown import Lost
from clinic_app.services.accounts.signing_in import normal_username
from clinic_app.services.accounts.views import Credentials
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import Attempt, demand, note_failure, recorded_failure
from clinic_app.services.audit.recording import record
from clinic_app.services.notifications import links, outbox, recipients
from clinic_app.services.notifications.kinds import Kind
from clinic_app.services.notifications.views import Delivery
from clinic_app.services.patients import repository
from clinic_app.services.patients.looks import Seen
from clinic_app.services.patients.views import PortalStanding, decided
from clinic_app.services.patients.wording import full_name
from clinic_app.services.portal.errors import (
    CannotSend,
    EmailInUse,
    NoPortalAccount,
    PasswordChosen,
    PasswordOver,
    PortalAccessChanged,
    PortalAccountExists,
    PortalTurnedOff,
    SentAgainAlready,
    UsernameGone,
)
from clinic_app.services.portal.forms import ChangePortalUsername, PortalAccountRequest, TurnOff
from clinic_app.services.portal.views import PortalCreated, PortalPatient, PortalSwitched
from clinic_app.services.rates import rates

CREATED = "Portal account created successfully"
RESET = "Temporary password reset successfully"
RENAMED = "Portal username changed successfully"
FAILED = "Failed to create patient portal account"
NOT_RENAMED = "Failed to change portal username"


def shown(patient: Patient) -> PortalPatient:
    """Building block: the patient as the answer names it."""
    name = full_name(patient.first_name, patient.last_name)
    return PortalPatient(patient.id or 0, patient.patient_id, name, patient.portal_enabled)


def stamp_of(account: Account) -> str:
    """Building block: the stamp of access that is on, as ``PortalStanding`` has it."""
    standing = PortalStanding(
        "on",
        account_id=account.id or 0,
        password_since=account.password_changed_at,
        handed_over=account.handed_over or "",
        goes_to=recipients.mark(account.contact_email, account.phone),
        invited_again=account.invited_again,
    )
    return standing.stamp


def _refuse_if_taken(session: Session, patient: Patient, username: str) -> None:
    """Raise what clashes, in words. The constraints have the last word; this only names it."""
    found = session.execute(
        select(ACCOUNTS.c.username, ACCOUNTS.c.patient_id).where(
            or_(ACCOUNTS.c.patient_id == patient.id, ACCOUNTS.c.username == username)
        )
    ).all()
    for taken, owner in found:
        if owner == patient.id:
            raise PortalAccountExists(taken)
    if found:
        raise EmailInUse


Also = Callable[[Session, Account], None]


def _create(
    actor: Actor, key: int | str, form: PortalAccountRequest, attempt: Attempt, also: Also | None
) -> PortalCreated:
    username = normal_username(form.email)
    with db.reading() as session:
        patient = repository.find(session, key, Seen.UNSHOWN)
        attempt.resource_id = patient.id
        _refuse_if_taken(session, patient, username)
    credentials, hashed = prepare_credentials(username, in_bulk=also is not None)
    with transaction(actor) as session:
        patient = repository.find(session, key, Seen.CHANGED, lock=True)
        _refuse_if_taken(session, patient, username)
        account = add_portal_account(
            session,
            patient_id=patient.id or 0,
            full_name=full_name(patient.first_name, patient.last_name),
            phone=form.phone,
            credentials=credentials,
            password_hash=hashed,
            created_by_id=actor.account_id,
        )
        patient.portal_enabled = True
        repository.refresh_keys(session, patient)
        session.flush()
        deliveries = outbox.invite(session, recipients.recipient(account, patient), credentials.expires_at, first=True)
        if also is not None:
            also(session, account)
        record(
            session,
            actor,
            Action.PORTAL_ACCOUNT_CREATED,
            resource_type="patient",
            resource_id=patient.id,
            details={"portal_username": username},
            changes_lists=True,
            issues=True,
        )
    return PortalCreated(CREATED, credentials, shown(patient), deliveries, stamp_of(account))


def _clash(key: int | str, username: str) -> ClinicError | None:
    """Which of the two clashes a constraint found, after the winner has committed; None where it is neither."""
    try:
        with db.reading() as session:
            _refuse_if_taken(session, repository.find(session, key, Seen.UNSHOWN), username)
    except ClinicError as found:
        return found
    return None


def create_portal_account(actor: Actor, key: int | str, form: PortalAccountRequest) -> PortalCreated:
    """Give a registered patient access: an account, a temporary password, ``portal_enabled``. All or nothing.

    For receptionists and administrators. ``key`` is the id or the patient ID. Of several at once for one patient,
    or with one email, exactly one wins. Raises ``PermissionDenied``, ``PatientNotFound``,
    ``PortalAccountExists``, ``EmailInUse``, ``TooManyRequests``, or ``Unexpected`` with a reference.
    """
    demand(actor, Permission.PORTAL_MANAGE, resource_type="patient")
    rates().spend(actor, "portal")
    return give_account(actor, key, form)


def give_account(
    actor: Actor, key: int | str, form: PortalAccountRequest, *, also: Also | None = None
) -> PortalCreated:
    """Building block: ``create_portal_account``, for a use case that has asked whether and how often it may.

    ``also`` is done in the same transaction, for one of many: its hash keeps nobody at a desk waiting.
    """
    with recorded_failure(actor, Action.PORTAL_ACCOUNT_CREATE_FAILED, FAILED, resource_type="patient") as attempt:
        try:
            return _create(actor, key, form, attempt, also)
        except IntegrityError as error:
            raise (_clash(key, normal_username(form.email)) or error) from None


def account_of(
    session: Session, patient: Patient, drawn: str | None, *, lock: bool, sends_again: bool = False
) -> Account:
    """Building block: the patient's account, as it was when somebody decided to change it.

    ``drawn`` is the stamp of the ``PortalStanding`` that they looked at; None where nobody looked at one. An invitation
    that was sent again since leaves what they want meant, unless it is just that (``sends_again``). Raises
    ``PortalAccessChanged``, ``SentAgainAlready``, ``NoPortalAccount``.
    """
    statement = select(Account).where(ACCOUNTS.c.patient_id == patient.id)
    found = session.execute(statement.with_for_update() if lock else statement).scalar_one_or_none()
    if drawn is not None:  # after the lock, so that of several who looked at the same, one is the first
        now = repository.access_from(session, repository.find_whole(session, patient.id or 0, Seen.UNSHOWN))
        if decided(drawn) != decided(now.stamp):
            raise PortalAccessChanged
        if sends_again and drawn != now.stamp:
            raise SentAgainAlready
    if found is None:
        raise NoPortalAccount
    return found


#: What is refused because of how access stands.
_REFUSED = (
    NoPortalAccount,
    PortalTurnedOff,
    PortalAccessChanged,
    SentAgainAlready,
    PasswordChosen,
    PasswordOver,
    CannotSend,
)


@contextlib.contextmanager
def refusal_recorded(actor: Actor) -> Iterator[Attempt]:
    """Building block: record what is refused because of how access stands: that tells something of the record."""
    attempt = Attempt()
    try:
        yield attempt
    except _REFUSED as refused:
        note_failure(
            actor,
            Action.PORTAL_CHANGE_FAILED,
            resource_type="patient",
            resource_id=attempt.resource_id,
            details={"reason": refused.code},
        )
        raise


def _to_reset(
    session: Session, key: int | str, drawn: str | None, seen: Seen, attempt: Attempt
) -> tuple[Patient, Account]:
    patient = repository.find(session, key, seen)
    attempt.resource_id = patient.id
    account = account_of(session, patient, drawn, lock=seen is Seen.CHANGED)
    if not account.is_active:
        raise PortalTurnedOff
    return patient, account


def reset_portal_password(actor: Actor, key: int | str, drawn: str | None = None) -> PortalCreated:
    """Replace the password by a new temporary one; all sessions of the account end; a lock is lifted.

    For receptionists and administrators. With ``drawn``, the stamp of the access that was looked at, it is refused
    when access has changed since: of several from one look, exactly one wins. Raises ``PortalAccessChanged``, also
    where the account was given another username meanwhile, ``NoPortalAccount``, ``PortalTurnedOff``,
    ``PatientNotFound``, ``PermissionDenied``.
    """
    demand(actor, Permission.PORTAL_MANAGE, resource_type="patient")
    rates().spend(actor, "portal")
    with refusal_recorded(actor) as attempt:
        return _reset(actor, key, drawn, attempt)


def _reset(actor: Actor, key: int | str, drawn: str | None, attempt: Attempt) -> PortalCreated:
    with db.reading() as session:
        _, account = _to_reset(session, key, drawn, Seen.UNSHOWN, attempt)
    credentials, hashed = prepare_credentials(account.username)
    with transaction(actor) as session:
        patient, account = _to_reset(session, key, drawn, Seen.CHANGED, attempt)
        if account.username != credentials.username:
            raise PortalAccessChanged
        deliveries = _replace_password(session, patient, account, credentials, hashed)
        note_change(session, actor, Action.PORTAL_PASSWORD_RESET, patient, account, issues=True)
    return PortalCreated(RESET, credentials, shown(patient), deliveries, stamp_of(account))


def _replace_password(
    session: Session, patient: Patient, account: Account, credentials: Credentials, hashed: str
) -> tuple[Delivery, ...]:
    """The account opens with ``credentials`` alone, and its owner is told, with a link where messages are allowed."""
    put_temporary_password(session, account, credentials, hashed, "password reset")
    session.flush()
    to = recipients.recipient(account, patient)
    return outbox.invite(session, to, credentials.expires_at, kind=Kind.PASSWORD_RESET)


def reissue_credentials(actor: Actor, intent: str, had: str = "") -> PortalCreated:
    """Credentials that a press issued and nobody has seen: a fresh temporary password in place of the lost one.

    For receptionists and administrators, about their own presses. ``had`` is the mark of those that the page had on its
    screen, and lost. Raises ``CredentialsSeen`` where others were seen, they are in use, or have been replaced since;
    ``IssuedMeanwhile`` where another line of theirs got fresh ones at that moment; ``PermissionDenied``,
    ``PatientNotFound``, ``NoPortalAccount``.
    """
    demand(actor, Permission.PORTAL_MANAGE, resource_type="patient")
    lost = Lost(actor, intent, "patient")
    with db.reading() as session:
        patient = repository.find(session, lost.key, Seen.UNSHOWN)
        account = account_of(session, patient, None, lock=False)
    lost.refuse_if_seen(account, had)
    credentials, hashed = prepare_credentials(account.username)
    with transaction(actor) as session:
        patient = repository.find(session, lost.key, Seen.CHANGED)
        account = account_of(session, patient, None, lock=True)
        lost.refuse_if_changed(session, account)
        deliveries = _replace_password(session, patient, account, credentials, hashed)
        lost.note_replaced(session)
        note_change(session, actor, Action.PORTAL_PASSWORD_RESET, patient, account)
    return PortalCreated(RESET, credentials, shown(patient), deliveries, stamp_of(account))


#: A link with less time left than this is not worth sending: it gets a time of its own.
WORTH_SENDING = dt.timedelta(hours=12)


def invite_again(session: Session, patient: Patient, account: Account) -> tuple[Delivery, ...]:
    """Building block: another link for whoever has a temporary password still.

    It lives as long as the password, or as a new one would where less than ``WORTH_SENDING`` is left.
    """
    account.invited_again += 1
    now, until = clock.now(), account.password_expires_at
    if until is None or until - now < WORTH_SENDING:
        until = now + outbox.invitation_life()
    return outbox.invite(session, recipients.recipient(account, patient), until)


def refuse_username(session: Session, account: Account, username: str) -> None:
    """Building block: raise why ``account`` cannot get this username.

    The constraint has the last word; this saves a hash.
    """
    if not account.is_active and not username_is_freed(account.username):
        raise PortalTurnedOff
    if account.username == username:
        raise PortalAccountExists(username)
    if session.execute(select(ACCOUNTS.c.id).where(ACCOUNTS.c.username == username)).first():
        raise EmailInUse


def _rename(
    actor: Actor, key: int | str, form: ChangePortalUsername, drawn: str | None, attempt: Attempt
) -> PortalCreated:
    username = normal_username(form.email)
    with db.reading() as session:
        patient = repository.find(session, key, Seen.UNSHOWN)
        attempt.resource_id = patient.id
        account = account_of(session, patient, drawn, lock=False)
        refuse_username(session, account, username)
        former = account.username
    credentials, hashed = prepare_credentials(username)
    with transaction(actor) as session:
        patient = repository.find(session, key, Seen.CHANGED, lock=True)
        account = account_of(session, patient, drawn, lock=True)
        refuse_username(session, account, username)
        if account.username != former:
            raise PortalAccessChanged
        deliveries = rename_account(session, patient, account, credentials, hashed)
        note_change(session, actor, Action.PORTAL_USERNAME_CHANGED, patient, account, issues=True)
    return PortalCreated(RENAMED, credentials, shown(patient), deliveries, stamp_of(account))


def rename_account(
    session: Session, patient: Patient, account: Account, credentials: Credentials, hashed: str
) -> tuple[Delivery, ...]:
    """Building block: the account opens with ``credentials`` alone, under their username.

    That is told to the new one, and where messages went before.

    Raises ``IntegrityError`` where the username is taken.
    """
    former, went_to, username = account.username, recipients.email_of(account), credentials.username
    change_username(session, account, username)
    if username_is_freed(former):  # it was off for want of one
        account.is_active = patient.portal_enabled = True
        account.turned_off_at = account.turned_off_by_id = account.turned_off_reason = None
        former = ""
    repository.refresh_keys(session, patient)
    put_temporary_password(session, account, credentials, hashed, "username changed")
    session.flush()
    to, names = recipients.recipient(account, patient), {"before": former, "after": username}
    told = outbox.tell(session, to, Kind.USERNAME_CHANGED, names, also=[went_to])
    return outbox.invite(session, to, credentials.expires_at) + told


def change_portal_username(
    actor: Actor, key: int | str, form: ChangePortalUsername, drawn: str | None = None
) -> PortalCreated:
    """Give a patient's portal account another email as its username, and a new temporary password. All or nothing.

    For receptionists and administrators. ``key`` is the id or the patient ID, ``drawn`` as for
    ``reset_portal_password``. All sessions of the account end, a lock is lifted; the former username is free, and
    kept in ``former_usernames``. The patient's own email stays. Of several at once for one email, exactly one wins.
    Raises ``PermissionDenied``, ``PatientNotFound``, ``NoPortalAccount``, ``PortalTurnedOff``,
    ``PortalAccountExists`` where it has this username already, ``EmailInUse``, ``PortalAccessChanged``, or
    ``Unexpected`` with a reference.
    """
    demand(actor, Permission.PORTAL_MANAGE, resource_type="patient")
    rates().spend(actor, "portal")
    with recorded_failure(actor, Action.PORTAL_USERNAME_CHANGE_FAILED, NOT_RENAMED, resource_type="patient") as attempt:
        try:
            return _rename(actor, key, form, drawn, attempt)
        except IntegrityError as error:
            raise (EmailInUse() if db.violated(error) == "uq_accounts_username" else error) from None


def note_change(
    session: Session,
    actor: Actor,
    action: Action,
    patient: Patient,
    account: Account,
    *,
    issues: bool = False,
    details: Mapping[str, str] | None = None,
) -> None:
    """Building block: record a change of access, with ``details`` besides the username."""
    session.flush()
    record(
        session,
        actor,
        action,
        resource_type="patient",
        resource_id=patient.id,
        details={"portal_username": account.username, **(details or {})},
        changes_lists=True,
        issues=issues,
    )


def _switch(actor: Actor, key: int | str, drawn: str | None, on: bool, why: TurnOff) -> PortalSwitched:
    demand(actor, Permission.PORTAL_MANAGE, resource_type="patient")
    rates().spend(actor, "portal")
    deliveries: tuple[Delivery, ...] = ()
    with refusal_recorded(actor) as attempt, transaction(actor) as session:
        patient = repository.find(session, key, Seen.CHANGED, lock=True)
        attempt.resource_id = patient.id
        account = account_of(session, patient, drawn, lock=True)
        if on and username_is_freed(account.username):
            raise UsernameGone
        if account.is_active != on:
            now: dt.datetime = clock.now()
            account.is_active = patient.portal_enabled = on
            account.updated_at = now
            account.turned_off_at = None if on else now
            account.turned_off_by_id = None if on else actor.account_id
            account.turned_off_reason = None if on else why.kept
            if not on:
                sessions.end_sessions(session, account.id or 0, "turned off")
                known_devices.forget(session, account.id or 0)
                passkey_ceremonies.forget(session, account.id or 0)
                links.end_links(session, account.id or 0, links.EVERY)
            elif account.password_temporary and outbox.waits_for_access(session, account.id or 0):
                deliveries = invite_again(session, patient, account)
            action = Action.PORTAL_TURNED_ON if on else Action.PORTAL_TURNED_OFF
            note_change(session, actor, action, patient, account, details={"reason": why.reason} if why.reason else {})
            if deliveries:
                note_change(session, actor, Action.PORTAL_INVITED, patient, account)
    return PortalSwitched(**dataclasses.asdict(shown(patient)), deliveries=deliveries)


def turn_off_portal(
    actor: Actor, key: int | str, drawn: str | None = None, why: TurnOff | None = None
) -> PortalSwitched:
    """Turn portal access off: its sessions end, the account and its history stay. Doing it twice changes nothing.

    For receptionists and administrators. ``drawn`` as for ``reset_portal_password``. The reason stands on the profile
    until access is turned on again; the trail has the kind of reason alone, never its words. Raises
    ``PortalAccessChanged``, ``NoPortalAccount``, ``PatientNotFound``, ``PermissionDenied``.
    """
    return _switch(actor, key, drawn, False, why or TurnOff())


def turn_on_portal(actor: Actor, key: int | str, drawn: str | None = None) -> PortalSwitched:
    """Turn portal access on again, with the password it had. Takes and raises as ``turn_off_portal``.

    An invitation that was not sent because access was off is sent now, while the password is a temporary one.
    """
    return _switch(actor, key, drawn, True, TurnOff())


def unlock_portal(actor: Actor, key: int | str, drawn: str | None = None) -> PortalPatient:
    """Forget the failed tries of a patient's account, so that its owner can sign in at once. The password stays.

    For receptionists and administrators. ``drawn`` and errors as for ``turn_off_portal``.
    """
    demand(actor, Permission.PORTAL_MANAGE, resource_type="patient")
    rates().spend(actor, "portal")
    with refusal_recorded(actor) as attempt, transaction(actor) as session:
        patient = repository.find(session, key, Seen.CHANGED, lock=True)
        attempt.resource_id = patient.id
        account = account_of(session, patient, drawn, lock=True)
        sign_in_throttle.unlock(session, account.username, account.id)
        note_change(session, actor, Action.PORTAL_UNLOCKED, patient, account)
    return shown(patient)


def note_printed(actor: Actor, key: int | str) -> None:
    """Record that the credentials of a patient were sent to a printer. For receptionists and administrators."""
    demand(actor, Permission.PORTAL_MANAGE, resource_type="patient")
    with transaction(actor) as session:
        patient = repository.find(session, key, Seen.CHANGED)
        record(session, actor, Action.CREDENTIALS_PRINTED, resource_type="patient", resource_id=patient.id)
