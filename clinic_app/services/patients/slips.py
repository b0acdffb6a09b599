"""One slip of a typing hand: a letter wrong, missing, too much, or two of them swapped."""

from __future__ import annotations


def one_slip(typed: str, meant: str) -> bool:
    """Whether the two differ by exactly one slip (optimal string alignment distance 1)."""
    if typed == meant or abs(len(typed) - len(meant)) > 1:
        return False
    start = 0
    while start < min(len(typed), len(meant)) and typed[start] == meant[start]:
        start += 1
    one, other = typed[start:], meant[start:]
    if len(one) == len(other):
        return one[1:] == other[1:] or (len(one) > 1 and one[:2] == other[1::-1] and one[2:] == other[2:])
    return one == other[1:] or one[1:] == other
