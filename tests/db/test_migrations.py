"""The database's shape: built, taken down and built again by the migrations, and the same as the tables say."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlmodel import SQLModel

import clinic_app.models  # noqa: F401  makes the tables known
from alembic import command
from clinic_app.cli import demo_data
from clinic_app.core import db, migrations
from clinic_app.models import search_index
from clinic_app.services.access import SYSTEM
from clinic_app.services.audit import chain
from clinic_app.services.demo import seed_demo
from clinic_app.services.patients.birth_dates import BirthDate
from clinic_app.services.patients.forms import PatientQuery
from clinic_app.services.patients.profile import reread_patient
from clinic_app.services.patients.search import list_patients
from tests import factories
from tests.conftest import ROOT
from tests.db import tools


@pytest.fixture
def config(own_database) -> Config:
    """Alembic, pointed at a database of the test's own."""
    made = Config(ROOT / "alembic.ini")
    made.attributes["url"] = own_database.url.render_as_string(hide_password=False)
    return made


def _shape(engine: sa.Engine) -> dict[str, object]:
    look = sa.inspect(engine)
    return {
        table: (
            sorted((c["name"], str(c["type"]), c["nullable"]) for c in look.get_columns(table)),
            sorted((i["name"], i["column_names"], i["unique"]) for i in look.get_indexes(table)),
            sorted(str(u) for u in look.get_unique_constraints(table)),
            sorted(str(c) for c in look.get_check_constraints(table)),
        )
        for table in look.get_table_names()
    }


def _not_the_search_index(name: str | None, kind: str, _: object) -> bool:
    """Neither kind of index of ``models.search_index`` can be said in the words of SQLAlchemy."""
    return not (name or "").startswith(search_index.INDEX)


def _guards(engine: sa.Engine) -> int:
    statement = (
        "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_events'"
        if engine.dialect.name == "sqlite"
        else "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'audit_events'::regclass AND NOT tgisinternal"
    )
    with engine.connect() as connection:
        return connection.exec_driver_sql(statement).scalar_one()


def test_up_down_and_up_again_ends_in_the_same_shape(own_database, config):
    built, guards = _shape(own_database), _guards(own_database)
    assert guards >= 2
    assert migrations.up_to_date(own_database)
    command.downgrade(config, "base")
    assert set(sa.inspect(own_database).get_table_names()) <= {"alembic_version"}
    assert migrations.present(own_database) == ""
    assert not migrations.up_to_date(own_database)
    command.upgrade(config, "head")
    assert _shape(own_database) == built
    assert _guards(own_database) == guards
    db.bind(own_database)
    assert tools.number("SELECT value FROM counters WHERE name = 'patient_id'") == 0
    assert factories.make_patient(factories.make_staff()).patient.patient_id == "LMC000001"
    assert chain.verify().ok


def test_each_step_down_and_up_again_is_possible(own_database, config):
    steps = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    for _ in steps:
        command.downgrade(config, "-1")
    for revision in reversed(steps):
        command.upgrade(config, revision)
    assert migrations.up_to_date(own_database)


def test_a_filled_clinic_goes_back_step_by_step_and_forward_again_with_everybody(own_database, config):
    staff = (("admin", "Daniel Otieno", "ADMIN"), ("receptionist", "Grace Wanjiru", "RECEPTIONIST"))
    seed_demo(SYSTEM, staff, demo_data.PASSWORD, demo_data.patients)
    whom = "SELECT patient_id, first_name, last_name, phone, email, national_id, is_active FROM patients ORDER BY id"
    whose = "SELECT username, role, patient_id, is_active FROM accounts ORDER BY id"
    people, accounts = tools.raw(whom), tools.raw(whose)
    events = tools.number("SELECT count(*) FROM audit_events")
    assert len(people) > 60
    steps = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    for _ in steps[:-1]:  # the first one alone makes the tables of patients
        command.downgrade(config, "-1")
    for revision in reversed(steps[:-1]):
        command.upgrade(config, revision)
    assert tools.raw(whom) == people
    assert tools.raw(whose) == accounts
    assert tools.number("SELECT count(*) FROM audit_events") == events
    assert chain.verify().ok
    desk = factories.make_staff(username="after")
    found = list_patients(desk, PatientQuery(term=people[0].last_name))
    assert people[0].patient_id in {one.patient_id for one in found.items}


