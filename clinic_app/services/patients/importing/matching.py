"""Whether a row of a file may be somebody who is there already: in the register, or further up in the file."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import bindparam, or_, select
from sqlmodel import Session

from clinic_app.core import db
from clinic_app.models.imports import RowOutcome
from clinic_app.models.patients import PATIENTS, BirthPrecision
from clinic_app.services.patients import duplicates, national_ids
from clinic_app.services.patients.birth_dates import BirthDate
from clinic_app.services.patients.duplicates import Comparable, Grade, finding, keys
from clinic_app.services.patients.duplicates.scoring import Register
from clinic_app.services.patients.forms import PatientDetails
from clinic_app.services.patients.importing import screening
from clinic_app.services.patients.importing.rows import ReadRow

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
_HAVING = select(PATIENTS.c.id, PATIENTS.c.external_id, PATIENTS.c.national_id_key).where(
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


class Earlier:
    """Rows further up in the file that are to go in but are not in the register yet. On disk: memory stays flat."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)  # SQLite's own temporary file
        self._db.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
            "CREATE TABLE sharing (key INTEGER, row INTEGER, PRIMARY KEY (key, row)) WITHOUT ROWID;"
            "CREATE TABLE person (row INTEGER PRIMARY KEY, external_id TEXT, details TEXT);"
            "CREATE TABLE one (value TEXT PRIMARY KEY, row INTEGER) WITHOUT ROWID; BEGIN"
        )

    def forget(self) -> None:
        """They are in the register now."""
        for table in ("sharing", "person", "one"):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608  names of ours

    def close(self) -> None:
        """Done: the file goes."""
        self._db.close()

    def add(self, read: ReadRow, who: Comparable) -> None:
        """This one is to go in."""
        form = read.form
        if form is None:
            return
        born = who.born
        details = [who.first_name, who.last_name, who.gender, who.phone, who.email, who.national_id]
        details += [born.day.isoformat(), str(born.precision)] if born else [None, None]
        self._db.execute(
            "INSERT OR REPLACE INTO person VALUES (?, ?, ?)", (read.row, form.external_id, json.dumps(details))
        )
        shared = [(key, read.row) for key in keys.keys_of(who)]
        self._db.executemany("INSERT OR IGNORE INTO sharing VALUES (?, ?)", shared)
        ones = [(value, read.row) for value in _ones(form)]
        self._db.executemany("INSERT OR IGNORE INTO one VALUES (?, ?)", ones)

    def clashes(self, form: PatientDetails) -> dict[str, int]:
        """Field → the row that has this value, which one patient only may have."""
        found = {}
        for value in _ones(form):
            row = self._db.execute("SELECT row FROM one WHERE value = ?", (value,)).fetchone()
            if row:
                found["external_id" if value[0] == "e" else "national_id"] = row[0]
        return found

    def matches(self, who: Comparable, register: Register) -> list[Match]:
        """Those that may be the same person, best first."""
        worth = keys.keys_to_ask(who)
        asked = [key for key, points in worth.items() if points >= keys.WORTH["part days"]]
        marks = ",".join("?" * len(asked))
        under = self._db.execute(
            f"SELECT key, row FROM sharing WHERE key IN ({marks}) LIMIT ?",  # noqa: S608  question marks
            (*asked, _LOOKED_AT),
        )
        shared: Counter[int] = Counter()
        for key, row in under:
            shared[row] += worth[key]
        if not shared:
            return []
        found = [self._compared(who, row, register) for row, _ in shared.most_common(_COMPARED)]
        return sorted((one for one in found if one.grade.strong or one.score >= finding.LEAST), key=_best_first)[:LIMIT]

    def _compared(self, who: Comparable, row: int, register: Register) -> Match:
        external_id, details = self._db.execute(
            "SELECT external_id, details FROM person WHERE row = ?", (row,)
        ).fetchone()
        other = json.loads(details)
        born = BirthDate(dt.date.fromisoformat(other[6]), BirthPrecision(other[7])) if other[6] else None
        found = duplicates.compare(0, who, Comparable(other[0], other[1], born, *other[2:6]), register)
        return Match(0, row, found.score, found.grade, found.reasons, external_id=external_id)


def _best_first(one: Match) -> tuple[bool, float, int]:
    return not one.grade.strong, -one.score, one.id


def _ones(form: PatientDetails) -> list[str]:
    """What one patient only may have, each with a letter that says what it is."""
    national = national_ids.key(form.national_id)
    return [*([f"e{form.external_id}"] if form.external_id else []), *([f"n{national}"] if national else [])]


@dataclass(frozen=True, slots=True)
class _Taken:
    """Who has the values that one patient only may have, of a batch of rows."""

    external_ids: Mapping[str, int]
    national_ids: Mapping[str, int]


def _taken(session: Session, forms: Iterable[PatientDetails]) -> _Taken:
    forms = list(forms)
    external = sorted({form.external_id for form in forms if form.external_id})
    national = sorted({key for form in forms if (key := national_ids.key(form.national_id))})
    if not external and not national:
        return _Taken({}, {})
    rows = db.connection(session).execute(_HAVING, {"external_ids": external, "national_ids": national}).all()
    return _Taken(
        {row.external_id: row.id for row in rows if row.external_id},
        {row.national_id_key: row.id for row in rows if row.national_id_key},
    )


def judge(
    session: Session, reads: Sequence[ReadRow], earlier: Earlier, goes_in: Callable[[Judged], bool], *, whole: bool
) -> list[Judged]:
    """What each row is, in their order. Building block for one reading session.

    ``goes_in(judged)`` says whether a row will be taken in, so that those below are compared with it too. ``whole``:
    for each row those who may be the same are named, also where no match is strong.
    """
    people = [None if read.form is None else Comparable.of(read.form) for read in reads]
    register = screening.register(session, people)
    ask = [whole] * len(reads) if whole else screening.perhaps_strong(session, people, register)
    taken = _taken(session, (read.form for read in reads if read.form is not None))
    found: list[Judged] = []
    for read, who, asked in zip(reads, people, ask, strict=True):
        if read.form is None or who is None:
            one = Judged(read, RowOutcome.INVALID, read.errors)
        else:
            known = finding.find(session, who, register, limit=LIMIT) if asked else []
            like = [Match(each.id, 0, each.score, each.grade, tuple(each.reasons)) for each in known]
            one = _judged(read, read.form, [*like, *earlier.matches(who, register)], taken, earlier)
            if goes_in(one):
                earlier.add(read, who)
        found.append(one)
    return _named(session, found)


def _judged(read: ReadRow, form: PatientDetails, like: list[Match], taken: _Taken, earlier: Earlier) -> Judged:
    found = {(one.id, one.row): one for one in like}
    clashes: dict[str, str] = {}
    in_file = earlier.clashes(form)
    for name, label, sentence, has in (
        ("external_id", "external ID", EXTERNAL_ID_TAKEN, taken.external_ids.get(form.external_id or "", 0)),
        (
            "national_id",
            "national ID",
            NATIONAL_ID_TAKEN,
            taken.national_ids.get(national_ids.key(form.national_id) or "", 0),
        ),
    ):
        row = in_file.get(name, 0)
        if not has and not row:
            continue
        clashes[name] = sentence if has else IN_THIS_FILE.format(row=row, label=label)
        which = (has, 0) if has else (0, row)
        one = found.get(which, Match(*which, 1.0, Grade.CERTAIN, ()))
        said = f"Same {label}"
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
