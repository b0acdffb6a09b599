"""The one folding: how text is compared, wherever it is compared. What people read stays as it was typed.

Letter by letter, so that a place in folded text is a place in what people read: see ``place_of``. Sources: Unicode
NFKD and case folding, the Unicode list of dashes (category Pd), and for letters that do not decompose ``anyascii``.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from anyascii import anyascii

from clinic_app.core.text_rules import normalised

#: All of these are typed for an apostrophe, and left out as often.
APOSTROPHES = frozenset(
    "'`\u00b4\u02b9\u02bb\u02bc\u02bd\u02be\u02bf\u02c8\u02ca\u02cb\u055a\u05f3\u1fbd\u1fbf\u1ffd\u1ffe"
    "\u2018\u2019\u201a\u201b\u2032\u2035\ua78b\ua78c\uff07\uff40"
)
#: Between parts of a name, besides what Unicode calls a dash: minus, hyphen bullet, and the dots between names in
#: Catalan, Chinese and Japanese.
_BETWEEN = frozenset("\u2212\u2043\u00b7\u2022\u2027\u30fb\uff65")
#: Not letters: the line that makes Arabic words longer, and the fillers of Hangul.
_DROPPED = frozenset("\u0640\u034f\u115f\u1160\u3164\uffa0")
#: One letter in Arabic, in Persian and in Urdu.
_ARABIC = {
    **dict.fromkeys("\u0649\u06cc\u06d2\u06d0\u0678", "\u064a"),  # ye
    **dict.fromkeys("\u06a9\u06aa", "\u0643"),  # kaf
    **dict.fromkeys("\u0629\u06c1\u06be\u06d5\u06c3", "\u0647"),  # he and teh marbuta
    "\u0671": "\u0627",  # alef wasla
}


@lru_cache(maxsize=16384)
def _letter(char: str) -> str:
    """One character folded: nothing, one or several letters, or a blank."""
    kind = unicodedata.category(char)
    if char in APOSTROPHES or char in _DROPPED:
        return ""
    if kind == "Pd" or char in _BETWEEN or char.isspace() or kind in ("Cc", "Cs"):
        return " "
    # case folding may leave something that decomposes further, and the other way round
    plain = normalised(normalised(normalised(char, 1, "NFKD").casefold(), 40, "NFKD").casefold(), 40, "NFKD")
    return "".join(map(_part, plain))


def _part(char: str) -> str:
    """One character of a decomposed letter, as it is compared."""
    kind = unicodedata.category(char)
    if kind == "Cf" or unicodedata.combining(char) or char in APOSTROPHES or char in _DROPPED:
        return ""
    if kind in ("Mn", "Me") and (0xFE00 <= ord(char) <= 0xFE0F or ord(char) >= 0xE0000 or kind == "Me"):
        return ""  # how a sign is to be drawn
    if kind == "Pd" or char in _BETWEEN or char.isspace():
        return " "
    if kind == "Nd":
        return str(unicodedata.decimal(char))
    if not char.isascii() and kind[0] == "L" and unicodedata.name(char, "").startswith("LATIN "):
        return "".join(c for c in anyascii(char).casefold() if c.isalnum()) or char
    return _ARABIC.get(char, char)


#: What becomes of plain letters, at once: most text has no others.
_PLAIN = str.maketrans({chr(code): _letter(chr(code)) for code in range(128)})
_PLAIN_ALONE = str.maketrans({chr(code): c if (c := _letter(chr(code))).isalnum() else "" for code in range(128)})


def folded(text: str) -> str:
    """``text`` as it is compared: lower case, without marks and apostrophes; dashes are blanks, and blanks single."""
    return " ".join((text.translate(_PLAIN) if text.isascii() else "".join(map(_letter, text))).split())


def letters_and_digits(text: str) -> str:
    """``text`` folded, and of that the letters and digits alone: how numbers are compared."""
    if text.isascii():
        return text.translate(_PLAIN_ALONE)
    return "".join(char for char in folded(text) if char.isalnum())


def without_blanks(text: str) -> str:
    """``text`` folded and written as one word."""
    return folded(text).replace(" ", "")


def place_of(part: str, text: str) -> tuple[int, int] | None:
    """Where in ``text``, as people read it, the folded ``part`` stands: at the beginning of a word, else anywhere.

    Dashes, blanks and nothing between parts of a name are the same here too. None where it does not stand in it.
    """
    part = part.replace(" ", "")
    letters: list[str] = []
    places: list[int] = []
    begins: set[int] = set()
    new_word = True
    for place, char in enumerate(text):
        for letter in _letter(char):
            if letter == " ":
                new_word = True
                continue
            if new_word:
                begins.add(len(letters))
                new_word = False
            letters.append(letter)
            places.append(place)
    plain, at = "".join(letters), -1
    if not part:
        return None
    found = plain.find(part)
    while found >= 0:
        if found in begins:
            at = found
            break
        at = found if at < 0 else at
        found = plain.find(part, found + 1)
    if at < 0:
        return None
    end = places[at + len(part) - 1] + 1
    while end < len(text) and unicodedata.category(text[end])[0] == "M":  # the marks of the last letter are part of it
        end += 1
    return places[at], end
