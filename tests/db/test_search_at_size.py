"""Finding and listing in a register too large to be read: the same people as by reading all of it, best first."""

from __future__ import annotations

import datetime as dt

import pytest
from sqlalchemy import event, select

from clinic_app.cli import demo_crowd
from clinic_app.core import clock, db
from clinic_app.models.patients import PATIENTS
from clinic_app.services.demo_crowd import Crowd, dialled
from clinic_app.services.patients import listing, name_parts, phones, rebuilding, search_index, search_terms
from clinic_app.services.patients.forms import BEST, PatientQuery, PatientUpdate
from clinic_app.services.patients.profile import update_patient
from clinic_app.services.patients.search import list_patients
from clinic_app.services.patients.search_match import matching, rank_of, shape_of, values_of
from tests import factories
from tests.db import tools

PEOPLE = 700
LIMIT = 100
TERMS = (
    "w wa wan wanj wanjiku achieng am an zz xq o'n mary mar ngendo kam kamau njer iku hieng odhiambo 李 "
    "07 071 0711 254 2547 0712345 1 12 123 LMC lmc0001 lmc000123 123 000456 40 407 4073 736 7368 "
    "@ mary. @example 1990 1985-06 about|1990 mar|kam wanj|o kam|7 achieng|otieno w|k mary|07 wa|ma|n "
    "% _ ' \" * ~ | NEAR AND -wa wanj* (mary)"
).split()


@pytest.fixture
def crowd(desk):
    """A receptionist of a clinic with so many people."""
    now = clock.now()
    people = demo_crowd.people(PEOPLE, dt.date(2026, 6, 1))
    Crowd(people, PEOPLE, now - dt.timedelta(days=300), now, lambda _: None).until(now, desk.account_id or 0)
    with db.transaction() as session:
        name_parts.rebuild(session)
    tools.write("UPDATE patients SET is_active = false WHERE id % 13 = 5")
    tools.write("UPDATE patients SET date_of_birth_precision = 'YEAR' WHERE id % 17 = 3")
    tools.write("UPDATE patients SET date_of_birth_precision = 'ESTIMATED' WHERE id % 19 = 3")
    return desk


@pytest.fixture(params=["index", "read"])
def large(request, crowd, change_setting, monkeypatch):
    """The same, taken for a register too large to be read; a search counts a hundred."""
    change_setting("CLINIC_SEARCH_COUNT_AT_MOST", str(LIMIT))
    monkeypatch.setattr(search_index, "SMALL", 0)
    monkeypatch.setattr(search_index, "SAMPLE", 60)
    if request.param == "read":  # wherever more than the limit may match
        monkeypatch.setattr(search_index, "_SURELY", 1)
        monkeypatch.setattr(search_index, "_DENSE", 20)
    return crowd


def _by_reading(term: str) -> dict[int, int]:
    """Everybody who matches, with the rank, by reading the whole register."""
    meant = search_terms.parse(term)
    shape = shape_of(meant)
    statement = select(PATIENTS.c.id, rank_of(shape).label("rank")).where(PATIENTS.c.is_active, *matching(shape))
    with db.reading() as session:
        return {row.id: row.rank for row in session.execute(statement, values_of(meant))}


def test_the_same_people_are_found_as_by_reading_the_whole_register(large):
    for term in (one.replace("|", " ") for one in TERMS):
        wanted = _by_reading(term)
        page = list_patients(large, PatientQuery(term=term, page_size=25))
        found = [row.id for row in page.items if row.found_by is None or row.found_by.label != "Similar"]
        assert set(found) <= set(wanted), term
        if page.more:
            assert (page.total, len(found)) == (LIMIT, 25), term
            assert len(wanted) >= LIMIT // 2, term  # told by a sample
        else:
            assert page.total >= len(wanted), term
            assert len(found) >= min(len(wanted), 25) or len(wanted) < 10, term
        best = sorted(wanted.values())[: len(found)]
        assert [wanted[one] for one in found] == best, term


