"""How long do the portal work list and its count take? ``python bench/work_list.py``

In one process, without a server: patients with as many portal accounts as asked for, of which half have signed in and
each of the others is in one of the groups. Prints milliseconds, median and p95. ``--postgres`` names a server on which
a database may be made for it; else SQLite.
"""

from __future__ import annotations

import argparse
import datetime as dt
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bed  # noqa: F401  the settings
import sqlalchemy as sa

from clinic_app.core import clock, db
from clinic_app.models.accounts import ACCOUNTS, SIGN_IN_LIMITS
from clinic_app.models.notifications import OUTBOX_MESSAGES
from clinic_app.models.patients import PATIENTS
from clinic_app.services.access import Actor
from clinic_app.services.accounts.sign_in_throttle import account_key
from clinic_app.services.patients.forms import PatientQuery
from clinic_app.services.patients.search import list_patients
from clinic_app.services.portal import work_list
from clinic_app.services.rates import rates
from tests import conftest, factories

#: How many of a hundred are locked, failed, expired, soon and never; the others have a password of their own.
SHARES = (("locked", 0.2), ("failed", 2), ("expired", 15), ("soon", 3), ("never", 30))


def _standings(accounts: int) -> list[str]:
    found = [group for group, share in SHARES for _ in range(round(accounts * share / 100))]
    return found + ["active"] * (accounts - len(found))


def _fill(patients: int, accounts: int) -> None:
    now, rows = clock.now(), []
    example = {c.name: None for c in PATIENTS.c} | {"gender": "UNKNOWN", "date_of_birth_precision": "DAY"}
    example |= {"verification_status": "VERIFIED", "single_name": False, "email_allowed": True, "sms_allowed": True}
    for i in range(1, patients + 1):
        own = {"id": 10**6 + i, "patient_id": f"LMC{10**6 + i}", "first_name": "Amina", "last_name": f"Otieno {i}"}
        keys = {"name_key": f"amina otieno {i}", "search_names": f" amina otieno {i} ", "search_keys": f" lmc{i} |"}
        also = {"portal_enabled": i <= accounts, "is_active": True, "created_at": now, "updated_at": now, "version": 1}
        rows.append(example | own | keys | also)
    held, messages, limits = [], [], []
    base = {c.name: None for c in ACCOUNTS.c} | {"temporary_failures": 0, "failed_tries": 0, "told_tries": 0}
    for i, group in enumerate(_standings(accounts), 1):
        made = now - dt.timedelta(hours=100 if group == "expired" else 30 if group == "soon" else 2, seconds=i % 3600)
        temporary = group != "active"
        held.append(
            base
            | {"id": 10**6 + i, "username": f"p{i}@example.org", "full_name": f"Amina Otieno {i}", "role": "PATIENT"}
            | {"patient_id": 10**6 + i, "password_hash": "x", "password_temporary": temporary, "is_active": True}
            | {"password_expires_at": made + dt.timedelta(hours=48) if temporary else None}
            | {"password_changed_at": made, "created_at": made, "updated_at": made}
            | {"last_sign_in_at": None if temporary else now}
        )
        if temporary:
            message = {
                "kind": "INVITATION",
                "channel": "email",
                "account_id": 10**6 + i,
                "address": f"p{i}@example.org",
            }
            message |= {"facts": {}, "message_id": uuid.uuid4().hex, "created_at": made, "due_at": made, "tries": 1}
            state = "FAILED" if group == "failed" else "SENT"
            message |= {"state": state, "reason": "ADDRESS_REFUSED" if state == "FAILED" else None, "ended_at": made}
            messages.append(message | {"expires_at": made + dt.timedelta(hours=48)})
        if group == "locked" or i % 10 == 0:
            until = now + dt.timedelta(minutes=10) if group == "locked" else None
            limit = {"key": account_key(f"p{i}@example.org"), "account_id": 10**6 + i, "failures": 3, "consecutive": 3}
            limits.append(limit | {"pending": 0, "window_started_at": now, "blocked_until": until})
    with db.transaction() as session:
        for table, values in (
            (PATIENTS, rows),
            (ACCOUNTS, held),
            (OUTBOX_MESSAGES, messages),
            (SIGN_IN_LIMITS, limits),
        ):
            for at in range(0, len(values), 5000):
                session.execute(sa.insert(table), values[at : at + 5000])


def _time(name: str, times: int, work: Callable[[], Any]) -> None:
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append((time.perf_counter() - begun) * 1000)
    p95 = statistics.quantiles(taken, n=20)[-1]
    print(f"{name:<34} {statistics.median(taken):7.1f} {p95:7.1f}")


def _count() -> None:
    work_list.forget_numbers()
    work_list._numbers()


def _walk(actor: Actor, times: int) -> None:
    place, page = None, 0
    while page < 40:
        page += 1
        done = work_list.list_stuck(actor, behind=place, page=page)
        if page in (1, 2, 40):
            here = place
            _time(f"page {page}", times, lambda: work_list.list_stuck(actor, behind=here, page=page))  # noqa: B023
        if done.then is None:
            return
        place = done.then


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=20_000)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--postgres", action="store_true")
    asked = parser.parse_args()
    rates().spend = lambda *_: None  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        url, admin = conftest._new_database("postgres" if asked.postgres else "sqlite", Path(folder))
        engine = db.make_engine(url)
        db.bind(engine)
        try:
            actor = factories.make_staff()
            _fill(asked.patients, asked.accounts)
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("ANALYZE")
            print(f"{engine.dialect.name}, {asked.patients:,} patients, {asked.accounts:,} accounts, ms p50 and p95")
            _time("count, when something changed", asked.times, _count)
            _time("count, when nothing did", asked.times, work_list._numbers)
            _walk(actor, asked.times)
            for group in ("locked", "failed", "expired", "soon", "never"):
                _time(f"first page of {group}", asked.times, lambda g=group: work_list.list_stuck(actor, g))
            _time("first page of Patients", asked.times, lambda: list_patients(actor, PatientQuery(page_size=25)))
        finally:
            engine.dispose()
            conftest._drop(url, admin)
            conftest.pytest_unconfigure()


if __name__ == "__main__":
    main()
