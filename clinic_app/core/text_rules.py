"""What people type as names and lines: the same rule for patients and staff. ``ValueError`` has a sentence."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

#: More marks than any script stacks on one letter; they would be painted over the lines above and below.
MARKS_AT_MOST = 4
#: What is looked at of a text, as a multiple of what it may hold: room for letters written as several characters.
_ROOM = 8
#: Written with a joiner where the letters of a script need one: Arabic to Myanmar, Khmer, Mongolian, the scripts of
#: India and South-East Asia, and emoji.
_JOINED = (
    "\u0600-\u109f\u1780-\u18af\u1900-\u1cff\ua800-\uabff\ufb50-\ufdff\ufe70-\ufefe"
    "\ufe0f\u2600-\u27bf\U00010a00-\U00011fff\U0001f000-\U0001faff"
)
_KEPT_JOINER = re.compile(f"(?<=[{_JOINED}])([\u200c\u200d])[\u200c\u200d]*(?=[{_JOINED}])|[\u200c\u200d]+")
#: Format characters that are seen: signs round Arabic and Syriac numbers.
_SEEN = set("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
#: Of other categories, and not seen either: a joiner of marks, and the fillers of Hangul.
_UNSEEN = set("\u034f\u115f\u1160\u3164\uffa0")

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]


def normalised(text: str, longest: int, form: Form = "NFC") -> str:
    """``text`` in a normal form of Unicode. Nothing beyond its first ``longest`` characters is looked at.

    The only way to a normal form: it takes quadratic time in combining marks, so strangers' text is cut first.
    """
    return unicodedata.normalize(form, text[:longest])


def _unseen(char: str) -> bool:
    return char in _UNSEEN or (unicodedata.category(char) == "Cf" and char not in _SEEN)


def visible(text: str) -> str:
    """``text`` without the signs nobody sees: direction marks, soft hyphens, zero-width spaces, byte order marks.

    Phones and chats add them. Joiners stay between letters whose script needs them.
    """
    if text.isascii():
        return text
    kept = "".join(char for char in text if char in "\u200c\u200d" or not _unseen(char))
    return _KEPT_JOINER.sub(lambda found: found[1] or "", kept)


def trimmed(text: str, longest: int) -> str:
    """``text`` without blanks and unseen signs at both ends; between them it stays as it is.

    Nothing beyond its first ``longest`` characters is looked at.
    """
    text = text[:longest]
    first, last = 0, len(text)
    while first < last and (text[first].isspace() or _unseen(text[first])):
        first += 1
    while first < last and (text[last - 1].isspace() or _unseen(text[last - 1])):
        last -= 1
    return text[first:last]


def _stacked(text: str) -> int:
    """The most marks on one letter of ``text``, which may be in any normal form."""
    if text.isascii():
        return 0
    most = count = 0
    for char in text:
        parts = normalised(char, 1, "NFD")
        for part in parts:
            kind = unicodedata.category(part)
            if kind in ("Mn", "Me"):
                count += 1
                most = max(most, count)
            elif kind != "Mc" and part not in "\u200c\u200d":
                count = 0
    return most


def _clean(text: object, label: str, longest: int, *, lines: bool = False) -> str:
    """Trimmed, NFC, single spaces, no unseen signs. Raises for what cannot be a name or an address of anything."""
    if not isinstance(text, str):
        raise ValueError(f"{label} must be text.")
    if lines:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    elif len(text) > longest * _ROOM:
        text = " ".join(text.split())
    if len(text) > longest * _ROOM:
        raise ValueError(f"{label} must be at most {longest} characters.")
    for char in "" if text.isprintable() else text:
        allowed = lines and char == "\n"
        if not allowed and unicodedata.category(char) in {"Cc", "Cs"}:
            raise ValueError(f"{label} must not contain control characters.")
    text = visible(text)
    if _stacked(text) > MARKS_AT_MOST:
        raise ValueError(f"{label} must have at most four accents or other marks on one letter.")
    text = normalised(text, longest * _ROOM)
    parts = [" ".join(line.split()) for line in text.split("\n")]
    text = "\n".join(parts).strip()
    if len(text) > longest:
        raise ValueError(f"{label} must be at most {longest} characters.")
    return text


def name(text: object, label: str, longest: int = 100) -> str:
    """A name of somebody: 1 to ``longest`` characters, any script."""
    found = _clean("" if text is None else text, label, longest)
    if not any(unicodedata.category(char)[0] in "LMNPS" for char in found):  # nothing to see
        raise ValueError(f"{label} is required.")
    return found


def line(text: object, label: str, longest: int) -> str | None:
    """Optional text on one line."""
    return None if text is None else _clean(text, label, longest) or None


def lines(text: object, label: str, longest: int) -> str | None:
    """Optional text on several lines."""
    return None if text is None else _clean(text, label, longest, lines=True) or None
