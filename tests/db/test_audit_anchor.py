"""Tampering with the audit trail is found, also where the chain alone would say nothing."""

from __future__ import annotations

import asyncio
import json
import shutil
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from clinic_app.core import context, db, keys
from clinic_app.models.audit import AUDIT_EVENTS
from clinic_app.services.access import SYSTEM
from clinic_app.services.audit import anchor, chain
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.chain import Finding
from clinic_app.services.audit.recording import link, record


@pytest.fixture
def file(settings, tmp_path) -> Path:
    """Where the anchors of this test are."""
    found = tmp_path / "elsewhere" / "anchors.jsonl"
    found.parent.mkdir()
    settings.setenv("CLINIC_AUDIT_ANCHOR_FILE", str(found))
    return found


def add(count: int) -> int:
    """So many more events; returns the last one's number."""
    for number in range(count):
        with db.transaction() as session:
            record(session, SYSTEM, Action.PATIENT_VIEWED, resource_type="patient", resource_id=number + 1)
    with db.reading() as session:
        return session.execute(sa.select(sa.func.max(AUDIT_EVENTS.c.seq))).scalar_one()


def tamper(*statements: str) -> None:
    """What somebody with the database's own rights does: triggers off, then the statements."""
    with db.transaction() as session:
        if session.get_bind().dialect.name == "postgresql":
            session.execute(sa.text("ALTER TABLE audit_events DISABLE TRIGGER USER"))
        else:
            names = session.execute(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars()
            for name in list(names):
                session.execute(sa.text(f"DROP TRIGGER {name}"))
        for statement in statements:
            session.execute(sa.text(statement))


def put_head_right(upto: int) -> None:
    """The head as it was when the trail ended at ``upto``: its hash stands in that event."""
    tamper(f"UPDATE audit_head SET seq = {upto}, hash = (SELECT hash FROM audit_events WHERE seq = {upto})")


def rebuild(first: int) -> None:
    """Compute all hashes anew from ``first`` on, as somebody could who has the key."""
    with db.transaction() as session:
        rows = [dict(row) for row in session.execute(sa.select(AUDIT_EVENTS).order_by(AUDIT_EVENTS.c.seq)).mappings()]
    previous = ""
    for row in rows:
        if row["seq"] >= first:
            row["hash"] = link(previous, row)
            tamper(f"UPDATE audit_events SET hash = '{row['hash']}' WHERE seq = {row['seq']}")
        previous = row["hash"]
    put_head_right(rows[-1]["seq"])


@pytest.fixture
def trail(database, file) -> int:
    """Twelve events, anchored at the sixth and at the tenth; returns the number of the first one."""
    with db.reading() as session:
        start = session.execute(sa.text("SELECT seq FROM audit_head")).scalar_one()
    assert start == 0
    add(6)
    assert anchor.anchor_head().seq == 6
    add(4)
    assert anchor.anchor_head().seq == 10
    add(2)
    found = chain.verify()
    assert (found.ok, found.count, found.anchors, found.warnings) == (True, 12, 2, ())
    return start


# --- what the chain finds ---------------------------------------------------------------------------


@pytest.mark.asvs("16.4.2")
@pytest.mark.parametrize(
    ("statements", "finding", "first_bad"),
    [
        (["UPDATE audit_events SET resource_id = 99 WHERE seq = 4"], Finding.CHANGED, 4),
        (["UPDATE audit_events SET outcome = 'denied' WHERE seq = 12"], Finding.CHANGED, 12),
        (["UPDATE audit_events SET address = '10.0.0.1' WHERE seq = 1"], Finding.CHANGED, 1),
        (["DELETE FROM audit_events WHERE seq = 5"], Finding.MISSING, 5),
        (["DELETE FROM audit_events WHERE seq = 1"], Finding.MISSING, 1),
        (["DELETE FROM audit_events WHERE seq = 12"], Finding.HEAD, 12),
        (
            [
                "UPDATE audit_events SET seq = 100 WHERE seq = 3",
                "UPDATE audit_events SET seq = 3 WHERE seq = 4",
                "UPDATE audit_events SET seq = 4 WHERE seq = 100",
            ],
            Finding.CHANGED,
            3,
        ),
        (
            [
                "UPDATE audit_events SET seq = -seq WHERE seq > 7",
                "UPDATE audit_events SET seq = 1 - seq WHERE seq < 0",
                "INSERT INTO audit_events SELECT 8, at, actor, actor_id, role, action, outcome, resource_type, "
                "resource_id, address, user_agent, request_id, metadata, hash FROM audit_events WHERE seq = 7",
            ],
            Finding.CHANGED,
            8,
        ),
        (["UPDATE audit_head SET hash = 'made up'"], Finding.HEAD, 13),
        (["UPDATE audit_head SET seq = 11"], Finding.HEAD, 13),
        (["DELETE FROM audit_head"], Finding.HEAD, None),
    ],
    ids=[
        "changed",
        "changed last",
        "changed first",
        "removed from the middle",
        "removed first",
        "removed last",
        "swapped",
        "put in",
        "head rewritten",
        "head moved",
        "head removed",
    ],
)
def test_the_chain_finds(trail, statements, finding, first_bad):
    tamper(*statements)
    found = chain.verify()
    assert (found.ok, found.finding, found.first_bad) == (False, finding, first_bad)
    assert found.why.endswith(".")


def test_another_key_is_a_broken_chain(trail, settings):
    settings.setenv("CLINIC_AUDIT_KEY", "b" * 40)
    from clinic_app.core.settings import get_settings

    get_settings.cache_clear()
    keys.key.cache_clear()
    try:
        assert chain.verify().first_bad == 1
    finally:
        settings.undo()
        get_settings.cache_clear()
        keys.key.cache_clear()


# --- what only the anchors find -----------------------------------------------------------------------


@pytest.mark.asvs("16.4.2", "16.4.3")
def test_a_cut_end_is_found(trail):
    tamper("DELETE FROM audit_events WHERE seq > 8")
    put_head_right(8)
    found = chain.verify()
    assert (found.ok, found.finding, found.first_bad, found.count) == (False, Finding.CUT, 9, 8)
    assert "event 10 was there" in found.why


def test_what_was_cut_after_the_last_anchor_is_the_limit_of_what_can_be_found(trail):
    """So anchors are made often: what this allows to remove is at most 15 minutes or 500 events old."""
    tamper("DELETE FROM audit_events WHERE seq > 10")
    put_head_right(10)
    assert chain.verify().ok
    assert anchor.EVERY.total_seconds() <= 15 * 60
    assert anchor.EVENTS <= 500


@pytest.mark.asvs("16.4.2")
def test_a_chain_made_anew_is_found(trail):
    tamper("UPDATE audit_events SET resource_id = 99 WHERE seq = 8")
    rebuild(8)
    found = chain.verify()
    assert (found.ok, found.finding, found.first_bad) == (False, Finding.REPLACED, 10)
    assert "Up to event 6 it agrees" in found.why


def test_a_cut_end_that_was_continued_is_found(trail):
    tamper("DELETE FROM audit_events WHERE seq > 8")
    put_head_right(8)
    add(5)
    found = chain.verify()
    assert (found.ok, found.finding, found.first_bad, found.count) == (False, Finding.REPLACED, 10, 13)


def _backup(engine: sa.Engine, folder: Path):
    """What a backup keeps; returns how to put it back."""
    if engine.dialect.name == "sqlite":
        source = Path(engine.url.database)
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        kept = folder / "backup.sqlite3"
        shutil.copy(source, kept)

        def restore() -> None:
            engine.dispose()
            for end in ("-wal", "-shm"):
                source.with_name(source.name + end).unlink(missing_ok=True)
            shutil.copy(kept, source)

        return restore
    with engine.connect() as connection:
        head = connection.execute(sa.text("SELECT * FROM audit_head")).mappings().one()

    def restore_rows() -> None:
        tamper(
            f"DELETE FROM audit_events WHERE seq > {head['seq']}",
            f"UPDATE audit_head SET seq = {head['seq']}, hash = '{head['hash']}', changes = {head['changes']}",
        )

    return restore_rows


@pytest.mark.asvs("16.4.2")
def test_an_older_copy_put_back_is_found_and_can_be_accepted(own_database, file, tmp_path):
    add(4)
    anchor.anchor_head()
    restore = _backup(own_database, tmp_path)
    add(5)
    anchor.anchor_head()
    restore()
    found = chain.verify()
    assert (found.ok, found.finding, found.first_bad, found.count) == (False, Finding.CUT, 5, 4)

    add(8)  # the clinic works on, and its server goes on anchoring
    anchor.anchor_head()
    found = chain.verify()
    assert (found.ok, found.finding) == (False, Finding.REPLACED)
    assert "Up to event 4 it agrees" in found.why

    anchor.accept_restored()
    found = chain.verify()
    assert (found.ok, found.count) == (True, 13)
    assert found.warnings[0].endswith(": events 5 to 12 have been replaced.")
    with db.reading() as session:
        last = session.execute(sa.select(AUDIT_EVENTS).order_by(AUDIT_EVENTS.c.seq.desc()).limit(1)).mappings().one()
    assert last["action"] == "AUDIT_RESTORED"
    assert last["metadata"] == {"agrees_up_to": 4, "anchored_up_to": 12}
    tamper("DELETE FROM audit_events WHERE seq > 12")  # from here on the new anchors hold
    put_head_right(12)
    assert chain.verify().finding == Finding.CUT


def test_a_trail_shorter_than_its_anchor_is_noted_in_the_log_too(trail):
    tamper("DELETE FROM audit_events WHERE seq > 8")
    put_head_right(8)
    with capture_logs() as said:
        assert anchor.anchor_head().seq == 8
    assert [line["event"] for line in said] == ["audit_trail_is_shorter_than_its_anchor"]
    assert chain.verify().finding == Finding.CUT  # the older note still speaks


# --- the file -----------------------------------------------------------------------------------------


def test_without_anchors_the_report_says_so_and_the_chain_still_counts(database, file):
    add(3)
    found = chain.verify()
    assert (found.ok, found.anchors, found.warnings) == (True, 0, (chain.NO_ANCHORS,))


def test_an_anchor_is_one_line_readable_by_its_owner_only(trail, file):
    file.chmod(0o644)
    add(1)
    anchor.anchor_head()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["seq"] for line in lines] == [6, 10, 13]
    assert set(lines[0]) == {"seq", "hash", "at"}
    assert lines[0]["at"].endswith("+00:00")


