"""Folding what is stored: the migration never fails and loses nothing, up and down, on a filled database."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from alembic.config import Config

from alembic import command
from clinic_app.cli import doctor
from clinic_app.core import db
from clinic_app.services.patients.forms import PatientQuery, PatientUpdate
from clinic_app.services.patients.profile import update_patient, view_patient
from clinic_app.services.patients.search import list_patients
from clinic_app.ui import presenters
from tests import factories
from tests.conftest import ROOT
from tests.db import tools

BEFORE, AFTER = "0004_preferred_language", "0005_search_keys"
#: National ID as typed, its key of before, whether it has a key afterwards.
NATIONAL_IDS = [
    ("123456/78/1", "123456/78/1", "123456781"),
    ("123456781", "123456781", None),  # the same by letters and digits: the older record keeps the key
    ("12.345.678-1", "12.345.6781", "123456781x"),
    ("N/A", "n/a", None),
    ("none", "none", None),
    ("0", "0", None),
    ("xx", "xx", None),
    ("AB 12", "ab12", "ab12"),
    ("AB/12", "ab/12", None),
    ("ＡＢ１３", "ab13", "ab13"),
    ("١٤٥", "١٤٥", "145"),
    (None, None, None),
    ("1" * 50, "1" * 50, "1" * 50),
    ("Strasse 1", "strasse1", "strasse1"),
]
NAMES = [
    ("Baby-2", "Wanjiku"), ("Mary", "Ng’ang’a"), ("Jean‐Luc", "Picard"), ("Đào", "Nguyễn"), ("محـمـد", "علي"),
    ("小龍", "李"),
    ("Ami\u200dna", "A" * 100), ("\ufdfa" * 100, "\ufdfa" * 100), ("a" + "\u0301" * 90, "Zalgo"), ("~|=", "%_/"),
]  # fmt: skip


@pytest.fixture
def config(own_database) -> Config:
    """Alembic, pointed at a database of the test's own, which is in the version before."""
    made = Config(ROOT / "alembic.ini")
    made.attributes["url"] = own_database.url.render_as_string(hide_password=False)
    command.downgrade(made, BEFORE)
    return made


def _fill(engine: sa.Engine) -> None:
    """Rows of the version before, one for each case: written as they stood, by no rule of today."""
    people = [(f"First{i}", f"Last{i}", nid, key) for i, (nid, key, _) in enumerate(NATIONAL_IDS)]
    people += [(first, last, None, None) for first, last in NAMES]
    with engine.execution_options(clinic_write=True).begin() as connection:
        for number, (first, last, nid, key) in enumerate(people, 1):
            connection.execute(
                sa.text(
                    "INSERT INTO patients (id, patient_id, first_name, last_name, gender, phone, email, national_id,"
                    " national_id_key, next_of_kin_name, next_of_kin_phone, portal_enabled, is_active,"
                    " verification_status, name_key, search_text, created_at, updated_at, version) VALUES (:id, :pid,"
                    " :first, :last, 'FEMALE', '+254712345601', 'p@example.com', :nid, :key, 'Jane Otieno', 'rubbish',"
                    " :no, :yes, 'VERIFIED', :name, 'old', :at, :at, 7)"
                ),
                {"id": number, "pid": f"LMC{number:06d}", "first": first, "last": last, "nid": nid, "key": key,
                 "no": False, "yes": number != 12, "name": f"{first} {last}"[:210], "at": "2026-01-02 03:04:05.000000"},
            )  # fmt: skip
        connection.execute(sa.text("UPDATE counters SET value = :n WHERE name = 'patient_id'"), {"n": len(people)})
        if engine.dialect.name == "postgresql":
            connection.execute(
                sa.text("SELECT setval(pg_get_serial_sequence('patients', 'id'), :n)"), {"n": len(people)}
            )
        connection.execute(
            sa.text(
                "INSERT INTO accounts (username, full_name, role, patient_id, password_hash, password_temporary,"
                " temporary_failures, is_active, password_changed_at, created_at, updated_at, failed_tries, told_tries)"
                " VALUES ('portal.name@example.org', 'X', 'PATIENT', 1, 'x', :no, 0, :yes, :at, :at, :at, 0, 0)"
            ),
            {"no": False, "yes": True, "at": "2026-01-02 03:04:05.000000"},
        )


