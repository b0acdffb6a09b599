"""Building block of the demo clinic: very many invented people at once, as if they had been registered one by one."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Index, Table, func, select, text, update
from sqlmodel import Session

from clinic_app.core import db
from clinic_app.core.settings import get_settings
from clinic_app.models.accounts import Role
from clinic_app.models.audit import AUDIT_EVENTS, AUDIT_HEAD
from clinic_app.models.patients import COUNTERS, PATIENTS
from clinic_app.services.audit.actions import Action, Outcome
from clinic_app.services.audit.recording import link
from clinic_app.services.patients import national_ids, rebuilding, search_keys

#: So many are written at a time.
BATCH = 20_000
_PATIENT = [column.name for column in PATIENTS.columns]
_NOTHING_SAID = {column.name: None for column in PATIENTS.columns if column.nullable}
_EVENT = [column.name for column in AUDIT_EVENTS.columns]


class Person(NamedTuple):
    """Somebody to be registered: values as the table keeps them. Phones are E.164 of Kenya."""

    first_name: str
    last_name: str
    date_of_birth: dt.date | None
    gender: str
    phone: str | None
    email: str | None
    national_id: str | None
    address: str | None
    next_of_kin_name: str | None
    next_of_kin_phone: str | None


class _Keyed(NamedTuple):
    """What the keys for finding are made of."""

    patient_id: str
    first_name: str
    last_name: str
    phone: str | None
    email: str | None
    national_id: str | None
    external_id: str | None
    next_of_kin_name: str | None
    next_of_kin_phone: str | None


def dialled(number: str | None) -> tuple[str, ...]:
    """As ``phones.dialled``, for numbers of Kenya, without the library that knows all countries: it takes its time."""
    return (number[1:], f"0{number[4:]}") if number else ()


def _row(row_id: int, patient_id: str, person: Person, at: dt.datetime, desk: int) -> dict[str, Any]:
    keyed = _Keyed(
        patient_id,
        person.first_name,
        person.last_name,
        person.phone,
        person.email,
        person.national_id,
        None,
        person.next_of_kin_name,
        person.next_of_kin_phone,
    )
    keys = search_keys.keys_of(keyed, dialled=dialled)
    return {
        **_NOTHING_SAID,
        **person._asdict(),
        "id": row_id,
        "patient_id": patient_id,
        "single_name": False,
        "date_of_birth_precision": "DAY",
        "national_id_key": national_ids.key(person.national_id),
        "external_id": None,
        "preferred_language": None,
        "email_allowed": True,
        "sms_allowed": True,
        "portal_enabled": False,
        "is_active": True,
        "verification_status": "VERIFIED",
        "name_key": keys.name_key,
        "search_names": keys.search_names,
        "search_keys": keys.search_keys,
        "search_words": keys.search_words,
        "created_at": at,
        "updated_at": at,
        "registered_by_id": desk,
        "version": 1,
        "merged_into_id": None,
    }


def _event(seq: int, at: dt.datetime, row_id: int, patient_id: str, desk: int) -> dict[str, Any]:
    return {
        "seq": seq,
        "at": at,
        "actor": "account",
        "actor_id": desk,
        "role": str(Role.RECEPTIONIST),
        "action": str(Action.PATIENT_CREATED),
        "outcome": str(Outcome.SUCCESS),
        "resource_type": "patient",
        "resource_id": row_id,
        "address": "",
        "user_agent": "",
        "request_id": "",
        "metadata": {"patient_id": patient_id, "portal_account_created": False},
    }


def _copy(session: Session, table: Table, names: Sequence[str], rows: list[dict[str, Any]]) -> None:
    """Write rows the quickest way that the database knows."""
    connection = db.connection(session)
    dialect = connection.dialect
    inward = {name: table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names}

    def plain(row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(change(row[name]) if (change := inward[name]) else row[name] for name in names)

    driver: Any = connection.connection.dbapi_connection
    if dialect.name == "sqlite":
        marks = ", ".join("?" * len(names))
        driver.executemany(f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})", map(plain, rows))  # noqa: S608
        return
    with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({', '.join(names)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(plain(row))


@contextlib.contextmanager
def in_bulk() -> Iterator[None]:
    """Indexes of patients rest while the block writes very many, and are made at its end: that is much quicker."""
    resting = sorted((index for index in PATIENTS.indexes if not index.unique), key=lambda index: str(index.name))
    _put_to_rest(resting)
    yield
    with db.transaction() as session:
        for index in resting:
            index.create(db.connection(session))
        rebuilding.make(session)
    db.tidy_up()


def _put_to_rest(indexes: Sequence[Index]) -> None:
    with db.transaction() as session:
        rebuilding.take_away(session)
        for index in indexes:
            index.drop(db.connection(session))


class Crowd:
    """``people``, ``count`` of them, registered evenly between two moments; ``told`` hears how many were written."""

    def __init__(
        self, people: Iterator[Person], count: int, first: dt.datetime, last: dt.datetime, told: Callable[[int], None]
    ) -> None:
        self._people, self.count, self.first, self._told = people, count, first, told
        self._every = (last - first) / (count + 1)
        self._done = 0

    def until(self, moment: dt.datetime, desk: int) -> None:
        """Register who came before ``moment``, by the account ``desk``."""
        due = min(self.count, max(0, int((moment - self.first) / self._every)))
        while self._done < due:
            some = list(islice(self._people, min(BATCH, due - self._done)))
            self._write(some, desk)
            self._done += len(some)
            self._told(len(some))

    def _write(self, people: Sequence[Person], desk: int) -> None:
        prefix = get_settings().patient_id_prefix
        with db.transaction() as session:
            run = db.connection(session).execute
            number = run(select(COUNTERS.c.value).where(COUNTERS.c.name == "patient_id").with_for_update()).scalar_one()
            head = run(select(AUDIT_HEAD).where(AUDIT_HEAD.c.id == 1).with_for_update()).one()
            last_id = run(select(func.coalesce(func.max(PATIENTS.c.id), 0))).scalar_one()
            seq, mark, rows, events = head.seq, head.hash, [], []
            for place, person in enumerate(people, 1):
                at = self.first + self._every * (self._done + place)
                row = _row(last_id + place, f"{prefix}{number + place:06d}", person, at, desk)
                event = _event(seq + place, at, row["id"], row["patient_id"], desk)
                event["hash"] = mark = link(mark, event)
                rows.append(row)
                events.append(event)
            _copy(session, PATIENTS, _PATIENT, rows)
            _copy(session, AUDIT_EVENTS, _EVENT, events)
            moved = {"seq": seq + len(rows), "hash": mark, "changes": head.changes + 1}
            run(update(AUDIT_HEAD).where(AUDIT_HEAD.c.id == 1).values(**moved))
            run(update(COUNTERS).where(COUNTERS.c.name == "patient_id").values(value=number + len(rows)))
            if db.connection(session).dialect.name == "postgresql":  # its ids were given here
                run(text("SELECT setval(pg_get_serial_sequence('patients', 'id'), max(id)) FROM patients"))
            db.changed(session)