def test_nothing_new_makes_no_new_line(trail, file):
    add(1)
    assert anchor.anchor_head().seq == 13
    assert anchor.anchor_head() is None
    assert len(file.read_text().splitlines()) == 3


def test_an_empty_trail_is_not_anchored(database, file):
    assert anchor.anchor_head() is None
    assert file.read_text() == ""


def test_a_line_cut_short_by_a_power_cut_spoils_nothing(trail, file):
    file.write_bytes(file.read_bytes() + b'{"seq": 11, "ha')
    found = chain.verify()
    assert (found.ok, found.warnings) == (True, ("1 line of the anchor file cannot be read.",))
    anchor.anchor_head()
    found = chain.verify()
    assert (found.ok, found.anchors) == (True, 3)


@pytest.mark.parametrize(
    "line", ["[]", "7", "null", '{"seq": "6", "hash": "x", "at": "now"}', '{"seq": true}', "\x00\xff", '{"seq": 1}']
)
def test_any_line_may_be_nonsense(trail, file, line):
    file.write_bytes(file.read_bytes() + line.encode("latin-1") + b"\n")
    assert chain.verify().ok


def test_anchors_lie_in_the_data_directory_by_default(database, settings, tmp_path):
    settings.setenv("CLINIC_DATA_DIR", str(tmp_path))
    add(1)
    anchor.anchor_head()
    assert (tmp_path / "audit-anchors.jsonl").exists()