STRANGE: list[dict[str, str | None]] = [
    {"first_name": "Qu'ann", "last_name": "Xylo-Zu", "external_id": "OPD/2x-0041", "next_of_kin_name": "Jane Xu Yoo"},
    {"first_name": "小龍", "last_name": "李", "national_id": "QX12345Z", "next_of_kin_name": "王 小明"},
    {"first_name": "Xy", "last_name": "Xylophon7", "external_id": "ABCQ", "email": "xyq.quill@host601.example"},
    {"first_name": "محمد", "last_name": "Q" * 90, "email": "qq99xy@example.org", "next_of_kin_name": "Z" * 95},
    {"first_name": '"Q"', "last_name": "a'b\\c", "external_id": "9" * 40, "email": "quxy_1.w@example.org"},
]


def _parts_of(word: str) -> set[str]:
    """Beginnings, ends and what stands inside."""
    ends = {word[at:] for at in range(len(word))} if len(word) < 30 else {word, word[3:], word[-5:]}
    return {end[:size] for end in ends for size in (1, 3, 5, 26, 61)}


def test_whoever_has_it_anywhere_is_found_whatever_it_is_made_of(large):
    blank = {"national_id": None, "external_id": None, "email": None, "next_of_kin_name": None, "phone": None}
    ids = [factories.make_patient(large, **(blank | strange)).patient.id for strange in STRANGE]
    rows = tools.raw(f"SELECT search_names, search_keys FROM patients WHERE id IN ({', '.join(map(str, ids))})")
    terms = {part for row in rows for word in " ".join(row).split() for part in _parts_of(word)}
    terms |= {"jane xuyoo", "janexu qu'a", "xylo 601", "qx1 王", "小 小", "abcq 7", "xyq zzz"}
    assert len(terms) > 300
    missing = {}
    for term in sorted(terms)[::3]:
        wanted = {one for one in _by_reading(term) if one in ids}
        page = list_patients(large, PatientQuery(term=term, page_size=100))
        if not page.more and (missed := wanted - {row.id for row in page.items}) and page.total <= 100:
            missing[term] = missed
    assert missing == {}


def test_a_name_with_a_slip_is_found(large):
    row = list_patients(large, PatientQuery(term="", page=3)).items[0]
    update_patient(large, row.id, PatientUpdate.parse({"first_name": "Zephaniah", "last_name": "Quartermain"}))
    for term in ("Zephanaih", "Quatermain", "zephania quartermian", "quartermaine zeph"):
        found = list_patients(large, PatientQuery(term=term)).items
        assert [(one.id, one.found_by.label) for one in found if one.found_by] == [(row.id, "Similar")], term


@pytest.mark.parametrize("term", ["wa nj", "an ot", "1990 an"])
def test_postgresql_asks_its_index_however_many_words_a_term_stands_for(large, database, term):
    if database.dialect.name != "postgresql":
        pytest.skip("SQLite has no other way")
    read = "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'patients'"
    before = tools.raw(read)
    list_patients(large, PatientQuery(term=term))
    assert tools.raw(read) == before


@pytest.fixture
def asked(database):
    """The values bound to each statement from now on; PostgreSQL alone."""
    if database.dialect.name != "postgresql":
        pytest.skip("SQLite has no other way")
    found: list[dict] = []

    def listen(_connection, _cursor, _statement, values, _context, _many):
        found.append(dict(values) if isinstance(values, dict) else {})

    event.listen(database, "before_cursor_execute", listen)
    yield found
    event.remove(database, "before_cursor_execute", listen)


@pytest.mark.parametrize("term", ["wa nj", "an ang", "ang 1990", "oti ang"])
def test_postgresql_weighs_no_more_than_a_few_words_with_each_other(large, asked, monkeypatch, term):
    monkeypatch.setattr(search_index, "_BORN_READ", 1)
    list_patients(large, PatientQuery(term=term))
    wanted = [{name: text for name, text in one.items() if name.startswith("wanted")} for one in asked]
    each = [words for one in wanted for text in one.values() for words in text.strip("{}").split('","')]
    assert max(words.count(" | ") for words in each) < search_index._GUESSED_WELL
    assert any(text.startswith("{") and text.count('","') > 2 for one in wanted for text in one.values()), term


