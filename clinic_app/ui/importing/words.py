"""An import in figures and words."""

from __future__ import annotations

import datetime as dt

from clinic_app.core import clock, routes
from clinic_app.core.counts import plural
from clinic_app.services.patients import wording
from clinic_app.services.patients.importing.runs import PAGE_SIZE
from clinic_app.services.patients.importing.views import Alike, EarlierImport, FileRow, ImportView
from clinic_app.ui.view_models import AlikeRow, EarlierFile, FileRowShown, Filter, Tally

_OUTCOMES = {
    "new": ("New", "good"),
    "possible_duplicate": ("Possible duplicate", "warn"),
    "invalid": ("Invalid", "bad"),
}
#: So many who may be the same are shown of a row.
_ALIKE = 3
#: So many of the columns that are left out are named.
_NAMES = 20


def tally(found: ImportView) -> list[Tally]:
    """What the check has found."""
    out = [
        Tally(f"{found.new:,}", "new"),
        Tally(f"{found.duplicates:,}", "possible duplicate" if found.duplicates == 1 else "possible duplicates"),
        Tally(f"{found.invalid:,}", "invalid", "stay out" if found.invalid else ""),
    ]
    return out if found.duplicates else [out[0], out[2]]


def left_out(found: ImportView) -> list[Tally]:
    """What did not go in."""
    words = "possible duplicate" if found.duplicates == 1 else "possible duplicates"
    figures = [Tally(f"{found.duplicates:,}", words), Tally(f"{found.invalid:,}", "invalid")]
    return figures if found.total else []


def columns(found: ImportView) -> str:
    """Before the names of columns that are left out; empty where there are none."""
    number = len(found.left_out_columns)
    if not number:
        return ""
    return "1 column has no place here and is left out: " if number == 1 else (
        f"{number:,} columns have no place here and are left out: "
    )  # fmt: skip


def column_names(found: ImportView) -> list[str]:
    """Their names, as many as somebody reads."""
    return list(found.left_out_columns[:_NAMES])


def more_columns(found: ImportView) -> str:
    """How many more there are; empty where all are named."""
    more = len(found.left_out_columns) - _NAMES
    return f" and {more:,} more" if more > 0 else ""


def filters(found: ImportView) -> list[Filter]:
    """All rows, and by what they are."""
    numbers = {
        "": ("All rows", found.rows),
        "new": ("New", found.new),
        "possible_duplicate": ("Possible duplicate", found.duplicates),
        "invalid": ("Invalid", found.invalid),
    }
    return [Filter(key, words, f"{count:,}", found.only == key) for key, (words, count) in numbers.items()]


def _alike(row: FileRow, one: Alike) -> AlikeRow:
    reasons = ", ".join(one.reasons)
    if not one.id:
        return AlikeRow(f"{row.row}-r{one.row}", row.row, 0, f"row {one.row:,} of this file", "", reasons)
    href = routes.profile(one.patient_id)
    chosen = row.decision == "SAME_PERSON" and row.same_id == one.id
    return AlikeRow(f"{row.row}-p{one.id}", row.row, one.id, f"{one.name}, {one.patient_id}", href, reasons, chosen)


def row_shown(one: FileRow, *, waits: bool) -> FileRowShown:
    """A row as the page shows it; ``waits``: possible duplicates can be decided."""
    words, tone = _OUTCOMES[one.outcome]
    duplicate = one.outcome == "possible_duplicate"
    return FileRowShown(
        one.row,
        f"{one.row:,}",
        one.name,
        one.born,
        words,
        tone,
        " ".join(one.errors),
        [_alike(one, each) for each in one.alike[:_ALIKE]] if duplicate or one.errors else [],
        waits and duplicate,
        one.decision,
    )


def summary(found: ImportView) -> str:
    """``1–25 of 1,923 rows``."""
    first = (found.page - 1) * PAGE_SIZE
    return f"{first + 1:,}–{first + len(found.shown):,} of {plural(found.total, 'row')}"


def rest(found: ImportView) -> str:
    """Over the choice for all possible duplicates together."""
    if found.duplicates == 1:
        return "The possible duplicate, unless decided above"
    return f"The {found.duplicates:,} possible duplicates, unless decided above"


def button(found: ImportView) -> str:
    """``Import 1,873 patients``."""
    if found.same:
        return f"Import {plural(found.goes_in, 'patient')}, link {found.same:,}"
    return f"Import {plural(found.goes_in, 'patient')}"


def again(found: ImportView) -> str:
    """That the same file was imported before; empty where it was not."""
    return f"This very file was imported before: {_instant(found.earlier)}." if found.earlier else ""


def _instant(instant: dt.datetime) -> str:
    there = clock.local(instant)
    return f"{wording.date_words(there.date())}, {there:%H:%M}"


def _by(name: str) -> str:
    return f"by {name or 'the command line'}"


def by(found: ImportView) -> str:
    """``27 Nov 2026, 21:43, by Daniel Otieno``: every administrator sees an import that is under way."""
    return f"{_instant(found.started_at)}, {_by(found.started_by)}"


def progress(found: ImportView) -> str:
    """How far it is, in rows while that is known."""
    if found.state == "IMPORTING":
        return f"{found.imported + found.same:,} of {found.goes_in + found.same:,}" if found.rows else ""
    return plural(found.rows, "row")


def _took(found: ImportView) -> str:
    if not (found.ended_at and found.import_started_at):
        return ""
    seconds = max(1, round((found.ended_at - found.import_started_at).total_seconds()))
    if seconds < 100:
        return f"In {plural(seconds, 'second')}, "
    return f"In {round(seconds / 60)} minutes, "


def done(found: ImportView) -> tuple[str, str]:
    """What was done, and how, when, by whom."""
    first = f"{plural(found.imported, 'patient')} imported."
    if found.same:
        first += f" {plural(found.same, 'row')} {'was' if found.same == 1 else 'were'} somebody who was there already."
    how = f"{_took(found)}{_by(found.started_by)}, {_instant(found.ended_at or found.started_at)}."
    if found.first_patient_id:
        numbers = found.first_patient_id
        if found.last_patient_id != found.first_patient_id:
            numbers += f" to {found.last_patient_id}"
        how += f" {numbers}."
    return first, how[:1].upper() + how[1:]


def early(found: ImportView) -> str:
    """Why it is over before its end; empty where it came to it."""
    if found.state == "STOPPED":
        return f"{found.reason or 'Stopped before its end.'} What is in stays in."
    if found.state == "ENDED":
        return "Ended early: whoever ran it may no longer import patients. What is in stays in."
    return ""


def earlier(one: EarlierImport) -> EarlierFile:
    """``2 Jun 2026, 18:02, by Daniel Otieno · 1,204 new, 12 left out``."""
    words = f"{_instant(one.at)}, {_by(one.started_by)} · {one.imported:,} in, {one.left_out:,} left out"
    return EarlierFile(one.id, one.name, words)
