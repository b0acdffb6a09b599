"""Portal access from the desk's side: giving it, resetting its password, turning it off and on."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from clinic_app.core import clock, db
from clinic_app.core.errors import ClinicError
from clinic_app.models.accounts import ACCOUNTS, Account
from clinic_app.models.patients import Patient
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts import sessions, sign_in_throttle
from clinic_app.services.accounts.portal_accounts import add_portal_account, prepare_credentials
from clinic_app.services.accounts.signing_in import normal_username
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand, recorded_failure
from clinic_app.services.audit.recording import record
from clinic_app.services.patients import repository
from clinic_app.services.patients.wording import full_name
from clinic_app.services.portal.errors import EmailInUse, NoPortalAccount, PortalAccountExists, PortalTurnedOff
from clinic_app.services.portal.forms import PortalAccountRequest
from clinic_app.services.portal.views import PortalCreated, PortalPatient

CREATED = "Portal account created successfully"
RESET = "Temporary password reset successfully"
FAILED = "Failed to create patient portal account"


def shown(patient: Patient) -> PortalPatient:
    """Building block: the patient as the answer names it."""
    name = full_name(patient.first_name, patient.last_name)
    return PortalPatient(patient.id or 0, patient.patient_id, name, patient.portal_enabled)


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


def _create(actor: Actor, key: int | str, form: PortalAccountRequest) -> PortalCreated:
    username = normal_username(form.email)
    with db.reading() as session:
        _refuse_if_taken(session, repository.find(session, key), username)
    credentials, hashed = prepare_credentials(username)
    with db.transaction() as session:
        patient = repository.find(session, key, lock=True)
        _refuse_if_taken(session, patient, username)
        add_portal_account(
            session,
            patient_id=patient.id or 0,
            full_name=full_name(patient.first_name, patient.last_name),
            phone=form.phone,
            credentials=credentials,
            password_hash=hashed,
            created_by_id=actor.account_id,
        )
        patient.portal_enabled = True
        session.flush()
        record(
            session,
            actor,
            Action.PORTAL_ACCOUNT_CREATED,
            resource_type="patient",
            resource_id=patient.id,
            details={"portal_username": username},
            changes_lists=True,
        )
    return PortalCreated(CREATED, credentials, shown(patient))


def _clash(key: int | str, username: str) -> ClinicError | None:
    """Which of the two clashes a constraint found, after the winner has committed; None where it is neither."""
    try:
        with db.reading() as session:
            _refuse_if_taken(session, repository.find(session, key), username)
    except ClinicError as found:
        return found
    return None


def create_portal_account(actor: Actor, key: int | str, form: PortalAccountRequest) -> PortalCreated:
    """Give a registered patient access: an account, a temporary password, ``portal_enabled``. All or nothing.

    For receptionists and administrators. ``key`` is the id or the patient ID. Of several at once for one patient,
    or with one email, exactly one wins. Raises ``PermissionDenied``, ``PatientNotFound``,
    ``PortalAccountExists``, ``EmailInUse``, or ``Unexpected`` with a reference.
    """
    demand(actor, Permission.PORTAL_MANAGE, resource_type="patient")
    with recorded_failure(actor, Action.PORTAL_ACCOUNT_CREATE_FAILED, FAILED, resource_type="patient"):
        try:
            return _create(actor, key, form)
        except IntegrityError as error:
            raise (_clash(key, normal_username(form.email)) or error) from None


def _account_of(session: Session, patient: Patient, *, lock: bool = False) -> Account:
    statement = select(Account).where(ACCOUNTS.c.patient_id == patient.id)
    found = session.execute(statement.with_for_update() if lock else statement).scalar_one_or_none()
    if found is None:
        raise NoPortalAccount
    return found


def reset_portal_password(actor: Actor, key: int | str) -> PortalCreated:
    """Replace the password by a new temporary one; all sessions of the account end; a lock is lifted.

    For receptionists and administrators. Raises ``NoPortalAccount``, ``PortalTurnedOff``, ``PatientNotFound``,
    ``PermissionDenied``.
    """
    demand(actor, Permission.PORTAL_MANAGE, resource_type="patient")
    with db.reading() as session:
        account = _account_of(session, repository.find(session, key))
        if not account.is_active:
            raise PortalTurnedOff
    credentials, hashed = prepare_credentials(account.username)
    with db.transaction() as session:
        patient = repository.find(session, key)
        account = _account_of(session, patient, lock=True)
        if not account.is_active:
            raise PortalTurnedOff
        account.password_hash = hashed
        account.password_temporary = True
        account.password_expires_at = credentials.expires_at
        account.temporary_failures = 0
        account.password_changed_at = account.updated_at = clock.now()
        sessions.end_sessions(session, account.id or 0, "password reset")
        sign_in_throttle.unlock(session, account.username)
        _note(session, actor, Action.PORTAL_PASSWORD_RESET, patient, account)
    return PortalCreated(RESET, credentials, shown(patient))


def _note(session: Session, actor: Actor, action: Action, patient: Patient, account: Account) -> None:
    session.flush()
    record(
        session,
        actor,
        action,
        resource_type="patient",
        resource_id=patient.id,
        details={"portal_username": account.username},
        changes_lists=True,
    )


def _switch(actor: Actor, key: int | str, on: bool) -> PortalPatient:
    demand(actor, Permission.PORTAL_MANAGE, resource_type="patient")
    with db.transaction() as session:
        patient = repository.find(session, key, lock=True)
        account = _account_of(session, patient, lock=True)
        if account.is_active != on:
            now: dt.datetime = clock.now()
            account.is_active = patient.portal_enabled = on
            account.updated_at = now
            account.turned_off_at = None if on else now
            account.turned_off_by_id = None if on else actor.account_id
            if not on:
                sessions.end_sessions(session, account.id or 0, "turned off")
            _note(session, actor, Action.PORTAL_TURNED_ON if on else Action.PORTAL_TURNED_OFF, patient, account)
    return shown(patient)


def turn_off_portal(actor: Actor, key: int | str) -> PortalPatient:
    """Turn portal access off: its sessions end, the account and its history stay. Doing it twice changes nothing.

    For receptionists and administrators. Raises ``NoPortalAccount``, ``PatientNotFound``, ``PermissionDenied``.
    """
    return _switch(actor, key, on=False)


def turn_on_portal(actor: Actor, key: int | str) -> PortalPatient:
    """Turn portal access on again, with the password it had. Raises as ``turn_off_portal``."""
    return _switch(actor, key, on=True)


def note_printed(actor: Actor, key: int | str) -> None:
    """Record that the credentials of a patient were sent to a printer. For receptionists and administrators."""
    demand(actor, Permission.PORTAL_MANAGE, resource_type="patient")
    with db.transaction() as session:
        patient = repository.find(session, key)
        record(session, actor, Action.CREDENTIALS_PRINTED, resource_type="patient", resource_id=patient.id)