def test_going_up_twice_changes_nothing(own_database, config):
    built = _shape(own_database)
    factories.make_patient(factories.make_staff())
    before = tools.dump()
    command.upgrade(config, "head")
    assert _shape(own_database) == built
    assert tools.dump() == before


def test_dates_and_names_of_the_version_before_are_whole(own_database, config):
    desk = factories.make_staff()
    known = factories.make_patient(desk, first_name="Known", date_of_birth="15/1/1990").patient
    dash = factories.make_patient(desk, first_name="Suharto", last_name="-", date_of_birth="").patient
    command.downgrade(config, "0004_preferred_language")
    columns = {column["name"] for column in sa.inspect(own_database).get_columns("patients")}
    assert not {"date_of_birth_precision", "single_name"} & columns
    before = tools.raw("SELECT * FROM patients ORDER BY id")
    command.upgrade(config, "head")
    shown = [reread_patient(desk, one.id) for one in (known, dash)]
    assert [one.date_of_birth for one in shown] == [BirthDate(dt.date(1990, 1, 15)), None]
    assert [(one.name, one.single_name) for one in shown] == [(known.name, False), ("Suharto -", False)]
    assert {row[0] for row in tools.raw("SELECT date_of_birth_precision FROM patients")} == {"DAY"}
    command.downgrade(config, "0004_preferred_language")
    assert tools.raw("SELECT * FROM patients ORDER BY id") == before


def test_partial_dates_and_people_with_one_name_survive_the_way_back(own_database, config):
    desk = factories.make_staff()
    for number, typed in enumerate(("1960", "Mar 1960", "about 1991", "15 Jan 1990", "")):
        factories.make_patient(desk, first_name=f"P{number}", last_name="", single_name=True, date_of_birth=typed)
    command.downgrade(config, "0004_preferred_language")
    rows = tools.raw("SELECT first_name, last_name, date_of_birth FROM patients ORDER BY id")
    days = ["1960-01-01", "1960-03-01", "1991-01-01", "1990-01-15", "None"]
    assert [(row[0], row[1], str(row[2])) for row in rows] == [
        (f"P{number}", "", day) for number, day in enumerate(days)
    ]
    command.upgrade(config, "head")
    assert chain.verify().ok


def test_who_is_registered_already_may_be_sent_messages(own_database, config):
    desk = factories.make_staff()
    refusing = factories.make_patient(desk, email_allowed="", sms_allowed="").patient
    other = factories.make_patient(desk).patient
    assert (reread_patient(desk, refusing.id).email_allowed, reread_patient(desk, refusing.id).sms_allowed) == (0, 0)
    command.downgrade(config, "0009_draft_instances")
    columns = {column["name"] for column in sa.inspect(own_database).get_columns("patients")}
    assert not {"email_allowed", "sms_allowed"} & columns
    before = tools.raw("SELECT * FROM patients ORDER BY id")
    command.upgrade(config, "head")
    for one in (refusing, other):
        shown = reread_patient(desk, one.id)
        assert (shown.email_allowed, shown.sms_allowed, shown.version) == (True, True, 1)
    command.downgrade(config, "0009_draft_instances")
    assert tools.raw("SELECT * FROM patients ORDER BY id") == before


def test_the_tables_are_what_the_migrations_build(engine):
    with engine.connect() as connection:
        opts = {"compare_type": True, "include_name": _not_the_search_index}
        found = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(found, SQLModel.metadata) == []


def test_there_is_one_newest_revision_and_it_is_wanted():
    scripts = ScriptDirectory.from_config(Config(ROOT / "alembic.ini"))
    assert scripts.get_heads() == [migrations.wanted()]
