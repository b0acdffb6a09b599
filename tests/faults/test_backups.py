"""A backup taken while eight people write, restored; and everything that may be wrong with a file called a backup."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from clinic_app.core import data_lock, database_copies, db, keys, migrations
from clinic_app.services.audit import chain
from clinic_app.services.backups import making, restoring
from clinic_app.services.backups.errors import BackupFailed, NotABackup, RestoreRefused
from tests import factories
from tests.browser.serving import Server
from tests.conftest import ROOT
from tests.db import tools

WRITERS = 8


def _nothing(_: int, __: int) -> None:
    pass


def _make(engine: sa.Engine, target: Path, *, with_keys: bool = False, keep: int | None = None) -> making.Backup:
    target.mkdir(exist_ok=True)
    return making.make_backup(engine, target, with_keys=with_keys, keep=keep, moved=_nothing)


def _ids() -> set[str]:
    return {row.patient_id for row in tools.raw("SELECT patient_id FROM patients")}


@contextlib.contextmanager
def _closed(engine: sa.Engine) -> Iterator[None]:
    """As when the server is stopped."""
    db.use(None)
    engine.dispose()
    yield
    db.bind(engine)


class Writers:
    """Eight desks that register without a pause; ``kept`` are the patient IDs they were told."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.failed: list[Exception] = []
        self._over = threading.Event()
        self._actors = [factories.make_staff() for _ in range(WRITERS)]

    def _work(self, actor) -> None:
        while not self._over.is_set():
            try:
                self.kept.append(factories.make_patient(actor).patient.patient_id)
            except Exception as error:
                self.failed.append(error)

    def __enter__(self) -> Writers:
        self._threads = [threading.Thread(target=self._work, args=(actor,)) for actor in self._actors]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


def _under_load(engine: sa.Engine, settings, folder: Path, before: int) -> None:
    with Writers() as writers:
        while len(writers.kept) < before and not writers.failed:
            time.sleep(0.01)
        sure = set(writers.kept)
        began = time.monotonic()
        made = _make(engine, folder)
        took = time.monotonic() - began
        while len(writers.kept) < len(sure) + 20 and not writers.failed:
            time.sleep(0.01)
    all_, head = set(writers.kept), made.manifest.head_seq
    with _closed(engine):
        done = restoring.restore_backup(settings, made.file, _nothing)
    present = _ids()
    print(
        f"{engine.dialect.name}: registered {len(all_)}, before the backup {len(sure)}, in the backup {len(present)}, "
        f"lost {len(sure - present)}, failed {len(writers.failed)}, backup {took * 1000:.0f} ms, {made.size:,} bytes"
    )
    assert not writers.failed
    assert sure <= present < all_, "what was there when it began is in it, what came after it is not"
    assert done.manifest.rows["patients"] == len(present)
    assert tools.number("SELECT value FROM counters WHERE name = 'patient_id'") == len(present)
    assert done.aside
    found = chain.verify()
    assert (found.ok, found.count) == (True, head)
    assert migrations.up_to_date(engine)
    again = factories.make_patient(factories.make_staff()).patient.patient_id  # and the clinic goes on
    assert again not in present
    assert chain.verify().ok


@pytest.mark.races
def test_a_backup_taken_while_eight_write_is_whole_and_can_be_restored(own_database, own_settings, tmp_path):
    _under_load(own_database, own_settings, tmp_path / "backups", 60)


@pytest.mark.slow
@pytest.mark.races
def test_the_same_with_two_thousand_patients(own_database, own_settings, tmp_path):
    _under_load(own_database, own_settings, tmp_path / "backups", 2000)


