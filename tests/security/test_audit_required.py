"""What cannot be recorded does not happen, and no record is shown (fail closed)."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from clinic_app.core import crypto, db
from clinic_app.core.errors import ClinicError
from clinic_app.services.access import SYSTEM
from clinic_app.services.accounts import sessions
from clinic_app.services.accounts.passwords import choose_password
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, STAFF_DOOR, sign_in
from clinic_app.services.accounts.staff import create_staff
from clinic_app.services.accounts.tokens import issue_tokens
from clinic_app.services.audit.browsing import AuditQuery, browse_audit
from clinic_app.services.audit.exporting import export_audit
from clinic_app.services.patients.forms import PatientQuery, PatientRegistration, PatientUpdate
from clinic_app.services.patients.opened_last import opened_last
from clinic_app.services.patients.overview import overview
from clinic_app.services.patients.profile import reread_patient, update_patient, view_patient
from clinic_app.services.patients.registration import register_patient
from clinic_app.services.patients.search import list_patients
from clinic_app.services.portal import provisioning
from clinic_app.services.portal.forms import ChangePortalUsername, PortalAccountRequest
from clinic_app.services.portal.own_record import own_record
from tests import factories
from tests.db import tools

pytestmark = pytest.mark.asvs("16.5.3")

#: Counted before anything is checked: a refused try must not be free of charge because the trail is full.
COUNTED = ("sign_in_limits",)


def _use_cases(people):
    staff, patient = people.receptionist, people.patient
    plain = factories.make_patient(staff).patient.id
    with_portal = factories.make_patient(staff, portal_email="somebody.else@example.org").patient.id
    temporary = factories.make_patient(staff, portal_email="first.visit@example.org").credentials
    view_patient(staff, plain)
    form = PatientRegistration.parse(factories.registration())
    with_account = PatientRegistration.parse(
        factories.registration(create_portal_account=True, portal_email="new.person@example.org")
    )
    first = sign_in(PATIENT_DOOR, temporary.username, temporary.temporary_password)
    token = sign_in(STAFF_DOOR, staff.username, factories.PASSWORD).token
    new = factories.OWN_PASSWORD
    return {
        "view": lambda: view_patient(staff, plain),
        "view again": lambda: reread_patient(staff, with_portal),
        "list": lambda: list_patients(staff, PatientQuery()),
        "reception": lambda: overview(staff),
        "search": lambda: list_patients(staff, PatientQuery(term="odhiambo")),
        "records opened last": lambda: opened_last(staff),
        "edit": lambda: update_patient(staff, plain, PatientUpdate.parse({"first_name": "Zed"})),
        "register": lambda: register_patient(staff, form),
        "register with portal": lambda: register_patient(staff, with_account),
        "create portal": lambda: provisioning.create_portal_account(
            staff, plain, PortalAccountRequest("other.person@example.org")
        ),
        "reset": lambda: provisioning.reset_portal_password(staff, with_portal),
        "change username": lambda: provisioning.change_portal_username(
            staff, with_portal, ChangePortalUsername("another.person@example.org")
        ),
        "turn off": lambda: provisioning.turn_off_portal(staff, with_portal),
        "unlock": lambda: provisioning.unlock_portal(staff, with_portal),
        "own record": lambda: own_record(patient),
        "sign in": lambda: sign_in(STAFF_DOOR, staff.username, factories.PASSWORD),
        "sign in with a wrong password": lambda: sign_in(STAFF_DOOR, staff.username, "wrong"),
        "sign in for the API": lambda: issue_tokens(staff.username, factories.PASSWORD),
        "choose a password": lambda: choose_password(
            first.actor, new, new, session_token_hash=crypto.digest(first.token)
        ),
        "sign out": lambda: sessions.sign_out(crypto.digest(token)),
        "create staff": lambda: create_staff(SYSTEM, "newcomer", "New Comer", "ADMIN", factories.PASSWORD),
        "read the trail": lambda: browse_audit(people.admin, AuditQuery()),
        "export the trail": lambda: export_audit(SYSTEM, AuditQuery()),
        "refuse": lambda: view_patient(patient, plain),
    }


NAMES = (
    "view,view again,list,reception,search,records opened last,edit,"
    "register,register with portal,create portal,reset,change username,turn off,"
    "unlock,own record,sign in,sign in with a wrong password,sign in for the API,choose a password,sign out,"
    "create staff,read the trail,export the trail,refuse"
).split(",")


def _stop_recording() -> None:
    """Every insert into the trail fails from now on, as on a full disk."""
    with db.transaction() as session:
        if session.get_bind().dialect.name == "postgresql":
            session.execute(
                sa.text(
                    "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
                    "$$ BEGIN RAISE EXCEPTION 'no space left'; END $$"
                )
            )
            session.execute(
                sa.text(
                    "CREATE TRIGGER full_disk BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION full_disk()"
                )
            )
        else:
            session.execute(
                sa.text(
                    "CREATE TRIGGER full_disk BEFORE INSERT ON audit_events "
                    "BEGIN SELECT RAISE(ABORT, 'no space left'); END"
                )
            )


@pytest.mark.parametrize("name", NAMES)
def test_without_its_audit_row_nothing_happens_and_nothing_is_shown(people, name):
    cases = _use_cases(people)
    assert list(cases) == NAMES
    _stop_recording()
    before = tools.dump(without=COUNTED)
    with pytest.raises((DBAPIError, ClinicError)):
        cases[name]()
    assert tools.dump(without=COUNTED) == before


def test_each_of_them_happens_while_the_trail_can_be_written(people):
    """The other half: what is refused above is refused for that reason alone."""
    for name, case in _use_cases(people).items():
        seq = tools.trail()[-1]["seq"]
        try:
            case()
            refused = ""
        except ClinicError as error:
            refused = error.code
        expected = {"sign in with a wrong password": "invalid_credentials", "refuse": "permission_denied"}
        assert refused == expected.get(name, ""), name
        assert len(tools.trail(after=seq)) >= 1, name
