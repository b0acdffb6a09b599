"""Numbers with the noun they count."""

from __future__ import annotations


def plural(count: int, word: str) -> str:
    """``1 patient``, ``4,903 patients``: for nouns whose plural takes an s."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"
