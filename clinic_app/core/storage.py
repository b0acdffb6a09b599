"""Whether there is room, and whether what is written is kept: on disk and in the database."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
import time
from pathlib import Path

from sqlalchemy import text

from clinic_app.core import db, logs
from clinic_app.core.database_copies import sqlite_file
from clinic_app.core.settings import Settings

#: What an ``OSError`` says where nothing can be written: full, over one's quota, read-only.
NO_WRITES = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
_PROBE = b"\0" * 65_536
_EVERY = 5.0  # seconds: whoever asks for readiness in thousands writes no more often
_MB = 2**20

_asking = threading.Lock()
_last = (-_EVERY, True)


def folders(settings: Settings) -> tuple[Path, ...]:
    """Where this clinic writes files: the data directory, the database's and the anchors', each once."""
    database = sqlite_file(settings.database)
    found = [settings.data_dir, *([database.parent] if database else []), settings.anchors.parent]
    return tuple(dict.fromkeys(folder.resolve() for folder in found if folder.is_dir()))


def least_free(settings: Settings) -> tuple[Path, int]:
    """The folder with the least room, and its megabytes. The data directory has to be there."""
    free = {folder: shutil.disk_usage(folder).free // _MB for folder in folders(settings)}
    folder = min(free, key=lambda one: free[one])
    return folder, free[folder]


def is_low(settings: Settings) -> bool:
    """Whether there is less room than ``CLINIC_DISK_FREE_MB`` where files are written."""
    return bool(folders(settings)) and least_free(settings)[1] < settings.disk_free_mb


def takes_files(settings: Settings) -> Path | None:
    """The first folder in which no file can be written and kept; None: all of them take some."""
    for folder in folders(settings):
        probe = folder / f".write-probe-{os.getpid()}-{threading.get_ident()}"
        try:
            handle = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                if os.write(handle, _PROBE) < len(_PROBE):
                    return folder
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError:
            return folder
        finally:
            with contextlib.suppress(OSError):
                probe.unlink()
    return None


def database_takes_writes() -> None:
    """Commit a change of nothing. Raises whatever the database says."""
    with db.transaction() as session:
        session.execute(text("UPDATE audit_head SET changes = changes WHERE id = 1"))


def takes_writes(settings: Settings) -> bool:
    """Whether files and the database can be written. Tried anew after five seconds, however many ask meanwhile.

    While one tries, the others are told what was known: nobody waits behind a try that hangs.
    """
    global _last
    at, known = _last
    if time.monotonic() - at < _EVERY or not _asking.acquire(blocking=False):
        return known
    try:
        try:
            known = takes_files(settings) is None
            database_takes_writes()
        except Exception as error:  # noqa: BLE001  whatever it is, nothing can be written
            logs.failure(error, "readiness")
            known = False
        _last = time.monotonic(), known
        return known
    finally:
        _asking.release()


def forget() -> None:
    """Try anew at the next question. For tests."""
    global _last
    _last = (-_EVERY, True)
