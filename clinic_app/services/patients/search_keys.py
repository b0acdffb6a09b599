"""What is kept of a patient for finding: the one place that decides by what somebody is found.

``search_names``: the words of the name, national ID and external ID, a blank before and behind each. Any part is found.
``search_keys``: everything else, each found by its beginning, numbers by their end too, in three parts:

    own ~ portal usernames | next of kin

``search_words``: of those two, what an index of words finds them by (see ``words_in``).

What is kept holds neither of the two signs, so a pattern can say in which part it looks.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from clinic_app.core.folding import folded, letters_and_digits, without_blanks
from clinic_app.services.patients import national_ids, phones
from clinic_app.services.patients.wording import full_name

#: What sorting compares is cut here; the column is made for it.
LONGEST_NAME_KEY = 210
#: So many parts of a name are also kept written as one word, from each of them on.
_RUNS_AT_MOST = 6
#: What words of the index begin with that are no words of names: other keys, numbers from their ends, every end of
#: what stands among the names with digits in it, words run together, addresses, and the first letters of other keys.
KEY, BACKWARDS, INSIDE, RUN, ADDRESS, BEGUN = "~", "|", "^", "=", "@", "+"
#: The index has words so far, and so many letters of what stands inside: more of them is compared in the record itself.
LONGEST_WORD, LONGEST_INSIDE = 60, 24
#: So many letters are the first.
FIRST_LETTERS = 4
#: Of a number, what has at least so many digits is found inside.
_SHORTEST_INSIDE = 4
_FIRST = re.compile(r"[^\W_]*")
_SIGNS = str.maketrans("~|", "  ")
_EDGES = '.,;:!?#()[]{}<>"/&+\u00ab\u00bb\u201c\u201d\u201e\u2026\u3001\u3002'


@dataclass(frozen=True, slots=True)
class SearchKeys:
    """What the table keeps for sorting and finding."""

    name_key: str
    search_names: str
    search_keys: str
    search_words: str


def words(text: str) -> list[str]:
    """The parts of ``text`` as they are compared, without signs at their edges."""
    return [word for part in folded(text).translate(_SIGNS).split() if (word := part.strip(_EDGES))]


def word_of(text: str) -> str:
    """``text`` as one word, as it is compared: for emails, whose dashes and dots are part of them."""
    return without_blanks(text).translate(_SIGNS).replace(" ", "")


def _runs(parts: Sequence[str]) -> list[str]:
    """The parts written as one word, beginning with each of them: ``janeotieno``, ``otienojane``."""
    if len(parts) < 2:
        return []
    return ["".join([*parts[start:], *parts[:start]]) for start in range(min(len(parts), _RUNS_AT_MOST))]


def email_words(email: str) -> list[str]:
    """An address by its beginning, and by each part of what stands before the ``@``."""
    whole = word_of(email)
    local = whole.partition("@")[0]
    parts = [part for part in re.split(r"[^\w]|_", folded(email.partition("@")[0])) if part]
    return [whole, *([letters_and_digits(local)] if not local.isalnum() else []), *parts[1:]]


def _number_words(patient_id: str) -> list[str]:
    """``LMC000032``: as it stands, its digits, and its digits without zeros."""
    digits = patient_id[len(patient_id.rstrip(string.digits)) :]
    return [patient_id.lower(), digits, digits.lstrip("0")]


def _joined(parts: Iterable[str]) -> str:
    return " ".join(dict.fromkeys(part for part in parts if part))


def numbers_of(patient: Any) -> list[str]:
    """What a record that was merged into another is still found by: its numbers, phone and email."""
    numbers = (national_ids.key(patient.national_id), letters_and_digits(patient.external_id or ""))
    return [
        *_number_words(patient.patient_id),
        *phones.dialled(patient.phone),
        *(email_words(patient.email) if patient.email else []),
        *[number for number in numbers if number],
        *words(patient.external_id or ""),
    ]


def keys_of(
    patient: Any,
    usernames: Iterable[str] = (),
    merged: Iterable[str] = (),
    *,
    dialled: Callable[[str | None], tuple[str, ...]] = phones.dialled,
) -> SearchKeys:
    """The keys of ``patient``, anything with the fields of one. ``usernames``: those it has, or had, in the portal;
    ``merged``: what ``numbers_of`` says of records that were merged into it.

    ``dialled``: the same as ``phones.dialled``, perhaps quicker for numbers that are known to be of one kind.
    """
    name = full_name(patient.first_name, patient.last_name)
    parts = words(name)
    own = _joined(
        [
            *_number_words(patient.patient_id),
            *dialled(patient.phone),
            *(email_words(patient.email) if patient.email else []),
            *_runs(parts),
            *merged,
        ]
    )
    portal = _joined(part for username in usernames for part in email_words(username))
    given = (national_ids.key(patient.national_id), letters_and_digits(patient.external_id or ""))
    numbers = [number for number in given if number]
    numbers += [word for word in words(patient.external_id or "") if word not in numbers]  # as it stands, too
    relative = words(patient.next_of_kin_name or "")
    kin = _joined([*relative, *_runs(relative), *dialled(patient.next_of_kin_phone)])
    names, kept = f" {' '.join([*parts, *numbers])} ", f" {own} ~ {portal} | {kin} "
    return SearchKeys(
        name_key=folded(name)[:LONGEST_NAME_KEY],
        search_names=names,
        search_keys=kept,
        search_words=words_in(names, kept, parts),
    )


def words_in(search_names: str, search_keys: str, parts: Collection[str]) -> str:
    """What an index of words finds somebody by, of whose ``search_names`` these ``parts`` are the name.

    Whoever has a text in them, as ``search_match`` looks for it, is found by what ``search_tiers`` asks for; the index
    may find others besides. Words that begin with a sign of those above are no words of names:

    - every other key, but for what is a word of the name: numbers from their ends too, words by their first letters;
    - of what stands among the names and is no part of one, or has a digit, every end: any part of it is found by its
      beginning;
    - words run together by the first of them and the rest (``=jane|otieno``): by its beginning it is found already;
    - addresses as a whole, and by their first part.
    """
    named, keys = search_names.split(), [word for word in search_keys.split() if word not in ("~", "|")]
    known = set(named) | set(keys)
    found: dict[str, None] = {}
    numbers: list[str] = []
    for word in keys:
        if "@" in word:
            found[f"{ADDRESS}{word}"[:LONGEST_WORD]] = None
            if any(map(str.isdigit, word.partition("@")[2])):
                found[backwards(word)] = None
            word = _FIRST.match(word)[0]  # type: ignore[index]
        if any(map(str.isdigit, word)):
            found[f"{KEY}{word}"[:LONGEST_WORD]] = None
            if not any(one.endswith(word) for one in numbers):
                numbers.append(word)
                found[backwards(word)] = None
        elif word in named:
            continue
        elif begun := [word[:at] for at in range(1, len(word)) if word[:at] in known]:
            found |= dict.fromkeys(f"{RUN}{one}|{word[len(one) :]}"[:LONGEST_WORD] for one in begun)
        elif word:
            found[f"{KEY}{word}"[:LONGEST_WORD]] = None
            found[f"{BEGUN}{word[:FIRST_LETTERS]}"] = None
    for word in named:
        found[word[:LONGEST_WORD]] = None
        if word not in parts or any(map(str.isdigit, word)):
            found |= dict.fromkeys(_ends(word))
    return " ".join(found)


def _ends(word: str) -> list[str]:
    last = len(word) - _SHORTEST_INSIDE + 1 if word.isdecimal() else len(word)
    return [f"{INSIDE}{word[at : at + LONGEST_INSIDE]}" for at in range(max(1, last))]


def backwards(number: str) -> str:
    """``number`` as it is kept to be found by its end."""
    return f"{BACKWARDS}{number[::-1]}"[:LONGEST_WORD]


def parts_of(search_keys: str) -> tuple[str, str, str]:
    """What is the patient's own, the portal usernames, and the next of kin's; each with blanks round its words."""
    own, _, rest = search_keys.partition("~")
    portal, _, kin = rest.partition("|")
    return own, portal, kin


def numbered(keys: SearchKeys, patient_id: str) -> SearchKeys:
    """``keys``, made of somebody whose patient ID was empty, with the number they got: as ``keys_of`` makes them."""
    number = _joined(_number_words(patient_id))
    words_of_it = words_in("", number, ())
    return SearchKeys(
        keys.name_key, keys.search_names, f" {number}{keys.search_keys}", f"{words_of_it} {keys.search_words}"
    )
