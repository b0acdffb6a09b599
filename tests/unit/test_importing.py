"""What a row becomes before anything is asked of the register."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from clinic_app.services.patients import search_keys
from clinic_app.services.patients.importing.csv_file import Record
from clinic_app.services.patients.importing.rows import Person, read_row

AMINA = {"first_name": "Amina", "last_name": "Odhiambo"}


def _read(**values: str):
    return read_row(Record(2, 2, 0, 10, 3, {**AMINA, **values}))


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ({"gender": "f"}, {"gender": "FEMALE"}),
        ({"gender": "'male"}, {"gender": "MALE"}),
        ({"email_allowed": "", "sms_allowed": "No"}, {"email_allowed": True, "sms_allowed": False}),
        ({"last_name": "", "single_name": "TRUE"}, {"last_name": "", "single_name": True}),
        ({"first_name": "'Aisha"}, {"first_name": "'Aisha"}),
        ({"first_name": "'=Aisha"}, {"first_name": "=Aisha"}),
        ({"national_id": "'0012"}, {"national_id": "0012"}),
        ({"address": "12 Lake Road\nKisumu"}, {"address": "12 Lake Road\nKisumu"}),
    ],
)
def test_what_spreadsheets_and_other_systems_write_is_understood(values, kept):
    form = _read(**values).form
    assert form is not None
    assert {name: getattr(form, name) for name in kept} == kept


@pytest.mark.parametrize(
    ("values", "iso", "estimated"),
    [
        ({"date_of_birth": "1990-01-15", "date_of_birth_precision": "YEAR"}, "1990", False),
        ({"date_of_birth": "1990-01-15", "date_of_birth_precision": "month"}, "1990-01", False),
        ({"date_of_birth": "1990-01-01", "date_of_birth_precision": "ESTIMATED"}, "1990", True),
        ({"date_of_birth": "1990", "date_of_birth_estimated": "yes"}, "1990", True),
        ({"date_of_birth": "'15/1/1990"}, "1990-01-15", False),
    ],
)
def test_a_birth_date_is_as_exact_as_it_is_said(values, iso, estimated):
    form = _read(**values).form
    assert form is not None
    assert form.date_of_birth is not None
    assert (form.date_of_birth.iso, form.date_of_birth.estimated) == (iso, estimated)


def test_a_number_that_a_spreadsheet_shortened_is_refused():
    read = _read(national_id="2.78E+07", sms_allowed="perhaps")
    assert read.form is None
    assert read.errors["national_id"].startswith("National ID was shortened to 2.78E+07 by a spreadsheet.")
    assert read.errors["sms_allowed"] == "Phone may be used for messages must be true or false."


def test_what_a_person_is_found_by_is_what_registering_makes():
    read = _read(phone="0712445901", email="a.o@example.org", external_id="OPD/7", national_id="27 84")
    assert isinstance(read.person, Person)
    whole = SimpleNamespace(patient_id="LMC000042", **dict(read.form))
    assert search_keys.numbered(read.person.found_by, "LMC000042") == search_keys.keys_of(whole)
