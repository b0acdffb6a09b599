"""How temporary passwords were handed over."""

from __future__ import annotations

import datetime as dt

from clinic_app.core import clock
from clinic_app.core.settings import get_settings
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts.signing_in import TEMPORARY_TRIES
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.patients import repository
from clinic_app.services.patients.looks import Seen
from clinic_app.services.portal import provisioning
from clinic_app.services.portal.errors import PasswordChosen, PasswordOver, PortalTurnedOff
from clinic_app.services.portal.forms import HandOver
from clinic_app.services.portal.views import HandedOver
from clinic_app.services.rates import rates

#: How long a temporary password lives that goes by post, from when it was made.
BY_POST = dt.timedelta(hours=168)


def record_hand_over(actor: Actor, key: int | str, how: HandOver, drawn: str | None = None) -> HandedOver:
    """Record how a temporary password was handed over. By post it lives ``BY_POST``, as the slip says.

    For receptionists and administrators. May be said again, while the password opens something: what was said last
    counts, and with ``drawn`` (as for ``reset_portal_password``) of several from one look exactly one wins. Raises
    ``PasswordChosen``, ``PasswordOver``, ``PortalTurnedOff``, ``NoPortalAccount``, ``PortalAccessChanged``,
    ``PatientNotFound``, ``PermissionDenied``, ``TooManyRequests``.
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
        now = clock.now()
        expires, dead = account.password_expires_at, account.temporary_failures >= TEMPORARY_TRIES
        if dead or expires is None or expires <= now:
            raise PasswordOver
        usual = account.password_changed_at + dt.timedelta(hours=get_settings().temporary_password_hours)
        if how is HandOver.POST:
            expires = account.password_changed_at + BY_POST
        elif account.handed_over == HandOver.POST and usual > now:  # else what is handed over would be dead already
            expires = usual
        account.password_expires_at = expires
        account.handed_over, account.handed_over_at, account.handed_over_by_id = how, now, actor.account_id
        account.updated_at = now
        provisioning.note_change(session, actor, Action.PORTAL_HANDED_OVER, patient, account, details={"how": str(how)})
    return HandedOver(how, expires, provisioning.stamp_of(account))
