"""A file to fill in: the columns there are, and somebody invented."""

from __future__ import annotations

from clinic_app.core import csv_safe
from clinic_app.services.patients.forms import PATIENT_FIELDS, Kind


def example_file() -> str:
    """As CSV, header and one row."""
    values = []
    for field in PATIENT_FIELDS.values():
        value = field.example
        values.append(("true" if value else "false") if field.kind is Kind.TICK else value)
    return "".join(csv_safe.lines([tuple(PATIENT_FIELDS), values]))
