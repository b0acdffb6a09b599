"""Whether a row of a file may be somebody who is there already: in the register, or further up in the file."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import bindparam, or_, select
from sqlmodel import Session

from clinic_app.core import db
from clinic_app.models.imports import RowOutcome
from clinic_app.models.patients import PATIENTS, BirthPrecision
from clinic_app.services.patients.birth_dates import BirthDate
from clinic_app.services.patients.duplicates import Comparable, Grade, finding, keys, scoring
from clinic_app.services.patients.duplicates.scoring import Register
from clinic_app.services.patients.forms import PatientDetails
from clinic_app.services.patients.importing import screening
from clinic_app.services.patients.importing.rows import Person, ReadRow

#: So many of those who may be the same are named.
LIMIT = 5
#: Rows of the same file that share more keys than others are compared; so many of them.
_COMPARED = 20
#: Of the rows that share a key with one so many are looked at.
_LOOKED_AT = 2000
EXTERNAL_ID_TAKEN = "Another patient has this external ID."
NATIONAL_ID_TAKEN = "Another patient has this national ID."
IN_THIS_FILE = "Row {row} of this file has the same {label}."
_WHO = select(PATIENTS.c.id, PATIENTS.c.patient_id, PATIENTS.c.external_id)
_HAVING = select(PATIENTS.c.id, PATIENTS.c.external_id, PATIENTS.c.national_id_key, PATIENTS.c.merged_into_id).where(
    or_(
        PATIENTS.c.external_id.in_(bindparam("external_ids", expanding=True)),
        PATIENTS.c.national_id_key.in_(bindparam("national_ids", expanding=True)),
    )
)


@dataclass(frozen=True, slots=True)
class Match:
    """Somebody who may be the same: a patient by ``id``, or a row of the same file by ``row``; one of them is 0."""

    id: int
    row: int
    score: float
    grade: Grade
    reasons: tuple[str, ...]
    patient_id: str = ""
    external_id: str | None = None

    def as_json(self) -> list[Any]:
        """As it is kept: nothing but numbers, grade and reasons."""
        return [self.id, self.row, self.score, str(self.grade), list(self.reasons)]

    @classmethod
    def kept(cls, one: Sequence[Any]) -> Match:
        """From what was kept."""
        return cls(one[0], one[1], one[2], Grade(one[3]), tuple(one[4]))

    def told(self) -> dict[str, Any]:
        """For programs."""
        said = {"patient_id": self.patient_id or None, "external_id": self.external_id}
        said |= {"score": round(self.score, 4), "grade": str(self.grade).lower(), "reasons": list(self.reasons)}
        return {**said, "row": self.row} if self.row else said


@dataclass(frozen=True, slots=True)
class Judged:
    """A row with what it is. ``clashes``: by field, which value belongs to somebody else, so that it cannot go in."""

    read: ReadRow
    outcome: RowOutcome
    errors: Mapping[str, str]
    matches: tuple[Match, ...] = ()
    clashes: Mapping[str, str] = field(default_factory=dict)


class _Memory:
    """A few rows: those of one batch."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._under: dict[int, list[int]] = {}
        self._ones: dict[str, int] = {}
        self._people: dict[int, tuple[str | None, Comparable]] = {}

    def close(self) -> None:
        self.forget()

    def put(self, row: int, form: PatientDetails, person: Person) -> None:
        self._people[row] = form.external_id, person.who
        for key in person.stands:
            self._under.setdefault(key, []).append(row)
        for value in _ones(person):
            self._ones.setdefault(value, row)

    def under(self, asked: Sequence[int]) -> Iterator[tuple[int, int]]:
        for key in asked:
            for row in self._under.get(key, ()):
                yield key, row

    def has(self, value: str) -> int:
        return self._ones.get(value, 0)

    def person(self, row: int) -> tuple[str | None, Comparable]:
        return self._people[row]


