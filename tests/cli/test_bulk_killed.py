"""A server that dies in the middle of a run of portal accounts: the next one goes on, and nobody gets two."""

from __future__ import annotations

import time

import pytest

from clinic_app.services.access import SYSTEM
from clinic_app.services.portal.bulk_choice import Chosen
from clinic_app.services.portal.bulk_runs import start_run
from tests import factories
from tests.browser.serving import Server, bound

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

PATIENTS = 40
WITHIN = 90.0  # seconds; a busy machine is no failure


def _state(server: Server) -> tuple[str, dict[str, int]]:
    ((state,),) = server.sql("SELECT state FROM portal_runs")
    return state, dict(server.sql("SELECT state, count(*) FROM portal_run_items GROUP BY state"))  # type: ignore[arg-type]


def _until(server: Server, reached) -> None:
    late = time.monotonic() + WITHIN
    while not reached(*_state(server)):
        assert time.monotonic() < late, _state(server)
        time.sleep(0.02)


def test_a_run_goes_on_after_its_server_was_killed_and_nobody_gets_two(tmp_path):
    server = Server(tmp_path, CLINIC_SMTP_HOST="127.0.0.1", CLINIC_SMTP_PORT="9")
    server.prepare(people=False)
    with bound(server):
        for number in range(PATIENTS):
            factories.make_patient(SYSTEM, email=f"killed{number}@example.org")
        start_run(SYSTEM, Chosen())
    for enough in (5, 15):
        server.start()
        try:
            _until(server, lambda _, items, enough=enough: items.get("CREATED", 0) >= enough)
        finally:
            server.kill()
        assert _state(server)[0] == "RUNNING"
        server.sql("UPDATE portal_runs SET leased_until = started_at")  # as if a minute had gone by
    server.start()
    try:
        _until(server, lambda state, _: state == "DONE")
    finally:
        server.stop()
    assert _state(server) == ("DONE", {"CREATED": PATIENTS})
    for table, where in (
        ("accounts", "username LIKE 'killed%'"),
        ("audit_events", "action = 'PORTAL_ACCOUNT_CREATED'"),
        ("outbox_messages", "kind = 'INVITATION'"),
    ):
        assert server.sql(f"SELECT count(*) FROM {table} WHERE {where}") == [(PATIENTS,)], table
    assert server.run("audit", "verify")
