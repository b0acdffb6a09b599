"""What is kept of a patient for finding: the one place that decides by what somebody is found.

``search_names``: the words of the name, national ID and external ID, a blank before and behind each. Any part is found.
``search_keys``: everything else, each found by its beginning, numbers by their end too, in three parts:

    own ~ portal usernames | next of kin

``search_words``: names and numbers of those once more, numbers forwards and backwards, for an index of words.

What is kept holds neither of the two signs, so a pattern can say in which part it looks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from clinic_app.core.folding import folded, letters_and_digits, without_blanks
from clinic_app.services.patients import national_ids, phones
from clinic_app.services.patients.wording import full_name

#: What sorting compares is cut here; the column is made for it.
LONGEST_NAME_KEY = 210
#: So many parts of a name are also kept written as one word, from each of them on.
_RUNS_AT_MOST = 6
#: What a number that is kept from its end begins with.
BACKWARDS = "z"
#: What is one word to any index.
_BEGINS, _ENDS = re.compile(r"[a-z0-9]*"), re.compile(r"[a-z0-9]*$")
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
    digits = re.sub(r"^.*?(\d*)$", r"\1", patient_id)
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
        search_words=words_in(names, kept),
    )


def words_in(search_names: str, search_keys: str) -> str:
    """The words of ``search_names``, and of the keys what has digits: each from its beginning on, and, behind
    ``BACKWARDS``, from its end. Those of other scripts are left to an index of trigrams.
    """
    found = [word for word in search_names.split() if is_plain(word)]
    found += _numbers_in(search_keys)
    return _joined(found)


def _numbers_in(search_keys: str) -> Iterator[str]:
    """What has digits, from both ends."""
    for word in search_keys.split():
        if not word.isalpha() and any(map(str.isdigit, word)):
            yield _BEGINS.match(word)[0]  # type: ignore[index]
            yield backwards(_ENDS.search(word)[0])  # type: ignore[index]


def is_plain(word: str) -> bool:
    """Whether ``word`` is one word to any index."""
    return word.isascii() and word.isalnum()


def backwards(number: str) -> str:
    """``number`` as it is kept to be found by its end."""
    return f"{BACKWARDS}{number[::-1]}" if number else ""


def parts_of(search_keys: str) -> tuple[str, str, str]:
    """What is the patient's own, the portal usernames, and the next of kin's; each with blanks round its words."""
    own, _, rest = search_keys.partition("~")
    portal, _, kin = rest.partition("|")
    return own, portal, kin


def numbered(keys: SearchKeys, patient_id: str) -> SearchKeys:
    """``keys``, made of somebody whose patient ID was empty, with the number they got: as ``keys_of`` makes them."""
    number = _joined(_number_words(patient_id))
    words, named = keys.search_words.split(), len({word for word in keys.search_names.split() if is_plain(word)})
    words[named:named] = _numbers_in(number)  # before the other numbers, behind the names
    return SearchKeys(keys.name_key, keys.search_names, f" {number}{keys.search_keys}", _joined(words))
