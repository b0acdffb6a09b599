"""Building block of the demo clinic: puts invented people into the states and dates the pages can show."""

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select, update

from clinic_app.core import clock, crypto, db
from clinic_app.core.errors import PermissionDenied
from clinic_app.core.settings import get_settings
from clinic_app.models.accounts import ACCOUNTS, Role, SignInLimit
from clinic_app.models.patients import Counter
from clinic_app.services.access import Actor
from clinic_app.services.accounts import sessions, sign_in_throttle
from clinic_app.services.accounts.staff import add_staff_account
from clinic_app.services.demo_crowd import Crowd
from clinic_app.services.patients.forms import PatientDetails, PatientRegistration
from clinic_app.services.patients.registration import register_patient
from clinic_app.services.patients.self_registration import add_waiting
from clinic_app.services.portal.provisioning import reset_portal_password, turn_off_portal

#: Something the reception does to a patient's account.
Change = Callable[[Actor, int], object]
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
    """A registration, the portal state to end in, and when it was: days ago, minute of the day.

    ``pending``: registered by themselves, and not verified yet.
    """

    form: Mapping[str, str]
    state: str
    days_ago: int
    minute: int


def _when(wanted: DemoPatient, now: dt.datetime) -> dt.datetime:
    """The instant of a registration."""
    today = clock.start_of_day(clock.local(now).date() - dt.timedelta(days=wanted.days_ago))
    at = today + dt.timedelta(minutes=wanted.minute)
    if at > now - dt.timedelta(minutes=3):  # today, but later than now: spread over what there was of today
        at = today + (now - today) * (wanted.minute / (24 * 60))
    return at


def _later(wanted: DemoPatient, at: dt.datetime, now: dt.datetime) -> tuple[dt.datetime, Change] | None:
    """What the reception did to the account after the registration ``at``, and when; None if it did nothing."""
    if wanted.state == "off":
        return min(at + dt.timedelta(hours=6), now - dt.timedelta(minutes=1)), turn_off_portal
    if wanted.state == "temporary":  # a new password, good for some hours yet, unless the first one still is
        good_for = dt.timedelta(hours=get_settings().temporary_password_hours)
        reset = now - good_for + min(dt.timedelta(hours=3 + wanted.minute % 40), good_for * 0.9)
        return (reset, reset_portal_password) if reset > at else None
    return None


def _grow_up(patient_id: int, wanted: DemoPatient, username: str, at: dt.datetime, now: dt.datetime) -> None:
    """Give a patient the state that only they themselves, or somebody who guesses, would bring."""
    with db.transaction() as session:
        if wanted.state in ("active", "off", "locked"):
            last = min(at + dt.timedelta(hours=5), now - dt.timedelta(minutes=1))
            own = {"password_temporary": False, "password_expires_at": None, "last_sign_in_at": last}
            session.execute(update(ACCOUNTS).where(ACCOUNTS.c.patient_id == patient_id).values(**own))
        if wanted.state == "locked":
            whose = select(ACCOUNTS.c.id).where(ACCOUNTS.c.patient_id == patient_id)
            tried = SignInLimit(
                key=sign_in_throttle.account_key(username),
                account_id=session.execute(whose).scalar_one(),
                failures=sign_in_throttle.PER_ACCOUNT,
                consecutive=sign_in_throttle.HARD_STOP,
                window_started_at=now,
            )
            session.add(tried)


def _register_themselves(wanted: DemoPatient, at: dt.datetime) -> None:
    """Somebody who waits for the desk since ``at``."""
    typed = PatientDetails.parse(wanted.form)
    with clock.at(at), db.transaction() as session:
        add_waiting(session, typed, confirmed=typed.email is not None)


def seed_demo(
    actor: Actor,
    staff: Sequence[tuple[str, str, str]],
    password: str,
    patients: Callable[[dt.date], Sequence[DemoPatient]],
    crowd: Callable[[dt.datetime], Crowd] | None = None,
) -> int:
    """Create ``staff`` (username, name, role), all with ``password``, and ``patients(today)``; returns how many.

    ``crowd(now)`` says who else has come to the clinic between them: very many, who are written in bulk.

    For the command line, in demo mode only. Raises ``PermissionDenied`` elsewhere.
    """
    if actor.kind != "system" or get_settings().mode not in ("demo", "test"):
        raise PermissionDenied("Demo data is for demo mode only.")
    now = clock.now()
    wanted = sorted(((_when(one, now), one) for one in patients(clock.today())), key=lambda pair: pair[0])
    others = crowd(now) if crowd else None
    opened = min([*(at for at, _ in wanted), others.first if others else now]) - dt.timedelta(days=1)
    hashed = [crypto.hash_password(password) for _ in staff]  # known to everybody: the password rules do not apply
    with clock.at(opened), db.transaction() as session:
        session.add(Counter(name=DEMO_MARK, value=1))
        people = [add_staff_account(session, actor, *who, kept) for who, kept in zip(staff, hashed, strict=True)]
    receptionist = next(sessions.actor_of(one, None) for one in people if one.role == Role.RECEPTIONIST)
    later: list[tuple[dt.datetime, int, Change]] = []

    def catch_up(until: dt.datetime) -> None:
        """Do what was due before ``until``, so that the trail stays in order."""
        while later and later[0][0] <= until:
            due, patient_id, change = heapq.heappop(later)
            with clock.at(due):
                change(receptionist, patient_id)

    for at, one in wanted:
        catch_up(at)
        if others:
            others.until(at, receptionist.account_id or 0)
        if one.state == "pending":
            _register_themselves(one, at)
            continue
        with clock.at(at):
            done = register_patient(receptionist, PatientRegistration.parse(one.form))
        _grow_up(done.patient.id, one, done.credentials.username if done.credentials else "", at, now)
        if (next_one := _later(one, at, now)) is not None:
            heapq.heappush(later, (next_one[0], done.patient.id, next_one[1]))
    catch_up(now)
    if others:
        others.until(now, receptionist.account_id or 0)
    return sum(one.state != "pending" for _, one in wanted) + (others.count if others else 0)
