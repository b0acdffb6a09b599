"""Finding patients by whatever they can tell."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clinic_app.services.patients.forms import PatientQuery, PatientUpdate
from clinic_app.services.patients.profile import update_patient
from clinic_app.services.patients.search import list_patients, marked
from clinic_app.services.portal.forms import PortalAccountRequest
from clinic_app.services.portal.provisioning import create_portal_account, turn_off_portal
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


def test_a_page_of_the_register_is_recorded_as_a_list_and_a_page_drawn_again_is_not(three):
    seq = tools.last_seq()
    shown = list_patients(three, PatientQuery(page=2, page_size=2))
    ids = [one.id for one in shown.items]
    list_patients(three, PatientQuery(page=2, page_size=2), again=ids)
    list_patients(three, PatientQuery(term="nobody"), again=ids)
    (event,) = tools.trail(after=seq)
    assert (event["action"], event["metadata"]) == ("PATIENT_LISTED", {"kind": "patients", "page": 2, "count": 1})


def test_a_page_drawn_again_on_which_somebody_else_is_leaves_what_it_would_if_it_were_asked_for(three):
    amina, other = (list_patients(three, PatientQuery(term=term)).items[0].id for term in ("amina", "王"))
    seq = tools.last_seq()
    list_patients(three, PatientQuery(), again=[amina, other])
    list_patients(three, PatientQuery(term="amina"), again=[other])
    list_patients(three, PatientQuery(term="amina"), again=[other, amina])
    listed, searched = tools.trail(after=seq)
    assert (listed["action"], listed["metadata"]["count"]) == ("PATIENT_LISTED", 3)
    assert (searched["action"], searched["metadata"]["found"]) == ("PATIENT_SEARCHED", 1)


def test_what_reads_on_in_a_search_tells_its_page_too(three):
    for _ in range(3):
        factories.make_patient(three, first_name="Shared")
    seq = tools.last_seq()
    list_patients(three, PatientQuery(term="shared", page=2, page_size=1))
    list_patients(three, PatientQuery(term="shared", page_size=100))
    list_patients(three, PatientQuery(term="shared"))
    pages = [(row["metadata"].get("page"), row["metadata"].get("count")) for row in tools.trail(after=seq)]
    assert pages == [(2, 1), (1, 3), (None, None)]


# --- text is compared as people read it ---------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "last", "terms"),
    [
        ("Baby-2", "Wanjiku", ["Baby-2 Wanjiku", "baby 2", "baby2 wanj", "Wanjiku, Baby-2", "BABY‑2"]),
        ("Mary", "Ng’ang’a", ["Ng'ang'a", "nganga", "Ng’ang’a", "ngʼang", "mary nganga", "Ng`ang`a"]),
        ("Jean‐Luc", "Picard", ["Jean-Luc", "jean luc", "jeanluc", "Jean–Luc P", "luc", "picard jeanluc"]),
        ("Đào", "Nguyễn", ["dao", "Đào", "nguyen dao", "NGUYỄN", "daonguyen", "nguyendao"]),
        ("محمد", "علي", ["مـحـمـد", "مُحَمَّد", "علی", "على"]),
        ("علی‌رضا", "کریمی", ["عليرضا", "كريمي", "علی رضا"]),
        ("小龍", "李", ["李小龍", "小龍", "李", "小龍李", "李 小龍"]),
        ("김민준", "박", ["박김민준", "김민준", "민준"]),
        ("Wanjiku", "Mwangi", ["Mwangi, Wanjiku", "mwangi wanjiku", "wanjikumwangi", "(Mwangi)"]),
        ("Işık", "İpek", ["isik", "IŞIK", "ipek ışık"]),
        ("Ångström", "Øre", ["angstrom", "ore", "ØRE Å"]),
        ("Baby", "٧٧٧", ["baby 777", "Baby ۷۷۷"]),
        ("J.R.", "Smith-Jones", ["J.R. Smith", "smithjones", "Smith Jones"]),
        ("St. Mary's", "Oku", ["St Mary", "st. marys oku"]),
    ],
)
def test_a_name_is_found_as_it_is_shown_and_as_it_is_typed(desk, first, last, terms):
    factories.make_patient(desk, first_name=first, last_name=last, next_of_kin_name=None)
    factories.make_patient(desk, first_name="Zed", last_name="Yego", next_of_kin_name=None)
    for term in (*terms, first, last, f"{first} {last}", f"{last}, {first}", f"{last} {first}"):
        assert _found(desk, term) == [first], term


@pytest.fixture
def numbers(desk):
    """One patient with a number of every kind, and another with others."""
    factories.make_patient(
        desk,
        first_name="Amina",
        last_name="Wanjiku",
        phone="0712 345601",
        national_id="12.345.678-5",
        external_id="OPD/2019-0041",
        email="amina.wanjiku@example.com",
        next_of_kin_name="Jane Otieno",
        next_of_kin_phone="0722 910448",
        date_of_birth="15/1/1990",
        portal_email="mobile@example.org",
    )
    factories.make_patient(
        desk,
        first_name="Zed",
        last_name="Yego",
        phone="0733 111222",
        national_id="99",
        external_id="X-9",
        email="zed@example.com",
        next_of_kin_name=None,
        next_of_kin_phone=None,
        date_of_birth="3/4/1985",
    )
    return desk


@pytest.mark.parametrize(
    "term",
    ["12.345.678-5", "123456785", "12 345 678 5", "12/345/678/5", "١٢٣٤٥٦٧٨٥", "345678", "1234567",
     "+254 (0)712 345601", "0712 345601", "00254712345601", "tel:+254712345601", "254712345601", "712345601", "345601",
     "5601", "601", "(0712) 345-601", "\u202a+254 712 345601\u202c", "٠٧١٢٣٤٥٦٠١", "0712 34", "0712/345601",
     "OPD/2019-0041", "opd20190041", "OPD 2019 0041", "opd/2019",
     "amina.wanjiku@example.com", "AMINA.WANJIKU@", "amina.wanj", "aminawanjiku", "amina.wanjiku@exa",
     "15/1/1990", "15 Jan 1990", "1990-01-15", "15 January 1990", "amina 15/1/1990",
     "15 Jan 1990, 36 years old", "15 Jan 1990 (36 y)", "Amina Wanjiku 15 Jan 1990 (36 y)", "15-1-1990 wanjiku",
     "Jane Otieno", "otieno", "Otieno, Jane", "0722 910448", "+254 (0)722 910448", "910448", "jane 910448",
     "mobile@example.org", "mobile", "amina 601", "wanjiku amina 123456785"],
)  # fmt: skip
def test_a_patient_is_found_by_every_number_in_any_notation(numbers, term):
    assert _found(numbers, term) == ["Amina"]


@pytest.mark.parametrize(
    "term",
    ["exa", "example", "example.com", "@example.com", "@", "com", "ample", "gmail", "0712 345602", "12345", "4560",
     "16/1/1990", "otieno zed", "N/A", "zed 15/1/1990", "tieno", "~", "=", "|", "a|b", "% %", " ~ ", "12.345.678-6"],
)  # fmt: skip
def test_a_domain_the_middle_of_a_phone_and_what_is_no_ones_find_nobody(numbers, term):
    if term == "12345":
        assert _found(numbers, term) == ["Amina"]  # the beginning of a national ID
    else:
        assert _found(numbers, term) == []


def test_a_patient_id_is_found_however_it_is_written(numbers):
    for row in list_patients(numbers, PatientQuery()).items:
        digits = row.patient_id.removeprefix("LMC")
        short = digits.lstrip("0")
        for term in (f"({row.patient_id})", f"#{row.patient_id}.", f"LMC{short}", short, f"lmc {digits}",
                     f"LMC-{digits}", f" {row.patient_id}\n", f"“{row.patient_id}”"):  # fmt: skip
            assert _found(numbers, term)[0] == row.first_name, term
        assert _found(numbers, row.patient_id) == [row.first_name]


# --- best first ---------------------------------------------------------------------------------


def _named(desk, *names: str) -> None:
    for name in names:
        first, last = name.split(" ", 1)
        factories.make_patient(
            desk, first_name=first, last_name=last, next_of_kin_name=None, next_of_kin_phone=None, national_id=None
        )


def test_the_best_match_comes_first_and_the_newest_among_equals(clock, desk):
    for name in ("Odhiambo Amin", "Amin Ole", "Amina Ole", "Achieng Rahamina", "Emin Ole", "Amin Zed"):
        _named(desk, name)
        clock.shift(60)
    found = [f"{row.first_name} {row.last_name}" for row in list_patients(desk, PatientQuery(term="amin")).items]
    assert found == ["Amin Zed", "Amin Ole", "Odhiambo Amin", "Amina Ole", "Achieng Rahamina", "Emin Ole"]


def test_a_beginning_is_above_what_stands_inside(desk):
    _named(desk, "Amina Ali", "Achieng Odhiambo")
    assert _found(desk, "am") == ["Amina", "Achieng"]


def test_ones_own_number_and_name_are_above_those_of_a_next_of_kin(desk):
    factories.make_patient(desk, first_name="Amina", phone="0712 345601", next_of_kin_name="X")
    factories.make_patient(
        desk, first_name="Zed", phone="0733 1112 22", next_of_kin_name="Amina Ole", next_of_kin_phone="0712 345601"
    )
    for term in ("amina", "0712 345601", "345601"):
        assert _found(desk, term) == ["Amina", "Zed"], term


def test_the_whole_name_is_above_longer_ones_and_an_exact_number_above_all(clock, desk):
    for name in ("Amina Ole", "Aminah Ole Two", "Amina Grace Ole"):
        _named(desk, name)
        clock.shift(60)
    assert _found(desk, "Ole, Amina")[0] == "Amina"
    assert list_patients(desk, PatientQuery(term="ole amina")).items[0].last_name == "Ole"
    row = list_patients(desk, PatientQuery(term="aminah")).items[0]
    factories.make_patient(desk, first_name=f"N{row.id}", phone=None, national_id=f"7{row.id}7")
    assert _found(desk, row.patient_id.removeprefix("LMC").lstrip("0"))[0] == "Aminah"


def test_another_order_may_be_asked_for(clock, desk):
    for name in ("Zed Amin", "Amina Ole", "Amin Ali"):
        _named(desk, name)
        clock.shift(60)
    assert _found(desk, "amin", order="name") == ["Amin", "Amina", "Zed"]
    assert _found(desk, "amin", order="-patient_id") == ["Amin", "Amina", "Zed"]
    assert _found(desk, "amin", order="patient_id") == ["Zed", "Amina", "Amin"]


# --- one slip -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "slip", ["Wanjiko", "Wanjku", "Wannjiku", "Wnajiku", "Wanijku", "Eanjiku", "anjiku", "Wanjikua", "Wanjiuk"]
)
def test_a_name_is_found_with_one_slip(desk, slip):
    _named(desk, "Amina Wanjiku", "Achieng Otieno")
    assert _found(desk, slip) == ["Amina"]
    assert _found(desk, f"amina {slip}") == ["Amina"]
    assert _found(desk, f"{slip} Amnia") == ["Amina"]
    assert _found(desk, f"{slip} achieng") == []


@pytest.mark.parametrize("slips", ["Wnajiko", "Wanj iku x", "Wanjxxu", "Otjeno Wanjiku", "aXX", "Ali", "12345"])
def test_two_slips_are_another_name(desk, slips):
    _named(desk, "Amina Wanjiku", "Aly Aly")
    assert _found(desk, slips) == []


def test_similar_names_come_last_and_only_where_there_are_few_others(desk):
    _named(desk, "Wanjiko Zed", *[f"Wanjiku N{chr(97 + n)}" for n in range(9)])
    assert _found(desk, "wanjiku")[-1] == "Wanjiko"
    assert list_patients(desk, PatientQuery(term="wanjiku")).total == 10
    page = list_patients(desk, PatientQuery(term="wanjiku", page=4, page_size=3))
    assert [row.first_name for row in page.items] == ["Wanjiko"]
    _named(desk, "Wanjiku Ole")
    assert "Wanjiko" not in _found(desk, "wanjiku")


# --- what it was found by -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("term", "label", "words"),
    [
        ("jane otieno", "Next of kin", "Jane Otieno"),
        ("otieno amina", "Next of kin", "Jane Otieno"),
        ("0722 910448", "Next of kin", "Jane Otieno, 0722 910448"),
        ("910448", "Next of kin", "Jane Otieno, 0722 910448"),
        ("mobile", "Portal username", "mobile@example.org"),
        ("Wanjikku", "Similar", "Wanjiku"),
    ],
)
def test_what_a_list_does_not_show_is_said(numbers, term, label, words):
    (row,) = list_patients(numbers, PatientQuery(term=term)).items
    assert row.found_by is not None
    assert (row.found_by.label, row.found_by.words) == (label, words)


@pytest.mark.parametrize(
    "term",
    ["amina", "wanj", "0712 345601", "5601", "12.345.678-5", "345678", "OPD/2019", "15/1/1990", "amina.wanj", ""],
)
def test_what_is_ones_own_is_not_said(numbers, term):
    assert [
        row.found_by for row in list_patients(numbers, PatientQuery(term=term)).items if row.first_name == "Amina"
    ] == [None]


@pytest.mark.parametrize(
    ("text", "term", "hit"),
    [
        ("Mary Ng’ang’a", "nganga", "Ng’ang’a"),
        ("Jean‐Luc Picard", "jean-luc", "Jean‐Luc"),
        ("Đào Nguyễn", "dao", "Đào"),
        ("Wanjiku Mwangi", "Mwangi, Wanjiku", "Mwangi"),
        ("Achieng Odhiambo", "am", "am"),
        ("Amina", "zed", ""),
        ("Amina", "'", ""),
        ("Amina", "", ""),
    ],
)
def test_the_hit_is_marked_in_what_people_read(text, term, hit):
    before, found, after = marked(text, term)
    assert found == hit
    assert before + found + after == text


def test_a_portal_account_made_later_is_found_and_a_turned_off_one_stays(desk):
    row = factories.make_patient(desk, first_name="Amina", email=None, next_of_kin_name=None).patient
    assert _found(desk, "later.name") == []
    create_portal_account(desk, row.id, PortalAccountRequest.parse({"email": "later.name@example.com"}))
    turn_off_portal(desk, row.id)
    assert _found(desk, "later.name") == _found(desk, "LATER.NAME@example.com") == ["Amina"]
    update_patient(desk, row.id, PatientUpdate.parse({"first_name": "Zola"}))
    assert _found(desk, "later.name") == ["Zola"]


@given(st.text(max_size=130) | st.text("aA'-1 .@/%_\\|~=\u202a\u0301", max_size=30))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_term_finds_somebody_or_nobody_and_fails_never(three, term):
    assert len(_found(three, term)) <= 3


@given(
    st.sampled_from([("Baby-2", "Wanjiku"), ("Ng’ang’a", "Łucja"), ("李", "小龍"), ("O'Neil", "van der Berg")]),
    st.data(),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_who_is_shown_is_found_by_any_words_shown(desk, name, data):
    if not _found(desk, " ".join(name)):
        factories.make_patient(desk, first_name=name[0], last_name=name[1], next_of_kin_name=None)
    words = data.draw(st.permutations(" ".join(name).split()))
    some = words[: data.draw(st.integers(1, len(words)))]
    assert name[0] in _found(desk, data.draw(st.sampled_from([" ", ", ", "  ", "\u00a0"])).join(some))
