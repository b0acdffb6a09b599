"""Likely slips of the keys in the domain of an email, to be asked about and never refused."""

from __future__ import annotations

#: Where most people's mail is: the domains that a slip is most likely meant to be.
COMMON = (
    "gmail.com",
    "googlemail.com",
    "yahoo.com",
    "yahoo.co.uk",
    "ymail.com",
    "rocketmail.com",
    "hotmail.com",
    "hotmail.co.uk",
    "outlook.com",
    "icloud.com",
    "protonmail.com",
)
#: Real ones that look like a slip of one above.
_REAL = frozenset({"mail.com", "email.com", "gmx.com", "cloud.com", "hotmail.cl", "yahoo.ca"})
#: No domain of the world ends so.
_NO_ENDING = frozenset({"con", "cmo", "ocm", "vom", "xom", "cim", "comm", "coom", "comn", "cpm", "clm"})
_LONGEST = 24  # of a domain that is looked at: what is longer is no slip of a common one


def _apart(one: str, other: str) -> int:
    """How many slips lie between two words: a letter wrong, missing or too many, or two changed over."""
    rows = [list(range(len(other) + 1))]
    for i, left in enumerate(one, 1):
        row = [i]
        for j, right in enumerate(other, 1):
            least = min(rows[-1][j] + 1, row[j - 1] + 1, rows[-1][j - 1] + (left != right))
            if i > 1 and j > 1 and left == other[j - 2] and one[i - 2] == right:
                least = min(least, rows[-2][j - 2] + 1)
            row.append(least)
        rows.append(row)
    return rows[-1][-1]


def _slips(name: str, ending: str, common: str) -> int | None:
    """How many slips lead from ``common`` to this domain; None where too many for one."""
    their_name, _, their_ending = common.partition(".")
    in_name, in_ending = _apart(name, their_name), _apart(ending, their_ending)
    if name == "gmail":  # there is one only
        in_ending = min(in_ending, 1)
    return in_name + in_ending if in_name <= (1 if len(their_name) < 8 else 2) and in_ending <= 1 else None


def meant_domain(email: str) -> str:
    """The domain that was probably meant in ``email``, such as ``gmail.com`` for ``gmial.com``; else empty."""
    domain = email.rpartition("@")[2].strip().lower()
    name, dot, ending = domain.partition(".")
    if not name or not dot or len(domain) > _LONGEST or domain in COMMON or domain in _REAL:
        return ""
    found = [(slips, common) for common in COMMON if (slips := _slips(name, ending, common)) is not None]
    if found:
        return min(found, key=lambda one: one[0])[1]
    front, _, last = domain.rpartition(".")
    return f"{front}.com" if last in _NO_ENDING else ""
