"""Putting a backup, or the continuous copy, in the place of a clinic's database, which is kept."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, func, inspect, select, text

from clinic_app.core import clock, continuous_copy, data_lock, database_copies, keys, migrations
from clinic_app.core.database_copies import CopyFailed, Moved
from clinic_app.core.settings import Settings
from clinic_app.models.audit import AUDIT_EVENTS
from clinic_app.models.clinic_keys import CLINIC_KEYS
from clinic_app.services.audit import chain, known_keys
from clinic_app.services.backups import alone
from clinic_app.services.backups.errors import NotABackup, RestoreRefused
from clinic_app.services.backups.making import digest, read_copy
from clinic_app.services.backups.manifest import FORMAT, KEYS, PARTS, Manifest, counts, opened, part, unreadable

_DAMAGED = "This backup is damaged, or was changed: its {} what it says of itself. Take another one."
_AT_ONCE = 1024 * 1024
_WORK = ".restoring-"
_KINDS = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
_KEY_NAMES = {"pepper": "CLINIC_PEPPER", "audit_key": "CLINIC_AUDIT_KEY", "token_key": "CLINIC_TOKEN_KEY"}


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, where the old database is now (empty: there was none), and whether a migration is due."""

    manifest: Manifest
    aside: str
    behind: bool
    keys_placed: bool


def restore_backup(settings: Settings, file: Path, moved: Moved) -> Restored:
    """Make the backup in ``file`` the database of ``settings``; the one before stays, under another name.

    For the command line, while no program of the clinic runs. Everything is checked before anything is changed: the
    manifest, the keys, the version, every page, the rows and the end of the audit trail. Raises ``NotABackup`` and
    ``RestoreRefused``.
    """
    with _alone(settings) as made:
        return _restore(settings, file, made, moved)


def restore_copy(settings: Settings, source: str, at: str = "") -> Restored:
    """Make the continuous copy in ``source``, a folder or an address, the database of ``settings``, like a backup.

    ``at``: its state at that time (RFC 3339), as far back as it is kept; else the newest one. It carries no mark of its
    own as a backup does, so the whole audit trail is read. The manifest returned is of what was found. Raises
    ``RestoreRefused``.
    """
    with _alone(settings) as made:
        if database_copies.sqlite_file(settings.database) is None:
            raise RestoreRefused("A continuous copy is one of SQLite, and this clinic uses PostgreSQL.")
        _require_keys(settings)
        at = continuous_copy.moment(at)
        copy = made / PARTS["sqlite"]
        continuous_copy.fetch(source, copy, at)
        manifest = _found_in(settings, copy)
        aside = _put_sqlite(settings, copy, manifest, made)
        return Restored(manifest, aside, manifest.revision != migrations.wanted(), keys_placed=False)


@contextlib.contextmanager
def _alone(settings: Settings) -> Iterator[Path]:
    """A folder to work in, while no program of the clinic runs. Raises ``RestoreRefused`` for whatever stops it."""
    folder = keys.prepare_data_dir(settings)
    try:
        with data_lock.alone(folder):
            for left in folder.glob(f"{_WORK}*"):  # by one that was killed: it holds health records
                shutil.rmtree(left, ignore_errors=True)
            if (file := database_copies.sqlite_file(settings.database)) is not None:
                database_copies.tidy_up(file)
            with tempfile.TemporaryDirectory(prefix=_WORK, dir=folder) as made:
                yield Path(made)
    except data_lock.InUse:
        raise RestoreRefused(alone.in_use(folder)) from None
    except CopyFailed as error:
        raise RestoreRefused(str(error)) from None
    except OSError as error:
        raise RestoreRefused(f"{folder} cannot be written ({error.strerror}).") from None


def _found_in(settings: Settings, copy: Path) -> Manifest:
    """What is in a continuous copy, whose trail is verified whole. Raises ``RestoreRefused``."""
    if not database_copies.sqlite_is_whole(copy):
        raise RestoreRefused(
            "The continuous copy is damaged at that moment. Try an earlier one with --at, or restore the newest backup."
        )
    with read_copy(copy) as connection:
        revision = migrations.of(connection)
        if not revision or not inspect(connection).has_table(CLINIC_KEYS.name):
            raise RestoreRefused("The continuous copy is not of a clinic, or was begun before its tables were there.")
        if not migrations.known(revision):
            raise RestoreRefused("This copy was made by a newer version of the program: install that version first.")
        fingerprints = known_keys.noted_in(connection)
        if other := [_KEY_NAMES[name] for name, noted in fingerprints.items() if keys.fingerprint(name) != noted]:
            raise RestoreRefused(_other_keys("copy", other, settings))
        report = chain.verify_whole(connection)
        if not report.ok:
            raise RestoreRefused(f"The audit trail of the continuous copy is broken: {report.why}")
        found, head = chain.verify_end(connection, at_most=1)
        last = connection.execute(select(func.max(AUDIT_EVENTS.c.at))).scalar_one() or clock.now()
        rows = counts(connection)
    return Manifest(
        format=FORMAT,
        made_at=last.isoformat(timespec="seconds"),
        kind="sqlite",
        revision=revision,
        sha256=digest(copy),
        size=copy.stat().st_size,
        rows=rows,
        head_seq=found.count,
        head_hash=head,
        keys=fingerprints,
        with_keys=False,
    )