def test_the_old_database_is_kept_whole(own_database, own_settings, tmp_path):
    desk = factories.make_staff()
    first = factories.make_patient(desk).patient.patient_id
    made = _make(own_database, tmp_path / "backups")
    later = factories.make_patient(desk).patient.patient_id
    with _closed(own_database):
        done = restoring.restore_backup(own_settings, made.file, _nothing)
    assert _ids() == {first}
    if own_database.dialect.name == "sqlite":
        with contextlib.closing(sqlite3.connect(done.aside)) as old:
            kept = {row[0] for row in old.execute("SELECT patient_id FROM patients")}
        assert stat.S_IMODE(Path(done.aside).stat().st_mode) & 0o077 == 0
    else:
        schema = done.aside.split()[1]
        with own_database.connect() as connection:
            kept = set(connection.exec_driver_sql(f"SELECT patient_id FROM {schema}.patients").scalars())
        with _closed(own_database):  # a second time, with what was put aside still there, which is in no backup
            db.bind(own_database)
            again = _make(own_database, tmp_path / "more")
            db.use(None)
            own_database.dispose()
            time.sleep(1.1)  # names have seconds
            restoring.restore_backup(own_settings, again.file, _nothing)
        assert _ids() == {first}
    assert kept == {first, later}


def test_a_backup_says_what_it_holds_and_leaves_a_trace(own_database, tmp_path):
    factories.make_patient(factories.make_staff())
    made = _make(own_database, tmp_path / "backups")
    assert stat.S_IMODE(made.file.stat().st_mode) == 0o600
    assert [file.name for file in made.file.parent.iterdir()] == [made.file.name], "nothing else is left"
    with tarfile.open(made.file) as tar:
        assert [one.name for one in tar] == ["manifest.json", making.PARTS[own_database.dialect.name]]
    event = tools.trail("BACKUP_MADE")[-1]
    assert event["metadata"] == {"patients": 1, "events": event["seq"] - 1, "size": made.manifest.size,
                                 "with_keys": False}  # fmt: skip
    assert made.manifest.revision == migrations.wanted()
    for secret in ("p" * 40, "a" * 40, "t" * 40):
        assert secret.encode() not in made.file.read_bytes()


# --- what may be wrong with it ------------------------------------------------------------------


@pytest.fixture
def backed_up(own_database, own_settings, tmp_path):
    """A clinic, and a backup of it."""
    factories.make_patient(factories.make_staff())
    return _make(own_database, tmp_path / "backups")


def _rewritten(file: Path, **change) -> Path:
    """The backup with another manifest."""
    other = file.with_name("other.tar")
    with tarfile.open(file) as tar, tarfile.open(other, "w") as out:
        for entry in tar:
            body = tar.extractfile(entry).read()
            if entry.name == "manifest.json":
                body = json.dumps({**json.loads(body), **change}).encode()
                entry.size = len(body)
            out.addfile(entry, io.BytesIO(body))
    return other


def _flipped(file: Path, place: float) -> Path:
    body = bytearray(file.read_bytes())
    body[int(len(body) * place)] ^= 0x41
    other = file.with_name("other.tar")
    other.write_bytes(body)
    return other


def _cut(file: Path) -> Path:
    other = file.with_name("other.tar")
    other.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return other


def _linked(file: Path) -> Path:
    """With a link in the place of the database."""
    other = file.with_name("other.tar")
    with tarfile.open(file) as tar, tarfile.open(other, "w") as out:
        for entry in tar:
            if entry.name.startswith("database"):
                entry.type, entry.linkname, entry.size = tarfile.SYMTYPE, "/etc/passwd", 0
                out.addfile(entry)
            else:
                out.addfile(entry, tar.extractfile(entry))
    return other


def _text(file: Path) -> Path:
    other = file.with_name("other.tar")
    other.write_text("a letter")
    return other


def _pipe(file: Path) -> Path:
    other = file.with_name("pipe.tar")
    os.mkfifo(other)
    return other


def _deep() -> Any:
    found: list[Any] = []
    for _ in range(900):
        found = [found]
    return found


DAMAGES = {
    "a byte of the database": lambda file: _flipped(file, 0.5),
    "cut off": _cut,
    "a count": lambda file: _rewritten(file, rows={"patients": 9}),
    "the end of the trail": lambda file: _rewritten(file, head_seq=1),
    "a link": _linked,
    "no backup": _text,
    "not there": lambda file: file.with_name("nowhere.tar"),
    "a folder": lambda file: file.parent,
    "a pipe": _pipe,
    "a mark of other letters": lambda file: _rewritten(file, mark="\u00e9" * 64),
    "a manifest without an end": lambda file: _rewritten(file, rows=_deep()),
    "a manifest of another kind": lambda file: _rewritten(file, keys="x"),
}


