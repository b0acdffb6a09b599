"""Birth dates that are known in part, and people with one name: kept, edited, found, sorted and recorded."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from clinic_app.core.errors import InvalidInput
from clinic_app.services.accounts.passwords import _birth_digits
from clinic_app.services.patients.birth_dates import BirthDate
from clinic_app.services.patients.forms import PatientQuery, PatientUpdate
from clinic_app.services.patients.overview import overview
from clinic_app.services.patients.profile import reread_patient, update_patient, view_patient
from clinic_app.services.patients.search import list_patients
from clinic_app.services.portal.own_record import own_record
from clinic_app.services.portal.provisioning import reset_portal_password
from tests import factories
from tests.db import tools

ABOUT_1991 = BirthDate.of_year(1991, about=True)
KEPT = [
    ("15 Jan 1990", BirthDate(dt.date(1990, 1, 15)), ("1990-01-15", "DAY")),
    ("Mar 1960", BirthDate.of_month(1960, 3), ("1960-03-01", "MONTH")),
    ("1960", BirthDate.of_year(1960), ("1960-01-01", "YEAR")),
    ("35 years", ABOUT_1991, ("1991-01-01", "ESTIMATED")),
    ("8 months", BirthDate.of_month(2025, 10, about=True), ("2025-10-15", "ESTIMATED")),
    ("", None, (None, "DAY")),
]


def _row(patient_id: str) -> tuple[object, ...]:
    row = tools.raw(
        "SELECT date_of_birth, date_of_birth_precision, first_name, last_name, single_name FROM patients"
        " WHERE patient_id = :patient_id",
        patient_id=patient_id,
    )[0]
    return (str(row[0]) if row[0] else None, *row[1:4], bool(row[4]))


@pytest.mark.parametrize(("typed", "born", "columns"), KEPT)
def test_as_much_as_is_known_is_kept_and_shown_everywhere(clock, desk, typed, born, columns):
    made = factories.make_patient(desk, date_of_birth=typed, portal_email="known@example.org")
    number = made.patient.patient_id
    assert made.patient.date_of_birth == born  # answered without asking the database
    assert _row(number)[:2] == columns
    assert view_patient(desk, number).date_of_birth == reread_patient(desk, number).date_of_birth == born
    assert list_patients(desk, PatientQuery(number)).items[0].date_of_birth == born
    assert overview(desk).latest[0].date_of_birth == born
    assert own_record(factories.own_password(made)).date_of_birth == born


def test_an_edit_of_how_exact_a_date_is_is_an_edit(clock, desk):
    number = factories.make_patient(desk, date_of_birth="1/1/1990").patient.patient_id
    for typed in ("1990", "Jan 1990", "about 1990", "1 Jan 1990", ""):
        before = tools.last_seq()
        shown = update_patient(desk, number, PatientUpdate.parse({"date_of_birth": typed}))
        assert shown.date_of_birth == PatientUpdate.parse({"date_of_birth": typed}).changes["date_of_birth"]
        event = tools.trail("PATIENT_UPDATED", after=before)[0]
        assert event["metadata"] == {"patient_id": number, "fields": ["date_of_birth"]}
        version = shown.version
        assert update_patient(desk, number, PatientUpdate.parse({"date_of_birth": typed})).version == version


# --- one name -----------------------------------------------------------------------------------


def test_somebody_with_one_name_is_called_by_it_everywhere(desk):
    made = factories.make_patient(
        desk, first_name="Suharto", last_name="", single_name=True, portal_email="suharto@example.org"
    )
    number = made.patient.patient_id
    assert _row(number)[2:] == ("Suharto", "", True)
    assert (made.patient.name, view_patient(desk, number).name) == ("Suharto", "Suharto")
    assert [row.name for row in list_patients(desk, PatientQuery("suharto")).items] == ["Suharto"]
    assert tools.raw("SELECT name_key FROM patients WHERE patient_id = :n", n=number)[0][0] == "suharto"
    assert tools.raw("SELECT full_name FROM accounts WHERE username = 'suharto@example.org'")[0][0] == "Suharto"
    again = reset_portal_password(desk, number)
    assert again.patient.name == "Suharto"
    assert own_record(factories.own_password(replace(made, credentials=again.credentials))).name == "Suharto"


def test_a_last_name_is_given_and_taken_away(desk):
    number = factories.make_patient(
        desk, first_name="Suharto", last_name="", single_name=True, portal_email="s@example.org"
    ).patient.patient_id

    def edit(**changes):
        shown = update_patient(desk, number, PatientUpdate.parse(changes))
        account = tools.raw("SELECT full_name FROM accounts WHERE username = 's@example.org'")[0][0]
        assert account == shown.name
        return shown.name, shown.single_name

    assert edit(last_name="Sastro") == ("Suharto Sastro", False)
    assert tools.trail("PATIENT_UPDATED")[-1]["metadata"]["fields"] == ["last_name", "single_name"]
    assert edit(single_name=False) == ("Suharto Sastro", False)
    assert edit(single_name=True) == ("Suharto", True)
    assert edit(single_name=True, last_name="") == ("Suharto", True)
    assert edit(first_name="Soeharto") == ("Soeharto", True)
    before, seq = tools.dump(without=tools.TRAIL), tools.last_seq()
    with pytest.raises(InvalidInput) as caught:
        update_patient(desk, number, PatientUpdate.parse({"single_name": False}))
    assert caught.value.fields == {"last_name": "Last name is required."}
    assert tools.dump(without=tools.TRAIL) == before
    assert [row["action"] for row in tools.trail(after=seq)] == ["PATIENT_UPDATE_FAILED"]


# --- finding and sorting ------------------------------------------------------------------------

PEOPLE = {
    "day": "15/1/1990",
    "newyear": "1/1/1990",
    "month": "Jan 1990",
    "year": "1990",
    "about": "about 1991",
    "aboutmonth": "about Oct 2025",
    "other": "15/1/1980",
    "unknown": "",
}


@pytest.fixture
def born(clock, desk):
    """People known by their birth dates only."""
    for name, typed in PEOPLE.items():
        factories.make_patient(desk, first_name=name, last_name="Birth", date_of_birth=typed, national_id=None)
    return desk


def _found(desk, term: str, **query) -> set[str]:
    return {row.first_name for row in list_patients(desk, PatientQuery(term=term, **query)).items}


@pytest.mark.parametrize(
    ("term", "names"),
    [
        ("1990", {"day", "newyear", "month", "year", "about"}),
        ("1991", {"about"}),
        ("1992", {"about"}),
        ("1993", set()),
        ("1989", set()),
        ("1980", {"other"}),
        ("Jan 1990", {"day", "newyear", "month", "year", "about"}),
        ("1990-01", {"day", "newyear", "month", "year", "about"}),
        ("Feb 1990", {"year", "about"}),
        ("15 Jan 1990", {"day", "month", "year", "about"}),
        ("15/1/1990", {"day", "month", "year", "about"}),
        ("15/1/90", {"day", "month", "year", "about"}),
        ("150190", {"day", "month", "year", "about"}),
        ("1990-01-15", {"day", "month", "year", "about"}),
        ("15–01–1990", {"day", "month", "year", "about"}),
        ("16 Jan 1990", {"month", "year", "about"}),
        ("16 Feb 1990", {"year", "about"}),
        ("15/1/1991", {"about"}),
        ("15/1/1980", {"other"}),
        ("about 1991", {"day", "newyear", "month", "year", "about"}),
        ("35 years", {"day", "newyear", "month", "year", "about"}),
        ("Sep 2025", {"aboutmonth"}),
        ("1 Nov 2025", {"aboutmonth"}),
        ("Dec 2025", set()),
        ("8 months", {"aboutmonth"}),
        ("2025", {"aboutmonth"}),
        ("2024", set()),
        ("birth 1990", {"day", "newyear", "month", "year", "about"}),
        ("month 1990", {"month"}),
        ("1990 day", {"day"}),
        ("15 Jan 1990 year", {"year"}),
        ("year 15 Jan 1990", {"year"}),
        ("nobody 1990", set()),
        ("35", set()),
    ],
)
def test_people_are_found_by_birth_date_where_what_is_known_covers_it(born, term, names):
    assert _found(born, term) == names


def test_a_number_that_reads_as_a_date_is_still_found_as_a_number(born):
    factories.make_patient(born, first_name="Number", date_of_birth="", phone="0712 150 190", national_id="1990")
    assert "Number" in _found(born, "150190")
    assert "Number" in _found(born, "1990")
    assert list_patients(born, PatientQuery("1990", page_size=2)).total == 6


def test_the_search_by_birth_date_leaves_no_date_in_the_trail(born):
    before = tools.last_seq()
    _found(born, "15 Jan 1990")
    details = tools.trail("PATIENT_SEARCHED", after=before)[0]["metadata"]
    assert details["found"] == 4
    assert "1990" not in str(details)


@pytest.mark.parametrize("sign", ["", "-"])
def test_sorting_by_birth_date_puts_unknown_ones_last_and_is_stable(born, sign):
    rising = ["other", "newyear", "month", "year", "day", "about", "aboutmonth"]
    order = f"{sign}date_of_birth"
    names = [row.first_name for row in list_patients(born, PatientQuery(order=order)).items]
    assert names == [*(reversed(rising) if sign else rising), "unknown"]
    pages = [list_patients(born, PatientQuery(order=order, page=page, page_size=3)).items for page in (1, 2, 3)]
    assert [row.first_name for page in pages for row in page] == names


# --- passwords ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("precision", "digits"),
    [
        ("DAY", ["14031988", "19880314"]),
        ("MONTH", ["031988", "198803"]),
        ("YEAR", ["1988"]),
        ("ESTIMATED", ["1988"]),
    ],
)
def test_a_birth_date_in_a_password_is_looked_for_as_far_as_it_is_known(precision, digits):
    assert _birth_digits(dt.date(1988, 3, 14), precision) == digits
