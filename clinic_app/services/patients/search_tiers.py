"""Where a term is looked for, best first: what an index of trigrams is asked, before ``search_match`` decides.

A needle is text in a column of the index, with the blanks round a word that say where it begins and ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clinic_app.services.patients.search_keys import is_plain
from clinic_app.services.patients.search_terms import Kind, Piece, Term

NAMES, KEYS = "search_names", "search_keys"
#: An index of trigrams finds nothing shorter.
SHORTEST = 3
#: Exact, beginning of a name, inside, elsewhere.
LEVELS = 4


@dataclass(frozen=True, slots=True)
class Needle:
    """Text to be found in a column."""

    column: str
    text: str

    @property
    def indexed(self) -> bool:
        """Whether the index can find it."""
        return len(self.text) >= SHORTEST

    @property
    def numbered(self) -> bool:
        """Whether it is a number that the index of words has."""
        word = self.text.strip()
        return self.column == KEYS and is_plain(word) and any(char.isdigit() for char in word)

    @property
    def worded(self) -> bool:
        """Whether the index of words has it: a name from its beginning, or a number."""
        return self.numbered or (self.column == NAMES and self.text.startswith(" ") and is_plain(self.text.strip()))


#: One of these needles.
Clause = tuple[Needle, ...]
#: All of these clauses.
Way = tuple[Clause, ...]


def indexed(way: Way) -> Way:
    """The clauses that the index can find; the others are left to ``search_match``."""
    return tuple(clause for clause in way if all(needle.indexed for needle in clause))


def _named(piece: Piece, level: int) -> Clause:
    text = piece.text
    whole, begins, inside = (Needle(NAMES, one) for one in (f" {text} ", f" {text}", text))
    if level < LEVELS:
        return ((whole, begins, inside)[level - 1],)
    return (inside,) if piece.kind is Kind.LETTER else (inside, Needle(KEYS, f" {text}"))


def _numbered(piece: Piece, level: int) -> Clause:
    text, identity = piece.text, Needle(KEYS, f" {piece.alias or piece.text} ")
    if piece.kind is Kind.SHORT or level == 1:
        return (Needle(NAMES, f" {text} "), identity)
    beside = Needle(NAMES, text if piece.kind is Kind.NUMBER else f" {text}")
    return (beside, Needle(KEYS, f" {text}"), Needle(KEYS, f"{text} "), identity)


def clause(piece: Piece, level: int) -> Clause:
    """Where ``piece`` stands at a level: from 1, in which it is a whole word, to 4, in which it counts at all."""
    if piece.kind is Kind.EMAIL:
        return (Needle(KEYS, f" {piece.text}"),)
    return (_named if piece.kind in (Kind.WORD, Kind.LETTER) else _numbered)(piece, level)


def ways(term: Term, level: int) -> list[Way]:
    """The ways in which somebody may match at a level, but for birth dates."""
    found: list[Way] = []
    if term.pieces:
        found.append(tuple(clause(piece, level) for piece in term.pieces))
    if term.whole:
        found.append((clause(term.whole, level),))
    if term.phone:
        found.append(((Needle(KEYS, f" {term.phone} "),),))
    return list(dict.fromkeys(found))


def by_words(way: Way) -> bool:
    """Whether the index of words alone can find ``way``."""
    return all(needle.worded for clause in way for needle in clause)


def beside_slips(piece: Piece) -> Clause:
    """Where ``piece`` stands beside names with a slip: at the beginning of a name, or as a number."""
    return clause(piece, LEVELS if piece.kind in (Kind.NUMBER, Kind.END, Kind.SHORT, Kind.EMAIL) else 2)


def births(term: Term) -> list[str]:
    """The marks of the pieces that may be a birth date (see ``search_match.values_of``)."""
    marks = [str(place) for place, piece in enumerate(term.pieces) if piece.born]
    return [*marks, "w"] if term.whole and term.whole.born else marks


def trigrams(text: str) -> Sequence[str]:
    """Threes of letters that ``text`` is made of: as few as hold each letter, since ``search_match`` decides."""
    last = len(text) - SHORTEST
    return list(dict.fromkeys(text[at : at + SHORTEST] for at in [*range(0, last, SHORTEST), last]))


def number_clause(way: Way) -> Clause | None:
    """The clause of the longest number in ``way``, which the index of numbers finds; None where there is none."""
    found = [one for one in way if any(needle.numbered for needle in one)]
    return max(found, key=lambda one: max(len(needle.text) for needle in one), default=None)
