"""A record as labels and words, for whoever reads it: the desk's profile, *My record* and its download."""

from __future__ import annotations

from collections.abc import Iterable

from clinic_app.services.patients.forms import LABELS, PATIENT_FIELDS, SECTIONS
from clinic_app.services.patients.views import PatientRecord

#: Whether messages may go to email and phone → how that is said as one fact.
_MESSAGES = {
    (True, True): "By email and phone",
    (True, False): "By email only",
    (False, True): "By phone only",
    (False, False): "None may be sent",
}


def facts(patient: PatientRecord, names: Iterable[str]) -> list[tuple[str, str]]:
    """Label and words of these fields, as people read them."""
    return [(LABELS[name], PATIENT_FIELDS[name].words(getattr(patient, name))) for name in names]


def reached(patient: PatientRecord) -> list[tuple[str, str]]:
    """How the clinic reaches somebody, and where messages may go."""
    ticks = {"email_allowed", "sms_allowed"}
    names = [name for name in SECTIONS["contact"] if name not in ticks]
    return [*facts(patient, names), ("Messages", _MESSAGES[patient.email_allowed, patient.sms_allowed])]
