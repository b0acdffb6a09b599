"""What is compared of two people."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Self

from clinic_app.core.folding import without_blanks
from clinic_app.models.patients import BirthPrecision, Gender
from clinic_app.services.patients import national_ids
from clinic_app.services.patients.birth_dates import BirthDate
from clinic_app.services.patients.duplicates.sounds import sound
from clinic_app.services.patients.search_keys import words

#: So many parts of a first or a last name are compared.
_PARTS_AT_MOST = 5
_SEXES = (Gender.MALE, Gender.FEMALE)


@lru_cache(maxsize=32768)
def _parts(name: str) -> tuple[str, ...]:
    return tuple(words(name)[:_PARTS_AT_MOST])


@lru_cache(maxsize=8192)
def _precision(value: str) -> BirthPrecision:
    return BirthPrecision(value)


class Comparable:
    """The details of a person that tell whether somebody is the same, as they are kept and as they are compared.

    ``first`` and ``last`` are the folded parts of the names, ``sex`` is empty unless it is male or female, the keys
    are empty where there is nothing. Made some fifty times for each look: so it is made of plain attributes, and what
    few comparisons need is worked out when it is asked for.
    """

    __slots__ = (
        "_email_key",
        "_national_id_key",
        "born",
        "email",
        "first",
        "first_name",
        "gender",
        "last",
        "last_name",
        "national_id",
        "phone",
        "sex",
    )

    def __init__(
        self,
        first_name: str,
        last_name: str = "",
        born: BirthDate | None = None,
        gender: str = Gender.UNKNOWN,
        phone: str | None = None,
        email: str | None = None,
        national_id: str | None = None,
    ) -> None:
        self.first_name, self.last_name, self.gender = first_name, last_name, gender
        self.born, self.phone, self.email, self.national_id = born, phone, email, national_id
        self.first, self.last = _parts(first_name), _parts(last_name)
        self.sex = gender if gender in _SEXES else ""
        self._email_key: str | None = None if email else ""
        self._national_id_key: str | None = None if national_id else ""

    @classmethod
    def of(cls, person: Any) -> Self:
        """Of a patient's row, of ``PatientDetails`` or a registration, whose portal's address and phone count too."""
        if isinstance(person, cls):
            return person
        born = person.date_of_birth
        if born is not None and not isinstance(born, BirthDate):
            born = BirthDate(born, _precision(person.date_of_birth_precision))
        return cls(
            person.first_name,
            person.last_name,
            born,
            person.gender,
            person.phone or getattr(person, "portal_phone", None),
            person.email or getattr(person, "portal_email", None),
            person.national_id,
        )

    @property
    def email_key(self) -> str:
        """The email as it is compared."""
        if self._email_key is None:
            self._email_key = without_blanks(self.email or "")
        return self._email_key

    @property
    def national_id_key(self) -> str:
        """The national ID as it is compared."""
        if self._national_id_key is None:
            self._national_id_key = national_ids.key(self.national_id) or ""
        return self._national_id_key

    @property
    def parts(self) -> tuple[str, ...]:
        """All parts of the name, each once."""
        return tuple(dict.fromkeys((*self.first, *self.last)))

    @property
    def sounds(self) -> tuple[str, ...]:
        """How the parts sound, each once."""
        return tuple(dict.fromkeys(sound(part) for part in self.parts))
