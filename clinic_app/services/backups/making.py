"""Making a backup while the clinic works, checking it, and removing those that are old."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, text

from clinic_app.core import clock, data_lock, database_copies, keys, migrations
from clinic_app.core.database_copies import CopyFailed, Moved
from clinic_app.services.access import SYSTEM, Actor
from clinic_app.services.audit import chain
from clinic_app.services.audit.acting import transaction
from clinic_app.services.audit.actions import Action
from clinic_app.services.audit.recording import record
from clinic_app.services.backups.errors import BackupFailed, NotABackup
from clinic_app.services.backups.manifest import FORMAT, KEYS, MANIFEST, PARTS, Manifest, counts, opened

_NAME = re.compile(r"clinic-\d{8}T\d{6}Z\.tar")
#: A copy and the file made of it lie beside each other for a moment.
_ROOM = 2.1
_WORK = ".clinic-backup-"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made: its file, its manifest, its size in bytes, and how many older ones were removed."""

    file: Path
    manifest: Manifest
    size: int
    removed: int = 0


def make_backup(engine: Engine, target: Path, *, with_keys: bool, keep: int | None, moved: Moved) -> Backup:
    """Write the whole clinic behind ``engine`` to ``target``, a folder or a new file that only its owner can read.

    For the command line. The backup is of one moment, whoever writes meanwhile; it is there, under its name, once it
    has been read again: its pages, its number of rows and the end of its audit trail. The trail says that it was made.
    ``with_keys``: the keys are in it, so whoever has the file has everything. ``keep``: in a folder, only so many
    backups of this clinic stay. Raises ``BackupFailed``.
    """
    now = clock.now()
    folder, name = (target, f"clinic-{now:%Y%m%dT%H%M%SZ}.tar") if target.is_dir() else (target.parent, target.name)
    file = folder / name
    if file.exists():
        raise BackupFailed(f"{file} exists already.")
    if not folder.is_dir():
        raise BackupFailed(f"{folder} is no folder.")
    try:
        with _work_in(folder) as work:
            manifest, database = _copy(engine, work, with_keys=with_keys, moved=moved)
            draft = work / "backup.tar"
            _write(draft, manifest, database)
            _record(SYSTEM, manifest)  # before anybody can have it: what cannot be recorded does not happen
            draft.rename(file)
            database_copies.keep_names(folder)
    except CopyFailed as error:
        raise BackupFailed(str(error)) from None
    except OSError as error:
        raise BackupFailed(f"{folder} cannot be written ({error.strerror}).") from None
    removed = _remove_older(folder, file, manifest, keep) if keep is not None and target.is_dir() else 0
    return Backup(file, manifest, file.stat().st_size, removed)


@contextlib.contextmanager
def _work_in(folder: Path) -> Iterator[Path]:
    """A folder of this process in ``folder``. What one that was killed left there holds health records, and goes."""
    for left in folder.glob(f"{_WORK}*"):
        with contextlib.suppress(OSError, data_lock.InUse), data_lock.alone(left):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_WORK, dir=folder) as made, contextlib.ExitStack() as stack:
        with contextlib.suppress(data_lock.InUse):  # a disk without locks: then nobody removes anything
            stack.enter_context(data_lock.alone(Path(made)))
        yield Path(made)


def _copy(engine: Engine, work: Path, *, with_keys: bool, moved: Moved) -> tuple[Manifest, Path]:
    """A copy of the database in ``work``, checked, and what is to be said of it."""
    kind = engine.dialect.name
    copy = work / PARTS[kind]
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    if (source := database_copies.sqlite_file(str(engine.url))) is not None:
        _room_for(work, source.stat().st_size)
        database_copies.copy_sqlite(source, copy, moved)
        if not database_copies.sqlite_is_whole(copy):
            raise BackupFailed("The database is damaged: a copy of it cannot be read. Keep your older backups.")
        with read_copy(copy) as connection:
            end, rows = _end(connection), counts(connection)
    else:
        with _snapshot(engine) as (connection, snapshot):
            end, rows = _end(connection), counts(connection)
            _room_for(work, _postgres_size(connection))
            database_copies.dump_postgres(engine, snapshot, copy, work)
        database_copies.read_dump(engine, copy, work).unlink()
        moved(1, 1)
    made = Manifest(
        format=FORMAT,
        made_at=clock.now().isoformat(timespec="seconds"),
        kind=kind,
        revision=migrations.present(engine),
        sha256=digest(copy),
        size=copy.stat().st_size,
        rows=rows,
        head_seq=end[0],
        head_hash=end[1],
        keys={name: keys.fingerprint(name) for name in keys.NAMES},
        with_keys=with_keys,
    )
    return made, copy


