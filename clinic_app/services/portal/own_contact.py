"""Contact details that patients correct themselves."""

from __future__ import annotations

from dataclasses import fields

from clinic_app.services.access import Actor, Permission
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand, recorded_failure
from clinic_app.services.patients import repository
from clinic_app.services.patients.looks import Seen
from clinic_app.services.patients.profile import FAILED, change_details
from clinic_app.services.portal import own_email
from clinic_app.services.portal.forms import OwnContactCorrection
from clinic_app.services.portal.views import OwnContact
from clinic_app.services.rates import rates

_SHOWN = tuple(field.name for field in fields(OwnContact) if field.name not in ("email_waits", "may_confirm"))


def own_contact(actor: Actor) -> OwnContact:
    """The record of the patient who asks, to be corrected. Recorded as a look.

    For patients with a password of their own. Raises ``PermissionDenied``, ``AuthenticationRequired``.
    """
    demand(actor, Permission.OWN_RECORD, resource_type="patient", resource_id=actor.patient_id)
    with transaction(actor) as session:
        waits = own_email.waiting(session, actor.account_id or 0)
        return OwnContact(
            **repository.values(repository.find(session, actor.patient_id or 0, Seen.OWN), _SHOWN),
            email_waits=waits[0] if waits else "",
            may_confirm=own_email.may_confirm(),
        )


def correct_own_contact(actor: Actor, form: OwnContactCorrection) -> list[str]:
    """Change the contact details in ``form`` of the patient who asks; others stay as they are, whoever changed them.

    Returns the names of what was changed, and ``email`` where another one was given: that is not changed yet. A link
    is sent there, and whoever opens it shows that it is theirs. For patients. Refused when the record has changed since
    the form was drawn; what is refused is recorded too. Raises
    ``StaleRecord``, ``EmailNotSendable``, ``TooManyRequests``, ``PermissionDenied``, ``AuthenticationRequired``, or
    ``Unexpected`` with a reference.
    """
    demand(actor, Permission.OWN_RECORD, resource_type="patient", resource_id=actor.patient_id)
    rates().spend(actor, "own contact")
    if form.email:
        rates().spend(actor, "own email")
    with recorded_failure(actor, Action.PATIENT_UPDATE_FAILED, FAILED, resource_type="patient") as attempt:
        attempt.resource_id = actor.patient_id
        with transaction(actor) as session:
            patient = repository.find(session, actor.patient_id or 0, Seen.CHANGED, lock=True)
            changed = change_details(session, actor, patient, form.update)
            if form.email and form.email != patient.email:
                own_email.ask(session, actor, patient, form.email)
                changed.append("email")
            return changed
