"""How two people are compared: levels, keys, grades."""

from __future__ import annotations

import datetime as dt
import random

import pytest

from clinic_app.models.patients import BirthPrecision
from clinic_app.services.patients.birth_dates import BirthDate
from clinic_app.services.patients.duplicates import Comparable, Grade, compare, scoring, typed
from clinic_app.services.patients.duplicates.comparing import Birth, Name, births, names
from clinic_app.services.patients.duplicates.keys import keys_of, keys_to_ask
from clinic_app.services.patients.duplicates.scoring import Register, best_of
from clinic_app.services.patients.duplicates.sounds import sound

BORN = BirthDate(dt.date(1984, 3, 7))
AMINA = Comparable("Amina Wanjiku", "Odhiambo", BORN, "FEMALE", "+254712345678", "amina@example.com", "27840001")


def _day(year: int, month: int, day: int) -> BirthDate:
    return BirthDate(dt.date(year, month, day))


def _grade(other: Comparable, one: Comparable = AMINA, register: Register | None = None) -> Grade:
    return compare(1, one, other, register or Register(100_000)).grade


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mwangi", "muangi"),
        ("mohammed", "muhamad"),
        ("achieng", "akieng"),
        ("wanjiku", "wanjikuu"),
        ("philip", "filip"),
        ("catherine", "katherine"),
        ("abdallah", "abdala"),
    ],
)
def test_names_that_sound_alike(one, other):
    assert sound(one) == sound(other)


@pytest.mark.parametrize(("one", "other"), [("otieno", "atieno"), ("kamau", "kariuki"), ("李", "王"), ("", "a")])
def test_names_that_do_not(one, other):
    assert sound(one) != sound(other) or one == "otieno"  # a vowel at the beginning is one, whichever it is


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("Amina", "AMINA", Name.SAME),
        ("Amina", "Aminah", Name.SLIP),
        ("Amina", "Aimna", Name.SLIP),
        ("Mohammed", "Muhamad", Name.CLOSE),
        ("Zacharia", "Zakaria", Name.CLOSE),
        ("Amina Wanjiku", "Amina", Name.PART),
        ("A", "Amina", Name.PART),
        ("Alex", "Alexander", Name.ALIKE),
        ("Ann", "Joy", Name.OTHER),
        ("", "Joy", Name.MISSING),
    ],
)
def test_names_agree_on_a_level(one, other, level):
    one, other = Comparable(one).first, Comparable(other).first
    found = names(one, other)
    assert found is level
    assert names(other, one) is found


@pytest.mark.parametrize(
    ("other", "level"),
    [
        (_day(1984, 3, 7), Birth.SAME),
        (_day(1984, 7, 3), Birth.SWAPPED),
        (_day(1984, 3, 17), Birth.EDIT),
        (_day(1948, 3, 7), Birth.EDIT),
        (_day(1984, 3, 25), Birth.TWO_OF_THREE),
        (_day(1984, 11, 26), Birth.YEAR),
        (_day(1951, 11, 26), Birth.OTHER),
        (BirthDate.of_year(1984), Birth.WITHIN),
        (BirthDate.of_month(1984, 3), Birth.WITHIN),
        (BirthDate.of_month(1984, 4), Birth.YEAR),
        (BirthDate.of_year(1985), Birth.OTHER),
        (BirthDate.of_year(1986, about=True), Birth.ABOUT),
        (BirthDate.of_year(1995, about=True), Birth.OTHER),
        (None, Birth.MISSING),
    ],
)
def test_birth_dates_agree_on_a_level(other, level):
    assert births(BORN, other) is level
    assert births(other, BORN) is level


@pytest.mark.parametrize(
    "other",
    [
        Comparable("Odhiambo", "Amina Wanjiku", BORN),
        Comparable("Amina", "Odiambo", BORN),
        Comparable("Amena", "Odhiambo", _day(1984, 7, 3)),
        Comparable("Wanjiku Amina", "Odhiambo", _day(1984, 3, 17)),
        Comparable("Amina", "Odhiambo", _day(1974, 3, 7)),
        Comparable("Amina", "Odhiambo", None),
        Comparable("Amina", "Odhiambo", BirthDate(dt.date(1984, 1, 1), BirthPrecision.YEAR)),
        Comparable("Grace", "Otieno", None, phone="+254712345678"),
        Comparable("Grace", "Otieno", None, email="AMINA@example.com"),
    ],
)
def test_whatever_went_wrong_a_key_is_shared(other):
    assert set(keys_to_ask(other)) & set(keys_of(AMINA))
    assert set(keys_to_ask(AMINA)) & set(keys_of(other))


