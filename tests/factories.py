"""Builders of what tests need: plain functions with overrides. They go through the use cases."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import itertools
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from clinic_app.core import clock, db
from clinic_app.models.accounts import ACCOUNTS, SIGN_IN_LIMITS, Account, Role
from clinic_app.models.notifications import ONE_TIME_LINKS, OUTBOX_MESSAGES
from clinic_app.services import access, challenges
from clinic_app.services.access import Actor
from clinic_app.services.accounts import sessions, staff
from clinic_app.services.accounts.passwords import choose_password
from clinic_app.services.accounts.sign_in_throttle import account_key
from clinic_app.services.accounts.signing_in import PATIENT_DOOR, sign_in
from clinic_app.services.notifications import links
from clinic_app.services.patients.duplicates.holding import ANYBODY
from clinic_app.services.patients.forms import PatientDetails, PatientRegistration
from clinic_app.services.patients.registration import register_patient
from clinic_app.services.patients.self_registration import add_waiting
from clinic_app.services.patients.views import Registered
from clinic_app.services.portal.provisioning import turn_off_portal

PASSWORD = "green lorry quiet tuesday"
OWN_PASSWORD = "seven amber kettles hum"
_numbers = itertools.count(1)


def make_staff(role: str = Role.RECEPTIONIST, username: str | None = None, name: str = "Grace Wanjiru") -> Actor:
    """A staff account with ``PASSWORD``, as its actor."""
    username = username or f"{role.lower()}{next(_numbers)}"
    account_id = staff.create_staff(access.SYSTEM, username, name, role, PASSWORD)
    with db.reading() as session:
        account = session.get(Account, account_id)
        assert account is not None
        return sessions.actor_of(account, None, clock.now())


def registration(**changes: Any) -> dict[str, Any]:
    """A complete, valid registration as a form sends it, with ``changes``."""
    number = next(_numbers)
    data = {
        "first_name": "Amina",
        "last_name": f"Odhiambo {_letters(number)}",
        "date_of_birth": "14/3/1988",
        "gender": "FEMALE",
        "phone": "0712 445 901",
        "national_id": f"2784 {_digits(number)}",
        "address": "12 Lake Road, Kisumu",
        "next_of_kin_name": "Peter Odhiambo",
        "next_of_kin_phone": "0722 910 448",
        "preferred_language": "sw",
    }
    return {**data, **changes}


def _unlike(number: int) -> bytes:
    """Bytes that have nothing in common with those of another number."""
    return hashlib.sha256(str(number).encode()).digest()


def _digits(number: int) -> str:
    return "".join(str(byte % 10) for byte in _unlike(number)[:8])


def _letters(number: int) -> str:
    return "".join(chr(ord("a") + byte % 26) for byte in _unlike(number)[8:20])


def make_patient(actor: Actor, **changes: Any) -> Registered:
    """A registered patient; ``portal_email=...`` gives it an account."""
    data = registration(**changes)
    if "portal_email" in changes:
        data["create_portal_account"] = True
    return register_patient(actor, PatientRegistration.parse(data), despite=ANYBODY)


def solution() -> str:
    """The solution of a new challenge, as the browser's script would find and send it."""
    from altcha import v1 as altcha

    asked = challenges.new_challenge()
    found = altcha.solve_challenge(asked["challenge"], asked["salt"], asked["algorithm"], asked["maxnumber"])
    assert found is not None
    return base64.b64encode(json.dumps({**asked, "number": found.number}).encode()).decode()


def registered_themselves(**changes: Any) -> int:
    """The number of somebody who registered themselves and waits for the desk."""
    typed = {"first_name": "Esther", "last_name": "Wangari", "phone": "0745 313872", "gender": "FEMALE", **changes}
    with db.transaction() as session:
        return add_waiting(session, PatientDetails.parse(typed), confirmed="email" in typed)


def own_password(done: Registered) -> Actor:
    """Sign the patient in with the temporary password and choose ``OWN_PASSWORD``."""
    assert done.credentials is not None
    first = sign_in(PATIENT_DOOR, done.credentials.username, done.credentials.temporary_password)
    from clinic_app.core import crypto

    return choose_password(first.actor, OWN_PASSWORD, OWN_PASSWORD, session_token_hash=crypto.digest(first.token)).actor


def link_code(username: str, *, newest: int = 1) -> str:
    """The code of the account's newest link, or of one before it, as somebody reads it who was sent it."""
    with db.reading() as session:
        (row, *_) = session.execute(
            select(ONE_TIME_LINKS.c.id, ONE_TIME_LINKS.c.seed)
            .join(ACCOUNTS, ACCOUNTS.c.id == ONE_TIME_LINKS.c.account_id)
            .where(ACCOUNTS.c.username == username)
            .order_by(ONE_TIME_LINKS.c.id.desc())
            .offset(newest - 1)
        )
    links.make_findable(row.id, row.seed)
    sent = {"tries": OUTBOX_MESSAGES.c.tries + 1}
    with db.transaction() as session:
        session.execute(update(OUTBOX_MESSAGES).where(OUTBOX_MESSAGES.c.link_id == row.id).values(sent))
    return links.code_of(row.seed)


def lock(username: str) -> None:
    """What too many wrong passwords do to an account: nobody may try for five minutes."""
    now = clock.now()
    row = {"key": account_key(username), "failures": 10, "consecutive": 11, "window_started_at": now}
    with db.transaction() as session:
        row["account_id"] = session.scalar(select(ACCOUNTS.c.id).where(ACCOUNTS.c.username == username))
        blocked = {"blocked_until": now + dt.timedelta(minutes=5)}
        db.upsert(session, SIGN_IN_LIMITS, {**row, **blocked}, change=blocked, returning=(SIGN_IN_LIMITS.c.key,))


#: How portal access can stand.
STANDINGS = ("none", "temporary", "expired", "active", "locked", "off")


def make_patient_with_access(actor: Actor, standing: str, **changes: Any) -> Registered:
    """A registered patient whose portal access stands like this, one of ``STANDINGS``."""
    if standing == "none":
        return make_patient(actor, **changes)
    done = make_patient(actor, **{"portal_email": f"standing{next(_numbers)}@example.org", **changes})
    assert done.credentials is not None
    if standing in ("active", "locked"):
        own_password(done)
    if standing == "locked":
        lock(done.credentials.username)
    if standing == "off":
        turn_off_portal(actor, done.patient.id)
    if standing == "expired":
        with db.transaction() as session:
            (account,) = session.scalars(select(Account).where(ACCOUNTS.c.patient_id == done.patient.id))
            account.password_expires_at = clock.now() - dt.timedelta(minutes=1)
    return done


@dataclass(frozen=True)
class People:
    """One actor of each kind."""

    admin: Actor
    receptionist: Actor
    clinician: Actor
    patient: Actor
    anonymous: Actor


def people() -> People:
    """One actor of each kind; the patient has chosen a password."""
    receptionist = make_staff(Role.RECEPTIONIST)
    done = make_patient(receptionist, portal_email=f"amina{next(_numbers)}@example.org")
    return People(
        admin=make_staff(Role.ADMIN, name="Daniel Otieno"),
        receptionist=receptionist,
        clinician=make_staff(Role.CLINICIAN, name="Dr Achieng"),
        patient=own_password(done),
        anonymous=access.ANONYMOUS,
    )