@contextlib.contextmanager
def read_copy(file: Path) -> Iterator[Connection]:
    """Building block: a connection to a copy of an SQLite database that nobody else has."""
    engine = create_engine(f"sqlite:///{file}", hide_parameters=True)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@contextlib.contextmanager
def _snapshot(engine: Engine) -> Iterator[tuple[Connection, str]]:
    """One moment of a PostgreSQL database that other connections can see, too, while the block lasts."""
    with engine.execution_options(isolation_level="REPEATABLE READ").connect() as connection:
        yield connection, connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()


def _postgres_size(connection: Connection) -> int:
    return connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()


def _room_for(folder: Path, size: int) -> None:
    wanted, free = int(size * _ROOM), shutil.disk_usage(folder).free
    if free < wanted:
        raise BackupFailed(
            f"The disk has {free // 2**20:,} MB left, and making a backup of this clinic takes up to "
            f"{wanted // 2**20 + 1:,} MB there."
        )


def _end(connection: Connection) -> tuple[int, str]:
    """Where the trail ends in the copy. Raises ``BackupFailed`` where its end does not hold."""
    found, mark = chain.verify_end(connection)
    if not found.ok:
        raise BackupFailed(
            f"The audit trail is broken at row {found.first_bad or found.count}: run "
            "`python -m clinic_app audit verify`. Keep your older backups."
        )
    return found.count, mark


def digest(file: Path) -> str:
    """Building block: SHA-256 of a file, hex."""
    with file.open("rb") as opened_file:
        return hashlib.file_digest(opened_file, "sha256").hexdigest()


def _write(file: Path, manifest: Manifest, database: Path) -> None:
    with (
        os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out,
        tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        _add(tar, MANIFEST, manifest.text(), manifest)
        if manifest.with_keys:
            _add(tar, KEYS, json.dumps(keys.whole()).encode(), manifest)
        with database.open("rb") as body:
            tar.addfile(_entry(PARTS[manifest.kind], manifest.size, manifest), body)
        tar.close()
        out.flush()
        os.fsync(out.fileno())


def _add(tar: tarfile.TarFile, name: str, body: bytes, manifest: Manifest) -> None:
    tar.addfile(_entry(name, len(body), manifest), io.BytesIO(body))


def _entry(name: str, size: int, manifest: Manifest) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, 0o600, int(manifest.at().timestamp())
    return entry


def _record(actor: Actor, manifest: Manifest) -> None:
    details = {
        "patients": manifest.rows["patients"],
        "events": manifest.head_seq,
        "size": manifest.size,
        "with_keys": manifest.with_keys,
    }
    with transaction(actor) as session:
        record(session, actor, Action.BACKUP_MADE, details=details)


def _remove_older(folder: Path, newest: Path, manifest: Manifest, keep: int) -> int:
    """Remove all but the ``keep`` newest backups of the clinic that ``manifest`` is of; others stay."""
    own = [
        file for file in sorted(folder.glob("clinic-*.tar")) if _NAME.fullmatch(file.name) and _is_of(file, manifest)
    ]
    old = [file for file in own if file != newest][: max(0, len(own) - keep)]
    for file in old:
        file.unlink()
    return len(old)


def _is_of(file: Path, manifest: Manifest) -> bool:
    try:
        with opened(file) as (_, found, mark):
            return found.keys == manifest.keys and mark == found.mark()
    except NotABackup:
        return False
