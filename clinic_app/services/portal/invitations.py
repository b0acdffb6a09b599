"""Sending an invitation again, and correcting the address it goes to."""

from __future__ import annotations

import dataclasses
import datetime as dt

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from clinic_app.core import clock, db
from clinic_app.models.accounts import Account
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts.portal_accounts import prepare_credentials, recipient
from clinic_app.services.accounts.signing_in import normal_username
from clinic_app.services.accounts.views import Credentials
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import Attempt, demand, recorded_failure
from clinic_app.services.notifications import outbox
from clinic_app.services.notifications.kinds import Channel, open_channels
from clinic_app.services.notifications.views import Delivery, Recipient
from clinic_app.services.patients import repository
from clinic_app.services.patients.forms import PatientUpdate
from clinic_app.services.patients.looks import Seen
from clinic_app.services.patients.profile import put_changes, record_update
from clinic_app.services.portal import provisioning, wording
from clinic_app.services.portal.errors import (
    CannotSend,
    EmailInUse,
    PasswordChosen,
    PortalTurnedOff,
)
from clinic_app.services.portal.forms import AddressCorrection
from clinic_app.services.portal.views import AddressCorrected, InvitationSent
from clinic_app.services.rates import rates

SENT = "Invitation sent again"
NOT_CORRECTED = "Failed to correct the address"
#: A link with less time left than this is not worth sending: it gets a time of its own.
WORTH_SENDING = dt.timedelta(hours=12)


def _link_expires_at(account: Account) -> dt.datetime:
    """With the temporary password, while that has time enough left."""
    now, with_password = clock.now(), account.password_expires_at
    if with_password is not None and with_password - now >= WORTH_SENDING:
        return with_password
    return now + outbox.invitation_life()


def _send_again(session: Session, account: Account, to: Recipient) -> tuple[Delivery, ...]:
    return outbox.invite(session, to, _link_expires_at(account))


def resend_invitation(actor: Actor, key: int | str, drawn: str | None = None) -> InvitationSent:
    """Send a new one-time link to whoever has a temporary password still, wherever it may go. The password stays.

    For receptionists and administrators. Links sent before open nothing from then on: of several at once, the last
    one's lives. It lives as long as the password, or as a new one would where less than ``WORTH_SENDING`` is left.
    ``drawn`` as for ``reset_portal_password``. Raises ``CannotSend`` where nothing is set up, there is no address, or
    the patient allows no messages; ``PasswordChosen``, ``PortalTurnedOff``, ``NoPortalAccount``,
    ``PortalAccessChanged``, ``PatientNotFound``, ``PermissionDenied``, ``TooManyRequests``.
    """
    demand(actor, Permission.PORTAL_MANAGE, resource_type="patient")
    rates().spend(actor, "portal")
    with provisioning.refusal_recorded(actor) as attempt, transaction(actor) as session:
        patient = repository.find(session, key, Seen.CHANGED, lock=True)
        attempt.resource_id = patient.id
        account = provisioning.account_of(session, patient, drawn, lock=True)
        if not account.is_active:
            raise PortalTurnedOff
        if not account.password_temporary:
            raise PasswordChosen
        to = recipient(account, patient)
        if why := wording.why_nothing_goes(outbox.reach(to), configured=bool(open_channels())):
            raise CannotSend(why)
        deliveries = _send_again(session, account, to)
        provisioning.note_change(session, actor, Action.PORTAL_INVITED, patient, account)
    return InvitationSent(SENT, provisioning.shown(patient), deliveries)


def _changes(patient: object, account: Account, form: AddressCorrection) -> dict[str, str]:
    """What becomes of the patient's own email or phone."""
    name, new = ("phone", form.phone) if form.phone else ("email", form.email)
    has = getattr(patient, name)
    before = account.phone if form.phone else account.username
    same = has == before if form.phone else normal_username(has or "") == before
    always = name == "email" and not form.change_username  # nothing else would become of it
    return {name: new} if new and (always or not has or same) else {}


def correct_address(
    actor: Actor, key: int | str, form: AddressCorrection, drawn: str | None = None, version: int | None = None
) -> AddressCorrected:
    """Put an address right that messages to a patient did not reach, and send the invitation there. All or nothing.

    For receptionists and administrators. A phone becomes the portal account's; with ``form.change_username`` an email
    becomes its username, with all that ``change_portal_username`` does. The patient's own field follows where it held
    the same address, or none; an email whose username stays is the patient's own alone. The link is sent while the
    password is a temporary one. ``drawn`` as for ``reset_portal_password``, ``version`` as for an edit. Raises what
    those two raise.
    """
    demand(actor, Permission.PORTAL_MANAGE, resource_type="patient")
    demand(actor, Permission.PATIENT_EDIT, resource_type="patient")
    rates().spend(actor, "portal")
    with recorded_failure(actor, Action.PORTAL_CHANGE_FAILED, NOT_CORRECTED, resource_type="patient") as attempt:
        try:
            return _correct(actor, key, form, drawn, version, attempt)
        except IntegrityError as error:
            raise (EmailInUse() if db.violated(error) == "uq_accounts_username" else error) from None


def _new_credentials(
    key: int | str, form: AddressCorrection, drawn: str | None, attempt: Attempt
) -> tuple[Credentials, str] | None:
    """Those of the changed username, before the transaction: hashing is slow."""
    if not (form.change_username and form.email):
        return None
    username = normal_username(form.email)
    with db.reading() as session:
        patient = repository.find(session, key, Seen.UNSHOWN)
        attempt.resource_id = patient.id
        account = provisioning.account_of(session, patient, drawn, lock=False)
        provisioning.refuse_username(session, account, username)
    return prepare_credentials(username)


def _correct(
    actor: Actor, key: int | str, form: AddressCorrection, drawn: str | None, version: int | None, attempt: Attempt
) -> AddressCorrected:
    made = _new_credentials(key, form, drawn, attempt)
    with transaction(actor) as session:
        patient = repository.find(session, key, Seen.CHANGED, lock=True)
        attempt.resource_id = patient.id
        account = provisioning.account_of(session, patient, drawn, lock=True)
        if not account.is_active:
            raise PortalTurnedOff
        changed = put_changes(session, patient, PatientUpdate(_changes(patient, account, form), version))
        deliveries: tuple[Delivery, ...] = ()
        if made is not None:
            provisioning.refuse_username(session, account, made[0].username)
            deliveries = provisioning.rename_account(session, patient, account, *made)
        else:
            account.phone, account.updated_at = form.phone or account.phone, clock.now()
            session.flush()
            to = recipient(account, patient)
            if account.password_temporary:
                deliveries = _send_again(session, account, dataclasses.replace(to, email=form.email or to.email))
        channel = Channel.SMS if form.phone else Channel.EMAIL
        action = Action.PORTAL_ADDRESS_CORRECTED
        told = {"channel": str(channel)}
        provisioning.note_change(session, actor, action, patient, account, issues=made is not None, details=told)
        if made is not None:
            provisioning.note_change(session, actor, Action.PORTAL_USERNAME_CHANGED, patient, account)
        if changed:
            record_update(session, actor, patient, changed)
    credentials = made[0] if made is not None else None
    return AddressCorrected(provisioning.shown(patient), deliveries, credentials, provisioning.stamp_of(account))
