"""The server on SQLite, one COMMIT of a registration failing in the way a file asks for.

``full``, ``broken`` and ``unsynced`` are said by the disk itself, beneath SQLite, which then does what it does on a
real one: no room, a failing write, a write that arrived but cannot be made safe. ``busy`` is another program's lock.
``unsaid`` is kept, and the program is told that it failed. ``dies before`` and ``dies after`` kill the worker there.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import os
import signal
import sqlite3
import threading
from pathlib import Path
from typing import Any

#: What SQLite's layer above the operating system answers: https://www.sqlite.org/rescode.html
FULL, WRITE_FAILED, SYNC_FAILED = 13, 10 | 3 << 8, 10 | 4 << 8
_WAL_FILE = 28  # SQLITE_FCNTL_JOURNAL_POINTER
_METHODS = 152  # bytes of sqlite3_io_methods, version 3: a version and 18 functions
_WRITE, _SYNC = 24, 40  # where two of them stand
_Write = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64)
_Sync = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


class Disk:
    """What is beneath the write-ahead log of one connection: within the block it writes, or makes safe, no more."""

    def __init__(self, connection: sqlite3.Connection, how: str) -> None:
        library = ctypes.CDLL(_sqlite3.__file__)
        handle = ctypes.c_void_p.from_address(id(connection) + object.__basicsize__)  # it comes first
        found = ctypes.c_void_p()
        library.sqlite3_file_control.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
        assert library.sqlite3_file_control(handle, b"main", _WAL_FILE, ctypes.byref(found)) == 0
        assert found.value
        self._methods = ctypes.c_void_p.from_address(found.value)
        self._before = self._methods.value
        assert self._before
        self._mine = ctypes.create_string_buffer(ctypes.string_at(self._before, _METHODS), _METHODS)
        self._say = {"full": FULL, "broken": WRITE_FAILED, "unsynced": SYNC_FAILED}[how]
        write = _Write(ctypes.c_void_p.from_address(self._before + _WRITE).value or 0)
        self._left = 0 if how == "full" else 2  # some of it arrives

        def writes(*what: Any) -> int:
            self._left -= 1
            return self._say if self._left < 0 else write(*what)

        self._kept: Any = _Sync(lambda *_: self._say) if how == "unsynced" else _Write(writes)
        place = _SYNC if how == "unsynced" else _WRITE
        address = ctypes.cast(self._kept, ctypes.c_void_p).value
        ctypes.c_void_p.from_address(ctypes.addressof(self._mine) + place).value = address

    def __enter__(self) -> None:
        self._methods.value = ctypes.addressof(self._mine)

    def __exit__(self, *_: object) -> None:
        self._methods.value = self._before


class Commits:
    """COMMIT as it is, until the file is there: then that of the next registration goes as it says, once."""

    def __init__(self, real: Any, file: Path) -> None:
        self._real, self._file, self._lock = real, file, threading.Lock()

    def _asked(self, dbapi: Any) -> str:
        """How this one is to fail; empty if it is not."""
        if not self._file.exists() or not dbapi.total_changes:
            return ""
        newest = "SELECT last_name FROM patients ORDER BY id DESC LIMIT 1"
        with sqlite3.connect(self._file.parent / "data" / "clinic.sqlite3") as other:  # sees what is committed
            before = other.execute("SELECT max(id) FROM patients").fetchone()
        other.close()
        if dbapi.execute("SELECT max(id) FROM patients").fetchone() == before:
            return ""
        assert dbapi.execute(newest).fetchone()[0].endswith("Fault")
        with self._lock:
            how = self._file.read_text()
            self._file.rename(self._file.with_suffix(".done"))
        return how

    def __call__(self, dbapi: Any) -> None:
        how = self._asked(dbapi)
        if how == "busy":
            raise sqlite3.OperationalError("database is locked")
        if how == "dies before":
            os.kill(os.getpid(), signal.SIGKILL)
        if how in ("full", "broken", "unsynced"):
            with Disk(dbapi.dbapi_connection, how):
                self._real(dbapi)
        else:
            self._real(dbapi)
        if how == "dies after":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "unsaid":
            raise sqlite3.OperationalError("disk I/O error")


def create() -> Any:
    """As ``clinic_app.asgi.create``; ``AT_COMMIT`` names the file, beside the folder of the data."""
    from clinic_app import asgi
    from clinic_app.core import bootstrap

    dialect = bootstrap.start().dialect
    dialect.do_commit = Commits(dialect.do_commit, Path(os.environ["AT_COMMIT"]))  # type: ignore[method-assign]
    return asgi.create()