def _restore(settings: Settings, file: Path, work: Path, moved: Moved) -> Restored:
    with opened(file) as (tar, manifest, mark):
        kind = "sqlite" if database_copies.sqlite_file(settings.database) else "postgresql"
        if manifest.kind != kind:
            raise RestoreRefused(f"This backup is of {_KINDS[manifest.kind]}, and this clinic uses {_KINDS[kind]}.")
        if not migrations.known(manifest.revision):
            raise RestoreRefused("This backup was made by a newer version of the program: install that version first.")
        placed = _agree_on_keys(settings, tar, manifest, mark)
        try:
            copy = _extracted(tar, manifest, file, work, moved)
            put = _put_sqlite if kind == "sqlite" else _put_postgres
            aside = put(settings, copy, manifest, work)
        except BaseException:
            if placed:
                (settings.data_dir / KEYS).unlink()
                keys.key.cache_clear()
            raise
    return Restored(manifest, aside, manifest.revision != migrations.wanted(), placed)


def _agree_on_keys(settings: Settings, tar: tarfile.TarFile, manifest: Manifest, mark: str) -> bool:
    """See that the keys at hand are those of the backup, or put those in place that it brings; whether it did."""
    at_hand = keys.at_hand(settings)
    placed = False
    if not at_hand and manifest.with_keys:
        keys.place(settings, _brought(tar))
        placed = True
    else:
        _require_keys(settings)
    keys.key.cache_clear()
    other = [_KEY_NAMES[name] for name in keys.NAMES if keys.fingerprint(name) != manifest.keys[name]]
    if other or not hmac.compare_digest(mark, manifest.mark()):
        if placed:
            (settings.data_dir / KEYS).unlink()
        if not other:
            raise NotABackup(_DAMAGED.format("manifest is not"))
        raise RestoreRefused(_other_keys("backup", other, settings))
    return placed


def _require_keys(settings: Settings) -> None:
    if missing := [name for name in keys.NAMES if name not in keys.at_hand(settings)]:
        raise RestoreRefused(
            f"The keys of the clinic are not here ({', '.join(_KEY_NAMES[name] for name in missing)}): put its "
            f"{KEYS} into {settings.data_dir}, or set them, and try again."
        )


def _other_keys(what: str, names: list[str], settings: Settings) -> str:
    return (
        f"This {what} belongs to other keys ({', '.join(names)}): with those of this clinic nobody could sign in to "
        f"it. Put the {KEYS} of that time into {settings.data_dir}, or set its keys, and try again."
    )


def _brought(tar: tarfile.TarFile) -> dict[str, str]:
    """The keys in the backup."""
    entry = part(tar, KEYS)
    source = tar.extractfile(entry)
    try:
        found = json.loads(source.read()) if source is not None and entry.size <= _AT_ONCE else None
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in keys.NAMES):
        raise NotABackup(_DAMAGED.format("keys are not"))
    return found


def _extracted(tar: tarfile.TarFile, manifest: Manifest, file: Path, work: Path, moved: Moved) -> Path:
    """The database of the backup as a file in ``work``, the same byte by byte as when it was made."""
    entry = part(tar, PARTS[manifest.kind])
    source = tar.extractfile(entry)
    if source is None or entry.size != manifest.size:
        raise NotABackup(_DAMAGED.format("size is not"))
    free = shutil.disk_usage(work).free
    if free < manifest.size * 1.1:
        raise RestoreRefused(
            f"The disk has {free // 2**20:,} MB left, and this backup needs {manifest.size // 2**20 + 1:,} MB."
        )
    target, hashed, done = work / entry.name, hashlib.sha256(), 0
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        while piece := _next(source, file):
            hashed.update(piece)
            out.write(piece)
            done += len(piece)
            moved(done, manifest.size)
        out.flush()
        os.fsync(out.fileno())
    if hashed.hexdigest() != manifest.sha256:
        raise NotABackup(_DAMAGED.format("content is not"))
    return target


def _next(source: IO[bytes], file: Path) -> bytes:
    with unreadable(file):
        return source.read(_AT_ONCE)


def _compare(connection: Connection, manifest: Manifest) -> None:
    found, mark = chain.verify_end(connection)
    if not found.ok or (found.count, mark) != (manifest.head_seq, manifest.head_hash):
        raise NotABackup(_DAMAGED.format("audit trail is not"))
    if counts(connection) != manifest.rows:
        raise NotABackup(_DAMAGED.format("tables are not"))


def _put_sqlite(settings: Settings, copy: Path, manifest: Manifest, _: Path) -> str:
    if not database_copies.sqlite_is_whole(copy, thorough=True):
        raise NotABackup(_DAMAGED.format("database is not whole, which is not"))
    with read_copy(copy) as connection:
        _compare(connection, manifest)
    place = database_copies.sqlite_file(settings.database)
    if place is None:
        raise RuntimeError("the kind of database was compared before")
    aside = place.with_name(f"{place.name}.before-restore-{clock.now():%Y%m%dT%H%M%SZ}")
    continuous_copy.forget(place)  # what comes now does not go on from what was copied last
    return str(aside) if database_copies.put_in_place(copy, place, aside) else ""


def _put_postgres(settings: Settings, copy: Path, manifest: Manifest, work: Path) -> str:
    aside = f"{database_copies.ASIDE}{clock.now():%Y%m%dt%H%M%Sz}"
    with alone.opened(settings.database) as engine:
        statements = database_copies.read_dump(engine, copy, work)
        with engine.connect() as connection:
            if alone.others(connection):
                raise RestoreRefused(alone.CONNECTED)
            used = connection.execute(_TABLES).scalar_one() > 0
        engine.dispose()
        database_copies.restore_postgres(engine, statements, aside, work)
        with engine.connect() as connection:
            _compare(connection, manifest)
    return f"schema {aside} of the database" if used else ""


_TABLES = text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
