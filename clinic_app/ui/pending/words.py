"""How somebody who waits is shown: what they typed, whom they may be, and what was decided."""

from __future__ import annotations

from collections.abc import Iterable

from clinic_app.core import routes
from clinic_app.services.patients import wording
from clinic_app.services.patients.forms import LABELS, PATIENT_FIELDS, Kind
from clinic_app.services.patients.verification import LikelyMatch, Linked, WaitingPerson
from clinic_app.ui import presenters
from clinic_app.ui.view_models import LinkRow, TypedFact, WaitingRow

#: What stands there also where nothing was typed; of the rest only what was.
_ALWAYS = ("date_of_birth", "gender", "phone", "email")
_LABELS = {"date_of_birth": "Born", "preferred_language": "Language"}
_ELSEWHERE = ("first_name", "last_name", "single_name")
_TONES = {"certain": "bad", "likely": "warn"}


def _fact(one: WaitingPerson, name: str) -> TypedFact:
    field, value = PATIENT_FIELDS[name], getattr(one.details, name)
    words = field.words(value)
    if name == "date_of_birth" and words:
        age = wording.age_short(value)
        words = f"{words} ({age})" if age else words
    more = ""
    if name == "email" and words and not one.patient_id:
        more = "Confirmed" if one.email_confirmed else "Not confirmed"
    return TypedFact(_LABELS.get(name, LABELS[name]), words, more)


def _facts(one: WaitingPerson) -> list[TypedFact]:
    """What was typed, in the order of the form. Consent is shown where it was withheld."""
    shown = []
    for name, field in PATIENT_FIELDS.items():
        value = getattr(one.details, name)
        if name in _ELSEWHERE:
            continue
        if field.kind is Kind.TICK:
            shown += [] if value else [_fact(one, name)]
        elif name in _ALWAYS or value:
            shown.append(_fact(one, name))
    return shown


def _match(one: WaitingPerson, found: LikelyMatch) -> LinkRow:
    match, patient = found.match, found.match.patient
    born = wording.birth_words(patient.date_of_birth)
    return LinkRow(
        key=f"{one.id}-{patient.id}",
        person=0 if one.patient_id else one.id,
        compare=routes.compare(patient.patient_id, one.patient_id) if one.patient_id else "",
        patient_id=patient.patient_id,
        name=patient.name,
        initials=wording.initials(patient.first_name, patient.last_name),
        born=f"born {born}" if born else "birth date not known",
        phone=wording.phone_words(patient.phone) or "no phone",
        href=routes.profile(patient.patient_id),
        version=found.version,
        grade=match.grade.capitalize(),
        tone=_TONES.get(match.grade, "idle"),
        chips=presenters.match_row(match).chips,
    )


def _registered(one: WaitingPerson) -> str:
    """``Registered herself today, 08:05``."""
    whom = {"FEMALE": " herself", "MALE": " himself"}.get(str(one.details.gender), "")
    day, time = wording.day_and_time(one.since)
    return f"Registered{'' if one.patient_id else whom} {day}, {time}"


def row(one: WaitingPerson) -> WaitingRow:
    """Somebody who waits."""
    return WaitingRow(
        id=one.id,
        name=one.name,
        initials=wording.initials(one.details.first_name, one.details.last_name),
        registered=_registered(one),
        patient_id=one.patient_id,
        href=routes.profile(one.patient_id) if one.patient_id else "",
        version=one.version or 0,
        seen=[found.match.patient.id for found in one.matches],
        facts=_facts(one),
        matches=[_match(one, found) for found in one.matches],
    )


def _named(names: Iterable[str]) -> str:
    """``Email and national ID``."""
    labels = [LABELS[name] for name in names]
    words = [
        label if label.isupper() or index == 0 else label[:1].lower() + label[1:] for index, label in enumerate(labels)
    ]
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1] if words else ""]))


def linked(done: Linked) -> str:
    """``Email and national ID were added there; the registration is closed.``"""
    one = len(done.added) == 1
    added = f"{_named(done.added)} {'was' if one else 'were'} added there" if done.added else "Nothing was added there"
    kept = _named(done.kept)
    differs = f" {kept} {'differs' if len(done.kept) == 1 else 'differ'}: the record stays as it was." if kept else ""
    return f"{added}; the registration is closed.{differs}"
