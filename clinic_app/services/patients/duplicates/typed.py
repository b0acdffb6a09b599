"""What a half-filled form says of a person: whatever of it is understood already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clinic_app.services.patients.duplicates.comparable import Comparable
from clinic_app.services.patients.forms import PATIENT_FIELDS

#: The fields that tell who somebody is.
COMPARED = ("first_name", "last_name", "date_of_birth", "gender", "phone", "email", "national_id")


def _understood(name: str, value: str) -> Any:
    field = PATIENT_FIELDS[name]
    try:
        return field.rule(value, field.label, field.longest) or None
    except ValueError:
        return None


def person(values: Mapping[str, str]) -> Comparable | None:
    """The person that ``values``, as they are typed, speak of; None where nothing tells who it is yet."""
    found = {name: _understood(name, values[name]) for name in COMPARED if values.get(name, "").strip()}
    first, last = found.get("first_name") or "", found.get("last_name") or ""
    telling = any(found.get(name) for name in ("phone", "email", "national_id"))
    if not telling and not (first and (last or found.get("date_of_birth"))):
        return None
    return Comparable(
        first,
        last,
        found.get("date_of_birth"),
        found.get("gender") or "",
        found.get("phone"),
        found.get("email"),
        found.get("national_id"),
    )
