"""The rows of one batch, written in one transaction: patients, what they are found by, their events in the chain."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Sequence

from sqlalchemy import bindparam, func, insert, select, text, update
from sqlmodel import Session

from clinic_app.core import db
from clinic_app.core.errors import NotFound
from clinic_app.core.prepared import Prepared
from clinic_app.core.settings import get_settings
from clinic_app.models.patients import COUNTERS, PATIENTS, Patient
from clinic_app.services.access import Actor
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.recording import record_many
from clinic_app.services.patients import name_parts, repository, search_keys
from clinic_app.services.patients.duplicates import Comparable, compare, index
from clinic_app.services.patients.duplicates.finding import PEOPLE
from clinic_app.services.patients.duplicates.holding import NEWCOMERS_AT_MOST, SomebodyNew
from clinic_app.services.patients.errors import PatientMerged
from clinic_app.services.patients.forms import PatientUpdate
from clinic_app.services.patients.importing import screening
from clinic_app.services.patients.importing.matching import EXTERNAL_ID_TAKEN
from clinic_app.services.patients.importing.rows import ReadRow
from clinic_app.services.patients.looks import Seen
from clinic_app.services.patients.profile import change_details
from clinic_app.services.patients.registration import row_of
from clinic_app.services.patients.search_keys import SearchKeys

_NUMBERS = Prepared(
    update(COUNTERS)
    .where(COUNTERS.c.name == "patient_id")
    .values(value=COUNTERS.c.value + bindparam("more"))
    .returning(COUNTERS.c.value)
)
_ADD = Prepared(insert(PATIENTS).values({column.name: bindparam(column.name) for column in PATIENTS.columns}))
_LAST_ID = select(func.coalesce(func.max(PATIENTS.c.id), 0))
_NEXT_IDS = text("SELECT nextval(pg_get_serial_sequence('patients', 'id')) FROM generate_series(1, :count)")
_WITH_EXTERNAL_ID = select(PATIENTS.c.id).where(PATIENTS.c.external_id == bindparam("external_id"))
_FOUND_BY = [field.name for field in dataclasses.fields(SearchKeys)]
GONE = "The record chosen as the same person is not there any more."
OTHER_EXTERNAL_ID = "The record chosen as the same person has another external ID already."


def _new_ids(session: Session, count: int) -> list[int]:
    """Ids that nobody has, ascending: one statement with all rows needs them before."""
    connection = db.connection(session)
    if connection.dialect.name == "postgresql":
        return sorted(connection.execute(_NEXT_IDS, {"count": count}).scalars())
    last = connection.execute(_LAST_ID).scalar_one()  # nobody else writes until the commit
    return list(range(last + 1, last + count + 1))


def add_patients(session: Session, actor: Actor, reads: Sequence[ReadRow], run_id: int) -> list[str]:
    """Building block: register these, each with its event, as at the desk; returns their patient IDs.

    Raises ``IntegrityError`` where a value belongs to somebody else meanwhile: nothing of the batch is kept then.
    """
    people = [(read.form, read.person) for read in reads if read.form is not None and read.person is not None]
    if not people:
        return []
    prefix = get_settings().patient_id_prefix
    first = _NUMBERS.one_or_none(session, more=len(people)).value - len(people) + 1
    patients = []
    ids = _new_ids(session, len(people))
    for number, (ident, (form, person)) in enumerate(zip(ids, people, strict=True), first):
        patient = row_of(form, f"{prefix}{number:06d}", actor)
        found_by = search_keys.numbered(person.found_by, patient.patient_id)
        patients.append({"id": ident, **vars(patient), **{name: getattr(found_by, name) for name in _FOUND_BY}})
    _ADD.many(session, patients)
    name_parts.add_many(session, (name_parts.parts_of(form.first_name, form.last_name) for form, _ in people))
    stands = [
        {"key": key, "patient_id": ident}
        for ident, (_, person) in zip(ids, people, strict=True)
        for key in person.stands
    ]
    stands.sort(key=operator.itemgetter("key"))  # each page of the index is found once
    index.add_many(session, stands)
    numbers = [patient["patient_id"] for patient in patients]
    about = [
        (ident, {"patient_id": number, "portal_account_created": False, "import": run_id})
        for ident, number in zip(ids, numbers, strict=True)
    ]
    record_many(session, actor, Action.PATIENT_CREATED, resource_type="patient", about=about)
    return numbers


def look_again(session: Session, reads: Sequence[ReadRow], since: int, given: Sequence[str]) -> None:
    """Building block: whether somebody registered at a desk since the look is one of ``reads``, which have just got the
    numbers ``given``. Raises ``SomebodyNew``, which undoes the batch.

    Numbers are given out one after the other, so whoever came meanwhile is known by theirs: those after ``since``.
    """
    if not reads or not given:
        return
    prefix = get_settings().patient_id_prefix
    between = range(since + 1, int(given[0].removeprefix(prefix)))
    if len(between) > NEWCOMERS_AT_MOST:
        raise SomebodyNew
    if not between:
        return
    people = [read.person for read in reads if read.person is not None]
    among = screening.register(session, people)
    numbers = [f"{prefix}{one:06d}" for one in between]
    rows = db.connection(session).execute(PEOPLE.where(PATIENTS.c.patient_id.in_(numbers))).all()
    newcomers = [Comparable.of(row) for row in rows]
    if any(compare(0, one.who, other, among).grade.strong for one in people for other in newcomers):
        raise SomebodyNew


def _survivor(session: Session, patient: int) -> Patient:
    """The record, or the one it was merged into since it was chosen, locked. Raises ``NotFound``, ``PatientMerged``."""
    try:
        return repository.find(session, patient, Seen.CHANGED, lock=True)
    except PatientMerged as merged:
        return repository.find(session, merged.into, Seen.CHANGED, lock=True)


def same_person(session: Session, actor: Actor, patient: int, external_id: str | None) -> str:
    """Building block: this row is the patient with this id, who gets its external ID. Why not, in words, or nothing.

    Where the row has none, or the record has it already, nothing is changed.
    """
    try:
        found = _survivor(session, patient)
    except (NotFound, PatientMerged):
        return GONE
    if not external_id or found.external_id == external_id:
        return ""
    if found.external_id:
        return OTHER_EXTERNAL_ID
    if session.execute(_WITH_EXTERNAL_ID, {"external_id": external_id}).first() is not None:
        return EXTERNAL_ID_TAKEN
    change_details(session, actor, found, PatientUpdate({"external_id": external_id}))
    return ""
