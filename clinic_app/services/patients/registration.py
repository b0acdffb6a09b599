"""Registering a patient, with or without a portal account, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from clinic_app.core import clock, db
from clinic_app.core.errors import ClinicError, InvalidInput
from clinic_app.core.prepared import Prepared
from clinic_app.core.settings import get_settings
from clinic_app.models.accounts import ACCOUNTS
from clinic_app.models.patients import COUNTERS, PATIENTS, VerificationStatus
from clinic_app.services.access import Actor, Permission
from clinic_app.services.accounts.portal_accounts import add_portal_account, prepare_credentials
from clinic_app.services.accounts.signing_in import normal_username
from clinic_app.services.accounts.views import Credentials
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import demand, recorded_failure
from clinic_app.services.audit.recording import record
from clinic_app.services.notifications import outbox, recipients
from clinic_app.services.notifications.views import Delivery
from clinic_app.services.patients import name_parts, national_ids, pair_finding, portal_standing, repository
from clinic_app.services.patients.duplicates import holding, index, showing
from clinic_app.services.patients.duplicates.holding import Despite, Looked
from clinic_app.services.patients.errors import (
    ConstraintViolated,
    ExternalIdTaken,
    NationalIdTaken,
    PatientDetailsTaken,
    PortalEmailTaken,
    PossibleDuplicate,
)
from clinic_app.services.patients.forms import PORTAL_EMAIL_REQUIRED, PatientDetails, PatientRegistration
from clinic_app.services.patients.views import PortalStanding, Registered
from clinic_app.services.patients.wording import full_name
from clinic_app.services.rates import rates

_KEPT = [column.name for column in PATIENTS.columns if column.name != "id"]
_ADD = Prepared(insert(PATIENTS).values({name: bindparam(name) for name in _KEPT}).returning(PATIENTS.c.id))
_COUNT = Prepared(
    update(COUNTERS)
    .where(COUNTERS.c.name == "patient_id")
    .values(value=COUNTERS.c.value + 1)
    .returning(COUNTERS.c.value)
)
#: Constraint → what a person is told. Constraints decide; an earlier look only saves a hash.
CLASHES: dict[str, type[ClinicError]] = {
    "uq_patients_national_id_key": NationalIdTaken,
    "uq_patients_external_id": ExternalIdTaken,
    "uq_accounts_username": PortalEmailTaken,
    "uq_patients_patient_id": PatientDetailsTaken,
}
DONE = "Patient registered successfully"
DONE_WITH_PORTAL = "Patient registered successfully with portal account"
FAILED = "Failed to create patient"


def clash(error: IntegrityError) -> ClinicError:
    """The domain error behind a violated constraint."""
    return CLASHES.get(db.violated(error), ConstraintViolated)()


def _next_patient_id(session: Session) -> str:
    """The next number of this clinic: unique, growing, never given out twice."""
    number = _COUNT.one_or_none(session).value
    return f"{get_settings().patient_id_prefix}{number:06d}"


def _credentials(form: PatientRegistration) -> tuple[Credentials, str] | None:
    """Credentials and hash if a portal account is asked for, before the transaction: hashing is slow."""
    if not form.create_portal_account:
        return None
    if form.portal_email is None:  # a form that was not parsed
        raise InvalidInput({"portal_email": PORTAL_EMAIL_REQUIRED})
    return prepare_credentials(normal_username(form.portal_email))


def _refuse_taken_username(session: Session, form: PatientRegistration) -> None:
    """The constraint decides; this look saves a hash."""
    if form.create_portal_account and form.portal_email is not None:
        username = normal_username(form.portal_email)
        if session.execute(select(ACCOUNTS.c.id).where(ACCOUNTS.c.username == username)).first():
            raise PortalEmailTaken


def _refuse_taken(session: Session, form: PatientRegistration) -> None:
    """Say of a value that must be unique that it is taken, before anything else is said. Constraints decide."""
    for column, value, taken in (
        (PATIENTS.c.national_id_key, national_ids.key(form.national_id), NationalIdTaken),
        (PATIENTS.c.external_id, form.external_id, ExternalIdTaken),
    ):
        if value and session.execute(select(PATIENTS.c.id).where(column == value)).first():
            raise taken


def row_of(form: PatientDetails, patient_id: str, actor: Actor) -> SimpleNamespace:
    """Building block: the row to be of a new patient, as plain values: a table object would cost as much as saving it.

    What it is found by has yet to be set, by ``repository.keys_for_finding``.
    """
    now = clock.now()
    return SimpleNamespace(
        **{name: getattr(form, name) for name in PatientDetails.model_fields if name != "date_of_birth"},
        **repository.birth_columns(form.date_of_birth),
        patient_id=patient_id,
        national_id_key=national_ids.key(form.national_id),
        portal_enabled=False,
        is_active=True,
        verification_status=VerificationStatus.VERIFIED,
        version=1,
        merged_into_id=None,
        created_at=now,
        updated_at=now,
        registered_by_id=actor.account_id,
    )


def _patient(session: Session, actor: Actor, form: PatientRegistration) -> SimpleNamespace:
    patient = row_of(form, _next_patient_id(session), actor)
    if form.create_portal_account:
        patient.portal_enabled = True
        patient.email = patient.email or form.portal_email
        patient.phone = patient.phone or form.portal_phone
    repository.keys_for_finding(patient, [normal_username(form.portal_email)] if form.portal_email else [])
    return patient


def _put_in(session: Session, patient: SimpleNamespace) -> None:
    """Save the row, and what others find it by."""
    patient.id = _ADD.one_or_none(session, **vars(patient)).id
    name_parts.change(session, (), name_parts.parts_of(patient.first_name, patient.last_name))
    index.add(session, patient)


def add_patient(session: Session, actor: Actor, form: PatientRegistration) -> SimpleNamespace:
    """Building block: a new patient with the next patient ID, in the caller's transaction, which records it."""
    patient = _patient(session, actor, form)
    _put_in(session, patient)
    return patient