class _Disk:
    """A whole file of them, in SQLite's own temporary file: memory stays flat."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
            "CREATE TABLE sharing (key INTEGER, row INTEGER, PRIMARY KEY (key, row)) WITHOUT ROWID;"
            "CREATE TABLE person (row INTEGER PRIMARY KEY, external_id TEXT, details TEXT);"
            "CREATE TABLE one (value TEXT PRIMARY KEY, row INTEGER) WITHOUT ROWID; BEGIN"
        )

    def close(self) -> None:
        self._db.close()

    def put(self, row: int, form: PatientDetails, person: Person) -> None:
        born, run = form.date_of_birth, self._db.execute
        details = [form.first_name, form.last_name, str(form.gender), form.phone, form.email, form.national_id]
        details += [born.day.isoformat(), str(born.precision)] if born else [None, None]
        run("INSERT OR REPLACE INTO person VALUES (?, ?, ?)", (row, form.external_id, json.dumps(details)))
        self._db.executemany("INSERT OR IGNORE INTO sharing VALUES (?, ?)", [(key, row) for key in person.stands])
        self._db.executemany("INSERT OR IGNORE INTO one VALUES (?, ?)", [(value, row) for value in _ones(person)])

    def under(self, asked: Sequence[int]) -> Iterable[tuple[int, int]]:
        marks = ",".join("?" * len(asked))
        statement = f"SELECT key, row FROM sharing WHERE key IN ({marks}) LIMIT ?"  # noqa: S608  question marks
        return self._db.execute(statement, (*asked, _LOOKED_AT))

    def has(self, value: str) -> int:
        row = self._db.execute("SELECT row FROM one WHERE value = ?", (value,)).fetchone()
        return row[0] if row else 0

    def person(self, row: int) -> tuple[str | None, Comparable]:
        found = self._db.execute("SELECT external_id, details FROM person WHERE row = ?", (row,)).fetchone()
        other = json.loads(found[1])
        born = BirthDate(dt.date.fromisoformat(other[6]), BirthPrecision(other[7])) if other[6] else None
        return found[0], Comparable(other[0], other[1], born, *other[2:6])


class Earlier:
    """Rows further up in the file that are to go in but are not in the register yet: of a batch, or ``all_of_it``."""

    def __init__(self, *, all_of_it: bool = False) -> None:
        self._kept: _Memory | _Disk = _Disk() if all_of_it else _Memory()

    def forget(self) -> None:
        """They are in the register now."""
        if isinstance(self._kept, _Memory):
            self._kept.forget()

    def close(self) -> None:
        """Done."""
        self._kept.close()

    def add(self, row: int, form: PatientDetails, person: Person) -> None:
        """This one is to go in."""
        self._kept.put(row, form, person)

    def clashes(self, person: Person) -> dict[str, int]:
        """Field → the row that has this value, which one patient only may have."""
        found = {}
        for value in _ones(person):
            if row := self._kept.has(value):
                found["external_id" if value[0] == "e" else "national_id"] = row
        return found

    def matches(self, person: Person, register: Register) -> list[Match]:
        """Those that may be the same person, best first."""
        asked = [key for key, points in person.asks.items() if points >= keys.WORTH["part days"]]
        shared: Counter[int] = Counter()
        for key, row in self._kept.under(asked):
            shared[row] += person.asks[key]
        if not shared:
            return []
        kept = {row: self._kept.person(row) for row, _ in shared.most_common(_COMPARED)}
        people = ((row, who) for row, (_, who) in kept.items())
        return [
            Match(0, one.id, one.score, one.grade, tuple(one.reasons), external_id=kept[one.id][0])
            for one in scoring.best_of(people, person.who, register, LIMIT)
        ]


def _best_first(one: Match) -> tuple[bool, float, int]:
    return not one.grade.strong, -one.score, one.id


def _ones(person: Person) -> list[str]:
    """What one patient only may have, each with a letter that says what it is."""
    external, national = person.external_id, person.national_id
    return [*([f"e{external}"] if external else []), *([f"n{national}"] if national else [])]


@dataclass(frozen=True, slots=True)
class _Taken:
    """Who has the values that one patient only may have: of a merged record, the one it leads to."""

    external_ids: Mapping[str, int]
    national_ids: Mapping[str, int]


def _taken(session: Session, people: Sequence[Person | None]) -> _Taken:
    external = sorted({one.external_id for one in people if one and one.external_id})
    national = sorted({one.national_id for one in people if one and one.national_id})
    if not external and not national:
        return _Taken({}, {})
    rows = db.connection(session).execute(_HAVING, {"external_ids": external, "national_ids": national}).all()
    leads = finding.survivors(session, rows)
    return _Taken(
        {row.external_id: leads[row.id] or row.id for row in rows if row.external_id},
        {row.national_id_key: leads[row.id] or row.id for row in rows if row.national_id_key},
    )


def judge(
    session: Session, reads: Sequence[ReadRow], earlier: Earlier, goes_in: Callable[[Judged], bool], *, whole: bool
) -> list[Judged]:
    """What each row is, in their order. Building block for one reading session.

    ``goes_in(judged)`` says whether a row will be taken in, so that those below are compared with it too. ``whole``:
    for each row those who may be the same are named, also where no match is strong.
    """
    people = [read.person for read in reads]
    register = screening.register(session, people)
    ask = [whole] * len(reads) if whole else screening.perhaps_strong(session, people, register)
    taken = _taken(session, people)
    found: list[Judged] = []
    for read, person, asked in zip(reads, people, ask, strict=True):
        if read.form is None or person is None:
            one = Judged(read, RowOutcome.INVALID, read.errors)
        else:
            known = finding.find(session, person.who, register, limit=LIMIT) if asked else []
            like = [Match(each.id, 0, each.score, each.grade, tuple(each.reasons)) for each in known]
            one = _judged(read, person, [*like, *earlier.matches(person, register)], taken, earlier)
            if goes_in(one):
                earlier.add(read.row, read.form, person)
        found.append(one)
    return _named(session, found)


def _judged(read: ReadRow, person: Person, like: list[Match], taken: _Taken, earlier: Earlier) -> Judged:
    found = {(one.id, one.row): one for one in like}
    clashes: dict[str, str] = {}
    in_file = earlier.clashes(person)
    for name, label, sentence, has in (
        ("external_id", "external ID", EXTERNAL_ID_TAKEN, taken.external_ids.get(person.external_id or "", 0)),
        (
            "national_id",
            "national ID",
            NATIONAL_ID_TAKEN,
            taken.national_ids.get(person.national_id or "", 0),
        ),
    ):
        row = in_file.get(name, 0)
        if not has and not row:
            continue
        clashes[name] = sentence if has else IN_THIS_FILE.format(row=row, label=label)
        which = (has, 0) if has else (0, row)
        one = found.get(which, Match(*which, 1.0, Grade.CERTAIN, ()))
        said = label[:1].upper() + label[1:]
        reasons = one.reasons if said in one.reasons else (said, *one.reasons)
        certain = name == "external_id"
        score, grade = (1.0, Grade.CERTAIN) if certain or not one.grade.strong else (one.score, one.grade)
        found[which] = replace(one, score=score, grade=grade, reasons=reasons)
    matches = tuple(sorted(found.values(), key=_best_first)[:LIMIT])
    strong = any(one.grade.strong for one in matches)
    outcome = RowOutcome.POSSIBLE_DUPLICATE if strong or clashes else RowOutcome.NEW
    return Judged(read, outcome, {}, matches, clashes)


def named(session: Session, matches: Iterable[Match]) -> dict[int, Any]:
    """Patient → patient ID and external ID, of those who may be the same."""
    wanted = sorted({one.id for one in matches if one.id})
    rows = session.execute(_WHO.where(PATIENTS.c.id.in_(wanted))).all() if wanted else []
    return {row.id: row for row in rows}


def _named(session: Session, found: list[Judged]) -> list[Judged]:
    who = named(session, (match for one in found for match in one.matches))
    return [
        replace(one, matches=tuple(with_name(match, who) for match in one.matches)) if one.matches else one
        for one in found
    ]


def with_name(match: Match, who: Mapping[int, Any]) -> Match:
    """``match`` with the numbers that ``named`` found."""
    row = who.get(match.id)
    return replace(match, patient_id=row.patient_id, external_id=row.external_id) if row else match
