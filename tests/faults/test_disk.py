"""No room, or nothing may be written: it is said in words, reading goes on, and all goes on when there is room."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sqlite3
import threading
import time

import pytest

from clinic_app.cli import errors
from clinic_app.core import db, readiness, storage
from clinic_app.services.audit import chain
from clinic_app.services.patients.overview import overview
from tests import factories
from tests.db import tools


@pytest.fixture(autouse=True)
def _anew():
    storage.forget()
    yield
    storage.forget()


def _parts():
    storage.forget()
    return readiness.parts()


def _no_room(engine) -> None:
    """SQLite: as many pages as there are, on every connection to come. PostgreSQL: a database that takes no writes."""
    if engine.dialect.name == "sqlite":
        import sqlalchemy as sa

        @sa.event.listens_for(engine, "connect")
        def _full(dbapi, _):
            dbapi.execute("PRAGMA max_page_count = 1")  # as many as there are, never fewer

        engine._full = _full
        engine.dispose()
    else:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            name = engine.url.database
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        engine.dispose()


def _room(engine) -> None:
    if engine.dialect.name == "sqlite":
        import sqlalchemy as sa

        sa.event.remove(engine, "connect", engine._full)
        engine.dispose()
    else:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("SET default_transaction_read_only = off")
            name = engine.url.database
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        engine.dispose()


def test_without_room_nothing_is_half_written_and_it_goes_on_by_itself(own_database, capsys):
    desk = factories.make_staff()
    factories.make_patient(desk)
    _no_room(own_database)
    kept, refused = 0, []
    for _ in range(400):  # there is some room in the pages there are
        try:
            factories.make_patient(desk)
            kept += 1
        except Exception as error:
            refused.append(error)
            if len(refused) == 5:
                break
    assert len(refused) == 5
    assert all(errors._takes_no_writes(error) for error in refused), refused
    assert tools.number("SELECT count(*) FROM patients") == kept + 1  # reading goes on
    counts = [tools.number(f"SELECT {what}") for what in (
        "value FROM counters WHERE name = 'patient_id'",
        "count(*) FROM audit_events WHERE action = 'PATIENT_CREATED'",
    )]  # fmt: skip
    assert counts == [kept + 1] * 2
    if own_database.dialect.name == "postgresql":
        assert _parts()["writes"] == readiness.NO_WRITES
        assert not readiness.ready(_parts())
    _room(own_database)
    assert _parts()["writes"] == readiness.OK
    factories.make_patient(desk)
    print(f"{own_database.dialect.name}: kept {kept}, refused {len(refused)}, half-written 0, again 1")
    assert chain.verify().ok


def test_a_full_disk_is_seen_before_anybody_writes(own_database, settings, monkeypatch):
    assert _parts()["writes"] == readiness.OK
    real = os.write

    def full(handle, data):
        if len(data) == len(storage._PROBE):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data)

    monkeypatch.setattr(os, "write", full)
    found = _parts()
    assert found["writes"] == readiness.NO_WRITES
    assert not readiness.ready(found)
    monkeypatch.undo()
    found = _parts()
    assert readiness.ready(found)
    assert not list(storage.folders(storage.Settings())[0].glob(".write-probe*"))


def test_little_room_is_told_and_still_serves(own_database, monkeypatch):
    usage = shutil.disk_usage("/")
    for free, state in ((499, readiness.LOW), (501, readiness.OK)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: usage._replace(free=free * 2**20))
        found = _parts()
        assert (found["disk"], readiness.ready(found)) == (state, True)


def test_administrators_read_it_on_reception_and_nobody_else(own_database, monkeypatch):
    usage = shutil.disk_usage("/")
    people = {role: factories.make_staff(role) for role in ("ADMIN", "RECEPTIONIST", "CLINICIAN")}
    for free, told in ((12, 12), (5000, None)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: usage._replace(free=free * 2**20))
        seen = {role: overview(actor).room_left for role, actor in people.items()}
        assert seen == {"ADMIN": told, "RECEPTIONIST": None, "CLINICIAN": None}


def test_thousands_who_ask_write_once(own_database, monkeypatch):
    written = []
    monkeypatch.setattr(storage, "database_takes_writes", lambda: written.append(1))
    storage.forget()
    settings = storage.Settings()
    for _ in range(1000):
        assert storage.takes_writes(settings)
    assert len(written) == 1


def test_nobody_waits_behind_a_try_that_hangs(own_database, monkeypatch):
    settings, hangs, over = storage.Settings(), threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        over.wait(20)

    assert storage.takes_writes(settings)
    storage.forget()
    monkeypatch.setattr(storage, "database_takes_writes", hang)
    one = threading.Thread(target=storage.takes_writes, args=(settings,))
    one.start()
    assert hangs.wait(20)
    begun = time.monotonic()
    storage.takes_writes(settings)
    assert time.monotonic() - begun < 2
    over.set()
    one.join()


def test_the_doctor_reads_every_page_and_says_what_is_damaged(command):
    assert command("migrate").returncode == 0
    file = command.folder / "clinic.sqlite3"
    with contextlib.closing(sqlite3.connect(file)) as opened:
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = opened.execute("SELECT rootpage FROM sqlite_master WHERE name = 'accounts'").fetchone()[0]
        size = opened.execute("PRAGMA page_size").fetchone()[0]
    whole = {one["name"]: one["state"] for one in json.loads(command("doctor", "--json").stdout)}
    assert [whole[name] for name in ("database file", "disk", "writing", "keys")] == ["ok"] * 4
    body = bytearray(file.read_bytes())
    body[(page - 1) * size : page * size] = b"\xff" * size
    file.write_bytes(body)
    done = command("doctor", "--json")
    told = {one["name"]: one for one in json.loads(done.stdout)}["database file"]
    assert (done.returncode, told["state"]) == (1, "missing")
    assert told["text"].endswith("is damaged: stop the server and restore the newest backup")


def test_a_command_says_it_in_words(capsys, monkeypatch):
    for number in (errno.ENOSPC, errno.EROFS, errno.EDQUOT):

        @errors.command
        def broken(number=number):
            raise OSError(number, "x")

        with pytest.raises(Exception) as ended:
            broken()
        assert ended.value.exit_code == 75
        assert capsys.readouterr().err.splitlines()[-1] == errors.NO_WRITES
    db.use(None)
