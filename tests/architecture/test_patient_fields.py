"""A field of a patient is in every place where one is read, shown, sent, edited or kept: none drops it silently.

``PatientDetails`` is the list. Everything else follows it by itself, or is compared with it here.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

import pytest

from clinic_app.api import schemas, serializers
from clinic_app.models.patients import Patient
from clinic_app.services.patients import repository
from clinic_app.services.patients.birth_dates import BirthDate
from clinic_app.services.patients.forms import LABELS, PATIENT_FIELDS, SECTIONS, Kind, PatientDetails
from clinic_app.services.patients.views import PatientProfile, PortalStanding
from clinic_app.services.portal.forms import OWN_CONTACT
from clinic_app.services.portal.views import OwnDownload, OwnRecord
from clinic_app.ui import presenters
from clinic_app.ui.profile import view as profile_view
from clinic_app.ui.profile.state import ProfileState
from clinic_app.ui.registration import view as registration_view
from clinic_app.ui.registration.state import RegistrationState
from clinic_app.web.own_record import as_json

FORM = tuple(PatientDetails.model_fields)
OWN = tuple(name for name in FORM if PATIENT_FIELDS[name].own)
#: Both ticks are one fact, whose words say which of them are set.
_CONSENT = ("email_allowed", "sms_allowed")
#: The names stand as one, under the label *Name*.
_NAMES = ("first_name", "last_name", "single_name")
OWN_LABELS = (*(LABELS[name] for name in OWN if name not in (*_NAMES, *_CONSENT)), "Messages")
#: Whether there is one name only is seen from the names: nothing stands for a last name.
SHOWN_LABELS = (*(label for name, label in LABELS.items() if name not in ("single_name", *_CONSENT)), "Messages")
NOW = dt.datetime(2026, 6, 16, 9, 0, tzinfo=dt.UTC)


def _fields(view: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(view))


def _value(name: str) -> Any:
    """What a record might hold: words that tell which field they are of."""
    kind = PATIENT_FIELDS[name].kind
    if kind is Kind.CHOICE:
        return list(PATIENT_FIELDS[name].choices())[-1]
    known = {Kind.DATE: BirthDate(dt.date(1990, 1, 15)), Kind.PHONE: "+254712445901", Kind.TICK: False}
    return known.get(kind, f"<{name}>")


def _filled(view: Any) -> Any:
    """A view in which every field has a value."""
    others = {
        "id": 7,
        "portal": "none",
        "access": PortalStanding(),
        "verification_status": "VERIFIED",
        "version": 1,
        "created_at": NOW,
        "updated_at": NOW,
        "portal_enabled": False,
        "is_active": True,
        "national_id_counts": True,
        "activity": (),
        "viewings": (),
        "viewed": 0,
        "password_since": NOW,
    }
    given = {name: _value(name) if name in FORM else others.get(name, "x") for name in _fields(view)}
    return view(**given)


def _taken_home() -> OwnDownload:
    return OwnDownload(_filled(OwnRecord), (), NOW, left_out=False)


def _inputs(component: Any) -> tuple[str, ...]:
    """The names of the inputs a component compiles to."""
    return tuple(re.findall(r"""['" ]name:"(\w+)""", str(component.render())))


def _labels(facts: list[Any]) -> tuple[str, ...]:
    return tuple(fact.label for fact in facts if fact.value)


def _named(*parts: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for part in parts for name in part)


#: Place → what is there, and what must be.
PLACES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "the list, with label and section": (tuple(PATIENT_FIELDS), FORM),
    "a section": (tuple(name for names in SECTIONS.values() for name in names), FORM),
    "the table": (tuple(Patient.__table__.columns.keys()), FORM),  # type: ignore[attr-defined]
    "the desk's view": (_fields(PatientProfile), FORM),
    "what is read for it": (tuple(repository._PROFILE), FORM),
    "a registration by the API, as described": (tuple(schemas.Registration.model_fields), FORM),
    "an edit by the API, as described": (tuple(schemas.Edit.model_fields), FORM),
    "the API's answer, as described": (tuple(schemas.Patient.model_fields), FORM),
    "the API's answer": (tuple(serializers.patient(_filled(PatientProfile))), FORM),
    "the inputs of the registration": (_inputs(registration_view._form()), FORM),
    "the inputs of the profile": (_inputs(profile_view._record()), FORM),
    "checked on leaving, at the registration": (RegistrationState._names(None), FORM),  # type: ignore[arg-type]
    "checked on leaving, at the profile": (ProfileState._names(None), FORM),  # type: ignore[arg-type]
    "what a profile's form begins with": (_named(presenters.typed(_filled(PatientProfile))), FORM),
    "shown on the profile": (
        _labels([*presenters.details(_filled(PatientProfile)), *presenters.contact(_filled(PatientProfile))]),
        SHOWN_LABELS,
    ),
    "the patient's own view": (_fields(OwnRecord), OWN),
    "what patients correct themselves": ((*OWN_CONTACT, "email"), tuple(n for n in SECTIONS["contact"] if n in OWN)),
    "the file that patients take home": (tuple(as_json(_taken_home())["patient"]), OWN),
    "shown in the own record": (
        _labels([*presenters.own_details(_filled(OwnRecord)), *presenters.own_contact(_filled(OwnRecord))]),
        OWN_LABELS,
    ),
}


