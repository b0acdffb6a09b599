"""A telephone number as people write it: one number, read without guessing. Kept as E.164."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import phonenumbers

from clinic_app.core.settings import get_settings
from clinic_app.core.text_rules import normalised, visible
from clinic_app.services.patients import mobile_numbers

#: What may stand between the digits of one number.
_BETWEEN = re.compile(r"[ ()./-]")
#: Between two numbers.
_TWO = re.compile(r"[;,|&\\\n/]|\b(?:or|and|au|na|ou|et)\b", re.IGNORECASE)
_EXTENSION = re.compile(
    r"(?:\d[ ()./-]*){7,}(?:[;,]\s*|(?:[;,]\s*)?(?:extension|extn?|ext|x|#|p|poste)[ .:=#-]*)\d{1,6}$", re.IGNORECASE
)
#: So many digits are a number by themselves, where two may stand in one field.
_DIGITS_OF_ONE = 7
#: A number has at most 15 (ITU-T E.164), dialled abroad with two more.
_DIGITS_AT_MOST = 17


@lru_cache(maxsize=4)
def example(region: str) -> str:
    """A number of ``region`` as people there write it."""
    found = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    return phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.NATIONAL) if found else "+254 712 123456"


def _plain_sign(char: str) -> str:
    kind = unicodedata.category(char)
    if kind == "Nd":
        return str(unicodedata.decimal(char))
    if kind == "Pd" or char == "\u2212":
        return "-"
    return " " if char.isspace() and char != "\n" else char


def _plain(text: str, longest: int) -> str:
    """``text`` with plain digits, dashes and blanks, without the signs nobody sees and without ``tel:``."""
    # raised and circled digits would become plain ones
    whole = "".join("?" if unicodedata.category(char) in ("No", "Nl") else char for char in visible(text))
    plain = " ".join("".join(map(_plain_sign, normalised(whole, longest * 4, "NFKC"))).split(" ")).strip()
    return re.sub(r"^tel:\s*", "", plain, flags=re.IGNORECASE)


def _several(plain: str) -> bool:
    parts = [sum(char.isdigit() for char in part) for part in _TWO.split(plain)]
    return sum(count >= _DIGITS_OF_ONE for count in parts) > 1 or len(re.findall(r"\+[ (]*\d", plain)) > 1


def _refused(plain: str, label: str, like: str) -> str:
    """Why ``plain`` is no number at all; empty where it may be one."""
    if _EXTENSION.search(plain):
        return f"{label} must be without an extension{like}."
    if _several(plain):
        return f"{label} must be one number, not two."
    if any(char.isalpha() for char in plain):
        return f"{label} must not contain letters{like}."
    return ""


def _number(plain: str, region: str) -> str | None:
    """E.164 of digits with what may stand between them; None where it is no valid number."""
    spelled = re.fullmatch(r"(\(?[ ]*\+|\(?[ ]*00)?([\d ()./-]+)", plain)
    if spelled is None:
        return None
    lead, rest = ("+" if spelled[1] else ""), spelled[2]
    for digits in (_BETWEEN.sub("", rest), _BETWEEN.sub("", rest.replace("(0)", "", 1))):
        try:
            number = phonenumbers.parse(lead + digits, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return None


def phone(value: object, label: str = "Phone", longest: int = 40) -> str | None:
    """Optional; one valid number, of the clinic's region unless it begins with ``+`` or ``00``; returned as E.164.

    Digits of any script, blanks, ``( ) - . /``, a leading ``tel:``. What else is typed is refused in words, never
    dropped and never made into digits. Raises ``ValueError``.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(f"{label} must be text.")
    if len(value) > longest * 4:
        raise ValueError(f"{label} must be at most {longest} characters.")
    region = get_settings().region
    usual = mobile_numbers.plan(region) if len(value) <= longest else None
    if usual and (known := usual.read(value)):
        return known
    plain = _plain(value, longest)
    if not plain:
        return None
    like = f", for example {example(region)}"
    if why := _refused(plain, label, like):
        raise ValueError(why)
    if len(plain) > longest:
        raise ValueError(f"{label} must be at most {longest} characters.")
    found = _number(plain, region)
    if found is None and sum(char.isdigit() for char in plain) > _DIGITS_AT_MOST:
        raise ValueError(f"{label} must be one number, not two.")
    if found is None:
        raise ValueError(f"{label} must be a valid phone number{like}.")
    return found


def dialled(number: str | None) -> tuple[str, ...]:
    """The digits of an E.164 number in the two ways people dial them: with the country's code, and without it."""
    if not number:
        return ()
    whole = number.lstrip("+")
    usual = mobile_numbers.plan(get_settings().region)
    if usual and (at_home := usual.at_home(number)):
        return (whole, at_home) if at_home != whole else (whole,)
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return (whole,)
    national = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    digits = "".join(char for char in national if char.isdigit())
    return (whole, digits) if digits != whole else (whole,)


def read_back(value: str) -> str:
    """``+254 712 345601``: what was understood, to be read back; empty where it is no number."""
    try:
        number = phone(value)
    except ValueError:
        return ""
    if not number:
        return ""
    return phonenumbers.format_number(phonenumbers.parse(number), phonenumbers.PhoneNumberFormat.INTERNATIONAL)
