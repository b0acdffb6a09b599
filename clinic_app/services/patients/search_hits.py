"""By what a row was found, for people: what a list does not show is said, and the hit is marked in what it shows."""

from __future__ import annotations

from typing import Any

from clinic_app.core import folding
from clinic_app.services.patients import birth_search, search_keys, search_terms
from clinic_app.services.patients.search_terms import Kind, Piece, Term
from clinic_app.services.patients.slips import one_slip
from clinic_app.services.patients.views import FoundBy
from clinic_app.services.patients.wording import phone_words


def slip_in(piece: Piece, names: str) -> str:
    """The part of a name that is one slip from ``piece``; empty where there is none."""
    return next((word for word in names.split() if one_slip(piece.text, word)), "")


def _among(piece: Piece, keys: str) -> bool:
    """Whether a part of the keys has ``piece``, as the statement sees it."""
    if f" {piece.alias or piece.text} " in keys:
        return True
    if piece.kind in (Kind.SHORT, Kind.LETTER):
        return False
    return f" {piece.text}" in keys or (piece.kind in (Kind.NUMBER, Kind.END) and f"{piece.text} " in keys)


def found_by(term: Term, row: Any, name: str) -> FoundBy | None:
    """By what a row was found, where that is neither its name nor another thing that is its own."""
    own, portal, kin = search_keys.parts_of(row.search_keys)
    phone = f" {term.phone} " if term.phone else ""
    if phone and phone in own:
        return None
    if term.whole and (term.whole.text in row.search_names or _among(term.whole, own)):
        return None
    pieces = term.pieces or ((term.whole,) if term.whole else ())
    hidden = [
        piece
        for piece in pieces
        if piece.text not in row.search_names
        and not _among(piece, own)
        and not (piece.born and birth_search.covers(piece.born, row.date_of_birth, row.date_of_birth_precision))
    ]
    if not hidden:
        return None
    if (phone and phone in kin) or all(_among(piece, kin) for piece in hidden):
        number = any(char.isdigit() for piece in hidden for char in piece.text)
        told = [row.next_of_kin_name or "", phone_words(row.next_of_kin_phone) if number else ""]
        return FoundBy("Next of kin", ", ".join(one for one in told if one))
    if row.username and all(_among(piece, portal) for piece in hidden):
        return FoundBy("Portal username", row.username)
    slips = [slip_in(piece, row.search_names) for piece in hidden if piece.may_slip]
    return FoundBy("Similar", " ".join(_as_read(slip, name) for slip in slips)) if slips and all(slips) else None


def _as_read(word: str, name: str) -> str:
    """The folded ``word`` of a name, as it is written there."""
    place = folding.place_of(word, name)
    return name[place[0] : place[1]] if place else word


def marked(words: str, term: str) -> tuple[str, str, str]:
    """``words`` around what was looked for: before, the hit and after; ``(words, "", "")`` where it is not in them."""
    found = search_terms.parse(term)
    wanted = [found.run, *[piece.text for piece in found.pieces], *([found.whole.text] if found.whole else [])]
    for part in wanted:
        place = folding.place_of(part, words)
        if place:
            return words[: place[0]], words[place[0] : place[1]], words[place[1] :]
    return words, "", ""