def _look(actor: Actor, form: PatientRegistration, despite: Despite) -> Looked:
    """Who may be the same person. Raises ``PossibleDuplicate``, and before that what is said of taken values."""
    with db.reading() as session:
        _refuse_taken_username(session, form)
        looked = holding.look(session, form)
        if not looked.holds(despite):
            return looked
        _refuse_taken(session, form)
        matches = showing.matches_of(session, looked.candidates)
    showing.record_shown(actor, matches, holding.KIND)
    raise PossibleDuplicate(matches)


def _save(actor: Actor, form: PatientRegistration, despite: Despite, *, tried: bool) -> Registered:
    # without a hash to be made, the transaction itself looks: it takes less time than looking and writing apart
    looked = _look(actor, form, despite) if tried or form.create_portal_account else None
    made = _credentials(form)
    while True:
        try:
            return _saved(actor, form, made, looked, despite)
        except holding.SomebodyNew:  # likely the same person: there, or registered by somebody else since the look
            looked = _look(actor, form, despite)


def _saved(
    actor: Actor,
    form: PatientRegistration,
    made: tuple[Credentials, str] | None,
    looked: Looked | None,
    despite: Despite,
    *,
    tried: bool = False,
) -> Registered:
    credentials = made[0] if made else None
    with transaction(actor, tried=tried) as session:
        looked = looked or holding.look(session, form)
        patient = _patient(session, actor, form)
        like = holding.decided(session, form, looked, patient.patient_id, despite)
        _put_in(session, patient)
        pair_finding.was_compared(session, patient.id, like.found)
        details: dict[str, object] = {"patient_id": patient.patient_id, "portal_account_created": made is not None}
        deliveries: tuple[Delivery, ...] = ()
        account = None
        if made:
            account = add_portal_account(
                session,
                patient_id=patient.id or 0,
                full_name=full_name(patient.first_name, patient.last_name),
                phone=form.portal_phone,
                credentials=made[0],
                password_hash=made[1],
                created_by_id=actor.account_id,
            )
            deliveries = outbox.invite(session, recipients.recipient(account, patient), made[0].expires_at, first=True)
            details["portal_username"] = made[0].username
        if like.overruled:
            details["registered_anyway"] = like.overruled
        record(
            session,
            actor,
            Action.PATIENT_CREATED,
            resource_type="patient",
            resource_id=patient.id,
            details=details,
            changes_lists=True,
            issues=made is not None,
        )
    status = "temporary" if credentials else "none"
    access = PortalStanding()
    if credentials and account is not None:
        due = portal_standing.due(status, credentials.expires_at, None, clock.now())
        access = PortalStanding(
            status,
            credentials.username,
            credentials.expires_at,
            account_id=account.id or 0,
            password_since=account.password_changed_at,
            temporary=True,
            due=due,
            goes_to=recipients.mark(None, account.phone),
        )
    view = repository.as_profile(patient, access, registered_by=actor.name, portal=status)
    return Registered(DONE_WITH_PORTAL if credentials else DONE, view, credentials, deliveries)