def test_postgresql_is_told_once_to_ask_its_index(large, asked):
    told = []
    for term in ("wa nj", "an ang", "oti ang"):
        asked.clear()
        list_patients(large, PatientQuery(term=term))
        told.append(sum("enable_seqscan" in map(str, one.values()) for one in asked))
    assert max(told) == 1, told


@pytest.mark.parametrize("term", ["wa nj", "an ang", "o ng", "nj"])
def test_of_very_many_postgresql_shows_exactly_the_best_newest_first_among_equals(large, database, term):
    if database.dialect.name != "postgresql":
        pytest.skip("SQLite shows the newest of a level")
    wanted = sorted(_by_reading(term).items(), key=lambda one: (one[1], -one[0]))
    for number in (1, 2):
        page = list_patients(large, PatientQuery(term=term, page=number, page_size=10))
        assert [row.id for row in page.items] == [one for one, _ in wanted[10 * number - 10 : 10 * number]], term


def test_very_many_are_ordered_as_asked_and_paged_up_to_the_limit(large):
    wanted = _by_reading("a")
    assert len(wanted) > 2 * LIMIT
    names = dict(tools.raw("SELECT id, name_key FROM patients"))
    seen: list[int] = []
    for number in range(1, 5):
        page = list_patients(large, PatientQuery(term="a", page=number, page_size=25, order="name"))
        assert (page.number, page.total, page.more, page.pages) == (number, LIMIT, True, 4)
        seen += [row.id for row in page.items]
    assert seen == sorted(wanted, key=lambda one: (names[one], one))[:LIMIT]


@pytest.mark.parametrize("order", [BEST, "-name", "patient_id", "-patient_id", "date_of_birth", "-date_of_birth",
                                   "created_at", "-created_at"])  # fmt: skip
def test_reading_on_from_a_row_and_turning_pages_show_the_same(crowd, order):
    statement = select(PATIENTS.c.id).where(PATIENTS.c.is_active).order_by(*listing.columns_of(order))
    with db.reading() as session:
        wanted = list(session.execute(statement).scalars())
    by_number, by_row, after = [], [], 0
    for number in range(1, 8):
        query = {"page": number, "page_size": 100, "order": order}
        by_number += [row.id for row in list_patients(crowd, PatientQuery(**query)).items]
        page = list_patients(crowd, PatientQuery(**query, after=after))
        by_row += [row.id for row in page.items]
        after = page.items[-1].id
    assert page.total == len(wanted)
    assert by_number == by_row == wanted


def test_reading_on_behind_somebody_who_is_gone_goes_by_the_number(crowd):
    second = list_patients(crowd, PatientQuery(page=2))
    assert list_patients(crowd, PatientQuery(page=2, after=999_999)).items == second.items


def test_what_is_kept_agrees_with_the_records_and_is_made_anew_where_it_does_not(crowd):
    assert rebuilding.wrong() == []
    tools.write("UPDATE name_parts SET patients = patients + 1 WHERE part = 'wanjiku'")
    tools.write("INSERT INTO patient_count_changes (name, change) VALUES ('active', 1)")
    assert rebuilding.wrong() == ["the counts of patients", "the parts of names"]
    made = rebuilding.rebuild_search()
    assert made.patients == PEOPLE
    assert rebuilding.wrong() == []
    assert list_patients(crowd, PatientQuery(term="wanjiku")).items


def test_an_index_that_is_gone_is_noticed(crowd):
    with db.transaction() as session:
        rebuilding.take_away(session)
    assert "the index of names and numbers" in rebuilding.wrong()


def test_the_numbers_of_the_crowd_are_dialled_as_the_library_says():
    numbers = [one.phone for one in demo_crowd.people(300, dt.date(2026, 6, 1)) if one.phone]
    assert [dialled(one) for one in numbers] == [phones.dialled(one) for one in numbers]