def test_a_damaged_or_changed_backup_changes_nothing(own_database, own_settings, backed_up, subtests):
    later, seq = factories.make_patient(factories.make_staff()).patient.patient_id, tools.last_seq()
    with _closed(own_database):
        for damage, of in DAMAGES.items():
            with subtests.test(damage), pytest.raises(NotABackup) as refused:
                restoring.restore_backup(own_settings, of(backed_up.file), _nothing)
            assert refused.value.detail.endswith("."), damage
    assert later in _ids()
    assert tools.last_seq() == seq
    assert not list(own_settings.data_dir.glob(".restoring*"))


def test_a_backup_that_cannot_be_read_is_said_to_be_that(own_database, own_settings, backed_up, monkeypatch):
    """By whom it may not be, or of which the disk gives only the beginning."""
    later, file = factories.make_patient(factories.make_staff()).patient.patient_id, backed_up.file

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    def fails_half_way(tar: tarfile.TarFile, entry: Any, real: Any = tarfile.TarFile.extractfile) -> Any:
        found = real(tar, entry)
        if entry.name.startswith("database"):
            whole = found.read
            found.read = lambda _: whole(4096) if not found.tell() else broken()
        return found

    def broken() -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    broken_off = f"{file} cannot be read (Input/output error): take another backup, or another disk."
    for owner, name, fault, words in (
        (tarfile, "open", denied, f"{file} may not be read by this user."),
        (tarfile.TarFile, "extractfile", fails_half_way, broken_off),
    ):
        with _closed(own_database), monkeypatch.context() as patched:
            patched.setattr(owner, name, fault)
            with pytest.raises(NotABackup) as refused:
                restoring.restore_backup(own_settings, file, _nothing)
        assert refused.value.fields == {"file": words}
    assert later in _ids()
    assert not list(own_settings.data_dir.glob(".restoring*"))


def test_a_backup_of_a_newer_version_or_another_kind_is_refused_in_words(own_database, own_settings, backed_up):
    other = {"sqlite": "postgresql", "postgresql": "sqlite"}[own_database.dialect.name]
    for change, words in (({"revision": "0999_to_come"}, "newer version"), ({"kind": other}, "this clinic uses")):
        with _closed(own_database), pytest.raises(RestoreRefused) as refused:
            restoring.restore_backup(own_settings, _rewritten(backed_up.file, **change), _nothing)
        assert words in refused.value.detail
    with _closed(own_database), pytest.raises(NotABackup, match="not_a_backup") as newer:
        restoring.restore_backup(own_settings, _rewritten(backed_up.file, format=2), _nothing)
    assert "newer version" in newer.value.detail


def test_a_backup_of_other_keys_is_refused_and_named(own_database, own_settings, backed_up, monkeypatch):
    monkeypatch.setenv("CLINIC_AUDIT_KEY", "z" * 40)
    restoring_settings = own_settings.model_copy()
    from clinic_app.core.settings import get_settings

    get_settings.cache_clear()
    with _closed(own_database), pytest.raises(RestoreRefused) as refused:
        restoring.restore_backup(restoring_settings, backed_up.file, _nothing)
    assert "(CLINIC_AUDIT_KEY)" in refused.value.detail
    monkeypatch.undo()
    get_settings.cache_clear()
    keys.key.cache_clear()
    assert _ids()


def test_a_backup_is_not_made_of_what_is_broken(own_database, tmp_path):
    factories.make_patient(factories.make_staff())
    postgres = own_database.dialect.name == "postgresql"
    with own_database.begin() as connection:
        off = "ALTER TABLE audit_events DISABLE TRIGGER ALL" if postgres else "DROP TRIGGER audit_no_update"
        connection.exec_driver_sql(off)
        connection.exec_driver_sql("UPDATE audit_events SET role = 'NURSE' WHERE seq = 2")
    with pytest.raises(BackupFailed, match="backup_failed") as refused:
        _make(own_database, tmp_path / "backups")
    assert "broken at row 2" in refused.value.detail
    assert list((tmp_path / "backups").iterdir()) == []


