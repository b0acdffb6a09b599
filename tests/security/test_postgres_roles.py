"""The two roles of docs/security.md: the server's own can add to the trail and do nothing else to it."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from clinic_app.core import context, db
from clinic_app.services.accounts.signing_in import STAFF_DOOR, sign_in
from clinic_app.services.audit import chain, checkpoints, tree
from clinic_app.services.audit.browsing import AuditQuery, browse_audit
from clinic_app.services.patients.forms import PatientQuery, PatientUpdate
from clinic_app.services.patients.profile import update_patient, view_patient
from clinic_app.services.patients.search import list_patients
from clinic_app.services.portal import provisioning
from tests import factories
from tests.conftest import HAS_POSTGRES, POSTGRES, migrate

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(not HAS_POSTGRES, reason="no PostgreSQL: set CLINIC_TEST_POSTGRES_URL"),
]


def _documented(names: dict[str, str]) -> list[list[str]]:
    """The SQL of the document, statement by statement, with names that are free."""
    _, _, section = (ROOT / "docs" / "security.md").read_text("utf-8").partition("### PostgreSQL: two roles")
    blocks = re.findall(r"```sql\n(.*?)```", section.partition("\n## ")[0], re.S)
    for name, free in names.items():
        blocks = [block.replace(name, free) for block in blocks]
    return [[part.strip() for part in block.split(";") if part.strip()] for block in blocks]


@pytest.fixture(scope="module")
def server():
    """An engine with the rights of the server's role, on a database that the owner's role has migrated."""
    mark = uuid.uuid4().hex[:8]
    owner, app, database = f"clinic_owner_{mark}", f"clinic_app_{mark}", f"clinic_roles_{mark}"
    first, after = _documented({"clinic_owner": owner, "clinic_app": app})
    admin = sa.create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{database}"')
    here = sa.make_url(POSTGRES).set(database=database)
    inside = sa.create_engine(here, isolation_level="AUTOCOMMIT")
    made: list[sa.Engine] = []
    try:
        with inside.connect() as connection:
            for statement in first:
                connection.exec_driver_sql(statement)

        def url(role: str, word: str) -> str:
            return here.set(username=role, password=word).render_as_string(hide_password=False)

        migrate(url(owner, "choose one"))
        with inside.connect() as connection:
            for statement in after:
                connection.exec_driver_sql(statement)
        made.append(db.make_engine(url(app, "choose another")))
        db.bind(made[0])
        with context.use(context.RequestContext("page", "203.0.113.7", "pytest")):
            yield made[0]
    finally:
        db.use(None)
        for engine in (*made, inside):
            engine.dispose()
        with admin.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE "{database}" WITH (FORCE)')
            for role in (app, owner):
                connection.exec_driver_sql(f"DROP OWNED BY {role}")
                connection.exec_driver_sql(f"DROP ROLE IF EXISTS {role}")
        admin.dispose()


def test_the_clinic_works_with_the_servers_role(server):
    people = factories.people()
    done = factories.make_patient(people.receptionist, portal_email="roles@example.org")
    sign_in(STAFF_DOOR, people.clinician.username, factories.PASSWORD)
    view_patient(people.clinician, done.patient.id)
    list_patients(people.clinician, PatientQuery(term="odhiambo"))
    update_patient(people.receptionist, done.patient.id, PatientUpdate.parse({"first_name": "Zed"}))
    provisioning.reset_portal_password(people.receptionist, done.patient.id)
    assert browse_audit(people.admin, AuditQuery()).total > 8
    checkpoints.make_checkpoint()
    tree.forget()
    checkpoints.make_checkpoint()
    found = chain.verify()
    assert (found.ok, found.checkpoints) == (True, 1)


@pytest.mark.asvs("16.4.2")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET role = 'PATIENT'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "ALTER TABLE audit_events DISABLE TRIGGER USER",
        "DROP TRIGGER audit_no_change ON audit_events",
        "DROP TABLE audit_events",
        "ALTER TABLE audit_events OWNER TO CURRENT_USER",
        "DELETE FROM audit_head",
        "DELETE FROM audit_checkpoints",
        "UPDATE audit_checkpoints SET size = size - 1",
        "INSERT INTO audit_head SELECT 2, seq, hash, changes FROM audit_head",
        "UPDATE alembic_version SET version_num = 'x'",
        "CREATE TABLE mine (id int)",
        "SET session_replication_role = replica",
    ],
)
def test_it_cannot_take_the_trail_back(server, statement):
    with server.connect() as connection, pytest.raises(ProgrammingError, match="permission denied|must be owner"):
        connection.exec_driver_sql(statement)
