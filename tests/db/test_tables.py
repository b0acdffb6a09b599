"""Every table that grows has its rule: who removes its rows and when, or why they stay."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from clinic_app.core import clock, db
from clinic_app.models.accounts import LOGIN_SESSIONS, REFRESH_TOKENS
from clinic_app.services import intents
from clinic_app.services.accounts import drafts, housekeeping, known_devices, sign_in_throttle
from clinic_app.services.accounts.sessions import end_sessions

ROOT = Path(__file__).resolve().parents[2]
#: Tables whose rows stay, and why they may.
STAY = {
    "patients": "the register: a row for each person, by people who may register, at a limited rate",
    "accounts": "one for each member of staff and each portal account, never more than one a patient",
    "former_usernames": "patients are found by them; one for each change of a username, at a limited rate",
    "passkeys": "ten an account at most",
    "recovery_codes": "ten an account at most: new ones replace the old",
    "audit_events": "append-only: the trail is kept",
    "audit_head": "one row",
    "audit_checkpoints": "one a day, and one for each proof that somebody writes by a command",
    "audit_tree_nodes": "one for every 32 events of the trail",
    "refusal_counts": "when its minute is over a row becomes an event: see test_refusal_counts.py",
    "counters": "one row for each counter",
    "alembic_version": "one row",
    "clinic_keys": "one for each key that somebody made, by a command",
    "match_keys": "some twenty a patient: go when the patient's details change, stay with the patient",
    "name_parts": "one for each part of a name that somebody in the register has",
    "name_part_changes": "added up every few seconds: see test_name_parts.py",
    "patient_counts": "two rows",
    "patient_count_changes": "added up every few seconds: see test_register_counts.py",
    "portal_run_items": "go with their run",
    "duplicate_pairs": "at most a few a record; gone when the records are alike no more, or one is not in use any more",
    "waiting_comparisons": "one a record at most; each goes when it has been compared",
    "patient_merges": "one for each merge, by people who may, at a limited rate; what undoing needs goes when undone",
    "patient_import_rows": "go with their import",
}
#: The search index of SQLite keeps nothing of its own.
INDEX = "patients_search"
OLD, YOUNG = dt.timedelta(days=400), dt.timedelta(0)


def _names(engine: sa.Engine) -> set[str]:
    return {name for name in sa.inspect(engine).get_table_names() if not name.startswith(INDEX)}


def test_every_table_has_its_rule(database, engine):
    tidied = {table.name for table in housekeeping.PAST}
    assert _names(engine) - tidied - set(STAY) == set(), "tables that only grow"
    assert tidied & set(STAY) == set()
    assert (tidied | set(STAY)) - _names(engine) == set(), "rules for tables that are not there"


def test_the_operators_read_how_long_each_table_is_kept():
    told = (ROOT / "docs" / "operations.md").read_text()
    part = told[told.index("### What is kept, and for how long") :]
    assert [table for table in [*(one.name for one in housekeeping.PAST), *STAY] if f"`{table}`" not in part] == []


def _rows(account_id: int, at: dt.datetime, mark: str) -> dict[str, dict[str, Any]]:
    """A row of each tidied table, whose life began at ``at``, the longest it can be."""
    session = {"token_hash": mark, "account_id": account_id, "kind": "page", "created_at": at, "last_seen_at": at}
    return {
        "sign_in_limits": {"key": mark, "failures": 1, "consecutive": 99, "window_started_at": at, "blocked_until": at},
        "known_devices": {"device_hash": mark, "account_id": account_id, "created_at": at, "used_at": at},
        "flash_notes": {"token_hash": mark, "body": {}, "expires_at": at + dt.timedelta(minutes=1)},
        "drafts": {"account_id": account_id, "instance": mark, "form": "registration", "body": "", "typed_at": at,
                   "open_until": at},
        "intents": {"key": mark, "action": "X", "done_at": at},
        "idempotency_keys": {"key": mark, "request": "x", "started_at": at, "expires_at": at + dt.timedelta(hours=24)},
        "pending_sign_ins": {"token_hash": mark, "account_id": account_id, "replaces": "", "tries": 0,
                             "password_changed_at": at, "expires_at": at + dt.timedelta(minutes=5)},
        "portal_runs": {"chosen": {}, "state": "DONE", "started_at": at, "ended_at": at},
        "patient_imports": {"name": "x.csv", "size": 1, "state": "DONE", "left_out_columns": [], "started_at": at,
                            "changed_at": at, "allow_duplicates": False, "position": 0, "next_row": 2, "next_line": 2,
                            "done_through": 1, "rows": 0, "new": 0, "duplicates": 0, "invalid": 0, "imported": 0,
                            "same": 0},
        "outbox_messages": {"kind": "INVITATION", "channel": "email", "account_id": account_id, "address": "a@b.c",
                            "facts": {}, "message_id": mark, "state": "SENT", "created_at": at, "expires_at": at,
                            "due_at": at, "tries": 1, "ended_at": at},
        "one_time_links": {"account_id": account_id, "purpose": "ACTIVATE", "seed": mark, "created_at": at,
                           "expires_at": at + dt.timedelta(hours=168)},
        "self_registrations": {"state": "UNCONFIRMED", "seed": mark, "details": "", "created_at": at,
                               "expires_at": at + dt.timedelta(hours=24)},
        "used_challenges": {"digest": mark, "expires_at": at + dt.timedelta(hours=1)},
        "passkey_challenges": {"challenge_hash": mark, "expires_at": at + dt.timedelta(minutes=5)},
        "login_sessions": {**session, "expires_at": at + dt.timedelta(hours=12), "address": "", "user_agent": "",
                           "path": ""},
    }  # fmt: skip


def _kept(table: sa.Table) -> int:
    with db.reading() as session:
        return session.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_what_is_past_its_time_goes_and_what_is_not_stays(database, people):
    with db.transaction() as session:
        session.execute(sa.delete(REFRESH_TOKENS))
        session.execute(sa.delete(LOGIN_SESSIONS))
    account, now = people.receptionist.account_id, clock.now()
    others = [table for table in housekeeping.PAST if table.name != "refresh_tokens"]
    assert {table.name for table in others} == set(_rows(account, now, "x"))
    for age, mark in ((OLD, "old"), (YOUNG, "young")):
        rows = _rows(account, now - age, mark)
        with db.transaction() as session:
            for table in others:
                session.execute(sa.insert(table).values(rows[table.name]))
            of = session.execute(sa.select(LOGIN_SESSIONS.c.id).where(LOGIN_SESSIONS.c.token_hash == mark)).scalar_one()
            token = {"token_hash": mark, "session_id": of, "role": "ADMIN", "created_at": now - age}
            session.execute(sa.insert(REFRESH_TOKENS).values(**token, expires_at=now - age + dt.timedelta(hours=12)))
    before = {table.name: _kept(table) for table in housekeeping.PAST}
    assert housekeeping.tidy() == len(housekeeping.PAST)
    assert {table.name: before[table.name] - _kept(table) for table in housekeeping.PAST} == dict.fromkeys(before, 1)
    assert housekeeping.tidy() == 0


@pytest.mark.parametrize(("days", "gone"), [(29, 0), (31, 1)])
def test_a_session_that_was_ended_goes_a_month_later_with_its_tokens(database, people, days, gone):
    with db.transaction() as session:
        session.execute(sa.delete(REFRESH_TOKENS))
        session.execute(sa.delete(LOGIN_SESSIONS))
        now = clock.now()
        row = _rows(people.admin.account_id, now, "ended")["login_sessions"] | {"expires_at": now + OLD}
        session.execute(sa.insert(LOGIN_SESSIONS).values(row))
        of = session.execute(sa.select(LOGIN_SESSIONS.c.id)).scalar_one()
        token = {"token_hash": "t", "session_id": of, "role": "ADMIN", "created_at": now, "expires_at": now + OLD}
        session.execute(sa.insert(REFRESH_TOKENS).values(token))
        end_sessions(session, people.admin.account_id, "signed out")
        ended = now - dt.timedelta(days=days)
        session.execute(sa.update(LOGIN_SESSIONS).values(ended_at=ended))
    assert housekeeping.tidy() == 2 * gone
    assert _kept(LOGIN_SESSIONS) == 1 - gone


def test_the_longest_lives_are_these():
    assert (dt.timedelta(hours=24), dt.timedelta(hours=24)) == (drafts.LIFE, intents.LIFE)
    assert (dt.timedelta(days=30), dt.timedelta(days=30)) == (
        sign_in_throttle.KEEP_FAILURES,
        housekeeping.KEEP_SESSIONS,
    )
    assert dt.timedelta(days=90) == housekeeping.KEEP_MESSAGES == housekeeping.KEEP_IMPORTS
    assert (dt.timedelta(minutes=30), dt.timedelta(days=180)) == (sign_in_throttle.KEEP_STRANGERS, known_devices.LIFE)
