"""Whether the continuous copy is whole: it is restored to a file beside the database, looked through, and removed.

Everything is done by programs of their own with the lowest priority, which end with the server: the process that asks
forks workers, and must open no database.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clinic_app.core import continuous_copy
from clinic_app.core.settings import Settings

#: In the data directory, while it is being looked at.
FOLDER = "copy-check"
#: Seconds after which a storage that sends too slowly is given up.
LONGEST = 6 * 3600.0
_LOWEST = 19
_MB = 2**20
#: Of a database its first fault and the end of its audit trail; of the live one that end, or the hash of one event.
_READ = """
import json, sqlite3, sys
uri, seq = sys.argv[1], int(sys.argv[2])
found = {}
try:
    opened = sqlite3.connect(uri, uri=True, timeout=10)
    if "immutable" in uri:
        found["fault"] = opened.execute("PRAGMA quick_check(1)").fetchone()[0]
    found["seq"], found["hash"] = opened.execute("SELECT seq, hash FROM audit_head").fetchone()
    if seq:
        found["hash"] = (opened.execute("SELECT hash FROM audit_events WHERE seq = ?", (seq,)).fetchone() or ("",))[0]
except (sqlite3.Error, TypeError) as error:
    found["fault"] = type(error).__name__
print(json.dumps(found))
"""


class Unchecked(Exception):
    """The copy could not be looked at. ``why`` is a word for the log and for ``continuous_copy.Known``."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Damaged(Exception):
    """The copy does not give back this clinic as it is. ``what``: a word for the log."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def tidy(settings: Settings) -> None:
    """Remove what a look that was broken off has left."""
    shutil.rmtree(settings.data_dir / FOLDER, ignore_errors=True)


def end_of_trail(settings: Settings, over: threading.Event) -> int:
    """How many events the clinic has now. Raises ``Unchecked``."""
    return int(_of_live(settings, 0, over)["seq"])


def check(settings: Settings, least: int, over: threading.Event) -> None:
    """Return if the copy gives back this clinic, with the first ``least`` events of its trail and all later ones.

    Slow; ends soon after ``over`` is set. Raises ``Damaged``, and ``Unchecked`` where that cannot be told.
    """
    with _room(settings) as folder:
        file = folder / "clinic.sqlite3"
        _restore(settings, file, over)
        found = _read(f"{file.as_uri()}?immutable=1", 0, over)
        if found.get("fault") != "ok" or "seq" not in found:
            raise Damaged("unreadable")
        if found["seq"] < least:
            raise Damaged("too old")
        if _of_live(settings, found["seq"], over)["hash"] != found["hash"]:
            raise Damaged("of another clinic")


def _of_live(settings: Settings, seq: int, over: threading.Event) -> dict[str, Any]:
    found = _read(f"{continuous_copy.database(settings).as_uri()}?mode=ro", seq, over)
    if "fault" in found:
        raise Unchecked("other")
    return found


@contextlib.contextmanager
def _room(settings: Settings) -> Iterator[Path]:
    """A folder for the restored file, if there is room: removed at the end, whatever happens."""
    tidy(settings)
    file = continuous_copy.database(settings)
    needed = sum(one.stat().st_size for one in (file, Path(f"{file}-wal")) if one.exists())
    if shutil.disk_usage(settings.data_dir).free < needed + settings.disk_free_mb * _MB:
        raise Unchecked("no room")
    folder = settings.data_dir.absolute() / FOLDER
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        tidy(settings)


def _restore(settings: Settings, target: Path, over: threading.Event) -> None:
    executable = continuous_copy.program()
    if executable is None:
        raise Unchecked("no program")
    file, config = continuous_copy.database(settings), (settings.data_dir / continuous_copy.CONFIG).absolute()
    options = ("-no-expand-env", "-config", str(config), "-o", str(target))
    code, _, wrong = _run((executable, "restore", *options, str(file)), LONGEST, over)
    if code:
        why = continuous_copy.reason(wrong.decode(errors="replace"))
        if why not in ("other", "nothing there"):
            raise Unchecked(why)
        raise Damaged("incomplete" if why == "nothing there" else "unreadable")


def _read(uri: str, seq: int, over: threading.Event) -> dict[str, Any]:
    code, said, _ = _run((sys.executable, "-I", "-S", "-c", _READ, uri, str(seq)), LONGEST, over)
    if code:
        raise Unchecked("other")
    found: dict[str, Any] = json.loads(said)
    return found


def _run(command: tuple[str, ...], patience: float, over: threading.Event) -> tuple[int, bytes, bytes]:
    """Its exit code and what it said. Ends it when the server ends, and when it takes too long."""
    if over.is_set():
        raise Unchecked("ended")
    process = continuous_copy.start_bound(
        command,
        nice=_LOWEST,
        env=continuous_copy.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
        umask=0o077,
    )
    with process:
        ends = time.monotonic() + patience
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    said, wrong = process.communicate(timeout=0.2)
                    break
                if over.is_set() or time.monotonic() > ends:
                    raise Unchecked("ended" if over.is_set() else "unreachable")
        except BaseException:
            process.kill()
            raise
    if process.returncode < 0:  # somebody ended it
        raise Unchecked("ended")
    return process.returncode, said, wrong
