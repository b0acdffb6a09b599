"""Passwords many people use, and patterns on the keyboard. ``tools/wordlists`` makes the list."""

from __future__ import annotations

import functools
import hashlib
from itertools import pairwise
from pathlib import Path

from clinic_app.core.text_rules import normalised

_FILE = Path(__file__).with_name("common_passwords.txt")
_DIGITS = 12
_LONGEST = 1000  # so much is looked at; passwords are shorter
#: Neighbouring keys, and the alphabet: running along them is a pattern.
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890", "qwertzuiop", "azertyuiop", "abcdefghijklmnopqrstuvwxyz")
_BESIDE = frozenset(pair for row in _ROWS for one in (row, row[::-1]) for pair in pairwise(one))
_FEWEST = 5  # different characters
_RUNNING = 0.6  # share of steps along a row from which a password counts as a pattern


def folded(password: str) -> str:
    """``password`` as it is compared: NFKC, case folded."""
    return normalised(password, _LONGEST, "NFKC").casefold()


@functools.lru_cache(maxsize=1)
def _listed() -> frozenset[str]:
    """Digests of the listed passwords; read when the first password is judged."""
    lines = _FILE.read_text(encoding="ascii").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def is_common(password: str) -> bool:
    """Whether the whole password is on the list, in any case, with or without its spaces and punctuation."""
    whole = folded(password)
    tried = {whole, "".join(c for c in whole if c.isalnum())}
    digests = (hashlib.sha256(one.encode("utf-8", "replace")).hexdigest()[:_DIGITS] for one in tried)
    return any(digest in _listed() for digest in digests)


def _repeats(text: str) -> bool:
    """Whether ``text`` is one piece, of half its length at most, over and over (perhaps cut off at the end)."""
    return any(text[size:] == text[:-size] for size in range(1, len(text) // 2 + 1))


def _runs(text: str) -> bool:
    steps = list(pairwise(text))
    along = sum(one == two or (one, two) in _BESIDE for one, two in steps)
    return len(steps) > 0 and along / len(steps) >= _RUNNING


def is_pattern(password: str) -> bool:
    """Whether it repeats itself, has hardly any different characters, or runs along the keyboard or the alphabet.

    The same for every other character: ``1q2w3e4r5t6y7u8i``.
    """
    text = "".join(c for c in folded(password) if not c.isspace())
    if len(set(text)) < _FEWEST:
        return True
    return _repeats(text) or _runs(text) or (_runs(text[::2]) and _runs(text[1::2]))
