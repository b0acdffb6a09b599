"""What a typed term means: names in any order, or one number, or both."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from clinic_app.core.folding import letters_and_digits
from clinic_app.core.settings import get_settings
from clinic_app.core.text_rules import normalised, visible
from clinic_app.services.patients import phones
from clinic_app.services.patients.birth_dates import BirthDate, understood
from clinic_app.services.patients.search_keys import word_of, words

LONGEST_TERM = 100
PIECES_AT_MOST = 8
#: A name of fewer letters is another name with one slip, not a slip.
_SHORTEST_WITH_SLIP = 4
#: Fewer digits stand at the end, or inside, of too many numbers to mean one.
_SHORTEST_END, _SHORTEST_PART = 3, 4
_ONE_NUMBER = re.compile(r"[+#(]*\d[\d ()/.,;:-]*")
#: So many words may be a birth date beside names: the 15th of January 1990.
_DATE_WORDS = 6


class Kind(StrEnum):
    """How a piece is looked for."""

    WORD = "word"  # anywhere in a name, else the beginning of anything
    LETTER = "letter"  # a single one: in a name only
    NUMBER = "number"  # its beginning or end, or part of a national ID
    END = "end"  # three digits or letters: beginning or end
    SHORT = "short"  # one or two digits: a whole number
    EMAIL = "email"  # its beginning


@dataclass(frozen=True, slots=True)
class Piece:
    """One thing that must be found. ``alias`` is the patient ID it may mean, ``born`` the birth dates."""

    text: str
    kind: Kind
    alias: str = ""
    born: BirthDate | None = None

    @property
    def may_slip(self) -> bool:
        """Whether a name that differs by one slip is found too."""
        return self.kind is Kind.WORD and len(self.text) >= _SHORTEST_WITH_SLIP and self.text.isalpha()


@dataclass(frozen=True, slots=True)
class Term:
    """A term understood. Found is who has all ``pieces``, or the ``whole`` as one number.

    ``run`` is all of it as one word, for what is exactly that; empty for a single word of a name.
    ``nothing``: something was typed that nobody has.
    """

    pieces: tuple[Piece, ...] = ()
    whole: Piece | None = None
    run: str = ""
    phone: str = ""
    nothing: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is nothing to look for, so that everybody is listed."""
        return not (self.pieces or self.whole or self.nothing)

    @property
    def mark(self) -> str:
        """The same for terms that mean the same: what the trail keeps a digest of."""
        return " ".join(piece.text for piece in self.pieces) or (self.whole.text if self.whole else "")


def _alias(plain: str) -> str:
    """The patient ID that ``32``, ``000032`` or ``lmc32`` means, as it is kept; else nothing."""
    prefix = get_settings().patient_id_prefix.lower()
    digits = plain.removeprefix(prefix)
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 12:
        return ""
    return digits.lstrip("0") if digits == plain else f"{prefix}{int(digits):06d}"


def _number(plain: str, born: BirthDate | None) -> Piece:
    kind = Kind.SHORT if len(plain) < _SHORTEST_END else Kind.END if len(plain) < _SHORTEST_PART else Kind.NUMBER
    return Piece(plain, kind, _alias(plain), born)


def _pieces(typed: str) -> list[Piece]:
    """What one word, as it was typed, stands for."""
    if "@" in typed:
        found = word_of(typed)
        return [Piece("@" if found.startswith("@") else found, Kind.EMAIL)]
    found, plain, born = words(typed), letters_and_digits(typed), understood(typed)
    if not any(char.isdigit() for char in plain) or (len(plain) < _SHORTEST_END and found != [plain]):
        return [Piece(word, Kind.LETTER if len(word) == 1 and word.isascii() else Kind.WORD) for word in found]
    if born or _alias(plain) or found == [plain] or not any(char.isalpha() for char in plain):
        return [_number(plain, born)]
    return [_part(word) for word in found]


def _part(word: str) -> Piece:
    """A part of letters and digits: one with signs in it is looked for as it stands."""
    if not word.isalnum():
        return Piece(word, Kind.WORD)
    return _number(word, None) if any(char.isdigit() for char in word) else Piece(word, Kind.WORD)


def runs_at_an_end(count: int, fewest: int) -> list[slice]:
    """Where, of so many words, a birth date may stand beside others: at the end or at the beginning, longest first."""
    endings = [slice(start, count) for start in range(max(1, count - _DATE_WORDS), count - fewest + 1)]
    return endings + [slice(0, end) for end in range(min(count - 1, _DATE_WORDS), fewest - 1, -1)]


def _dated(typed: list[str]) -> list[Piece]:
    """The pieces of these words, of which several at the end or at the beginning may be one birth date."""
    for run in runs_at_an_end(len(typed), fewest=2):
        words_of_it = " ".join(typed[run])
        if (born := understood(words_of_it)) is not None:
            before, after = typed[: run.start], typed[run.stop :]
            date = Piece(letters_and_digits(words_of_it), Kind.END, born=born)
            return [*_each(before), date, *_each(after)]
    return _each(typed)


def _each(typed: list[str]) -> list[Piece]:
    return [piece for one in typed for piece in _pieces(one)]


def _dash(char: str) -> str:
    return "-" if unicodedata.category(char) == "Pd" or char == "\u2212" else char


def _something(text: str) -> bool:
    """Whether there is anything to see in ``text``."""
    return any(unicodedata.category(char)[0] in "LNPS" for char in text)


def _readable(term: str) -> str:
    """The beginning of ``term`` with plain digits, dashes and blanks, and without what nobody sees."""
    seen = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in visible(term[:LONGEST_TERM]))
    plain = normalised(seen, LONGEST_TERM, "NFKC")
    signs = (str(unicodedata.decimal(c)) if unicodedata.category(c) == "Nd" else _dash(c) for c in plain)
    return " ".join("".join(signs).split())


def parse(term: str) -> Term:
    """What ``term`` means. Anything may be typed; nothing is refused, and only the first 100 characters count."""
    text = _readable(term)
    pieces = tuple(_dated(text.split()))[:PIECES_AT_MOST]
    if not pieces:
        return Term(nothing=_something(text))
    run, born = letters_and_digits(text), understood(text)
    if len(pieces) == 1 and pieces[0].kind is Kind.EMAIL:
        return Term(pieces, run=pieces[0].text)
    if not any(char.isdigit() for char in run):
        return Term(pieces, run=run if len(pieces) > 1 else "")
    try:
        phone = (phones.phone(text) or "").lstrip("+")
    except ValueError:
        phone = ""
    if phone or born or _ONE_NUMBER.fullmatch(text):
        return Term((), _number(run, born), run, phone)
    one_number = len(pieces) == 1 and not any(piece.kind is Kind.WORD for piece in pieces)
    return Term(pieces, None if one_number else _number(run, None), run)
