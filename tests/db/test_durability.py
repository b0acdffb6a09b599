"""A process killed in the middle of its work leaves whole registrations only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from clinic_app.core import db
from clinic_app.services.audit import chain
from tests import factories
from tests.conftest import ROOT, migrate
from tests.db import tools

pytestmark = pytest.mark.races
LOOP = """
import itertools, os, sys, threading
from clinic_app.core import db
from clinic_app.services.patients.duplicates.holding import ANYBODY
from clinic_app.services.patients.forms import PatientRegistration
from clinic_app.services.patients.registration import register_patient
from tests import factories

db.bind(db.make_engine(sys.argv[1]))
desk = factories.make_staff(username=sys.argv[2])

def work(lane):
    for n in itertools.count():
        data = factories.registration(national_id=f"{sys.argv[2]} {lane} {n}")
        if n % 2:
            data |= {"create_portal_account": True, "portal_email": f"{sys.argv[2]}.{lane}.{n}@example.com"}
        done = register_patient(desk, PatientRegistration.parse(data), despite=ANYBODY)
        os.write(1, f"{done.patient.patient_id}\\n".encode())

for lane in range(3):
    threading.Thread(target=work, args=(lane,), daemon=True).start()
threading.Event().wait()
"""


def _killed_after(url: str, run: int, seconds: float) -> list[str]:
    """Register until killed; the patient IDs that were answered."""
    process = subprocess.Popen([sys.executable, "-c", LOOP, url, f"desk{run}"], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    answered = [process.stdout.readline()]
    assert answered[0], "the process did not start"
    time.sleep(seconds)
    os.kill(process.pid, signal.SIGKILL)
    answered += process.stdout.read().splitlines(keepends=True)
    assert process.wait(10) == -signal.SIGKILL
    process.stdout.close()
    return [line.decode().strip() for line in answered if line.endswith(b"\n")]


@pytest.mark.asvs("2.3.3")
def test_a_killed_process_leaves_every_patient_with_account_and_audit_row_and_loses_nobody(tmp_path):
    url = f"sqlite:///{tmp_path / 'clinic.sqlite3'}"
    migrate(url)
    answered: list[str] = []
    for run, seconds in enumerate((0.05, 0.173, 0.311)):
        answered += _killed_after(url, run, seconds)
    engine = db.make_engine(url)
    db.bind(engine)
    try:
        with engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
        kept = {row[0] for row in tools.raw("SELECT patient_id FROM patients")}
        assert len(answered) > 10
        assert set(answered) <= kept  # nobody who was told "registered" is lost
        assert len(kept) - len(answered) <= 9  # and what was not answered was on its way: three lanes, three kills
        assert tools.number("SELECT value FROM counters WHERE name = 'patient_id'") == len(kept)
        created = tools.trail("PATIENT_CREATED")
        assert {row["metadata"]["patient_id"] for row in created} == kept
        assert len(created) == len(kept)
        wanted = sum(row["metadata"]["portal_account_created"] for row in created)
        assert wanted > 0
        linked = "SELECT count(*) FROM patients p JOIN accounts a ON a.patient_id = p.id WHERE p.portal_enabled"
        assert tools.number(linked) == wanted
        assert tools.number("SELECT count(*) FROM patients WHERE portal_enabled") == wanted
        assert tools.number("SELECT count(*) FROM accounts WHERE role = 'PATIENT'") == wanted
        assert chain.verify().ok
        done = factories.make_patient(factories.make_staff(username="after"))  # and work goes on
        assert done.patient.patient_id == f"LMC{len(kept) + 1:06d}"
    finally:
        db.use(None)
        engine.dispose()
