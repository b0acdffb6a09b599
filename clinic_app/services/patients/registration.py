"""Registering a patient, with or without a portal account, in one transaction."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Integer, bindparam, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from clinic_app.core import clock, db
from clinic_app.core.errors import ClinicError, InvalidInput
from clinic_app.core.prepared import Prepared, rows_given
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
from clinic_app.services.patients import (
    name_parts,
    national_ids,
    pair_finding,
    portal_standing,
    repository,
    search_keys,
)
from clinic_app.services.patients.duplicates import Candidate, Comparable, holding, index, showing
from clinic_app.services.patients.duplicates.holding import Despite, Looked
from clinic_app.services.patients.duplicates.keys import keys_of
from clinic_app.services.patients.duplicates.scoring import best_of
from clinic_app.services.patients.errors import (
    ConstraintViolated,
    ExternalIdTaken,
    NationalIdTaken,
    PatientDetailsTaken,
    PortalEmailTaken,
    PossibleDuplicate,
)
from clinic_app.services.patients.forms import PORTAL_EMAIL_REQUIRED, PatientDetails, PatientRegistration
from clinic_app.services.patients.search_keys import SearchKeys
from clinic_app.services.patients.views import PortalStanding, Registered
from clinic_app.services.patients.wording import full_name
from clinic_app.services.rates import rates

_KEPT = [column.name for column in PATIENTS.columns if column.name != "id"]
_ADD = Prepared(insert(PATIENTS).values({name: bindparam(name) for name in _KEPT}).returning(PATIENTS.c.id))
_LAST = Prepared(select(COUNTERS.c.value).where(COUNTERS.c.name == "patient_id").with_for_update())
_ADVANCE = update(COUNTERS).where(COUNTERS.c.name == "patient_id").values(value=bindparam("last", type_=Integer))
_ADVANCED = Prepared(_ADVANCE)
#: Several rows and the last number given out, at once. PostgreSQL's.
_ADD_AND_ADVANCE = Prepared(
    insert(PATIENTS)
    .from_select(_KEPT, rows_given(PATIENTS, _KEPT))
    .add_cte(_ADVANCE.cte("advanced"))
    .returning(PATIENTS.c.id, PATIENTS.c.patient_id)
)
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
NO_PORTAL = "none"
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
    """Save the row, and what others find it by, but for the parts of its name."""
    patient.id = _ADD.one_or_none(session, **vars(patient)).id
    index.add(session, patient)


def _count_parts(session: Session, form: PatientDetails) -> None:
    name_parts.change(session, (), name_parts.parts_of(form.first_name, form.last_name))


def add_patient(session: Session, actor: Actor, form: PatientRegistration) -> SimpleNamespace:
    """Building block: a new patient with the next patient ID, in the caller's transaction, which records it."""
    _count_parts(session, form)
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
        _count_parts(session, form)  # before the number: from that to the commit everybody waits who wants one
        patient = _patient(session, actor, form)
        like = holding.decided(session, form, looked, patient.patient_id, despite)
        _put_in(session, patient)
        pair_finding.was_compared(session, patient.id, like.found)
        details: dict[str, object] = {}
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
        _record(session, actor, patient, like.overruled, details)
    status = "temporary" if credentials else NO_PORTAL
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


def _record(
    session: Session, actor: Actor, patient: Any, overruled: list[str], portal: Mapping[str, object] | None = None
) -> None:
    details: dict[str, object] = {"patient_id": patient.patient_id, "portal_account_created": bool(portal)}
    details |= portal or {}
    if overruled:
        details["registered_anyway"] = overruled
    record(
        session,
        actor,
        Action.PATIENT_CREATED,
        resource_type="patient",
        resource_id=patient.id,
        details=details,
        changes_lists=True,
        issues=bool(portal),
    )


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
class _Made:
    """A patient whose row is there, and the patient IDs of those who were overruled."""

    patient: SimpleNamespace
    overruled: list[str]


@dataclass(frozen=True, slots=True)
class Begun:
    """A registration that was admitted, and is yet to be made: by ``register_together`` and ``at_once`` perhaps, else
    by ``finish``.
    """

    actor: Actor
    form: PatientRegistration
    despite: Despite
    made: _Made | None = None
    held: bool = False

    @property
    def is_quick(self) -> bool:
        """Whether nothing is hashed and nothing sent for it."""
        return not self.form.create_portal_account

    def at_once(self) -> Registered | None:
        """Record what ``register_together`` has made, in its group, or make it; None where anything stands in its way.

        Nothing is kept then, and ``finish``, outside, tells what it is and records that. For one that ``is_quick``.
        """
        if self.held:
            return None
        try:
            if self.made is None:
                return _saved(self.actor, self.form, None, None, self.despite, tried=True)
            with transaction(self.actor, tried=True, looks=True) as session:
                _record(session, self.actor, self.made.patient, self.made.overruled)
        except db.Apart:
            raise
        except Exception as error:  # whatever it is, it is met again by ``finish``
            if self.made is not None:
                raise db.Apart from error  # its row goes with those of the others
            return None
        view = repository.as_profile(
            self.made.patient, PortalStanding(), registered_by=self.actor.name, portal=NO_PORTAL
        )
        return Registered(DONE, view, None, ())

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


