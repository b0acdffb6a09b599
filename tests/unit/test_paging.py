"""Which rows make a page, whatever is asked."""

from __future__ import annotations

import pytest

from clinic_app.core.paging import window


@pytest.mark.parametrize(
    ("asked", "number", "size", "skip"),
    [
        ((1, 20, 45), 1, 20, 0),
        ((3, 20, 45), 3, 20, 40),
        ((4, 20, 45), 3, 20, 40),  # too far: the last one
        ((2, 20, 20), 1, 20, 0),
        ((7, 20, 0), 1, 20, 0),
        ((0, 0, 45), 1, 1, 0),
        ((-1, 1000, 450), 1, 100, 0),
        (("2", "x", 45), 2, 20, 20),
        ((None, None, 45), 1, 20, 0),
    ],
)
def test_the_rows_of_a_page(asked, number, size, skip):
    rows = window(*asked)
    assert (rows.number, rows.size, rows.skip) == (number, size, skip)


def test_the_page_knows_where_it_stands():
    page = window(3, 20, 45).page(iter(range(5)))
    assert (page.items, page.number, page.pages, page.first, page.last) == ((0, 1, 2, 3, 4), 3, 3, 41, 45)
    nothing = window(1, 20, 0).page([])
    assert (nothing.pages, nothing.first, nothing.last) == (1, 0, 0)
