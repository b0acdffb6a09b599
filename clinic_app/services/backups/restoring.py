"""Putting a backup in the place of a clinic's database, which is kept."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, text

from clinic_app.core import clock, data_lock, database_copies, keys, migrations
from clinic_app.core.database_copies import CopyFailed, Moved
from clinic_app.core.settings import Settings
from clinic_app.services.audit import chain
from clinic_app.services.backups import alone
from clinic_app.services.backups.errors import NotABackup, RestoreRefused
from clinic_app.services.backups.making import read_copy
from clinic_app.services.backups.manifest import KEYS, PARTS, Manifest, counts, opened, part

_DAMAGED = "This backup is damaged, or was changed: its {} what it says of itself. Take another one."
_AT_ONCE = 1024 * 1024
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
    folder = keys.prepare_data_dir(settings)
    try:
        with data_lock.alone(folder), tempfile.TemporaryDirectory(prefix=".restoring-", dir=folder) as made:
            return _restore(settings, file, Path(made), moved)
    except data_lock.InUse:
        raise RestoreRefused(alone.in_use(folder)) from None
    except CopyFailed as error:
        raise RestoreRefused(str(error)) from None
    except OSError as error:
        raise RestoreRefused(f"{folder} cannot be written ({error.strerror}).") from None


def _restore(settings: Settings, file: Path, work: Path, moved: Moved) -> Restored:
    with opened(file) as (tar, manifest, mark):
        kind = "sqlite" if database_copies.sqlite_file(settings.database) else "postgresql"
        if manifest.kind != kind:
            raise RestoreRefused(f"This backup is of {_KINDS[manifest.kind]}, and this clinic uses {_KINDS[kind]}.")
        if not migrations.known(manifest.revision):
            raise RestoreRefused("This backup was made by a newer version of the program: install that version first.")
        placed = _agree_on_keys(settings, tar, manifest, mark)
        try:
            copy = _extracted(tar, manifest, work, moved)
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
    elif missing := [name for name in keys.NAMES if name not in at_hand]:
        raise RestoreRefused(
            f"The keys of the clinic are not here ({', '.join(_KEY_NAMES[name] for name in missing)}): put its "
            f"{KEYS} into {settings.data_dir}, or set them, and try again."
        )
    keys.key.cache_clear()
    other = [_KEY_NAMES[name] for name in keys.NAMES if keys.fingerprint(name) != manifest.keys[name]]
    if other or not hmac.compare_digest(mark, manifest.mark()):
        if placed:
            (settings.data_dir / KEYS).unlink()
        if not other:
            raise NotABackup(_DAMAGED.format("manifest is not"))
        raise RestoreRefused(
            f"This backup belongs to other keys ({', '.join(other)}): with those of this clinic nobody could sign in "
            f"to it. Put the {KEYS} of that time into {settings.data_dir}, or set its keys, and try again."
        )
    return placed


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


def _extracted(tar: tarfile.TarFile, manifest: Manifest, work: Path, moved: Moved) -> Path:
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
        while piece := source.read(_AT_ONCE):
            hashed.update(piece)
            out.write(piece)
            done += len(piece)
            moved(done, manifest.size)
        out.flush()
        os.fsync(out.fileno())
    if hashed.hexdigest() != manifest.sha256:
        raise NotABackup(_DAMAGED.format("content is not"))
    return target


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
