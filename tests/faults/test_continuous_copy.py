"""The continuous copy of an SQLite clinic: what is lost when everything dies, and what is not when it is stopped."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
import os
import secrets
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from clinic_app.cli import copying, doctor
from clinic_app.core import bootstrap, clock, continuous_copy, copy_check, data_lock, db, keys
from clinic_app.core.continuous_copy import Known
from clinic_app.core.database_copies import CopyFailed
from clinic_app.core.settings import Settings, get_settings, load_settings
from clinic_app.services import monitoring
from clinic_app.services.audit import chain, known_keys
from clinic_app.services.backups import restoring
from clinic_app.services.backups.errors import RestoreRefused
from clinic_app.services.patients.overview import overview
from tests import factories
from tests.browser.serving import Server
from tests.faults import test_backups
from tests.faults.conftest import serving
from tests.faults.instances import until

on_sqlite = pytest.mark.parametrize("own_database", ["sqlite"], indirect=True)
pytestmark = pytest.mark.skipif(continuous_copy.program() is None, reason="no litestream on this machine")

WRITERS = 8
EVERY = 0.5  # seconds: the setting's default
#: What may be lost: the interval, and the time a busy machine takes to write down what is due.
LOST = EVERY + 1.5


class Writers:
    """Eight desks that register by the API without a pause; ``kept``: when somebody was told that who is registered."""

    def __init__(self, server: Server) -> None:
        body = {"username": "reception", "password": factories.PASSWORD}
        access = httpx.post(f"{server.url}/api/v1/auth/login/", json=body, timeout=20).json()["access"]
        self.kept = list[tuple[float, str]]()
        self._headers, self._url, self._over = {"Authorization": f"Bearer {access}"}, server.url, threading.Event()
        self._run = secrets.token_hex(3)
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(WRITERS)]

    def _write(self, number: int) -> None:
        with contextlib.suppress(httpx.HTTPError), httpx.Client(base_url=self._url, timeout=20) as http:
            for count in itertools.count():
                name = f"{self._run}w{number}n{count}"
                person = {"first_name": name, "last_name": "Copy", "allow_duplicate": True}
                answer = http.post("/api/v1/patients/", json=person, headers=self._headers)
                if answer.status_code == 201:
                    self.kept.append((time.time(), name))
                if self._over.is_set():
                    return

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def wait(self, more: int) -> None:
        """Until so many more are registered."""
        wanted = len(self.kept) + more
        until(lambda: len(self.kept) >= wanted, 60, "registering")


def below(server: Server) -> set[int]:
    """Everything the server has started: workers, and litestream, which another thread starts."""
    assert server._process is not None
    lists = Path(f"/proc/{server._process.pid}/task").glob("*/children")
    return {int(pid) for one in lists for pid in one.read_text().split()}


def litestream(server: Server) -> int:
    """Its process; 0: it does not run."""
    for pid in below(server):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().strip() == continuous_copy.PROGRAM:
                return pid
    return 0


def power_cut(server: Server) -> float:
    """Everything stops at one moment, and dies; returns when."""
    assert server._process is not None
    processes = [*below(server), server._process.pid]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in processes:
            os.kill(pid, number)
    at = time.time()
    server.kill()
    return at


def known(server: Server) -> Known:
    """What the server has noted of its copy."""
    file = server.folder / "data" / "continuous-copy.json"
    return Known(**json.loads(file.read_text())) if file.exists() else Known()


@contextlib.contextmanager
def copied_clinic(folder: Path, **settings: str) -> Iterator[tuple[Server, Path]]:
    """A clinic that is served and copied, and the folder of its copy."""
    copy = folder / "copy"
    copy.mkdir(parents=True)
    server = serving(folder, CLINIC_COPY_TO=str(copy), **settings)
    server.start()
    try:
        until(lambda: known(server).at > 0, 60, "the first copy")
        yield server, copy
    finally:
        server.stop()


def restored(copy: Path, folder: Path, counters: dict[str, Any]) -> Server:
    """A clinic on another machine, with what is in the copy."""
    folder.mkdir()
    other = Server(folder)
    begun = time.monotonic()
    other.run("restore", str(copy))
    counters["seconds to restore, the command with all checks"] = round(time.monotonic() - begun, 2)
    other.run("audit", "anchor", "--after-restore")
    assert "The audit trail is intact" in other.run("audit", "verify")
    assert other.sql("PRAGMA integrity_check") == [("ok",)]
    assert not other.sql("SELECT name FROM sqlite_master WHERE name LIKE ?", "%litestream%")
    return other


def names(server: Server) -> set[str]:
    return {name for (name,) in server.sql("SELECT first_name FROM patients WHERE last_name = 'Copy'")}


def works(server: Server) -> None:
    """It starts, somebody signs in, and registers."""
    server.start()
    try:
        with Writers(server) as writers:
            writers.wait(1)
    finally:
        server.stop()


# --- through the real server ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_everything_dies_and_the_copy_has_all_but_the_last_moment(tmp_path, counters):
    with copied_clinic(tmp_path / "here") as (server, copy):
        with Writers(server) as writers:
            writers.wait(80)
            cut = power_cut(server)
        there = names(server)
        other = restored(copy, tmp_path / "elsewhere", counters)
        found = names(other)
        lost = [(when, name) for when, name in writers.kept if name not in found]
        span = cut - min((when for when, _ in lost), default=cut)
        counters.update(registered=len(writers.kept), restored=len(found), lost=len(lost), seconds_lost=round(span, 2))
        assert {name for _, name in writers.kept} <= there, "the database itself loses nothing"
        assert found <= there
        assert span <= LOST
        assert found, "the copy is no older than the test"
        works(other)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_at_every_moment_of_a_busy_hour_the_copy_can_be_restored(tmp_path, counters):
    found: list[str] = []

    def restore_and_look(server: Server) -> None:
        file = tmp_path / "state.sqlite3"
        config, database = server.folder / "data" / continuous_copy.CONFIG, server.folder / "data" / "clinic.sqlite3"
        done = continuous_copy._run(continuous_copy.program() or "", config, "-o", str(file), str(database))
        assert done.returncode == 0, done.stderr.decode()
        with contextlib.closing(sqlite3.connect(file)) as state:
            try:
                found.append(state.execute("PRAGMA quick_check").fetchone()[0])
            except sqlite3.DatabaseError as error:
                found.append(str(error))
        file.unlink()

    with copied_clinic(tmp_path / "here", CLINIC_COPY_EVERY_MS="200", CLINIC_API_RATE_FACTOR="1000") as (server, _):
        with Writers(server) as writers:
            until_then = time.monotonic() + 40
            while time.monotonic() < until_then:
                restore_and_look(server)
                time.sleep(0.2)
        server.stop()
        restore_and_look(server)
        counters.update(registered=len(writers.kept), states=len(found), damaged=len(found) - found.count("ok"))
        assert set(found) == {"ok"}
        assert writers.kept


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_litestream_is_killed_again_and_again_and_the_copy_is_whole_after_the_stop(tmp_path, counters):
    with copied_clinic(tmp_path / "here") as (server, copy):
        with Writers(server) as writers:
            for number in range(3):
                writers.wait(20)
                victim = litestream(server)
                os.kill(victim, signal.SIGKILL)
                back = until(lambda gone=victim: litestream(server) not in (0, gone), 30, "litestream")
                counters[f"seconds until it runs again, {number}"] = round(back, 2)
            writers.wait(20)
        server.stop()
        assert known(server).ended
        there = names(server)
        other = restored(copy, tmp_path / "elsewhere", counters)
        counters.update(registered=len(writers.kept), lost=len(there - names(other)))
        assert {name for _, name in writers.kept} <= there == names(other)
        assert server.log_text().count('"copy_ended"') == 3
        assert '"status": 500' not in server.log_text()
        assert str(tmp_path) not in "".join(line for line in server.log_text().splitlines() if "copy_" in line)


# --- the child alone --------------------------------------------------------------------------------


@contextlib.contextmanager
def running(settings: Settings) -> Iterator[copying.Copier]:
    """The database of ``settings`` is copied; at the end of the block all of it is."""
    made = copying.Copier(settings)
    made.start()
    try:
        yield made
    finally:
        made.stop()
        data_lock.release()


def whole(settings: Settings) -> None:
    """Wait until all that is there now is in the copy."""
    now = time.time()
    until(lambda: bool((found := continuous_copy.known(settings)) and found.at > now), 40, "the copy")


def trouble(settings: Settings) -> str:
    """Why the copy stands still; empty: it does not."""
    found = continuous_copy.known(settings)
    return found.trouble if found else ""


@pytest.fixture
def settings(own_database, tmp_path) -> Iterator[Settings]:
    """A clinic in ``own_database`` that has a folder for its copy."""
    (tmp_path / "copy").mkdir()
    url = own_database.url.render_as_string(hide_password=False)
    made = load_settings(
        mode="test", data_dir=tmp_path / "data", database_url=url, copy_to=str(tmp_path / "copy"), copy_every_ms=200
    )
    known_keys.check()
    yield made
    keys.key.cache_clear()
    get_settings.cache_clear()


def elsewhere(settings: Settings, folder: Path) -> Settings:
    return settings.model_copy(update={"data_dir": folder, "database_url": "", "copy_to": ""})


def ids(settings: Settings) -> set[str]:
    """Who is in the clinic of ``settings``, whose trail holds."""
    engine = db.make_engine(settings.database)
    try:
        with engine.connect() as connection:
            assert chain.verify_whole(connection).ok
            assert not connection.exec_driver_sql("SELECT * FROM sqlite_master WHERE name LIKE '%litestream%'").all()
            return set(connection.exec_driver_sql("SELECT patient_id FROM patients").scalars())
    finally:
        engine.dispose()


@on_sqlite
@pytest.mark.races
def test_what_eight_write_is_in_the_copy_although_litestream_is_killed(own_database, settings, tmp_path):
    with running(settings) as copier:
        with test_backups.Writers() as writers:
            until(lambda: len(writers.kept) > 20, 30, "registering")
            assert copier._process is not None
            copier._process.kill()
            until(lambda: len(writers.kept) > 60, 30, "registering")
        assert not writers.failed
    found = continuous_copy.known(settings)
    assert found is not None
    assert (found.ended, found.trouble) == (True, "")
    other = elsewhere(settings, tmp_path / "other")
    done = restoring.restore_copy(other, settings.copy_to)
    assert ids(other) == set(writers.kept)
    assert done.manifest.rows["patients"] == len(writers.kept)
    assert (tmp_path / "other").stat().st_mode & 0o077 == 0
    assert (tmp_path / "other" / "clinic.sqlite3").stat().st_mode & 0o077 == 0
    kept = [file.stat().st_mode & 0o077 for file in (tmp_path / "copy").rglob("*")]
    assert kept
    assert not any(kept), "the copy is its owner's alone"


def test_a_clinic_with_a_copy_leaves_its_log_to_who_copies(tmp_path):
    (tmp_path / "copy").mkdir()
    for copy_to, pages in (("", 1000), (str(tmp_path / "copy"), 100_000)):
        bootstrap.stop()
        made = load_settings(mode="test", data_dir=tmp_path / "data", copy_to=copy_to)
        try:
            with bootstrap.start(made).connect() as connection:
                assert connection.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar_one() == pages
        finally:
            bootstrap.stop()


@pytest.mark.parametrize(
    ("at", "meant"),
    [
        ("", ""),
        ("2026-11-26T13:30:00+03:00", "2026-11-26T10:30:00Z"),
        ("2026-11-26 10:30:00.5Z", "2026-11-26T10:30:00.500000Z"),
        ("2026-11-26T10:30Z", "2026-11-26T10:30:00Z"),
    ],
)
def test_a_moment_is_read_with_its_zone(at, meant):
    assert continuous_copy.moment(at) == meant


@pytest.mark.parametrize("at", ["yesterday", "2026-11-26T10:30:00", "-1", "0000-00-00T00:00:00Z", "-config=/etc/x"])
def test_what_is_no_moment_is_said_and_is_no_damage(at):
    with pytest.raises(CopyFailed, match="--at is a time with its zone"):
        continuous_copy.moment(at)


@on_sqlite
def test_after_an_older_backup_was_restored_the_copy_goes_on_from_that(own_database, settings, tmp_path):
    desk = factories.make_staff()
    with running(settings):
        first = factories.make_patient(desk).patient.patient_id
        older = test_backups._make(own_database, tmp_path / "backups").file
        second = factories.make_patient(desk, first_name="Second").patient.patient_id
        whole(settings)
        with pytest.raises(RestoreRefused):  # the copy is being made
            restoring.restore_copy(settings, settings.copy_to)
    other = elsewhere(settings, tmp_path / "before")
    restoring.restore_copy(other, settings.copy_to)
    assert ids(other) == {first, second}
    with test_backups._closed(own_database):
        restoring.restore_backup(settings, older, lambda _, __: None)
    with running(settings):
        whole(settings)
        other = elsewhere(settings, tmp_path / "older")
        restoring.restore_copy(other, settings.copy_to)
        assert ids(other) == {first}
        third = factories.make_patient(desk, first_name="Third").patient
    other = elsewhere(settings, tmp_path / "newer")
    restoring.restore_copy(other, settings.copy_to)
    assert ids(other) == {first, third.patient_id}
    with contextlib.closing(sqlite3.connect(tmp_path / "newer" / "clinic.sqlite3")) as opened:
        names = opened.execute("SELECT first_name FROM patients ORDER BY id").fetchall()
    assert names[-1] == ("Third",), "not the one whose number was given out again"


@on_sqlite
def test_what_is_removed_from_the_copy_is_noticed_and_it_is_made_anew(own_database, settings, tmp_path, monkeypatch):
    for name, seconds in (("LOOK", 0.2), ("LOOK_THROUGH", 0.5), ("SOON", 0.5), ("PATIENCE", 2.0)):
        monkeypatch.setattr(copying, name, seconds)
    monkeypatch.setattr(continuous_copy, "on_the_same_disk", lambda _: False)
    desk = factories.make_staff()
    with running(settings):
        first = factories.make_patient(desk).patient.patient_id
        _snapshot(tmp_path / "copy")
        (tmp_path / "copy" / "ltx").rename(tmp_path / "removed")  # at once: litestream may be writing there
        second = factories.make_patient(desk).patient.patient_id
        until(lambda: trouble(settings) == "nothing there", 30, "that it is incomplete")
        whole(settings)
    other = elsewhere(settings, tmp_path / "other")
    restoring.restore_copy(other, settings.copy_to)
    assert ids(other) == {first, second}


def _snapshot(copy: Path) -> None:
    """Wait until the copy has the whole database in one file."""
    until(lambda: any((copy / "ltx" / "9").glob("*.ltx")), 60, "a snapshot")


# --- whether it is whole ------------------------------------------------------------------------------


def _damage(copy: Path) -> None:
    """As a disk does: a bit is another one, in every file that is there."""
    for file in (copy / "ltx").rglob("*.ltx"):
        with contextlib.suppress(FileNotFoundError):  # merged and gone meanwhile
            body = bytearray(file.read_bytes())
            body[len(body) // 2] ^= 0x41
            file.write_bytes(body)


def noted(settings: Settings) -> Known:
    """What is known of the copy."""
    found = continuous_copy.known(settings)
    assert found is not None
    return found


@pytest.fixture
def often(monkeypatch) -> None:
    """The copy is restored and looked through again and again."""
    for name, seconds in (("LOOK", 0.2), ("DUE", 0.2), ("SURE", 0.2), ("CHECK", 1.0), ("CHECK_AGAIN", 1.0)):
        monkeypatch.setattr(copying, name, seconds)
    monkeypatch.setattr(copy_check, "_LOWEST", 0)  # beside other tests the lowest gets a hundredth of a processor
    monkeypatch.setattr(continuous_copy, "on_the_same_disk", lambda _: False)


@on_sqlite
@pytest.mark.usefixtures("often")
def test_the_copy_is_restored_now_and_then_and_said_to_be_whole(own_database, settings):
    factories.make_patient(factories.make_staff())
    left = settings.data_dir / copy_check.FOLDER
    keys.prepare_data_dir(settings)
    left.mkdir()
    (left / "clinic.sqlite3").write_text("of a server that was killed")
    with running(settings) as copier:
        until(lambda: noted(settings).checked > 0, 120, "the first look")
        first = noted(settings).checked
        until(lambda: noted(settings).checked > first, 40, "the next one")
        assert doctor._continuous_copy(settings).state == "ok"
        at = clock.local(dt.datetime.fromtimestamp(noted(settings).checked, dt.UTC))
        assert f"restored and found whole on {at:%d %B at %H:%M}" in doctor._continuous_copy(settings).text
    assert not copier._checker.is_alive()
    assert not left.exists()
    assert noted(settings).ended


@on_sqlite
@pytest.mark.usefixtures("often")
def test_a_damaged_copy_is_noticed_told_and_begun_anew(own_database, settings, tmp_path, monkeypatch):
    for module in ("patients.overview", "monitoring"):
        monkeypatch.setattr(f"clinic_app.services.{module}.get_settings", lambda: settings)
    desk, admin, copy = factories.make_staff(), factories.make_staff("ADMIN"), tmp_path / "copy"
    first = factories.make_patient(desk).patient.patient_id
    told = dict[str, Any]()
    real = copying.Copier._replace

    def replace(copier: copying.Copier) -> bool:
        anew = real(copier)
        told["doctor"] = doctor._continuous_copy(settings)
        told["reception"] = overview(admin).copy_damaged, overview(desk).copy_damaged
        told["metrics"] = monitoring.clinic_figures()["clinic_copy_damaged"]
        told["aside"] = (copy / "ltx-damaged").is_dir()
        return anew

    monkeypatch.setattr(copying.Copier, "_replace", replace)
    with structlog.testing.capture_logs() as said, running(settings):
        until(lambda: noted(settings).checked > 0, 120, "the first look")
        _snapshot(copy)  # which litestream makes of the database: one that came later would be whole
        _damage(copy)
        until(lambda: "aside" in told, 120, "that it is damaged")
        assert told["doctor"].state == "missing"
        assert told["doctor"].text.startswith("It was found damaged on ")
        assert told["doctor"].text.endswith(": it is being made anew")
        assert (told["reception"], told["metrics"], told["aside"]) == ((True, False), {"": 1.0}, True)
        second = factories.make_patient(desk, first_name="Second").patient.patient_id
        until(lambda: noted(settings).damaged == 0, 120, "a whole one")
        assert doctor._continuous_copy(settings).state == "ok"
        assert overview(admin).copy_damaged is False
    assert not (copy / "ltx-damaged").exists(), "it goes once there is a whole one"
    assert not (settings.data_dir / copy_check.FOLDER).exists()
    other = elsewhere(settings, tmp_path / "other")
    restoring.restore_copy(other, settings.copy_to)
    assert ids(other) == {first, second}
    events = [line["event"] for line in said]
    assert (events.count("copy_was_damaged"), events.count("copy_is_whole_again")) == (1, 1)
    assert str(tmp_path) not in str(said)


def _levels_are_files(copy: Path, _: Path) -> None:
    for level in (copy / "ltx").iterdir():
        shutil.rmtree(level)
        level.write_bytes(b"x")


def _unreadable_at_its_end(copy: Path, _: Path) -> None:
    (copy / "ltx" / "0" / "00000000000000ff-00000000000000ff.ltx").write_bytes(b"x" * 300)


def _unreadable_here(_: Path, beside: Path) -> None:
    for file in beside.rglob("*.ltx"):
        file.write_bytes(b"x" * 300)


def _a_file_here(_: Path, beside: Path) -> None:
    shutil.rmtree(beside)
    beside.write_bytes(b"x")


@on_sqlite
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_levels_are_files, "copy_was_damaged"),
        (_unreadable_at_its_end, "copy_was_damaged"),
        (_unreadable_here, "copy_was_incomplete"),
        (_a_file_here, "copy_was_incomplete"),
    ],
)
@pytest.mark.usefixtures("often")
def test_what_litestream_trips_over_for_ever_is_found_and_begun_anew(
    own_database, settings, tmp_path, monkeypatch, damage, told
):
    for name, seconds in (("CHECK", 500.0), ("SOON", 1.0)):
        monkeypatch.setattr(copying, name, seconds)
    desk, copy = factories.make_staff(), tmp_path / "copy"
    factories.make_patient(desk)
    with running(settings):
        until(lambda: noted(settings).checked > 0, 60, "the first look")
        _snapshot(copy)
    file = continuous_copy.database(settings)
    damage(copy, file.with_name(f".{file.name}-litestream"))
    with structlog.testing.capture_logs() as said, running(settings):
        factories.make_patient(desk, first_name="Second")
        until(lambda: bool(trouble(settings)), 60, "that it stands still")
        assert trouble(settings) != "no folder", "no disk that is missing is blamed"
        whole(settings)
        until(lambda: not noted(settings).damaged, 60, "a whole one")
    assert told in [line["event"] for line in said]
    assert not (copy / "ltx-damaged").exists()
    restoring.restore_copy(elsewhere(settings, tmp_path / "other"), settings.copy_to)
    assert len(ids(elsewhere(settings, tmp_path / "other"))) == 2


@on_sqlite
@pytest.mark.usefixtures("often")
def test_what_cannot_be_merged_is_looked_at_before_the_day_is_over(own_database, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(copying, "CHECK", 500.0)
    desk, copy = factories.make_staff(), tmp_path / "copy"
    factories.make_patient(desk)
    with running(settings):
        until(lambda: noted(settings).checked > 0, 60, "the first look")
        _snapshot(copy)
    for file in copy.rglob("*.ltx"):
        file.write_bytes(b"")
    with structlog.testing.capture_logs() as said, running(settings):
        until(lambda: "copy_was_damaged" in [line["event"] for line in said], 60, "that it is damaged")
        until(lambda: not noted(settings).damaged, 60, "a whole one")


@pytest.fixture
def looked(own_database, settings, copy) -> Settings:
    """What a check needs: a whole copy, and what litestream is told."""
    continuous_copy.configure(settings)
    return settings


@on_sqlite
def test_what_a_look_through_finds(own_database, looked, tmp_path):
    over = threading.Event()
    now = copy_check.end_of_trail(looked, over)
    assert now > 1
    copy_check.check(looked, now, over)
    with pytest.raises(copy_check.Damaged, match="too old"):
        copy_check.check(looked, now + 1, over)
    last = {"seq": now}
    with own_database.begin() as connection:  # as if the copy were of another clinic, with as many events
        connection.exec_driver_sql("DROP TRIGGER audit_no_update")
        connection.exec_driver_sql("UPDATE audit_events SET hash = 'another' WHERE seq = :seq", last)
    with pytest.raises(copy_check.Damaged, match="of another clinic"):
        copy_check.check(looked, now, over)
    _damage(tmp_path / "copy")
    with pytest.raises(copy_check.Damaged, match="unreadable"):
        copy_check.check(looked, now, over)
    shutil.rmtree(tmp_path / "copy" / "ltx")
    with pytest.raises(copy_check.Damaged, match="incomplete"):
        copy_check.check(looked, now, over)
    assert not (looked.data_dir / copy_check.FOLDER).exists()


@on_sqlite
def test_a_page_that_is_damaged_in_the_database_itself_is_found(own_database, looked, monkeypatch):
    restore = copy_check._restore

    def and_damage(settings: Settings, target: Path, over: threading.Event) -> None:
        restore(settings, target, over)
        body = bytearray(target.read_bytes())
        for place in range(4096, len(body), 4096):
            body[place : place + 8] = b"\xff" * 8
        target.write_bytes(body)

    monkeypatch.setattr(copy_check, "_restore", and_damage)
    with pytest.raises(copy_check.Damaged, match="unreadable"):
        copy_check.check(looked, 1, threading.Event())


@on_sqlite
def test_without_room_and_when_the_server_ends_nothing_is_looked_at_and_nothing_left(own_database, looked):
    over = threading.Event()
    with pytest.raises(copy_check.Unchecked, match="no room"):
        copy_check.check(looked.model_copy(update={"disk_free_mb": 10**9}), 1, over)
    over.set()
    begun = time.monotonic()
    with pytest.raises(copy_check.Unchecked, match="ended"):
        copy_check.check(looked, 1, over)
    assert time.monotonic() - begun < 5
    assert not (looked.data_dir / copy_check.FOLDER).exists()


@on_sqlite
def test_no_room_is_said_and_so_is_a_storage_in_which_nothing_can_be_put_aside(own_database, settings, monkeypatch):
    keys.prepare_data_dir(settings)
    monkeypatch.setattr(continuous_copy, "on_the_same_disk", lambda _: False)
    now = time.time()
    assert _told(settings, at=now)[1].endswith("; not restored yet to look through it")
    assert _told(settings, at=now, unchecked="no room", checked=now - 86_400)[0] == "ok"
    words = "It was not restored for 4 days to look through it: there is no room for it here"
    assert _told(settings, at=now, unchecked="no room", checked=now - 4 * 86_400) == ("missing", words)
    storage = settings.model_copy(update={"copy_to": "s3://bucket/folder"})
    copier = copying.Copier(storage)
    assert copier._heed("damaged") is False
    found = doctor._continuous_copy(storage)
    assert (found.state, found.text[:24]) == ("missing", "It was found damaged on ")
    assert found.text.endswith(": remove what is in its folder there: it is begun anew then")
    assert copier._heed("no room") is False
    assert noted(storage).damaged, "until one is whole"


@on_sqlite
def test_no_copy_is_begun_in_the_place_of_a_disk_that_is_not_there(own_database, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(copying, "LOOK", 0.2)
    factories.make_staff()
    copy, away = tmp_path / "copy", tmp_path / "away"
    with running(settings):
        whole(settings)
        copy.rename(away)
        until(lambda: trouble(settings) == "no folder", 30, "that it is away")
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()  # where the disk belongs
    with running(settings):
        time.sleep(1)
        assert not list(copy.iterdir())
        assert trouble(settings) == "no folder"
        copy.rmdir()
        away.rename(copy)
        whole(settings)


# --- what is refused --------------------------------------------------------------------------------


@pytest.fixture
def copy(own_database, settings, tmp_path) -> Path:
    """A whole copy of a clinic with one patient."""
    factories.make_patient(factories.make_staff())
    with running(settings):
        whole(settings)
    return tmp_path / "copy"


def refused(settings: Settings, source: str) -> str:
    """In which words."""
    with pytest.raises(RestoreRefused) as error:
        restoring.restore_copy(settings, source)
    return error.value.detail


def _cut(copy: Path) -> None:
    for file in copy.rglob("*.ltx"):
        file.write_bytes(file.read_bytes()[:-40])


def _flipped(copy: Path) -> None:
    for file in copy.rglob("*.ltx"):
        body = bytearray(file.read_bytes())
        body[len(body) // 2] ^= 0x41
        file.write_bytes(body)


def _emptied(copy: Path) -> None:
    for file in copy.rglob("*.ltx"):
        file.unlink()


@on_sqlite
@pytest.mark.parametrize(
    ("damage", "words"),
    [(_cut, "damaged"), (_flipped, "damaged"), (_emptied, "There is no complete continuous copy")],
)
def test_a_damaged_copy_is_refused_and_nothing_is_changed(own_database, settings, copy, tmp_path, damage, words):
    damage(copy)
    other = elsewhere(settings, tmp_path / "other")
    assert words in refused(other, str(copy))
    assert not (tmp_path / "other" / "clinic.sqlite3").exists()


@on_sqlite
@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE alembic_version SET version_num = '9999_later'", "newer version"),
        ("UPDATE clinic_keys SET fingerprint = 'another' WHERE name = 'pepper'", "other keys (CLINIC_PEPPER)"),
        ("UPDATE audit_head SET hash = 'another'", "audit trail of the continuous copy is broken"),
        ("DROP TABLE clinic_keys", "not of a clinic"),
    ],
)
def test_a_copy_that_does_not_fit_is_refused(own_database, settings, tmp_path, statement, words):
    factories.make_staff()
    with own_database.begin() as connection:
        connection.exec_driver_sql(statement)
    with running(settings):
        whole(settings)
    assert words in refused(elsewhere(settings, tmp_path / "other"), settings.copy_to)
    assert not (tmp_path / "other" / "clinic.sqlite3").exists()


@on_sqlite
def test_without_keys_it_asks_for_them(own_database, settings, copy, tmp_path):
    other = elsewhere(settings, tmp_path / "other").model_copy(
        update={"pepper": None, "audit_key": None, "token_key": None}
    )
    assert "The keys of the clinic are not here" in refused(other, str(copy))
    assert not (tmp_path / "other" / "keys.json").exists()


def test_the_command_says_what_a_moment_is_for(command, tmp_path):
    done = command("restore", str(tmp_path / "b.tar"), "--at", "2026-11-26T10:30:00Z")
    assert (done.returncode, "for a continuous copy" in done.stderr) == (2, True)


# --- what is told -----------------------------------------------------------------------------------


def _told(settings: Settings, **noted: Any) -> tuple[str, str]:
    continuous_copy.note(settings, Known(to=settings.copy_to, noted=time.time(), **noted))
    found = doctor._continuous_copy(settings)
    return found.state, found.text


@on_sqlite
def test_the_doctor_says_how_the_copy_is(own_database, settings, monkeypatch):
    keys.prepare_data_dir(settings)
    assert doctor._continuous_copy(settings.model_copy(update={"copy_to": ""})).state == "skipped"
    assert "Nothing has been copied yet" in doctor._continuous_copy(settings).text
    now = time.time()
    assert _told(settings, at=now) == (
        "missing",
        "It is on the disk of the database, and lost with it: see CLINIC_COPY_TO",
    )
    monkeypatch.setattr(continuous_copy, "on_the_same_disk", lambda _: False)
    assert _told(settings, at=now)[0] == "ok"
    assert _told(settings, at=now - 7200, ended=True)[0] == "ok"
    assert _told(settings, at=now - 7200) == ("missing", "It has stood still for 120 minutes: does the server run?")
    words = "It has stood still for 120 minutes: there is no room left where it is kept"
    assert _told(settings, at=now - 7200, trouble="full") == ("missing", words)
    assert _told(settings, trouble="denied")[1].startswith("There is none yet: it may not be written there")
    slow = settings.model_copy(update={"copy_every_ms": 600_000})
    assert _told(slow, at=now - 1200)[0] == "ok"
    gone = settings.model_copy(update={"copy_to": "/nowhere/copy"})
    assert "does not exist" in doctor._continuous_copy(gone).text
    monkeypatch.setattr(continuous_copy, "program", lambda: None)
    assert _told(settings, at=now)[1].startswith("litestream is not installed")


@on_sqlite
def test_administrators_read_it_on_reception_and_monitoring_is_told(own_database, settings, monkeypatch):
    for module in ("patients.overview", "monitoring"):
        monkeypatch.setattr(f"clinic_app.services.{module}.get_settings", lambda: settings)
    keys.prepare_data_dir(settings)
    people = {role: factories.make_staff(role) for role in ("ADMIN", "RECEPTIONIST", "CLINICIAN")}
    at = time.time()
    for age, late in ((5, False), (600, True)):
        continuous_copy.note(settings, Known(at=at - age, to=settings.copy_to, noted=at))
        told = {role: overview(actor).copy_late for role, actor in people.items()}
        assert (told["ADMIN"] is not None, told["RECEPTIONIST"], told["CLINICIAN"]) == (late, None, None)
        assert monitoring.clinic_figures()["clinic_copy_timestamp_seconds"] == {"": at - age}
    monkeypatch.setattr("clinic_app.services.monitoring.get_settings", get_settings)
    assert "clinic_copy_timestamp_seconds" not in monitoring.clinic_figures()


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("write ltx file: open /backup/x: no space left on device", "full"),
        ("operation error S3: PutObject, StatusCode: 403, api error AccessDenied: denied", "denied"),
        ("dial tcp: lookup s3.example.org: no such host", "unreachable"),
        ("something nobody knows, at /backup/clinic-copy", "other"),
    ],
)
def test_what_litestream_says_becomes_a_word(said, word):
    assert continuous_copy.reason(said) == word
    assert Known(trouble=word).why()