@pytest.mark.races
def test_processes_that_anchor_at_once_keep_the_order(own_database, file, monkeypatch):
    here, last = context.current(), anchor._last

    def slowly(opened):
        time.sleep(0.005)  # between looking at the trail and writing the note
        return last(opened)

    monkeypatch.setattr(anchor, "_last", slowly)

    def work(_: int) -> None:
        with context.use(here):
            add(1)
            anchor.anchor_head()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(24)))
    seqs = [each.seq for each in anchor.anchors()[0]]
    assert seqs == sorted(set(seqs))
    assert seqs[-1] == 24
    assert chain.verify().ok


# --- while the server runs ------------------------------------------------------------------------------


async def _until(done) -> None:
    for _ in range(300):
        if done():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen in 3 s")


def _seqs() -> list[int]:
    return [each.seq for each in anchor.anchors()[0]]


async def test_the_server_anchors_at_start_every_so_many_events_and_at_its_end(own_database, file, monkeypatch):
    monkeypatch.setattr(anchor, "EVENTS", 5)
    add(2)
    async with anchor.anchoring(look_every=0.01):
        assert _seqs() == [2]
        await asyncio.to_thread(add, 4)
        await asyncio.sleep(0.1)
        assert _seqs() == [2]  # four are not worth a note yet
        await asyncio.to_thread(add, 1)
        await _until(lambda: _seqs() == [2, 7])
        await asyncio.to_thread(add, 1)
    assert _seqs() == [2, 7, 8]


async def test_the_server_anchors_every_quarter_of_an_hour(own_database, file, monkeypatch):
    async with anchor.anchoring(look_every=0.01):
        await asyncio.to_thread(add, 1)
        await _until(lambda: _seqs() == [1])  # the first event of a new clinic, at once
        await asyncio.to_thread(add, 1)
        await asyncio.sleep(0.1)
        assert _seqs() == [1]
        monkeypatch.setattr(anchor, "EVERY", anchor.EVERY * 0)
        await _until(lambda: _seqs() == [1, 2])


async def test_a_disk_that_is_gone_is_logged_and_keeps_nobody_from_work(own_database, settings, tmp_path):
    settings.setenv("CLINIC_AUDIT_ANCHOR_FILE", str(tmp_path / "not mounted" / "anchors.jsonl"))
    add(1)
    with capture_logs() as said:
        async with anchor.anchoring(look_every=0.01):
            await asyncio.to_thread(add, 1)
    assert {(line["handler"], line["error"]) for line in said} == {("audit anchor", "FileNotFoundError")}
