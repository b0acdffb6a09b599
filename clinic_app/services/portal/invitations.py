"""Sending an invitation again, and correcting the address it goes to."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError

from clinic_app.core import clock, db
from clinic_app.models.accounts import Account
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts.portal_accounts import prepare_credentials, tell_of_other_email
from clinic_app.services.accounts.signing_in import normal_username
from clinic_app.services.accounts.views import Credentials
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import Attempt, demand, recorded_failure
from clinic_app.services.notifications import outbox, recipients
from clinic_app.services.notifications.kinds import Channel, open_channels
from clinic_app.services.notifications.views import Delivery
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


def resend_invitation(actor: Actor, key: int | str, drawn: str | None = None) -> InvitationSent:
    """Send a new one-time link to whoever has a temporary password still, wherever it may go. The password stays.

    For receptionists and administrators. Links sent before open nothing from then on: of several at once, the last
    one's lives. It lives as long as ``provisioning.invite_again`` says.
    ``drawn`` as for ``reset_portal_password``: of several from one look, one is sent, and the others raise
    ``SentAgainAlready``. Raises ``CannotSend`` where nothing is set up, there is no address, or
    the patient allows no messages; ``PasswordChosen``, ``PortalTurnedOff``, ``NoPortalAccount``,
    ``PortalAccessChanged``, ``PatientNotFound``, ``PermissionDenied``, ``TooManyRequests``.
    """
    demand(actor, Permission.PORTAL_MANAGE, resource_type="patient")
    rates().spend(actor, "portal")
    with provisioning.refusal_recorded(actor) as attempt, transaction(actor) as session:
        patient = repository.find(session, key, Seen.CHANGED, lock=True)
        attempt.resource_id = patient.id
        account = provisioning.account_of(session, patient, drawn, lock=True, sends_again=True)
        if not account.is_active:
            raise PortalTurnedOff
        if not account.password_temporary:
            raise PasswordChosen
        to = recipients.recipient(account, patient)
        if why := wording.why_nothing_goes(outbox.reach(to), configured=bool(open_channels())):
            raise CannotSend(why)
        deliveries = provisioning.invite_again(session, patient, account)
        provisioning.note_change(session, actor, Action.PORTAL_INVITED, patient, account)
    return InvitationSent(SENT, provisioning.shown(patient), deliveries)


def _changes(patient: object, account: Account, form: AddressCorrection) -> dict[str, str]:
    """What becomes of the patient's own email or phone."""
    name, new = ("phone", form.phone) if form.phone else ("email", form.email)
    has = getattr(patient, name)
    before = account.phone if form.phone else recipients.email_of(account)
    same = has == before if form.phone else normal_username(has or "") == normal_username(before or "")
    always = name == "email" and not form.change_username  # nothing else would become of it
    return {name: new} if new and (always or not has or same) else {}


def correct_address(
    actor: Actor, key: int | str, form: AddressCorrection, drawn: str | None = None, version: int | None = None
) -> AddressCorrected:
    """Put an address right that messages to a patient did not reach, and send the invitation there. All or nothing.

    For receptionists and administrators. A phone becomes the portal account's; with ``form.change_username`` an email
    becomes its username, with all that ``change_portal_username`` does; without, the username stays and everything that
    is sent from now on goes to that email. The patient's own field follows where it held the same address, or none, and
    always to an email whose username stays. The link is sent while the password is a temporary one; whoever has one of
    their own is told at both emails. ``drawn`` as for ``reset_portal_password``, ``version`` as for an edit. Raises
    what those two raise.
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


def _goes_there(account: Account, form: AddressCorrection) -> bool:
    """Whether messages go to this address already."""
    return form.phone == account.phone if form.phone else form.email == recipients.email_of(account)


def _put(account: Account, form: AddressCorrection) -> None:
    """Messages go to this address from now on."""
    if form.phone:
        account.phone = form.phone
    elif form.email:
        account.contact_email = None if normal_username(form.email) == account.username else form.email
    account.updated_at = clock.now()


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
        if made is None and _goes_there(account, form):  # nothing new: this only sends again
            provisioning.account_of(session, patient, drawn, lock=True, sends_again=True)
        went_to = recipients.email_of(account)
        changed = put_changes(session, patient, PatientUpdate(_changes(patient, account, form), version))
        deliveries: tuple[Delivery, ...] = ()
        if made is not None:
            provisioning.refuse_username(session, account, made[0].username)
            deliveries = provisioning.rename_account(session, patient, account, *made)
        else:
            _put(account, form)
            session.flush()
            if account.password_temporary:
                deliveries = provisioning.invite_again(session, patient, account)
            else:
                deliveries = tell_of_other_email(session, patient.id or 0, went_to)
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
