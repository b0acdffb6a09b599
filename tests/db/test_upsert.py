"""One statement that inserts a row, changes the one that is there, or leaves it alone; the same on both databases."""

from __future__ import annotations

from clinic_app.core import db
from clinic_app.models.patients import COUNTERS
from tests.db import tools


def _upsert(value: int, **how):
    with db.transaction() as session:
        return db.upsert(session, COUNTERS, {"name": "upsert", "value": value}, **how)


def test_a_row_is_written_once_and_told_by_its_key(database):
    assert _upsert(1) == ("upsert",)
    assert _upsert(2) is None
    assert tools.number("SELECT value FROM counters WHERE name = 'upsert'") == 1


def test_the_row_that_is_there_is_changed_by_what_it_holds(database):
    more = {"change": {"value": COUNTERS.c.value + 10}, "returning": (COUNTERS.c.value, COUNTERS.c.name)}
    assert _upsert(1, **more) == (1, "upsert")
    assert _upsert(1, **more) == (11, "upsert")


def test_it_is_one_statement(database):
    with tools.statements() as seen:
        _upsert(1)
    assert len(seen) == 1
