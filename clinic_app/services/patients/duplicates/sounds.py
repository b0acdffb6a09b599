"""How a part of a name sounds, roughly: the same for ``Mwangi`` and ``Muangi``, ``Mohammed`` and ``Muhamad``.

English rules (Soundex, Metaphone) drop or mistake what Bantu, Luo and Arabic names are made of, so this one keeps the
consonants that all of them tell apart and leaves out the rest: vowels but the first, ``h``, ``w``, ``y`` and doubled
letters.
"""

from __future__ import annotations

import re
from functools import lru_cache

_PAIRS = re.compile("ph|kh|gh|th|dh|sh|ch|ck|ng'|ny")
_OF_PAIR = {"ph": "f", "kh": "k", "gh": "g", "th": "t", "dh": "d", "sh": "s", "ch": "k", "ck": "k", "ny": "n"}
_SAME = str.maketrans({"c": "k", "q": "k", "z": "s", "x": "s", "v": "f"})
_DROPPED = str.maketrans("", "", "aeiouywh")
_DOUBLED = re.compile(r"(.)\1+")


@lru_cache(maxsize=65536)
def sound(part: str) -> str:
    """``part``, folded, as it sounds; itself where it is not written in Latin letters, or nothing would be left."""
    if not part.isascii():
        return part
    plain = _PAIRS.sub(lambda found: _OF_PAIR.get(found[0], found[0]), part).translate(_SAME)
    first = "a" if plain[:1] in "aeiou" and plain else plain[:1]
    return _DOUBLED.sub(r"\1", first + plain[1:].translate(_DROPPED)) or part
