"""What is compared of two people."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from clinic_app.core.folding import without_blanks
from clinic_app.models.patients import BirthPrecision, Gender
from clinic_app.services.patients import national_ids
from clinic_app.services.patients.birth_dates import BirthDate
from clinic_app.services.patients.duplicates.sounds import sound
from clinic_app.services.patients.search_keys import words

#: So many parts of a first or a last name are compared.
_PARTS_AT_MOST = 5


@dataclass(frozen=True)
class Comparable:
    """The details of a person that tell whether somebody is the same, in the form in which they are kept."""

    first_name: str
    last_name: str = ""
    born: BirthDate | None = None
    gender: str = Gender.UNKNOWN
    phone: str | None = None
    email: str | None = None
    national_id: str | None = None

    @classmethod
    def of(cls, person: Any) -> Self:
        """Of a patient's row, of ``PatientDetails`` or a registration, whose portal's address and phone count too."""
        if isinstance(person, cls):
            return person
        born = person.date_of_birth
        if born is not None and not isinstance(born, BirthDate):
            born = BirthDate(born, BirthPrecision(person.date_of_birth_precision))
        return cls(
            person.first_name,
            person.last_name,
            born,
            person.gender,
            person.phone or getattr(person, "portal_phone", None),
            person.email or getattr(person, "portal_email", None),
            person.national_id,
        )

    @cached_property
    def first(self) -> tuple[str, ...]:
        """The parts of the first name, folded."""
        return tuple(words(self.first_name)[:_PARTS_AT_MOST])

    @cached_property
    def last(self) -> tuple[str, ...]:
        """The parts of the last name, folded."""
        return tuple(words(self.last_name)[:_PARTS_AT_MOST])

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """All parts of the name, each once."""
        return tuple(dict.fromkeys((*self.first, *self.last)))

    @cached_property
    def sounds(self) -> tuple[str, ...]:
        """How the parts sound, each once."""
        return tuple(dict.fromkeys(sound(part) for part in self.parts))

    @cached_property
    def email_key(self) -> str:
        """The email as it is compared; empty where there is none."""
        return without_blanks(self.email) if self.email else ""

    @cached_property
    def national_id_key(self) -> str:
        """The national ID as it is compared; empty where there is none."""
        return national_ids.key(self.national_id) or ""

    @cached_property
    def sex(self) -> str:
        """Male or female; empty where that is not said."""
        return str(self.gender) if self.gender in (Gender.MALE, Gender.FEMALE) else ""
