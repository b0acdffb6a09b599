"""Rows of several numbers at once are looked up in the index, on both databases, however few rows there are."""

from __future__ import annotations

import sqlalchemy as sa

from clinic_app.core import db
from clinic_app.core.sql_text import among, numbers
from clinic_app.models.patients import PATIENTS
from clinic_app.services.patients import repository
from tests import factories


def test_those_of_the_numbers_are_found(database, people):
    made = [factories.make_patient(people.receptionist, first_name=f"Own{letter}").patient.id for letter in "ABCDE"]
    for wanted in (made[:2], made[4:], [*made[:3], 999_999_999], []):
        asked = sa.select(PATIENTS.c.id).where(among(PATIENTS.c.id, numbers(wanted)), PATIENTS.c.is_active)
        with db.reading() as session:
            assert set(session.execute(asked).scalars()) == set(wanted) & set(made)


def test_the_index_is_asked_and_nobody_else_is_read(database, people):
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        factories.make_patient(people.receptionist, first_name=f"Own{letter}")
    with db.reading() as session:
        connection = db.connection(session)
        repository.whole_by_ids(session, [1, 2, 3])
        text = repository._WHOLE_BY_IDS._made[connection.dialect.name].text
        driver = connection.connection.dbapi_connection
        if connection.dialect.name == "sqlite":
            plan = [row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {text}", ["[1,2,3]"])]
            assert "SEARCH patients USING INTEGER PRIMARY KEY (rowid=?)" in plan, plan
            return
        cursor = driver.cursor()
        cursor.execute("ANALYZE patients")
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")  # as it is after it was asked some times
        cursor.execute("PREPARE several (text) AS " + text.replace("%(ids)s::VARCHAR", "$1"))
        cursor.execute("EXPLAIN (FORMAT JSON) EXECUTE several ('[1,2,3]')")
        counted = _rows_read(cursor.fetchone()[0][0]["Plan"])
        cursor.execute("DEALLOCATE several")
        assert counted <= 10, "PostgreSQL takes a list of unknown length for ten"


def _rows_read(plan: dict) -> int:
    """How many patients the planner expects to meet."""
    mine = plan["Plan Rows"] if plan.get("Relation Name") == "patients" else 0
    return max([mine, *map(_rows_read, plan.get("Plans", []))])
