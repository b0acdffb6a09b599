"""Finding patients by whatever they can tell."""

from __future__ import annotations

import pytest

from clinic_app.services.patients.forms import PatientQuery, PatientUpdate
from clinic_app.services.patients.profile import update_patient
from clinic_app.services.patients.search import list_patients
from tests import factories
from tests.db import tools


@pytest.fixture
def three(desk):
    """Three patients, and the receptionist."""
    factories.make_patient(
        desk,
        first_name="Ámina Grace",
        last_name="Odhiambo-Weiß",
        phone="0712 445 901",
        national_id="AB 12-34 567",
        email="amina.o@example.com",
    )
    factories.make_patient(
        desk, first_name="王", last_name="小明", phone="+44 20 7946 0958", national_id="9000 1", email=None
    )
    factories.make_patient(
        desk, first_name="50%", last_name="O_Neil", phone=None, national_id=None, email="100_%@example.com"
    )
    return desk


def _found(desk, term: str, **query) -> list[str]:
    return [row.first_name for row in list_patients(desk, PatientQuery(term=term, **query)).items]


AMINA, WANG, NEIL = "Ámina Grace", "王", "50%"


@pytest.mark.parametrize(
    "term",
    [
        "amina",
        "AMINA",
        "Ámi",
        "mina",
        "odhiambo amina",
        "weiss",
        "WEISS grace",
        "Odhiambo-W",
        "  grace   odh ",
        "gra od am",
        "Amina\u0301",
        "0712 445 901",
        "0712445901",
        "0712-445-901",
        "(0712) 445 901",
        "0712/445901",
        "+254712445901",
        "+254 712 445 901",
        "254712445901",
        "445901",
        "5901",
        "AB 12-34 567",
        "ab1234567",
        "AB-1234-567",
        "ab 12 34 567",
        "1234 567",
        "amina.o@example.com",
        "AMINA.O@",
        "amina 5901",
    ],
)
def test_a_patient_is_found_by(three, term):
    assert _found(three, term) == [AMINA]


@pytest.mark.parametrize(
    "term", ["王", "小明 王", "+44 20 7946 0958", "2079460958", "0958", "90001", "9000 1", "9000-1"]
)
def test_another_patient_is_found_by(three, term):
    assert _found(three, term) == [WANG]


@pytest.mark.asvs("1.2.4")
@pytest.mark.parametrize("term", ["50%", "0%", "%", "o_neil", "_neil", "100_%", "O_N 50%"])
def test_the_wildcards_of_sql_are_only_characters(three, term):
    assert _found(three, term) == [NEIL]


@pytest.mark.parametrize(
    "term", ["a_ina", "am%na", "__", "\\", "/", "'", "amina zzz", "0712 445 902", "' OR 1=1 --", "*"]
)
def test_nobody_is_found_by(three, term):
    assert _found(three, term) == []


@pytest.mark.parametrize("term", ["", "   ", "\x00", "\u0301", "\ud800"])
def test_a_term_of_nothing_finds_everybody(three, term):
    assert len(_found(three, term)) == 3


def test_a_patient_is_found_by_patient_id(three):
    rows = list_patients(three, PatientQuery()).items
    for row in rows:
        digits = row.patient_id.removeprefix("LMC")
        for term in (row.patient_id, row.patient_id.lower(), digits, f"LMC-{digits}", f"LMC {digits}"):
            assert row.first_name in _found(three, term), term
            assert len(_found(three, row.patient_id)) == 1


def test_a_phone_is_found_as_the_screen_of_another_region_writes_it(change_setting, desk):
    change_setting("CLINIC_REGION", "US")
    factories.make_patient(desk, first_name="Ann", phone="(202) 456-1111", next_of_kin_phone=None)
    for term in ("(202) 456-1111", "(202)", "456-1111", "+1 202 456 1111"):
        assert _found(desk, term) == ["Ann"], term


def test_a_very_long_or_wordy_term_is_cut_and_harms_nobody(three):
    assert _found(three, "x" * 100_000) == []
    assert _found(three, "n " * 50_000) == [NEIL, AMINA]
    assert _found(three, "%" * 100) == []


def test_an_edit_is_found_at_once_and_the_old_value_no_more(three):
    row = list_patients(three, PatientQuery(term="amina")).items[0]
    update_patient(three, row.id, PatientUpdate.parse({"first_name": "Zola", "phone": "0733100200", "national_id": ""}))
    assert _found(three, "zola 100200") == ["Zola"]
    for gone in ("amina grace", "445901", "ab1234567"):
        assert _found(three, gone) == []


def test_inactive_patients_are_neither_listed_nor_found_nor_counted(three):
    tools.write("UPDATE patients SET is_active = false WHERE first_name = '王'")
    page = list_patients(three, PatientQuery())
    assert page.total == 2
    assert WANG not in [row.first_name for row in page.items]
    assert _found(three, "王") == []


# --- order and pages ----------------------------------------------------------------------------


