"""The short way to read a usual mobile number: the answer of the library that knows all countries, at a twentieth of
its cost.

From the library's own tables: ``None`` means only that the long way has to be gone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from phonenumbers import PhoneMetadata, region_codes_for_country_code

_SPELLED = re.compile(r"\+?[0-9 -]+")
_IN_ORDER = re.compile(r"[^0-9\\]*(?:\\\d[^0-9\\]*)+")


@dataclass(frozen=True, slots=True)
class _Format:
    """How numbers that begin in one way, and look in one way, are written at home."""

    begins: re.Pattern[str] | None
    looks: re.Pattern[str]
    before: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The mobile numbers of one country."""

    code: str
    prefix: str
    abroad: re.Pattern[str]
    any_number: re.Pattern[str]
    mobile: re.Pattern[str]
    lengths: frozenset[int]
    formats: tuple[_Format, ...]

    def _is_mobile(self, digits: str) -> bool:
        return (
            len(digits) in self.lengths
            and digits[0] != "0"
            and not digits.startswith(self.prefix)
            and self.mobile.fullmatch(digits) is not None
            and self.any_number.fullmatch(digits) is not None
        )

    def read(self, text: str) -> str | None:
        """E.164 of a mobile number with the country's code, or as it is dialled at home."""
        if not _SPELLED.fullmatch(text):
            return None
        plain = text.replace(" ", "").replace("-", "")
        if plain.startswith("+"):
            digits = plain[1 + len(self.code) :] if plain.startswith(self.code, 1) else ""
        elif plain.startswith(self.prefix) and not plain.startswith(self.code) and not self.abroad.match(plain):
            digits = plain[len(self.prefix) :]
        else:
            return None
        return f"+{self.code}{digits}" if digits and self._is_mobile(digits) else None

    def at_home(self, number: str) -> str | None:
        """The digits of an E.164 number as it is dialled at home."""
        if not number.startswith(self.code, 1):
            return None
        digits = number[1 + len(self.code) :]
        if not digits or not self._is_mobile(digits):
            return None
        for one in self.formats:
            found = one.looks.fullmatch(digits) if one.begins is None or one.begins.match(digits) else None
            if found:
                return one.before + digits if "".join(found.groups("")) == digits else None
        return digits


def _format(found: Any, prefix: str) -> _Format | None:
    order = re.findall(r"\\(\d)", found.format)
    if not _IN_ORDER.fullmatch(found.format) or order != [str(n) for n in range(1, len(order) + 1)]:
        return None
    looks, rule = re.compile(found.pattern), found.national_prefix_formatting_rule or ""
    before = "".join(char for char in rule.replace(r"\1", "") if char.isdigit())
    if looks.groups != len(order) or before not in ("", prefix):
        return None
    begins = found.leading_digits_pattern
    return _Format(re.compile(begins[-1]) if begins else None, looks, before)


@lru_cache(maxsize=8)
def plan(region: str) -> Plan | None:
    """The plan of ``region``; None where its numbers cannot be read the short way."""
    known: Any = PhoneMetadata.metadata_for_region(region, None)
    if known is None or len(region_codes_for_country_code(known.country_code)) != 1:
        return None
    prefix, mobile, general = known.national_prefix or "", known.mobile, known.general_desc
    if not prefix.isdigit() or known.national_prefix_for_parsing != prefix or known.national_prefix_transform_rule:
        return None
    if not mobile or not mobile.national_number_pattern or not mobile.possible_length:
        return None
    formats = [_format(one, prefix) for one in known.number_format]
    if not all(formats):
        return None
    return Plan(
        str(known.country_code),
        prefix,
        re.compile(known.international_prefix or "(?!)"),
        re.compile(general.national_number_pattern),
        re.compile(mobile.national_number_pattern),
        frozenset(mobile.possible_length) & frozenset(general.possible_length or mobile.possible_length),
        tuple(one for one in formats if one),
    )
