"""The one folding: what is equal however it is typed, and where in a text it stands."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic_app.core import folding
from clinic_app.core.folding import folded, letters_and_digits, place_of, without_blanks

FEW = settings(max_examples=150, deadline=None)
TEXT = st.text(st.characters(exclude_categories=()), max_size=40)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Ámina  WANJIRŨ", "amina wanjiru"),
        ("Jose\u0301", "jose"),
        ("Straße", "strasse"),
        ("ＡＭＩＮＡ", "amina"),
        ("𝐀mina", "amina"),
        ("№ 5", "no 5"),
        ("", ""),
        ("Đào", "dao"),
        ("Łukasz Øre", "lukasz ore"),
        ("Þór Æsir Œuvre", "thor aesir oeuvre"),
        ("Işık IŞIK İpek ıı", "isik isik ipek ii"),
        ("Ng'ang'a", "nganga"),
        ("Ng’ang’a", "nganga"),
        ("Ngʼangʻa", "nganga"),
        ("Ng`ang´a", "nganga"),
        ("O＇Neil", "oneil"),
        ("Jean-Luc", "jean luc"),
        ("Jean‐Luc", "jean luc"),
        ("Jean–Luc", "jean luc"),
        ("Jean\u2212Luc", "jean luc"),
        ("Jean Luc", "jean luc"),
        ("Gal·la", "gal la"),
        ("Ami\u00adna\u200b\u202a", "amina"),
        ("مـحـمـد", "محمد"),
        ("مُحَمَّد", "محمد"),
        ("علی‌رضا", "عليرضا"),
        ("کریم", "كريم"),
        ("فاطمة", "فاطمه"),
        ("أحمد إبراهيم آمنة", "احمد ابراهيم امنه"),
        ("موسى", "موسي"),
        ("٠١٢ ०१२ ０１２ ۰۱۲", "012 012 012 012"),
        ("李小龍", "李小龍"),
        ("김민준", folded("김민준")),
        ("Ольга Ёлкина", "ольга елкина"),
        ("Γιώργος", "γιωργοσ"),
        ("ﬁona", "fiona"),
        ("ʼn", "n"),
    ],
)
def test_text_is_folded_for_comparing(text, kept):
    assert folded(text) == kept


def test_what_is_typed_composed_or_not_is_equal():
    assert folded("김민준") == folded("\u1100\u1175\u11b7\u1106\u1175\u11ab\u110c\u116e\u11ab")
    assert folded("Nguye\u0302\u0303n") == folded("Nguyễn") == "nguyen"


@pytest.mark.parametrize(
    ("one", "other"), [("Amina", "Amino"), ("李小龍", "李小明"), ("O'Neil", "O'Neal"), ("علي", "عمر"), ("हरि", "हरी")]
)
def test_other_names_stay_others(one, other):
    assert folded(one) != folded(other)


def test_parts_with_a_dash_a_blank_or_nothing_between_are_one_word():
    assert {without_blanks(name) for name in ("Jean-Luc", "Jean Luc", "JeanLuc", "Jean‐Luc", "jean — luc")} == {
        "jeanluc"
    }


def test_numbers_are_compared_by_letters_and_digits():
    assert letters_and_digits("12.345.678-5") == letters_and_digits("12 345/678 5") == "123456785"
    assert letters_and_digits("(LMC000159)") == "lmc000159"
    assert letters_and_digits("- / .") == ""


@given(TEXT)
@FEW
def test_folding_twice_is_folding_once_and_never_keeps_a_capital_ascii_letter(text):
    once = folded(text)
    assert folded(once) == once
    assert not any("A" <= c <= "Z" for c in once)
    assert once == " ".join(once.split())


@given(TEXT, TEXT)
@FEW
def test_letters_are_folded_one_by_one(one, other):
    assert without_blanks(one + other) == without_blanks(one) + without_blanks(other)


@given(TEXT)
@FEW
def test_marks_and_unseen_signs_change_nothing(text):
    assert without_blanks("".join(c + "\u0301\u200d" for c in text)) == without_blanks(text)


def test_enormous_text_is_folded_in_linear_time():
    started = time.thread_time()
    assert folded("a" + "\u0301\u0323" * 200_000) == "a"
    assert time.thread_time() - started < 5


# --- where it stands ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "text", "hit"),
    [
        ("amina", "Ámina Grace", "Ámina"),
        ("amina", "A\u0301mina\u0301 Grace", "A\u0301mina\u0301"),
        ("am", "Adams Amina", "Am"),
        ("am", "Achieng Odhiambo", "am"),
        ("nganga", "Mary Ng’ang’a", "Ng’ang’a"),
        ("jean luc", "Dr Jean‐Luc P", "Jean‐Luc"),
        ("jeanluc", "Dr Jean-Luc P", "Jean-Luc"),
        ("strasse", "Weg Straße 5", "Straße"),
        ("dao", "Đào", "Đào"),
        ("小龍", "李小龍", "小龍"),
    ],
)
def test_a_part_is_found_in_what_people_read(part, text, hit):
    place = place_of(part, text)
    assert place is not None
    assert text[place[0] : place[1]] == hit


@pytest.mark.parametrize(("part", "text"), [("amina", "Grace"), ("", "Amina"), (" ", "Amina"), ("amina", "")])
def test_what_is_not_there_has_no_place(part, text):
    assert place_of(part, text) is None


@given(TEXT, st.integers(0, 40), st.integers(0, 40))
@FEW
def test_every_part_of_a_text_is_found_in_it(text, start, length):
    part = without_blanks(text[start : start + length])
    place = place_of(part, text)
    if part:
        assert place is not None
        assert part in without_blanks(text[place[0] : place[1]])
    else:
        assert place is None


def test_one_module_alone_maps_letters():
    assert folding.APOSTROPHES.isdisjoint(set("abcdefghijklmnopqrstuvwxyz0123456789 "))