def test_no_room_is_said_before_anything_is_written(own_database, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100_000))
    with pytest.raises(BackupFailed) as refused:
        _make(own_database, tmp_path / "backups")
    assert refused.value.detail.startswith("The disk has 0 MB left, and making a backup")
    assert list((tmp_path / "backups").iterdir()) == []


def test_without_the_programs_of_postgresql_it_says_what_to_install(own_database, tmp_path, monkeypatch):
    if own_database.dialect.name == "sqlite":
        pytest.skip("SQLite needs none")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupFailed) as refused:
        _make(own_database, tmp_path / "backups")
    assert "`pg_dump` is not installed" in refused.value.detail


def test_what_a_killed_backup_left_goes_with_the_next_one(own_database, tmp_path):
    folder = tmp_path / "backups"
    left, under_way = folder / ".clinic-backup-left", folder / ".clinic-backup-way"
    for one in (left, under_way):
        one.mkdir(parents=True)
        (one / "database.sqlite3").write_text("records")
    with data_lock.alone(under_way):
        _make(own_database, folder)
    assert (left.exists(), under_way.exists()) == (False, True)


def test_what_a_killed_restore_left_goes_with_the_next_one(own_database, own_settings, backed_up):
    left = own_settings.data_dir / ".restoring-left"
    left.mkdir(parents=True)
    (left / "database.sqlite3").write_text("records")
    with pytest.raises(NotABackup):
        restoring.restore_backup(own_settings, backed_up.file.with_name("nowhere.tar"), _nothing)
    assert not left.exists()