def register_together(all_of_them: Sequence[Begun]) -> list[Begun]:
    """Make several registrations within ``db.grouped``, with hardly more statements than one takes.

    Each of them is then recorded by its ``at_once``, or is held by somebody who is there, or by another of these: then
    that is None. Where any constraint refuses, all of the group is undone. The number of patient IDs is locked from
    here to the commit, so everything that needs no number is done before.
    """
    quick = [one for one in all_of_them if one.is_quick]
    if not quick:
        return list(all_of_them)
    with db.transaction(writes=False) as session:
        made = dict(zip(map(id, quick), _made_together(session, quick), strict=True))
    return [
        replace(one, made=made[id(one)], held=made[id(one)] is None) if id(one) in made else one for one in all_of_them
    ]


def _made_together(session: Session, begun: Sequence[Begun]) -> list[_Made | None]:
    people = [Comparable.of(one.form) for one in begun]
    rows = [_without_number(one.actor, one.form) for one in begun]
    keys = [keys_of(Comparable.of(row)) for row in rows]
    taken = _taken(session, rows)
    looked = holding.look_all(session, people)
    last: int = _LAST.one_or_none(session).value
    since: list[tuple[int, Comparable]] = []
    if last - looked[0].register.patients > holding.NEWCOMERS_AT_MOST:
        looked = holding.look_all(session, people)
    else:
        since = holding.newcomers(session, looked[0], last)
    found: list[_Made | None] = []
    added: list[tuple[SimpleNamespace, Iterable[int], list[Candidate]]] = []
    among: dict[int, str] = {}  # of these: minus the place, which is no id → the patient ID
    for one, person, row, under, seen in zip(begun, people, rows, keys, looked, strict=True):
        like = [*seen.candidates, *best_of(since, person, seen.register)]
        if holding.held(like, one.despite) or taken & _unique(row):
            found.append(None)
            continue
        taken |= _unique(row)
        last += 1
        _number(row, last)
        overruled = holding.overruled(session, [each for each in like if each.id not in among])
        overruled += [among[each.id] for each in like if each.grade.strong and each.id in among]
        found.append(_Made(row, overruled))
        added.append((row, under, like))
        among[-last] = row.patient_id
        since.append((-last, person))
    _put_all_in(session, [row for row, _, _ in added], last)
    for row, under, like in added:
        name_parts.change(session, (), name_parts.parts_of(row.first_name, row.last_name))
        index.add_under(session, row.id, under)
        pair_finding.was_compared(session, row.id, like)
    return found


def _without_number(actor: Actor, form: PatientRegistration) -> SimpleNamespace:
    """The row to be, but for what its number says: it is found by that, too."""
    row = row_of(form, "", actor)
    repository.keys_for_finding(row, ())
    return row


def _number(row: SimpleNamespace, number: int) -> None:
    row.patient_id = f"{get_settings().patient_id_prefix}{number:06d}"
    kept = SearchKeys(row.name_key, row.search_names, row.search_keys, row.search_words)
    vars(row).update(dataclasses.asdict(search_keys.numbered(kept, row.patient_id)))


def _unique(row: Any) -> set[tuple[str, str]]:
    """What of a row nobody else may have."""
    values = (("national", row.national_id_key), ("external", row.external_id))
    return {(name, value) for name, value in values if value}


def _taken(session: Session, rows: Sequence[SimpleNamespace]) -> set[tuple[str, str]]:
    """What others have of that. Constraints decide; this look saves that one which is refused undoes all the others."""
    nationals = [row.national_id_key for row in rows if row.national_id_key]
    externals = [row.external_id for row in rows if row.external_id]
    if not nationals and not externals:
        return set()
    either = or_(PATIENTS.c.national_id_key.in_(nationals), PATIENTS.c.external_id.in_(externals))
    asked = select(PATIENTS.c.national_id_key, PATIENTS.c.external_id).where(either)
    return {one for row in db.connection(session).execute(asked) for one in _unique(row)}


def _put_all_in(session: Session, rows: Sequence[SimpleNamespace], last: int) -> None:
    """Save the rows, each with its number, of which ``last`` is the last given out."""
    if not rows:
        return
    if db.connection(session).dialect.name == "postgresql":
        given = json.dumps([vars(row) for row in rows], default=lambda value: value.isoformat())
        ids = {one.patient_id: one.id for one in _ADD_AND_ADVANCE.all(session, rows=given, last=last)}
        for row in rows:
            row.id = ids[row.patient_id]
        return
    for row in rows:
        row.id = _ADD.one_or_none(session, **vars(row)).id
    _ADVANCED.run(session, last=last)


def _recorded(begun: Begun, *, tried: bool) -> Registered:
    with recorded_failure(begun.actor, Action.PATIENT_CREATE_FAILED, FAILED, resource_type="patient"):
        try:
            return _save(begun.actor, begun.form, begun.despite, tried=tried)
        except IntegrityError as error:
            raise clash(error) from None
