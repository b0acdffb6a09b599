"""What merging takes: which record stays, with which of the values, and with which portal account."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

from clinic_app.core.errors import InvalidInput
from clinic_app.models.patients import Gender
from clinic_app.services.patients.forms import PATIENT_FIELDS, PatientDetails, PatientUpdate

FIELDS = tuple(PatientDetails.model_fields)


def differing(one: Any, other: Any) -> tuple[str, ...]:
    """The fields in which two records differ, in the order of the form."""
    return tuple(name for name in FIELDS if getattr(one, name) != getattr(other, name))


def _recorded(value: Any) -> bool:
    return value not in (None, "", Gender.UNKNOWN)


def better(name: str, mine: Any, theirs: Any) -> bool:
    """Whether the other record's value is taken unless somebody chooses: it is known and ours is not.

    Where one of them allows no messages, none are allowed.
    """
    if name in ("email_allowed", "sms_allowed"):
        return mine and not theirs
    return _recorded(theirs) and not _recorded(mine)


def together(names: set[str], fields: tuple[str, ...]) -> set[str]:
    """``names`` with what goes with them: one name only, and the last name that is not there."""
    return names | ({"single_name"} & set(fields) if "last_name" in names else set())


def proposed(mine: Any, theirs: Any) -> set[str]:
    """The fields that are taken from the other record unless somebody chooses."""
    fields = differing(mine, theirs)
    names = {name for name in fields if better(name, getattr(mine, name), getattr(theirs, name))}
    return together(names - {"single_name"}, fields)


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """Merge into ``into``, an id or a patient ID.

    ``take`` names the fields whose value comes from the record that goes, all others stay; or ``values`` has values of
    either record by field; without both, what is known is taken before what is not. ``login`` is the account that stays
    where both have one, its id or username. ``stamp`` is what was looked at (``merging.stamp_of``); empty: nothing was.
    """

    into: int | str
    take: frozenset[str] | None = None
    values: Mapping[str, Any] | None = None
    login: int | str = ""
    stamp: str = ""

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Self:
        """From a program: ``into``, ``values``, ``portal_username``. Raises ``InvalidInput``."""
        into, values = data.get("into"), data.get("values")
        login = data.get("portal_username")
        problems: dict[str, str] = {}
        if not isinstance(into, int | str) or isinstance(into, bool) or into == "":
            problems["into"] = "into must be the id or the patient ID of the record that stays."
        if values is not None and not isinstance(values, dict):
            problems["values"] = "values must be an object with values by field."
        if login is not None and not isinstance(login, str):
            problems["portal_username"] = "portal_username must be text."
        if problems:
            raise InvalidInput(problems)
        return cls(into or "", values=values, login=(login or "").strip().lower())

    @classmethod
    def chosen(cls, into: str, take: Collection[str], login: int, stamp: str) -> Self:
        """From the page."""
        return cls(into, take=frozenset(take), login=login or "", stamp=stamp)

    def taken(self, mine: Any, theirs: Any) -> set[str]:
        """The fields that ``mine``, which stays, takes from ``theirs``. Raises ``InvalidInput``."""
        fields = differing(mine, theirs)
        if self.take is not None:
            return together((set(self.take) & set(fields)) - {"single_name"}, fields)
        names = proposed(mine, theirs)
        if not self.values:
            return names
        wanted, problems = PatientUpdate.parse(self.values).changes, dict[str, str]()
        for name, value in wanted.items():
            if value == getattr(mine, name):
                names.discard(name)
            elif value == getattr(theirs, name):
                names.add(name)
            else:
                label = PATIENT_FIELDS[name].label
                problems[name] = f"{label} must be the value of one of the two records."
        if problems:
            raise InvalidInput(problems)
        return together(names - {"single_name"}, fields)
