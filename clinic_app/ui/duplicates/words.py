"""Pairs of records in words: what is the same, what differs, and what a merge will do."""

from __future__ import annotations

import itertools

from clinic_app.core import routes
from clinic_app.services.patients import merge_forms, pairs, wording
from clinic_app.services.patients.forms import PATIENT_FIELDS
from clinic_app.services.patients.views import Comparison, Likeness, Pair, PairNumbers, PatientProfile, PatientSummary
from clinic_app.ui import presenters
from clinic_app.ui.view_models import Chip, CompareHead, CompareRow, Fact, Filter, Outcome, PairCard, Twin, Word

_TONES = {"certain": "bad", "likely": "warn", "possible": "idle"}
NOT_RECORDED = "Not recorded"


def chips(like: Likeness) -> list[Chip]:
    """The reasons; those with a comma say how something is alike."""
    return [Chip(reason, ", " in reason) for reason in like.reasons]


def grade(like: Likeness) -> tuple[str, str]:
    """The grade in a word, and its tone."""
    return like.grade.capitalize(), _TONES.get(like.grade, "idle")


def pair_key(one: str, other: str) -> str:
    """What names a pair, in addresses too."""
    return f"{one}-{other}"


def _begin_alike(one: str, other: str) -> str:
    pairs_of_signs = zip(one, other, strict=False)
    return "".join(sign for sign, _ in itertools.takewhile(lambda both: both[0] == both[1], pairs_of_signs))


def _twin(one: PatientSummary, other: PatientSummary) -> Twin:
    row, theirs = presenters.patient_row(one), presenters.patient_row(other)
    known = {word.casefold() for word in other.name.split()}
    same = _begin_alike(row.phone, theirs.phone)
    return Twin(
        row=row,
        words=[Word(word, word.casefold() not in known) for word in one.name.split()],
        born_differs=row.born != theirs.born,
        phone_start=same,
        phone_rest=row.phone[len(same) :] if row.phone else "" if row.phone == theirs.phone else "No phone",
    )


def card(pair: Pair, *, said: bool = False) -> PairCard:
    """A pair in the list."""
    first, second = pair.first, pair.second
    word, tone = grade(pair.likeness)
    return PairCard(
        key=pair_key(first.patient_id, second.patient_id),
        first=_twin(first, second),
        second=_twin(second, first),
        grade=word,
        tone=tone,
        chips=chips(pair.likeness),
        href=routes.compare(first.patient_id, second.patient_id),
        said=said or pair.likeness.set_aside_at is not None,
    )


def filters(numbers: PairNumbers, chosen: str) -> list[Filter]:
    """The filters with how many each leaves."""
    grades = [Filter(one, one.capitalize(), f"{numbers.grades[one]:,}", chosen == one) for one in pairs.GRADES]
    aside = Filter(pairs.SET_ASIDE, "Not duplicates", f"{numbers.set_aside:,}", chosen == pairs.SET_ASIDE)
    return [Filter("", "All", f"{numbers.total:,}", not chosen), *grades, *([aside] if numbers.set_aside else [])]


# --- side by side ---------------------------------------------------------------------------------


def _access(patient: PatientProfile) -> str:
    access = patient.access
    if access.status == "none":
        return ""
    if access.status == "off":
        return "Turned off"
    if access.last_sign_in_at is not None:
        return f"In use: last signed in {presenters.until(access.last_sign_in_at)}"
    if access.status == "expired":
        return "Never signed in; password expired"
    ends = f"; password expires {', '.join(wording.day_and_time(access.expires_at))}" if access.expires_at else ""
    return f"Never signed in{ends if access.temporary else ''}"


def head(patient: PatientProfile) -> CompareHead:
    """One of the two records."""
    by = f" by {patient.registered_by}" if patient.registered_by else ""
    changed = f"last changed {', '.join(wording.day_and_time(patient.updated_at))}"
    return CompareHead(
        patient_id=patient.patient_id,
        name=patient.name,
        line=f"registered {', '.join(wording.day_and_time(patient.created_at))}{by} · "
        + (changed if patient.version > 1 else "not changed since"),
        username=patient.access.username,
        account=str(patient.access.account_id) if patient.access.account_id else "",
        access=_access(patient),
    )


def _words(patient: PatientProfile, name: str) -> str:
    if name == "last_name" and patient.single_name:
        return "Has one name only"
    return PATIENT_FIELDS[name].words(getattr(patient, name)) or NOT_RECORDED


def rows(found: Comparison) -> list[CompareRow]:
    """The fields in which they differ."""
    fields = merge_forms.differing(found.first, found.second)
    proposed = merge_forms.proposed(found.first, found.second)
    return [
        CompareRow(
            name, PATIENT_FIELDS[name].label, _words(found.first, name), _words(found.second, name), name in proposed
        )
        for name in fields
        if name != "single_name" or "last_name" not in fields
    ]


def same(found: Comparison) -> list[Fact]:
    """What is the same in both, and known."""
    differ = merge_forms.differing(found.first, found.second)
    return [
        Fact(field.label, words)
        for name, field in PATIENT_FIELDS.items()
        if name not in differ and name != "single_name" and (words := _words(found.first, name)) != NOT_RECORDED
    ]


def outcomes(stays: CompareHead, goes: CompareHead, login: str) -> list[Outcome]:
    """What merging ``goes`` into ``stays`` will do, where the account ``login`` is kept."""
    told = [
        Outcome("check", stays.patient_id, " stays, with the values chosen above."),
        Outcome("archive", goes.patient_id, " becomes inactive. Its numbers, phone and email still find this patient."),
    ]
    kept, ended = (stays, goes) if login in ("", stays.account) else (goes, stays)
    if kept.username and ended.username:
        told.append(
            Outcome(
                "key-round",
                kept.username,
                f" stays the portal login. {ended.username} is turned off, and whoever is signed in with it is signed"
                " out now.",
            )
        )
    elif only := stays.username or goes.username:
        told.append(Outcome("key-round", only, " is the portal login of the record that stays."))
    return [*told, Outcome("undo-2", "", "Both records can be put back with Undo merge on the patient’s profile.")]