def register_patient(actor: Actor, form: PatientRegistration, *, despite: Despite = ()) -> Registered:
    """Register a patient; with ``form.create_portal_account`` the account too. All of it is saved, or nothing.

    For receptionists and administrators. The temporary password is in the answer and nowhere else. A patient who is
    likely the same person holds it, unless ``despite`` has their id: somebody was asked, and it is another person.
    ``ANYBODY`` is everybody. Whoever is overruled is recorded.

    Raises ``PermissionDenied``, ``PortalEmailTaken``, ``NationalIdTaken``, ``ExternalIdTaken``,
    ``PatientDetailsTaken``, ``ConstraintViolated``, ``PossibleDuplicate``, ``TooManyRequests``, or ``Unexpected`` with
    a reference under which the fault was logged.
    """
    begun = begin_registration(actor, form, despite=despite)
    return _recorded(begun, tried=False)


@dataclass(frozen=True, slots=True)
class Begun:
    """A registration that was admitted, and is yet to be made: by ``at_once`` perhaps, else by ``finish``."""

    actor: Actor
    form: PatientRegistration
    despite: Despite

    @property
    def is_quick(self) -> bool:
        """Whether nothing is hashed and nothing sent for it."""
        return not self.form.create_portal_account

    def at_once(self) -> Registered | None:
        """Make it within ``db.grouped``; None where anything stands in its way: nothing is kept then, and ``finish``,
        outside, tells what it is and records that. For one that ``is_quick``.
        """
        try:
            return _saved(self.actor, self.form, None, None, self.despite, tried=True)
        except Exception:  # noqa: BLE001  whatever it is, it is met again by ``finish``
            return None

    def failed(self, error: Exception) -> None:
        """The common commit has failed with ``error``: record that. Raises as ``register_patient``."""
        with recorded_failure(self.actor, Action.PATIENT_CREATE_FAILED, FAILED, resource_type="patient"):
            raise error

    def finish(self) -> Registered:
        """Make it, after ``at_once`` could not. Raises as ``register_patient``."""
        return _recorded(self, tried=True)


def begin_registration(actor: Actor, form: PatientRegistration, *, despite: Despite = ()) -> Begun:
    """Admit a registration, which the answer then makes: for doors that make several at once.

    For receptionists and administrators. Raises ``PermissionDenied``, ``TooManyRequests``.
    """
    demand(actor, Permission.PATIENT_REGISTER, resource_type="patient")
    if form.create_portal_account:
        demand(actor, Permission.PORTAL_MANAGE, resource_type="patient")
    rates().spend(actor, "register")
    return Begun(actor, form, despite)


def _recorded(begun: Begun, *, tried: bool) -> Registered:
    with recorded_failure(begun.actor, Action.PATIENT_CREATE_FAILED, FAILED, resource_type="patient"):
        try:
            return _save(begun.actor, begun.form, begun.despite, tried=tried)
        except IntegrityError as error:
            raise clash(error) from None