@pytest.fixture
def five(clock, desk):
    """Five patients, registered a minute apart."""
    people = [
        ("Émile", "Zola", "1/1/1990"),
        ("abel", "Zola", None),
        ("Ábel", "Yego", "1/1/1980"),
        ("Zed", "Ali", "1/1/2000"),
        ("emile", "Abdi", None),
    ]
    for first, last, born in people:
        factories.make_patient(desk, first_name=first, last_name=last, date_of_birth=born)
        clock.shift(60)
    return desk


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("name", ["Ábel", "abel", "emile", "Émile", "Zed"]),
        ("-name", ["Zed", "Émile", "emile", "abel", "Ábel"]),
        ("patient_id", ["Émile", "abel", "Ábel", "Zed", "emile"]),
        ("-patient_id", ["emile", "Zed", "Ábel", "abel", "Émile"]),
        ("created_at", ["Émile", "abel", "Ábel", "Zed", "emile"]),
        ("-created_at", ["emile", "Zed", "Ábel", "abel", "Émile"]),
        ("date_of_birth", ["Ábel", "Émile", "Zed", "abel", "emile"]),
        ("-date_of_birth", ["Zed", "Émile", "Ábel", "emile", "abel"]),
        ("password", ["Ábel", "abel", "emile", "Émile", "Zed"]),
        ("", ["Ábel", "abel", "emile", "Émile", "Zed"]),
    ],
)
def test_lists_are_ordered_alike_on_every_database_and_unknown_birth_dates_come_last(five, order, names):
    assert _found(five, "", order=order) == names
    pages = [_found(five, "", order=order, page=number, page_size=2) for number in (1, 2, 3)]
    assert [name for page in pages for name in page] == names


def test_a_page_knows_where_it_stands(five):
    page = list_patients(five, PatientQuery(page=2, page_size=2))
    assert (page.number, page.size, page.total, page.pages, page.first, page.last) == (2, 2, 5, 3, 3, 4)
    page = list_patients(five, PatientQuery(term="nobody at all"))
    assert (page.items, page.number, page.total, page.pages, page.first, page.last) == ((), 1, 0, 1, 0, 0)


@pytest.mark.parametrize(("asked", "shown"), [(99, 3), (10**30, 3), (0, 1), (-5, 1), ("x", 1), (None, 1), ("2", 2)])
def test_a_page_too_far_is_the_last_one_and_nonsense_the_first(five, asked, shown):
    page = list_patients(five, PatientQuery(page=asked, page_size=2))
    assert page.number == shown
    assert len(page.items) == (1 if shown == 3 else 2)


@pytest.mark.parametrize(("asked", "size"), [(0, 1), (1000, 100), ("x", 20), (None, 20), (-1, 1)])
def test_page_sizes_are_between_1_and_100(five, asked, size):
    assert list_patients(five, PatientQuery(page_size=asked)).size == size


def test_a_list_shows_how_each_patients_access_stands(clock, desk):
    factories.make_patient(desk, first_name="None")
    factories.make_patient(desk, first_name="Expired", portal_email="expired@example.com")
    clock.shift(48 * 3600)
    factories.make_patient(desk, first_name="Temporary", portal_email="temporary@example.com")
    factories.own_password(factories.make_patient(desk, first_name="Active", portal_email="active@example.com"))
    off = factories.make_patient(desk, first_name="Off", portal_email="off@example.com")
    killed = factories.make_patient(desk, first_name="Killed", portal_email="killed@example.com")
    tools.write("UPDATE accounts SET is_active = false WHERE patient_id = :id", id=off.patient.id)
    tools.write("UPDATE accounts SET temporary_failures = 10 WHERE patient_id = :id", id=killed.patient.id)
    assert {row.first_name: row.portal for row in list_patients(desk, PatientQuery()).items} == {
        "None": "none",
        "Expired": "expired",
        "Temporary": "temporary",
        "Active": "active",
        "Off": "off",
        "Killed": "expired",
    }


# --- the trail ----------------------------------------------------------------------------------


@pytest.mark.asvs("14.2.1", "16.3.2")
def test_a_search_is_recorded_without_its_term(three):
    _found(three, "amina 5901")
    event = tools.trail()[-1]
    assert (event["action"], event["resource_type"]) == ("PATIENT_SEARCHED", "patient")
    assert set(event["metadata"]) == {"term", "found"}
    assert event["metadata"]["found"] == 1
    assert len(event["metadata"]["term"]) == 32
    assert "amina" not in str(event)
    assert "5901" not in event["metadata"]["term"]


def test_the_same_term_leaves_the_same_mark(three):
    for term in ("amina", " AMINA ", "grace"):
        _found(three, term)
    one, same, other = (event["metadata"]["term"] for event in tools.trail("PATIENT_SEARCHED"))
    assert one == same != other


def test_listing_without_a_term_and_showing_a_page_again_are_no_searches(three):
    before = tools.dump()
    list_patients(three, PatientQuery())
    list_patients(three, PatientQuery(term="amina"), again=True)
    assert tools.dump() == before
