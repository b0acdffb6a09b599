"""Portal accounts for many patients at once: each one succeeds or fails by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clinic_app.core import db
from clinic_app.core.errors import AuthenticationRequired, ClinicError, InvalidInput, PermissionDenied
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts.views import Credentials
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand
from clinic_app.services.audit.recording import record
from clinic_app.services.patients import repository
from clinic_app.services.patients.looks import Seen
from clinic_app.services.portal.forms import PortalAccountRequest
from clinic_app.services.portal.provisioning import give_account, shown
from clinic_app.services.portal.views import PortalPatient
from clinic_app.services.rates import rates

#: A hash takes a quarter of a second: more than this would keep a caller waiting too long for one answer.
AT_MOST = 50


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """What became of one patient: who it is (unless there is no such patient), and credentials or the error."""

    key: int | str
    patient: PortalPatient | None
    credentials: Credentials | None = None
    error: ClinicError | None = None


def _request(key: int | str) -> tuple[PortalPatient, PortalAccountRequest | ClinicError]:
    """Whom ``key`` names, and the request that the record's own email and phone make."""
    with db.reading() as session:
        found = repository.find(session, key, Seen.UNSHOWN)
    patient = shown(found)
    try:
        return patient, PortalAccountRequest.parse({"email": found.email, "phone": found.phone})
    except ClinicError as error:
        return patient, error


def _one(actor: Actor, key: int | str) -> BulkOutcome:
    patient = None
    try:
        patient, form = _request(key)
        if isinstance(form, ClinicError):
            return BulkOutcome(key, patient, error=form)
        done = give_account(actor, key, form)  # created, refused and recorded like a single one
    except (AuthenticationRequired, PermissionDenied):  # whoever asked may not any more: the rest is not tried
        raise
    except ClinicError as error:
        return BulkOutcome(key, patient, error=error)
    return BulkOutcome(key, done.patient, done.credentials)


def create_portal_accounts(actor: Actor, keys: Sequence[int | str]) -> tuple[BulkOutcome, ...]:
    """Give portal access to each of the patients named by id or patient ID, with the email of their record.

    For administrators. One transaction per patient: what is done stays done, and running it again only reports that
    the account exists. At most ``AT_MOST`` patients, each named once. The run stops, and hands nothing over, once
    ``actor`` may not any more. Raises ``InvalidInput`` (field ``patient_ids``), ``PermissionDenied``,
    ``AuthenticationRequired``.
    """
    demand(actor, Permission.PORTAL_BULK, resource_type="patient")
    rates().spend(actor, "bulk")
    if not keys:
        raise InvalidInput({"patient_ids": "Patient IDs are required: a list of ids or patient IDs."})
    if len(keys) > AT_MOST:
        raise InvalidInput({"patient_ids": f"At most {AT_MOST} patients can be given at once."})
    outcomes = tuple(_one(actor, key) for key in dict.fromkeys(keys))
    created = sum(outcome.credentials is not None for outcome in outcomes)
    with transaction(actor) as session:
        details = {"created": created, "failed": len(outcomes) - created}
        record(session, actor, Action.PORTAL_BULK_RUN, resource_type="patient", details=details)
    return outcomes