def _typed(engine: sa.Engine) -> list[tuple]:
    """All that people typed or that the system set, but for the keys."""
    with engine.connect() as connection:
        return [
            tuple(row)
            for row in connection.execute(
                sa.text(
                    "SELECT id, patient_id, first_name, last_name, gender, phone, email, national_id, next_of_kin_name,"
                    " next_of_kin_phone, is_active, version, preferred_language, created_at FROM patients ORDER BY id"
                )
            )
        ]


def _keys(engine: sa.Engine) -> list[str | None]:
    with engine.connect() as connection:
        return list(connection.execute(sa.text("SELECT national_id_key FROM patients ORDER BY id")).scalars())


def _wanted() -> list[str | None]:
    """The keys after the migration: of those that are one now, the oldest has it."""
    wanted = [key for _, _, key in NATIONAL_IDS]
    wanted[2] = None  # 12.345.678-1 is 123456781 too
    return wanted + [None] * len(NAMES)


def test_what_is_stored_is_folded_and_nothing_that_was_typed_changes(own_database, config):
    _fill(own_database)
    before = _typed(own_database)
    command.upgrade(config, AFTER)
    assert _typed(own_database) == before
    assert _keys(own_database) == _wanted()
    command.downgrade(config, BEFORE)
    assert _typed(own_database) == before
    assert _keys(own_database)[:2] == ["123456/78/1", "123456781"]
    with own_database.connect() as connection:
        (text,) = connection.execute(sa.text("SELECT search_text FROM patients WHERE id = 1")).one()
    assert text == "first0 last0 lmc000001 254712345601 0712345601 123456/78/1 p@example.com"
    command.upgrade(config, "head")
    assert _typed(own_database) == before
    assert _keys(own_database) == _wanted()


def test_who_was_there_before_is_found_and_edited_as_anybody(own_database, config):
    _fill(own_database)
    command.upgrade(config, "head")
    db.bind(own_database)
    grace = factories.make_staff()
    for term, name in (("nganga", "Mary"), ("baby 2", "Baby-2"), ("jeanluc", "Jean‐Luc"), ("dao", "Đào"),
                       ("李小龍", "小龍"), ("محمد", "محـمـد"),
                       ("portal.name", "First0"), ("145", "First10")):  # fmt: skip
        assert list_patients(grace, PatientQuery(term=term)).items[0].first_name == name, term
    # one whose national ID has no key: everything else may be edited, and the number once it is another's no more
    changed = update_patient(grace, 2, PatientUpdate.parse({"address": "12 Lake Road"}))
    assert (changed.national_id, changed.national_id_counts) == ("123456781", False)
    marked = {fact.label: (fact.value, fact.tone) for fact in presenters.details(changed)}
    assert marked["National ID"] == ("123456781 (another patient has it too)", "warn")
    marked = {fact.label: fact.value for fact in presenters.details(view_patient(grace, 4))}
    assert marked["National ID"] == "N/A (means that there is none)"
    assert view_patient(grace, 1).national_id_counts
    changed = update_patient(grace, 2, PatientUpdate.parse({"national_id": "777"}))
    assert changed.national_id_counts
    assert tools.raw("SELECT national_id_key FROM patients WHERE id = 2")[0][0] == "777"


def test_the_doctor_lists_national_ids_that_do_not_count(own_database, config):
    _fill(own_database)
    command.upgrade(config, "head")
    db.bind(own_database)
    finding = doctor.national_ids()
    assert finding.state == "missing"
    assert finding.text == (
        "7 patients have a national ID that another patient has too, or that means “none”: "
        "LMC000002, LMC000003, LMC000004, LMC000005, LMC000006, LMC000007, LMC000009. Correct it on the profile."
    )
    tools.write("UPDATE patients SET national_id = NULL WHERE national_id_key IS NULL AND id > 2")
    assert "1 patient has" in doctor.national_ids().text
    tools.write("UPDATE patients SET national_id = NULL WHERE id = 2")
    assert doctor.national_ids().state == "ok"


def test_going_back_keeps_one_key_where_two_are_one_by_the_old_comparing(own_database, config):
    _fill(own_database)
    command.upgrade(config, "head")
    db.bind(own_database)
    grace = factories.make_staff()
    update_patient(grace, 1, PatientUpdate.parse({"national_id": "888"}))
    made = factories.make_patient(grace, national_id="123456781")  # no key was left on it
    command.downgrade(config, BEFORE)
    with own_database.connect() as connection:
        kept = connection.execute(
            sa.text("SELECT id, national_id_key FROM patients WHERE national_id = '123456781' ORDER BY id")
        ).all()
    assert [tuple(row) for row in kept] == [(2, "123456781"), (made.patient.id, None)]
    command.upgrade(config, "head")