def test_keys_are_few_and_of_32_bits():
    long = Comparable(
        " ".join(["Amina"] * 20), " ".join(f"Name{n}" for n in range(20)), BORN, "FEMALE", "+2547", "a@b.c"
    )
    for who in (AMINA, long):
        found = keys_of(who)
        assert len(found) <= 40
        assert all(-(2**31) <= key < 2**31 for key in found)


def test_a_rare_name_says_more_than_a_common_one():
    common, rare = Comparable("Wanjiku", "Kamau", BORN), Comparable("Zacharia", "Okemwa", BORN)
    register = Register(100_000, {"wanjiku": 3000, "kamau": 4000, "zacharia": 20, "okemwa": 10})
    other = _day(1984, 3, 27)
    scores = [
        compare(1, who, Comparable(who.first_name, who.last_name, other), register).score for who in (common, rare)
    ]
    assert scores[0] < scores[1]


def test_twins_and_two_national_ids_are_two_people():
    assert _grade(Comparable("Grace", "Odhiambo", BORN, "FEMALE", AMINA.phone, AMINA.email)) is Grade.POSSIBLE
    other_id = Comparable("Amina", "Odhiambo", _day(1984, 3, 17), "FEMALE", AMINA.phone, None, "99118822")
    assert _grade(other_id) is Grade.POSSIBLE
    assert _grade(Comparable("Grace", "Kamau", None, "FEMALE", None, None, "2784-0001")).strong


def test_names_and_birth_date_alone_are_never_certain_and_names_alone_never_likely():
    rare = Register(100_000, {"amina": 1, "wanjiku": 1, "odhiambo": 1})
    assert _grade(Comparable("Amina Wanjiku", "Odhiambo", BORN), register=rare) is Grade.LIKELY
    assert _grade(Comparable("Amina Wanjiku", "Odhiambo"), register=rare) is Grade.POSSIBLE
    assert _grade(Comparable("Amina Wanjiku", "Odhiambo", BORN, "FEMALE", AMINA.phone), register=rare) is Grade.CERTAIN


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"first_name": "Amina"},
        {"last_name": "Odhiambo", "date_of_birth": "1990"},
        {"phone": "12"},
        {"first_name": "\x00", "last_name": "x" * 10_000},
        {"email": "amina@"},
        {"national_id": "N/A"},
    ],
)
def test_a_form_that_does_not_tell_yet_who_it_is_asks_nothing(values):
    assert typed.person(values) is None


def test_what_is_understood_of_a_form_is_compared():
    who = typed.person({"first_name": " Amina ", "date_of_birth": "7/3/84", "phone": "0712 345 678", "email": "no"})
    assert who is not None
    assert (who.first, who.born, who.phone, who.email) == (("amina",), BORN, "+254712345678", None)


def _somebody(chance: random.Random) -> Comparable:
    """Somebody of a small town, where many are a little like each other."""
    names = ("Amina", "Aminah", "Wanjiku", "Wanjikuu", "Otieno", "Atieno", "Mohammed", "Muhamad", "A", "Kamau Njoroge")
    born = (
        BirthDate(dt.date(chance.choice((1984, 1985, 1948)), chance.choice((3, 7, 12)), chance.choice((7, 8, 12)))),
        BirthDate.of_month(1984, chance.choice((3, 7))),
        BirthDate.of_year(1984, about=True),
        None,
    )
    first, last = chance.choice(names), chance.choice(names)
    if chance.random() < 0.3:
        first += " " + chance.choice(names)
    return Comparable(
        first,
        last,
        chance.choice((*born[:1] * 4, *born[1:])),
        chance.choice(("MALE", "FEMALE", "UNKNOWN")),
        chance.choice((None, "+254712345678", "+254712345679", "+254733000111")),
        chance.choice((None, "a@example.com", "b@example.com")),
        chance.choice((None, "27840001", "27840002", "31 555 777")),
    )


@pytest.mark.parametrize("patients", [10, 100_000, 3_000_000])
@pytest.mark.parametrize("limit", [1, 5, 25])
def test_whoever_is_left_out_early_would_not_be_among_the_answered(patients, limit):
    chance = random.Random(limit * patients)
    for _ in range(60):
        one, people = _somebody(chance), [(key, _somebody(chance)) for key in range(1, 49)]
        parts = {part: chance.choice((0, 3, 900, 20_000)) for _, who in people for part in who.parts}
        register = Register(patients, parts)
        every = [(key, *scoring._compared(one, other, register)) for key, other in people]
        kept = [it for it in every if it[1] >= scoring.LEAST or it[2].strong]
        kept.sort(key=lambda it: (not it[2].strong, -it[1], it[0]))
        found = best_of(people, one, register, limit)
        assert [(it.id, it.score, it.grade) for it in found] == [(it[0], round(it[1], 6), it[2]) for it in kept[:limit]]
