"""The audit trail: what is recorded, that it cannot be changed, and that a change would be found."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa

from clinic_app.core import context, crypto, db
from clinic_app.core.errors import ClinicError
from clinic_app.models.accounts import Role
from clinic_app.services import access
from clinic_app.services.accounts import sessions
from clinic_app.services.accounts.passwords import choose_password
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, STAFF_DOOR, sign_in
from clinic_app.services.audit import chain, reading
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.authorization import note_refusal
from clinic_app.services.audit.recording import record
from clinic_app.services.patients.duplicates.holding import ANYBODY
from clinic_app.services.patients.forms import PatientQuery, PatientRegistration, PatientUpdate
from clinic_app.services.patients.overview import overview
from clinic_app.services.patients.profile import update_patient, view_patient
from clinic_app.services.patients.registration import register_patient
from clinic_app.services.patients.search import list_patients
from clinic_app.services.portal import provisioning
from clinic_app.services.portal.forms import PortalAccountRequest
from clinic_app.services.portal.own_record import own_record
from tests import factories
from tests.db import tools

# --- what is recorded ---------------------------------------------------------------------------


@pytest.mark.asvs("16.2.1")
def test_a_row_says_who_did_what_when_to_what_and_from_where(clock, desk, request_id):
    done = factories.make_patient(desk)
    row = tools.trail()[-1]
    assert row["at"] == dt.datetime(2026, 6, 15, 9, tzinfo=dt.UTC)
    assert (row["actor"], row["actor_id"], row["role"]) == ("account", desk.account_id, "RECEPTIONIST")
    assert (row["action"], row["outcome"]) == ("PATIENT_CREATED", "success")
    assert (row["resource_type"], row["resource_id"]) == ("patient", done.patient.id)
    assert (row["address"], row["user_agent"], row["request_id"]) == ("198.51.100.4", "pytest/1", request_id)


def test_a_registration_says_whether_there_is_an_account_and_its_username(desk):
    plain = factories.make_patient(desk).patient
    assert tools.trail()[-1]["metadata"] == {"patient_id": plain.patient_id, "portal_account_created": False}
    made = factories.make_patient(desk, portal_email="Amina@example.com").patient
    assert tools.trail()[-1]["metadata"] == {
        "patient_id": made.patient_id,
        "portal_account_created": True,
        "portal_username": "amina@example.com",
    }


def test_portal_access_is_recorded_with_its_username(desk):
    patient = factories.make_patient(desk).patient
    provisioning.create_portal_account(desk, patient.id, PortalAccountRequest("Amina@example.com"))
    provisioning.reset_portal_password(desk, patient.id)
    provisioning.turn_off_portal(desk, patient.id)
    provisioning.turn_on_portal(desk, patient.id)
    rows = tools.trail()[-4:]
    assert [row["action"] for row in rows] == [
        "PORTAL_ACCOUNT_CREATED",
        "PORTAL_PASSWORD_RESET",
        "PORTAL_TURNED_OFF",
        "PORTAL_TURNED_ON",
    ]
    for row in rows:
        assert row["metadata"] == {"portal_username": "amina@example.com"}
        assert (row["resource_type"], row["resource_id"], row["outcome"]) == ("patient", patient.id, "success")


def test_a_new_staff_account_is_recorded_with_its_role(database):
    actor = factories.make_staff(Role.CLINICIAN)
    row = tools.trail()[-1]
    assert (row["action"], row["resource_type"], row["resource_id"]) == ("STAFF_CREATED", "account", actor.account_id)
    assert row["metadata"] == {"role": "CLINICIAN"}


def test_the_request_is_recorded_in_printable_and_short_form(database):
    strange = context.RequestContext("api", "x" * 99, "Moz\x00\x1b[31m\n" + "y" * 400, "r" * 99)
    with context.use(strange):
        note_refusal(access.ANONYMOUS, "p" * 200)
    row = tools.trail()[-1]
    assert (row["address"], row["request_id"]) == ("x" * 64, "r" * 40)
    assert row["user_agent"].startswith("Moz??[31m?yyy")
    assert len(row["user_agent"]) == 200
    assert row["metadata"] == {"permission": "p" * 80}
    assert chain.verify().ok


@pytest.mark.asvs("2.3.3", "16.5.3")
def test_an_event_and_what_it_records_are_kept_together_or_not_at_all(desk):
    before = tools.dump()

    def fails() -> None:
        with db.transaction() as session:
            record(session, desk, Action.PATIENT_VIEWED)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert tools.dump() == before


CANARIES = {
    "first_name": "Kanaribird",
    "last_name": "Vogelsang",
    "date_of_birth": "11/11/1911",
    "phone": "0733 987 654",
    "email": "kanari.own@example.org",
    "national_id": "NID778899",
    "address": "Kanari Street 5",
    "next_of_kin_name": "Otto Vogelsang",
    "next_of_kin_phone": "0733 123 789",
}
TRACES = ["kanari", "vogelsang", "1911", "987654", "733987", "778899", "otto", "123789", "hidden"]


def test_no_value_of_a_record_no_term_no_password_and_no_token_is_in_the_trail(desk):
    """Everything is done once with values that would be recognised."""
    seq, secrets = tools.last_seq(), []
    data = factories.registration(**CANARIES, create_portal_account=True, portal_email="portal@example.org")
    done = register_patient(desk, PatientRegistration.parse(data), despite=ANYBODY)
    secrets.append(done.credentials.temporary_password)
    for refused in (data, factories.registration(**CANARIES)):
        with pytest.raises(ClinicError):
            register_patient(desk, PatientRegistration.parse(refused))
    view_patient(desk, done.patient.patient_id)
    overview(desk)
    for term in ("Kanaribird", "0733 987 654", "NID778899", "kanari.own@example.org", "hidden passphrase"):
        list_patients(desk, PatientQuery(term=term))
    update_patient(desk, done.patient.id, PatientUpdate.parse({"last_name": "Vogelsanger", "address": "Kanari 6"}))
    secrets.append(provisioning.reset_portal_password(desk, done.patient.id).credentials.temporary_password)
    first = sign_in(PATIENT_DOOR, "portal@example.org", secrets[-1])
    own = choose_password(
        first.actor, factories.OWN_PASSWORD, factories.OWN_PASSWORD, session_token_hash=crypto.digest(first.token)
    )
    own_record(own.actor)
    for door, name, password in (
        (PATIENT_DOOR, "portal@example.org", "hidden wrong password"),
        (STAFF_DOOR, "kanari.unknown", "hidden"),
    ):
        for _ in range(7):
            with pytest.raises(ClinicError):
                sign_in(door, name, password)
    sessions.sign_out(crypto.digest(own.token))
    with pytest.raises(ClinicError):
        view_patient(own.actor, done.patient.id)
    secrets += [first.token, own.token, crypto.digest(own.token), factories.OWN_PASSWORD, "v1$k1$", "v2$k1$"]

    rows = tools.trail(after=seq)
    assert len({row["action"] for row in rows}) >= 10
    chance = {"hash", "request_id", "at"}  # digits that mean nothing
    kept = str([{name: row[name] for name in row if name not in chance} for row in rows]).lower()
    for row in rows:
        kept = kept.replace(str(row["metadata"].get("term", " ")), " ")  # a keyed digest
    assert [trace for trace in [*TRACES, *map(str.lower, secrets)] if trace in kept] == []
    assert chain.verify().ok


# --- append-only --------------------------------------------------------------------------------


def _some_events(count: int = 6) -> None:
    for n in range(count):
        note_refusal(access.ANONYMOUS, f"permission {n}")


CHANGES = [
    "UPDATE audit_events SET outcome = 'success' WHERE seq = :seq",
    "UPDATE audit_events SET seq = seq + 1000 WHERE seq = :seq",
    "DELETE FROM audit_events WHERE seq = :seq",
    "DELETE FROM audit_events",
    "INSERT INTO audit_events SELECT * FROM audit_events WHERE seq = :seq",
]
SQLITE_CHANGES = [
    "INSERT OR REPLACE INTO audit_events SELECT * FROM audit_events WHERE seq = :seq",
    "REPLACE INTO audit_events SELECT * FROM audit_events WHERE seq = :seq",
    "UPDATE OR REPLACE audit_events SET outcome = 'success' WHERE seq = :seq",
    "INSERT INTO audit_events SELECT * FROM audit_events WHERE seq = :seq "
    "ON CONFLICT (seq) DO UPDATE SET outcome = 'success'",
]
POSTGRES_CHANGES = [
    "TRUNCATE audit_events",
    "TRUNCATE audit_events CASCADE",
    "INSERT INTO audit_events SELECT * FROM audit_events WHERE seq = :seq "
    "ON CONFLICT (seq) DO UPDATE SET outcome = 'success'",
]


@pytest.mark.asvs("16.4.2")
def test_the_database_refuses_every_way_to_change_or_remove_an_event(database):
    _some_events()
    sqlite = database.dialect.name == "sqlite"
    before = tools.dump()
    for statement in [*CHANGES, *(SQLITE_CHANGES if sqlite else POSTGRES_CHANGES)]:
        values = {"seq": tools.last_seq() - 2} if ":seq" in statement else {}
        with pytest.raises(sa.exc.DBAPIError, match="audit events|pk_audit_events|UNIQUE"):
            tools.write(statement, **values)
        assert tools.dump() == before, statement


@pytest.mark.parametrize("own_database", ["sqlite"], indirect=True)
def test_the_same_for_a_connection_of_sqlites_own_with_recursive_triggers_on_or_off(own_database):
    _some_events()
    before = tools.dump()
    for value in ("ON", "OFF"):
        with own_database.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA recursive_triggers={value}")
            with pytest.raises(sa.exc.DBAPIError, match="audit events"):
                connection.exec_driver_sql(SQLITE_CHANGES[0].replace(":seq", "3"))
    assert tools.dump() == before


# --- the chain ----------------------------------------------------------------------------------


@pytest.fixture
def unguarded(database):
    """Six events and no triggers, as for somebody with the database file."""
    _some_events()
    names = {
        "sqlite": [f"DROP TRIGGER {name}" for name in ("audit_no_update", "audit_no_delete", "audit_in_order")],
        "postgresql": [f"DROP TRIGGER {name} ON audit_events" for name in ("audit_no_change", "audit_no_truncate")],
    }
    for statement in names[database.dialect.name]:
        tools.write(statement)
    return tools.last_seq()


def test_an_untouched_trail_verifies(unguarded):
    report = chain.verify()
    assert (report.ok, report.count, report.first_bad, report.why) == (True, 6, None, "")


@pytest.mark.parametrize(
    "change",
    [
        "at = (SELECT at FROM audit_events WHERE seq = 2)",
        "actor = 'system'",
        "actor_id = 1",
        "role = 'ADMIN'",
        "action = 'SIGNED_IN'",
        "outcome = 'success'",
        "resource_type = 'patient'",
        "resource_id = 7",
        "address = '10.0.0.1'",
        "user_agent = ''",
        "request_id = 'other'",
        "metadata = '{}'",
        "hash = (SELECT hash FROM audit_events WHERE seq = 2)",
    ],
)
def test_a_changed_event_is_found_whatever_was_changed(unguarded, change):
    tools.write(f"UPDATE audit_events SET {change} WHERE seq = 3")
    report = chain.verify()
    assert (report.ok, report.first_bad) == (False, 3)
    assert report.why == "This event was changed or inserted."


def test_a_removed_event_is_found(unguarded):
    tools.write("DELETE FROM audit_events WHERE seq = 3")
    report = chain.verify()
    assert (report.ok, report.first_bad, report.why) == (False, 3, "An event is missing here, or one was inserted.")


def test_a_removed_event_is_found_also_when_the_rest_was_numbered_anew(unguarded):
    tools.write("DELETE FROM audit_events WHERE seq = 3")
    for seq in (4, 5, 6):
        tools.write("UPDATE audit_events SET seq = :to WHERE seq = :seq", seq=seq, to=seq - 1)
    tools.write("UPDATE audit_head SET seq = 5")
    report = chain.verify()
    assert (report.ok, report.first_bad) == (False, 3)


def test_a_removed_beginning_is_found(unguarded):
    tools.write("DELETE FROM audit_events WHERE seq = 1")
    assert chain.verify().first_bad == 1


def test_a_removed_tail_is_found(unguarded):
    tools.write("DELETE FROM audit_events WHERE seq > 4")
    report = chain.verify()
    assert (report.ok, report.first_bad, report.why) == (False, 5, "The end of the trail does not match its head.")


def test_a_removed_tail_is_found_also_when_the_heads_number_was_set_back(unguarded):
    tools.write("DELETE FROM audit_events WHERE seq > 4")
    tools.write("UPDATE audit_head SET seq = 4")
    assert not chain.verify().ok


def test_an_emptied_trail_is_found(unguarded):
    tools.write("DELETE FROM audit_events")
    assert not chain.verify().ok


def test_an_inserted_event_is_found(unguarded):
    copy = "SELECT {seq}, at, actor, actor_id, role, action, outcome, resource_type, resource_id, address, user_agent, "
    columns = "request_id, metadata, hash FROM audit_events WHERE seq = 6"
    tools.write("INSERT INTO audit_events " + copy.format(seq=7) + columns)
    report = chain.verify()
    assert (report.ok, report.first_bad) == (False, 7)
    tools.write("UPDATE audit_head SET seq = 7")
    assert chain.verify().first_bad == 7


def test_swapped_events_are_found(unguarded):
    for seq, to in ((3, 99), (4, 3), (99, 4)):
        tools.write("UPDATE audit_events SET seq = :to WHERE seq = :seq", seq=seq, to=to)
    assert chain.verify().first_bad == 3


def test_an_event_of_another_history_is_found_though_its_own_hash_was_once_right(unguarded):
    before = tools.raw("SELECT request_id, at, hash FROM audit_events WHERE seq = 5")[0]
    tools.write("UPDATE audit_head SET seq = 3, hash = (SELECT hash FROM audit_events WHERE seq = 3)")
    tools.write("DELETE FROM audit_events WHERE seq > 3")
    for n in (3, 44, 4, 5):  # the fourth is another one, the fifth says what it said before
        note_refusal(access.ANONYMOUS, f"permission {n}")
    assert chain.verify().ok
    tools.write(
        "UPDATE audit_events SET request_id = :request_id, at = :at, hash = :hash, "
        "metadata = (SELECT metadata FROM audit_events WHERE seq = 6) WHERE seq = 5",
        **before._asdict(),
    )
    assert chain.verify().first_bad == 5


def test_a_changed_or_missing_head_is_found(unguarded):
    tools.write("UPDATE audit_head SET seq = 7")
    assert not chain.verify().ok
    tools.write("UPDATE audit_head SET seq = 6")
    assert chain.verify().ok
    tools.write("UPDATE audit_head SET hash = (SELECT hash FROM audit_events WHERE seq = 5)")
    assert not chain.verify().ok
    tools.write("DELETE FROM audit_head")
    assert chain.verify().why == "The head of the trail is missing."


def test_a_trail_made_with_another_key_does_not_verify(change_setting, database):
    _some_events(2)
    change_setting("CLINIC_AUDIT_KEY", "b" * 40)
    assert chain.verify().first_bad == 1


def test_the_chain_goes_on_after_it_was_verified(unguarded):
    _some_events(2)
    assert chain.verify().count == 8


# --- what lists wait for ------------------------------------------------------------------------


def test_the_change_number_grows_with_what_lists_show_and_with_nothing_else(desk):
    seen = reading.change_number()
    patient = factories.make_patient(desk).patient
    assert reading.change_number() == seen + 1
    view_patient(desk, patient.id)
    list_patients(desk, PatientQuery(term="amina"))
    assert reading.change_number() == seen + 1
    update_patient(desk, patient.id, PatientUpdate.parse({"first_name": "Zed"}))
    provisioning.create_portal_account(desk, patient.id, PortalAccountRequest("zed@example.com"))
    provisioning.turn_off_portal(desk, patient.id)
    assert reading.change_number() == seen + 4
