"""Where a term is looked for, best first, and what the index of words is asked for it, before ``search_match`` decides.

A needle is text in a column, with the blanks round a word that say where it begins and ends.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from clinic_app.services.patients import search_keys, search_match
from clinic_app.services.patients.search_keys import (
    ADDRESS,
    BEGUN,
    FIRST_LETTERS,
    INSIDE,
    KEY,
    LONGEST_INSIDE,
    LONGEST_WORD,
    RUN,
)
from clinic_app.services.patients.search_terms import Kind, Piece, Term

NAMES, KEYS = "search_names", "search_keys"
#: Exact, beginning of a name, inside, elsewhere.
LEVELS = 4


@dataclass(frozen=True, slots=True)
class Needle:
    """Text to be found in a column."""

    column: str
    text: str

    @property
    def word(self) -> str:
        """It without the blanks."""
        return self.text.strip()

    @property
    def begins(self) -> bool:
        """Whether a word must begin with it."""
        return self.text.startswith(" ")

    @property
    def whole(self) -> bool:
        """Whether a word must be it."""
        return self.begins and self.text.endswith(" ")


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the index, or what words begin with."""

    text: str
    begins: bool = False


#: One of these needles.
Clause = tuple[Needle, ...]
#: All of these clauses.
Way = tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """Ways in which somebody matches who ranks so, or better; of keys worse, too."""

    ways: list[Way]
    rank: int


#: Levels, and how whoever is found there first ranks.
_RANKED = ((1, search_match.EXACT), (2, search_match.BEGINNING), (LEVELS, search_match.INSIDE))
#: Terms of more words have too many steps, and find few.
STEPPED = 2


def tokens_of_key(needle: Needle) -> list[Token]:
    """What the index is asked for text among the keys."""
    word = needle.word
    if needle.whole:
        return [Token(f"{KEY}{word}"[:LONGEST_WORD])]
    if not needle.begins:
        return [Token(search_keys.backwards(word), begins=True)]
    found = [f"{KEY}{word}"]
    if not word.isalnum():
        found.append(f"{ADDRESS}{word}")
    if not any(map(str.isdigit, word)):
        found += [f"{RUN}{word[:at]}|{word[at:]}" for at in range(1, min(len(word), LONGEST_WORD))]
    return [Token(one[:LONGEST_WORD], begins=True) for one in found]


def first_letters(token: Token) -> Token:
    """What finds whoever ``token`` finds, and perhaps others, without putting together what words begin with it."""
    word = token.text[1 : 1 + FIRST_LETTERS]
    if not token.begins or token.text[0] != KEY or len(word) < FIRST_LETTERS or any(map(str.isdigit, token.text)):
        return token
    return Token(f"{BEGUN}{word}")


def token_inside(needle: Needle) -> Token:
    """What the index is asked for text among the names that is in no part of a name."""
    return Token(f"{INSIDE}{needle.word[:LONGEST_INSIDE]}", begins=True)


def token_of_name(word: str, *, begins: bool = False) -> Token:
    """A word of a name as the index has it."""
    return Token(word[:LONGEST_WORD], begins)


def names_alone(way: Way) -> Way:
    """``way`` without what is found elsewhere than in names."""
    return tuple(tuple(needle for needle in clause if needle.column == NAMES) for clause in way)


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


def steps(term: Term) -> list[Step]:
    """Best first, for one or two words alone; none for another term. Whoever matches is found by the last of them."""
    if not 0 < len(term.pieces) <= STEPPED or term.whole or term.phone:
        return []
    if any(piece.born or piece.kind not in (Kind.WORD, Kind.LETTER) for piece in term.pieces):
        return []
    found: dict[int, dict[Way, None]] = {}
    for levels in itertools.product(_RANKED, repeat=len(term.pieces)):
        way = tuple(clause(piece, level) for piece, (level, _) in zip(term.pieces, levels, strict=True))
        found.setdefault(sum(rank for _, rank in levels), {})[way] = None
    return [Step(list(ways), rank) for rank, ways in sorted(found.items())]


def beside_slips(piece: Piece) -> Clause:
    """Where ``piece`` stands beside names with a slip: at the beginning of a name, or as a number."""
    return clause(piece, LEVELS if piece.kind in (Kind.NUMBER, Kind.END, Kind.SHORT, Kind.EMAIL) else 2)


def births(term: Term) -> list[str]:
    """The marks of the pieces that may be a birth date (see ``search_match.values_of``)."""
    marks = [str(place) for place, piece in enumerate(term.pieces) if piece.born]
    return [*marks, "w"] if term.whole and term.whole.born else marks


def number_of(way: Way) -> str:
    """The longest number that ``way`` asks for; empty where it asks for none."""
    numbers = [needle.word for clause in way for needle in clause if any(map(str.isdigit, needle.word))]
    return max(numbers, key=len, default="")
