"""What people type as names and lines: the same rule for patients and staff. ``ValueError`` has a sentence."""

from __future__ import annotations

import unicodedata

#: Control characters, lone surrogates, and the marks that reverse text (Unicode TR 36, 2.5).
_BIDI = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _clean(text: object, label: str, longest: int, *, lines: bool = False) -> str:
    """Trimmed, NFC, runs of spaces made one. Raises for what cannot be a name or an address of anything."""
    if not isinstance(text, str):
        raise ValueError(f"{label} must be text.")
    if lines:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    for char in text:
        allowed = lines and char == "\n"
        if not allowed and (unicodedata.category(char) in {"Cc", "Cs"} or char in _BIDI):
            raise ValueError(f"{label} must not contain control characters.")
    text = unicodedata.normalize("NFC", text)
    parts = [" ".join(line.split()) for line in text.split("\n")]
    text = "\n".join(parts).strip()
    if len(text) > longest:
        raise ValueError(f"{label} must be at most {longest} characters.")
    return text


def name(text: object, label: str, longest: int = 100) -> str:
    """A name of somebody: 1 to ``longest`` characters, any script."""
    found = _clean("" if text is None else text, label, longest)
    if not any(unicodedata.category(char)[0] in "LMNPS" for char in found):  # nothing to see, such as U+200B
        raise ValueError(f"{label} is required.")
    return found


def line(text: object, label: str, longest: int) -> str | None:
    """Optional text on one line."""
    return None if text is None else _clean(text, label, longest) or None


def lines(text: object, label: str, longest: int) -> str | None:
    """Optional text on several lines."""
    return None if text is None else _clean(text, label, longest, lines=True) or None