def test_only_so_many_of_this_clinic_stay(own_database, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    others = [folder / name for name in ("clinic-20200101T000000Z.tar", "clinic-notes.tar", "letter.txt")]
    for file in others:
        file.write_text("not ours")
    made = []
    for second in range(4):
        own = _make(own_database, folder).file
        older = own.with_name(f"clinic-2021010{second + 1}T000000Z.tar")
        made.append(own.rename(older))
    last = _make(own_database, folder, keep=2)
    assert last.removed == 3
    assert sorted(folder.iterdir()) == sorted([*others, made[-1], last.file])


# --- as an operator does it ---------------------------------------------------------------------


def _said(done: subprocess.CompletedProcess[str]) -> str:
    assert "Something went wrong" not in done.stderr, done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_what_the_log_of_a_killed_server_holds_is_not_replayed_over_a_backup(command, tmp_path):
    """Stopped hard, its database replaced by an older one: once the way to a database that nobody can read."""
    assert command("migrate").returncode == 0
    assert command("backup", str(tmp_path / "b.tar")).returncode == 0
    dying = (
        "import os\nfrom clinic_app.core import bootstrap\nbootstrap.start()\n"
        "from tests import factories\ndesk = factories.make_staff()\n"
        "for _ in range(30): factories.make_patient(desk)\nos._exit(9)"
    )
    code = [sys.executable, "-c", dying]
    assert subprocess.run(code, cwd=ROOT, env=command.env, timeout=100).returncode == 9
    file = command.folder / "clinic.sqlite3"
    log = Path(f"{file}-wal")
    left = log.stat().st_size
    done = command("restore", str(tmp_path / "b.tar"))
    assert done.returncode == 0, _said(done)
    assert not log.exists()
    assert database_copies.sqlite_is_whole(file, thorough=True)
    (old,) = command.folder.glob("clinic.sqlite3.before-restore-*[0-9]Z")
    with contextlib.closing(sqlite3.connect(old)) as opened:
        kept = opened.execute("SELECT count(*) FROM patients").fetchone()[0]
    with contextlib.closing(sqlite3.connect(file)) as opened:
        restored = opened.execute("SELECT count(*) FROM patients").fetchone()[0]
    print(f"left in the log: {left:,} bytes; in the old database {kept} patients, in the restored one {restored}")
    assert (kept, restored) == (30, 0)
    assert left > 0
    assert command("audit", "verify").returncode == 0


def test_the_log_of_a_damaged_database_stays_with_it(tmp_path):
    """One that cannot be opened any more cannot take its log in either."""
    place, fresh, aside = (tmp_path / name for name in ("clinic.sqlite3", "fresh.sqlite3", "aside"))
    place.write_bytes(b"\xff" * 8192)
    Path(f"{place}-wal").write_bytes(b"\x01" * 4096)
    with contextlib.closing(sqlite3.connect(fresh)) as made:
        made.execute("CREATE TABLE t (x)")
    assert database_copies.put_in_place(fresh, place, aside)
    assert not Path(f"{place}-wal").exists()
    assert (aside.stat().st_size, Path(f"{aside}-wal").stat().st_size) == (8192, 4096)
    assert database_copies.sqlite_is_whole(place, thorough=True)


STEPS = ((shutil, "copyfile"), (os, "link"), (os, "chmod"), (os, "replace"), (os, "fsync"))


def _die_at(patched: pytest.MonkeyPatch, step: int) -> list[int]:
    """A kill at the ``step``-th change of a file; the list counts them."""
    count = [0]
    for module, name in STEPS:

        def counted(*given: Any, real: Any = getattr(module, name), **more: Any) -> Any:
            count[0] += 1
            if count[0] == step:
                raise KeyboardInterrupt
            return real(*given, **more)

        patched.setattr(module, name, counted)
    return count


def test_killed_at_any_step_there_is_one_whole_database_with_one_name(tmp_path, monkeypatch):
    """The old one or the new one; none can be opened by two names, which SQLite would not survive."""
    found, step, over = [], 0, False
    while not over:
        step += 1
        folder = tmp_path / str(step)
        folder.mkdir()
        place, fresh = folder / "clinic.sqlite3", folder / "fresh.sqlite3"
        for file, value in ((place, "old"), (fresh, "new")):
            with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as made:
                made.execute("CREATE TABLE t (x)")
                made.execute("INSERT INTO t VALUES (?)", (value,))
        dying = "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        dying += "c.execute('PRAGMA journal_mode=WAL'); c.execute('INSERT INTO t VALUES (9)'); os._exit(9)"
        subprocess.run([sys.executable, "-c", dying, place], check=False, timeout=20)
        with monkeypatch.context() as patched:
            _die_at(patched, step)
            try:
                database_copies.put_in_place(fresh, place, folder / "clinic.sqlite3.before-restore-20261127T000000Z")
                over = True
            except KeyboardInterrupt:
                pass
        database_copies.tidy_up(place)
        asides = list(folder.glob("*.before-restore-*[0-9]Z"))
        logs = {file.name.removesuffix("-wal") for file in folder.glob("*.before-restore-*-wal")}
        assert logs <= {file.name for file in asides}, "a log without its database: nobody would remove it"
        rows = []
        for file in (place, *asides):
            assert file.stat().st_nlink == 1
            with contextlib.closing(sqlite3.connect(file)) as opened:
                assert opened.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                rows.append([row[0] for row in opened.execute("SELECT x FROM t")])
        found.append(rows)
    assert len(found) > 5
    assert all(rows in ([["old", 9]], [["new"], ["old", 9]]) for rows in found), found
    assert found[-1] == [["new"], ["old", 9]]


def test_whatever_starts_takes_the_second_name_away_and_no_whole_database(command):
    assert command("migrate").returncode == 0
    place = command.folder / "clinic.sqlite3"
    left, kept = (place.with_name(f"{place.name}.before-restore-2026112{day}T000000Z") for day in (6, 7))
    os.link(place, left)
    shutil.copyfile(place, kept)
    assert command("migrate").returncode == 0
    assert (left.exists(), kept.exists(), place.stat().st_nlink) == (False, True, 1)


def test_a_log_without_its_database_goes_once_the_database_is_whole(tmp_path):
    """It holds health records; of a damaged database it may be all that is left of the last changes."""
    place, copy = tmp_path / "clinic.sqlite3", b"health records"
    logs = [tmp_path / f"clinic.sqlite3.before-restore-2026112{day}T000000Z-wal" for day in (6, 7)]
    for log in logs:
        log.write_bytes(copy)
    kept = tmp_path / logs[0].name.removesuffix("-wal")
    place.write_bytes(b"SQLite format 3\0" + 5000 * b"x")
    kept.write_bytes(b"the old one")
    database_copies.tidy_up(place)
    assert all(log.read_bytes() == copy for log in logs)
    place.unlink()
    with contextlib.closing(sqlite3.connect(place)) as made:
        made.execute("CREATE TABLE t (x)")
    database_copies.tidy_up(place)
    assert [log.exists() for log in logs] == [True, False]
    assert kept.read_bytes() == b"the old one"


@pytest.mark.slow
def test_while_a_program_of_the_clinic_runs_nothing_is_restored(command, tmp_path):
    command("migrate")
    command("backup", str(tmp_path / "b.tar"))
    running = "from clinic_app.core import bootstrap\nbootstrap.start()\nprint('there', flush=True)\ninput()"
    program = subprocess.Popen(
        [sys.executable, "-c", running],
        cwd=ROOT, env=command.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert program.stdout.readline() == "there\n"
        refused = command("restore", str(tmp_path / "b.tar"))
        assert (refused.returncode, "stop it first" in refused.stderr) == (5, True)
        assert command("backup", str(tmp_path / "while.tar")).returncode == 0
    finally:
        program.communicate("\n", timeout=20)
    assert command("restore", str(tmp_path / "b.tar")).returncode == 0


def test_on_another_machine_it_asks_for_the_keys_or_brings_them(command, tmp_path):
    command("migrate")
    assert "keep a copy of keys.json" in command("backup", str(tmp_path / "without.tar")).stderr
    command("backup", str(tmp_path / "with.tar"), "--with-keys")
    old = (command.folder / "keys.json").read_text()
    elsewhere = {"CLINIC_DATA_DIR": str(tmp_path / "elsewhere")}
    refused = command("restore", str(tmp_path / "without.tar"), **elsewhere)
    assert (refused.returncode, "The keys of the clinic are not here" in refused.stderr) == (5, True)
    assert not (tmp_path / "elsewhere" / "keys.json").exists()
    done = command("restore", str(tmp_path / "with.tar"), "--json", **elsewhere)
    assert done.returncode == 0, _said(done)
    told = json.loads(done.stdout)
    assert told["old_database"] == ""
    assert "python -m clinic_app audit anchor --after-restore" in told["run"]
    assert json.loads((tmp_path / "elsewhere" / "keys.json").read_text()) == json.loads(old)
    for line in told["run"]:
        if "doctor" not in line:
            run = command(*line.split()[3:], **elsewhere)
            assert run.returncode == 0, _said(run)


def test_a_file_that_is_there_is_never_overwritten(command, tmp_path):
    command("migrate")
    (tmp_path / "b.tar").write_text("precious")
    refused = command("backup", str(tmp_path / "b.tar"))
    assert (refused.returncode, refused.stderr) == (5, f"{tmp_path / 'b.tar'} exists already.\n")
    assert (tmp_path / "b.tar").read_text() == "precious"
    assert "is no folder" in command("backup", str(tmp_path / "nowhere" / "b.tar")).stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_server_that_serves_is_not_restored_under_and_one_that_is_stopped_leaves_no_log(tmp_path):
    server = Server(tmp_path)
    server.prepare(people=False)
    log = Path(f"{server.database}-wal")
    file = str(tmp_path / "b.tar")
    server.start()
    try:
        server.run("backup", file)
        assert log.exists()
        with pytest.raises(AssertionError, match="stop it first"):
            server.run("restore", file)
    finally:
        server.stop()
    assert not log.exists()
    assert "Now run" in server.run("restore", file)