def forgotten(found: tuple[str, ...], wanted: tuple[str, ...]) -> list[str]:
    """What is wanted and not there."""
    return [name for name in wanted if name not in found]


@pytest.mark.parametrize("place", PLACES)
def test_no_field_is_forgotten(place: str) -> None:
    assert forgotten(*PLACES[place]) == [], f"forgotten in: {place}"


@pytest.mark.parametrize("place", PLACES)
def test_a_forgotten_field_is_found(place: str) -> None:
    found, wanted = PLACES[place]
    for name in wanted:
        assert forgotten(tuple(one for one in found if one != name), wanted) == [name]


def test_what_patients_do_not_see_of_themselves_is_not_in_their_view() -> None:
    assert [name for name in FORM if name in _fields(OwnRecord)] == [name for name in FORM if name in OWN]
    assert [name for name in FORM if name not in OWN] == ["national_id", "external_id"]


@pytest.mark.parametrize("place", ["the inputs of the registration", "the inputs of the profile"])
def test_inputs_stand_in_the_order_of_the_list(place: str) -> None:
    inputs = [name for name in PLACES[place][0] if name in FORM]
    assert inputs == [name for names in SECTIONS.values() for name in names] == list(FORM)


@pytest.mark.parametrize(
    "shape",
    [
        schemas.Registration.model_fields,
        schemas.Edit.model_fields,
        schemas.Patient.model_fields,
        _fields(PatientProfile),
    ],
    ids=["registration", "edit", "answer", "view"],
)
def test_nothing_else_is_named_as_if_it_were_a_field(shape: Any) -> None:
    others = {
        *("create_portal_account", "portal_email", "portal_phone", "version", "id", "patient_id", "name"),
        *("date_of_birth_estimated", "allow_duplicate"),
        *("portal_enabled", "portal_status", "portal_username", "verification_status", "created_at", "updated_at"),
        *("is_active", "registered_by", "portal", "access", "activity", "national_id_counts", "deliveries"),
        *("merged_into", "merges"),
    }
    assert set(shape) - others == set(FORM)


def test_nothing_else_is_kept_of_a_patient_but_what_the_system_sets() -> None:
    system = {
        *("id", "patient_id", "national_id_key", "portal_enabled", "is_active", "verification_status", "name_key"),
        *("search_names", "search_keys", "search_words", "created_at", "updated_at", "registered_by_id", "version"),
        *("merged_into_id",),
        "date_of_birth_precision",
    }
    assert set(PLACES["the table"][0]) - system == set(FORM)
