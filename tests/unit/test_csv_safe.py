"""Exports hold no formulas, whatever people typed, and are read back as they were."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic_app.core import csv_safe

FORMULAS = [
    "=1+1",
    "=cmd|' /C calc'!A0",
    "+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\0=1",
    "＝1+1",
    "＋1",
    "－1",
    "＠SUM(A1)",
    "  =1+1",
    "\u00a0=1",
    "+254712345678",
]
START = tuple("=+-@\t\r\n\0＝＋－＠")


@pytest.mark.asvs("1.2.10")
@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_may_calculate_gets_an_apostrophe(text):
    assert csv_safe.cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["Amina", "O'Brien", "a=b", "", "'t Hart", "12 Lake Road", "Ngũgĩ", '5" tape'])
def test_ordinary_text_stays_as_it_is(text):
    assert csv_safe.cell(text) == text


def test_numbers_and_nothing_are_no_formulas():
    assert [csv_safe.cell(value) for value in (-1, 2.5, True, None)] == ["-1", "2.5", "True", ""]


@pytest.mark.asvs("1.2.10")
@given(st.text())
def test_no_cell_begins_like_a_formula(text):
    made = csv_safe.cell(text)
    assert not made.startswith(START)
    assert not made.lstrip().startswith(("=", "+", "-", "@"))


@given(st.text() | st.sampled_from(FORMULAS).map(lambda text: f"'{text}"))
def test_what_was_exported_can_be_read_back(text):
    assert csv_safe.original(csv_safe.cell(text)) == text


@pytest.mark.asvs("1.2.10")
@given(st.lists(st.lists(st.text(st.characters(exclude_characters="\0")), min_size=1, max_size=4), max_size=4))
def test_a_line_is_rfc_4180(rows):
    text = "".join(csv_safe.lines(rows))
    read = list(csv.reader(io.StringIO(text, newline="")))
    assert [[csv_safe.original(value) for value in row] for row in read] == rows


def test_every_cell_is_quoted_and_lines_end_as_they_should():
    assert list(csv_safe.lines([("a", 1, None), ('say "hi"', "=1", "x,y")])) == [
        '"a","1",""\r\n',
        '"say ""hi""","\'=1","x,y"\r\n',
    ]
