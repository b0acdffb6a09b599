"""National IDs: shown as typed, compared by their letters and digits."""

from __future__ import annotations

import re

from clinic_app.core import crypto
from clinic_app.core.folding import letters_and_digits
from clinic_app.core.text_rules import line

NONE = "Leave National ID empty if there is none."
#: What people write where there is no number, folded, letters and digits alone.
_MEANS_NONE = frozenset(
    "na none no nil null nul unknown unk unkn notknown nk dk dontknow notavailable unavailable notapplicable "
    "noid nonumber nothing nonationalid notgiven notprovided notstated notissued missing blank empty pending tbd tba "
    "nonegiven noneyet noidcard noidnumber nocard hasnone hasnoid hasnoidcard hasnonationalid doesnothaveone "
    "doesnthaveone donthave donthaveone notyet notyetissued notsure idontknow idonotknow donotknow lost lostid refused "
    "id idnumber nationalid minor child baby infant newborn yes y n "
    "without undefined nan hana hakuna sina haina hamna haijulikani aucun aucune neant sans inconnu inconnue".split()
)
#: The same sign again and again: ``0``, ``000``, ``xx``.
_FILLED_IN = re.compile(r"0+|x+")
LONGEST_KEY = 50


def key(value: str | None) -> str | None:
    """``value`` as it is compared: letters and digits alone, in lower case. None where it means that there is none."""
    plain = letters_and_digits(value or "")
    if not plain or plain in _MEANS_NONE or _FILLED_IN.fullmatch(plain):
        return None
    if len(plain) <= LONGEST_KEY:
        return plain
    return plain[: LONGEST_KEY - 16] + crypto.digest(plain)[:16]  # folding made it longer: two stay two


def national_id(value: object, label: str = "National ID", longest: int = 50) -> str | None:
    """Optional; up to ``longest`` characters, kept as typed. What means that there is none is refused."""
    found = line(value, label, longest)
    if found is not None and key(found) is None:
        raise ValueError(NONE)
    return found
