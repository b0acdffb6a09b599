"""A row of a file as a patient's details, by the rules of the desk. What spreadsheets do to values is undone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from clinic_app.core import csv_safe
from clinic_app.core.errors import InvalidInput
from clinic_app.models.patients import BirthPrecision
from clinic_app.services.patients import national_ids, search_keys
from clinic_app.services.patients.duplicates import Comparable, keys
from clinic_app.services.patients.forms import ESTIMATED, LABELS, PATIENT_FIELDS, Kind, PatientDetails
from clinic_app.services.patients.importing.csv_file import PRECISION, Record
from clinic_app.services.patients.search_keys import SearchKeys

#: What is wrong with a row as a whole is said under this name.
ROW = "row"
_YES, _NO = frozenset({"true", "yes", "y", "1", "on"}), frozenset({"false", "no", "n", "0", "off"})
_GENDERS = {"m": "MALE", "f": "FEMALE", "o": "OTHER", "u": "UNKNOWN"}
_TICKS = frozenset({name for name, field in PATIENT_FIELDS.items() if field.kind is Kind.TICK} | {ESTIMATED})
#: In front of these a spreadsheet puts an apostrophe so that they stay text; it is never part of them.
_NUMBERS = frozenset({"phone", "next_of_kin_phone", "national_id", "external_id", "date_of_birth", "email", "gender"})
_SHORTENED = re.compile(r"[0-9](?:[.,][0-9]+)?E[+-]?[0-9]{1,3}", re.IGNORECASE)
SHORTENED = "{label} was shortened to {value} by a spreadsheet. Format the column as text and fill it in again."


@dataclass(frozen=True, slots=True)
class Person:
    """What is made of a row's details for finding and comparing: worked out where the row is read."""

    who: Comparable
    stands: tuple[int, ...]  # under these of the matcher's keys
    asks: Mapping[int, int]  # under these for others, each with its worth
    found_by: SearchKeys  # without the patient ID
    external_id: str | None
    national_id: str | None  # as it is compared

    @classmethod
    def of(cls, form: PatientDetails) -> Person:
        """Of these details."""
        who = Comparable.of(form)
        nameless = SimpleNamespace(patient_id="", **{name: getattr(form, name) for name in type(form).model_fields})
        stands, asks, found_by = tuple(keys.keys_of(who)), keys.keys_to_ask(who), search_keys.keys_of(nameless)
        return cls(who, stands, asks, found_by, form.external_id, national_ids.key(form.national_id))


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A row, read: the details, or by field what is wrong with them; and what is kept otherwise than it was typed."""

    row: int
    line: int
    start: int
    end: int
    next_line: int
    typed: Mapping[str, str]
    form: PatientDetails | None
    errors: Mapping[str, str]
    person: Person | None = None

    @property
    def external_id(self) -> str:
        """As it stands in the file, without what a spreadsheet adds."""
        return _plain("external_id", self.typed.get("external_id", ""))

    def changed(self) -> dict[str, dict[str, Any]]:
        """Field → what was typed and what is kept, where the two differ."""
        if self.form is None:
            return {}
        found = {}
        for name, typed in self.typed.items():
            if name not in LABELS or not typed:
                continue
            kept = kept_as(self.form, name)
            if kept != typed:
                found[name] = {"typed": typed, "kept": kept}
        return found


def kept_as(form: PatientDetails, name: str) -> Any:
    """The value of a field as programs are told it."""
    value = getattr(form, name)
    if name == "date_of_birth":
        return (f"about {value.iso}" if value.estimated else value.iso) if value else None
    return value if isinstance(value, bool) or value is None else str(value)


def _plain(name: str, text: str) -> str:
    if name in _NUMBERS:
        return text.lstrip("'").strip() if text.startswith("'") else text
    return csv_safe.original(text)


def _tick(text: str) -> str | bool:
    word = text.lower()
    return True if word in _YES else False if word in _NO else text


def _with_precision(data: dict[str, Any], precision: str) -> None:
    """Cut a whole date to what is known of it."""
    born = str(data.get("date_of_birth") or "")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", born):
        if precision == BirthPrecision.ESTIMATED:
            data.setdefault(ESTIMATED, True)
        return
    if precision == BirthPrecision.MONTH:
        data["date_of_birth"] = born[:7]
    elif precision in (BirthPrecision.YEAR, BirthPrecision.ESTIMATED):
        data["date_of_birth"] = born[:4]
        if precision == BirthPrecision.ESTIMATED:
            data[ESTIMATED] = True


def read_row(record: Record) -> ReadRow:
    """Check one row by the rules of a registration; never raises."""
    form, errors = None, dict[str, str]()
    if record.problem:
        errors[ROW] = record.problem
    else:
        data: dict[str, Any] = {}
        for name, text in record.values.items():
            plain = _plain(name, text)
            if not plain:  # nothing said: what a registration begins with
                continue
            if name in _NUMBERS and _SHORTENED.fullmatch(plain):
                errors[name] = SHORTENED.format(label=LABELS[name], value=plain)
            data[name] = _tick(plain) if name in _TICKS else plain
        if "gender" in data:
            data["gender"] = _GENDERS.get(str(data["gender"]).lower(), data["gender"])
        if precision := str(data.pop(PRECISION, "")).upper():
            _with_precision(data, precision)
        try:
            form = PatientDetails.parse({"first_name": None, "last_name": None, **data})
        except InvalidInput as error:
            errors = {**error.fields, **errors}
    if errors:
        form = None
    return ReadRow(
        record.row,
        record.line,
        record.start,
        record.end,
        record.next_line,
        dict(record.values),
        form,
        errors,
        Person.of(form) if form is not None else None,
    )


def read_rows(records: list[Record]) -> list[ReadRow]:
    """Check these, in their order. A plain function of plain values, so that another process can do it."""
    return [read_row(record) for record in records]
