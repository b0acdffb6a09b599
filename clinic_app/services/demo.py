"""Building block of the demo clinic: puts invented people into the states and dates the pages can show."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import update

from clinic_app.core import clock, crypto, db
from clinic_app.core.errors import PermissionDenied
from clinic_app.core.settings import get_settings
from clinic_app.models.accounts import ACCOUNTS, Role, SignInLimit
from clinic_app.models.patients import PATIENTS, Counter, VerificationStatus
from clinic_app.services.access import Actor
from clinic_app.services.accounts import sessions, sign_in_throttle
from clinic_app.services.accounts.staff import add_staff_account
from clinic_app.services.patients.forms import PatientRegistration
from clinic_app.services.patients.registration import register_patient
from clinic_app.services.portal.provisioning import turn_off_portal

#: The counter whose presence says that this database is a demo clinic's, with passwords everybody knows.
DEMO_MARK = "demo_clinic"
KNOWN_PASSWORDS = (
    "This is the demo clinic's database: its passwords are known to everybody. "
    "Give production a database of its own (CLINIC_DATA_DIR or CLINIC_DATABASE_URL)."
)


def is_demo_database() -> bool:
    """Whether the bound database holds the demo clinic: then production must not start."""
    with db.reading() as session:
        return session.get(Counter, DEMO_MARK) is not None


@dataclass(frozen=True, slots=True)
class DemoPatient:
    """A registration, the portal state to end in, and when it was: days ago, minute of the day."""

    form: Mapping[str, str]
    state: str
    days_ago: int
    minute: int


def _backdate(patient_id: int, wanted: DemoPatient, username: str) -> None:
    """Give a patient the date and the portal state that only time would bring."""
    today = clock.start_of_day(clock.today() - dt.timedelta(days=wanted.days_ago))
    at = today + dt.timedelta(minutes=wanted.minute)
    if at > clock.now() - dt.timedelta(minutes=3):  # today, but later than now: spread over what there was of today
        at = today + (clock.now() - today) * (wanted.minute / (24 * 60))
    account: dict[str, object] = {"created_at": at, "updated_at": at}
    if wanted.state in ("active", "off", "locked"):
        account |= {
            "password_temporary": False,
            "password_expires_at": None,
            "last_sign_in_at": at + dt.timedelta(hours=5),
        }
    if wanted.state in ("active", "off", "locked") and wanted.days_ago == 0:
        account["last_sign_in_at"] = clock.now() - dt.timedelta(minutes=1)
    if wanted.state == "temporary":
        account["password_expires_at"] = clock.now() + dt.timedelta(hours=3 + wanted.minute % 40)
    if wanted.state == "expired":
        account["password_expires_at"] = clock.now() - dt.timedelta(days=2)
    patient: dict[str, object] = {"created_at": at, "updated_at": at}
    if wanted.state == "pending":
        patient |= {"verification_status": VerificationStatus.PENDING, "registered_by_id": None}
    with db.transaction() as session:
        session.execute(update(PATIENTS).where(PATIENTS.c.id == patient_id).values(**patient))
        if username:
            session.execute(update(ACCOUNTS).where(ACCOUNTS.c.patient_id == patient_id).values(**account))
        if wanted.state == "locked":
            until = clock.now() + dt.timedelta(hours=12)
            key = sign_in_throttle.account_key(username)
            session.add(SignInLimit(key=key, failures=9, consecutive=14, window_started_at=until, blocked_until=until))


def seed_demo(
    actor: Actor,
    staff: Sequence[tuple[str, str, str]],
    password: str,
    patients: Callable[[dt.date], Sequence[DemoPatient]],
) -> int:
    """Create ``staff`` (username, name, role), all with ``password``, and ``patients(today)``; returns how many.

    For the command line, in demo mode only. Raises ``PermissionDenied`` elsewhere.
    """
    if actor.kind != "system" or get_settings().mode not in ("demo", "test"):
        raise PermissionDenied("Demo data is for demo mode only.")
    hashed = [crypto.hash_password(password) for _ in staff]  # known to everybody: the password rules do not apply
    with db.transaction() as session:
        session.add(Counter(name=DEMO_MARK, value=1))
        people = [add_staff_account(session, actor, *who, kept) for who, kept in zip(staff, hashed, strict=True)]
    receptionist = next(sessions.actor_of(one, None) for one in people if one.role == Role.RECEPTIONIST)
    wanted = list(patients(clock.today()))
    for one in wanted:
        done = register_patient(receptionist, PatientRegistration.parse(one.form))
        if one.state == "off":
            turn_off_portal(receptionist, done.patient.id)
        _backdate(done.patient.id, one, done.credentials.username if done.credentials else "")
    return len(wanted)
